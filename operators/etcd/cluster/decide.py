"""From what is seen to what is done next.

One pass does any number of steps that only put back what should be there (Services, Pods on their own volumes,
labels) or clears away what members have left behind that a majority has removed, and at most one that changes
who is a member or stops one. The order of the latter:

    lost members out → others join beside those that do → learners promoted → joining members waited for → one
    member more → one member less → one Pod made anew for a new version or template

Guarantees:
    A voter is removed only while a majority of those left is healthy. A member is founded (``new``) only while
    no identity is latched. Nothing is removed on the word of a member list that no majority stands behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from operators.etcd import render
from operators.etcd.cluster.intent import Intent, Problem
from operators.etcd.cluster.model import (
    AddMember,
    ClusterAction,
    CreatePod,
    CreateService,
    CreateVolume,
    DeletePod,
    DeleteVolume,
    MarkVolume,
    MoveLeader,
    Observed,
    PromoteMember,
    RemoveMember,
    RepairService,
    SetRole,
    quorum,
)
from operators.etcd.cluster.seats import (
    Seat,
    highest_ordinal,
    initial_cluster,
    majority_without,
    next_member,
    seats_of,
)
from operators.etcd.render import PodOrder
from operators.etcd.versions import Capabilities, Version, capabilities

__all__ = ["Decision", "decide", "identity"]

POLL_STEADY_S: Final = 10.0
"""How often a cluster that is as it should be is asked how it is; changes of its Pods come sooner by themselves."""

POLL_WAITING_S: Final = 0.3
"""How often etcd is asked while something is awaited that Kubernetes does not tell: an election, a learner's lag."""

POLL_NEXT_S: Final = 0.02
"""When the next step follows from this one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What one pass concludes.

    Attributes:
        actions: in this order.
        waiting: what is awaited, for the status' plan.
        cluster_id: the identity to latch, "" while there is none.
        seats: the members to write into the status.
        highest: the highest ordinal given so far, this pass included.
        rolling: the member whose Pod is about to be made anew, and the version it gets.
        outdated: members whose Pods are not as the spec has them.
        problems: what stands in the way, beside what is wrong with the spec.
    """

    actions: tuple[ClusterAction, ...] = ()
    waiting: tuple[str, ...] = ()
    cluster_id: str = ""
    seats: tuple[Seat, ...] = ()
    highest: int = -1
    rolling: str = ""
    outdated: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    poll_s: float = POLL_STEADY_S


@dataclass(kw_only=True, slots=True)
class _Step:
    """The one change of this pass, being looked for; ``waiting`` collects why it is none."""

    actions: list[ClusterAction] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    rolling: str = ""
    joins: str = ""


def identity(observed: Observed) -> set[str]:
    """The cluster ids that the status and the volumes hold: none before the founding, then one."""
    marked = {volume.cluster_id for volume in observed.volumes.values()}
    return {observed.cluster.status.cluster_id, *marked} - {""}


def decide(observed: Observed, intent: Intent) -> Decision:
    """The next step, or why there is none."""
    known = identity(observed)
    base = Decision(
        seats=seats_of(observed),
        highest=highest_ordinal(observed),
        cluster_id=observed.cluster.status.cluster_id or (next(iter(known)) if len(known) == 1 else ""),
    )
    if intent.blocked:
        return replace(base, waiting=("nothing is done until the spec is changed",))
    if observed.cluster.spec.paused:
        return replace(base, waiting=("paused",))
    if obstacle := _obstacle(observed, known):
        return replace(base, problems=(obstacle,), waiting=("nothing is done meanwhile",), poll_s=1.0)
    if not base.cluster_id:
        return _found(observed, intent, base)
    if intent.version is None:
        return replace(base, waiting=("no version is known to run",))
    if observed.membership is None or not observed.membership.confirmed:
        return _hold_together(observed, intent.version, base)
    return _tend(observed, intent, intent.version, base)


def _obstacle(observed: Observed, known: set[str]) -> Problem | None:
    if observed.foreign:
        told = ", ".join(observed.foreign)
        message = f"these have the names of this cluster's objects and belong to something else: {told}"
        return Problem("Blocked", "NameTaken", message)
    if len(known) > 1:
        message = f"the status and the volumes name several clusters: {', '.join(sorted(known))}"
        return Problem("ClusterIDMismatch", "SeveralIdentities", message)
    strangers = sorted(
        f"{name} ({probe.status.cluster_id:x})"
        for name, probe in observed.probes.items()
        if known and probe.status is not None and f"{probe.status.cluster_id:x}" not in known
    )
    if strangers:
        message = f"cluster {next(iter(known))} is latched, but these answer as another: {', '.join(strangers)}"
        return Problem("ClusterIDMismatch", "ForeignMember", message)
    return None


# -- the first member ------------------------------------------------------------------------------------------


