"""A manager around reconcilers, for as long as a test looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from controllerkit.apiserver import ApiServer
from controllerkit.client import Client, KindLike
from controllerkit.controller import Reconciler
from controllerkit.errors import ApiError, ConfigError
from controllerkit.manager import Manager
from controllerkit.runtime import cancel_and_wait, wait_until
from controllerkit.schema import Resource, custom_resource_definition

__all__ = ["connected", "running", "served"]


@asynccontextmanager
async def running(client: Client, *reconcilers: Reconciler[Any], **options: Any) -> AsyncIterator[Manager]:
    """Runs ``reconcilers``; entered once their caches are synced, left once they have stopped.

    Args:
        options: of `Manager`.
    Raises:
        ManagerError: a part failed or did not stop; ConfigError: see `Manager.run`.
    """
    manager = Manager(client, **{"grace_period_s": 5.0, **options})
    for reconciler in reconcilers:
        manager.add(reconciler)
    stop = asyncio.Event()
    task = asyncio.create_task(manager.run(stop))
    ready = asyncio.create_task(manager.ready.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    await cancel_and_wait(ready)
    if task.done():
        task.result()
    try:
        yield manager
    finally:
        stop.set()
        await task


@asynccontextmanager
async def connected(server: ApiServer, resources: Iterable[type[Resource]] = ()) -> AsyncIterator[Client]:
    """A client to ``server`` without sockets, once ``resources`` are defined and served there.

    Raises:
        ConfigError: a definition cannot be made of a model. Invalid: the server does not take one.
    """
    models: dict[tuple[str, str], list[type[Resource]]] = {}
    for resource in resources:
        kind = resource.resource_kind()
        models.setdefault((kind.group, kind.kind), []).append(resource)
    async with Client(server.transport()) as client:
        for versions in models.values():
            await client.create(custom_resource_definition(*versions))
            for each in versions:
                await served(client, each)
        yield client


async def served(client: Client, kind: KindLike, *, timeout_s: float = 10.0) -> None:
    """Returns when objects of ``kind`` can be listed and discovery names it, as some time after it was defined.

    A real API server does the one before the other.

    Raises:
        DeadlineExceeded: not within ``timeout_s``.
    """

    async def offered() -> bool:
        try:
            found = await client.kind_of(kind)
            await client.list(found, limit=1)
            return found in await client.mapper.resources(found.group, found.version)
        except (ApiError, ConfigError):
            return False

    name = getattr(kind, "__name__", kind)
    await wait_until(offered, what=f"{name} is served", timeout_s=timeout_s, interval_s=0.005)
