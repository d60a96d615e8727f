"""The three development clusters behind one interface: what runs on one runs on all.

========  =======================  ============================  =============================================
bed       API server               Pods                          needs
========  =======================  ============================  =============================================
embedded  ours, in this process    processes in sandboxes        bubblewrap
real      kube-apiserver, kcm,     processes in sandboxes        the same, and the built binaries
          kube-scheduler
cluster   the same, with RBAC      containers under a kubelet,   root, containerd, runc, CNI plugins, iptables
          for nodes                kube-proxy and CoreDNS
========  =======================  ============================  =============================================
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from pathlib import Path

from controllerkit.client import Client
from controllerkit.controller import Reconciler
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.images import ImageTable
from controllerkit.errors import DevClusterError
from controllerkit.manager import Manager
from controllerkit.objects import Object
from controllerkit.runtime import cancel_and_wait

__all__ = ["Bed", "BedKind", "open_bed"]

Progress = Callable[[str], None]
ETCD_OF_THE_CONTROL_PLANE = "etcd-3.7"


class BedKind(StrEnum):
    """Which of the three."""

    EMBEDDED = "embedded"
    REAL = "real"
    CLUSTER = "cluster"


class Bed(ABC):
    """A running development cluster.

    Attributes:
        kind: which of the three.
        client: an administrator's client.
        kubeconfig: the same for other processes; 0600.
        images: what Pods can run.
        shell_prefix: what a person types before ``kubectl`` to reach it, empty where nothing is needed.
    """

    kind: BedKind
    client: Client
    kubeconfig: Path
    shell_prefix: tuple[str, ...] = ()

    def __init__(self, *, data_dir: Path, cache: BinaryCache, images: ImageTable, progress: Progress) -> None:
        self.data_dir = data_dir
        self.cache = cache
        self.images = images
        self.progress = progress
        self.kubeconfig = data_dir / "kubeconfig"
        self._stack = AsyncExitStack()

    @abstractmethod
    async def _start(self) -> None:
        """Starts everything; what must be undone goes on ``self._stack`` as soon as it exists."""

    async def start(self) -> None:
        """Starts it, whole or not at all.

        Raises:
            DevClusterError: it cannot run here; one sentence that says what to do.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends every process and removes what was made outside ``data_dir``. Twice is once."""
        await self._stack.aclose()

    async def _run_beside(self, name: str, *reconcilers: Reconciler[Object]) -> None:
        """Runs controllers of the cluster itself until the bed stops."""
        manager = Manager(self.client)
        for reconciler in reconcilers:
            manager.add(reconciler)
        await self._run_task(name, manager.run, manager.ready)

    async def _run_task(self, name: str, run: Callable[[], object], ready: asyncio.Event | None = None) -> None:
        task: asyncio.Task[object] = asyncio.ensure_future(run())  # type: ignore[arg-type]
        task.set_name(name)
        self._stack.push_async_callback(cancel_and_wait, task)
        if ready is not None:
            waiter = asyncio.ensure_future(ready.wait())
            await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            if task.done():
                task.result()
                raise DevClusterError(f"{name} ended before it was ready")


class _ProcessBed(Bed):
    """Pods as processes: what the embedded and the real bed share."""

    async def _connect_and_run_node(self, *reconcilers: Reconciler[Object]) -> None:
        from controllerkit.devcluster.controllers import Provisioner
        from controllerkit.devcluster.node import Node

        self.client = await Client.connect(kubeconfig=self.kubeconfig, field_manager="controllerkit-dev")
        self._stack.push_async_callback(self.client.aclose)
        provisioner = Provisioner(self.data_dir / "volumes")
        await provisioner.install(self.client)
        await self._run_beside("cluster controllers", provisioner, *reconcilers)
        node = Node(self.client, data_dir=self.data_dir / "node", images=self.images)
        await self._run_task("node", node.run, node.ready)


class EmbeddedBed(_ProcessBed):
    """The API server, the controllers and the node in this process."""

    kind = BedKind.EMBEDDED

    async def _start(self) -> None:
        from controllerkit.apiserver import ApiServer
        from controllerkit.devcluster.controllers import embedded_controllers

        server = ApiServer()
        await server.start()
        self._stack.push_async_callback(server.stop)
        server.write_kubeconfig(self.kubeconfig)
        await self._connect_and_run_node(*embedded_controllers())


class RealBed(_ProcessBed):
    """The real control plane, our node."""

    kind = BedKind.REAL

    async def _start(self) -> None:
        from controllerkit.devcluster.control_plane import ControlPlane

        plane = ControlPlane(
            cache=self.cache,
            data_dir=self.data_dir / "control-plane",
            etcd=ETCD_OF_THE_CONTROL_PLANE,
            progress=self.progress,
        )
        self._stack.push_async_callback(plane.stop)
        await plane.start()
        shutil.copyfile(plane.kubeconfig, self.kubeconfig)
        self.kubeconfig.chmod(0o600)
        await self._connect_and_run_node()


class ClusterBed(Bed):
    """Everything real, in a network namespace that the starting thread enters."""

    kind = BedKind.CLUSTER

    async def _start(self) -> None:
        from controllerkit.devcluster.controllers import Provisioner
        from controllerkit.devcluster.full import FullCluster

        if os.geteuid() != 0:
            raise DevClusterError("the full cluster needs root (network namespaces, containerd); run it with sudo")
        cluster = FullCluster(
            cache=self.cache, data_dir=self.data_dir / "full", images=self.images, progress=self.progress
        )
        self._stack.push_async_callback(cluster.stop)
        await cluster.start()
        shutil.copyfile(cluster.kubeconfig, self.kubeconfig)
        self.kubeconfig.chmod(0o600)
        self.shell_prefix = ("nsenter", f"--net=/run/netns/{cluster.netns}")
        self.client = await Client.connect(kubeconfig=self.kubeconfig, field_manager="controllerkit-dev")
        self._stack.push_async_callback(self.client.aclose)
        provisioner = Provisioner(self.data_dir / "volumes")
        await provisioner.install(self.client)
        await self._run_beside("cluster controllers", provisioner)


_BEDS: dict[BedKind, type[Bed]] = {bed.kind: bed for bed in (EmbeddedBed, RealBed, ClusterBed)}


@asynccontextmanager
async def open_bed(
    kind: BedKind | str,
    *,
    data_dir: Path | None = None,
    images: ImageTable | None = None,
    cache: BinaryCache | None = None,
    progress: Progress = lambda _: None,
) -> AsyncIterator[Bed]:
    """A running cluster for the length of the context.

    ``data_dir`` None is a folder that is made, and removed at the end.

    Raises:
        DevClusterError: it cannot run here; one sentence that says what to do.
    """
    cache = cache or BinaryCache(progress=progress)
    folder = data_dir or Path(tempfile.mkdtemp(prefix="controllerkit-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DevClusterError(f"cannot write to {folder} ({error.strerror}); choose another with --data-dir") from error
    bed = _BEDS[BedKind(kind)](
        data_dir=folder, cache=cache, images=images or ImageTable.default(cache), progress=progress
    )
    try:
        await bed.start()
        try:
            yield bed
        finally:
            await bed.stop()
    finally:
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
