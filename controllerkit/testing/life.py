"""One seed of a simulation: a server, a user, the processes under test, the rest of the world, and what must hold."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeVar, overload

import structlog

from controllerkit.apiserver import ApiServer
from controllerkit.client import Client
from controllerkit.controller import Controller, Reconciler
from controllerkit.errors import ApiError, NotFound
from controllerkit.manager import LeaderElection, Manager
from controllerkit.objects import Key, Kind, Object, kinds
from controllerkit.runtime import wait_until
from controllerkit.schema import Resource
from controllerkit.testing.clock import settle
from controllerkit.testing.process import INCARNATION, Network, Outside, ProcessTransport, Trace, kill, track_tasks
from controllerkit.testing.schedule import (
    Crash,
    Cut,
    CutOff,
    Delete,
    DeleteChild,
    Faults,
    Pause,
    Put,
    Step,
    Trouble,
    key_of,
)
from controllerkit.testing.simloop import SimClock, SimLoop
from controllerkit.wire import Transport, WireRequest

__all__ = ["Broken", "Check", "Life", "Limits", "Outcome", "Setting", "World"]

RESTART_S: Final = 1.0
TAKE_OVER_S: Final = 30.0
"""A lease of 15 s runs out, and whoever waits for it asks every 2 to 4.4 s."""

_LEASE: Final = Key("default", "simulated")
_BESIDE: Final = ("Event", "Lease")
"""Kinds whose writes are no progress."""

R = TypeVar("R", bound=Resource)

Check = Callable[["World"], object]


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


class World:
    """What the API server holds at this moment: for invariants and for `converged`.

    Attributes:
        clock: the time of this seed.
        outside: what ``simulate(outside=…)`` made for it.
        memory: for checks to remember in, new for each seed.
    """

    def __init__(self, server: ApiServer, clock: SimClock, outside: Any = None) -> None:
        self._server = server
        self.clock = clock
        self.outside = outside
        self.memory: dict[str, Any] = {}

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
class Setting:
    """What is the same for every seed. ``make`` and those of ``world`` take what ``outside`` made."""

    make: Callable[[Any], Reconciler[Any]]
    draw: Callable[[Random], Mapping[str, Any]]
    kind: Kind
    owned: tuple[Kind, ...]
    world: tuple[Callable[[Any], Reconciler[Any]], ...]
    outside: Callable[[Outside], Any]
    replicas: int
    before: tuple[Mapping[str, Any], ...]
    invariants: tuple[Check, ...]
    converged: Check | None
    faults: Faults
    limits: Limits


class Broken(Exception):
    """The seed fails: ``what`` kind of failure, and how."""

    def __init__(self, what: str, how: str) -> None:
        super().__init__(f"{what}: {how}")
        self.what = what


@dataclass(slots=True)
class Outcome:
    """How it ended, and what was counted."""

    broken: Broken | None
    trace: Trace
    calls: int
    writes: int
    starts: int
    virtual_s: float
    faults: Counter[str]


class Life:
    """One seed: a server, a user, the process under test, and the rest of the world."""

    def __init__(self, setting: Setting, seed: int, steps: Sequence[Step], loop: SimLoop) -> None:
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
        names = [f"replica {number}" for number in range(setting.replicas)]
        self._replicas = [_Replica(name) for name in (names if len(names) > 1 else ["the process"])]
        self._written_at = 0.0
        self._last_write = ""
        self._broken: Broken | None = None
        self._away: list[asyncio.Task[None]] = []
        self._elects = len(self._replicas) > 1
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
        """Raises Broken."""
        await self._server.start()
        transport = self._server.transport()
        self.network = Network(
            transport, self._steps, self._setting.faults, Random(f"{self._seed} network"), self.trace
        )
        line = Outside(Random(f"{self._seed} outside"), self.network.processes, self.trace.add)
        self._world.outside = self._setting.outside(line)
        self._user = self._client(transport)
        await self._prepare()
        self._server.on_write(self._wrote)
        others = [
            self._start_manager(self._client(transport), make, -number).task
            for number, make in enumerate(self._setting.world, start=1)
        ]
        supervisors = [
            asyncio.create_task(self._keep_running(each), name=f"the supervisor of {each}") for each in self._replicas
        ]
        try:
            await self._faulty_phase()
            await self._becomes_right()
            await self._stays_right_over_a_restart()
        finally:
            for each in supervisors:
                each.cancel()
            for number in [each for each in self._tasks if each != 0]:
                self._loop.resume(self._tasks[number])
                await kill(self._tasks[number])
            await asyncio.gather(*supervisors, *others, return_exceptions=True)
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

    def _start_manager(
        self,
        client: Client,
        make: Callable[[Any], Reconciler[Any]],
        number: int,
        election: LeaderElection | None = None,
    ) -> _Started:
        """As a process of its own: ``number`` marks its tasks."""
        manager = Manager(
            client,
            watch_loop=False,
            leader_election=election,
            clock=self._clock,
            rng=Random(f"{self._seed} manager {number}"),
            log=self._log,
        )
        controller = manager.add(make(self._world.outside))
        context = Context()
        context.run(INCARNATION.set, number)
        return _Started(manager, controller, self._loop.create_task(manager.run(), name="manager", context=context))

    def _client(self, transport: Transport) -> Client:
        return Client(transport, clock=self._clock, on_warning=self._warned)

    def _warned(self, text: str) -> None:
        self.trace.add(f"the server warns: {text}", shown=False)

    async def _keep_running(self, replica: _Replica) -> None:
        """Starts a process under test whenever it is not there, as a kubelet does."""
        while True:
            self.starts += 1
            number = self.starts
            identity, election, asked = f"{replica} start {number}", None, None
            if self._elects:
                election = LeaderElection(name=_LEASE.name, namespace=_LEASE.namespace, identity=identity)

                def asked(verb: str, request: WireRequest, identity: str = identity) -> None:
                    self._check_leads(identity, verb, request)

            transport = ProcessTransport(self.network, asked)
            started = self._start_manager(self._client(transport), self._setting.make, number, election)
            replica.controller, replica.transport, replica.number = started.controller, transport, number
            self.network.processes[number] = transport
            died = asyncio.create_task(transport.died.wait())
            stopped = asyncio.create_task(replica.stop.wait())
            try:
                await asyncio.wait([started.task, died, stopped], return_when=asyncio.FIRST_COMPLETED)
            finally:
                died.cancel()
                stopped.cancel()
            replica.controller = None
            transport.died.set()
            if started.task.done() and not started.task.cancelled() and started.task.exception() is not None:
                self.trace.add(f"{replica} ended: {started.task.exception()!r}")
            self._loop.resume(self._tasks.get(number, {}))
            await kill(self._tasks.get(number, {}))
            self.network.processes.pop(number, None)
            replica.stop.clear()
            await asyncio.sleep(RESTART_S if transport.crash is None else transport.crash.away_s)
            self.trace.add(f"{replica} starts again")

    def _check_leads(self, identity: str, verb: str, request: WireRequest) -> None:
        """No write may leave a process that does not hold the lease by what the server says; Events may."""
        path = request.path.partition("?")[0]
        if verb in ("get", "watch") or path.rpartition("/")[2] == "events" or "/events/" in path or "/leases" in path:
            return
        lease = self._world.get(kinds.LEASE, _LEASE.name, _LEASE.namespace)
        holder = lease.spec.get("holderIdentity") if lease is not None else None
        if holder != identity and self._broken is None:
            how = f"{verb} {path} by {identity}, while {holder or 'nobody'} holds the lease"
            self.trace.add(f"a write without the lease: {how}")
            self._broken = Broken("a write without the lease", how)

    # -- what befalls it -----------------------------------------------------------------------------------------

    async def _faulty_phase(self) -> None:
        began = self._loop.time()
        timed = [each for each in self._steps if not isinstance(each, Trouble | Crash)]
        for step in sorted(timed, key=lambda each: each.at_s):
            await asyncio.sleep(max(began + step.at_s - self._loop.time(), 0.0))
            self._raise_broken()
            match step:
                case Put():
                    await self._put(step.value)
                case Delete(_, key):
                    await self._delete(self._setting.kind, key, f"the user deletes {key}")
                case DeleteChild(_, draw):
                    await self._delete_child(draw)
                case Cut(_, compacted):
                    self.trace.add("every watch is cut" + (", and history forgotten" if compacted else ""))
                    if compacted:
                        self._server.compact()
                    self.network.cut_watches()
                case Pause(_, number, for_s):
                    self._away.append(asyncio.create_task(self._pause(self._replicas[number], for_s)))
                case CutOff(_, number, for_s):
                    self._away.append(asyncio.create_task(self._cut_off(self._replicas[number], for_s)))
        await asyncio.gather(*self._away)
        await asyncio.sleep(max(began + self._setting.limits.faults_s - self._loop.time(), 0.0))

    async def _delete_child(self, draw: int) -> None:
        children = [each for kind in self._setting.owned for each in self._world.list(kind)]
        children = [each for each in children if any(True for _ in each.owner_references)]
        if children:
            child = children[draw % len(children)]
            told = f"somebody deletes {child.gvk.kind} {child.key}"
            await self._delete(await self._user.kind_of(child.gvk), child.key, told)

    async def _pause(self, replica: _Replica, for_s: float) -> None:
        tasks = self._tasks.get(replica.number, {})
        if replica.controller is None:
            return
        self.network.happened["Pause"] += 1
        self.trace.add(f"{replica} stands still for {for_s:.2f} s")
        self._loop.pause(tasks)
        await asyncio.sleep(for_s)
        self._loop.resume(tasks)
        self.trace.add(f"{replica} goes on")

    async def _cut_off(self, replica: _Replica, for_s: float) -> None:
        transport = replica.transport
        if replica.controller is None or transport is None:
            return
        self.network.happened["CutOff"] += 1
        self.trace.add(f"{replica} is cut off for {for_s:.2f} s")
        transport.reaches.clear()
        await asyncio.sleep(for_s)
        transport.reaches.set()
        self.trace.add(f"{replica} reaches the server again")

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
                self._broken = Broken("an invariant is broken", problem)
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
                    raise Broken("not converged", problem)
                pause_s = min(pause_s * 2, 60.0)
            if self.writes - writes > limits.writes_max or now - began > limits.converge_s + limits.quiet_s:
                how = f"{self.writes - writes} writes in {now - began:.0f} s without a fault"
                raise Broken("never quiet", f"{how}, the last: {self._last_write}")
            await asyncio.sleep(pause_s)

    def _not_right(self) -> str | None:
        running = [each.controller for each in self._replicas if each.controller is not None]
        if len(running) < len(self._replicas):
            return "; ".join(f"{each} does not run" for each in self._replicas if each.controller is None)
        for key, failing in [each for one in running for each in one.failing().items()]:
            if not failing.error.startswith("TerminalError"):
                return f"{key} keeps failing: {failing.error}"
        for each in self._world.list(self._setting.kind):
            if each.deleting:
                return f"{each.key} is deleted and does not go; finalizers: {', '.join(each.finalizers)}"
        return None if self._setting.converged is None else _problem(self._setting.converged, self._world)

    async def _stays_right_over_a_restart(self) -> None:
        before = self.writes
        self.trace.add(f"{', '.join(map(str, self._replicas))} is stopped, and nothing changed")
        for each in self._replicas:
            each.stop.set()
        await asyncio.sleep(self._setting.limits.quiet_s + (TAKE_OVER_S if self._elects else 0.0))
        self._raise_broken()
        written = self.writes - before
        if written > self._setting.limits.restart_writes:
            how = f"{written} writes after a restart with nothing changed, the last: {self._last_write}"
            raise Broken("not idempotent", how)
        problem = self._not_right()
        if problem is not None:
            raise Broken("not converged", f"{problem} (after a restart with nothing changed)")


@dataclass(eq=False, slots=True)
class _Replica:
    """One of the processes under test, and what of it runs."""

    name: str
    controller: Controller | None = None
    transport: ProcessTransport | None = None
    number: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def __str__(self) -> str:
        return self.name


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
