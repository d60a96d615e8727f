"""What befalls one simulated run, drawn from a seed as data: so that it can be told, replayed and made smaller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from controllerkit.objects import Key
from controllerkit.testing.transport import (
    Delayed,
    Fault,
    InStream,
    LostAnswer,
    LostRequest,
    Stale,
    Truncated,
    conflict,
    expired,
    internal_error,
    too_many_requests,
)

__all__ = [
    "Crash",
    "Cut",
    "CutOff",
    "Delete",
    "DeleteChild",
    "Faults",
    "Pause",
    "Put",
    "Step",
    "Trouble",
    "draw_schedule",
    "fault_for",
    "key_of",
]

MEAN_CALL: Final = 8
"""Troubles and crashes befall calls around this number: a small reconciler makes one or two dozens in a run."""

DELAY_MAX_S: Final = 5.0
AWAY_MAX_S: Final = 30.0
"""Twice the duration of a lease: a replica that is away may find itself leading, or another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How much may go wrong in one seed, at most; a seed draws its share.

    Attributes:
        calls: of the API that are lost, answered late, or refused (409, 410, 429, 500); calls to what lies outside
            of the cluster, too, but for refusals.
        crashes: of the whole process, before a call is sent or after the server has done it.
        cuts: of every open watch at once; half of them after the server has forgotten its history (410).
        children: owned objects that somebody else deletes.
        pauses, cut_offs: where there are several replicas, so often one of them stands still, or reaches the API
            server no more, for up to half a minute.
        latency_s: up to so long takes each way of each call, and each event of a watch.
        lag_s: up to so much later come the events of a watch that lags.
    """

    calls: int = 6
    crashes: int = 2
    cuts: int = 1
    children: int = 1
    pauses: int = 2
    cut_offs: int = 1
    latency_s: float = 0.02
    lag_s: float = 3.0

    @classmethod
    def none(cls) -> Faults:
        """Nothing goes wrong and everything is at once; what the user does stays."""
        return cls(calls=0, crashes=0, cuts=0, children=0, pauses=0, cut_offs=0, latency_s=0.0, lag_s=0.0)


@dataclass(frozen=True, slots=True)
class Put:
    """The user creates this object, or gives the one of this name its spec."""

    at_s: float
    value: Mapping[str, Any]

    def __str__(self) -> str:
        rest = {name: each for name, each in self.value.items() if name not in ("apiVersion", "kind", "metadata")}
        return f"{self.at_s:6.2f} s  the user puts {self.value['kind']} {key_of(self.value)} {rest}"


@dataclass(frozen=True, slots=True)
class Delete:
    """The user deletes a primary."""

    at_s: float
    key: Key

    def __str__(self) -> str:
        return f"{self.at_s:6.2f} s  the user deletes {self.key}"


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Somebody deletes one of the owned objects that are there."""

    at_s: float
    draw: int

    def __str__(self) -> str:
        return f"{self.at_s:6.2f} s  somebody deletes a child"


@dataclass(frozen=True, slots=True)
class Cut:
    """Every open watch ends; with ``compacted`` the server has forgotten what was before."""

    at_s: float
    compacted: bool

    def __str__(self) -> str:
        return f"{self.at_s:6.2f} s  every watch is cut{', and history forgotten' if self.compacted else ''}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something goes wrong with a call; what, depends on its verb. A delay is no longer than ``delay_max_s``."""

    call: int
    draw: int
    delay_max_s: float = DELAY_MAX_S

    def __str__(self) -> str:
        return f"{f'call {self.call}':>8}  is troubled"


@dataclass(frozen=True, slots=True)
class Crash:
    """The process dies at a call: before it is sent, or once the server has ``answered``; it is back later."""

    call: int
    answered: bool
    away_s: float

    def __str__(self) -> str:
        when = "once the server has done it" if self.answered else "before it is sent"
        return f"{f'call {self.call}':>8}  the process crashes {when}, and is away for {self.away_s:.2f} s"


