"""A Pod's life as a pure machine: ``step(state, event, now) -> (state, effects)``.

It does no I/O and reads no clock, so every rule below is held by a table in the tests. The numbers and their order
are the kubelet's (``pkg/kubelet``); where this machine differs on purpose, the docstring says so.

Guarantees:
    At most one process per container. Every `Start` is answered before the next one of that container, and every
    `Finalize` comes once, after the last process ended. An answer that belongs to an older run is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, assert_never

from controllerkit.devcluster.node import state as s
from controllerkit.devcluster.node.podspec import PodSpec, ProbeKind, ProbeSpec, RestartPolicy

__all__ = ["initial", "is_initialized", "step", "verdict", "wake_at"]

BACKOFF_INITIAL_S: Final = 10.0
BACKOFF_MAX_S: Final = 300.0
BACKOFF_RESET_S: Final = 600.0
"""kubelet ``MaxCrashLoopBackOff`` and ``backOffPeriod``; the entry expires after twice the maximum."""

PULL_SHOWN_S: Final = 1.0
"""How long ErrImagePull stays before it is called ImagePullBackOff."""

CONFIG_RETRY_S: Final = 5.0
"""A missing Secret or ConfigMap is noticed by its own event; this is for what no event tells of."""

PREPARE_RETRY_S: Final = 2.0

EAGER_INITIAL_S: Final = 0.1
"""Startup and readiness probes that never passed are also tried 0.1, 0.2, 0.4 … s apart, up to their period.

