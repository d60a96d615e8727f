"""A process that can die between any two calls: its tasks, and its way to the API server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar
from random import Random
from typing import Any, Final, TypeVar

from controllerkit.errors import SimulationError, TransportError
from controllerkit.testing.schedule import Crash, Faults, Step, Trouble, fault_for
from controllerkit.testing.transport import Delayed, Fault, FaultyTransport, LostAnswer, LostRequest, Rule, verb_of
from controllerkit.wire import Transport, WireRequest, WireResponse

__all__ = ["Network", "Outside", "ProcessTransport", "Trace", "kill", "track_tasks"]

INCARNATION: Final[ContextVar[int]] = ContextVar("incarnation", default=0)
KILL_ROUNDS_MAX: Final = 1000
ROUNDS_TO_CLEAN_UP: Final = 50
LAGGING: Final = 0.2
"""So many of the watches lag."""

T = TypeVar("T")

_Tasks = dict[asyncio.Task[Any], None]


class Trace:
    """What happened, with the time; ``shown`` is what a reader wants first."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.lines: list[str] = []
        self.shown: list[str] = []

    def add(self, text: str, *, shown: bool = True) -> None:
        """Adds one line."""
        line = f"{self._loop.time():8.2f} s  {text}"
        self.lines.append(line)
        if shown:
            self.shown.append(line)


