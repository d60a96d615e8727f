"""Pods for tables, and a driver that plays the node's part with made-up time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from controllerkit.devcluster.node import machine
from controllerkit.devcluster.node import state as s
from controllerkit.devcluster.node.podspec import PodSpec, ProbeKind
from controllerkit.devcluster.node.status import pod_status
from controllerkit.objects import Object

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def pod(name: str = "web-0", namespace: str = "default", **spec: Any) -> Object:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "uid": f"uid-{name}"}
    for word in ("labels", "annotations", "deletionTimestamp"):
        if word in spec:
            metadata[word] = spec.pop(word)
    status = spec.pop("status", {})
    spec.setdefault("containers", [{"name": "app", "image": "app:1"}])
    return Object.from_dict({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})


def word_of(effect: s.Effect) -> str:
    match effect:
        case s.Prepare():
            return "prepare"
        case s.Start(name, attempt):
            return f"start {name}#{attempt}"
        case s.Probe(name, _, spec):
            return f"probe {name} {spec.kind.value.lower()}"
        case s.Stop(name, _, grace_s):
            return f"stop {name} in {grace_s:g}"
        case s.Finalize(delete):
            return "delete" if delete else "forget"
        case s.Report():
            return f"event {effect.reason}"


@dataclass
class Life:
    """One Pod on a node whose clock is moved by hand; ``at`` is seconds since its first sight."""

    pod: Object
    at: float = 0.0
    reports: list[s.Report] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = machine.initial(PodSpec.of(self.pod), self.pod.status)
        self.conditions: list[dict[str, Any]] = []

    @property
    def now(self) -> s.Now:
        return s.Now(1000.0 + self.at, EPOCH + timedelta(seconds=self.at))

    def step(self, event: s.Event) -> list[str]:
        self.state, effects = machine.step(self.state, event, self.now)
        self.reports += [effect for effect in effects if isinstance(effect, s.Report)]
        return [word_of(effect) for effect in effects if not isinstance(effect, s.Report)]

    def until(self, at: float) -> list[tuple[float, str]]:
        """Lets time pass up to the next effect or ``at``, waking when the machine asks to be woken."""
        seen: list[tuple[float, str]] = []
        while (wake := machine.wake_at(self.state)) is not None and wake - 1000.0 <= at:
            self.at = max(self.at, wake - 1000.0)
            words = self.step(s.Tick())
            assert words or machine.wake_at(self.state) != wake, "woken for nothing"
            seen += [(round(self.at, 3), word) for word in words]
            if seen:
                return seen
        self.at = at
        return seen

    def prepared(self) -> list[str]:
        assert self.step(s.Tick()) == ["prepare"]
        return self.step(s.Prepared())

    def started(self, name: str = "app") -> list[str]:
        state = self.state.container(name).state
        assert isinstance(state, s.Starting), state
        return self.step(s.Started(name, state.attempt, f"sandbox://{name}-{state.attempt}", "app:1@sha256:0"))

    def run(self) -> None:
        """Up to the first container's running."""
        self.prepared()
        self.started()

    def exited(self, code: int, name: str = "app", signal: int = 0) -> list[str]:
        state = self.state.container(name).state
        assert isinstance(state, s.Running), state
        return self.step(s.Exited(name=name, attempt=state.attempt, exit_code=code, signal=signal))

    def probed(self, kind: ProbeKind, ok: bool, name: str = "app") -> list[str]:
        state = self.state.container(name).state
        assert isinstance(state, s.Running), state
        return self.step(s.Probed(name, state.attempt, kind, ok, "" if ok else "refused"))

    def status(self) -> dict[str, Any]:
        status = pod_status(
            self.state, conditions=self.conditions, pod_ip="127.64.0.2", host_ip="127.0.0.1", now=self.now
        )
        self.conditions = status["conditions"]
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        return next(c for c in self.status()["conditions"] if c["type"] == kind)
