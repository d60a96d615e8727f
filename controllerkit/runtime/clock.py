"""Time as a parameter: what decides is told the time, what waits is given a clock."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime

__all__ = ["Clock", "SystemClock"]


class Clock(ABC):
    """Two times and one way to wait.

    ``monotonic`` measures spans and never steps; ``utcnow`` is for what is written down for people.
    """

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds since some fixed moment."""

    @abstractmethod
    def utcnow(self) -> datetime:
        """The wall-clock time, aware, in UTC."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Returns after ``seconds`` have passed; at once for zero or less. Cancellable."""


class SystemClock(Clock):
    """The machine's clocks and the running loop's timers."""

    def monotonic(self) -> float:
        """``time.monotonic``."""
        return time.monotonic()

    def utcnow(self) -> datetime:
        """``datetime.now(UTC)``."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """``asyncio.sleep``."""
        await asyncio.sleep(max(seconds, 0.0))
