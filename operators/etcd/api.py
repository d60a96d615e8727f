"""The kinds of ``etcd.database.coreos.com/v1beta2`` as models; ``crds/etcdclusters.yaml`` is made of them.

Field names are those of the API, whose spelling is kept even where it is odd (``TLS``, ``DNSTimeoutInSecond``).
Sizes and versions have no bounds: what cannot be done is answered by the operator, in a condition that says exactly
why, while the cluster is kept as it is. Nothing is filled in by the server: what a user did not write stays unwritten.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from controllerkit.schema import ApiModel, Column, Int64, Resource, Scale, list_map, schema_format, wire_schema

__all__ = [
    "DEFAULT_REPOSITORY",
    "GROUP",
    "NAME_LENGTH_MAX",
    "SIZE_MAX",
    "SIZE_MIN",
    "EtcdCluster",
    "EtcdClusterSpec",
    "EtcdClusterStatus",
    "MemberSecrets",
    "MemberStatus",
    "MembersStatus",
    "PodPolicy",
    "StaticTls",
    "TlsPolicy",
]

GROUP: Final = "etcd.database.coreos.com"

SIZE_MIN: Final = 1
SIZE_MAX: Final = 7
"""etcd's own advice: more members make writes slower and nothing safer."""

NAME_LENGTH_MAX: Final = 52
"""A member's name is a DNS label of at most 63 characters, the cluster's name and an ordinal among them."""

DEFAULT_REPOSITORY: Final = "quay.io/coreos/etcd"


