"""A time limit on whatever is awaited in a block, by an injected clock."""

from __future__ import annotations

import asyncio
from types import TracebackType

from controllerkit.runtime.clock import Clock
from controllerkit.runtime.tasks import cancel_and_wait

__all__ = ["Deadline"]


class Deadline:
    """``async with Deadline(clock, 5.0):`` cancels what the block waits for after that time.

    As ``asyncio.timeout``, with the clock given. A cancellation from elsewhere stays one.

    Raises:
        TimeoutError: the time was over; ``expired`` says that it was this one.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self.expired = False

    async def __aenter__(self) -> Deadline:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - `async with` runs in a task
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = asyncio.create_task(self._expire())
        return self

    async def _expire(self) -> None:
        await self._clock.sleep(self._seconds)
        self.expired = True
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.expired:
            self._timer.cancel()  # before any await: it must not fire while this block is left
            await cancel_and_wait(self._timer)
            return
        if self._task.uncancel() <= self._cancelling and (kind is None or issubclass(kind, asyncio.CancelledError)):
            raise TimeoutError(f"not done within {self._seconds:g} s") from error
