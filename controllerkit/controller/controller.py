"""The loop that drives a `Reconciler`: watches and sources into the queue, workers out of it."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from random import Random
from typing import Any, Final

import structlog

from controllerkit.cache import Handler, Informers, Unsettled
from controllerkit.client import KindLike
from controllerkit.controller.delivery import Delivery, told_of_other, told_of_primary
from controllerkit.controller.failing import Failing, FailureLedger, named, told_of
from controllerkit.controller.handlers import enqueue_owner, enqueue_self
from controllerkit.controller.metrics import ControllerMetrics
from controllerkit.controller.predicates import ChangeEvent
from controllerkit.controller.preview import Preview, preview_of
from controllerkit.controller.reconciler import Reconciler
from controllerkit.controller.result import Forget, Owns, Request, RequeueAfter, Result, Retry, Watch, outcome_of
from controllerkit.controller.settling import OwnWrites
from controllerkit.controller.sources import Source
from controllerkit.controller.threads import Threads
from controllerkit.election import Gained, Shards
from controllerkit.errors import AlreadyExists, ConfigError, Conflict, ControllerkitError, DeadlineExceeded, NotFound
from controllerkit.objects import Key, Kind, Object, set_condition
from controllerkit.runtime import Clock, Deadline, awaited_place, cancel_and_wait
from controllerkit.workqueue import LOW_PRIORITY, ItemExponentialLimiter, QueueShutDown, WorkQueue, WorkQueueMetrics

__all__ = ["Controller", "InFlight"]

OPTIONAL_KIND_POLL_S: Final = 10.0
"""controller-runtime's Kind source asks this often for a kind that is not served yet."""

RETRY_JITTER: Final = 0.1
"""Keys that failed together, because what they all need was away, do not all come back together. client-go has none
here; the share is that of its ``retry.DefaultRetry``."""

FAILING_CONDITION: Final = "Stalled"
"""The kstatus convention: true while a controller makes no progress, and gone or false otherwise."""

