"""An event loop without sockets and threads, whose time jumps and whose tasks take turns by a seed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, NoReturn

from controllerkit.errors import SimulationError
from controllerkit.runtime import Clock, awaited_place

__all__ = ["SimClock", "SimLoop"]

_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS_MAX: Final = 1_000_000
"""So many rounds of the loop without time moving are no progress but a loop that spins."""


class SimLoop(asyncio.BaseEventLoop):
    """A loop for `asyncio.Runner`, on which a program is a function of the seed.

    ::

        with asyncio.Runner(loop_factory=lambda: SimLoop(Random(seed))) as runner:
            runner.run(main())

    Guarantees:
        Time starts at 0 s, and jumps to the next timer when nothing is ready to run. Steps of tasks that are ready
        at the same moment run in an order drawn from ``rng``; without it first in, first out, as on every other
        loop. Callbacks keep their order and their place among the steps: transports and streams rely on it.
        The same seed and the same program give the same order, as far as the program asks nothing of wall clocks,
        other randomness, object ids, or the order of sets of strings (``PYTHONHASHSEED``).
    Raises:
        SimulationError: from whatever runs the loop, where every task waits and no timer is set: it names who waits
            and where; or where time stands still for ``ROUNDS_MAX`` rounds; or for a thread or a socket.
    """

    def __init__(self, rng: Random | None = None) -> None:
        super().__init__()
        self._now = 0.0
        self._rng = rng
        self._rounds = 0
        self._paused: list[Collection[asyncio.Task[Any]]] = []
        self._held: list[Any] = []
        self._selector = self  # what BaseEventLoop asks when to go on
        self._clock_resolution = 1e-9

    def pause(self, tasks: Collection[asyncio.Task[Any]]) -> None:
        """From now on no task that is in ``tasks``, a collection that may change, takes a step; time goes on."""
        self._paused.append(tasks)

    def resume(self, tasks: Collection[asyncio.Task[Any]]) -> None:
        """These go on, with everything that has come to them meanwhile."""
        self._paused = [each for each in self._paused if each is not tasks]
        self._ready.extend(self._held)  # type: ignore[attr-defined]
        self._held.clear()

    # What BaseEventLoop wants of a loop.

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Called once a round, before due timers become ready."""
        ready: Any = self._ready  # type: ignore[attr-defined]
        if timeout is None:
            raise SimulationError(f"nothing will ever happen again; {self._who_waits()}")
        if timeout > 0:
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
            self._rounds = 0
        self._rounds += 1
        if self._rounds > ROUNDS_MAX:
            raise SimulationError(f"{ROUNDS_MAX} rounds passed at {self._now:g} s, and no time; {self._who_waits()}")
        if self._paused:
            held = [handle for handle in ready if _is_step(handle) and self._is_paused(handle)]
            self._held += held
            for handle in held:
                ready.remove(handle)
        if self._rng is not None and len(ready) > 1:
            places = [at for at, handle in enumerate(ready) if _is_step(handle)]
            steps = [ready[at] for at in places]
            self._rng.shuffle(steps)
            for at, step in zip(places, steps, strict=True):
                ready[at] = step
        return []

    def _is_paused(self, handle: Any) -> bool:
        return any(handle._callback.__self__ in tasks for tasks in self._paused)

    def _process_events(self, _: list[Any]) -> None:
        """There are none without sockets."""

    def _write_to_self(self) -> None:
        """There is no other thread to be woken from."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        """Raises SimulationError: what a thread does when is nobody's to say."""
        raise SimulationError(f"{func!r} wants a thread; a simulation has none (make it a coroutine, or replace it)")

    def _who_waits(self) -> str:
        waiting = [f"{task.get_name()} in {awaited_place(task)}" for task in asyncio.all_tasks(self)]
        return f"waiting: {'; '.join(sorted(waiting)) or 'nobody'}"


def _is_step(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)  # type: ignore[attr-defined]


class SimClock(Clock):
    """A `SimLoop`'s time; its wall clock stands at ``start`` when the loop's time is 0."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, start: datetime = _START) -> None:
        self._loop = loop
        self._start = start

    def monotonic(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def utcnow(self) -> datetime:
        """The start and the loop's time."""
        return self._start + timedelta(seconds=self._loop.time())

    async def sleep(self, seconds: float) -> None:
        """``asyncio.sleep``."""
        await asyncio.sleep(max(seconds, 0.0))
