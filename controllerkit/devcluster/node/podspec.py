"""The part of a Pod's spec that decides its life, read once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from controllerkit.objects import Key, Object

__all__ = ["ContainerSpec", "PodSpec", "ProbeKind", "ProbeSpec", "RestartPolicy"]

GRACE_DEFAULT_S: Final = 30
PROBE_PERIOD_S: Final = 10
PROBE_TIMEOUT_S: Final = 1
PROBE_FAILURES: Final = 3
"""The defaults of ``core/v1`` (``pkg/apis/core/v1/defaults.go``), for a server that does not fill them in."""


class ProbeKind(Enum):
    """Which question a probe answers; the value is the word Events use."""

    STARTUP = "Startup"
    LIVENESS = "Liveness"
    READINESS = "Readiness"


class RestartPolicy(Enum):
    """``spec.restartPolicy``."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """One probe with its defaults filled in; ``handler`` is the probe as it stands in the spec."""

    kind: ProbeKind
    handler: Mapping[str, Any]
    initial_delay_s: float = 0.0
    period_s: float = PROBE_PERIOD_S
    timeout_s: float = PROBE_TIMEOUT_S
    success_threshold: int = 1
    failure_threshold: int = PROBE_FAILURES
    grace_s: float | None = None

    @classmethod
    def of(cls, kind: ProbeKind, value: Mapping[str, Any]) -> ProbeSpec:
        """From a ``core/v1 Probe``."""
        grace_s = value.get("terminationGracePeriodSeconds")
        return cls(
            kind=kind,
            handler=value,
            initial_delay_s=value.get("initialDelaySeconds") or 0,
            period_s=value.get("periodSeconds") or PROBE_PERIOD_S,
            timeout_s=value.get("timeoutSeconds") or PROBE_TIMEOUT_S,
            success_threshold=value.get("successThreshold") or 1,
            failure_threshold=value.get("failureThreshold") or PROBE_FAILURES,
            grace_s=None if grace_s is None else float(grace_s),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One container. ``init`` ones run first, in order; a ``sidecar`` is an init container that keeps running."""

    name: str
    image: str
    init: bool = False
    sidecar: bool = False
    probes: tuple[ProbeSpec, ...] = ()
    body: Mapping[str, Any]

    @classmethod
    def of(cls, value: Mapping[str, Any], *, init: bool) -> ContainerSpec:
        """From a ``core/v1 Container``."""
        fields = {
            ProbeKind.STARTUP: "startupProbe",
            ProbeKind.LIVENESS: "livenessProbe",
            ProbeKind.READINESS: "readinessProbe",
        }
        return cls(
            name=value["name"],
            image=value.get("image", ""),
            init=init,
            sidecar=init and value.get("restartPolicy") == "Always",
            probes=tuple(ProbeSpec.of(kind, value[name]) for kind, name in fields.items() if value.get(name)),
            body=value,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """What a Pod asks of its node. ``containers`` holds the init containers first, each group in its order."""

    key: Key
    uid: str
    restart_policy: RestartPolicy = RestartPolicy.ALWAYS
    grace_s: float = GRACE_DEFAULT_S
    containers: tuple[ContainerSpec, ...] = ()
    readiness_gates: tuple[str, ...] = ()

    @classmethod
    def of(cls, pod: Object) -> PodSpec:
        """From a Pod."""
        spec = pod.spec
        grace_s = spec.get("terminationGracePeriodSeconds")
        return cls(
            key=pod.key,
            uid=pod.uid,
            restart_policy=RestartPolicy(spec.get("restartPolicy") or "Always"),
            grace_s=float(GRACE_DEFAULT_S if grace_s is None else grace_s),
            containers=(
                *_containers(spec.get("initContainers"), init=True),
                *_containers(spec.get("containers"), init=False),
            ),
            readiness_gates=tuple(gate["conditionType"] for gate in spec.get("readinessGates") or ()),
        )


def _containers(values: Iterable[Mapping[str, Any]] | None, *, init: bool) -> Iterable[ContainerSpec]:
    return (ContainerSpec.of(value, init=init) for value in values or ())
