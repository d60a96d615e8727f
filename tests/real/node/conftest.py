"""A development cluster with Pods as processes, on both API servers, and a namespace for each test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from controllerkit.client import Client
from controllerkit.devcluster import Bed, BinaryCache, ImageTable, open_bed
from controllerkit.devcluster.node import Node
from controllerkit.errors import ApiError, NotFound
from controllerkit.objects import Key, Object, find_condition, kinds
from controllerkit.runtime import cancel_and_wait, wait_until

SHELL = "example.dev/shell:1"
_numbers: Iterator[int] = itertools.count()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "bed" in metafunc.fixturenames:
        beds = [bed for bed in metafunc.config.getoption("--bed") or ["embedded", "real"] if bed != "cluster"]
        params = [pytest.param(bed, marks=pytest.mark.real) for bed in beds]
        metafunc.parametrize("bed", params, indirect=True, scope="session")


def images() -> ImageTable:
    table = ImageTable.default(BinaryCache())
    table.register(SHELL, files={}, entrypoint=["/bin/sh", "-c"])
    return table


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bed]:
    folder = tmp_path_factory.mktemp(f"node-{request.param}")
    async with open_bed(request.param, data_dir=folder, images=images()) as running:

        async def schedulable() -> bool:
            return not (await running.client.get(kinds.NODE, "node-a")).spec.get("taints")

        await wait_until(schedulable, what="the node takes Pods", timeout_s=30)
        yield running


@dataclass
class Space:
    """A namespace, and short words for what tests do in it."""

    bed: Bed
    name: str

    @property
    def client(self) -> Client:
        return self.bed.client

    def key(self, name: str) -> Key:
        return Key(self.name, name)

    async def create(self, kind: str, name: str, api_version: str = "v1", **fields: Any) -> Object:
        metadata = {"name": name, "namespace": self.name, **fields.pop("metadata", {})}
        return await self.client.create({"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields})

    async def run(self, name: str, script: str = "sleep 600", **spec: Any) -> Object:
        """A Pod with one container, which runs a shell script; ``container_…`` fields are the container's."""
        container = {"name": "app", "image": SHELL, "args": [script]}
        container |= {
            key.removeprefix("container_"): spec.pop(key) for key in list(spec) if key.startswith("container_")
        }
        metadata = {"labels": spec.pop("labels", {"app": name})}
        spec.setdefault("terminationGracePeriodSeconds", 5)
        return await self.create("Pod", name, metadata=metadata, spec={"containers": [container], **spec})

    async def pod(self, name: str) -> Object:
        return await self.client.get(kinds.POD, self.key(name))

    async def until(self, name: str, holds: Callable[[Object], Any], what: str, timeout_s: float = 15.0) -> Object:
        seen: list[Object] = []

        async def probe() -> Object | None:
            seen[:] = [await self.pod(name)]
            return seen[0] if holds(seen[0]) else None

        try:
            found = await wait_until(probe, what=f"{name}: {what}", timeout_s=timeout_s, interval_s=0.02)
        except Exception as error:
            raise AssertionError(f"{error}; its status: {dict(seen[0].status) if seen else None}") from error
        assert found is not None
        return found

    async def until_running(self, name: str) -> Object:
        return await self.until(name, lambda pod: pod.status.get("phase") == "Running", "runs")

    async def until_ready(self, name: str) -> Object:
        return await self.until(name, is_ready, "is ready")

    async def until_over(self, name: str, phase: str = "Succeeded") -> Object:
        return await self.until(name, lambda pod: pod.status.get("phase") == phase, phase)

    async def until_gone(self, name: str, kind: Any = kinds.POD, timeout_s: float = 15.0) -> None:
        async def gone() -> bool:
            try:
                await self.client.get(kind, self.key(name))
            except NotFound:
                return True
            return False

        await wait_until(gone, what=f"{name} is gone", timeout_s=timeout_s, interval_s=0.02)

    async def logs(self, name: str, query: str = "") -> str:
        return await self.client.request_text(f"{kinds.POD.path(self.name, name, 'log')}?{query}")

    async def until_logged(self, name: str, text: str, timeout_s: float = 15.0) -> str:
        async def probe() -> str:
            try:
                log = await self.logs(name)
            except ApiError:
                return ""
            return log if text in log else ""

        return await wait_until(probe, what=f"{name} logs {text!r}", timeout_s=timeout_s)


def is_ready(pod: Object) -> bool:
    condition = find_condition(pod.status.get("conditions"), "Ready")
    return condition is not None and condition.get("status") == "True"


def container_of(pod: Object) -> dict[str, Any]:
    return dict((pod.status.get("containerStatuses") or [{}])[0])


def waiting_reason(pod: Object) -> str:
    return str((container_of(pod).get("state") or {}).get("waiting", {}).get("reason", ""))


@pytest_asyncio.fixture(loop_scope="session")
async def space(bed: Bed) -> AsyncIterator[Space]:
    name = f"t{next(_numbers)}"
    await bed.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    async def account() -> bool:
        try:
            await bed.client.get(kinds.SERVICE_ACCOUNT, Key(name, "default"))
        except NotFound:
            return False
        return True

    await wait_until(account, what=f"the ServiceAccount of {name}", timeout_s=15)
    yield Space(bed, name)
    for pod in (await bed.client.list(kinds.POD, name)).items:
        try:
            await bed.client.delete(kinds.POD, pod.key, grace_period_s=0)
        except NotFound:
            continue
    await bed.client.delete(kinds.NAMESPACE, name)


@asynccontextmanager
async def extra_node(bed: Bed, name: str, folder: Path) -> AsyncIterator[Node]:
    """A node of the test's own; Pods come to it by ``nodeName``."""
    node = Node(bed.client, name=name, data_dir=folder, images=images())
    task = asyncio.create_task(node.run())
    ready = asyncio.create_task(node.ready.wait())
    try:
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield node
    finally:
        ready.cancel()
        await cancel_and_wait(task)
        assert not is_ready(await bed.client.get(kinds.NODE, name))
        await bed.client.delete(kinds.NODE, name)
