"""A whole Kubernetes cluster on this machine, in a network namespace of its own."""

from __future__ import annotations

import asyncio
import secrets
import signal
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

from controllerkit.client import Client
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.full import faults
from controllerkit.devcluster.full.cgroups import make_groups, processes_of_container, processes_under, remove_groups
from controllerkit.devcluster.full.cni import PLUGIN_FOLDERS, PLUGINS, network_config
from controllerkit.devcluster.full.containerd import Containerd
from controllerkit.devcluster.full.control import Pki, control_plane_processes, prepare_pki
from controllerkit.devcluster.full.dns import COREDNS_IMAGE, DNS_LABELS, DNS_NAMESPACE, dns_objects
from controllerkit.devcluster.full.images import PAUSE_IMAGE, ImageShelf
from controllerkit.devcluster.full.kubelet import kubelet_process, proxy_process
from controllerkit.devcluster.full.layout import CLUSTER_DOMAIN, Addresses, Folders
from controllerkit.devcluster.full.leftovers import RunRecord, sweep
from controllerkit.devcluster.full.netns import NetworkNamespace
from controllerkit.devcluster.full.nodespace import NodeSpace
from controllerkit.devcluster.full.readiness import dns_answers, forget_readiness, get_or_none, is_ready
from controllerkit.devcluster.full.registry import Registry
from controllerkit.devcluster.images import ImageTable
from controllerkit.devcluster.process import ChildProcess, tail_of
from controllerkit.devcluster.system import what_is_missing
from controllerkit.errors import DeadlineExceeded, DevClusterError
from controllerkit.objects.kinds import NODE, POD, SERVICE_ACCOUNT
from controllerkit.runtime import wait_until
from controllerkit.wire import Credentials, HttpTransport

__all__ = ["Addon", "FullCluster", "preflight"]

READY_TIMEOUT_S: Final = 90.0
CONTAINERS_END_TIMEOUT_S: Final = 3.0
KUBELET_STOP_TIMEOUT_S: Final = 3.0
NODE_END_TIMEOUT_S: Final = 15.0
_CONTROL_PLANE: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

T = TypeVar("T")


def preflight() -> str:
    """One sentence that says why a full cluster cannot run here and what to do; "" where it can."""
    return what_is_missing(plugin_folders=PLUGIN_FOLDERS, plugins=PLUGINS)


def _quiet(_: str) -> None:
    """Says nothing."""


