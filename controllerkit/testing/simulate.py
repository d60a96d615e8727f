"""`simulate`: a reconciler against an API server, a user and much bad luck, in one process and no time."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar, overload

import structlog

from controllerkit.apiserver import ApiServer
from controllerkit.client import Client, ObjectLike
from controllerkit.controller import Controller, Owns, Reconciler, Watch
from controllerkit.errors import ApiError, ConfigError, NotFound, SimulationError, SimulationFailed
from controllerkit.manager import Manager
from controllerkit.objects import Key, Kind, Object
from controllerkit.runtime import wait_until
from controllerkit.schema import Resource, custom_resource_definition
from controllerkit.testing.clock import settle
from controllerkit.testing.process import INCARNATION, Network, ProcessTransport, Trace, kill, track_tasks
from controllerkit.testing.schedule import Cut, Delete, DeleteChild, Faults, Put, Step, draw_schedule, key_of, shrunk
from controllerkit.testing.simloop import SimClock, SimLoop
from controllerkit.wire import Transport

__all__ = ["Limits", "Report", "World", "simulate"]

SHRINK_RUNS_MAX: Final = 80
RESTART_S: Final = 1.0
_BESIDE: Final = ("Event", "Lease")
"""Kinds whose writes are no progress."""

R = TypeVar("R", bound=Resource)

Check = Callable[["World"], object]
Primaries = Sequence[ObjectLike] | Callable[[Random], ObjectLike]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a seed goes on, in virtual seconds.

    Attributes:
        actions: of the user, at most.
        faults_s: the user acts and faults happen for so long.
        converge_s: then nothing goes wrong any more, and everything must be as it should within this.
        quiet_s: it must stay so for this long, without a write.
        writes_max: more writes than this before it is quiet mean that it never will be.
        restart_writes: what may be written when the process starts again and nothing has changed.
    """

    actions: int = 6
    faults_s: float = 30.0
    converge_s: float = 1800.0
    quiet_s: float = 30.0
    writes_max: int = 500
    restart_writes: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What was tried.

    Attributes:
        faults: how often each kind of fault happened.
        virtual_s: the time that passed in all simulations together.
    """

    seeds: int
    calls: int
    writes: int
    starts: int
    virtual_s: float
    faults: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Report) -> Report:
        """Both together."""
        return Report(
            self.seeds + other.seeds,
            self.calls + other.calls,
            self.writes + other.writes,
            self.starts + other.starts,
            self.virtual_s + other.virtual_s,
            dict(Counter(self.faults) + Counter(other.faults)),
        )

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items())) or "none"
        return (
            f"{self.seeds} seeds passed: {self.calls} calls, {self.writes} writes, {self.starts} starts, "
            f"{self.virtual_s / 3600:.1f} virtual hours; faults: {faults}"
        )


class World:
    """What the API server holds at this moment: for invariants and for `converged`."""

    def __init__(self, server: ApiServer, clock: SimClock) -> None:
        self._server = server
        self.clock = clock

    @overload
    def list(self, kind: type[R]) -> list[R]: ...
    @overload
    def list(self, kind: Kind) -> list[Object]: ...
    def list(self, kind: Kind | type[R]) -> list[Object] | list[R]:
        """Every object of ``kind``, by key; typed where ``kind`` is a `Resource`."""
        if isinstance(kind, Kind):
            return self._server.objects(kind)
        return [kind.from_object(each) for each in self._server.objects(kind.resource_kind())]

    def get(self, kind: Kind | type[Resource], name: str, namespace: str = "default") -> Object | None:
        """One object, or None."""
        resolved = kind if isinstance(kind, Kind) else kind.resource_kind()
        return next((each for each in self._server.objects(resolved) if each.key == (namespace, name)), None)

    def owned(self, owner: Object | Resource, kind: Kind) -> Sequence[Object]:
        """The objects of ``kind`` whose controller is ``owner``, by key."""
        uid = owner.uid if isinstance(owner, Object) else owner.metadata.uid
        return [each for each in self.list(kind) if any(ref.uid == uid for ref in each.owner_references)]


@dataclass(frozen=True, slots=True)
class _Setting:
    """What is the same for every seed."""

    make: Callable[[], Reconciler[Any]]
    draw: Callable[[Random], Mapping[str, Any]]
    kind: Kind
    owned: tuple[Kind, ...]
    world: tuple[Callable[[], Reconciler[Any]], ...]
    before: tuple[Mapping[str, Any], ...]
    invariants: tuple[Check, ...]
    converged: Check | None
    faults: Faults
    limits: Limits


class _Broken(Exception):
    """The seed fails: ``what`` kind of failure, and how."""

    def __init__(self, what: str, how: str) -> None:
        super().__init__(f"{what}: {how}")
        self.what = what


@dataclass(slots=True)
class _Outcome:
    broken: _Broken | None
    trace: Trace
    calls: int
    writes: int
    starts: int
    virtual_s: float
    faults: Counter[str]


def simulate(
    make: Callable[[], Reconciler[Any]],
    *,
    primaries: Primaries,
    seeds: int | Iterable[int] = 100,
    seed: int | None = None,
    invariants: Iterable[Check] = (),
    converged: Check | None = None,
    world: Iterable[Callable[[], Reconciler[Any]]] = (),
    objects: Iterable[ObjectLike] = (),
    crds: Iterable[type[Resource]] = (),
    faults: Faults | None = None,
    limits: Limits | None = None,
) -> Report:
    """Runs a reconciler through ``seeds`` different lives, and finds the one in which it fails.

    In each a user creates, changes and deletes primaries while calls are lost or refused, watches end and lag, owned
    objects are deleted by others, and the whole process crashes between two calls and starts again. Then the faults
    stop, and the world must become and stay what it should be.

    Guarantees:
        A seed is one run: whatever it finds, it finds again (`SimLoop` says what a reconciler must not do for that).
        No socket, thread, file or real waiting; a small reconciler takes some hundredths of a second a seed.
        It fails when

        - an invariant is broken, which are looked at after every write;
        - after the faults ``converged`` does not hold within ``limits.converge_s``, a key keeps failing (other than
          with TerminalError), or a deleted primary stays;
        - it is never quiet: more than ``limits.writes_max`` writes follow;
        - a restart with nothing changed writes something.

    Args:
        make: a new reconciler, as a new process would make it; called at every start of the process.
        primaries: what the user wants: examples, of which those of one name are variants of one object; or a
            function that draws one.
        seeds: how many, or which; ``seed`` one only, to replay it.
        invariants, converged: called with the `World`; they raise AssertionError, or return False, where it is not
            as it should be.
        world: reconcilers of what else acts in the cluster, such as a kubelet's stand-in; they do not fail.
        objects: what is there before.
        crds: `Resource` classes to be served, besides those that the reconciler names.
    Raises:
        SimulationFailed: with the seed, what went wrong, the few steps it needs, and what happened.
        ConfigError: there is nothing to simulate.
    """
    setting = _setting(make, primaries, invariants, converged, world, objects, crds, faults, limits)
    chosen = (seed,) if seed is not None else range(seeds) if isinstance(seeds, int) else tuple(seeds)
    outcomes = []
    for each in chosen:
        steps = _schedule(setting, each)
        outcome = _run(setting, each, steps)
        if outcome.broken is not None:
            raise _failed(setting, each, steps, outcome)
        outcomes.append(outcome)
    return Report(
        len(outcomes),
        sum(each.calls for each in outcomes),
        sum(each.writes for each in outcomes),
        sum(each.starts for each in outcomes),
        sum(each.virtual_s for each in outcomes),
        dict(sum((each.faults for each in outcomes), Counter())),
    )


def _setting(
    make: Callable[[], Reconciler[Any]],
    primaries: Primaries,
    invariants: Iterable[Check],
    converged: Check | None,
    world: Iterable[Callable[[], Reconciler[Any]]],
    objects: Iterable[ObjectLike],
    crds: Iterable[type[Resource]],
    faults: Faults | None,
    limits: Limits | None,
) -> _Setting:
    world = tuple(world)
    reconcilers = [make(), *(each() for each in world)]
    kinds = [_declared(each) for one in reconcilers for each in (*one.owns, *one.watches)]
    named = [one.resource for one in reconcilers if one.resource] + [each for each in kinds if isinstance(each, type)]
    definitions = [custom_resource_definition(each) for each in dict.fromkeys([*crds, *named])]
    kind = reconcilers[0].primary_kind()
    if callable(primaries):
        drawn = primaries

        def draw(rng: Random) -> Mapping[str, Any]:
            return _plain(drawn(rng), kind)
    else:
        examples = [_plain(each, kind) for each in primaries]
        if not examples:
            raise ConfigError("simulate() needs primaries: examples of what a user writes, or a function of a Random")

        def draw(rng: Random) -> Mapping[str, Any]:
            return rng.choice(examples)

    owned = tuple(_kind(_declared(each)) for each in reconcilers[0].owns)
    before = (*definitions, *(_plain(each) for each in objects))
    return _Setting(
        make,
        draw,
        kind,
        owned,
        world,
        before,
        tuple(invariants),
        converged,
        faults or Faults(),
        limits or Limits(),
    )


def _declared(each: Any) -> Any:
    """The kind that an entry of ``owns`` or ``watches`` names."""
    return each.kind if isinstance(each, Owns | Watch) else each


def _kind(kind: Any) -> Kind:
    return kind if isinstance(kind, Kind) else kind.resource_kind()


def _plain(value: ObjectLike, kind: Kind | None = None) -> Mapping[str, Any]:
    """As a dict; one of a namespaced ``kind`` lies in "default" unless it says another namespace."""
    if isinstance(value, Resource):
        value = value.to_object()
    plain = value.to_dict() if isinstance(value, Object) else dict(value)
    place = {"namespace": "default"} if kind is not None and kind.namespaced else {}
    return {**plain, "metadata": {**place, **plain["metadata"]}}


def _schedule(setting: _Setting, seed: int) -> tuple[Step, ...]:
    limits = setting.limits
    return draw_schedule(
        Random(f"{seed} schedule"),
        setting.draw,
        actions=limits.actions,
        duration_s=limits.faults_s,
        faults=setting.faults,
    )


def _run(setting: _Setting, seed: int, steps: Sequence[Step]) -> _Outcome:
    """One life. The cyclic collector is off: when it runs depends on what ran before, and it ends generators."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        loop = SimLoop(Random(f"{seed} loop"))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            life = _Life(setting, seed, steps, loop)
            broken = None
            try:
                runner.run(life.go())
            except _Broken as error:
                broken = error
            except SimulationError as error:
                broken = _Broken("stuck", str(error))
            network = life.network
            return _Outcome(broken, life.trace, network.calls, life.writes, life.starts, loop.time(), network.happened)
    finally:
        if collecting:
            gc.enable()