@dataclass(frozen=True, slots=True)
class Pause:
    """A replica stands still: none of its tasks takes a step, while time goes on."""

    at_s: float
    replica: int
    for_s: float

    def __str__(self) -> str:
        return f"{self.at_s:6.2f} s  replica {self.replica} stands still for {self.for_s:.2f} s"


@dataclass(frozen=True, slots=True)
class CutOff:
    """A replica does not reach the API server: its calls are lost, and nothing comes on its watches."""

    at_s: float
    replica: int
    for_s: float

    def __str__(self) -> str:
        return f"{self.at_s:6.2f} s  replica {self.replica} is cut off for {self.for_s:.2f} s"


Step = Put | Delete | DeleteChild | Cut | Trouble | Crash | Pause | CutOff


def key_of(value: Mapping[str, Any]) -> Key:
    """Namespace and name."""
    metadata = value["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def draw_schedule(
    rng: Random,
    make: Callable[[Random], Mapping[str, Any]],
    *,
    actions: int,
    duration_s: float,
    faults: Faults,
    replicas: int = 1,
) -> tuple[Step, ...]:
    """One to ``actions`` deeds of the user within ``duration_s``, and up to as many faults as ``faults`` allows."""
    steps: list[Step] = []
    present: dict[Key, None] = {}
    for at_s in _times(rng, rng.randint(1, actions), duration_s):
        if present and rng.random() < 0.25:
            key = rng.choice(list(present))
            del present[key]
            steps.append(Delete(at_s, key))
        else:
            value = make(rng)
            present[key_of(value)] = None
            steps.append(Put(at_s, value))
    steps += [DeleteChild(at_s, rng.getrandbits(16)) for at_s in _times(rng, _share(rng, faults.children), duration_s)]
    steps += [Cut(at_s, rng.random() < 0.5) for at_s in _times(rng, _share(rng, faults.cuts), duration_s)]
    steps += [Trouble(_call(rng), rng.getrandbits(16)) for _ in range(_share(rng, faults.calls))]
    crashes = range(_share(rng, faults.crashes))
    steps += [Crash(_call(rng), rng.random() < 0.5, round(rng.uniform(0.0, 5.0), 2)) for _ in crashes]
    if replicas > 1:
        for kind, most in ((Pause, faults.pauses), (CutOff, faults.cut_offs)):
            steps += [
                kind(at_s, rng.randrange(replicas), round(rng.uniform(0.0, AWAY_MAX_S), 2))
                for at_s in _times(rng, _share(rng, most), duration_s)
            ]
    return tuple(steps)


def _share(rng: Random, most: int) -> int:
    return rng.randint(0, most)


def _times(rng: Random, count: int, duration_s: float) -> list[float]:
    return sorted(round(rng.uniform(0.0, duration_s), 2) for _ in range(count))


def _call(rng: Random) -> int:
    return 1 + int(rng.expovariate(1 / MEAN_CALL))


def fault_for(verb: str, path: str, trouble: Trouble) -> Fault:
    """What befalls a call of this verb: only what a real network or server does to such a call."""
    draw = trouble.draw
    delayed = Delayed(min(draw % 50 / 10, trouble.delay_max_s))
    refusals: list[Fault] = [too_many_requests(1), internal_error()]
    match verb:
        case "watch":
            lines = draw // 16 % 3
            faults = [LostRequest(), Truncated(lines), InStream(expired(), lines), *refusals]
        case "get":
            faults = [LostRequest(), delayed, *refusals]
            if "resourceVersion=0" in path:
                faults += [Stale(), Stale()]  # a server may answer these from a cache that is behind
        case "update" | "patch":
            faults = [LostRequest(), LostAnswer(), LostAnswer(), conflict(), delayed, *refusals]
        case "outside":
            faults = [LostRequest(), LostAnswer(), LostAnswer(), delayed]
        case _:
            faults = [LostRequest(), LostAnswer(), LostAnswer(), delayed, *refusals]
    return faults[draw % len(faults)]
