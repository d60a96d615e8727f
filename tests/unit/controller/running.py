"""A manager around reconcilers, for as long as a test looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from controllerkit import Client, Key, Manager, Reconciler, Request, Result, Watch, kinds
from controllerkit.runtime import wait_until
from controllerkit.schema import Metadata
from tests.unit.conftest import Website

A = Key("default", "a")


@asynccontextmanager
async def running(client: Client, *reconcilers: Reconciler[Any], **options: Any) -> AsyncIterator[Manager]:
    manager = Manager(client, grace_period_s=5.0, **options)
    for reconciler in reconcilers:
        manager.add(reconciler)
    stop = asyncio.Event()
    task = asyncio.create_task(manager.run(stop))
    ready = asyncio.create_task(manager.ready.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if task.done():
        task.result()
    try:
        yield manager
    finally:
        stop.set()
        await task


async def until(probe: Callable[[], object], what: str) -> None:
    async def probed() -> object:
        return probe()

    await wait_until(probed, what=what, timeout_s=10.0, interval_s=0.005)


def website(name: str = "a", **spec: object) -> Website:
    return Website(metadata=Metadata(name=name, namespace="default"), spec=spec)


class Recording(Reconciler[Website]):
    """Notes every request; answers what ``answer`` gives."""

    name = "recording"
    owns = (kinds.CONFIG_MAP,)
    watches = (Watch(kinds.SECRET, lambda secret: [Key(secret.namespace, secret.labels.get("site", ""))]),)

    def __init__(self, answer: Callable[[Request], Awaitable[Result | None]] | None = None) -> None:
        self.requests: list[Request] = []
        self.answer = answer

    async def reconcile(self, request: Request) -> Result | None:
        self.requests.append(request)
        return await self.answer(request) if self.answer else None

    def reasons(self) -> set[str]:
        return {reason for request in self.requests for reason in request.reasons}
