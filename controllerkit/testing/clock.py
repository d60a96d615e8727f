"""Time that moves only when a test moves it."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

from controllerkit.runtime import Clock

__all__ = ["VirtualClock", "settle"]

_START = datetime(2026, 1, 1, tzinfo=UTC)
_SETTLE_ROUNDS = 50


class VirtualClock(Clock):
    """Starts at 0 s and 2026-01-01; ``advance`` wakes sleepers in the order of their times.

    >>> clock = VirtualClock()
    >>> async def nap() -> float:
    ...     await clock.sleep(5)
    ...     return clock.monotonic()
    >>> async def main() -> float:
    ...     task = asyncio.create_task(nap())
    ...     await clock.advance(7)
    ...     return await task
    >>> asyncio.run(main())
    5.0
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._serial = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._now

    def utcnow(self) -> datetime:
        """2026-01-01 and the seconds since the start."""
        return _START + timedelta(seconds=self._now)

    async def sleep(self, seconds: float) -> None:
        """Returns when the clock was advanced this far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._serial += 1
        heapq.heappush(self._sleepers, (self._now + seconds, self._serial, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Moves on by ``seconds``, stopping at each sleeper's time to let it and what it wakes run."""
        await settle()
        end = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._now = max(self._now, at)
                future.set_result(None)
                await settle()
        self._now = end
        await settle()


async def settle() -> None:
    """Lets every task that can run do so (no sockets are waited for)."""
    for _ in range(_SETTLE_ROUNDS):
        await asyncio.sleep(0)
