"""The real control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.

What the embedded API server is held against, and what any test can run on. Everything a start needs is made
here and kept in ``data_dir``: a certificate authority, a serving certificate, the ServiceAccount signing key, a
random admin token, a kubeconfig, one log per component.

Guarantees:
    The components listen on loopback only, and clients verify the API server by the authority made here.
    No component outlives this process: each is killed by the kernel when its parent dies.
Raises:
    DevClusterError: a component ended or was not ready in time; the message holds the end of its log.
    BinaryUnavailable: a component can neither be found nor built.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import shutil
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import aiohttp

from controllerkit.devcluster.binaries import BinaryCache, Progress
from controllerkit.devcluster.pki import Authority, service_account_keys, write_private
from controllerkit.devcluster.process import ChildProcess
from controllerkit.errors import DevClusterError

__all__ = ["ControlPlane"]

READY_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
RESTART_TIMEOUT_S: Final = 0.5
SERVICE_RANGE: Final = "10.0.0.0/24"
SERVICE_ADDRESS: Final = "10.0.0.1"
_SERVICE_NAME: Final = "kubernetes.default.svc.cluster.local"


def _quiet(_: str) -> None:
    """Says nothing."""


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different; held together so that none is given twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@dataclass(slots=True)
class _Ports:
    """The ports of one control plane."""

    etcd: int = 0
    etcd_peer: int = 0
    api: int = 0

    @classmethod
    def choose(cls) -> _Ports:
        return cls(*_free_ports(3))


@dataclass(slots=True)
class _Files:
    """What is in ``data_dir``."""

    root: Path
    ca: Path = field(init=False)
    server_cert: Path = field(init=False)
    server_key: Path = field(init=False)
    sa_key: Path = field(init=False)
    sa_pub: Path = field(init=False)
    tokens: Path = field(init=False)
    kubeconfig: Path = field(init=False)

    def __post_init__(self) -> None:
        for attribute, name in (
            ("ca", "ca.crt"),
            ("server_cert", "apiserver.crt"),
            ("server_key", "apiserver.key"),
            ("sa_key", "sa.key"),
            ("sa_pub", "sa.pub"),
            ("tokens", "tokens.csv"),
            ("kubeconfig", "kubeconfig"),
        ):
            setattr(self, attribute, self.root / name)

    def write_certificates(self) -> None:
        """The authority, and a serving certificate for loopback and the names Pods use.

        The authority and the ServiceAccount keys stay over restarts, as tokens and kubeconfigs outlive them.
        """
        authority = Authority.load(self.root) or Authority.create("controllerkit-dev-ca")
        authority.save(self.root)
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", _SERVICE_NAME]
        serving = authority.issue("kube-apiserver", names=names, addresses=["127.0.0.1", SERVICE_ADDRESS])
        serving.write(self.root, "apiserver")
        if not (self.sa_key.exists() and self.sa_pub.exists()):
            service_account_keys(self.root)

    def write_kubeconfig(self, url: str, token: str) -> None:
        """In JSON, which is YAML too; readable by its owner alone."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "controllerkit",
            "clusters": [
                {
                    "name": "controllerkit",
                    "cluster": {
                        "server": url,
                        "certificate-authority-data": base64.b64encode(self.ca.read_bytes()).decode(),
                    },
                }
            ],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "controllerkit", "context": {"cluster": "controllerkit", "user": "admin"}}],
        }
        write_private(self.kubeconfig, json.dumps(config, indent=2).encode())


