"""Managers while the world around them goes away and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controllerkit import Client, Key
from controllerkit.cache.machine import Watching
from controllerkit.errors import NotFound
from controllerkit.objects import kinds
from controllerkit.runtime import cancel_and_wait, wait_until
from controllerkit.testing import served
from tests.real.framework.conftest import Linked
from tests.servers import RealServer, Server
from tests.soak.soak import soak
from tests.unit.conftest import WEBSITE_CRD, Website
from tests.unit.controller.running import A, Recording, running, website

ROOT = Path(__file__).parents[3]


async def until(probe: Any, what: str, timeout_s: float = 30.0) -> None:
    async def probed() -> object:
        return probe()

    await wait_until(probed, what=what, timeout_s=timeout_s, interval_s=0.01)


@pytest.mark.parity("1d/dynamic-watches")
async def test_a_crd_that_goes_takes_its_objects_and_nothing_else_and_is_watched_again_when_it_comes(
    websites: Client,
) -> None:
    reconciler = Recording()
    for name in ("a", "b"):
        await websites.create(website(name))
    async with running(websites, reconciler) as manager:
        informer = manager.informers.get(Website.resource_kind())
        await websites.delete(kinds.CUSTOM_RESOURCE_DEFINITION, "websites.example.dev")
        await until(lambda: len(informer.store) == 0, "the objects are gone from the cache")
        await until(
            lambda: {r.key for r in reconciler.requests if "deleted" in r.reasons} == {A, Key("default", "b")},
            "each deletion is reconciled",
        )
        await until(lambda: isinstance(informer.last_error, NotFound), "the error that tells why")
        assert manager.checks_ready["caches"]() is None, "what is known is still right"

        await _create_again(websites)
        await websites.create(website("c"))
        await until(lambda: Key("default", "c") in {r.key for r in reconciler.requests}, "the new object")
        assert [value.name for value in informer.store] == ["c"]


async def _create_again(client: Client) -> None:
    async def gone() -> bool:
        try:
            await client.get(kinds.CUSTOM_RESOURCE_DEFINITION, "websites.example.dev")
        except NotFound:
            return True
        return False

    await wait_until(gone, what="the old definition is gone", timeout_s=15.0)
    await client.create(WEBSITE_CRD)
    await served(client, Website, timeout_s=15.0)


@pytest.mark.real
async def test_a_manager_goes_on_after_its_api_server_was_restarted_with_one_watch_for_each_cache(
    server: RealServer, websites: Client, linked: Linked
) -> None:
    await websites.create(website())
    reconciler = Recording()
    async with linked() as link, running(link.client, reconciler) as manager:
        await until(lambda: A in {r.key for r in reconciler.requests}, "the first")
        await server.plane.restart_api_server()
        await websites.create(website("b"))
        await websites.delete(Website, "a", "default")
        await until(lambda: Key("default", "b") in {r.key for r in reconciler.requests}, "the new object")
        await until(lambda: any("deleted" in r.reasons for r in reconciler.requests), "the deletion")
        informers = list(manager.informers)
        await until(lambda: all(isinstance(each.state, Watching) for each in informers), "every cache is watched")
        await until(lambda: len(link.proxy.connections) == len(informers), "no old connection is left", 90.0)
        for informer in informers:
            assert await informer.differences() == []


# -- two processes, one of them stopped ------------------------------------------------------------------------------


@asynccontextmanager
async def candidate(kubeconfig: Path, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("leader.py")),
        str(kubeconfig),
        name,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def told(process: asyncio.subprocess.Process, what: str) -> dict[str, Any]:
    """The next line that tells ``what``."""
    assert process.stdout is not None
    async with asyncio.timeout(30.0):
        while line := await process.stdout.readline():
            said: dict[str, Any] = json.loads(line)
            if what in said:
                return said
    raise AssertionError(f"the process ended and did not tell {what!r}")


@pytest.mark.parity("1e/write-gate")
async def test_a_leader_that_was_stopped_writes_nothing_once_it_goes_on_and_ends(
    server: Server, client: Client, tmp_path: Path
) -> None:
    server.write_kubeconfig(tmp_path / "kubeconfig")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "written", "namespace": "default"}}
    await client.create(config)
    writers: list[str] = []

    async def note() -> None:
        async with client.watch(kinds.CONFIG_MAP, "default", field_selector="metadata.name=written") as stream:
            async for event in stream:
                if event.type != "BOOKMARK":
                    writers.append(event.object.get("data", "by") or "")  # noqa: PERF401 - others read it meanwhile

    noting = asyncio.create_task(note())
    async with candidate(tmp_path / "kubeconfig", "first") as first:
        await told(first, "wrote")
        async with candidate(tmp_path / "kubeconfig", "second") as second:
            await told(second, "waiting")
            await told(first, "wrote")  # it pauses after each write, so none is under way
            first.send_signal(signal.SIGSTOP)
            await told(second, "wrote")
            first.send_signal(signal.SIGCONT)
            end = await told(first, "ended")
            assert await first.wait() == 1
            assert end["ended"].startswith("LeadershipLost"), end
            await told(second, "wrote")
    await cancel_and_wait(noting)
    changes = [by for position, by in enumerate(writers) if by and by != (writers[position - 1] if position else "")]
    assert changes == ["first", "second"]


# -- everything at once ----------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.timeout(300)
async def test_a_minute_of_the_soak(server: RealServer, client: Client) -> None:
    report = await soak(server.plane, seconds=60.0, seed=2)
    for value in (await client.list_all(kinds.CONFIG_MAP, label_selector="tier")).items:
        await client.delete(kinds.CONFIG_MAP, value.key)
    assert report.problems == []
    assert len(report.faults) >= 8
    assert report.half_open_noticed_s
    assert report.counts["expired"] > 0
