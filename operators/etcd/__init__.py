"""The etcd operator: kind ``EtcdCluster`` kept as real, replicated, healed etcd.

Modules, higher imports lower: ``__main__`` > ``cluster`` > ``render`` > ``wire`` > ``api``, ``versions``.
"""