def _failed(setting: _Setting, seed: int, steps: Sequence[Step], outcome: _Outcome) -> SimulationFailed:
    """Makes the schedule smaller as long as it fails in the same way."""
    broken, trace = outcome.broken, outcome.trace

    def fails(fewer: Sequence[Step]) -> bool:
        nonlocal broken, trace
        again = _run(setting, seed, fewer)
        if again.broken is None or broken is None or again.broken.what != broken.what:
            return False
        broken, trace = again.broken, again.trace
        return True

    needed = shrunk(steps, fails, runs_max=SHRINK_RUNS_MAX)
    return SimulationFailed(
        seed=seed, problem=str(broken), steps=[str(each) for each in needed], steps_drawn=len(steps), trace=trace.shown
    )


class _Life:
    """One seed: a server, a user, the process under test, and the rest of the world."""

    def __init__(self, setting: _Setting, seed: int, steps: Sequence[Step], loop: SimLoop) -> None:
        self.trace = Trace(loop)
        self.writes = 0
        self.starts = 0
        self._setting = setting
        self._seed = seed
        self._steps = steps
        self._loop = loop
        self._clock = SimClock(loop)
        self._tasks = track_tasks(loop)
        self._server = ApiServer(port=None, clock=self._clock, rng=Random(f"{seed} server"))
        self._world = World(self._server, self._clock)
        self._written_at = 0.0
        self._last_write = ""
        self._broken: _Broken | None = None
        self._controller: Controller | None = None
        self._stop = asyncio.Event()
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(),
            processors=[self._noted],
            wrapper_class=structlog.make_filtering_bound_logger(30),
            cache_logger_on_first_use=False,
        )
        self.network: Network

    def _noted(self, _: Any, level: str, event: Any) -> Any:
        told = {name: each for name, each in event.items() if name in ("error", "kind", "key", "informer")}
        self.trace.add(f"log {level}: {event['event']} {told}")
        raise structlog.DropEvent

    async def go(self) -> None:
        """Raises _Broken."""
        await self._server.start()
        transport = self._server.transport()
        self.network = Network(
            transport, self._steps, self._setting.faults, Random(f"{self._seed} network"), self.trace
        )
        self._user = self._client(transport)
        await self._prepare()
        self._server.on_write(self._wrote)
        others = [
            self._start_manager(self._client(transport), make, -number).task
            for number, make in enumerate(self._setting.world, start=1)
        ]
        process = asyncio.create_task(self._keep_running(), name="the process's supervisor")
        try:
            await self._faulty_phase()
            await self._becomes_right()
            await self._stays_right_over_a_restart()
        finally:
            process.cancel()
            for number in [each for each in self._tasks if each != 0]:
                await kill(self._tasks[number])
            await asyncio.gather(process, *others, return_exceptions=True)
            await self._server.stop()
            await settle()

    async def _prepare(self) -> None:
        for value in self._setting.before:
            await self._user.create(value)

        async def served() -> bool:
            try:
                await self._user.list(self._setting.kind)
            except ApiError:
                return False
            return True

        await wait_until(served, what=f"{self._setting.kind} is served", timeout_s=10.0)

    # -- processes -----------------------------------------------------------------------------------------------

    def _start_manager(self, client: Client, make: Callable[[], Reconciler[Any]], number: int) -> _Started:
        """As a process of its own: ``number`` marks its tasks."""
        manager = Manager(
            client,
            watch_loop=False,
            clock=self._clock,
            rng=Random(f"{self._seed} manager {number}"),
            log=self._log,
        )
        controller = manager.add(make())
        context = Context()
        context.run(INCARNATION.set, number)
        return _Started(manager, controller, self._loop.create_task(manager.run(), name="manager", context=context))

    def _client(self, transport: Transport) -> Client:
        return Client(transport, clock=self._clock, on_warning=self._warned)

    def _warned(self, text: str) -> None:
        self.trace.add(f"the server warns: {text}", shown=False)

    async def _keep_running(self) -> None:
        """Starts the process under test whenever it is not there, as a kubelet does."""
        while True:
            self.starts += 1
            number = self.starts
            transport = ProcessTransport(self.network)
            started = self._start_manager(self._client(transport), self._setting.make, number)
            self._controller = started.controller
            died = asyncio.create_task(transport.died.wait())
            stopped = asyncio.create_task(self._stop.wait())
            try:
                await asyncio.wait([started.task, died, stopped], return_when=asyncio.FIRST_COMPLETED)
            finally:
                died.cancel()
                stopped.cancel()
            self._controller = None
            transport.died.set()
            if started.task.done() and not started.task.cancelled() and started.task.exception() is not None:
                self.trace.add(f"the process ended: {started.task.exception()!r}")
            await kill(self._tasks.get(number, {}))
            self._stop.clear()
            await asyncio.sleep(RESTART_S if transport.crash is None else transport.crash.away_s)
            self.trace.add("the process starts again")

    # -- what befalls it -----------------------------------------------------------------------------------------

    async def _faulty_phase(self) -> None:
        began = self._loop.time()
        timed = [each for each in self._steps if isinstance(each, Put | Delete | DeleteChild | Cut)]
        for step in sorted(timed, key=lambda each: each.at_s):
            await asyncio.sleep(max(began + step.at_s - self._loop.time(), 0.0))
            self._raise_broken()
            match step:
                case Put():
                    await self._put(step.value)
                case Delete(_, key):
                    await self._delete(self._setting.kind, key, f"the user deletes {key}")
                case DeleteChild(_, draw):
                    children = [each for kind in self._setting.owned for each in self._world.list(kind)]
                    children = [each for each in children if any(True for _ in each.owner_references)]
                    if children:
                        child = children[draw % len(children)]
                        told = f"somebody deletes {child.gvk.kind} {child.key}"
                        await self._delete(await self._user.kind_of(child.gvk), child.key, told)
                case Cut(_, compacted):
                    self.trace.add("every watch is cut" + (", and history forgotten" if compacted else ""))
                    if compacted:
                        self._server.compact()
                    self.network.cut_watches()
        await asyncio.sleep(max(began + self._setting.limits.faults_s - self._loop.time(), 0.0))

    async def _put(self, value: Mapping[str, Any]) -> None:
        kind, key = self._setting.kind, key_of(value)
        found = self._world.get(kind, key.name, key.namespace)
        self.trace.add(f"the user {'changes' if found else 'creates'} {value['kind']} {key}")
        try:
            if found is None:
                await self._user.create(value)
            else:
                rest = {name: each for name, each in value.items() if name not in ("metadata", "status")}
                await self._user.update({**found.to_dict(), **rest})
        except ApiError as error:
            self.trace.add(f"the user is told {error}")

    async def _delete(self, kind: Kind, key: Key, told: str) -> None:
        self.trace.add(told)
        try:
            await self._user.delete(kind, key, propagation_policy="Background")
        except NotFound:
            return

    def _wrote(self, event: str, value: Object) -> None:
        if value.gvk.kind in _BESIDE:
            return
        self.writes += 1
        self._written_at = self._loop.time()
        self._last_write = f"{event} {value.gvk.kind} {value.key}"
        self.trace.add(f"{self._last_write} at {value.resource_version}")
        for check in self._setting.invariants if self._broken is None else ():
            problem = _problem(check, self._world)
            if problem is not None:
                self.trace.add(f"an invariant is broken: {problem}")
                self._broken = _Broken("an invariant is broken", problem)
                return

    def _raise_broken(self) -> None:
        if self._broken is not None:
            raise self._broken

    # -- what must be --------------------------------------------------------------------------------------------

    async def _becomes_right(self) -> None:
        self.network.troubled = False
        self.trace.add("the faults stop")
        limits = self._setting.limits
        began, writes = self._loop.time(), self.writes
        pause_s = 1.0
        while True:
            self._raise_broken()
            now = self._loop.time()
            if now - max(self._written_at, began) >= limits.quiet_s:
                problem = self._not_right()
                if problem is None:
                    return
                if now - began > limits.converge_s:
                    raise _Broken("not converged", problem)
                pause_s = min(pause_s * 2, 60.0)
            if self.writes - writes > limits.writes_max or now - began > limits.converge_s + limits.quiet_s:
                how = f"{self.writes - writes} writes in {now - began:.0f} s without a fault"
                raise _Broken("never quiet", f"{how}, the last: {self._last_write}")
            await asyncio.sleep(pause_s)

    def _not_right(self) -> str | None:
        if self._controller is None:
            return "the process does not run"
        for key, failing in self._controller.failing().items():
            if not failing.error.startswith("TerminalError"):
                return f"{key} keeps failing: {failing.error}"
        for each in self._world.list(self._setting.kind):
            if each.deleting:
                return f"{each.key} is deleted and does not go; finalizers: {', '.join(each.finalizers)}"
        return None if self._setting.converged is None else _problem(self._setting.converged, self._world)

    async def _stays_right_over_a_restart(self) -> None:
        before = self.writes
        self.trace.add("the process is stopped, and nothing changed")
        self._stop.set()
        await asyncio.sleep(self._setting.limits.quiet_s)
        self._raise_broken()
        written = self.writes - before
        if written > self._setting.limits.restart_writes:
            how = f"{written} writes after a restart with nothing changed, the last: {self._last_write}"
            raise _Broken("not idempotent", how)
        problem = self._not_right()
        if problem is not None:
            raise _Broken("not converged", f"{problem} (after a restart with nothing changed)")


@dataclass(frozen=True, slots=True)
class _Started:
    manager: Manager
    controller: Controller
    task: asyncio.Task[None]


def _problem(check: Check, world: World) -> str | None:
    """What a check says is wrong; the line that says so where it has no words."""
    name = getattr(check, "__name__", repr(check))
    try:
        answer = check(world)
    except AssertionError as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        return str(error).partition("\n")[0] or f"{name}: {at.line} (line {at.lineno})"
    return f"{name} does not hold" if answer is False else None
