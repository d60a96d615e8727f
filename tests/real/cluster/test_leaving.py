"""A full cluster leaves the machine as it found it, however it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.full import FullCluster, sweep
from controllerkit.devcluster.full.netns import NETNS_FOLDER
from controllerkit.errors import DevClusterError
from controllerkit.objects.kinds import CONFIG_MAP, POD

from .conftest import Traces, links


def own_network() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


async def test_after_stop_nothing_is_left_and_a_second_start_finds_the_objects(tmp_path: Path) -> None:
    network, devices = own_network(), links()
    first = FullCluster(cache=BinaryCache(), data_dir=tmp_path)
    await first.start()
    traces = Traces(first)
    assert own_network() != network
    assert len(traces.processes()) > 8
    async with first.connect() as client:
        await client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "1"}})
    await first.stop()
    await first.stop()
    assert traces.left() == {}
    assert own_network() == network
    assert links() == devices

    async with FullCluster(cache=BinaryCache(), data_dir=tmp_path) as second:
        later = Traces(second)
        async with second.connect() as client:
            assert (await client.get(CONFIG_MAP, "kept", "default")).get("data", "a") == "1"
            pods = await client.list(POD, "kube-system")
            assert pods.items[0].get("status", "containerStatuses")[0]["restartCount"] == 1
    assert later.left() == {}


@pytest.mark.parametrize("seconds", [0.3, 1.5, 3.5])
async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path, seconds: float) -> None:
    network = own_network()
    cluster = FullCluster(cache=BinaryCache(), data_dir=tmp_path)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cluster.start(), seconds)
    assert own_network() == network
    assert not (NETNS_FOLDER / cluster.netns).exists()
    assert list(Path("/sys/fs/cgroup").glob(f"**/{cluster.netns}")) == []
    assert str(tmp_path) not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


class WithoutEtcd(BinaryCache):
    """A cache whose etcd ends at once."""

    def ensure(self, component: str, binary: str) -> Path:
        return Path("/bin/false") if binary == "etcd" else super().ensure(component, binary)


async def test_a_component_that_ends_is_named_with_its_log_and_nothing_is_left(tmp_path: Path) -> None:
    network = own_network()
    with pytest.raises(DevClusterError, match=r"^etcd ended with status 1"):
        await FullCluster(cache=WithoutEtcd(), data_dir=tmp_path).start()
    assert own_network() == network
    assert str(tmp_path) not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


KILLED = """
import asyncio, json, os, sys
from pathlib import Path
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.full import FullCluster

async def main():
    cluster = FullCluster(cache=BinaryCache(), data_dir=Path(sys.argv[1]))
    await cluster.start()
    inodes = [os.stat(f"/proc/{cluster.node_pid}/ns/{kind}").st_ino for kind in ("net", "pid", "mnt")]
    print(json.dumps({"netns": cluster.netns, "pid": cluster.node_pid, "inodes": inodes}), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_two_clusters_at_once_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "one")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            async with FullCluster(cache=BinaryCache(), data_dir=tmp_path / "two") as cluster:
                assert other.stdout is not None
                told = json.loads(await asyncio.to_thread(other.stdout.readline))
                assert told["netns"] != cluster.netns
                async with cluster.connect() as client:
                    assert len((await client.list(POD)).items) == 1
        finally:
            other.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 15
    while told["netns"] not in sweep() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    assert not (NETNS_FOLDER / told["netns"]).exists()


def test_a_killed_owner_takes_every_process_with_it_and_the_sweep_removes_the_rest(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        try:
            told = json.loads(owner.stdout.readline())
        finally:
            owner.send_signal(signal.SIGKILL)
    traces = Traces.__new__(Traces)
    traces.name, traces.data_dir, traces.namespaces = told["netns"], tmp_path, set(told["inodes"])
    deadline = time.monotonic() + 15
    while traces.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert traces.processes() == []
    assert set(traces.left()) == {"mounts", "control groups", "names"}
    assert told["netns"] in sweep()
    assert traces.left() == {}