A success is then seen early; a failure between two periods counts for nothing, so the thresholds mean what they
mean to the kubelet. (The kubelet tries once a period from the start.)
"""

LOST_EXIT_CODE: Final = 137
LOST_REASON: Final = "ContainerStatusUnknown"
LOST_MESSAGE: Final = "The container was running when the node stopped, and its process ended with the node."

_Step = tuple[s.PodState, list[s.Effect]]


def initial(spec: PodSpec, status: Mapping[str, Any]) -> s.PodState:
    """The state to begin with, from the status an earlier run of the node left behind ({} for a new Pod).

    Processes do not outlive their node, so a container that was running counts as ended by SIGKILL. A Pod whose
    phase is final stays as it is.
    """
    known = {
        entry["name"]: entry
        for field in ("initContainerStatuses", "containerStatuses")
        for entry in status.get(field) or ()
    }
    final = status.get("phase") in ("Succeeded", "Failed")
    records = []
    for container in spec.containers:
        record = s.Container(spec=container)
        if entry := known.get(container.name):
            record = _recovered(record, entry, spec.restart_policy, final=final)
        records.append(record)
    began = status.get("startTime")
    return s.PodState(spec=spec, containers=tuple(records), started_at=datetime.fromisoformat(began) if began else None)


def _recovered(record: s.Container, entry: Mapping[str, Any], policy: RestartPolicy, *, final: bool) -> s.Container:
    current, before = entry.get("state") or {}, (entry.get("lastState") or {}).get("terminated")
    last = _outcome_of(before) if before else None
    previous = None
    if running := current.get("running"):
        started_at = datetime.fromisoformat(running["startedAt"])
        previous, last = (
            last,
            s.Outcome(
                exit_code=LOST_EXIT_CODE,
                reason=LOST_REASON,
                message=LOST_MESSAGE,
                started_at=started_at,
                finished_at=started_at,
                container_id=entry.get("containerID", ""),
            ),
        )
    elif ended := current.get("terminated"):
        previous, last = last, _outcome_of(ended)
    runs = entry.get("restartCount", 0) + 1 if last or entry.get("containerID") else 0
    record = replace(record, last=last, previous=previous, runs=runs, image_id=entry.get("imageID", ""))
    over = last is not None and not record.spec.init and not _restarts(record, policy, last.exit_code)
    return replace(record, state=s.Ended()) if over or (final and last) else record


def _outcome_of(value: Mapping[str, Any]) -> s.Outcome:
    started_at, finished_at = value.get("startedAt"), value.get("finishedAt")
    return s.Outcome(
        exit_code=value["exitCode"],
        signal=value.get("signal", 0),
        reason=value.get("reason", ""),
        message=value.get("message", ""),
        started_at=datetime.fromisoformat(started_at) if started_at else None,
        finished_at=datetime.fromisoformat(finished_at or started_at or "1970-01-01T00:00:00Z"),
        container_id=value.get("containerID", ""),
    )


def step(state: s.PodState, event: s.Event, now: s.Now) -> _Step:
    """Takes the event in, then does everything that is due."""
    if state.started_at is None:
        state = replace(state, started_at=now.wall)
    effects: list[s.Effect] = []
    state = _take(state, event, now, effects)
    state = _settle(state, now, effects)
    return state, effects


# -- taking an event in -------------------------------------------------------------------------------------------


def _take(state: s.PodState, event: s.Event, now: s.Now, effects: list[s.Effect]) -> s.PodState:
    match event:
        case s.Tick():
            return state
        case s.Poked():
            return _poked(state, now)
        case s.Deleting(grace_s):
            deadline = now.monotonic + grace_s
            if state.closing is not None:
                deadline = min(deadline, state.closing.deadline)
            return replace(state, closing=s.Closing(deadline=deadline, delete=True))
        case s.Vanished():
            return replace(state, closing=s.Closing(deadline=now.monotonic, delete=False))
        case s.Prepared():
            return replace(state, preparation=s.Preparation(done=True))
        case s.PrepareFailed(message):
            if message != state.preparation.message:
                effects.append(s.Report("Warning", "FailedMount", message))
            retry_at = now.monotonic + PREPARE_RETRY_S
            return replace(state, preparation=s.Preparation(retry_at=retry_at, message=message))
        case s.Started() | s.StartFailed() | s.Exited() | s.Probed():
            return _take_of_container(state, event, now, effects)
        case _:
            assert_never(event)


def _take_of_container(
    state: s.PodState,
    event: s.Started | s.StartFailed | s.Exited | s.Probed,
    now: s.Now,
    effects: list[s.Effect],
) -> s.PodState:
    container = state.container(event.name)
    if not isinstance(container.state, s.Starting | s.Running) or container.state.attempt != event.attempt:
        return state  # an answer of a run that is over
    match event:
        case s.Started():
            effects.append(s.Report("Normal", "Started", f"Started container {event.name}", event.name))
            return state.with_container(_started(container, event, now))
        case s.StartFailed():
            effects.append(s.Report("Warning", "Failed", f"Error: {event.reason}: {event.message}", event.name))
            return state.with_container(_start_failed(container, event, now))
        case s.Exited():
            return state.with_container(_exited(state, container, event, now, effects))
        case s.Probed():
            return state.with_container(_probed(state, container, event, now, effects))
        case _:
            assert_never(event)


def _poked(state: s.PodState, now: s.Now) -> s.PodState:
    if not state.preparation.done and not state.preparation.in_flight:
        state = replace(state, preparation=replace(state.preparation, retry_at=now.monotonic))
    for container in state.containers:
        waiting = container.state
        if isinstance(waiting, s.Waiting) and waiting.reason == "CreateContainerConfigError":
            state = state.with_container(replace(container, state=replace(waiting, retry_at=now.monotonic)))
    return state


def _started(container: s.Container, event: s.Started, now: s.Now) -> s.Container:
    probes = tuple(_fresh_probe(spec, now.monotonic) for spec in container.spec.probes)
    running = s.Running(attempt=event.attempt, started=now, container_id=event.container_id, probes=probes)
    return replace(container, state=running, runs=event.attempt + 1, image_id=event.image_id, pull_backoff_s=0.0)


def _fresh_probe(spec: ProbeSpec, now: float) -> s.ProbeState:
    due_at = now + spec.initial_delay_s
    eager_s = 0.0 if spec.kind is ProbeKind.LIVENESS else EAGER_INITIAL_S
    return s.ProbeState(spec=spec, due_at=due_at, counted_at=due_at, eager_s=eager_s)


def _start_failed(container: s.Container, event: s.StartFailed, now: s.Now) -> s.Container:
    delay_s, pull_backoff_s = CONFIG_RETRY_S, container.pull_backoff_s
    if event.reason == "ErrImagePull":
        delay_s = pull_backoff_s = min(pull_backoff_s * 2 or BACKOFF_INITIAL_S, BACKOFF_MAX_S)
    waiting = s.Waiting(
        reason=event.reason, message=event.message, retry_at=now.monotonic + delay_s, since=now.monotonic
    )
    return replace(container, state=waiting, pull_backoff_s=pull_backoff_s)


def _exited(
    state: s.PodState, container: s.Container, event: s.Exited, now: s.Now, effects: list[s.Effect]
) -> s.Container:
    running = container.state
    outcome = s.Outcome(
        exit_code=event.exit_code,
        signal=event.signal,
        reason=event.reason or ("Error" if event.exit_code else "Completed"),
        message=event.message,
        started_at=running.started.wall if isinstance(running, s.Running) else now.wall,
        finished_at=now.wall,
        container_id=running.container_id if isinstance(running, s.Running) else "",
    )
    container = replace(container, previous=container.last, last=outcome, runs=event.attempt + 1)
    over = state.closing is not None or verdict(state) is not None
    if over or not _restarts(container, state.spec.restart_policy, event.exit_code):
        return replace(container, state=s.Ended())
    remembered = container.backoff_s and now.monotonic - container.backoff_at <= BACKOFF_RESET_S
    if not remembered:
        # The first crash is followed by a start at once; it is the second that waits.
        return replace(container, state=s.Waiting(retry_at=now.monotonic), backoff_s=0.0)
    message = (
        f"back-off {container.backoff_s:g}s restarting failed container={event.name} "
        f"pod={state.spec.key.name}_{state.spec.key.namespace}({state.spec.uid})"
    )
    effects.append(s.Report("Warning", "BackOff", message, container.spec.name))
    retry_at = now.monotonic + container.backoff_s
    return replace(container, state=s.Waiting(reason="CrashLoopBackOff", message=message, retry_at=retry_at))


def _restarts(container: s.Container, policy: RestartPolicy, exit_code: int) -> bool:
    if container.spec.sidecar:
        return True
    if container.spec.init:
        return exit_code != 0 and policy is not RestartPolicy.NEVER
    return policy is RestartPolicy.ALWAYS or (policy is RestartPolicy.ON_FAILURE and exit_code != 0)


def _probed(
    state: s.PodState, container: s.Container, event: s.Probed, now: s.Now, effects: list[s.Effect]
) -> s.Container:
    running = container.state
    if not isinstance(running, s.Running) or running.stop_at is not None:
        return container
    before = next((p for p in running.probes if p.spec.kind is event.kind), None)
    if before is None:
        return container
    counts = event.ok or now.monotonic >= before.counted_at
    after = _judged(before, event.ok, now.monotonic, counts=counts)
    running = replace(running, probes=tuple(after if p is before else p for p in running.probes))
    if not event.ok and counts:
        effects.append(
            s.Report("Warning", "Unhealthy", f"{event.kind.value} probe failed: {event.message}", event.name)
        )
    if after.passed is False and event.kind is not ProbeKind.READINESS:
        word = event.kind.value.lower()
        text = f"Container {event.name} failed {word} probe, will be restarted"
        effects.append(s.Report("Normal", "Killing", text, event.name))
        grace_s = state.spec.grace_s if after.spec.grace_s is None else after.spec.grace_s
        effects.append(s.Stop(event.name, running.attempt, grace_s))
        running = replace(running, stop_at=now.monotonic + grace_s)
    return replace(container, state=running)


def _judged(probe: s.ProbeState, ok: bool, now: float, *, counts: bool) -> s.ProbeState:
    period_s = probe.spec.period_s
    if ok:
        successes = probe.successes + 1
        passed = True if successes >= probe.spec.success_threshold else probe.passed
        return replace(
            probe,
            in_flight=False,
            successes=successes,
            failures=0,
            passed=passed,
            eager_s=0.0,
            due_at=now + period_s,
            counted_at=now + period_s,
        )
    failures = probe.failures + 1 if counts else probe.failures
    counted_at = now + period_s if counts else probe.counted_at
    due_at = min(now + probe.eager_s, counted_at) if probe.eager_s else counted_at
    return replace(
        probe,
        in_flight=False,
        successes=0,
        failures=failures,
        passed=False if failures >= probe.spec.failure_threshold else probe.passed,
        eager_s=min(probe.eager_s * 2, period_s),
        due_at=due_at,
        counted_at=counted_at,
    )


# -- doing what is due --------------------------------------------------------------------------------------------


def _settle(state: s.PodState, now: s.Now, effects: list[s.Effect]) -> s.PodState:
    if state.finalized:
        return state
    if state.closing is not None:
        return _close(state, state.closing, now, effects)
    if verdict(state) is not None:
        return _stop(state, state.inits, now.monotonic + state.spec.grace_s, now, effects)
    if not state.preparation.done:
        return _prepare(state, now, effects)
    for container in list(_startable(state)):
        state = state.with_container(_start(container, now, effects))
    for container in state.containers:
        state = state.with_container(_probe(container, now, effects))
    return state


def _close(state: s.PodState, closing: s.Closing, now: s.Now, effects: list[s.Effect]) -> s.PodState:
    state = _stop(state, state.mains, closing.deadline, now, effects)
    if not any(container.is_active for container in state.mains):
        # Sidecars serve the others, so they go last.
        state = _stop(state, state.inits, closing.deadline, now, effects)
    if not any(container.is_active for container in state.containers):
        effects.append(s.Finalize(closing.delete))
        state = replace(state, finalized=True)
    return state


def _stop(
    state: s.PodState, containers: Iterable[s.Container], deadline: float, now: s.Now, effects: list[s.Effect]
) -> s.PodState:
    for container in list(containers):
        running = container.state
        if not isinstance(running, s.Running) or (running.stop_at is not None and running.stop_at <= deadline):
            continue
        if running.stop_at is None:
            effects.append(
                s.Report("Normal", "Killing", f"Stopping container {container.spec.name}", container.spec.name)
            )
        grace_s = max(deadline - now.monotonic, 0.0)
        effects.append(s.Stop(container.spec.name, running.attempt, grace_s))
        state = state.with_container(replace(container, state=replace(running, stop_at=deadline)))
    return state


def _prepare(state: s.PodState, now: s.Now, effects: list[s.Effect]) -> s.PodState:
    preparation = state.preparation
    if preparation.in_flight or preparation.retry_at > now.monotonic:
        return state
    effects.append(s.Prepare())
    return replace(state, preparation=replace(preparation, in_flight=True))


def _startable(state: s.PodState) -> Iterable[s.Container]:
    """Whose turn it is: the init containers up to the first that is not done, or all if all are."""
    for container in state.inits:
        yield container
        if not _is_past(container):
            return
    yield from state.mains


def _is_past(container: s.Container) -> bool:
    """Whether the next init container may go: this one succeeded, or, a sidecar, has started."""
    if container.spec.sidecar:
        return isinstance(container.state, s.Running) and container.state.is_started
    return container.has_succeeded


def _start(container: s.Container, now: s.Now, effects: list[s.Effect]) -> s.Container:
    waiting = container.state
    if not isinstance(waiting, s.Waiting):
        return container
    if waiting.retry_at > now.monotonic:
        if waiting.reason == "ErrImagePull" and now.monotonic >= waiting.since + PULL_SHOWN_S:
            message = f'Back-off pulling image "{container.spec.image}": {waiting.message}'
            return replace(container, state=replace(waiting, reason="ImagePullBackOff", message=message))
        return container
    if container.last is not None and waiting.reason in ("", "CrashLoopBackOff"):
        backoff_s = min(container.backoff_s * 2 or BACKOFF_INITIAL_S, BACKOFF_MAX_S)
        container = replace(container, backoff_s=backoff_s, backoff_at=now.monotonic)
    effects.append(s.Start(container.spec.name, container.runs))
    return replace(container, state=s.Starting(container.runs))


def _probe(container: s.Container, now: s.Now, effects: list[s.Effect]) -> s.Container:
    running = container.state
    if not isinstance(running, s.Running):
        return container
    probes = []
    for probe in running.probes:
        due = _is_probed(running, probe) and not probe.in_flight and probe.due_at <= now.monotonic
        if due:
            effects.append(s.Probe(container.spec.name, running.attempt, probe.spec))
        probes.append(replace(probe, in_flight=True) if due else probe)
    return replace(container, state=replace(running, probes=tuple(probes)))


def _is_probed(running: s.Running, probe: s.ProbeState) -> bool:
    """Startup probes until they pass, the others after that; none once the container is being stopped."""
    if running.stop_at is not None:
        return False
    return running.is_started != (probe.spec.kind is ProbeKind.STARTUP)


# -- reading the state --------------------------------------------------------------------------------------------


def is_initialized(state: s.PodState) -> bool:
    """Whether the main containers may run: every init container is done, every sidecar has started."""
    begun = any(container.is_active for container in state.mains)
    return begun or all(_is_past(container) for container in state.inits)


def verdict(state: s.PodState) -> str | None:
    """The final phase, "Succeeded" or "Failed", once nothing more can come; None before."""
    failed_init = any(isinstance(c.state, s.Ended) and not c.has_succeeded and not c.spec.sidecar for c in state.inits)
    mains = list(state.mains)
    if failed_init:
        return "Failed"
    if not mains or not all(isinstance(c.state, s.Ended) for c in mains):
        return None
    return "Succeeded" if all(c.has_succeeded for c in mains) else "Failed"


def wake_at(state: s.PodState) -> float | None:
    """The monotonic time of the next `Tick` that can do anything; None if only an event can."""
    if state.finalized or state.closing is not None or verdict(state) is not None:
        return None
    preparation = state.preparation
    if not preparation.done:
        return None if preparation.in_flight else preparation.retry_at
    times: list[float] = []
    for container in _startable(state):
        if isinstance(container.state, s.Waiting):
            times.append(container.state.retry_at)
            if container.state.reason == "ErrImagePull":
                times.append(container.state.since + PULL_SHOWN_S)
    for container in state.containers:
        if isinstance(container.state, s.Running):
            running = container.state
            times += [p.due_at for p in running.probes if _is_probed(running, p) and not p.in_flight]
    return min(times, default=None)