class ControlPlane:
    """A real control plane for one ``data_dir``; ``async with`` starts and stops it.

    ``with_controllers`` adds kube-controller-manager and kube-scheduler. ``api_server_flags`` are kube-apiserver's own,
    after those given here; a file that one names has to be there at the start. A second start on the same
    ``data_dir`` finds the objects of the first.

    Attributes:
        url: ``https://127.0.0.1:PORT``, once started.
        token: a bearer token of the group system:masters.
        kubeconfig: a file with mode 0600 that holds the url, the authority and the token.
    """

    def __init__(
        self,
        *,
        cache: BinaryCache,
        data_dir: Path,
        etcd: str = "etcd-3.7",
        with_controllers: bool = True,
        api_server_flags: Sequence[str] = (),
        progress: Progress = _quiet,
    ) -> None:
        self._cache = cache
        self._etcd_component = etcd
        self._with_controllers = with_controllers
        self._extra = {"kube-apiserver": tuple(api_server_flags)}
        self._progress = progress
        self._files = _Files(data_dir)
        self._ports = _Ports()
        self._processes: dict[str, ChildProcess] = {}
        self.token = secrets.token_urlsafe(32)
        self.kubeconfig: Path = self._files.kubeconfig

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self._ports.api}"

    @property
    def ca_file(self) -> Path:
        """The authority that clients verify the API server by."""
        return self._files.ca

    @property
    def etcd_url(self) -> str:
        """The storage's client address, without TLS, on loopback."""
        return f"http://127.0.0.1:{self._ports.etcd}"

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the components that run."""
        return tuple(one.pid for one in self._processes.values() if one.running)

    def ssl_context(self) -> ssl.SSLContext:
        """A client context that trusts this control plane and nothing else."""
        return ssl.create_default_context(cafile=str(self._files.ca))

    async def start(self) -> None:
        """Returns when /readyz is ok and, with controllers, the default ServiceAccount exists.

        Whatever was started is stopped again when this raises or is cancelled.
        """
        if self._processes:
            raise DevClusterError("this control plane is running already; stop it before starting it again")
        try:
            await self._start()
        except BaseException:
            await asyncio.shield(self.stop())
            raise

    async def _start(self) -> None:
        wanted = [(self._etcd_component, "etcd"), ("kubernetes", "kube-apiserver")]
        if self._with_controllers:
            wanted += [("kubernetes", "kube-controller-manager"), ("kubernetes", "kube-scheduler")]
        binaries = {name: await asyncio.to_thread(self._cache.ensure, part, name) for part, name in wanted}
        self._ports = _Ports.choose()
        await asyncio.to_thread(self._prepare)
        for name, binary in binaries.items():
            command = [str(binary), *_FLAGS[name](self._files, self._ports), *self._extra.get(name, ())]
            self._processes[name] = ChildProcess(name, command, log=self._files.root / f"{name}.log")
        self._progress("starting etcd and kube-apiserver")
        self._processes["etcd"].start()
        await self._wait("etcd", "/health", base=self.etcd_url)
        self._processes["kube-apiserver"].start()
        await self._wait("kube-apiserver", "/readyz")
        if self._with_controllers:
            self._progress("starting kube-controller-manager and kube-scheduler")
            self._processes["kube-controller-manager"].start()
            self._processes["kube-scheduler"].start()
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            await self._wait("kube-controller-manager", account)
        self._progress(f"control plane ready at {self.url}")

    def _prepare(self) -> None:
        root = self._files.root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._files.write_certificates()
        write_private(self._files.tokens, f"{self.token},admin,admin,system:masters\n".encode())
        self._files.write_kubeconfig(self.url, self.token)

    async def _wait(self, name: str, path: str, *, base: str | None = None) -> None:
        """Until a GET of ``path`` answers 200, or the component has ended."""
        process = self._processes[name]
        timeout = aiohttp.ClientTimeout(total=5)
        headers = {"Authorization": f"Bearer {self.token}"} if base is None else {}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:

            async def probe() -> bool:
                with suppress(aiohttp.ClientError, TimeoutError):
                    tls = self.ssl_context() if base is None else True
                    async with session.get((base or self.url) + path, ssl=tls) as response:
                        return response.status == 200
                return False

            await process.wait_ready(probe, what=f"answering {path}", timeout_s=READY_TIMEOUT_S)

    async def stop(self) -> None:
        """Ends the components, those that use others first. Safe to call twice."""
        for name in ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"):
            if process := self._processes.pop(name, None):
                await process.stop(STOP_TIMEOUT_S)

    async def restart_api_server(self) -> None:
        """Stops kube-apiserver and starts it on the same port: every watch ends and connections are refused.

        It is killed soon: left alone, it would wait for its open watches.
        """
        process = self._processes["kube-apiserver"]
        await process.stop(RESTART_TIMEOUT_S)
        process.start()
        await self._wait("kube-apiserver", "/readyz")

    async def compact_etcd(self) -> int:
        """Makes etcd forget its history up to now and returns that revision.

        Clients see it after the API server's own caches have gone too (``restart_api_server``); paged lists and
        exact reads of older revisions see it at once.
        """
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(self.etcd_url, timeout=timeout) as session:
            head = await _etcd_call(session, "/v3/kv/range", {"key": base64.b64encode(b"/").decode()})
            revision = int(head["header"]["revision"])
            await _etcd_call(session, "/v3/kv/compaction", {"revision": revision, "physical": True})
        return revision

    async def __aenter__(self) -> ControlPlane:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def remove(self) -> None:
        """Deletes ``data_dir``; only after ``stop``."""
        if self._processes:
            raise DevClusterError("stop the control plane before removing its data")
        shutil.rmtree(self._files.root, ignore_errors=True)


async def _etcd_call(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with session.post(path, json=body) as response:
        text = await response.text()
        if response.status != 200:
            raise DevClusterError(f"etcd answered {response.status} to {path}: {text[:300]}")
        answer: dict[str, Any] = json.loads(text)
        return answer


def _etcd_flags(files: _Files, ports: _Ports) -> list[str]:
    client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        f"--data-dir={files.root / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # A development cluster that loses its last second in a power cut has lost nothing.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver_flags(files: _Files, ports: _Ports) -> list[str]:
    return [
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        f"--cert-dir={files.root / 'certs'}",
        f"--tls-cert-file={files.server_cert}",
        f"--tls-private-key-file={files.server_key}",
        f"--client-ca-file={files.ca}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # The "kubernetes" Endpoints may not hold a loopback address, and nothing here reads them.
        "--endpoint-reconciler-type=none",
        f"--secure-port={ports.api}",
        f"--service-account-key-file={files.sa_pub}",
        f"--service-account-signing-key-file={files.sa_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--token-auth-file={files.tokens}",
        "--authorization-mode=RBAC",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allow-privileged=true",
    ]


def _controller_manager_flags(files: _Files, _: _Ports) -> list[str]:
    return [
        f"--kubeconfig={files.kubeconfig}",
        f"--service-account-private-key-file={files.sa_key}",
        f"--root-ca-file={files.ca}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
    ]


def _scheduler_flags(files: _Files, _: _Ports) -> list[str]:
    return [
        f"--kubeconfig={files.kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
    ]


_FLAGS: Final[dict[str, Callable[[_Files, _Ports], list[str]]]] = {
    "etcd": _etcd_flags,
    "kube-apiserver": _apiserver_flags,
    "kube-controller-manager": _controller_manager_flags,
    "kube-scheduler": _scheduler_flags,
}
