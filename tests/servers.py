"""The real kube-apiserver where tests ask for a server, and how it is left as it was found."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from controllerkit.apiserver import ApiServer
from controllerkit.client import Client
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.control_plane import ControlPlane
from controllerkit.errors import NotFound
from controllerkit.objects import Kind, kinds
from controllerkit.runtime import wait_until

LEFT_BEHIND = (kinds.CONFIG_MAP, kinds.SECRET, kinds.LEASE, kinds.EVENT, kinds.POD, kinds.SERVICE, kinds.DEPLOYMENT)
OWN = {"kube-root-ca.crt", "kubernetes"}
"""What every namespace, or this one, has anyway."""


class Planes:
    """The one real control plane of a test session, started when first asked for; it runs no controllers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plane: ControlPlane | None = None

    async def get(self) -> ControlPlane:
        if self._plane is None:
            plane = ControlPlane(cache=BinaryCache(), data_dir=self._folder, with_controllers=False)
            await plane.start()
            self._plane = plane
            async with RealServer(plane).connected() as client:  # which a controller would make: Pods need it
                await client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
        return self._plane

    async def stop(self) -> None:
        if self._plane is not None:
            await self._plane.stop()


class RealServer:
    """What tests use of `ApiServer`, on a real control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane

    @property
    def url(self) -> str:
        return self.plane.url

    def write_kubeconfig(self, path: Path) -> None:
        shutil.copy(self.plane.kubeconfig, path)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        async with await Client.connect(kubeconfig=self.plane.kubeconfig) as client:
            yield client


Server = ApiServer | RealServer


async def compact(server: Server) -> None:
    """The server forgets its history."""
    if isinstance(server, ApiServer):
        server.compact()
    else:
        # Its own cache outlives a compaction of etcd; it starts empty.
        await server.plane.compact_etcd()
        await server.plane.restart_api_server()


KEPT_LABEL = "controllerkit.test/kept"


async def tidy(client: Client, *, keep: bool) -> None:
    """Deletes what a test left in the namespace ``default``, and every CRD; with ``keep`` not the labelled ones."""
    for definition in (await client.list(kinds.CUSTOM_RESOURCE_DEFINITION)).items:
        spec = definition.spec
        version = next(each["name"] for each in spec["versions"] if each["storage"])
        await _empty(client, Kind(spec["group"], version, spec["names"]["kind"], spec["names"]["plural"]))
        if not (keep and KEPT_LABEL in definition.labels):
            await client.delete(kinds.CUSTOM_RESOURCE_DEFINITION, definition.name)
            await _gone(client, kinds.CUSTOM_RESOURCE_DEFINITION, definition.name, None)
            await _forgotten(client, spec)
    for kind in LEFT_BEHIND:
        await _empty(client, kind)


async def _empty(client: Client, kind: Kind) -> None:
    for value in (await client.list(kind, "default")).items:
        if value.name in OWN:
            continue
        try:
            if value.finalizers:
                await client.patch(kind, value.key, {"metadata": {"finalizers": None}})
            await client.delete(kind, value.key)
        except NotFound:
            continue
        await _gone(client, kind, value.name, "default")


async def _gone(client: Client, kind: Kind, name: str, namespace: str | None) -> None:
    async def asked() -> bool:
        try:
            await client.get(kind, name, namespace)
        except NotFound:
            return True
        return False

    await wait_until(asked, what=f"{kind} {name} is gone", timeout_s=15.0, interval_s=0.01)


async def _forgotten(client: Client, definition: Mapping[str, Any]) -> None:
    """Discovery hears of a deletion later than its caller: the next test must not take the old for its own."""

    async def asked() -> bool:
        for version in definition["versions"]:
            offered = await client.mapper.resources(definition["group"], version["name"])
            if any(each.plural == definition["names"]["plural"] for each in offered):
                return False
        return True

    await wait_until(asked, what=f"{definition['names']['plural']} are forgotten", timeout_s=15.0, interval_s=0.01)