def track_tasks(loop: asyncio.AbstractEventLoop) -> dict[int, _Tasks]:
    """From now on every task is noted under the incarnation it belongs to; tasks inherit it from their makers."""
    tracked: dict[int, _Tasks] = {}

    def make(
        loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> asyncio.Task[Any]:
        number = INCARNATION.get() if context is None else context.get(INCARNATION, 0)
        task = asyncio.Task(work, loop=loop, context=context)
        mine = tracked.setdefault(number, {})
        mine[task] = None
        task.add_done_callback(lambda done: mine.pop(done, None))
        return task

    loop.set_task_factory(make)  # type: ignore[arg-type]
    return tracked


async def kill(tasks: _Tasks) -> None:
    """Ends every task, however often it must be told; between two times it may clean up.

    Raises:
        SimulationError: one does not end; it is named.
    """
    for number in range(KILL_ROUNDS_MAX):
        if not tasks:
            return
        for task in list(tasks) if number % ROUNDS_TO_CLEAN_UP == 0 else ():
            task.cancel()
        await asyncio.sleep(0)
    raise SimulationError(f"cannot be cancelled: {', '.join(task.get_name() for task in tasks)}")


class Network:
    """Between the processes and the server: counts calls, delays them, and has the faults that were drawn.

    Attributes:
        troubled: whether faults happen; latency stays.
        happened: how often each fault did.
        processes: those that live, by incarnation.
    """

    def __init__(self, inner: Transport, steps: Iterable[Step], faults: Faults, rng: Random, trace: Trace) -> None:
        self.troubled = True
        self.calls = 0
        self.happened: Counter[str] = Counter()
        self.trace = trace
        self.faulty = FaultyTransport(inner)
        self.cut = asyncio.Event()
        self.processes: dict[int, ProcessTransport] = {}
        self._faults = faults
        self._rng = rng
        self._crashes = {step.call: step for step in steps if isinstance(step, Crash)}
        self._troubles = {step.call: step for step in steps if isinstance(step, Trouble)}

    def next_call(self) -> tuple[Crash | None, Trouble | None]:
        """Counts a call; what is to befall it."""
        self.calls += 1
        if not self.troubled:
            return None, None
        return self._crashes.get(self.calls), self._troubles.get(self.calls)

    def cut_watches(self) -> None:
        """Ends every open watch."""
        self.happened["Cut"] += 1
        self.end_watches()

    def end_watches(self) -> None:
        """As by a network that was away."""
        self.cut.set()
        self.cut = asyncio.Event()

    async def latency(self) -> None:
        """One way."""
        if self._faults.latency_s:
            await asyncio.sleep(self._rng.uniform(0.0, self._faults.latency_s))

    def lag_s(self) -> float:
        """For one watch."""
        lags = self.troubled and self._rng.random() < LAGGING
        return self._rng.uniform(0.0, self._faults.lag_s) if lags else 0.0


class ProcessTransport:
    """The way from one process to the server. Once the process is dead, no call of it ends or has an effect.

    Attributes:
        died: set when the process crashed, with ``crash``; whoever runs it then ends its tasks.
        reaches: cleared while the process is cut off.

    Args:
        before: called with each request when it leaves; it raises nothing.
    """

    def __init__(self, network: Network, before: Callable[[str, WireRequest], None] | None = None) -> None:
        self.died = asyncio.Event()
        self.crash: Crash | None = None
        self.reaches = asyncio.Event()
        self.reaches.set()
        self._network = network
        self._before = before

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        """See `Transport.send`."""
        if self.died.is_set():
            await self._nothing()
        network = self._network
        crash, trouble = network.next_call()
        number, verb, path = network.calls, verb_of(request), request.path.partition("?")[0]
        asked = f"call {number}: {verb} {path}"
        if self._before is not None:
            self._before(verb, request)
        if crash is not None and not crash.answered:
            await self._die(crash, f"{asked}: not sent")
        await network.latency()
        fault = fault_for(verb, request.path, trouble) if trouble is not None else None
        if not self.reaches.is_set():
            fault = LostRequest()
        if fault is not None:
            network.happened[type(fault).__name__] += 1
        network.faulty.rules[:] = [] if fault is None else [Rule(fault)]  # taken before `send` first waits
        writes = verb not in ("get", "watch")
        answered = False
        try:
            async with network.faulty.send(request) as response:
                if crash is not None:
                    if verb != "watch":
                        await response.read()
                    await self._die(crash, f"{asked}: done, and its answer not seen")
                network.trace.add(f"{asked}: {fault or ''} {response.status}", shown=writes or fault is not None)
                await network.latency()
                if self.died.is_set():
                    await self._nothing()
                answered = True
                if not self.reaches.is_set() and verb != "watch":
                    raise TransportError(f"{asked}: cut off before its answer came")
                yield _Watched(response, network, self.reaches) if verb == "watch" else response
        except Exception as error:
            if not answered:
                network.trace.add(f"{asked}: {fault or ''} {type(error).__name__}", shown=fault is not None)
            raise

    async def call(self, what: str, effect: Callable[[], T]) -> T:
        """A call to something that is no API server; see `Outside.call`."""
        if self.died.is_set():
            await self._nothing()
        network = self._network
        crash, trouble = network.next_call()
        asked = f"call {network.calls}: {what}"
        fault: Fault | None = fault_for("outside", "", trouble) if trouble is not None else None
        if crash is not None and not crash.answered:
            await self._die(crash, f"{asked}: not sent")
        if fault is not None:
            network.happened[type(fault).__name__] += 1
        await network.latency()
        if isinstance(fault, Delayed):
            await asyncio.sleep(fault.seconds)
        if isinstance(fault, LostRequest):
            network.trace.add(f"{asked}: {fault}")
            raise TransportError(f"{what}: lost on the way")
        try:
            answer = effect()
        except Exception as error:
            network.trace.add(f"{asked}: {type(error).__name__}")
            raise
        if crash is not None:
            await self._die(crash, f"{asked}: done, and its answer not seen")
        network.trace.add(f"{asked}: {fault or 'done'}")
        await network.latency()
        if self.died.is_set():
            await self._nothing()
        if isinstance(fault, LostAnswer):
            raise TransportError(f"{what}: its answer was lost")
        return answer

    async def aclose(self) -> None:
        """The server stays."""

    async def _die(self, crash: Crash, what: str) -> None:
        self._network.happened["Crash"] += 1
        self._network.trace.add(f"the process crashes at {what}")
        self.crash = crash
        self.died.set()
        await self._nothing()

    @staticmethod
    async def _nothing() -> None:
        await asyncio.get_running_loop().create_future()


def _untold(_: str) -> None:
    """Nobody listens."""


class Outside:
    """The way from the processes of a simulation to what lies outside of the cluster.

    Attributes:
        rng: of the seed.
        tell: adds a line to what is told of a seed that fails.
    """

    def __init__(
        self,
        rng: Random,
        processes: Mapping[int, ProcessTransport] | None = None,
        tell: Callable[[str], None] = _untold,
    ) -> None:
        self.rng = rng
        self.tell = tell
        self._processes = {} if processes is None else processes

    async def call(self, what: str, effect: Callable[[], T]) -> T:
        """A call as a process makes one over a network: it takes time, then ``effect()`` is its answer.

        Made by the process under test it may be delayed, and the process may crash before or after ``effect``.
        Every other one is answered at once.

        Raises:
            TransportError: the call was lost before ``effect``, or its answer after it.
        """
        process = self._processes.get(INCARNATION.get())
        return effect() if process is None else await process.call(what, effect)


class _Watched:
    """A watch whose events take their time, until it is cut; while its process reaches nobody, nothing comes."""

    def __init__(self, inner: WireResponse, network: Network, reaches: asyncio.Event) -> None:
        self._inner = inner
        self._reaches = reaches
        self._network = network
        self._cut = network.cut
        self._lag_s = network.lag_s()
        self.status = inner.status
        self.headers: Mapping[str, str] = inner.headers

    async def read(self) -> bytes:
        return await self._inner.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner.chunks())
        cut = asyncio.ensure_future(self._cut.wait())
        try:
            while True:
                following = asyncio.ensure_future(_next(chunks))
                try:
                    await asyncio.wait([following, cut], return_when=asyncio.FIRST_COMPLETED)
                    if not following.done():
                        return
                    chunk = following.result()
                finally:
                    following.cancel()
                if not chunk:
                    return
                await self._network.latency()
                if not self._reaches.is_set():
                    await self._reaches.wait()
                    return  # what came meanwhile is lost with the connection
                if self._lag_s and self._network.troubled:
                    await asyncio.sleep(self._lag_s)
                yield chunk
        finally:
            cut.cancel()


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    return await anext(chunks, b"")
