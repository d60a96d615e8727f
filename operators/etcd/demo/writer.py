"""A writer that remembers every acknowledged write, and checks that each is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from controllerkit.runtime import Clock

__all__ = ["Ledger", "Writer"]

INTERVAL_S: Final = 0.010
RETRY_S: Final = 0.020
PREFIX: Final = "demo/"

Put = Callable[[str, str], Awaitable[int]]
"""Writes a key; returns the revision once the cluster has acknowledged it, raises otherwise."""


@dataclass(slots=True)
class Ledger:
    """Acknowledged writes (key to value), the newest revision, and the longest time without one."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    revision: int = 0
    failed: int = 0
    last_error: str = ""
    longest_gap_s: float = 0.0
    last_at: float | None = None

    def acknowledge(self, key: str, value: str, revision: int, now: float) -> None:
        """Notes one acknowledged write at the monotonic time ``now``."""
        if self.last_at is not None:
            self.longest_gap_s = max(self.longest_gap_s, now - self.last_at)
        self.last_at = now
        self.revision = max(self.revision, revision)
        self.acknowledged[key] = value

    def lost(self, found: Mapping[str, str]) -> list[str]:
        """The acknowledged keys that ``found`` lacks or holds with another value.

        >>> ledger = Ledger(acknowledged={"a": "1", "b": "2", "c": "3"})
        >>> ledger.lost({"a": "1", "b": "x"})
        ['b', 'c']
        """
        return [key for key, value in self.acknowledged.items() if found.get(key) != value]


class Writer:
    """Puts a new key about every ``INTERVAL_S``; a failed put is tried again under the same key until it succeeds.

    A put whose answer was lost may have been done: it is not counted as acknowledged until an answer came.
    """

    def __init__(self, put: Put, *, clock: Clock) -> None:
        self.ledger = Ledger()
        self._put = put
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Writes until ``stop`` is set."""
        number = 0
        while not stop.is_set():
            began = self._clock.monotonic()
            key, value = f"{PREFIX}{number:08d}", f"value {number} written at {began:.3f}"
            try:
                revision = await self._put(key, value)
            except Exception as error:  # any failure to write is what is being measured
                self.ledger.failed += 1
                self.ledger.last_error = str(error) or type(error).__name__
                await self._clock.sleep(RETRY_S)
                continue
            now = self._clock.monotonic()
            self.ledger.acknowledge(key, value, revision, now)
            number += 1
            await self._clock.sleep(INTERVAL_S - (now - began))