_BUGS_EXCLUDE: Final = (ControllerkitError, OSError, TimeoutError, ExceptionGroup)
"""What the world does to a reconciler. Any other exception is the reconciler's own: what Go would call a panic."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """A key in work, for ``for_s`` seconds now; ``where`` is the innermost place it waits at."""

    key: Key
    reasons: frozenset[str]
    for_s: float
    where: str


@dataclass(frozen=True, slots=True)
class _Work:
    request: Request
    began: float
    task: asyncio.Task[Any]


class Controller:
    """Runs one `Reconciler`.

    Args:
        on_pass: told of every reconcile as it begins: this controller's name, the key, and for how many seconds it had
            been ready.
    Guarantees:
        No reconcile starts before every declared kind has synced and every source has told its start; the same key
        is never reconciled twice at once; whatever a reconciler raises ends neither the worker nor another key.
        A key is not reconciled against a cache that may be older than what it wrote itself (`OwnWrites`).
        Namespaces take turns: one that floods the queue cannot starve the others. Failures of a key are forgotten
        when it succeeds, and when its object's generation changes; no other event shortens its back-off.
    """

    def __init__(
        self,
        reconciler: Reconciler[Any],
        informers: Informers,
        *,
        clock: Clock,
        log: Any,
        metrics: ControllerMetrics,
        queue_metrics: WorkQueueMetrics,
        rng: Random | None = None,
        shards: Shards | None = None,
        on_pass: Callable[[str, Key, float], None] | None = None,
    ) -> None:
        self.reconciler = reconciler
        self.name = reconciler.name
        self.clock = clock
        self._informers = informers
        self._shards = shards
        self._on_pass = on_pass
        self._log = log.bind(controller=self.name)
        self._metrics = metrics.of(self.name, reconciler.max_concurrent_reconciles)
        self.queue: WorkQueue[Key] = WorkQueue(
            name=self.name,
            clock=clock,
            limiter=reconciler.limiter or ItemExponentialLimiter[Key](jitter=RETRY_JITTER, rng=rng),
            metrics=queue_metrics.of(self.name),
            fairness=attrgetter("namespace"),
        )
        self._delivery = Delivery(self.queue, self._log, self._metrics.handler_errors)
        self._plain = not inspect.iscoroutinefunction(reconciler.reconcile)
        self._threads: Threads | None = None
        self._failures = FailureLedger()
        self._in_flight: dict[Key, _Work] = {}
        self._own_writes = OwnWrites(
            reconciler.client, informers.overlay, clock, self._wake, self._metrics.stale_skips, self._log
        )
        self._sources = list(reconciler.sources)
        self._beside: list[asyncio.Task[None]] = []
        self._more_beside = asyncio.Event()
        self._warm: asyncio.Task[None] | None = None
        self._started = False
        self._stopping = False

    # -- looking in ----------------------------------------------------------------------------------------------

    def in_flight(self) -> tuple[InFlight, ...]:
        """The keys in work, longest first."""
        now = self.clock.monotonic()
        works = sorted(self._in_flight.values(), key=lambda work: work.began)
        return tuple(
            InFlight(each.request.key, each.request.reasons, now - each.began, awaited_place(each.task))
            for each in works
        )

    def failing(self) -> Mapping[Key, Failing]:
        """The keys whose last reconcile failed, with the error and since when."""
        return self._failures.snapshot()

    @property
    def waiting_for_own_write(self) -> frozenset[Key]:
        """The keys that are not reconciled yet, as the cache may not have seen what they wrote; see `OwnWrites`."""
        return self._own_writes.waiting

    # -- starting ------------------------------------------------------------------------------------------------

    async def declare(self) -> None:
        """Declares the informers and connects their handlers; before the caches are started.

        Raises:
            ConfigError: a kind that is not optional is not served, or the class declares none.
        """
        primary = self.reconciler.primary_kind()
        self.reconciler.attach(asyncio.get_running_loop())
        informer = await self._informers.declare(primary)
        informer.add_handler(self._primary_handler(), resync_s=self.reconciler.resync_s)
        if self._shards is not None:
            self._shards.on_moved.append(self._shard_moved)
        watches: list[Owns | Watch] = [*map(_as_owns, self.reconciler.owns), *self.reconciler.watches]
        for watched in watches:
            await self.watch(watched)

    async def watch(self, watched: Owns | Watch | Source) -> None:
        """Adds to what the class declares: before the start it begins with the rest, afterwards at once.

        Raises:
            ConfigError: the controller stops; a kind that is not optional is not served.
        """
        if self._stopping:
            raise ConfigError(f"controller {self.name} was stopped; nothing can be watched for it any more")
        if isinstance(watched, Source):
            if self._warm is None:
                self._sources.append(watched)
            else:
                self._start_source(watched)
        elif watched.optional:
            present = await self._look_for(watched, None)
            self._spawn(self._follow_optional(watched, present), f"{self.name} waits for {watched.kind}")
        else:
            await self._declare_watched(watched)

    def _start_source(self, source: Source) -> _Sink:
        sink = _Sink(self, source)
        self._spawn(sink.run(), f"{self.name} source {sink.name}")
        return sink

    async def _declare_watched(self, watched: Owns | Watch) -> Kind:
        informer = await self._informers.declare(
            watched.kind,
            label_selector=watched.label_selector,
            field_selector=watched.field_selector,
            metadata_only=watched.metadata_only,
        )
        if isinstance(watched, Owns):
            owners = enqueue_owner(self.reconciler.primary_kind(), every_owner=watched.every_owner)
            handler = self._delivery.handler(
                owners, watched.predicates, partial(told_of_other, "owned "), on_gone=self._forget_child
            )
        else:
            handler = self._delivery.handler(watched.enqueue, watched.predicates, partial(told_of_other, ""))
        informer.add_handler(handler)
        return await self.reconciler.client.kind_of(informer.kind)

    async def _follow_optional(self, watched: Owns | Watch, present: Kind | None) -> None:
        """Watches a kind while it is served."""
        while True:
            await self.clock.sleep(OPTIONAL_KIND_POLL_S)
            present = await self._look_for(watched, present)

    async def _look_for(self, watched: Owns | Watch, present: Kind | None) -> Kind | None:
        """Begins to watch a kind that has come, and ends it for one that has gone; the kind while it is there."""
        served = await self._served(watched.kind)
        if served and present is None:
            present = await self._declare_watched(watched)
            self._log.info("optional_kind_appeared", kind=str(present))
        elif present is not None and served is False:
            self._log.info("optional_kind_went", kind=str(present))
            await self._informers.remove(present)
            present = None
        return present

    async def _served(self, kind: KindLike) -> bool | None:
        """Whether the server serves ``kind``; None where it did not say."""
        client = self.reconciler.client
        gvk = kind.resource_kind().gvk if isinstance(kind, type) else kind.gvk if isinstance(kind, Kind) else kind
        try:
            resources = await client.mapper.resources(gvk.group, gvk.version)
        except ControllerkitError as error:
            self._log.info("discovery_failed", kind=gvk.kind, error=str(error))
            return None
        return any(each.gvk == gvk for each in resources)

    async def warm_up(self) -> None:
        """Starts the sources and waits for caches and sources, without working on anything yet.

        For a standby: when it comes to lead, what there is to do is queued already. Again is the same.

        Raises:
            DeadlineExceeded: a cache or a source did not sync in time; it is named.
        """
        if self._warm is None:
            self._warm = asyncio.create_task(self._warmed(), name=f"{self.name} warms up")
        await asyncio.shield(self._warm)

    async def _warmed(self) -> None:
        timeout_s = self.reconciler.cache_sync_timeout_s
        sinks = [self._start_source(source) for source in self._sources]
        await self._informers.wait_synced(timeout_s=timeout_s)
        timer = asyncio.create_task(self.clock.sleep(timeout_s))
        waiting = [asyncio.create_task(sink.started.wait()) for sink in sinks]
        running = {*waiting, *self._beside}
        try:
            while not timer.done() and not all(each.done() for each in waiting):
                done, running = await asyncio.wait({timer, *running}, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()  # a source that fails does so now, not at the end of the timeout
        finally:
            late = [sink.name for sink in sinks if not sink.started.is_set()]
            await cancel_and_wait(timer, *waiting)
        if late:
            raise DeadlineExceeded(
                f"controller {self.name}: no start was told by {', '.join(late)} within {timeout_s:g} s; "
                "a source must call sink.synced() or return"
            )

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._beside.append(asyncio.create_task(work, name=name))
        self._more_beside.set()

    async def run(self) -> None:
        """Works until cancelled; then lets the keys in work finish, until cancelled again.

        Keys that wait in the queue are dropped: the next start lists everything anew.

        Raises:
            DeadlineExceeded: a cache or source did not sync in time.
            ConfigError: it ran before.
            Exception: what a source raised, or a bug in the reconciler where ``recover_bugs`` is off.
        """
        if self._started:
            ended = "stopped" if self._stopping else "started"
            raise ConfigError(f"controller {self.name} was {ended} already; make a new one")
        self._started = True
        workers: list[asyncio.Task[None]] = []
        try:
            await self.warm_up()
            self._log.info("controller_started", workers=self.reconciler.max_concurrent_reconciles)
            workers = [
                asyncio.create_task(self._work(), name=f"{self.name} worker {number}")
                for number in range(self.reconciler.max_concurrent_reconciles)
            ]
            await self._until_failure(workers)
        except asyncio.CancelledError:
            self._stopping = True
            self.queue.shut_down(drop=True)
            if workers:
                finishing = asyncio.ensure_future(asyncio.wait(workers))
                await asyncio.shield(finishing)  # a second cancellation ends this wait too
            raise
        finally:
            self._stopping = True
            await cancel_and_wait(*workers)
            await self.close()

    async def close(self) -> None:
        """Ends everything that `declare` and `warm_up` began; `run` does so by itself."""
        await self._own_writes.close()
        await cancel_and_wait(*self._beside, *([self._warm] if self._warm else []))
        if self._threads is not None:
            self._threads.close()

    async def rehearse(self) -> list[Preview]:
        """Passes every primary in the cache once through the reconciler, in a dry run; what each pass would do.

        Raises:
            ConfigError: the manager makes no dry run.
            ApiError: what is there could not be read for comparison.
        """
        rehearsal = self.reconciler.rehearsal
        if rehearsal is None:
            raise ConfigError(f"controller {self.name}: rehearse() is for a dry run: Manager(..., dry_run=True)")
        kind = self.reconciler.primary_kind()
        previews = []
        for key in sorted(value.key for value in self._informers.reader(kind).list()):
            rehearsal.clear()
            answer, failure = None, None
            try:
                answer = _checked(await self._limited(Request(key, frozenset({"dry run"}))), self.reconciler)
            except Exception as error:  # whatever a reconciler raises concerns this key only
                failure = error
                self._log.error("dry_run_failed", object=str(key), error=named(error), exc_info=error)
            again_s = None if answer is None else answer.requeue_after_s
            begun = Preview(controller=self.name, kind=kind, key=key, requeue_after_s=again_s)
            previews.append(await preview_of(begun, rehearsal, self.reconciler.client, failure))
        return previews

    async def _until_failure(self, workers: list[asyncio.Task[None]]) -> None:
        """Ends with what a worker or source raised; a source that returns has nothing more to tell."""
        ended: set[asyncio.Task[Any]] = set()
        while running := {*workers, *self._beside} - ended:
            self._more_beside.clear()
            more = asyncio.create_task(self._more_beside.wait())
            try:
                done, _ = await asyncio.wait({more, *running}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await cancel_and_wait(more)
            for task in done - {more}:
                task.result()
            ended |= done

    # -- into the queue ------------------------------------------------------------------------------------------

    def _primary_handler(self) -> Handler:
        def on_generation(event: ChangeEvent) -> None:
            if event.old is not None and event.old.generation != event.new.generation:
                self.queue.forget(event.new.key)

        return self._delivery.handler(enqueue_self, self.reconciler.predicates, told_of_primary, first=on_generation)

    def _wake(self, request: Request) -> None:
        for reason in request.reasons:
            self.queue.add(request.key, reason, priority=request.priority)

    def _forget_child(self, value: Object) -> None:
        self.reconciler.applied_memory.gone(value)

    # -- out of the queue ----------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while not self._stopping:
            try:
                item = await self.queue.get()
            except QueueShutDown:
                return
            try:
                request = Request(item.key, item.reasons, item.priority)
                if not self._own_writes.park(request):
                    if self._on_pass is not None:
                        self._on_pass(self.name, item.key, self.queue.waited_s)
                    await self._reconcile_own(request)
            finally:
                self._in_flight.pop(item.key, None)
                self.queue.done(item.key)

    async def _reconcile_own(self, request: Request) -> None:
        """The reconcile; with sharding of this replica's keys only: whoever has the others looks after them."""
        kind = self.reconciler.primary_kind()
        if self._shards is not None and not self._shards.take(kind, request.key):
            self.queue.forget(request.key)
            return
        try:
            await self._reconcile(request)
        finally:
            if self._shards is not None:
                self._shards.done(kind, request.key)

    def _shard_moved(self, gained: Gained) -> None:
        kind = self.reconciler.primary_kind()
        for found in self._informers.reader(kind).list():
            if gained(kind, found.key):
                self.queue.add(found.key, "shard moved", priority=LOW_PRIORITY)

    async def _reconcile(self, request: Request) -> None:
        kind = self.reconciler.primary_kind().kind
        bound = {
            "controller": self.name,
            kind.lower(): str(request.key),
            "reconcile_id": uuid.uuid4().hex[:12],
        }
        answer: Result | None = None
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a worker is a task
        self._in_flight[request.key] = _Work(request, self.clock.monotonic(), task)
        failure: BaseException | None = None
        with structlog.contextvars.bound_contextvars(**bound), self._metrics.reconciling(request.reasons):
            self._log.debug("reconcile", reasons=sorted(request.reasons))
            unsettled: list[Unsettled] = []
            try:
                with self._informers.overlay.collecting() as unsettled:
                    answer = _checked(await self._limited(request), self.reconciler)
            except asyncio.CancelledError as error:
                if task.cancelling():
                    raise
                failure = error  # something the reconciler waited for was cancelled, not this worker
            except Exception as error:  # whatever a reconciler raises concerns this key only
                failure = error
                if not isinstance(error, _BUGS_EXCLUDE):
                    self._metrics.panics.inc()
                    if not self.reconciler.recover_bugs:
                        raise
            self._own_writes.hold(request.key, unsettled)
            outcome = outcome_of(answer, failure)
            self._metrics.ended(outcome)
            self._follow(request, outcome)
            try:
                await self._tell(request, outcome)
            except Exception as error:  # such as over conditions of a shape that no schema holds
                self._log.error("failing_not_told", error=named(error), exc_info=error)

    async def _limited(self, request: Request) -> Result | None:
        """The reconcile, within ``reconcile_timeout_s``."""
        limit_s = self.reconciler.reconcile_timeout_s
        if not limit_s:
            return await self._invoke(request)
        limit = Deadline(self.clock, limit_s)
        try:
            async with limit:
                return await self._invoke(request)
        except TimeoutError:
            if not limit.expired:
                raise
            self._metrics.timeouts.inc()
            raise DeadlineExceeded(
                f"reconciling {request.key} took longer than reconcile_timeout_s = {limit_s:g} s"
            ) from None

    async def _invoke(self, request: Request) -> Result | None:
        if not self._plain:
            return await self.reconciler.reconcile(request)
        if self._threads is None:
            self._threads = Threads(self.reconciler.max_concurrent_reconciles, f"{self.name}-reconcile")
        call = self._threads.run(partial(self.reconciler.reconcile, request))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            if not call.done():
                self._log.warning("thread_goes_on", object=str(request.key), where=self._threads.where(call))
                await asyncio.wait([call])  # a thread cannot be cancelled, and its key must not be worked on twice
            raise

    def _follow(self, request: Request, outcome: Forget | RequeueAfter | Retry) -> None:
        match outcome:
            case Forget():
                self.queue.forget(request.key)
            case RequeueAfter(delay_s, priority):
                self.queue.forget(request.key)
                kept = request.priority if priority is None else priority
                self.queue.add_after(request.key, delay_s, "timer", priority=kept)
            case Retry(error, terminal):
                self._log_failure(request, error, terminal)
                if not terminal:
                    retry = f"retry {self.queue.failures(request.key) + 1}"
                    self.queue.add_rate_limited(request.key, retry, priority=request.priority)

    def _log_failure(self, request: Request, error: BaseException, terminal: bool) -> None:
        if _came_second(error):
            self._log.info("reconcile_conflict", error=str(error))
            return
        self._log.error(
            "reconcile_failed",
            error=named(error),
            terminal=terminal,
            failures=self.queue.failures(request.key) + 1,
            reasons=sorted(request.reasons),
            exc_info=error,
        )

    # -- telling of failures -------------------------------------------------------------------------------------

    async def _tell(self, request: Request, outcome: Forget | RequeueAfter | Retry) -> None:
        """Event and condition, once when a key keeps failing and once when it no longer does."""
        if not isinstance(outcome, Retry):
            if self._failures.succeeded(request.key):
                await self._tell_object(request, None)
        elif not _came_second(outcome.error):
            told = told_of(outcome.error)
            now = self.clock.monotonic()
            if self._failures.failed(request.key, told, now, final=outcome.terminal):
                await self._tell_object(request, told)

    async def _tell_object(self, request: Request, problem: str | None) -> None:
        key = request.key
        found = self._informers.reader(self.reconciler.primary_kind()).get(key)
        if found is None or not self.reconciler.tell_failing:
            return
        if problem is not None:
            note = f"{problem} (reconciled for: {', '.join(sorted(request.reasons))})"
            self.reconciler.recorder.record(found, "Warning", "ReconcileFailing", note, action="Reconcile")
        if self.reconciler.resource is None:
            return  # the status of a built-in kind is not ours to write
        reason, message = ("ReconcileFailing", problem) if problem is not None else ("ReconcileSucceeded", "")
        conditions = set_condition(
            found.get("status", "conditions"),
            FAILING_CONDITION,
            problem is not None,
            reason,
            message,
            now=self.clock.utcnow(),
            observed_generation=found.generation or None,
        )
        patch = {"metadata": {"resourceVersion": found.resource_version}, "status": {"conditions": conditions}}
        try:
            await self.reconciler.client.patch(found.gvk, key, patch, subresource="status")
        except NotFound:
            self._log.debug("no_status_to_tell", key=str(key))  # gone, or a kind without the subresource
        except ControllerkitError as error:
            self._failures.untold(key)
            self._log.warning("failing_not_told", key=str(key), error=str(error))


class _Sink:
    """What one source puts its requests into."""

    def __init__(self, controller: Controller, source: Source) -> None:
        self._controller = controller
        self._source = source
        self.clock = controller.clock
        self.name = type(source).__name__
        self.started = asyncio.Event()

    def enqueue(self, key: Key, reason: str, *, priority: int = 0) -> None:
        self._controller.queue.add(key, reason, priority=priority)

    def synced(self) -> None:
        self.started.set()

    async def run(self) -> None:
        await self._source.run(self)
        self.started.set()


def _as_owns(kind: KindLike | Owns) -> Owns:
    return kind if isinstance(kind, Owns) else Owns(kind)


def _checked(answer: Any, reconciler: Reconciler[Any]) -> Result | None:
    """What a reconcile returned; Python lets it be anything."""
    if answer is None or isinstance(answer, Result):
        return answer
    name = type(reconciler).__name__
    raise TypeError(f"{name}.reconcile returned a {type(answer).__name__}; it must return a Result or None")


def _came_second(error: BaseException) -> bool:
    """Somebody wrote first, and the next pass sees it. Who makes what is there already does so in every pass."""
    return isinstance(error, Conflict) and not isinstance(error, AlreadyExists)
