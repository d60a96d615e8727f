"""`Node`: registers itself and runs the Pods that are bound to it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from controllerkit.cache import Handler, Informer
from controllerkit.client import Client
from controllerkit.devcluster.images import ImageTable
from controllerkit.devcluster.node.addresses import AddressPool
from controllerkit.devcluster.node.hosts import cluster_names, hosts_file
from controllerkit.devcluster.node.logs import ContainerLog
from controllerkit.devcluster.node.lookup import Lookup
from controllerkit.devcluster.node.process import SandboxProcess
from controllerkit.devcluster.node.registration import Registration
from controllerkit.devcluster.node.sandbox import check_sandbox
from controllerkit.devcluster.node.server import KubeletServer
from controllerkit.devcluster.node.worker import PodWorker, WorkerContext
from controllerkit.errors import DevClusterError
from controllerkit.events import EventRecorder
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import Clock, SystemClock, cancel_and_wait, get_logger

__all__ = ["Node"]

HOST_IP: Final = "127.0.0.1"
SYNC_TIMEOUT_S: Final = 60.0


class Node:
    """A kubelet's work with sandboxed processes: the same against any API server.

    Each Pod gets a loopback address to itself, its host name, its volumes at their paths, and names of Services
    and Pods in its hosts file.

    Args:
        data_dir: where Pods' files are kept; a second run finds them there.
        pod_cidr: loopback addresses for Pods; several nodes on a machine may share it.
        api_server: the server's URL as Pods are to see it (``KUBERNETES_SERVICE_HOST`` and ``…_PORT``); Pods get
            neither where it is "".

    Attributes:
        ready: set once the Node is registered and Pods are being run.

    Guarantees:
        When ``run`` ends, however that comes about, no process of a Pod is left; should this process be killed, the
        kernel kills them. Pods that went away in the meantime leave no files behind a next start.
    Raises:
        DevClusterError: from ``run``: sandboxes cannot be made here; one sentence that says what to do.
    """

    def __init__(
        self,
        client: Client,
        *,
        name: str = "node-a",
        data_dir: Path,
        images: ImageTable,
        pod_cidr: str = "127.64.0.0/12",
        api_server: str = "",
        clock: Clock | None = None,
        log: Any = None,
    ) -> None:
        self.name = name
        self.ready = asyncio.Event()
        self._client = client
        self._data_dir = data_dir
        self._images = images
        self._api_server = urlsplit(api_server)
        self._clock = clock or SystemClock()
        self._log = (log or get_logger()).bind(node=name)
        self._addresses = AddressPool(pod_cidr)
        watched = (kinds.POD, kinds.SERVICE, *Lookup.KINDS)
        self._informers = {kind: Informer(client, kind, clock=self._clock, log=self._log) for kind in watched}
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._names: dict[str, list[str]] = {}
        self._names_stale = asyncio.Event()
        self._context: WorkerContext | None = None

    # -- running ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        bwrap = await asyncio.to_thread(check_sandbox)
        (self._data_dir / "pods").mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            stack.callback(self._addresses.close)
            http = await stack.enter_async_context(aiohttp.ClientSession())
            server = KubeletServer(self._data_dir, find_log=self._find_log, pods=self._own_pods)
            stack.push_async_callback(server.stop)
            await server.start(name=self.name)
            registration = Registration(
                self._client, name=self.name, host_ip=HOST_IP, port=server.port, clock=self._clock, log=self._log
            )
            recorder = EventRecorder(self._client, controller=f"node-{self.name}", clock=self._clock, log=self._log)
            lookup = Lookup(self._client, self._informers, self._clock)
            self._context = WorkerContext(
                client=self._client,
                clock=self._clock,
                log=self._log,
                images=self._images,
                lookup=lookup,
                recorder=recorder,
                http=http,
                bwrap=bwrap,
                base_env=self._base_env(),
                host_ip=HOST_IP,
                cpus=registration.cpus,
                memory_bytes=registration.memory_bytes,
                hosts_of=self._hosts_of,
            )
            background = [recorder.run(), *(informer.run() for informer in self._informers.values())]
            await stack.enter_async_context(_beside(background))
            await registration.register()
            stack.push_async_callback(registration.leave)
            await stack.enter_async_context(_beside([registration.run(), self._keep_names()]))
            for informer in self._informers.values():
                await informer.wait_synced(timeout_s=SYNC_TIMEOUT_S)
            await self._run_pods(lookup)

    async def _run_pods(self, lookup: Lookup) -> None:
        pods = self._informers[kinds.POD]
        await asyncio.to_thread(self._remove_orphans, {pod.uid for pod in self._own_pods()})
        lookup.on_change(self._poke)
        remove_services = self._informers[kinds.SERVICE].add_handler(_any_change(self._names_stale.set))
        remove_pods = pods.add_handler(
            Handler(
                on_add=lambda pod, _: self._saw(pod),
                on_update=self._replaced,
                on_delete=self._lost,
            )
        )
        try:
            self.ready.set()
            self._log.info("node_ready", pods=len(self._workers))
            await asyncio.Event().wait()
        finally:
            self.ready.clear()
            remove_pods()
            remove_services()
            await cancel_and_wait(*self._tasks.values())

    def _base_env(self) -> dict[str, str]:
        if not self._api_server.hostname:
            return {}
        port = self._api_server.port or (443 if self._api_server.scheme == "https" else 80)
        return {"KUBERNETES_SERVICE_HOST": self._api_server.hostname, "KUBERNETES_SERVICE_PORT": str(port)}

    def _remove_orphans(self, uids: set[str]) -> None:
        for folder in (self._data_dir / "pods").iterdir():
            if folder.name not in uids:
                shutil.rmtree(folder, ignore_errors=True)

    # -- Pods ------------------------------------------------------------------------------------------------------

    def _own_pods(self) -> list[Object]:
        return [pod for pod in self._informers[kinds.POD].store.list() if pod.spec.get("nodeName") == self.name]

    def _saw(self, pod: Object) -> None:
        self._names_stale.set()
        if pod.spec.get("nodeName") != self.name:
            return
        if (worker := self._workers.get(pod.uid)) is not None:
            worker.update(pod)
        elif pod.uid not in self._tasks and not _is_over(pod):
            self._begin(pod)

    def _replaced(self, old: Object, new: Object) -> None:
        if old.uid != new.uid:
            self._lost(old)
        self._saw(new)

    def _lost(self, pod: Object) -> None:
        self._names_stale.set()
        if (worker := self._workers.get(pod.uid)) is not None:
            worker.vanish()

    def _begin(self, pod: Object) -> None:
        assert self._context is not None  # noqa: S101 - set before handlers are added
        try:
            own_network = not pod.spec.get("hostNetwork")
            address = self._addresses.take(pod.status.get("podIP") or "") if own_network else HOST_IP
        except DevClusterError as error:
            self._log.error("pod_not_started", pod=str(pod.key), error=str(error))
            return
        worker = PodWorker(self._context, pod, folder=self._data_dir / "pods" / pod.uid, pod_ip=address)
        self._workers[pod.uid] = worker
        self._tasks[pod.uid] = asyncio.create_task(self._work(worker), name=f"pod {pod.key}")

    async def _work(self, worker: PodWorker) -> None:
        uid = worker.pod.uid
        try:
            await worker.run()
        except Exception:  # one Pod's failure must not stop the others; the API keeps its last status
            self._log.exception("pod_worker_failed", pod=str(worker.pod.key))
        finally:
            self._addresses.release(worker.pod_ip)
            del self._workers[uid], self._tasks[uid]

    def _poke(self, changed: Object) -> None:
        for worker in self._workers.values():
            if changed.namespace in ("", worker.pod.namespace):
                worker.poke()

    # -- names -----------------------------------------------------------------------------------------------------

    async def _keep_names(self) -> None:
        """Brings every Pod's hosts file up to date after each change of a Service or Pod."""
        while True:
            await self._names_stale.wait()
            self._names_stale.clear()
            services = self._informers[kinds.SERVICE].store.list()
            names = cluster_names(services, self._informers[kinds.POD].store.list())
            if names != self._names:
                self._names = names
                for worker in self._workers.values():
                    worker.write_hosts()
            await asyncio.sleep(0)

    def _hosts_of(self, pod: Object, pod_ip: str) -> str:
        return hosts_file(pod, pod_ip, self._names, api_server=self._api_server.hostname or HOST_IP)

    # -- for the server and for tests ------------------------------------------------------------------------------

    def _find_log(self, key: Key, container: str) -> ContainerLog | None:
        if (worker := self._worker(key)) is not None:
            return worker.log_of(container)
        pod = self._informers[kinds.POD].store.get(key)
        if pod is None or not pod.uid or "/" in container:
            return None
        return ContainerLog(self._data_dir / "pods" / pod.uid / "logs" / container, self._clock.utcnow)

    def _worker(self, key: Key) -> PodWorker | None:
        return next((w for w in self._workers.values() if w.pod.key == key), None)

    def _processes(self, key: Key, container: str) -> Iterator[SandboxProcess]:
        worker = self._worker(key)
        if worker is None or (container and worker.log_of(container) is None):
            raise DevClusterError(f"no Pod {key} with a container {container or 'at all'} runs on node {self.name}")
        return (process for name, process in worker.processes.items() if not container or name == container)

    def freeze(self, key: Key, container: str = "") -> None:
        """SIGSTOP to every process of the Pod or of one container: connections stay open, nothing answers.

        Raises:
            DevClusterError: no such Pod runs here; so do ``thaw`` and ``kill``.
        """
        for process in self._processes(key, container):
            process.freeze()

    def thaw(self, key: Key, container: str = "") -> None:
        """SIGCONT: the inverse of ``freeze``."""
        for process in self._processes(key, container):
            process.thaw()

    def kill(self, key: Key, container: str = "") -> None:
        """SIGKILL to the program of each container: exit code 137, and the restart policy decides."""
        for process in list(self._processes(key, container)):
            process.kill_program()


def _is_over(pod: Object) -> bool:
    """Nothing to run and nothing to end; a deleted Pod still has to leave the API."""
    return pod.status.get("phase") in ("Succeeded", "Failed") and not pod.deleting


def _any_change(call: Any) -> Handler:
    return Handler(on_add=lambda *_: call(), on_update=lambda *_: call(), on_delete=lambda *_: call())


@asynccontextmanager
async def _beside(work: Iterable[Any]) -> AsyncIterator[None]:
    """Runs coroutines for the length of the context."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        await cancel_and_wait(*tasks)
