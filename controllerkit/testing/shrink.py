"""Makes a schedule that fails smaller: first fewer steps, then shorter and simpler ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from controllerkit.testing.schedule import Crash, Cut, CutOff, Pause, Put, Step, Trouble

__all__ = ["shrunk", "simplified"]

Fails = Callable[[Sequence[Step]], bool]


def shrunk(steps: Sequence[Step], fails: Fails, *, runs_max: int) -> tuple[Step, ...]:
    """The steps without those that are not needed for ``fails``, as far as ``runs_max`` questions find out.

    Halves are left out first, then quarters, down to single steps; again until nothing more can go.
    """
    left, size, runs = list(steps), max(len(steps) // 2, 1), 0
    while runs < runs_max:
        before = len(left)
        at = 0
        while at < len(left) and runs < runs_max:
            without = left[:at] + left[at + size :]
            runs += 1
            if fails(without):
                left = without
            else:
                at += size
        if size == 1 and len(left) == before:
            break
        size = max(size // 2, 1)
    return tuple(left)


def simplified(steps: Sequence[Step], fails: Fails, *, runs_max: int) -> tuple[Step, ...]:
    """The same steps, each as short and as simple as ``fails`` allows, as far as ``runs_max`` questions find out.

    Faults last no longer than they must, history is forgotten only where that matters, and objects lose what they do
    not need.
    """
    left, runs, at = list(steps), 0, 0
    while at < len(left):
        for simpler in _simpler(left[at]):
            if runs >= runs_max:
                return tuple(left)
            runs += 1
            if fails([*left[:at], simpler, *left[at + 1 :]]):
                left[at] = simpler
                break  # and from there on
        else:
            at += 1
    return tuple(left)


def _simpler(step: Step) -> Iterator[Step]:
    """Steps that are less of the same, the least first."""
    match step:
        case Crash(away_s=away_s):
            yield from (replace(step, away_s=shorter) for shorter in _shorter(away_s))
        case Trouble(delay_max_s=delay_s):
            yield from (replace(step, delay_max_s=shorter) for shorter in _shorter(delay_s))
        case Pause(for_s=for_s) | CutOff(for_s=for_s):
            yield from (replace(step, for_s=shorter) for shorter in _shorter(for_s))
        case Cut(compacted=True):
            yield replace(step, compacted=False)
        case Put(value=value):
            fixed = {name: each for name, each in value.items() if name in ("apiVersion", "kind", "metadata")}
            rest = {name: each for name, each in value.items() if name not in fixed}
            yield from (replace(step, value={**fixed, **smaller}) for smaller in _smaller(rest))


def _shorter(seconds: float) -> list[float]:
    return [each for each in (0.0, round(seconds / 4, 2), round(seconds / 2, 2)) if each < seconds and seconds > 0.1]


def _smaller(value: Any) -> Iterator[Any]:
    """The same with one thing less, or one thing that is half of what it was."""
    match value:
        case Mapping():
            for name in value:
                yield {other: each for other, each in value.items() if other != name}
            for name, each in value.items():
                yield from ({**value, name: smaller} for smaller in _smaller(each))
        case list() if value:
            yield value[: len(value) // 2]
            for at, each in enumerate(value):
                yield from ([*value[:at], smaller, *value[at + 1 :]] for smaller in _smaller(each))
        case str() if len(value) > 1:
            yield value[: len(value) // 2]
        case int() if value > 1:
            yield value // 2
