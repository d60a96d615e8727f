"""The queue's bookkeeping, synchronous: sets, order and delays, with the time given to it.

As client-go's ``util/workqueue``: a key is *dirty* when it has to be worked on, and *processing* while a worker
has it. A key that is added while it is processing is not queued, only dirty, and is queued again when it is
done: no two workers ever have the same key, and no change is lost.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["QueueMachine"]

K = TypeVar("K", bound=Hashable)


class QueueMachine(Generic[K]):
    """Invariants: ready keys are exactly those dirty and not processing; a key waits under its earliest time.

    Each key carries the set of reasons it was added for; ``pop`` hands them over and starts a new set.
    """

    def __init__(self) -> None:
        self._ready: deque[K] = deque()
        self._dirty: dict[K, float] = {}
        self._processing: dict[K, float] = {}
        self._waiting: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._reasons: dict[K, set[str]] = {}
        self._serial = 0

    def __len__(self) -> int:
        """Keys ready to be worked on: neither waiting nor in work."""
        return len(self._ready)

    @property
    def processing(self) -> dict[K, float]:
        """Keys in work and the time each was handed out."""
        return self._processing

    @property
    def waiting(self) -> dict[K, float]:
        """Delayed keys and the time each becomes ready."""
        return self._waiting

    def add(self, key: K, now: float, reason: str = "") -> bool:
        """Makes ``key`` dirty. False where it was so already, and the add is folded into the earlier one."""
        if reason:
            self._reasons.setdefault(key, set()).add(reason)
        if key in self._dirty:
            return False
        self._dirty[key] = now
        if key not in self._processing:
            self._ready.append(key)
        return True

    def add_at(self, key: K, at: float, reason: str = "") -> None:
        """Adds ``key`` at the time ``at``; of several times the earliest counts."""
        if reason:
            self._reasons.setdefault(key, set()).add(reason)
        if (known := self._waiting.get(key)) is not None and known <= at:
            return
        self._waiting[key] = at
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, key))

    def advance(self, now: float) -> int:
        """Adds every delayed key whose time has come, and says how many of them are newly dirty."""
        added = 0
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._waiting.get(key) == at:
                del self._waiting[key]
                added += self.add(key, now)
        return added

    def next_at(self) -> float | None:
        """When `advance` has something to do next."""
        while self._heap and self._waiting.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> tuple[K, frozenset[str], float] | None:
        """Hands out the oldest ready key, its reasons and the seconds it was queued; None if there is none."""
        if not self._ready:
            return None
        key = self._ready.popleft()
        queued_s = now - self._dirty.pop(key)
        self._processing[key] = now
        return key, frozenset(self._reasons.pop(key, ())), queued_s

    def done(self, key: K, now: float) -> tuple[float, bool]:
        """Ends the work on ``key``: the seconds it took, and whether it became ready again."""
        worked_s = now - self._processing.pop(key)
        again = key in self._dirty
        if again:
            self._ready.append(key)
        return worked_s, again
