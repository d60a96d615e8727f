"""The status that a decision leads to, and the Events that tell of what has changed since the last one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from controllerkit.controller import EventNote
from controllerkit.objects import find_condition, rfc3339, set_condition
from operators.etcd import render
from operators.etcd.api import EtcdCluster, MemberStatus
from operators.etcd.cluster.decide import Decision
from operators.etcd.cluster.intent import Intent, Problem
from operators.etcd.cluster.model import Observed, quorum
from operators.etcd.cluster.seats import Seat
from operators.etcd.versions import Version

__all__ = ["events_of", "status_of"]

STATISTICS_AGE_S: Final = 15.0
"""How old sizes and raft indexes in the status may grow: they change with every write to etcd, and a status that
is written for each would be a load of its own, and wake the operator that wrote it."""

_PROBLEM_CONDITIONS: Final = (
    "SpecInvalid",
    "TLSNotSupported",
    "ReadReplicasNotSupported",
    "Blocked",
    "ClusterIDMismatch",
)


@dataclass(frozen=True, slots=True)
class _Truth:
    """One condition: True, False or (None) unknown."""

    kind: str
    value: bool | None
    reason: str
    message: str
    always: bool = False
    """Shown from the start; the others only once they have been true."""


def status_of(observed: Observed, intent: Intent, decision: Decision, now: datetime) -> dict[str, Any]:
    """The whole ``status``. It says what is about to be done, for it is written before that is done."""
    cluster = observed.cluster
    statistics_fresh = not _recent(cluster.status.statistics_time, now)
    entries = [_member_entry(observed, decision, intent, seat, fresh=statistics_fresh) for seat in decision.seats]
    versions = {entry["version"] for entry in entries}
    current = versions.pop() if len(versions) == 1 and "" not in versions else cluster.status.current_version
    plan = [str(action) for action in decision.actions]
    if observed.refused:
        plan.append(f"asked again, since etcd said: {observed.refused.message}")
    target = (
        str(intent.version) if intent.version and current and decision.outdated and _changes(intent, current) else ""
    )
    healthy = [seat.name for seat in decision.seats if seat.healthy]
    status: dict[str, Any] = {
        "phase": _phase(cluster, intent, decision),
        "controlPaused": cluster.spec.paused,
        "observedGeneration": cluster.metadata.generation,
        "size": sum(seat.started or bool(seat.id) for seat in decision.seats),
        "highestOrdinal": decision.highest,
        "readyMembers": len(healthy),
        "members": {
            "ready": healthy,
            "unready": [seat.name for seat in decision.seats if not seat.healthy],
        },
        "memberStatuses": entries,
        "clusterID": decision.cluster_id,
        "leader": observed.leader,
        "currentVersion": current,
        "targetVersion": target,
        "serviceName": render.client_service_name(cluster),
        "clientPort": render.CLIENT_PORT,
        "selector": render.selector(cluster),
        "plan": [*plan, *decision.waiting],
        "statisticsTime": rfc3339(now) if statistics_fresh else cluster.status.statistics_time,
    }
    accepted = intent.size if intent.size is not None else cluster.status.accepted_size
    if accepted is not None and not intent.blocked:
        status["acceptedSize"] = accepted
    truths = _truths(observed, intent, decision, current=current, target=target)
    status["conditions"] = _conditions(cluster, truths, now)
    status["reason"] = "; ".join(problem.message for problem in (*intent.problems, *decision.problems))
    return {name: value for name, value in status.items() if value not in ("", None)}


def _changes(intent: Intent, current: str) -> bool:
    return intent.chosen is not None and str(intent.version) != current


def _phase(cluster: EtcdCluster, intent: Intent, decision: Decision) -> str:
    if decision.cluster_id:
        return "Running"
    refused = intent.blocked or intent.size is None or intent.version is None
    if refused:
        return "Failed"
    return cluster.status.phase if cluster.spec.paused else "Creating"


def _recent(text: str, now: datetime) -> bool:
    return bool(text) and now - datetime.fromisoformat(text) < timedelta(seconds=STATISTICS_AGE_S)


def _member_entry(observed: Observed, decision: Decision, intent: Intent, seat: Seat, *, fresh: bool) -> dict[str, Any]:
    before = seat.latched or MemberStatus(name=seat.name)
    probe = observed.probes.get(seat.name)
    status = probe.status if probe is not None else None
    run = before.run_version or (seat.pod.version if seat.pod else "") or str(intent.version or "")
    entry: dict[str, Any] = {
        "name": seat.name,
        "id": f"{seat.id:x}" if seat.id else "",
        "ordinal": seat.ordinal if seat.ordinal is not None else -1,
        "role": _role(observed, seat),
        "healthy": seat.healthy,
        "version": seat.runs,
        "runVersion": str(intent.version) if seat.name == decision.rolling and intent.version else run,
        "pvcUID": seat.pvc_uid,
    }
    # A new member's first figures are shown at once; later ones wait for their turn.
    if status is not None and (fresh or not before.raft_index):
        entry |= {"dbSize": status.db_size, "raftIndex": status.raft_applied_index or status.raft_index}
    else:
        entry |= {"dbSize": before.db_size, "raftIndex": before.raft_index}
    return entry


def _role(observed: Observed, seat: Seat) -> str:
    if seat.member is None:
        return seat.latched.role if seat.latched is not None and seat.latched.role else "joining"
    if not seat.member.started:
        return "joining"
    if seat.member.learner:
        return "learner"
    return "leader" if seat.name == observed.leader else "follower"


# -- conditions ------------------------------------------------------------------------------------------------


def _truths(observed: Observed, intent: Intent, decision: Decision, *, current: str, target: str) -> Iterable[_Truth]:
    yield from _health_truths(observed, decision)
    yield from _progress_truths(observed, intent, decision, current=current, target=target)
    chosen = intent.chosen
    if chosen is not None and chosen.mapped:
        message = f"version {chosen.requested} was asked for, {chosen.run} runs (--map-version {chosen.rule})"
        yield _Truth("VersionMapped", True, "Mapped", message)
    elif chosen is not None:
        yield _Truth("VersionMapped", False, "AsRequested", f"version {chosen.run} runs as asked for")
    problems = [*intent.problems, *decision.problems]
    for kind in _PROBLEM_CONDITIONS:
        yield _problem_truth(kind, [problem for problem in problems if problem.condition == kind])


def _problem_truth(kind: str, problems: Sequence[Problem]) -> _Truth:
    if not problems:
        return _Truth(kind, False, "Resolved", "")
    return _Truth(kind, True, problems[0].reason, "; ".join(problem.message for problem in problems))


def _health_truths(observed: Observed, decision: Decision) -> Iterable[_Truth]:
    if not decision.cluster_id:
        yield _Truth("Available", False, "NotFounded", "the cluster has no first member yet", always=True)
        return
    yield from _quorum_truths(observed, decision)
    lost = [seat.name for seat in decision.seats if seat.volume_lost]
    # One that never answered is on its way; one that did is missed.
    unhealthy = [seat.name for seat in decision.seats if not seat.healthy and seat.runs]
    strangers = [seat.name for seat in decision.seats if seat.ordinal is None]
    if unhealthy or lost:
        message = "; ".join(decision.waiting) or f"{', '.join(lost)}: its volume is lost"
        yield _Truth("Degraded", True, "VolumeLost" if lost else "MembersUnhealthy", message)
    elif strangers:
        message = f"members that this operator did not add and does not touch: {', '.join(strangers)}"
        yield _Truth("Degraded", True, "UnknownMembers", message)
    else:
        yield _Truth("Degraded", False, "Healthy", "every member answers")
    recovering = bool(unhealthy or lost) and not observed.cluster.spec.paused
    yield _Truth("Recovering", recovering, "Healing" if recovering else "Healthy", ", ".join(unhealthy or lost))


def _quorum_truths(observed: Observed, decision: Decision) -> Iterable[_Truth]:
    """Tells members that are down from members that are up and elect a leader, which takes a second or two."""
    voters = [seat for seat in decision.seats if not seat.learner]
    needed, healthy = quorum(len(voters)), [seat for seat in voters if seat.healthy]
    lost = [seat for seat in voters if seat.volume_lost and not seat.healthy]
    answering = [seat for seat in voters if (probe := observed.probes.get(seat.name)) and probe.status is not None]
    told = f"{len(healthy)} of {len(voters)} voters are healthy, {needed} are needed"
    if voters and len(healthy) >= needed:
        yield _Truth("Available", True, "Quorum", told, always=True)
        yield _Truth("QuorumLost", False, "Quorum", told)
    elif len(voters) - len(lost) < needed:
        names = ", ".join(seat.name for seat in lost)
        message = f"{told}; the volumes of {names} are lost, so it will not come back by itself"
        yield _Truth("Available", False, "NoQuorum", told, always=True)
        yield _Truth("QuorumLost", True, "VolumesLost", message)
    elif voters and len(answering) >= needed:
        message = f"{len(answering)} of {len(voters)} voters answer and have no leader yet"
        yield _Truth("Available", False, "NoLeader", message, always=True)
        yield _Truth("QuorumLost", False, "NoLeader", message)
    else:
        yield _Truth("Available", False, "NoQuorum", told, always=True)
        yield _Truth("QuorumLost", True, "MembersDown", told)


def _progress_truths(
    observed: Observed, intent: Intent, decision: Decision, *, current: str, target: str
) -> Iterable[_Truth]:
    if not decision.cluster_id:
        return
    have, want = len(decision.seats), intent.size
    joining = any(seat.learner or not seat.started for seat in decision.seats)
    if want is not None and (have != want or joining):
        reason = "ScalingDown" if have > want else "ScalingUp"
        yield _Truth("Scaling", True, reason, f"Current cluster size: {have}, desired cluster size: {want}")
    else:
        note = "".join(f"; {note}" for note in intent.notes)
        yield _Truth("Scaling", False, "AtSize", f"Current cluster size: {have}{note}", always=bool(note))
    if target:
        message = f"upgrading from {current} to {target}; to do: {', '.join(decision.outdated)}"
        yield _Truth("Upgrading", True, "Upgrading", message)
    elif decision.outdated:
        yield _Truth("Upgrading", True, "TemplateChanged", f"Pods to make anew: {', '.join(decision.outdated)}")
    else:
        yield _Truth("Upgrading", False, "UpToDate", "")


def _conditions(cluster: EtcdCluster, truths: Iterable[_Truth], now: datetime) -> list[dict[str, Any]]:
    before = [dict(condition) for condition in cluster.status.conditions]
    after: list[dict[str, Any]] = before
    for truth in truths:
        shown = find_condition(before, truth.kind)
        if shown is None and not truth.always and truth.value is False:
            continue
        after = set_condition(
            after,
            truth.kind,
            truth.value,
            truth.reason,
            truth.message,
            now=now,
            observed_generation=cluster.metadata.generation,
        )
        fresh = next(condition for condition in after if condition["type"] == truth.kind)
        told = ("status", "reason", "message")
        same = shown is not None and all(shown.get(name) == fresh.get(name) for name in told)
        # Beside the API's conventions, this API's old clients read when a condition was last written.
        fresh["lastUpdateTime"] = (
            shown["lastUpdateTime"] if same and shown and "lastUpdateTime" in shown else rfc3339(now)
        )
    return after


# -- events ----------------------------------------------------------------------------------------------------

_WARNED: Final = (*_PROBLEM_CONDITIONS, "QuorumLost")


def events_of(cluster: EtcdCluster, status: Mapping[str, Any]) -> tuple[EventNote, ...]:
    """What the step from the old status to this one means for people.

    Made of the difference alone, so that a pass that is done twice tells the same thing once.
    """
    notes = [*_member_events(cluster, status), *_condition_events(cluster, status)]
    before = cluster.status
    if status.get("clusterID") and not before.cluster_id:
        founder = next(iter(status["memberStatuses"]), {"name": "?"})["name"]
        notes.append(EventNote("Normal", "ClusterFounded", f"{founder} founded cluster {status['clusterID']}"))
    current, was = status.get("currentVersion", ""), before.current_version
    if current and was and Version.parse(current) != Version.parse(was):
        notes.append(EventNote("Normal", "ClusterUpgraded", f"every member runs etcd {current}, before {was}"))
    return tuple(notes)


def _member_events(cluster: EtcdCluster, status: Mapping[str, Any]) -> Iterable[EventNote]:
    before = {entry.name: entry for entry in cluster.status.member_statuses}
    after = {entry["name"]: entry for entry in status["memberStatuses"]}
    for name, entry in after.items():
        was = before.get(name)
        if entry["role"] in ("follower", "leader") and (was is None or was.role in ("joining", "learner")):
            yield EventNote("Normal", "NewMemberAdded", f"{name} is a voting member")
        if was is not None and was.run_version and entry["runVersion"] != was.run_version:
            note = f"{name} is made anew with etcd {entry['runVersion']}, before {was.run_version}"
            yield EventNote("Normal", "MemberUpgraded", note)
    for name in before.keys() - after.keys():
        yield EventNote("Normal", "MemberRemoved", f"{name} is no member any more")


def _condition_events(cluster: EtcdCluster, status: Mapping[str, Any]) -> Iterable[EventNote]:
    for condition in status["conditions"]:
        kind, was = condition["type"], find_condition(cluster.status.conditions, condition["type"])
        known = was is not None and was.get("status") == condition["status"]
        if kind in _WARNED and condition["status"] == "True":
            if not known or (was and was.get("message") != condition["message"] and kind != "QuorumLost"):
                yield EventNote("Warning", condition["reason"], condition["message"])
        elif kind == "QuorumLost" and was is not None and not known:
            yield EventNote("Normal", "QuorumRegained", condition["message"])
        elif kind == "Degraded" and condition["status"] == "True" and not known:
            reason = "ReplacingDeadMember" if condition["reason"] == "VolumeLost" else condition["reason"]
            yield EventNote("Warning", reason, condition["message"])
