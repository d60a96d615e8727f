"""What the generators are told beside the objects."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The gates of the operator and what is known of the cluster.

    Attributes:
        endpoint_slices: the cluster serves EndpointSlices.
        daemon_set: an agent that runs on every node.
        topology_sharding, shard_retention: the gates of these names.
        pod_topology_labels: Pods carry the labels of their zone (Kubernetes 1.35).
        inline_tls: certificates and keys are written in the configuration, not as names of files.
        compat: what the original does is done also where it is a mistake.
    """

    endpoint_slices: bool = False
    daemon_set: bool = False
    topology_sharding: bool = False
    shard_retention: bool = False
    pod_topology_labels: bool = False
    inline_tls: bool = False
    compat: bool = False
