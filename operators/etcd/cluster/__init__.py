"""The `EtcdCluster` controller: observe, analyze, act.

``observe`` gathers what Kubernetes and etcd say, ``analyze`` decides from that alone, ``act`` does one thing.
"""

from operators.etcd.cluster.reconciler import EtcdClusterReconciler

__all__ = ["EtcdClusterReconciler"]