_EnvVar = Annotated[
    dict[str, Any],
    wire_schema(
        type="object",
        required=["name"],
        properties={
            "name": {"type": "string"},
            "value": {"type": "string"},
            "valueFrom": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    ),
]
_Condition = Annotated[
    dict[str, Any],
    wire_schema(
        type="object",
        required=["type", "status"],
        properties={
            "type": {"type": "string"},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": {"type": "string"},
            "message": {"type": "string"},
            "observedGeneration": {"type": "integer", "format": "int64"},
            "lastTransitionTime": {"type": "string", "format": "date-time"},
            "lastUpdateTime": {"type": "string", "format": "date-time"},
        },
    ),
]
_UNUSED: Final = "Accepted and not used; no init container waits for DNS."


class MemberSecrets(ApiModel):
    """``spec.TLS.static.member``."""

    peer_secret: str = Field(default="", description="A Secret with peer.crt, peer.key and peer-ca.crt.")
    server_secret: str = Field(default="", description="A Secret with server.crt, server.key and server-ca.crt.")


class StaticTls(ApiModel):
    """``spec.TLS.static``: certificates that somebody else makes and renews."""

    member: MemberSecrets | None = Field(default=None, description="The members' certificates.")
    operator_secret: str = Field(
        default="", description="A Secret with etcd-client.crt, etcd-client.key and etcd-client-ca.crt."
    )


class TlsPolicy(ApiModel):
    """``spec.TLS``."""

    static: StaticTls | None = Field(default=None, description="Certificates that somebody else makes and renews.")


class PodPolicy(ApiModel, server_defaults=False):
    """``spec.pod``: how the members' Pods look. Core types are passed on as they are written."""

    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    node_selector: dict[str, str] = Field(default_factory=dict)
    affinity: dict[str, Any] | None = None
    anti_affinity: bool = Field(
        default=False, description="Whether no two members may share a node. affinity, where given, replaces it."
    )
    resources: dict[str, Any] | None = Field(default=None, description="Requests and limits of the etcd container.")
    tolerations: list[dict[str, Any]] = Field(default_factory=list)
    etcd_env: list[_EnvVar] = Field(
        default_factory=list,
        description="Environment of the etcd container; how etcd is tuned, as ETCD_QUOTA_BACKEND_BYTES.",
    )
    persistent_volume_claim_spec: dict[str, Any] | None = Field(
        default=None, description="The claim of every member; 1Gi, ReadWriteOnce, the default class where absent."
    )
    security_context: dict[str, Any] | None = Field(default=None, description="The Pods' security context.")
    busybox_image: str = Field(default="", description=_UNUSED)
    dns_timeout_in_second: Int64 = Field(default=0, alias="DNSTimeoutInSecond", description=_UNUSED)
    cluster_domain: str = Field(
        default="",
        alias="ClusterDomain",
        description="The end of the members' DNS names with its leading dot, as .cluster.local.",
    )


class EtcdClusterSpec(ApiModel, server_defaults=False):
    """What is asked for."""

    size: int | None = Field(
        default=None,
        description=f"The number of voting members, {SIZE_MIN} to {SIZE_MAX}; odd sizes tolerate more failures for "
        "what they cost.",
    )
    cluster_size: int | None = Field(default=None, description="Another word for size; give one of the two.")
    read_replicas: int = Field(
        default=0, description="The number of members without a vote that stay so. Not supported yet."
    )
    repository: str = Field(
        default=DEFAULT_REPOSITORY,
        description=f'The image without its tag, which is "v" and the version; {DEFAULT_REPOSITORY} where absent.',
    )
    version: str | None = Field(
        default=None, description='The version of etcd, with or without "v"; 3.2.13 where absent.'
    )
    paused: bool = Field(default=False, description="Whether the operator leaves this cluster alone.")
    tls: TlsPolicy | None = Field(default=None, alias="TLS", description="Certificates for peers, members and clients.")
    pod: PodPolicy | None = Field(
        default=None,
        description="How the members' Pods look. A change makes them anew, one at a time, the leader last.",
    )


class MembersStatus(ApiModel):
    """``status.members``: the names of Pods whose etcd answers, and of those whose does not."""

    ready: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()


class MemberStatus(ApiModel):
    """One member, by the name of its Pod.

    ``id`` is "" until etcd has given it one. ``pvc_uid`` is latched before the Pod is made: it is how a volume that
    was swapped or lost is told from the member's own. ``run_version`` is the version its Pod is made with: a member
    that has to be made anew comes back as it was, not as the spec has it meanwhile.
    """

    name: str
    id: str = Field(default="", description="etcd's id of the member in hexadecimal.")
    ordinal: int = 0
    role: str = Field(default="", description="leader, follower, learner or joining.")
    healthy: bool = False
    version: str = ""
    run_version: str = Field(default="", description="The version its Pod is made with.")
    db_size: Int64 = 0
    raft_index: Int64 = 0
    pvc_uid: str = Field(default="", alias="pvcUID", description="The volume claim that holds this member's data.")


class EtcdClusterStatus(ApiModel):
    """What was observed; the operator writes it.

    It is made by ``cluster.analyze``; this is for reading it back, and for its schema.
    """

    phase: str = Field(default="", description="Creating, Running or Failed.")
    reason: str = ""
    control_paused: bool = False
    observed_generation: Int64 = 0
    size: int = Field(default=0, description="The number of members etcd has.")
    accepted_size: int | None = Field(default=None, description="The last size that was asked for rightly.")
    highest_ordinal: int = Field(default=-1, description="The highest ordinal given so far; none is given twice.")
    ready_members: int = 0
    cluster_id: str = Field(
        default="",
        alias="clusterID",
        description="etcd's identity of this cluster in hexadecimal. Once it is here, nothing founds another.",
    )
    leader: str = ""
    current_version: str = Field(default="", description="The version that every member runs.")
    target_version: str = Field(default="", description="The version that members are being taken to.")
    service_name: str = ""
    client_port: int = 0
    selector: str = ""
    statistics_time: Annotated[str, schema_format("date-time")] = ""
    members: MembersStatus = Field(default_factory=MembersStatus)
    member_statuses: Annotated[tuple[MemberStatus, ...], list_map("name")] = ()
    plan: tuple[str, ...] = Field(
        default=(), description="What is done next and what is awaited, written before it is done."
    )
    conditions: Annotated[tuple[_Condition, ...], list_map("type")] = ()


class EtcdCluster(
    Resource,
    group=GROUP,
    version="v1beta2",
    plural="etcdclusters",
    short_names=["etcd"],
    categories=["all"],
    scale=Scale(".spec.size", ".status.size", ".status.selector"),
    columns=[
        Column("Phase", ".status.phase"),
        Column("Ready", ".status.readyMembers", "integer", "Members whose etcd answers"),
        Column("Size", ".status.size", "integer", "Members"),
        Column("Version", ".status.currentVersion", description="The version that runs"),
        Column("Leader", ".status.leader"),
        Column("Available", '.status.conditions[?(@.type=="Available")].status', priority=1),
        Column("Plan", ".status.plan[0]", description="What is done next", priority=1),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ],
):
    """One etcd cluster. Its members are Pods with a volume each, named <name>-<ordinal>."""

    spec: EtcdClusterSpec
    status: EtcdClusterStatus = Field(default_factory=EtcdClusterStatus)