class FullCluster:
    """kube-apiserver, controller manager, scheduler, kubelet, kube-proxy, containerd, CoreDNS: nothing is played.

    Expected flow:
        ``start``; use it; ``stop``, on the same thread: that of the event loop.

    Guarantees:
        ``start`` moves the calling thread into the cluster's network namespace, so that this process and every child
        it starts from that thread reach Pods and Services by their addresses; threads that exist already stay
        outside. Nothing outside is reachable from inside. ``stop`` moves it back.
        ``stop`` leaves no process, mount, namespace, control group or network device, after a failed or cancelled
        start as well. If this process is killed, the kernel ends the cluster's processes; the rest is removed by
        ``sweep``, which every start calls.
        The machine's addresses, iptables, kernel settings and mounts stay as they are.
        A second start on the same ``data_dir`` finds the objects and volumes of the first, as after a reboot.
        Several clusters run one after the other, and two at once from two processes.

    Caveats:
        Names are not resolved for this process: cluster DNS is for Pods. Dial addresses.
        /var/lib/kubelet and the like stay on the machine as empty folders: they are the node's mount points.

    Args:
        cache: where binaries come from.
        data_dir: everything is kept in it; a folder on a local disk.
        images: what Pods can run; `ImageTable.default` if not given. Pulled when first asked for.
        etcd: the component that stores the API server's data.
        addons: called with the cluster at the end of ``start`` and entered in order, left in reverse order at the
            start of ``stop``: a storage provisioner goes here. StorageClasses are the add-on's to make; its hostPath
            volumes work under any path of this machine, because the node sees the same files.

    Attributes:
        kubeconfig: the administrator's, 0600, complete in itself; usable from inside the namespace.
        netns: the namespace's name: ``nsenter --net=/run/netns/NAME kubectl …``.
        addresses: the node's address and the rest.
    """

    def __init__(
        self,
        *,
        cache: BinaryCache,
        data_dir: Path,
        images: ImageTable | None = None,
        etcd: str = "etcd-3.7",
        node_name: str = "node-a",
        addons: Sequence[Addon] = (),
        progress: Callable[[str], None] = _quiet,
    ) -> None:
        self._cache = cache
        self._etcd = etcd
        self._node_name = node_name
        self._images = images
        self._progress = progress
        self._addons = tuple(addons)
        self._folders = Folders(data_dir.absolute())
        self.addresses = Addresses()
        self.kubeconfig: Path = self._folders.kubeconfig
        self.netns = f"ck-{secrets.token_hex(4)}"
        self._network = NetworkNamespace(self.netns)
        self._space = NodeSpace(self._folders)
        self._record = RunRecord(self.netns)
        self._processes: dict[str, ChildProcess] = {}
        self._stack = AsyncExitStack()
        self._outside: ThreadPoolExecutor | None = None
        self._registry: Registry | None = None
        self._containerd: Containerd | None = None
        self._pki: Pki | None = None
        self._thread = 0

    # -- start ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns when the node is Ready, CoreDNS answers, the default ServiceAccount exists and the add-ons run.

        Raises:
            DevClusterError: it cannot run here, or a component failed; the message holds the end of its log.
            BinaryUnavailable: a component can neither be found nor built.
        """
        if self._outside is not None:
            raise DevClusterError("this cluster is running already; stop it before starting it again")
        if missing := preflight():
            raise DevClusterError(missing)
        self._thread = threading.get_ident()
        try:
            await self._start()
        except BaseException:
            # A second cancellation must not leave half a cluster.
            await asyncio.shield(self.stop())
            raise

    async def _start(self) -> None:
        self._outside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outside")
        # The pool's thread is made by this first call, before this thread moves: it stays outside.
        for name in await self._run_outside(sweep):
            self._progress(f"removed what the cluster {name} had left")
        binaries = await self._run_outside(self._binaries)
        self._folders.make()
        self._pki = await self._run_outside(
            partial(prepare_pki, self._folders, self.addresses, cluster=self.netns, node=self._node_name)
        )
        self._record.add()
        self._network.enter(self.addresses)
        self._progress(f"in the network namespace {self.netns}")
        self._make_processes(binaries)
        self._launch("etcd", "kube-apiserver")
        containerd = await self._start_node(binaries["pause"])
        self._progress("waiting for kube-apiserver and containerd")
        async with self.connect() as client:
            await self._wait("kube-apiserver", partial(client.request_text, "/readyz"), "/readyz is ok")
            await containerd.wait_ready()
            await forget_readiness(client, self._node_name)
            self._launch("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
            self._progress("waiting for the node, its DNS and the default ServiceAccount")
            for value in dns_objects(self.addresses):
                await client.apply(value)
            await self._wait_ready(client)
        for addon in self._addons:
            await self._stack.enter_async_context(addon(self))
        self._progress(f"cluster ready: nsenter --net=/run/netns/{self.netns} kubectl --kubeconfig {self.kubeconfig}")

    async def _start_node(self, pause: Path) -> Containerd:
        make_groups(self.netns)
        self._space.start(pause)
        self._record.add(self._space.pid)
        (self._folders.config / "cni").mkdir(exist_ok=True)
        (self._folders.config / "cni" / "10-pods.conflist").write_text(network_config(self.addresses))
        containerd = Containerd(folders=self._folders, addresses=self.addresses, space=self._space, pause=PAUSE_IMAGE)
        self._containerd = containerd
        self._processes["containerd"] = containerd.process
        containerd.start()
        self._record.add(containerd.process.pid)
        assert self._outside is not None  # noqa: S101 - made first
        shelf = ImageShelf(
            cache=self._cache,
            table=self._images or ImageTable.default(self._cache),
            store=self._folders.images,
            outside=self._outside,
        )
        self._registry = Registry(shelf.make)
        await self._registry.start(self.addresses.registry_port)
        # While the API server starts there is time to make the images that the cluster itself runs.
        for reference in (PAUSE_IMAGE, COREDNS_IMAGE):
            await self._registry.image(reference)
        return containerd

    def _binaries(self) -> dict[str, Path]:
        wanted = {"etcd": self._etcd, "pause": "pause", "coredns": "coredns"}
        wanted |= dict.fromkeys(_CONTROL_PLANE[1:], "kubernetes")
        wanted |= dict.fromkeys(("kubelet", "kube-proxy"), "kubernetes-node")
        return {name: self._cache.ensure(component, name) for name, component in wanted.items()}

    def _make_processes(self, binaries: Mapping[str, Path]) -> None:
        self._processes |= control_plane_processes(binaries, self._folders, self.addresses)
        self._processes["kubelet"] = kubelet_process(
            binaries["kubelet"],
            self._folders,
            self.addresses,
            node=self._node_name,
            cgroup=f"/{self.netns}",
            space=self._space,
        )
        self._processes["kube-proxy"] = proxy_process(
            binaries["kube-proxy"], self._folders, self.addresses, node=self._node_name, space=self._space
        )

    def _launch(self, *names: str) -> None:
        for name in names:
            self._processes[name].start()
            self._record.add(self._processes[name].pid)

    async def _wait_ready(self, client: Client) -> None:
        selector = ",".join(f"{name}={value}" for name, value in DNS_LABELS.items())

        async def has_account() -> bool:
            return await get_or_none(client, SERVICE_ACCOUNT, "default", "default") is not None

        async def node_is_ready() -> bool:
            return is_ready(await get_or_none(client, NODE, self._node_name))

        async def dns_is_ready() -> bool:
            pods = await client.list(POD, DNS_NAMESPACE, label_selector=selector)
            return any(is_ready(pod) for pod in pods.items)

        async def dns_is_reached() -> bool:
            return await dns_answers(self.addresses.dns_service, f"kubernetes.default.svc.{CLUSTER_DOMAIN}")

        for name, probe, what in (
            ("kubelet", node_is_ready, "the node becomes Ready"),
            ("kubelet", dns_is_ready, "the Pod of CoreDNS becomes Ready"),
            ("kube-proxy", dns_is_reached, "the cluster's DNS answers at its Service address"),
            ("kube-controller-manager", has_account, "the default ServiceAccount appears"),
        ):
            await self._wait(name, probe, what)

    async def _wait(self, component: str, probe: Callable[[], Awaitable[object]], what: str) -> None:
        """Until ``component`` has done ``what``, or any component has ended: often it is another that is the cause."""

        async def attempt() -> object:
            for process in self._processes.values():
                process.check()
            return await probe()

        await self._processes[component].wait_ready(attempt, what=what, timeout_s=READY_TIMEOUT_S)

    # -- use -----------------------------------------------------------------------------------------------------

    def connect(self) -> Client:
        """A new client of the administrator; close it. Call it once ``start`` is under way."""
        if self._pki is None:
            raise DevClusterError("the cluster is not running; start it first")
        credentials = Credentials(
            server=self.addresses.api_url,
            ca_file=str(self._pki.authority),
            cert_file=str(self._pki.admin_certificate),
            key_file=str(self._pki.admin_key),
        )
        return Client(HttpTransport(credentials, user_agent="controllerkit-devcluster"))

    @property
    def data_dir(self) -> Path:
        """The folder that everything is kept in."""
        return self._folders.root

    @property
    def node_pid(self) -> int:
        """The node's first process, 0 when it is off: ``nsenter --target PID --mount --pid --net ps ax``."""
        return self._space.pid

    def log_of(self, component: str, lines: int = 100) -> str:
        """The last lines of ``kubelet``'s, ``containerd``'s, … log."""
        return tail_of(self._folders.logs / f"{component}.log", lines)

    async def load_archive(self, archive: Path) -> None:
        """Imports an image archive (``docker save`` or OCI) into the node: for images that no table describes.

        Raises:
            DevClusterError: the cluster is not running, or the file is no such archive.
        """
        if self._containerd is None:
            raise DevClusterError("the cluster is not running; start it first")
        await self._run_outside(partial(self._containerd.load_archive, archive))

    def partition(self, pod_ip: str, *, node_too: bool = False) -> None:
        """Drops every packet between this Pod and all others; both ways, in connections that exist too.

        The node still reaches the Pod, so kubelet's probes and an operator in this process do not notice, unless
        ``node_too``.

        Raises:
            DevClusterError: iptables refused.
        """
        faults.set_partition(pod_ip, cut=True, node_too=node_too)

    def heal(self, pod_ip: str) -> None:
        """Undoes ``partition``, with or without ``node_too``; nothing where there was none."""
        faults.set_partition(pod_ip, cut=False, node_too=True)

    async def freeze(self, pod: str, namespace: str = "default", *, container: str = "") -> None:
        """SIGSTOP to every process of a container: its connections stay open and nobody answers.

        ``container`` "" is the Pod's first. kubelet's liveness probes will restart it, if it has any.

        Raises:
            DevClusterError: it does not run.
            NotFound: there is no such Pod.
        """
        faults.signal_processes(await self._pids_of(pod, namespace, container), signal.SIGSTOP)

    async def thaw(self, pod: str, namespace: str = "default", *, container: str = "") -> None:
        """SIGCONT: it goes on where it was.

        Raises:
            DevClusterError: it does not run.
            NotFound: there is no such Pod.
        """
        faults.signal_processes(await self._pids_of(pod, namespace, container), signal.SIGCONT)

    async def _pids_of(self, pod: str, namespace: str, container: str) -> set[int]:
        async with self.connect() as client:
            value = await client.get(POD, pod, namespace)
        for status in value.get("status", "containerStatuses", default=()) or ():
            if container in {"", status["name"]}:
                identity = str(status.get("containerID", "")).rpartition("//")[2]
                if identity and (pids := processes_of_container(self.netns, identity)):
                    return pids
                break
        raise DevClusterError(f"no process of Pod {namespace}/{pod} {container} runs; see kubectl describe pod {pod}")

    # -- stop ----------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Shuts the cluster down as a machine is: SIGTERM to what runs, then the power. Twice is once.

        Pods stay in the API server's storage. Containers have a few seconds for an orderly end.

        Raises:
            DevClusterError: called on another thread than ``start``; or something could not be ended, after all
                the rest was.
        """
        if self._outside is None:
            return
        if threading.get_ident() != self._thread:
            raise DevClusterError("stop a full cluster on the thread that started it: that thread is in its namespace")
        problems: list[str] = []
        for step in (
            self._stop_addons,
            self._stop_control_loops,
            self._end_containers,
            self._end_node,
            self._stop_storage,
            self._forget,
        ):
            try:
                await step()
            except Exception as error:  # the other steps must run whatever this one met
                problems.append(f"{step.__name__.strip('_')}: {error}")
        self._processes.clear()
        self._containerd = None
        self._outside.shutdown(wait=False, cancel_futures=True)
        self._outside = None
        if problems:
            raise DevClusterError(f"the cluster {self.netns} did not end as it should: {'; '.join(problems)}")

    async def _stop_addons(self) -> None:
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    async def _stop_control_loops(self) -> None:
        """First what would start again what is ended next."""
        loops = ("kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager")
        await self._stop(*loops, timeout_s=KUBELET_STOP_TIMEOUT_S)

    async def _end_containers(self) -> None:
        pids = processes_under(self.netns)
        # Frozen ones would not hear it.
        faults.signal_processes(pids, signal.SIGCONT)
        faults.signal_processes(pids, signal.SIGTERM)

        async def have_ended() -> bool:
            return not processes_under(self.netns) & pids

        with suppress(DeadlineExceeded):  # what has not, ends with the node
            await wait_until(have_ended, what="containers end", timeout_s=CONTAINERS_END_TIMEOUT_S)

    async def _end_node(self) -> None:
        if self._registry is not None:
            await self._registry.stop()
        self._space.kill()
        # The first process lasts until the exit status of every other one is taken.
        for name in ("containerd", "kubelet", "kube-proxy"):
            if name in self._processes:
                await self._processes[name].wait(NODE_END_TIMEOUT_S)
        if not await self._space.end(NODE_END_TIMEOUT_S):
            raise DevClusterError(f"a process of the node is stuck in the kernel (pid {self._space.pid})")

    async def _stop_storage(self) -> None:
        await self._stop("kube-apiserver", timeout_s=KUBELET_STOP_TIMEOUT_S)
        await self._stop("etcd", timeout_s=KUBELET_STOP_TIMEOUT_S)

    async def _stop(self, *names: str, timeout_s: float) -> None:
        await asyncio.gather(*(self._processes[name].stop(timeout_s) for name in names if name in self._processes))

    async def _forget(self) -> None:
        # Threads that were started meanwhile keep the namespace itself until they end, but not its name.
        self._network.leave()
        kept = remove_groups(self.netns)
        self._record.forget()
        if kept:
            raise DevClusterError(f"control groups that still have processes: {', '.join(map(str, kept[:3]))}")

    async def _run_outside(self, work: Callable[[], T]) -> T:
        assert self._outside is not None  # noqa: S101 - made first
        return await asyncio.get_running_loop().run_in_executor(self._outside, work)

    async def __aenter__(self) -> FullCluster:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


Addon = Callable[[FullCluster], AbstractAsyncContextManager[object]]
"""Something that runs beside the cluster from its start to its stop, such as a storage provisioner."""
