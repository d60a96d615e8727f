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
import secrets
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

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
API_SERVER_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


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
        keeps_state: whether objects and volumes are there again at the next start on the same ``data_dir``.
        shell_prefix: what a person types before ``kubectl`` to reach it, empty where nothing is needed.
    """

    kind: BedKind
    client: Client
    kubeconfig: Path
    shell_prefix: tuple[str, ...] = ()

    def __init__(
        self, *, data_dir: Path, cache: BinaryCache, images: ImageTable, progress: Progress, keeps_state: bool
    ) -> None:
        self.data_dir = data_dir
        self.keeps_state = keeps_state
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

    async def _connect(self) -> None:
        self.client = await Client.connect(kubeconfig=self.kubeconfig, field_manager="controllerkit-dev")
        self._stack.push_async_callback(self.client.aclose)

    async def _run_controllers(self, *others: Reconciler[Object]) -> None:
        """Runs the volumes' controllers, and what else the bed lacks, until the bed stops."""
        from controllerkit.devcluster.controllers import Provisioner, Reclaimer, install_storage_class

        await install_storage_class(self.client)
        volumes = self.data_dir / "volumes"
        manager = Manager(self.client)
        for reconciler in (Provisioner(volumes), Reclaimer(volumes), *others):
            manager.add(reconciler)
        await self._run_until_stopped("the cluster's controllers", manager.run(), manager.ready)

    async def _run_until_stopped(self, name: str, run: Coroutine[Any, Any, None], ready: asyncio.Event) -> None:
        """Runs a part beside the others and returns once it is ready."""
        task = asyncio.create_task(run, name=name)
        self._stack.push_async_callback(cancel_and_wait, task)
        waiter = asyncio.create_task(ready.wait())
        await asyncio.wait([task, waiter], return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if task.done():
            task.result()
            raise DevClusterError(f"{name} ended before it was ready")


class _ProcessBed(Bed):
    """Pods as processes: what the embedded and the real bed share."""

    _api_server = ""

    async def _connect_and_run_node(self, *reconcilers: Reconciler[Object]) -> None:
        from controllerkit.devcluster.node import Node

        await self._connect()
        await self._run_controllers(*reconcilers)
        node = Node(self.client, data_dir=self.data_dir / "node", images=self.images, api_server=self._api_server)
        await self._run_until_stopped("the node", node.run(), node.ready)


class EmbeddedBed(_ProcessBed):
    """The API server, the controllers and the node in this process."""

    kind = BedKind.EMBEDDED

    async def _start(self) -> None:
        from controllerkit.apiserver import ApiServer, TlsFiles
        from controllerkit.devcluster.controllers import embedded_controllers
        from controllerkit.devcluster.pki import Authority

        folder = self.data_dir / "api-server"
        folder.mkdir(exist_ok=True)
        authority = Authority.load(folder) or Authority.create("controllerkit")
        serving = authority.issue("kube-apiserver", names=["localhost", *API_SERVER_NAMES], addresses=["127.0.0.1"])
        certificate, key = serving.write(folder, "serving")
        server = ApiServer(
            tls=TlsFiles(certificate=certificate, key=key, ca=authority.save(folder)),
            token=secrets.token_urlsafe(32),
            data_dir=folder / "state" if self.keeps_state else None,
        )
        await server.start()
        self._stack.push_async_callback(server.stop)
        server.write_kubeconfig(self.kubeconfig)
        self._api_server = server.url
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
        self.kubeconfig = plane.kubeconfig
        self._api_server = plane.url
        await self._connect_and_run_node()


class ClusterBed(Bed):
    """Everything real, in a network namespace that the starting thread enters."""

    kind = BedKind.CLUSTER

    async def _start(self) -> None:
        from controllerkit.devcluster.full import FullCluster

        if os.geteuid() != 0:
            raise DevClusterError("the full cluster needs root (network namespaces, containerd); run it with sudo")
        cluster = FullCluster(
            cache=self.cache, data_dir=self.data_dir / "full", images=self.images, progress=self.progress
        )
        self._stack.push_async_callback(cluster.stop)
        await cluster.start()
        self.kubeconfig = cluster.kubeconfig
        self.shell_prefix = ("nsenter", f"--net=/run/netns/{cluster.netns}")
        await self._connect()
        await self._run_controllers()


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
        data_dir=folder,
        cache=cache,
        images=images or ImageTable.default(cache),
        progress=progress,
        keeps_state=data_dir is not None,
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
