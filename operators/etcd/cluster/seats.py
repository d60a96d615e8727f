"""A member as all four sources together have it: etcd, the status, its Pod, its volume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from operators.etcd.api import MemberStatus
from operators.etcd.cluster.model import Membership, Observed, PodView, VolumeView, quorum
from operators.etcd.render import member_name, ordinal_of, peer_url
from operators.etcd.versions import Version
from operators.etcd.wire import Member

__all__ = ["Seat", "highest_ordinal", "initial_cluster", "majority_without", "next_member", "seats_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seat:
    """One place in the cluster and what fills it.

    Attributes:
        healthy: it answers, and is not about to be stopped.
        ordinal: None for a member that does not have one of this cluster's names: it counts, and is not touched.
        runs: the version it answers with, or answered with last.
        member: etcd's entry; None while the member list is not known.
        latched: what the status said of it before this pass.
    """

    name: str
    ordinal: int | None
    healthy: bool
    runs: str = ""
    member: Member | None = None
    latched: MemberStatus | None = None
    pod: PodView | None = None
    volume: VolumeView | None = None

    @property
    def id(self) -> int:
        """etcd's id, 0 where it is not known."""
        if self.member is not None:
            return self.member.id
        return int(self.latched.id, 16) if self.latched and self.latched.id else 0

    @property
    def learner(self) -> bool:
        """Whether it has no vote."""
        if self.member is not None:
            return self.member.learner
        return self.latched is not None and self.latched.role == "learner"

    @property
    def started(self) -> bool:
        """Whether etcd has ever run in it, so that its volume holds what cannot be made anew.

        Where the member list is not known, only a member the status knows the role of counts as one that has not.
        """
        if self.member is not None:
            return self.member.started
        return self.latched is None or self.latched.role != "joining"

    @property
    def pvc_uid(self) -> str:
        """The volume this member lives on, as latched; else the one found now."""
        if self.latched is not None and self.latched.pvc_uid:
            return self.latched.pvc_uid
        return self.volume.uid if self.volume is not None and not self.volume.terminating else ""

    @property
    def volume_lost(self) -> bool:
        """The member's own volume is gone, going, or another took its name: what was on it will not come back."""
        if self.ordinal is None:
            return False
        latched_uid = self.latched.pvc_uid if self.latched is not None else ""
        present = self.volume is not None and not self.volume.terminating
        if latched_uid:
            return not present or self.volume is None or self.volume.uid != latched_uid
        return self.started and not present

    def run_version(self, default: Version) -> Version:
        """The version its Pod is made with."""
        if self.latched is not None and (text := self.latched.run_version or self.latched.version):
            return Version.parse(text)
        return default


def seats_of(observed: Observed) -> tuple[Seat, ...]:
    """The members in the order of their ordinals: etcd's list, else the status', else what marked volumes tell.

    A list that no majority stands behind may be old, so it adds to what the status knows and takes nothing off.
    """
    latched = {entry.name: entry for entry in observed.cluster.status.member_statuses}
    listed = observed.membership.by_name() if observed.membership is not None else {}
    names = list(listed)
    if observed.membership is None or not observed.membership.confirmed:
        names = list(dict.fromkeys([*listed, *latched]))
    names = names or [volume.name for volume in observed.volumes.values() if volume.cluster_id]
    found = [
        Seat(
            name=name,
            ordinal=ordinal_of(observed.cluster, name),
            healthy=observed.healthy(name) and not observed.pods[name].terminating,
            runs=_runs(observed, name, latched.get(name)),
            member=listed.get(name),
            latched=latched.get(name),
            pod=observed.pods.get(name),
            volume=observed.volumes.get(name),
        )
        for name in names
    ]
    return tuple(sorted(found, key=lambda seat: (seat.ordinal is None, seat.ordinal or 0, seat.name)))


def _runs(observed: Observed, name: str, latched: MemberStatus | None) -> str:
    probe = observed.probes.get(name)
    if probe is not None and probe.status is not None and probe.status.version:
        return probe.status.version
    return latched.version if latched is not None else ""


def highest_ordinal(observed: Observed) -> int:
    """The highest ordinal that anything has or had; -1 where there was none."""
    cluster = observed.cluster
    names: set[str] = {*observed.pods, *observed.volumes, *(e.name for e in cluster.status.member_statuses)}
    if observed.membership is not None:
        names |= set(observed.membership.by_name())
    ordinals = [ordinal for name in names if (ordinal := ordinal_of(cluster, name)) is not None]
    return max([cluster.status.highest_ordinal, *ordinals])


def majority_without(seats: Iterable[Seat], leaving: Seat | None) -> bool:
    """Whether the voters left after ``leaving`` has gone are at least one, and healthy in their majority."""
    rest = [seat for seat in seats if not seat.learner and (leaving is None or seat.name != leaving.name)]
    return bool(rest) and sum(seat.healthy for seat in rest) >= quorum(len(rest))


def initial_cluster(observed: Observed, seats: Iterable[Seat], joining: str) -> tuple[tuple[str, str], ...]:
    """Every member's name and peer URL for ``--initial-cluster``, as etcd has them; ``joining`` among them."""
    membership: Membership | None = observed.membership
    listed = membership.by_name() if membership is not None else {}
    urls = {
        seat.name: (listed[seat.name].peer_urls[0] if seat.name in listed and listed[seat.name].peer_urls else "")
        or peer_url(observed.cluster, seat.name)
        for seat in seats
    }
    urls.setdefault(joining, peer_url(observed.cluster, joining))
    return tuple(urls.items())


def next_member(observed: Observed) -> str:
    """A name that no member ever had: the one etcd would not add the last time, else a new one."""
    if observed.refused is not None and observed.refused.unused:
        return observed.refused.unused
    return member_name(observed.cluster, highest_ordinal(observed) + 1)
