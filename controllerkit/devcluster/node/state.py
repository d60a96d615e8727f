"""What is known of a Pod's life: states of containers, events that change them, effects that follow.

Data only; `machine` holds the rules and `status` the words for the API.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from controllerkit.devcluster.node.podspec import ContainerSpec, PodSpec, ProbeKind, ProbeSpec

__all__ = [
    "Closing",
    "Container",
    "ContainerState",
    "Deleting",
    "Effect",
    "Ended",
    "Event",
    "Exited",
    "Finalize",
    "Now",
    "Outcome",
    "PodState",
    "Poked",
    "Prepare",
    "PrepareFailed",
    "Prepared",
    "Probe",
    "ProbeState",
    "Probed",
    "Report",
    "Running",
    "Start",
    "StartFailed",
    "Started",
    "Starting",
    "Stop",
    "Tick",
    "Vanished",
    "Waiting",
]

NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Now:
    """One moment on both clocks: ``monotonic`` for spans, ``wall`` for what is written down."""

    monotonic: float
    wall: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one run of a container ended. ``signal`` is 0 where it ended by itself."""

    exit_code: int
    reason: str
    finished_at: datetime
    started_at: datetime | None = None
    signal: int = 0
    message: str = ""
    container_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeState:
    """One probe of a running container.

    ``passed`` is None until a threshold was met. A failed try counts only from ``counted_at`` on, which moves one
    period at each; the tries between, ``eager_s`` apart, exist to notice a first success early.
    """

    spec: ProbeSpec
    due_at: float
    counted_at: float
    eager_s: float
    in_flight: bool = False
    successes: int = 0
    failures: int = 0
    passed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Not running; may be started from ``retry_at`` on (monotonic), if it is its turn. "" is the usual reason."""

    reason: str = ""
    message: str = ""
    retry_at: float = NEVER
    since: float = NEVER


@dataclass(frozen=True, slots=True)
class Starting:
    """Being started, for the ``attempt``-th time after the first."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Has a process. ``stop_at`` is when it must be gone (monotonic), None where it may stay."""

    attempt: int
    started: Now
    container_id: str
    probes: tuple[ProbeState, ...] = ()
    stop_at: float | None = None

    @property
    def is_started(self) -> bool:
        """Whether the startup probe, if there is one, has passed."""
        return all(p.passed for p in self.probes if p.spec.kind is ProbeKind.STARTUP)

    @property
    def is_ready(self) -> bool:
        """Started, and the readiness probe, if there is one, has passed."""
        return self.is_started and all(p.passed for p in self.probes if p.spec.kind is ProbeKind.READINESS)


@dataclass(frozen=True, slots=True)
class Ended:
    """Will not run again; how it ended is the container's ``last``."""


ContainerState = Waiting | Starting | Running | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container's record.

    ``last`` is the newest ended run and ``previous`` the one before; ``runs`` counts processes started so far;
    ``backoff_s`` is the crash back-off as of ``backoff_at``, ``pull_backoff_s`` that of a missing image.
    """

    spec: ContainerSpec
    state: ContainerState = field(default_factory=Waiting)
    last: Outcome | None = None
    previous: Outcome | None = None
    runs: int = 0
    image_id: str = ""
    backoff_s: float = 0.0
    backoff_at: float = NEVER
    pull_backoff_s: float = 0.0

    @property
    def is_active(self) -> bool:
        """Whether a process exists or is being made."""
        return isinstance(self.state, Running | Starting)

    @property
    def has_succeeded(self) -> bool:
        """Whether it ended for good with exit code 0."""
        return isinstance(self.state, Ended) and self.last is not None and self.last.exit_code == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The Pod is going: every process gone at ``deadline`` (monotonic); ``delete``: the API object then too."""

    deadline: float
    delete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Whether the Pod's volumes are there."""

    done: bool = False
    in_flight: bool = False
    retry_at: float = NEVER
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodState:
    """All of it. ``containers`` are in the order of ``spec.containers``."""

    spec: PodSpec
    containers: tuple[Container, ...]
    preparation: Preparation = field(default_factory=Preparation)
    closing: Closing | None = None
    finalized: bool = False
    started_at: datetime | None = None

    def container(self, name: str) -> Container:
        """The record of the container ``name``; KeyError if there is none."""
        for container in self.containers:
            if container.spec.name == name:
                return container
        raise KeyError(name)

    def with_container(self, changed: Container) -> PodState:
        """With that container's record in place of the old one."""
        return replace(
            self, containers=tuple(changed if c.spec.name == changed.spec.name else c for c in self.containers)
        )

    @property
    def mains(self) -> Iterator[Container]:
        """The containers that are not init containers."""
        return (c for c in self.containers if not c.spec.init)

    @property
    def inits(self) -> Iterator[Container]:
        """The init containers, sidecars among them."""
        return (c for c in self.containers if c.spec.init)


# -- events -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Poked:
    """A Secret, ConfigMap or volume has changed: what failed for want of one may be tried again now."""


@dataclass(frozen=True, slots=True)
class Deleting:
    """The API object has a deletionTimestamp."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class Vanished:
    """The API object is gone."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The volumes are there."""


@dataclass(frozen=True, slots=True)
class PrepareFailed:
    """They are not; the message says why."""

    message: str


@dataclass(frozen=True, slots=True)
class Started:
    """The answer to `Start`: there is a process."""

    name: str
    attempt: int
    container_id: str
    image_id: str


@dataclass(frozen=True, slots=True)
class StartFailed:
    """The answer to `Start`: there is none; ``reason`` is the API's word for a waiting container."""

    name: str
    attempt: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """The process ended. ``reason`` "" means Completed or Error, by the exit code."""

    name: str
    attempt: int
    exit_code: int
    signal: int = 0
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """The answer to `Probe`."""

    name: str
    attempt: int
    kind: ProbeKind
    ok: bool
    message: str = ""


Event = Tick | Poked | Deleting | Vanished | Prepared | PrepareFailed | Started | StartFailed | Exited | Probed


# -- effects ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prepare:
    """Make the volumes; answer with `Prepared` or `PrepareFailed`."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a process; answer with `Started` and later `Exited`, or with `StartFailed`."""

    name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Try once, within ``spec.timeout_s``; answer with `Probed`."""

    name: str
    attempt: int
    spec: ProbeSpec


@dataclass(frozen=True, slots=True)
class Stop:
    """preStop, SIGTERM, and SIGKILL ``grace_s`` from now. A second Stop of the same run only shortens the first."""

    name: str
    attempt: int
    grace_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """An Event for people; ``kind`` is Normal or Warning. ``container`` is the one it is about, "" for the Pod."""

    kind: str
    reason: str
    message: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class Finalize:
    """No process is left: write the last status, remove the Pod's files and, with ``delete``, the API object."""

    delete: bool


Effect = Prepare | Start | Probe | Stop | Report | Finalize