def _found(observed: Observed, intent: Intent, base: Decision) -> Decision:
    """One member alone, until its identity is known.

    No client Service exists before that, so no data that was promised to anyone can be on a volume that is
    lost before that: then, and only then, another member may found the cluster instead.
    """
    if intent.size is None or intent.version is None:
        return replace(base, waiting=("nothing is made until the spec is changed",))
    if len(base.seats) > 1 or (not base.seats and observed.volumes):
        message = "there are volumes of this cluster, but neither they nor the status say which cluster founded them"
        return replace(base, problems=(Problem("Blocked", "IdentityUnknown", message),), poll_s=1.0)
    services = tuple(_services(observed, clients=False))
    seat = base.seats[0] if base.seats else None
    if seat is not None and seat.volume_lost and seat.pvc_uid:
        if seat.pod is not None:
            return replace(base, actions=(*services, *_clear(seat, "its volume is lost")), poll_s=POLL_WAITING_S)
        seat = None
    if seat is None:
        name = next_member(observed)
        seat = Seat(name=name, ordinal=render.ordinal_of(observed.cluster, name), healthy=False)
    base = replace(base, seats=(seat,), highest=max(base.highest, seat.ordinal or 0), poll_s=POLL_WAITING_S)
    probe = observed.probes.get(seat.name)
    if probe is not None and probe.status is not None:
        return replace(base, cluster_id=f"{probe.status.cluster_id:x}", actions=services, poll_s=POLL_NEXT_S)
    if seat.volume is None:
        return replace(base, actions=(*services, CreateVolume(seat.name, "")))
    if seat.volume.terminating:
        return replace(base, actions=services, waiting=(f"{seat.name}: its volume is being deleted",))
    if seat.pod is None:
        order = PodOrder(
            member=seat.name,
            version=seat.run_version(intent.version),
            initial_cluster=initial_cluster(observed, (seat,), seat.name),
            founds=True,
        )
        return replace(base, actions=(*services, CreatePod(order)))
    if seat.pod.finished:
        return replace(base, actions=(*services, *_clear(seat, "it has ended")))
    return replace(base, actions=services, waiting=(_awaited(observed, seat),))


# -- no majority answers ---------------------------------------------------------------------------------------


def _hold_together(observed: Observed, version: Version, base: Decision) -> Decision:
    """Puts Pods back on their volumes, all at once, and takes nothing away: unknown is not absent."""
    actions = [*_services(observed, clients=True)]
    waiting = []
    for seat in base.seats:
        steps = _put_back(observed, base, seat, version)
        actions += steps
        if not steps and not seat.healthy:
            waiting.append(_awaited(observed, seat))
    return replace(base, actions=tuple(actions), waiting=tuple(waiting), poll_s=POLL_WAITING_S)


# -- a majority answers ----------------------------------------------------------------------------------------


def _tend(observed: Observed, intent: Intent, version: Version, base: Decision) -> Decision:
    repairs: list[ClusterAction] = [*_services(observed, clients=True)]
    for seat in base.seats:
        repairs += _put_back(observed, base, seat, version)
        repairs += _marks(seat, base.cluster_id)
    left_over, going = _left_over(observed, base)
    step = _Step()
    for attempt in (_remove_lost, _join_others, _promote, _await_joining, _resize, _roll):
        attempt(step, observed, intent, version, base)
        if step.actions or step.waiting:
            break
    joins = render.ordinal_of(observed.cluster, step.joins)
    repairs += left_over
    settled = not (step.actions or step.waiting or repairs or going)
    unhealthy = [_awaited(observed, seat) for seat in base.seats if not seat.healthy]
    return replace(
        base,
        actions=(*repairs, *step.actions),
        waiting=tuple(dict.fromkeys([*step.waiting, *unhealthy, *going])),
        highest=base.highest if joins is None else max(base.highest, joins),
        rolling=step.rolling,
        outdated=_outdated(observed, version, base),
        poll_s=POLL_NEXT_S
        if step.actions and not observed.refused
        else POLL_STEADY_S
        if settled and not unhealthy
        else POLL_WAITING_S,
    )


def _remove_lost(step: _Step, observed: Observed, _: Intent, version: Version, base: Decision) -> None:
    lost = [seat for seat in base.seats if seat.volume_lost]
    for seat in sorted(lost, key=lambda seat: (seat.healthy, not seat.learner)):
        if seat.learner or majority_without(base.seats, seat):
            _leave(step, observed, base, seat, capabilities(version), "its volume is lost")
            return
    if lost and not _replaceable_first(base.seats, lost):
        names = ", ".join(seat.name for seat in lost)
        step.waiting.append(f"the volume of {names} is lost, but without it no majority of the others is healthy")


