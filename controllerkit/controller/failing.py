"""Which keys keep failing, and since when: so that it is told once, not at every retry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from controllerkit.errors import ControllerkitError
from controllerkit.objects import Key

__all__ = ["TELL_AFTER_FAILURES", "Failing", "FailureLedger", "named", "told_of"]

TELL_AFTER_FAILURES: Final = 10
"""With the default back-off ten failures in a row take about five seconds: no passing trouble."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A key whose last reconcile failed. ``since`` is the clock's time of the first failure in a row."""

    error: str
    failures: int
    since: float
    told: bool = False


class FailureLedger:
    """Failures in a row, by key. Pure; ``now`` is monotonic."""

    def __init__(self, *, tell_after: int = TELL_AFTER_FAILURES) -> None:
        self._tell_after = tell_after
        self._failing: dict[Key, Failing] = {}

    def failed(self, key: Key, error: str, now: float, *, final: bool = False) -> bool:
        """Notes a failure; True exactly once in a row of failures: now it should be told.

        ``final`` failures (terminal errors) are told at once.
        """
        before = self._failing.get(key, Failing(error, 0, now))
        failures = before.failures + 1
        tell = not before.told and (final or failures >= self._tell_after)
        self._failing[key] = replace(before, error=error, failures=failures, told=before.told or tell)
        return tell

    def untold(self, key: Key) -> None:
        """The telling did not succeed; it is asked for again at the next failure."""
        if key in self._failing:
            self._failing[key] = replace(self._failing[key], told=False)

    def succeeded(self, key: Key) -> bool:
        """Forgets the key; whether its failing had been told, so that it should be taken back."""
        ended = self._failing.pop(key, None)
        return ended is not None and ended.told

    def snapshot(self) -> Mapping[Key, Failing]:
        """Every failing key."""
        return dict(self._failing)


def named(error: BaseException) -> str:
    """An error's type and what it says, if anything."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def told_of(error: BaseException) -> str:
    """An error as a status or Event may show it.

    The text of an exception that is not ours can hold anything, a password too: only its type is told.

    >>> told_of(KeyError("hunter2"))
    "KeyError; the operator's log says where"
    """
    if isinstance(error, ControllerkitError):
        return named(error)
    return f"{type(error).__name__}; the operator's log says where"
