"""`replay`: new code on a recorded cluster, and what it does otherwise."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any, Final

import structlog

from controllerkit.cache import CacheOptions
from controllerkit.client import Client
from controllerkit.controller import Controller, Owns, Reconciler, Watch
from controllerkit.errors import ManagerError, RecordingError, SimulationError
from controllerkit.manager import Manager
from controllerkit.objects import GVK, Kind, kinds
from controllerkit.runtime import cancel_and_wait
from controllerkit.schema import Resource, custom_resource_definition
from controllerkit.testing.replay.pace import pace_of
from controllerkit.testing.replay.report import ReplayReport, compared, compared_events
from controllerkit.testing.replay.story import Story
from controllerkit.testing.replay.transport import ReplayTransport
from controllerkit.testing.replay.world import ReplayedWorld
from controllerkit.testing.simloop import SimClock, SimLoop
from controllerkit.wire.recording import Recording

__all__ = ["replay"]

GRACE_S: Final = 60.0
"""For what is in work when the recording ends."""


def replay(
    recording: Recording,
    reconcilers: Iterable[Callable[[], Reconciler[Any]]],
    *,
    caches: CacheOptions | None = None,
    seed: int = 0,
) -> ReplayReport:
    """Runs ``reconcilers`` on the recorded cluster, in virtual time, and compares what they write.

    The new code lists and watches what the recorded operator saw, when it saw it; a key is taken up when it was then
    (`pace_of`). Its writes are sent nowhere. One that repeats a recorded write of the same object, in its turn, is
    answered as that was. Any other is answered as the state implies, by the embedded API server; from then on that
    object is another than it was: what others did to it is carried over, as a merge patch, and what the recorded
    operator did to it is not.

    Guarantees:
        The same recording, code and seed give the same report in every process. Another seed lets tasks take turns in
        another order; it should make no difference.

        Not compared, since it differs between any two runs: in ``metadata``, owner references and preconditions
        resourceVersion, uid, generation, creationTimestamp and managedFields; the times of conditions
        (lastTransitionTime, lastUpdateTime, lastHeartbeatTime, lastProbeTime) and any two times at most 2 s apart;
        Leases and Events about them; names, times and counts of Events; dry runs; what was redacted, beyond that it is
        there.

    Caveats:
        Others do what they did, whatever the new code does: a Deployment that the new code makes otherwise gets no Pods
        of its own. Owners that only the new code deletes do not take their dependents with them. Admission webhooks
        and rules in CEL do not judge a write that differs. Calls to anything else than the API server are not in the
        recording: a reconciler that makes them needs a stand-in. There are no threads and no sockets (`SimLoop`).

    Args:
        reconcilers: each makes one, as a new process would.
        caches: where they are not the recorded namespaces, whole.
    Raises:
        RecordingError: the new code asks for what was not recorded; it says what.
        SimulationError: it waits for what never comes, or wants a thread or a socket.
    """
    collecting = gc.isenabled()
    gc.disable()  # when it runs depends on what ran before, and it ends generators
    try:
        loop = SimLoop(Random(f"{seed} loop"))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(_Replay(recording, [make() for make in reconcilers], caches, seed, loop).go())
    finally:
        if collecting:
            gc.enable()


class _Replay:
    def __init__(
        self,
        recording: Recording,
        reconcilers: Sequence[Reconciler[Any]],
        caches: CacheOptions | None,
        seed: int,
        loop: SimLoop,
    ) -> None:
        self._recording = recording
        self._reconcilers = reconcilers
        self._story = Story(recording)
        self._loop = loop
        start = recording.began - timedelta(seconds=loop.time())
        self._clock = SimClock(loop, start=start)
        self._seed = seed
        self._errors: dict[tuple[str, str], str] = {}
        self._caches = caches or CacheOptions(namespaces=tuple(recording.header.namespaces))
        self._world = ReplayedWorld(self._story, clock=self._clock, rng=Random(f"{seed} world"))
        self._transport = ReplayTransport(self._story, self._world, loop)

    async def go(self) -> ReplayReport:
        for each in self._reconcilers:
            if not inspect.iscoroutinefunction(each.reconcile):
                name = type(each).__name__
                raise SimulationError(f"{name}.reconcile runs in a thread, and a replay has none; make it a coroutine")
        self._refuse_strangers()
        self._world.serve(_kinds_of(self._reconcilers), _definitions_of(self._reconcilers))
        manager, controllers = self._manager()
        stop = asyncio.Event()
        feeding = asyncio.create_task(self._feed(), name="the recorded cluster")
        running = asyncio.create_task(manager.run(stop), name="the new code")
        try:
            await self._until_the_end(running)
            stop.set()
            failing = {
                f"{each.name}: {key}": self._errors.get((each.name, str(key)), failing.error)
                for each in controllers
                for key, failing in each.failing().items()
            }
            with suppress(ManagerError):  # told by `failing`, or by what is missing
                await running
        finally:
            await cancel_and_wait(running, feeding)
            await self._world.mirror.close()
        if self._transport.problem is not None:
            raise self._transport.problem
        return ReplayReport(
            objects=compared(self._story.writes, self._transport.writes),
            events=compared_events(
                (body for _, body in self._story.events), (body for _, body in self._transport.events)
            ),
            failing=failing,
            unwatched=self._unwatched(),
            duration_s=round(self._recording.duration_s, 3),
            partial=not self._recording.whole,
        )

    def _manager(self) -> tuple[Manager, list[Controller]]:
        header = self._recording.header
        client = Client(
            self._transport,
            clock=self._clock,
            namespace=header.namespace,
            field_manager=_field_manager(self._story),
            on_warning=lambda text: None,
        )
        for kind in _kinds_of(self._reconcilers):
            client.mapper.register(kind)
        manager = Manager(
            client,
            caches=self._caches,
            watch_loop=False,
            grace_period_s=GRACE_S,
            clock=self._clock,
            rng=Random(f"{self._seed} manager"),
            log=structlog.wrap_logger(
                structlog.PrintLogger(),
                processors=[self._noted],
                wrapper_class=structlog.make_filtering_bound_logger(30),
                cache_logger_on_first_use=False,
            ),
        )
        controllers = []
        for reconciler in self._reconcilers:
            controller = manager.add(reconciler)
            was = self._recorded_name(controller.name, reconciler.primary_kind())
            controller.queue.hold_until(pace_of(self._story, was, sharded=header.sharded))
            controllers.append(controller)
        return manager, controllers

    def _recorded_name(self, name: str, kind: Kind) -> str:
        """What this controller was called in the recording: the same, or the only one of its kind."""
        recorded = self._recording.header.reconcilers
        alike = [each for each, of in recorded.items() if of == str(kind)]
        return alike[0] if name not in recorded and len(alike) == 1 else name

    def _noted(self, _: Any, level: str, event: Any) -> Any:
        """Keeps the words of a failure, which `Controller.failing` keeps to itself where they are not ours."""
        if event["event"] == "reconcile_failed":
            about = structlog.contextvars.get_contextvars()
            key = next((str(each) for name, each in about.items() if name not in ("controller", "reconcile_id")), "")
            self._errors[event["controller"], key] = event["error"]
        raise structlog.DropEvent

    async def _feed(self) -> None:
        for change in self._story.changes:
            if change.t > self._loop.time():
                await asyncio.sleep(change.t - self._loop.time())
            self._world.happens(change)

    async def _until_the_end(self, running: asyncio.Task[None]) -> None:
        over = asyncio.create_task(asyncio.sleep(self._story.ends_at), name="the recording")
        failed = asyncio.create_task(self._transport.failed.wait())
        try:
            await asyncio.wait([over, failed, running], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(over, failed)
        if running.done() and self._transport.problem is None:
            running.result()

    # -- whether they fit ------------------------------------------------------------------------------------------

    def _refuse_strangers(self) -> None:
        """Raises RecordingError where nothing of a declared kind was recorded; it names all of them."""
        recorded = {(scope.group, scope.plural) for scope in self._story.synced}
        wanted = _declared(self._reconcilers)
        missing = sorted(str(kind) for kind in wanted if (kind.group, kind.plural) not in recorded)
        if not missing:
            return
        was = ", ".join(f"{name} of {kind}" for name, kind in self._recording.header.reconcilers.items())
        raise RecordingError(
            f"the new code watches {', '.join(missing)}, which was not recorded; it is a recording of {was or 'calls'} "
            f"with {', '.join(sorted(_resource(*each) for each in recorded)) or 'no collection'}: record again with "
            "code that watches what is missing (controllerkit record)"
        )

    def _unwatched(self) -> tuple[str, ...]:
        declared = {(kind.group, kind.plural) for kind in _declared(self._reconcilers)}
        watched = {(scope.group, scope.plural) for scope in self._story.followed}
        return tuple(sorted(_resource(*each) for each in watched - declared))


def _resource(group: str, plural: str) -> str:
    return f"{plural}.{group}" if group else plural


def _interests(reconcilers: Iterable[Reconciler[Any]]) -> list[Any]:
    """Every kind that they declare and need: primary, owned, watched."""
    found: list[Any] = []
    for each in reconcilers:
        found.append(each.resource or each.primary_kind())
        for watched in (*each.owns, *each.watches):
            if not isinstance(watched, Owns | Watch):
                found.append(watched)
            elif not watched.optional:
                found.append(watched.kind)
    return found


def _kinds_of(reconcilers: Iterable[Reconciler[Any]]) -> list[Kind]:
    """Those whose names they know."""
    named = [each for each in _interests(reconcilers) if not isinstance(each, GVK)]
    return [each if isinstance(each, Kind) else each.resource_kind() for each in named]


def _declared(reconcilers: Iterable[Reconciler[Any]]) -> list[Kind]:
    by_name = [each for each in _interests(reconcilers) if isinstance(each, GVK)]
    return [*_kinds_of(reconcilers), *(kinds.BUILTIN[each] for each in by_name if each in kinds.BUILTIN)]


def _definitions_of(reconcilers: Iterable[Reconciler[Any]]) -> list[dict[str, Any]]:
    """Of the models among them; one for each kind, with all its versions."""
    versions: dict[tuple[str, str], dict[type[Resource], None]] = {}
    for each in _interests(reconcilers):
        if isinstance(each, type) and issubclass(each, Resource):
            kind = each.resource_kind()
            versions.setdefault((kind.group, kind.kind), {})[each] = None
    return [custom_resource_definition(*models) for models in versions.values()]


def _field_manager(story: Story) -> str:
    paths = (each.exchange.path for each in story.writes)
    named = (path.asks("fieldManager") for path in paths if path is not None)
    return next(filter(None, named), "controllerkit")
