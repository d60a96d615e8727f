"""A full cluster for the tests of one module, and what they need to look at it from outside."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from controllerkit.client import Client
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.controllers import Provisioner, install_storage_class
from controllerkit.devcluster.full import FullCluster, preflight
from controllerkit.devcluster.full.netns import NETNS_FOLDER
from controllerkit.manager import Manager
from controllerkit.runtime import cancel_and_wait

COMPONENTS = ("etcd-3.7/etcd", "kubernetes/kube-apiserver", "kubernetes-node/kubelet", "coredns/coredns")


def reason_to_skip() -> str:
    """Why there can be no full cluster here; "" where there can."""
    if missing := preflight():
        return missing
    cache = BinaryCache()
    absent = [name for name in COMPONENTS if cache.cached(*name.split("/")) is None]
    return f"not built yet: {', '.join(absent)}; run python -m controllerkit.devcluster.binaries" if absent else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    if not ours:
        return
    reason = reason_to_skip()
    for item in ours:
        item.add_marker(pytest.mark.real)
        item.add_marker(pytest.mark.cluster)
        item.add_marker(pytest.mark.timeout(180))
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@asynccontextmanager
async def storage(cluster: FullCluster) -> AsyncIterator[None]:
    """The dynamic provisioner, as an add-on."""
    async with cluster.connect() as client:
        await install_storage_class(client)
        manager = Manager(client)
        manager.add(Provisioner(cluster.data_dir / "volumes"))
        task = asyncio.create_task(manager.run())
        await manager.ready.wait()
        yield
        await cancel_and_wait(task)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FullCluster]:
    folder = tmp_path_factory.mktemp("cluster")
    async with FullCluster(cache=BinaryCache(), data_dir=folder, addons=[storage]) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(cluster: FullCluster) -> AsyncIterator[Client]:
    async with cluster.connect() as value:
        yield value


def python_pod(name: str, arguments: Sequence[str], **spec: Any) -> dict[str, Any]:
    """A Pod that runs this very Python: images made here hold one program, so the rest comes from the machine."""
    folders = dict.fromkeys(("/usr", "/lib", "/lib64", sys.base_prefix))
    present = [folder for folder in folders if Path(folder).exists()]
    volumes = [{"name": f"v{n}", "hostPath": {"path": folder}} for n, folder in enumerate(present)]
    mounts = [{"name": f"v{n}", "mountPath": folder, "readOnly": True} for n, folder in enumerate(present)]
    container = {
        "name": "python",
        "image": "registry.k8s.io/pause:3.10",
        # The registry answers every pull, so this policy works where images are made on the spot.
        "imagePullPolicy": "Always",
        "command": [str(Path(sys.executable).resolve()), *arguments],
        "volumeMounts": mounts,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container], "volumes": volumes, **spec},
    }


class Traces:
    """What a cluster is known by on the machine, taken while it runs, looked for when it is gone."""

    def __init__(self, cluster: FullCluster) -> None:
        self.name = cluster.netns
        self.data_dir = cluster.data_dir
        self.namespaces = {
            (NETNS_FOLDER / cluster.netns).stat().st_ino,
            Path(f"/proc/{cluster.node_pid}/ns/pid").stat().st_ino,
            Path(f"/proc/{cluster.node_pid}/ns/mnt").stat().st_ino,
        }

    def left(self) -> Mapping[str, Sequence[str]]:
        """Everything that is still there, by kind; empty when all is gone."""
        marks = (self.name, str(self.data_dir))
        mounts = [
            line for line in Path("/proc/self/mountinfo").read_text().splitlines() if any(m in line for m in marks)
        ]
        found = {
            "processes": self.processes(),
            "mounts": mounts,
            "control groups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{self.name}")],
            "names": [
                str(path)
                for path in (NETNS_FOLDER / self.name, Path(f"/run/controllerkit/{self.name}.json"))
                if path.exists()
            ],
        }
        return {kind: values for kind, values in found.items() if values}

    def processes(self) -> list[str]:
        """Processes in one of the namespaces, or with the folder in their command."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                inodes = {(folder / "ns" / kind).stat().st_ino for kind in ("net", "pid", "mnt")}
            except OSError:
                continue
            inside = bool(inodes & self.namespaces) or (command and str(self.data_dir) in command)
            if inside and int(folder.name) != os.getpid():
                found.append(f"{folder.name} {command}")
        return found


def links() -> str:
    """The machine's network devices, as seen by this thread."""
    return subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
