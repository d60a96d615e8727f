"""One controller on a virtual clock, with nothing listed: keys are put into its queue by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from controllerkit import Client, Key, Object, Reconciler, Request, Result
from controllerkit.cache import Informers
from controllerkit.controller import Controller, ControllerMetrics
from controllerkit.testing import VirtualClock, settle
from controllerkit.workqueue import WorkQueueMetrics
from tests.unit.controller.running import Recording


class NoRecorder:
    """Takes Events and keeps them."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def record(self, regarding: Object, kind: str, reason: str, note: str, **_: Any) -> None:
        self.events.append((reason, note))


class Lines:
    """A logger that keeps what it is told, with what is bound to it."""

    def __init__(self, lines: list[dict[str, Any]] | None = None, **bound: Any) -> None:
        self.lines = [] if lines is None else lines
        self.bound = bound

    def bind(self, **values: Any) -> Lines:
        return Lines(self.lines, **{**self.bound, **values})

    def debug(self, event: str, **values: Any) -> None:
        self.lines.append({"event": event, **structlog.contextvars.get_contextvars(), **self.bound, **values})

    info = warning = error = exception = debug

    def of(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.lines if each["event"] == event]


class Loop:
    """See above; ``start`` runs it."""

    task: asyncio.Task[None]

    def __init__(self, reconciler: Reconciler[Any], client: Client) -> None:
        self.clock = VirtualClock()
        self.log = Lines()
        self.registry = CollectorRegistry()
        self.informers = Informers(client, clock=self.clock)
        self.recorder = NoRecorder()
        reconciler.bind(
            client=client,
            clock=self.clock,
            log=self.log,
            recorder=self.recorder,  # type: ignore[arg-type]
            informers=self.informers,
        )
        self.controller = Controller(
            reconciler,
            self.informers,
            clock=self.clock,
            log=self.log,
            metrics=ControllerMetrics(self.registry),
            queue_metrics=WorkQueueMetrics(self.registry),
            rng=Random(4),
        )
        self.queue = self.controller.queue

    async def declared(self) -> Loop:
        """Knows its kinds; nothing is listed, so nothing is cached."""
        await self.controller.declare()
        for informer in self.informers:
            informer._synced.set()
        return self

    def start(self) -> asyncio.Task[None]:
        self.task = asyncio.create_task(self.controller.run())
        return self.task

    async def stopped(self) -> None:
        """Ends it, whether a reconcile has ended or not."""
        self.task.cancel()
        await settle()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def told(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(f"controller_runtime_{name}", {"controller": "recording", **labels})
        assert value is not None
        return value

    def results(self) -> dict[str, float]:
        return {
            result: count
            for result in ("success", "error", "requeue", "requeue_after")
            if (count := self.told("reconcile_total", result=result))
        }


Answer = Callable[[Request], Awaitable[Result | None]]


async def looped(client: Client, answer: Answer, *keys: Key, **attributes: Any) -> Loop:
    """Runs ``answer`` over ``keys`` until nothing can go on without time passing."""
    reconciler = type("Recording", (Recording,), {"name": "recording", "resync_s": 0.0, **attributes})(answer)
    loop = await Loop(reconciler, client).declared()
    loop.start()
    for key in keys:
        loop.queue.add(key, "put")
    await settle()
    return loop


async def fine(_: Request) -> Result | None:
    return None