def _replaceable_first(seats: tuple[Seat, ...], lost: list[Seat]) -> bool:
    """Whether the only voter still lives on a volume that is going, so that another can join before it leaves."""
    voters = [seat for seat in seats if not seat.learner]
    return len(voters) == 1 and voters[0] in lost and voters[0].healthy


def _left_over(observed: Observed, base: Decision) -> tuple[list[ClusterAction], list[str]]:
    """Pods, then volumes, of members that etcd does not have; and what is on its way out already.

    The Pods were listed before the members were, and a member is added before its Pod is made: so a Pod whose
    member a majority does not know has none. A Pod that cannot go (its node is away) holds nobody up.
    """
    names = {seat.name for seat in base.seats}
    actions: list[ClusterAction] = []
    going = []
    for pod in observed.pods.values():
        if pod.name not in names and pod.terminating:
            going.append(f"Pod {pod.name} is being deleted")
        elif pod.name not in names:
            actions.append(DeletePod(pod.name, pod.uid, why="it is no member any more"))
    actions += [
        DeleteVolume(volume.name, volume.uid, why="it is no member any more")
        for volume in observed.volumes.values()
        if volume.name not in names and volume.name not in observed.pods and not volume.terminating
    ]
    return actions, going


def _join_others(step: _Step, observed: Observed, intent: Intent, version: Version, base: Decision) -> None:
    """While members that have started wait for their vote, the next may come: no majority depends on them.

    Once one of them has its vote, etcd takes no other member until all voters have been connected for five
    seconds. Two that start at once would wait for each other: a starting member asks every other for its version.
    """
    learners = [seat for seat in base.seats if seat.learner]
    versions = [version, *(seat.run_version(version) for seat in base.seats)]
    versions += [Version.parse(seat.runs) for seat in base.seats if seat.runs]
    if not learners or not all(capabilities(each).many_learners for each in versions):
        return
    if intent.size is not None and len(base.seats) < intent.size and all(seat.healthy for seat in base.seats):
        _join(step, observed, version, f"{len(base.seats)} of {intent.size} members")


def _join(step: _Step, observed: Observed, version: Version, why: str) -> None:
    step.joins = next_member(observed)
    url = render.peer_url(observed.cluster, step.joins)
    step.actions.append(AddMember(step.joins, url, capabilities(version).learners, why=why))


def _await_joining(step: _Step, observed: Observed, _: Intent, __: Version, base: Decision) -> None:
    for seat in base.seats:
        if not seat.started:
            step.waiting.append(_awaited(observed, seat))


def _promote(step: _Step, observed: Observed, _: Intent, __: Version, base: Decision) -> None:
    """The vote comes when etcd says that the learner is in sync.

    A member that joined by a snapshot is in sync long before it answers clients: what it told the cluster of
    itself was in the snapshot, so it waits out etcd's request timeout (7 s) for an answer. It need not be waited
    for where the others are a majority even if it never answers.
    """
    voters = [seat for seat in base.seats if not seat.learner]
    learners = [seat for seat in base.seats if seat.learner]
    spare = sum(seat.healthy for seat in voters) >= quorum(len(voters) + 1)
    for seat in learners:
        runs = seat.started and seat.pod is not None and bool(seat.pod.ip) and not seat.pod.terminating
        if seat.healthy or (spare and runs and not seat.volume_lost):
            step.actions.append(PromoteMember(seat.name, seat.id))
            return
    step.waiting += [_awaited(observed, seat) for seat in learners]


def _resize(step: _Step, observed: Observed, intent: Intent, version: Version, base: Decision) -> None:
    have, lost = len(base.seats), [seat for seat in base.seats if seat.volume_lost]
    want = intent.size if intent.size is not None else have
    if lost and _replaceable_first(base.seats, lost):
        want = max(want, 2)
    if have < want:
        if unhealthy := [seat.name for seat in base.seats if not seat.healthy]:
            step.waiting.append(f"{', '.join(unhealthy)} must be healthy before a member joins")
            return
        _join(step, observed, version, f"{have} of {want} members")
    elif have > want:
        _shrink(step, observed, version, base, want)


def _shrink(step: _Step, observed: Observed, version: Version, base: Decision, want: int) -> None:
    """Out goes an unhealthy member, else the newest that does not lead."""
    leader = observed.leader
    ranked = sorted(
        (seat for seat in base.seats if seat.ordinal is not None),
        key=lambda seat: (seat.healthy, seat.name == leader, -(seat.ordinal or 0)),
    )
    for seat in ranked:
        if majority_without(base.seats, seat):
            why = f"{len(base.seats)} members, {want} wanted"
            _leave(step, observed, base, seat, capabilities(version), why)
            return
    step.waiting.append("no member can leave without costing the majority")


