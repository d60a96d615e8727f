"""The workqueue: fair, deduplicating, delaying and rate-limited, for any number of workers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from controllerkit.errors import ControllerkitError
from controllerkit.runtime import Clock, SystemClock
from controllerkit.workqueue.limiters import ItemExponentialLimiter, RateLimiter
from controllerkit.workqueue.machine import QueueMachine
from controllerkit.workqueue.metrics import QueueMetrics

__all__ = ["Item", "QueueShutDown", "WorkQueue"]

K = TypeVar("K", bound=Hashable)


class QueueShutDown(ControllerkitError):
    """The queue is shut down and has nothing left to hand out."""


@dataclass(frozen=True, slots=True)
class Item(Generic[K]):
    """A key to work on, and every reason it was added for since it was last handed out."""

    key: K
    reasons: frozenset[str]


class WorkQueue(Generic[K]):
    """A queue of keys.

    Guarantees:
        A key is handed to one worker at a time; adding it while it is worked on hands it out again after
        ``done``; several adds make one hand-out with all their reasons; of several delays the earliest counts.
        After ``shut_down`` nothing is added, and what is ready is still handed out.
    """

    def __init__(
        self,
        *,
        name: str = "",
        clock: Clock | None = None,
        limiter: RateLimiter[K] | None = None,
        metrics: QueueMetrics | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._limiter: RateLimiter[K] = limiter or ItemExponentialLimiter[K]()
        self._machine: QueueMachine[K] = QueueMachine()
        self._metrics = metrics or QueueMetrics.none(name)
        self._getters: deque[asyncio.Future[None]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.Task[Any] | None = None
        self._timer_at = float("inf")
        self._shutting_down = False

    def __len__(self) -> int:
        """Keys ready to be worked on."""
        return len(self._machine)

    def add(self, key: K, reason: str = "") -> None:
        """Queues ``key`` now."""
        if self._shutting_down:
            return
        if self._machine.add(key, self._clock.monotonic(), reason):
            self._metrics.added(len(self._machine))
            self._wake_one()

    def add_after(self, key: K, delay_s: float, reason: str = "") -> None:
        """Queues ``key`` in ``delay_s`` seconds, or earlier if asked elsewhere."""
        if delay_s <= 0:
            self.add(key, reason)
            return
        if self._shutting_down:
            return
        self._metrics.retried()
        self._machine.add_at(key, self._clock.monotonic() + delay_s, reason)
        self._arm()

    def add_rate_limited(self, key: K, reason: str = "") -> None:
        """Queues ``key`` after the limiter's delay, which grows with its failures until ``forget``."""
        self.add_after(key, self._limiter.when_s(key), reason)

    def forget(self, key: K) -> None:
        """Clears the failures of ``key``. Does not end the work on it: that is ``done``."""
        self._limiter.forget(key)

    def failures(self, key: K) -> int:
        """How many failures of ``key`` are counted."""
        return self._limiter.failures(key)

    async def get(self) -> Item[K]:
        """Waits for a key; the caller must call ``done`` with it. Cancellable: no key is lost.

        Raises:
            QueueShutDown: there is nothing left and nothing will come.
        """
        while True:
            now = self._clock.monotonic()
            self._advance(now)
            if (popped := self._machine.pop(now)) is not None:
                key, reasons, queued_s = popped
                self._idle.clear()
                self._metrics.got(len(self._machine), queued_s)
                return Item(key, reasons)
            if self._shutting_down:
                raise QueueShutDown("the queue is shut down")
            await self._wait()

    def done(self, key: K) -> None:
        """Ends the work on ``key``, which is queued again if it was added meanwhile."""
        worked_s, again = self._machine.done(key, self._clock.monotonic())
        self._metrics.done(len(self._machine), worked_s)
        if again:
            self._wake_one()
        elif not self._machine.processing:
            self._idle.set()

    def shut_down(self) -> None:
        """Takes no more; waiting workers get `QueueShutDown` once nothing is ready."""
        self._shutting_down = True
        if self._timer is not None:
            self._timer.cancel()
        while self._getters:
            self._wake_one()

    async def shut_down_with_drain(self) -> None:
        """``shut_down``, then waits until no key is in work, those added again included."""
        self.shut_down()
        await self._idle.wait()

    async def _wait(self) -> None:
        getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            await getter
        except asyncio.CancelledError:
            if not getter.cancelled():
                self._wake_one()  # the wake-up was for this getter: hand it on
            elif getter in self._getters:
                self._getters.remove(getter)
            raise

    def _wake_one(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _advance(self, now: float) -> None:
        for _ in range(self._machine.advance(now)):
            self._metrics.added(len(self._machine))
            self._wake_one()

    def _arm(self) -> None:
        at = self._machine.next_at()
        if at is None or (self._timer is not None and not self._timer.done() and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.create_task(self._fire(at), name="workqueue timer")

    async def _fire(self, at: float) -> None:
        await self._clock.sleep(at - self._clock.monotonic())
        self._advance(self._clock.monotonic())
        self._timer = None
        self._timer_at = float("inf")
        if not self._shutting_down:
            self._arm()
