"""The real control plane's starter: what it leaves, what it says when it fails, what survives."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.control_plane import ControlPlane
from controllerkit.errors import DevClusterError
from controllerkit.runtime import wait_until


class FakeCache:
    """Gives one script for every binary."""

    def __init__(self, folder: Path, script: str) -> None:
        self.path = folder / "component"
        self.path.write_text(f"#!/bin/sh\n{script}\n")
        self.path.chmod(0o755)

    def ensure(self, component: str, binary: str) -> Path:
        return self.path


async def test_a_component_that_ends_is_quoted(tmp_path: Path) -> None:
    cache = cast("BinaryCache", FakeCache(tmp_path, "echo no space left for me; exit 3"))
    plane = ControlPlane(cache=cache, data_dir=tmp_path / "data")
    with pytest.raises(
        DevClusterError, match=r"etcd ended with status 3; the end of .*etcd\.log:\nno space left for me"
    ):
        await plane.start()


async def test_a_cancelled_start_leaves_nothing(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    cache = cast(
        "BinaryCache", FakeCache(tmp_path, f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 600")
    )
    plane = ControlPlane(cache=cache, data_dir=tmp_path / "data")
    starting = asyncio.create_task(plane.start())

    async def started() -> bool:
        return pid_file.exists()

    await wait_until(started, what="the fake etcd runs", timeout_s=10)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not alive(int(pid_file.read_text()))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


@pytest.fixture
def real(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--api") == "embedded":
        pytest.skip("needs real components: --api=real")


async def create(plane: ControlPlane, path: str, body: Any) -> int:
    connector = aiohttp.TCPConnector(ssl=plane.ssl_context())
    headers = {"Authorization": f"Bearer {plane.token}"}
    async with (
        aiohttp.ClientSession(plane.url, connector=connector, headers=headers) as session,
        session.post(path, json=body) as response,
    ):
        return response.status


@pytest.mark.real
@pytest.mark.usefixtures("real")
async def test_objects_survive_a_restart_and_nothing_is_left_running(tmp_path: Path) -> None:
    path, body = "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}}
    plane = ControlPlane(cache=BinaryCache(), data_dir=tmp_path / "data", with_controllers=False)
    async with plane:
        assert stat.S_IMODE(plane.kubeconfig.stat().st_mode) == 0o600
        pids = plane.pids
        assert len(pids) == 2
        with pytest.raises(DevClusterError, match="running already"):
            await plane.start()
        assert await create(plane, path, body) == 201
    assert not any(alive(pid) for pid in pids)
    async with ControlPlane(cache=BinaryCache(), data_dir=tmp_path / "data", with_controllers=False) as again:
        assert await create(again, path, body) == 409


PARENT = """
import asyncio, sys
from pathlib import Path
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.control_plane import ControlPlane

async def main():
    plane = ControlPlane(cache=BinaryCache(), data_dir=Path(sys.argv[1]), with_controllers=False)
    await plane.start()
    print(*plane.pids, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.real
@pytest.mark.usefixtures("real")
async def test_components_die_with_their_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "data")]
    parent = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pids = [int(text) for text in (await asyncio.wait_for(parent.stdout.readline(), 60)).split()]
    assert len(pids) == 2
    parent.send_signal(signal.SIGKILL)
    await parent.wait()

    async def ended() -> bool:
        return not any(alive(pid) for pid in pids)

    await wait_until(ended, what="the components have died", timeout_s=5)
