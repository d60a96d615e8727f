"""What is seen of a cluster, and what can be done to it: frozen data, no behaviour beyond arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controllerkit.controller import Action
from controllerkit.objects import Object
from operators.etcd.api import EtcdCluster
from operators.etcd.render import PodOrder, member_of_peer_url
from operators.etcd.versions import VersionMap
from operators.etcd.wire import Member, Status

__all__ = [
    "AddMember",
    "ClusterAction",
    "CreatePod",
    "CreateService",
    "CreateVolume",
    "DeletePod",
    "DeleteVolume",
    "MarkVolume",
    "Membership",
    "MoveLeader",
    "Observed",
    "PodView",
    "Probe",
    "PromoteMember",
    "Refused",
    "RemoveMember",
    "RepairService",
    "SetRole",
    "VolumeView",
    "name_of",
    "quorum",
]


def quorum(voters: int) -> int:
    """The votes that decide among ``voters``.

    >>> [quorum(n) for n in (1, 2, 3, 4, 5)]
    [1, 2, 2, 3, 3]
    """
    return voters // 2 + 1


def name_of(member: Member) -> str:
    """A member's name, also before it has started and told etcd."""
    return member.name or (member_of_peer_url(member.peer_urls[0]) if member.peer_urls else "")


# -- what is seen ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class PodView:
    """What counts of a Pod. ``problem`` is why it does not run, in a word of Kubernetes' (``Unschedulable`` …)."""

    name: str
    uid: str
    ip: str = ""
    role: str = ""
    version: str = ""
    template: str = ""
    ready: bool = False
    terminating: bool = False
    finished: bool = False
    """Succeeded, Failed or evicted: it will never run again, and its name is in the way of one that would."""
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeView:
    """What counts of a volume claim. ``cluster_id`` is whose data it is known to hold, "" before that is known."""

    name: str
    uid: str
    terminating: bool = False
    cluster_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What a member answered. ``healthy``: a voter gave a quorum read; a learner gave its status."""

    status: Status | None = None
    healthy: bool = False
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Membership:
    """The member list. ``confirmed``: a majority stands behind it, so that what is not in it does not exist."""

    cluster_id: str
    members: tuple[Member, ...]
    confirmed: bool

    def by_name(self) -> Mapping[str, Member]:
        """The members by `name_of`."""
        return {name_of(member): member for member in self.members}


@dataclass(frozen=True, slots=True)
class Refused:
    """etcd's "not now". ``unused`` is the name of a member that it certainly did not add, "" for any other action."""

    message: str
    unused: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """One look at a cluster; every part was read from its source in this pass, not from a cache.

    Attributes:
        foreign: objects that have the names of ours and are not ours, as ``Kind name``.
        membership: None where no member of this cluster answers.
        probes: by Pod name, for Pods that have an address.
        refused: what etcd said to the last action; None where it did as it was asked.
    """

    cluster: EtcdCluster
    pods: Mapping[str, PodView] = field(default_factory=dict)
    volumes: Mapping[str, VolumeView] = field(default_factory=dict)
    services: Mapping[str, Object] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    membership: Membership | None = None
    probes: Mapping[str, Probe] = field(default_factory=dict)
    mapping: VersionMap = field(default_factory=VersionMap)
    refused: Refused | None = None

    def healthy(self, name: str) -> bool:
        """Whether this member answered as it should."""
        probe = self.probes.get(name)
        return probe is not None and probe.healthy

    def healthy_count(self, members: Iterable[Member]) -> int:
        """How many of these answered as they should."""
        return sum(self.healthy(name_of(member)) for member in members)

    @property
    def leader(self) -> str:
        """The leader's name; "" where none is known. A healthy member's word counts most."""
        if self.membership is None:
            return ""
        names = {member.id: name_of(member) for member in self.membership.members}
        probes = sorted(self.probes.values(), key=lambda probe: not probe.healthy)
        for probe in probes:
            if probe.status is not None and probe.status.leader in names:
                return names[probe.status.leader]
        return ""


# -- what can be done ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClusterAction(Action):
    """The base of this controller's actions. Each is right to do twice."""


@dataclass(frozen=True)
class CreateService(ClusterAction):
    """Makes a Service."""

    name: str

    def __str__(self) -> str:
        return f"create Service {self.name}"


@dataclass(frozen=True)
class RepairService(ClusterAction):
    """Puts a Service back to what it should be."""

    name: str
    paths: tuple[str, ...]

    def __str__(self) -> str:
        return f"repair Service {self.name} ({', '.join(self.paths)} changed)"


@dataclass(frozen=True)
class CreateVolume(ClusterAction):
    """Makes a member's volume claim."""

    member: str
    cluster_id: str

    def __str__(self) -> str:
        return f"create volume {self.member}"


@dataclass(frozen=True)
class MarkVolume(ClusterAction):
    """Writes the cluster's identity on a volume claim."""

    member: str
    cluster_id: str

    def __str__(self) -> str:
        return f"mark volume {self.member} as cluster {self.cluster_id}'s"


@dataclass(frozen=True)
class CreatePod(ClusterAction):
    """Makes a member's Pod on its volume."""

    order: PodOrder

    def __str__(self) -> str:
        what = "found the cluster with" if self.order.founds else "start"
        return f"{what} Pod {self.order.member}, etcd {self.order.version}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True)
class DeletePod(ClusterAction):
    """Deletes this Pod, not a later one of its name."""

    member: str
    uid: str

    def __str__(self) -> str:
        return f"delete Pod {self.member}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True)
class DeleteVolume(ClusterAction):
    """Deletes this volume claim, not a later one of its name."""

    member: str
    uid: str

    def __str__(self) -> str:
        return f"delete volume {self.member}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True)
class SetRole(ClusterAction):
    """Labels a Pod as a voter's or a learner's."""

    member: str
    role: str

    def __str__(self) -> str:
        return f"label Pod {self.member} as {self.role}"


@dataclass(frozen=True)
class AddMember(ClusterAction):
    """Tells etcd of a new member."""

    member: str
    peer_url: str
    learner: bool

    def __str__(self) -> str:
        return f"add member {self.member}" + (" as a learner" if self.learner else "") + _because(self.why)


@dataclass(frozen=True)
class PromoteMember(ClusterAction):
    """Gives a learner its vote."""

    member: str
    id: int

    def __str__(self) -> str:
        return f"promote {self.member} to a voter once it has caught up"


@dataclass(frozen=True)
class RemoveMember(ClusterAction):
    """Takes a member out of etcd for good."""

    member: str
    id: int

    def __str__(self) -> str:
        return f"remove member {self.member}{_because(self.why)}"


@dataclass(frozen=True)
class MoveLeader(ClusterAction):
    """Hands leadership from one member to another."""

    leader: str
    target: str
    target_id: int

    def __str__(self) -> str:
        return f"hand leadership from {self.leader} to {self.target}{_because(self.why)}"


def _because(why: str) -> str:
    return f": {why}" if why else ""
