"""The loop that drives a `Reconciler`: watches into the queue, workers out of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

import structlog

from controllerkit.cache import Handler, Informers
from controllerkit.controller.metrics import ControllerMetrics
from controllerkit.controller.reconciler import Reconciler
from controllerkit.controller.result import Forget, Owns, Request, RequeueAfter, Retry, outcome_of
from controllerkit.errors import Conflict
from controllerkit.objects import GVK, Key, Kind, Object, controller_of
from controllerkit.runtime import Clock, cancel_and_wait
from controllerkit.workqueue import QueueShutDown, WorkQueue, WorkQueueMetrics

__all__ = ["Controller"]

CACHE_SYNC_TIMEOUT_S: Final = 120.0
"""controller-runtime ``CacheSyncTimeout``."""


class Controller:
    """Runs one `Reconciler`.

    Guarantees:
        No reconcile starts before every declared kind has synced; the same key is never reconciled twice at
        once; an exception of the reconciler ends neither the worker nor another key.
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
    ) -> None:
        self.reconciler = reconciler
        self.name = reconciler.name
        self._informers = informers
        self._clock = clock
        self._log = log.bind(controller=self.name)
        self._metrics = metrics.of(self.name, reconciler.max_concurrent_reconciles)
        self.queue: WorkQueue[Key] = WorkQueue(name=self.name, clock=clock, metrics=queue_metrics.of(self.name))
        self._stopping = False

    async def declare(self) -> None:
        """Declares the informers and connects their handlers; before the caches are started.

        Raises:
            ConfigError: a kind is not served or the class declares none.
        """
        primary = self.reconciler.primary_kind()
        informer = await self._informers.declare(primary)
        informer.add_handler(_handler(partial(self._enqueue_self, primary.kind)))
        for kind in (each.kind if isinstance(each, Owns) else each for each in self.reconciler.owns):
            resolved = await self.reconciler.client.kind_of(kind)
            owned = await self._informers.declare(resolved)
            owned.add_handler(_handler(partial(self._enqueue_owner, primary)))
        for watch in self.reconciler.watches:
            watched = await self._informers.declare(
                watch.kind, label_selector=watch.label_selector, field_selector=watch.field_selector
            )
            watched.add_handler(_handler(partial(self._enqueue_mapped, watch.map)))

    async def run(self) -> None:
        """Works until cancelled; then lets the keys in work finish, until cancelled again.

        Keys that wait in the queue are dropped: the next start lists everything anew.

        Raises:
            DeadlineExceeded: a cache did not sync in time.
        """
        await self._informers.wait_synced(timeout_s=CACHE_SYNC_TIMEOUT_S)
        self._log.info("controller_started", workers=self.reconciler.max_concurrent_reconciles)
        workers = [
            asyncio.create_task(self._work(), name=f"{self.name} worker {number}")
            for number in range(self.reconciler.max_concurrent_reconciles)
        ]
        working = asyncio.gather(*workers)
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            self._stopping = True
            self.queue.shut_down()
            await asyncio.shield(working)  # a second cancellation ends this wait too
            raise
        finally:
            await cancel_and_wait(*workers)

    # -- into the queue ------------------------------------------------------------------------------------------

    def _enqueue_self(self, word: str, value: Object, what: str) -> None:
        self.queue.add(value.key, f"{word} {what}")

    def _enqueue_owner(self, primary: Kind, value: Object, what: str) -> None:
        reference = controller_of(value)
        if reference is None or reference.kind != primary.kind:
            return
        if GVK.of(reference.api_version, reference.kind).group != primary.group:
            return
        namespace = value.namespace if primary.namespaced else ""
        self.queue.add(Key(namespace, reference.name), f"{value.kind} {value.name} {what}")

    def _enqueue_mapped(self, mapping: Callable[[Object], Iterable[Key]], value: Object, what: str) -> None:
        for key in mapping(value):
            self.queue.add(key, f"{value.kind} {value.name} {what}")

    # -- out of the queue ----------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while not self._stopping:
            try:
                item = await self.queue.get()
            except QueueShutDown:
                return
            try:
                await self._reconcile(Request(item.key, item.reasons))
            finally:
                self.queue.done(item.key)

    async def _reconcile(self, request: Request) -> None:
        kind = self.reconciler.primary_kind().kind
        bound = {
            "controller": self.name,
            kind.lower(): str(request.key),
            "reconcile_id": uuid.uuid4().hex[:12],
        }
        answer, failure = None, None
        with structlog.contextvars.bound_contextvars(**bound), self._metrics.reconciling(request.reasons):
            try:
                answer = await self.reconciler.reconcile(request)
            except Exception as error:  # whatever a reconciler raises concerns this key only
                failure = error
            outcome = outcome_of(answer, failure)
            self._metrics.ended(outcome)
            self._follow(request, outcome)

    def _follow(self, request: Request, outcome: Forget | RequeueAfter | Retry) -> None:
        match outcome:
            case Forget():
                self.queue.forget(request.key)
            case RequeueAfter(delay_s, _):
                self.queue.forget(request.key)
                self.queue.add_after(request.key, delay_s, "timer")
            case Retry(error, terminal):
                self._log_failure(request, error, terminal)
                if not terminal:
                    self.queue.add_rate_limited(request.key, f"retry {self.queue.failures(request.key) + 1}")

    def _log_failure(self, request: Request, error: BaseException, terminal: bool) -> None:
        if isinstance(error, Conflict):  # somebody wrote first: the next pass sees it
            self._log.info("reconcile_conflict", error=str(error))
            return
        self._log.error(
            "reconcile_failed",
            error=f"{type(error).__name__}: {error}",
            terminal=terminal,
            failures=self.queue.failures(request.key) + 1,
            reasons=sorted(request.reasons),
            exc_info=error,
        )


def _handler(enqueue: Callable[[Object, str], None]) -> Handler:
    """Calls ``enqueue(object, what)``; for an update with the old and the new object, for their owners may differ."""

    def on_update(old: Object, new: Object) -> None:
        if controller_of(old) != controller_of(new) or old.labels != new.labels:
            enqueue(old, "changed")
        enqueue(new, "changed")

    return Handler(
        on_add=lambda value, initial: enqueue(value, "listed" if initial else "added"),
        on_update=on_update,
        on_delete=lambda value: enqueue(value, "deleted"),
    )
