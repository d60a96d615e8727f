"""Several clusters in one process, caches that do not sync, and the second signal."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controllerkit import Client, Key, Manager
from controllerkit.apiserver import ApiServer
from controllerkit.errors import ApiError, DeadlineExceeded, ManagerError
from controllerkit.manager import manager as manager_module
from controllerkit.runtime import wait_until
from tests.unit.conftest import WEBSITE_CRD, Website
from tests.unit.controller.running import A, Recording, running, until, website

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[Client]:
    """A client to another cluster that serves websites."""
    async with ApiServer() as server:
        server.write_kubeconfig(tmp_path / "elsewhere")
        async with await Client.connect(kubeconfig=tmp_path / "elsewhere") as client:
            await client.create(WEBSITE_CRD)

            async def served() -> bool:
                try:
                    await client.list(Website)
                except ApiError:
                    return False
                return True

            await wait_until(served, what="the CRD is served", timeout_s=5.0, interval_s=0.01)
            yield client


@pytest.mark.parity("1e/multi-cluster")
async def test_a_manager_of_one_cluster_runs_that_of_another(websites: Client, elsewhere: Client) -> None:
    here, there = Recording(), Recording()
    other = Manager(elsewhere)
    other.add(there)
    async with running(websites, here) as manager:
        manager.add_runnable("the other cluster", other.run)
        await until(other.ready.is_set, "the other cluster's caches")
        await websites.create(website("a"))
        await elsewhere.create(website("b"))
        await until(lambda: here.requests and there.requests, "both work")
        assert ({each.key for each in here.requests}, {each.key for each in there.requests}) == (
            {A},
            {Key("default", "b")},
        )
        assert manager.registry is not other.registry
    assert not other.ready.is_set(), "it stopped with the one that ran it"


async def test_what_fails_in_the_other_cluster_ends_both_and_names_it(websites: Client, elsewhere: Client) -> None:
    other = Manager(elsewhere)
    other.add(Recording())

    async def fails() -> None:
        raise OSError("no disk")

    other.add_runnable("backup", fails)

    async def both() -> None:
        async with running(websites, Recording()) as manager:
            manager.add_runnable("the other cluster", other.run)
            await asyncio.wait_for(manager._failed.wait(), 10.0)

    with pytest.raises(ManagerError, match="backup failed: OSError: no disk"):
        await both()


@pytest.mark.parity("2.8/cache-error")
async def test_a_cache_that_does_not_sync_ends_the_start_with_its_reason(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager_module, "SYNC_TIMEOUT_S", 0.2)
    manager = Manager(client)
    manager.add(Recording())
    with pytest.raises(
        DeadlineExceeded, match=r"the cache of .*Website.* did not sync within 0\.2 s; last error: .*404"
    ):
        await manager.run()
    assert not manager.ready.is_set()


HANGS = """
import asyncio
from controllerkit import Client, Manager

async def hangs():
    print("hangs", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("asked", flush=True)

async def main():
    async with await Client.connect() as client:
        manager = Manager(client, grace_period_s=-1)
        manager.add_runnable("stubborn", hangs)
        await manager.run_until_signal()

asyncio.run(main())
"""


@pytest.mark.parity("2.8/second-signal")
async def test_a_second_signal_ends_the_process_at_once_with_status_1(client: Client, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HANGS,
        env={**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30.0) == b"hangs\n"
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.stdout.readline(), 30.0) == b"asked\n"
    process.send_signal(signal.SIGINT)
    _, told = await asyncio.wait_for(process.communicate(), 20.0)
    assert process.returncode == 1, told
    assert b"stopped_at_once" in told
