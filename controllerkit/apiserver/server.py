"""`ApiServer`: an API server in this process, on loopback, for real clients."""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web

from controllerkit.apiserver.auth import Authenticator
from controllerkit.apiserver.calling import WebhookCaller
from controllerkit.apiserver.gc import Janitor
from controllerkit.apiserver.http import Api
from controllerkit.apiserver.journal import Journal
from controllerkit.apiserver.registry import Registry
from controllerkit.apiserver.requests import Target, WriteOptions
from controllerkit.apiserver.services import service_address
from controllerkit.apiserver.storage import Store
from controllerkit.errors import DevClusterError
from controllerkit.objects import Kind, Object
from controllerkit.runtime import Clock, SystemClock
from controllerkit.wire.memory import MemoryTransport

__all__ = ["ApiServer", "TlsFiles"]

FIRST_NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")
_SHUTDOWN_S: Final = 2.0
_SYSTEM: Final = WriteOptions(manager="controllerkit", validation="Ignore")
_SYSTEM_CLOCK: Final = SystemClock()
_CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsFiles:
    """PEM files: the serving certificate and key, and the authority clients verify it by."""

    certificate: Path
    key: Path
    ca: Path


class ApiServer:
    """An embedded API server; ``async with`` starts and stops it.

    It follows the semantics of a real kube-apiserver and of the controllers its API relies on (garbage collection,
    namespaces, protection finalizers); it runs no workload controllers and no scheduler. Authorization is not
    enforced. Webhooks are called for admission and conversion, for what clients write and read; the server's own
    housekeeping asks none. Rules in CEL are evaluated where the extra ``cel`` is installed; where it is not, whoever
    writes a definition with rules is warned.

    ``token`` makes it a required bearer token; without one everybody is the administrator, so it listens where
    only this machine can reach it. ``data_dir`` keeps the objects over a restart (not the history, so watches from
    before are expired). ``history_events_max`` events of each resource can be watched from the past.
    ``clock`` gives the timestamps of objects; timeouts of connections are the event loop's. ``rng`` gives uids,
    generated names and the spread of timeouts. Without a ``port`` (None) it listens nowhere, and `transport` is the
    only way in.

    Raises:
        DevClusterError: from ``start``, where the port is taken or ``data_dir`` belongs to a newer format.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        tls: TlsFiles | None = None,
        token: str | None = None,
        data_dir: Path | None = None,
        history_events_max: int = 10_000,
        clock: Clock = _SYSTEM_CLOCK,
        bookmark_interval_s: float = 60.0,
        rng: Random | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._token = token
        self._clock = clock
        self._bookmark_interval_s = bookmark_interval_s
        self._rng = rng or Random()
        self._journal = Journal(data_dir) if data_dir else None
        self._store = Store(history_events_max=history_events_max)
        self._registry = Registry(self._store, rng=self._rng, new_uid=self._new_uid)
        self._authenticator = Authenticator(token, account_uid=self._account_uid, key=_signing_key(data_dir))
        self._janitor = Janitor(
            self._registry,
            now=self._clock.utcnow,
            wake=self._wake_janitor,
            ca_pem=tls.ca.read_text() if tls else "",
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._janitor_due = False
        self._api: Api | None = None
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, with TLS ``https``; the port is known once started."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self._port}"

    def transport(self) -> MemoryTransport:
        """A way in without sockets, for clients on this event loop; between `start` and `stop`."""
        if self._api is None or self._api.stopping:
            raise DevClusterError("this API server is not running; start it before taking a transport")
        return MemoryTransport(self._api.handle)

    def objects(self, kind: Kind) -> list[Object]:
        """Every object of ``kind`` as it is stored at this moment, by key; none where the kind is not served."""
        resource = self._registry.resource(kind.group, kind.plural)
        if resource is None:
            return []
        return [Object.from_bytes(item.raw) for item in self._store.collection(resource.collection).scan()]

    def on_write(self, told: Callable[[str, Object], None]) -> None:
        """``told`` hears of every write (ADDED, MODIFIED or DELETED), before the writer does. It must not write."""
        self._store.listen(lambda _, event: told(event.type, Object.from_bytes(event.item.raw)))

    def _new_uid(self) -> UUID:
        return UUID(int=self._rng.getrandbits(128), version=4)

    def _account_uid(self, namespace: str, name: str) -> str:
        accounts = self._registry.resource("", "serviceaccounts")
        found = accounts and self._store.collection(accounts.collection).get(namespace, name)
        return str(found.decode()["metadata"]["uid"]) if found else ""

    def _service_address(self, namespace: str, name: str, port: int) -> tuple[str, int] | None:
        return service_address(self._registry, namespace, name, port)

    async def start(self) -> None:
        """Listens, with the first namespaces and their accounts in place."""
        if self._api is not None and not self._api.stopping:
            raise DevClusterError("this API server is running already; stop it before starting it again")
        self._loop = asyncio.get_running_loop()
        if self._store.rv == 1:
            self._store.listen(self._janitor.observe)
            self._load()
        self._api = Api(
            self._registry,
            self._authenticator,
            clock=self._clock,
            rng=self._rng,
            bookmark_interval_s=self._bookmark_interval_s,
            host=lambda: f"{self._host}:{self._port}",
            webhooks=WebhookCaller(self._service_address),
        )
        if self._port is not None:
            await self._serve(self._api, self._port)
        if self._journal is not None:
            self._journal.open(self._store)

    async def _serve(self, api: Api, port: int) -> None:
        server = web.Server(api.handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        try:
            await self._listen(self._runner, port)
        except BaseException:
            api.stopping = True
            await self._runner.cleanup()
            self._runner = None
            raise

    async def _listen(self, runner: web.ServerRunner, port: int) -> None:
        site = web.TCPSite(runner, self._host, port, ssl_context=self._ssl_context(), backlog=1024)
        try:
            await site.start()
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
                raise DevClusterError(
                    f"cannot listen on {self._host}:{port} ({os.strerror(error.errno)}); "
                    "stop what uses that port, or pass port=0 for a free one"
                ) from error
            raise
        self._port = runner.addresses[0][1]

    def _ssl_context(self) -> ssl.SSLContext | None:
        if self._tls is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._tls.certificate, self._tls.key)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _load(self) -> None:
        """What was on disk, then what every cluster has."""
        if self._journal is not None:
            rv, objects = self._journal.read()
            self._store.rv = max(self._store.rv, rv)
            # Definitions first: they say how the others' fields are read.
            for (collection, _), value in sorted(objects.items(), key=lambda pair: pair[0][0] != _CRDS):
                name, _, group = collection.partition(".")
                resource = self._registry.resource(group, name)
                self._store.load(collection, value, resource.selectable_fields(value) if resource else {})
                if collection == _CRDS:
                    self._janitor.adopt(self._store.collection(collection))
                    self._run_janitor_now()
            for one in self._store.collections():
                self._janitor.adopt(one)
            # What happened before is not on disk: watches from then must not seem to have missed nothing.
            self._store.compact()
        namespaces = self._registry.resource("", "namespaces")
        if namespaces is not None:
            for name in FIRST_NAMESPACES:
                if self._store.collection("namespaces").get("", name) is None:
                    target = Target(namespaces, namespaces.versions["v1"], "")
                    body: dict[str, Any] = {"metadata": {"name": name}}
                    self._registry.create(target, body, _SYSTEM, self._clock.utcnow())
        self._run_janitor_now()

    def _run_janitor_now(self) -> None:
        while self._janitor.run():
            pass

    def _wake_janitor(self) -> None:
        """After the writer's answer: housekeeping is in the background, as in a real cluster."""
        if self._janitor_due or self._loop is None:
            return
        self._janitor_due = True
        self._loop.call_soon(self._run_janitor)

    def _run_janitor(self) -> None:
        self._janitor_due = False
        if self._janitor.run():
            self._wake_janitor()

    async def stop(self) -> None:
        """Ends every watch and closes; with ``data_dir`` the objects are on disk then. Safe to call twice."""
        runner, self._runner = self._runner, None
        if self._api is None or self._api.stopping:
            return
        self._api.stopping = True
        for collection in self._store.collections():
            collection.wake_all()
        if runner is not None:
            await runner.cleanup()
        await self._api.close()
        if self._journal is not None:
            self._journal.close(self._store)

    def compact(self) -> None:
        """Forgets all history: watches and pages from older resourceVersions are answered 410 Expired."""
        self._store.compact()
        for collection in self._store.collections():
            collection.wake_all()

    def write_kubeconfig(self, path: Path) -> None:
        """A kubeconfig for this server, readable by its owner alone (0600)."""
        cluster: dict[str, Any] = {"server": self.url}
        if self._tls is not None:
            cluster["certificate-authority-data"] = base64.b64encode(self._tls.ca.read_bytes()).decode()
        user = {"token": self._token} if self._token else {}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "controllerkit",
            "clusters": [{"name": "controllerkit", "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "controllerkit", "context": {"cluster": "controllerkit", "user": "admin"}}],
        }
        text = msgspec.json.format(msgspec.json.encode(config), indent=2)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text + b"\n")

    async def __aenter__(self) -> ApiServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _signing_key(data_dir: Path | None) -> bytes | None:
    """The key of ServiceAccount tokens, kept beside the objects so that tokens outlive a restart."""
    if data_dir is None:
        return None
    path = data_dir / "token.key"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(32))
    return path.read_bytes()