def _roll(step: _Step, observed: Observed, _: Intent, version: Version, base: Decision) -> None:
    """One Pod at a time, unhealthy ones first, the leader last and only after it has handed over."""
    outdated = _outdated(observed, version, base)
    leader = observed.leader
    ranked = sorted(
        (seat for seat in base.seats if seat.name in outdated),
        key=lambda seat: (seat.healthy, seat.name == leader, seat.ordinal or 0),
    )
    if not ranked:
        return
    seat = ranked[0]
    others = [other for other in base.seats if other.name != seat.name]
    if sick := [other.name for other in others if not (other.healthy and other.pod and other.pod.ready)]:
        step.waiting.append(f"{', '.join(sick)} must be healthy before {seat.name} is made anew")
        return
    why = f"to run etcd {version}" if seat.pod and seat.pod.version != str(version) else "its template has changed"
    # A target that has its new Pod already, so that leadership moves once and not again for the target's own turn.
    done = [other for other in others if other.name not in outdated]
    if seat.name == leader and others and capabilities(version).move_leader:
        target = (done or others)[0]
        step.actions.append(MoveLeader(leader, target.name, target.id, why=f"{leader} is to be made anew"))
        return
    if seat.pod is not None and not seat.pod.terminating:
        step.rolling = seat.name
        step.actions.append(DeletePod(seat.name, seat.pod.uid, why=why))


def _leave(step: _Step, observed: Observed, base: Decision, seat: Seat, can: Capabilities, why: str) -> None:
    """Out of etcd; the Pod and the volume follow once etcd's list is without it."""
    if seat.name == observed.leader and can.move_leader:
        heirs = [s for s in base.seats if s.name != seat.name and s.healthy and not s.learner and not s.volume_lost]
        if heirs:
            step.actions.append(MoveLeader(seat.name, heirs[0].name, heirs[0].id, why=f"{seat.name} is to leave"))
            return
    step.actions.append(RemoveMember(seat.name, seat.id, why=why))


# -- parts -----------------------------------------------------------------------------------------------------


def _services(observed: Observed, *, clients: bool) -> list[ClusterAction]:
    wanted = [render.headless_service(observed.cluster)]
    if clients:
        wanted.append(render.client_service(observed.cluster))
    actions: list[ClusterAction] = []
    for service in wanted:
        name = service["metadata"]["name"]
        found = observed.services.get(name)
        if found is None:
            actions.append(CreateService(name))
        elif not found.deleting and (paths := render.service_differs(service, found.body)):
            actions.append(RepairService(name, paths))
    return actions


def _put_back(observed: Observed, base: Decision, seat: Seat, version: Version) -> list[ClusterAction]:
    """What is missing of a member whose volume is not lost: its Pod; before its first start, its volume."""
    if seat.ordinal is None or seat.volume_lost:
        return []
    if seat.pod is not None:
        return _clear(seat, "it has ended") if seat.pod.finished else []
    if seat.volume is None:
        return [CreateVolume(seat.name, base.cluster_id)]
    if seat.volume.terminating:
        return []
    order = PodOrder(
        member=seat.name,
        version=seat.run_version(version),
        initial_cluster=initial_cluster(observed, base.seats, seat.name),
        learner=seat.learner,
    )
    return [CreatePod(order, why="on its own volume" if seat.started else "")]


def _marks(seat: Seat, cluster_id: str) -> list[ClusterAction]:
    actions: list[ClusterAction] = []
    if seat.volume is not None and not seat.volume_lost and seat.volume.cluster_id != cluster_id:
        actions.append(MarkVolume(seat.name, cluster_id))
    role = "learner" if seat.learner else "voter"
    if seat.pod is not None and not seat.pod.terminating and seat.ordinal is not None and seat.pod.role != role:
        actions.append(SetRole(seat.name, role))
    return actions


def _clear(seat: Seat, why: str) -> list[ClusterAction]:
    if seat.pod is None or seat.pod.terminating:
        return []
    return [DeletePod(seat.name, seat.pod.uid, why=why)]


def _outdated(observed: Observed, version: Version, base: Decision) -> tuple[str, ...]:
    wanted = render.template_hash(observed.cluster, version)
    return tuple(seat.name for seat in base.seats if seat.pod is not None and seat.pod.template != wanted)


def _awaited(observed: Observed, seat: Seat) -> str:
    """In words that stay the same while the wait does, for they are written into the status."""
    if seat.volume_lost:
        return f"{seat.name}: its volume is lost"
    if seat.pod is None:
        return f"{seat.name}: has no Pod"
    if seat.pod.terminating:
        return f"{seat.name}: its Pod is being deleted"
    if seat.pod.problem:
        return f"{seat.name}: its Pod does not run: {seat.pod.problem}"
    if not seat.pod.ip:
        return f"{seat.name}: its Pod has no address yet"
    probe = observed.probes.get(seat.name)
    return f"{seat.name}: {probe.problem if probe and probe.problem else 'etcd does not answer yet'}"
