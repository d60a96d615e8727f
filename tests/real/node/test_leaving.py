"""What a node leaves behind when it stops, when it is killed, and when it comes back: nothing it should not."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from controllerkit.devcluster import Bed
from controllerkit.devcluster.node.sandbox import SandboxSpec, sandbox_line
from controllerkit.objects import kinds
from controllerkit.runtime import wait_until
from tests.real.node.conftest import Space, container_of, extra_node

pytestmark = pytest.mark.asyncio(loop_scope="session")

AGENT = """
import asyncio, sys
from pathlib import Path
from controllerkit.client import Client
from controllerkit.devcluster.node import Node
from tests.real.node.conftest import images

async def main(kubeconfig, name, folder):
    async with await Client.connect(kubeconfig=kubeconfig) as client:
        await Node(client, name=name, data_dir=Path(folder), images=images()).run()

asyncio.run(main(*sys.argv[1:]))
"""


def marked(marker: str) -> list[int]:
    """The processes that have the marker on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if marker in (entry / "cmdline").read_text(errors="replace") and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


async def until_none(marker: str) -> None:
    async def none() -> bool:
        return not marked(marker)

    await wait_until(none, what=f"no process of {marker} is left", timeout_s=10)


async def test_a_node_that_comes_back_starts_its_pods_again(bed: Bed, space: Space, tmp_path: Path) -> None:
    marker = secrets.token_hex(8)
    script = f": {marker}; echo up; echo more >>/data/runs; sleep 600"
    volumes = [{"name": "data", "emptyDir": {}}]
    mounts = [{"name": "data", "mountPath": "/data"}]
    name = f"node-{marker[:6]}"
    async with extra_node(bed, name, tmp_path):
        await space.run("back", script, nodeName=name, volumes=volumes, container_volumeMounts=mounts)
        first = await space.until_running("back")
        await space.until_logged("back", "up")
        assert marked(marker)
    assert marked(marker) == [], "run returned, so every process has ended"
    stale = tmp_path / "pods" / "uid-of-a-pod-that-is-gone"
    stale.mkdir()
    async with extra_node(bed, name, tmp_path):
        pod = await space.until("back", lambda pod: container_of(pod).get("restartCount") == 1, "runs again")
        assert container_of(pod)["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
        assert pod.status["startTime"] == first.status["startTime"]
        runs = tmp_path / "pods" / pod.uid / "volumes" / "data" / "runs"

        async def twice() -> bool:
            return runs.read_text() == "more\nmore\n"

        await wait_until(twice, what="an emptyDir lives as long as its Pod", timeout_s=5)
        assert not stale.exists()
        await space.client.delete(kinds.POD, space.key("back"))
        await space.until_gone("back")
        assert not runs.exists()
    assert marked(marker) == []


async def test_nothing_survives_a_node_that_is_killed(bed: Bed, space: Space, tmp_path: Path) -> None:
    marker = secrets.token_hex(8)
    name = f"node-{marker[:6]}"
    root = Path(__file__).parents[3]
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(bed.kubeconfig), name, str(tmp_path)],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await space.run("orphan", f"trap '' TERM HUP; : {marker}; while true; do sleep 1; done", nodeName=name)
        await space.until_running("orphan")
        assert marked(marker)
        agent.send_signal(signal.SIGKILL)
        await until_none(marker)
    finally:
        agent.kill()
        agent.wait()
        await bed.client.delete(kinds.NODE, name)


async def test_a_finished_pods_log_and_status_survive_the_node(bed: Bed, space: Space, tmp_path: Path) -> None:
    async with extra_node(bed, "node-done", tmp_path):
        await space.run("done", "echo result", nodeName="node-done", restartPolicy="Never")
        before = await space.until_over("done")
    async with extra_node(bed, "node-done", tmp_path):
        await space.until_logged("done", "result\n")
        after = await space.pod("done")
        assert after.status == before.status
        await space.client.delete(kinds.POD, space.key("done"))
        await space.until_gone("done")


async def test_two_nodes_give_their_pods_different_addresses(bed: Bed, space: Space, tmp_path: Path) -> None:
    async with extra_node(bed, "node-x", tmp_path / "x"), extra_node(bed, "node-y", tmp_path / "y"):
        for name in ("x", "y"):
            await space.run(name, nodeName=f"node-{name}")
        addresses = {(await space.until_running(name)).status["podIP"] for name in ("x", "y")}
        assert len(addresses) == 2
        for name in ("x", "y"):
            await space.client.delete(kinds.POD, space.key(name), grace_period_s=0)
            await space.until_gone(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="already unprivileged")
@pytest.mark.real
async def test_a_sandbox_needs_no_root(tmp_path: Path) -> None:
    spec = SandboxSpec(hostname="plain", command=["/bin/sh", "-c", "hostname; id -u"], etc=Path("/usr/share"))
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    process = await asyncio.create_subprocess_exec(
        *user, *sandbox_line(spec), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert output.decode().split() == ["plain", "0"], errors.decode()
