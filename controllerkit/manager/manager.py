"""The manager: starts what an operator is made of in order, stops it in reverse."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge

from controllerkit.cache import Informers
from controllerkit.client import Client
from controllerkit.controller import Controller, ControllerMetrics, Reconciler
from controllerkit.errors import ConfigError, ManagerError
from controllerkit.events import EventRecorder
from controllerkit.manager.serving import Check, Endpoints
from controllerkit.runtime import Clock, SystemClock, cancel_and_wait, get_logger
from controllerkit.workqueue import WorkQueueMetrics

__all__ = ["Manager"]

GRACE_PERIOD_S: Final = 30.0
"""controller-runtime ``GracefulShutdownTimeout``."""

Runnable = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Running:
    name: str
    task: asyncio.Task[None]


class Manager:
    """Runs controllers over one client.

    Starts: HTTP endpoints → caches (and waits for them) → runnables → controllers. Stops in reverse: controllers
    finish the keys in work, then runnables, event recorders, caches, endpoints – within ``grace_period_s``
    together. Everything is this manager's own: metrics registry, caches, clock; two managers can live in one
    process.

    Args:
        namespace: the only namespace that is watched; None for all.
        metrics_address: ``host:port`` of ``/metrics``, ``/healthz`` and ``/readyz``; None to serve nothing.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str | None = None,
        metrics_address: str | None = None,
        grace_period_s: float = GRACE_PERIOD_S,
        clock: Clock | None = None,
        log: Any = None,
    ) -> None:
        self.client = client
        self.registry = CollectorRegistry()
        self.clock = clock or SystemClock()
        self.log = log or get_logger()
        self.informers = Informers(client, namespace=namespace, clock=self.clock, log=self.log)
        self.checks_live: dict[str, Check] = {"ping": lambda: None}
        self.checks_ready: dict[str, Check] = {"caches": self._caches_problem}
        self._grace_period_s = grace_period_s
        self._endpoints = (
            Endpoints(metrics_address, self.registry, self.checks_live, self.checks_ready) if metrics_address else None
        )
        self._controller_metrics = ControllerMetrics(self.registry)
        self._queue_metrics = WorkQueueMetrics(self.registry)
        self._cached = Gauge("controllerkit_cached_objects", "Objects in the cache", ["kind"], registry=self.registry)
        self._controllers: dict[str, Controller] = {}
        self._recorders: dict[str, EventRecorder] = {}
        self._runnables: dict[str, Runnable] = {}
        self._started = False
        self._failed: asyncio.Future[None] | None = None
        self.ready = asyncio.Event()

    @property
    def endpoints(self) -> Endpoints | None:
        """The HTTP endpoints, for their port."""
        return self._endpoints

    def add(self, reconciler: Reconciler[Any]) -> Controller:
        """Registers a reconciler, before the start.

        Raises:
            ConfigError: its name is taken, or the manager runs already.
        """
        self._refuse_if_started(f"controller {reconciler.name!r}")
        if reconciler.name in self._controllers:
            raise ConfigError(f"two controllers are named {reconciler.name!r}; set `name` on one of the classes")
        recorder = EventRecorder(self.client, controller=reconciler.name, clock=self.clock, log=self.log)
        log = self.log.bind(controller=reconciler.name)
        reconciler.bind(client=self.client, clock=self.clock, log=log, recorder=recorder, informers=self.informers)
        controller = Controller(
            reconciler,
            self.informers,
            clock=self.clock,
            log=self.log,
            metrics=self._controller_metrics,
            queue_metrics=self._queue_metrics,
        )
        self._controllers[reconciler.name] = controller
        self._recorders[reconciler.name] = recorder
        return controller

    def add_runnable(self, name: str, runnable: Runnable) -> None:
        """Registers a coroutine function that runs beside the controllers until it is cancelled."""
        self._refuse_if_started(f"runnable {name!r}")
        if name in self._runnables:
            raise ConfigError(f"two runnables are named {name!r}")
        self._runnables[name] = runnable

    async def run_until_signal(self) -> None:
        """``run`` until SIGTERM or SIGINT; a second signal ends the process at once with status 1."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            if stop.is_set():
                raise SystemExit(1)
            self.log.info("stopping", grace_period_s=self._grace_period_s)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        try:
            await self.run(stop)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Starts everything, runs until ``stop`` is set or the task is cancelled, stops everything.

        Raises:
            ManagerError: a part failed, or did not stop within the grace period; the message names it.
            ConfigError: a declared kind is not served.
        """
        self._refuse_if_started("a second run")
        self._started = True
        self._failed = asyncio.get_running_loop().create_future()
        stop = stop or asyncio.Event()
        groups: list[list[_Running]] = []
        try:
            await self._start(groups)
            self.ready.set()
            await self._until(stop)
        finally:
            self.ready.clear()
            if not self._failed.done():
                self._failed.cancel()
            await self._stop(groups)

    async def _until(self, stop: asyncio.Event) -> None:
        """Returns when ``stop`` is set; raises what made a part fail."""
        assert self._failed is not None  # noqa: S101 - set by run
        stopped: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait([stopped, self._failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if self._failed.done():
            self._failed.result()

    async def _start(self, groups: list[list[_Running]]) -> None:
        if self._endpoints is not None:
            await self._endpoints.start()
        for controller in self._controllers.values():
            await controller.declare()
        for informer in self.informers:
            self._cached.labels(str(informer.kind)).set_function(informer.store.__len__)
        self.informers.start()
        groups.append([self._spawn(f"events of {name}", each.run) for name, each in self._recorders.items()])
        await self.informers.wait_synced(timeout_s=120.0)
        groups.append([self._spawn(name, runnable) for name, runnable in self._runnables.items()])
        groups.append([self._spawn(f"controller {name}", each.run) for name, each in self._controllers.items()])

    def _spawn(self, name: str, runnable: Runnable) -> _Running:
        async def guarded() -> None:
            try:
                await runnable()
            except Exception as error:  # any part that fails ends the manager, which says which one
                if self._failed is not None and not self._failed.done():
                    failure = ManagerError(f"{name} failed: {type(error).__name__}: {error}")
                    failure.__cause__ = error
                    self._failed.set_exception(failure)
                else:
                    self.log.exception("failed_while_stopping", part=name)

        return _Running(name, asyncio.create_task(guarded(), name=name))

    async def _stop(self, groups: list[list[_Running]]) -> None:
        hanging: list[str] = []
        deadline = asyncio.get_running_loop().time() + self._grace_period_s
        for group in reversed(groups):
            for running in group:
                running.task.cancel()
            if group:
                left_s = max(deadline - asyncio.get_running_loop().time(), 0.0)
                _, pending = await asyncio.wait({r.task for r in group}, timeout=left_s)
                hanging += [r.name for r in group if r.task in pending]
                await cancel_and_wait(*pending)
        await self.informers.stop()
        if self._endpoints is not None:
            await self._endpoints.stop()
        if hanging:
            raise ManagerError(f"did not stop within {self._grace_period_s:g} s: {', '.join(hanging)}")

    def _caches_problem(self) -> str | None:
        behind = [str(informer.kind) for informer in self.informers if not informer.has_synced]
        return f"not synced: {', '.join(behind)}" if behind else None

    def _refuse_if_started(self, what: str) -> None:
        if self._started:
            raise ConfigError(f"{what} came after the manager was started")
