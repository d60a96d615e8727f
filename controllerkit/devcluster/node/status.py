"""From a Pod's state to its ``status``, as the kubelet would write it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from controllerkit.devcluster.node import state as s
from controllerkit.devcluster.node.machine import is_initialized, verdict
from controllerkit.objects import find_condition, rfc3339, set_condition

__all__ = ["OWN_CONDITIONS", "phase", "pod_status"]

_Conditions = Sequence[Mapping[str, Any]]
OWN_CONDITIONS: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def pod_status(state: s.PodState, *, conditions: _Conditions, pod_ip: str, host_ip: str, now: s.Now) -> dict[str, Any]:
    """The whole status.

    ``conditions`` are those the API has now: transition times are taken over from them, and conditions of others
    (readiness gates) are kept as they are.
    """
    status: dict[str, Any] = {
        "phase": phase(state),
        "conditions": _conditions(state, conditions, pod_ip, now),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "containerStatuses": [_container_status(state, c) for c in state.mains],
    }
    if state.started_at is not None:
        status["startTime"] = rfc3339(state.started_at)
    if pod_ip:
        status |= {"podIP": pod_ip, "podIPs": [{"ip": pod_ip}]}
    if inits := [_container_status(state, c) for c in state.inits]:
        status["initContainerStatuses"] = inits
    return status


def phase(state: s.PodState) -> str:
    """Pending, Running, Succeeded or Failed (kubelet ``getPhase``)."""
    if final := verdict(state):
        return final
    mains = list(state.mains)
    if state.finalized and any(c.runs for c in mains):
        return "Succeeded" if all(c.last and c.last.exit_code == 0 for c in mains) else "Failed"
    if not is_initialized(state) and not any(c.last for c in mains):
        return "Pending"
    never_ran = [c for c in mains if c.last is None and not isinstance(c.state, s.Running)]
    return "Pending" if never_ran else "Running"


def _container_status(state: s.PodState, container: s.Container) -> dict[str, Any]:
    now = container.state
    is_running = isinstance(now, s.Running)
    value: dict[str, Any] = {
        "name": container.spec.name,
        "image": container.spec.image,
        "imageID": container.image_id,
        "restartCount": max(container.runs - 1, 0),
        "started": isinstance(now, s.Running) and now.is_started,
        "ready": _is_ready(container),
        "state": _current(state, container),
        "lastState": {},
    }
    before = container.last
    if isinstance(now, s.Ended) or (isinstance(now, s.Starting) and container.last):
        before = container.previous
    if before is not None:
        value["lastState"] = {"terminated": _terminated(before)}
    if isinstance(now, s.Running):
        value["containerID"] = now.container_id
    elif container.last is not None and container.last.container_id:
        value["containerID"] = container.last.container_id
    if container.spec.init and not container.spec.sidecar and not is_running:
        value["started"] = False
    return value


def _is_ready(container: s.Container) -> bool:
    if container.spec.init and not container.spec.sidecar:
        return container.has_succeeded
    return isinstance(container.state, s.Running) and container.state.is_ready


def _current(state: s.PodState, container: s.Container) -> dict[str, Any]:
    now = container.state
    if isinstance(now, s.Running):
        return {"running": {"startedAt": rfc3339(now.started.wall)}}
    shows_end = isinstance(now, s.Ended | s.Starting) or (isinstance(now, s.Waiting) and not now.reason)
    if container.last is not None and shows_end:
        return {"terminated": _terminated(container.last)}
    if isinstance(now, s.Waiting) and now.reason:
        return {"waiting": {"reason": now.reason, "message": now.message}}
    held_up = not container.spec.init and any(True for _ in state.inits) and not is_initialized(state)
    return {"waiting": {"reason": "PodInitializing" if held_up else "ContainerCreating"}}


def _terminated(outcome: s.Outcome) -> dict[str, Any]:
    value: dict[str, Any] = {
        "exitCode": outcome.exit_code,
        "reason": outcome.reason,
        "startedAt": rfc3339(outcome.started_at or outcome.finished_at),
        "finishedAt": rfc3339(outcome.finished_at),
    }
    if outcome.signal:
        value["signal"] = outcome.signal
    if outcome.message:
        value["message"] = outcome.message
    if outcome.container_id:
        value["containerID"] = outcome.container_id
    return value


def _conditions(state: s.PodState, given: _Conditions, pod_ip: str, now: s.Now) -> list[dict[str, Any]]:
    final = verdict(state)
    verdicts = {
        "PodReadyToStartContainers": (bool(pod_ip) and state.preparation.done and final is None, "", ""),
        "Initialized": _initialized(state, final),
        "ContainersReady": (containers_ready := _containers_ready(state, final)),
        "Ready": _ready(state, containers_ready, given),
        "PodScheduled": (True, "", ""),
    }
    conditions: list[dict[str, Any]] = [dict(condition) for condition in given]
    for kind in OWN_CONDITIONS:
        ok, reason, message = verdicts[kind]
        conditions = set_condition(conditions, kind, ok, reason, message, now=now.wall)
    return [
        {k: v for k, v in condition.items() if v or k not in ("reason", "message", "lastProbeTime")}
        for condition in conditions
    ]


def _initialized(state: s.PodState, final: str | None) -> tuple[bool, str, str]:
    if final == "Succeeded":
        return True, "PodCompleted", ""
    if is_initialized(state):
        return True, "", ""
    return False, "ContainersNotInitialized", f"containers with incomplete status: {_names(state.inits)}"


def _containers_ready(state: s.PodState, final: str | None) -> tuple[bool, str, str]:
    if final == "Succeeded":
        return False, "PodCompleted", ""
    if final == "Failed":
        return False, "PodFailed", ""
    unready = [c for c in state.containers if (c.spec.sidecar or not c.spec.init) and not _is_ready(c)]
    if not unready:
        return True, "", ""
    return False, "ContainersNotReady", f"containers with unready status: [{' '.join(c.spec.name for c in unready)}]"


def _ready(state: s.PodState, containers_ready: tuple[bool, str, str], given: _Conditions) -> tuple[bool, str, str]:
    if not containers_ready[0]:
        return containers_ready
    for gate in state.spec.readiness_gates:
        condition = find_condition(given, gate)
        if condition is None or condition.get("status") != "True":
            return False, "ReadinessGatesNotReady", f'the condition of the readiness gate "{gate}" is not True'
    return True, "", ""


def _names(containers: Iterable[s.Container]) -> str:
    return f"[{' '.join(c.spec.name for c in containers if not c.has_succeeded)}]"
