"""The workqueue: fair, deduplicating, prioritised, delaying and rate-limited, for any number of workers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from controllerkit.errors import ControllerkitError
from controllerkit.runtime import Clock, SystemClock
from controllerkit.workqueue.item import Item
from controllerkit.workqueue.limiters import ItemExponentialLimiter, RateLimiter
from controllerkit.workqueue.machine import QueueMachine
from controllerkit.workqueue.metrics import QueueMetrics

__all__ = ["QueueShutDown", "WorkQueue"]

K = TypeVar("K", bound=Hashable)


class QueueShutDown(ControllerkitError):
    """The queue is shut down and has nothing left to hand out."""


class WorkQueue(QueueMachine[K]):
    """A queue of keys for any number of workers: ``add…`` puts in, ``await get()`` takes out, ``done`` ends.

    Guarantees:
        A key is handed to one worker at a time; adding it while it is worked on hands it out again after
        ``done``; several adds make one hand-out with all their reasons, the highest priority and the earliest time.
        Priorities come before age; with ``fairness``, groups of equal priority take turns.
        After ``shut_down`` nothing is added, what waits is dropped, and what is ready is still handed out, unless
        it is to ``drop``.

    Args:
        limiter: how long a key waits after a failure: 5 ms, doubled at each, up to 1000 s.
        fairness: what takes turns, such as a key's namespace; None: everything is one group.
    """

    def __init__(
        self,
        *,
        name: str = "",
        clock: Clock | None = None,
        limiter: RateLimiter[K] | None = None,
        metrics: QueueMetrics | None = None,
        fairness: Callable[[K], Hashable] | None = None,
    ) -> None:
        self.name = name
        self._clock = clock or SystemClock()
        super().__init__(self._clock.monotonic, fairness=fairness, timings=metrics)
        self._limiter: RateLimiter[K] = limiter or ItemExponentialLimiter[K]()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._drained: asyncio.Event | None = None
        self._dropped = False
        self._timer: asyncio.Task[Any] | None = None
        self._timer_at = float("inf")
        self.retries = 0
        if metrics is not None:
            metrics.attach(self)

    def add_after(self, key: K, delay_s: float, reason: str = "", *, priority: int = 0) -> None:
        """Queues ``key`` in ``delay_s`` seconds, or earlier if asked elsewhere."""
        if delay_s <= 0:
            self.add(key, reason, priority=priority)
            return
        self.retries += not self._closed
        self.add_at(key, self._now() + delay_s, reason, priority=priority)

    def add_at(self, key: K, at: float, reason: str = "", *, priority: int = 0) -> None:
        """See `QueueMachine.add_at`."""
        super().add_at(key, at, reason, priority=priority)
        if self._getters:
            self._arm()

    def add_rate_limited(self, key: K, reason: str = "", *, priority: int = 0) -> None:
        """Queues ``key`` after the limiter's delay, which grows with its failures until ``forget``."""
        self.add_after(key, self._limiter.when_s(key), reason, priority=priority)

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
            if not self._dropped and (item := self.get_nowait()) is not None:
                return item
            if self._closed:
                raise QueueShutDown(f"the queue {self.name!r} is shut down")
            await self._wait()

    def shut_down(self, *, drop: bool = False) -> None:
        """Takes no more; waiting workers get `QueueShutDown` once nothing is ready, with ``drop`` at once.

        A drain that is waited for ends.
        """
        self._leave_plain()
        self._closed = True
        self._dropped = self._dropped or drop
        if self._timer is not None:
            self._timer.cancel()
        if self._drained is not None:
            self._drained.set()
        while self._getters:
            self._wake_one()

    async def shut_down_with_drain(self) -> None:
        """``shut_down``, then waits until no key is in work or ready, those added again included.

        Another ``shut_down`` ends the wait.
        """
        self.shut_down()
        self._drained = asyncio.Event()
        self._on_idle = self._look_whether_drained
        self._look_whether_drained()
        await self._drained.wait()

    def _look_whether_drained(self) -> None:
        if self._drained is not None and not self.in_work and not len(self):
            self._drained.set()

    # -- waiting workers -------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        self._on_ready = self._wake_one
        self._arm()
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
        self._on_ready = None

    def _arm(self) -> None:
        """Wakes a waiting worker when the next delay is over; nobody needs that while all are at work."""
        at = None if self._closed else self.next_at()
        if at is None or (self._timer is not None and not self._timer.done() and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.create_task(self._fire(at), name=f"timer of queue {self.name}")

    async def _fire(self, at: float) -> None:
        await self._clock.sleep(at - self._now())
        self._timer = None
        self._timer_at = float("inf")
        if not self._closed:
            self.promote()
            if self._getters:
                self._arm()
