"""The kinds of ``etcd.database.coreos.com/v1beta2`` as models; their schema is ``crds/etcdclusters.yaml``.

Field names are those of the API, whose spelling is kept even where it is odd (``TLS``, ``DNSTimeoutInSecond``).
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from controllerkit.schema import ApiModel, Resource

__all__ = [
    "DEFAULT_REPOSITORY",
    "GROUP",
    "NAME_LENGTH_MAX",
    "SIZE_MAX",
    "SIZE_MIN",
    "EtcdCluster",
    "EtcdClusterSpec",
    "EtcdClusterStatus",
    "MemberStatus",
    "MembersStatus",
    "PodPolicy",
]

GROUP: Final = "etcd.database.coreos.com"

SIZE_MIN: Final = 1
SIZE_MAX: Final = 7
"""etcd's own advice: more members make writes slower and nothing safer."""

NAME_LENGTH_MAX: Final = 52
"""A member's name is a DNS label of at most 63 characters, the cluster's name and an ordinal among them."""

DEFAULT_REPOSITORY: Final = "quay.io/coreos/etcd"


class PodPolicy(ApiModel):
    """``spec.pod``: how the members' Pods look. Core types are passed on as they are written."""

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    node_selector: dict[str, str] = Field(default_factory=dict)
    affinity: dict[str, Any] | None = None
    anti_affinity: bool = False
    resources: dict[str, Any] | None = None
    tolerations: list[dict[str, Any]] = Field(default_factory=list)
    etcd_env: list[dict[str, Any]] = Field(default_factory=list)
    persistent_volume_claim_spec: dict[str, Any] | None = None
    security_context: dict[str, Any] | None = None
    busybox_image: str = ""
    dns_timeout_in_second: int = Field(default=0, alias="DNSTimeoutInSecond")
    cluster_domain: str = Field(default="", alias="ClusterDomain")


class EtcdClusterSpec(ApiModel):
    """``spec``. ``cluster_size`` is another word for ``size``."""

    size: int | None = None
    cluster_size: int | None = None
    read_replicas: int = 0
    repository: str = DEFAULT_REPOSITORY
    version: str | None = None
    paused: bool = False
    tls: dict[str, Any] | None = Field(default=None, alias="TLS")
    pod: PodPolicy | None = None


class MembersStatus(ApiModel):
    """``status.members``: the names of Pods whose etcd answers, and of those whose does not."""

    ready: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()


class MemberStatus(ApiModel):
    """One entry of ``status.memberStatuses``.

    ``id`` is hexadecimal, "" until etcd has given it one. ``pvc_uid`` is latched before the Pod is made: it is
    how a volume that was swapped or lost is told from the member's own. ``run_version`` is the version its Pod is
    made with: a member that has to be made anew comes back as it was, not as the spec has it meanwhile.
    """

    name: str
    id: str = ""
    ordinal: int = 0
    role: str = ""
    healthy: bool = False
    version: str = ""
    run_version: str = ""
    db_size: int = 0
    raft_index: int = 0
    pvc_uid: str = Field(default="", alias="pvcUID")
    why: str = ""


class EtcdClusterStatus(ApiModel):
    """``status``; what is written is made by ``cluster.analyze``, this is for reading it back."""

    phase: str = ""
    reason: str = ""
    control_paused: bool = False
    size: int = 0
    accepted_size: int | None = None
    highest_ordinal: int = -1
    cluster_id: str = Field(default="", alias="clusterID")
    leader: str = ""
    current_version: str = ""
    target_version: str = ""
    members: MembersStatus = Field(default_factory=MembersStatus)
    member_statuses: tuple[MemberStatus, ...] = ()
    conditions: tuple[dict[str, Any], ...] = ()
    statistics_time: str = ""


class EtcdCluster(Resource, group=GROUP, version="v1beta2", plural="etcdclusters"):
    """One etcd cluster."""

    spec: EtcdClusterSpec = Field(default_factory=EtcdClusterSpec)
    status: EtcdClusterStatus = Field(default_factory=EtcdClusterStatus)
