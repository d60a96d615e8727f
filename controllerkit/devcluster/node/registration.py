"""The node as the API knows it: its Node object and its Lease."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from controllerkit.client import Client
from controllerkit.errors import AlreadyExists, ControllerkitError, NotFound
from controllerkit.objects import Key, kinds, rfc3339
from controllerkit.runtime import Clock

__all__ = ["Registration", "lease_body", "node_body", "node_status"]

LEASE_NAMESPACE: Final = "kube-node-lease"
LEASE_DURATION_S: Final = 40
LEASE_PERIOD_S: Final = 10.0
STATUS_PERIOD_S: Final = 60.0
"""kubelet ``nodeLeaseDurationSeconds`` and a quarter of it; the status is cheap here, so it is written each minute."""

LEAVE_TIMEOUT_S: Final = 1.0
PODS_MAX: Final = 250
VERSION: Final = "v1.37.0-controllerkit"
_PRESSURES: Final = ("MemoryPressure", "DiskPressure", "PIDPressure")


def node_body(name: str) -> dict[str, Any]:
    """The object without its status."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": machine}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": {}}


def node_status(
    *, host_ip: str, port: int, cpus: int, memory_bytes: int, since: datetime, now: datetime, stopping: bool = False
) -> dict[str, Any]:
    """Ready since ``since``, or with ``stopping`` not ready any more, as of ``now``."""
    resources = {
        "cpu": str(cpus),
        "memory": f"{memory_bytes // 1024}Ki",
        "pods": str(PODS_MAX),
        "ephemeral-storage": "100Gi",
    }
    times = {"lastHeartbeatTime": rfc3339(now), "lastTransitionTime": rfc3339(since)}
    pressures = [{"type": kind, "status": "False", "reason": "NodeHasNoPressure", **times} for kind in _PRESSURES]
    message = "pods run as sandboxed processes on loopback addresses"
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": message, **times}
    if stopping:
        ready |= {"status": "False", "reason": "KubeletNotReady", "message": "node is shutting down"}
    return {
        "capacity": resources,
        "allocatable": resources,
        "conditions": [*pressures, ready],
        # Only an address: the API server would look a host name up before it took the address.
        "addresses": [{"type": "InternalIP", "address": host_ip}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": {
            "architecture": platform.machine(),
            "bootID": "",
            "containerRuntimeVersion": "bubblewrap://",
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": VERSION,
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "controllerkit development node",
            "systemUUID": "",
        },
    }


def lease_body(name: str, now: datetime) -> dict[str, Any]:
    """The Lease as it is to be at ``now``."""
    spec = {
        "holderIdentity": name,
        "leaseDurationSeconds": LEASE_DURATION_S,
        "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    metadata = {"name": name, "namespace": LEASE_NAMESPACE}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


class Registration:
    """Creates both objects and keeps them fresh.

    Guarantees:
        What fails is logged and tried again at the next period; a Node or Lease that was deleted comes back.
    """

    def __init__(self, client: Client, *, name: str, host_ip: str, port: int, clock: Clock, log: Any) -> None:
        self._client = client
        self._name = name
        self._host_ip = host_ip
        self._port = port
        self._clock = clock
        self._log = log
        self._since = clock.utcnow()
        self.cpus = os.cpu_count() or 1
        self.memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    async def register(self) -> None:
        """Makes the Node and the Lease; raises as the client does."""
        await self._write_status()
        await self._renew_lease()

    async def leave(self) -> None:
        """Says that no Pod should come here any more; best effort, and never long."""
        self._since = self._clock.utcnow()
        with suppress(TimeoutError, ControllerkitError):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._write_status(stopping=True)

    async def run(self) -> None:
        """Renews until cancelled; ``register`` has come first."""
        status_at = self._clock.monotonic() + STATUS_PERIOD_S
        while True:
            await self._clock.sleep(LEASE_PERIOD_S)
            await self._try(self._renew_lease)
            if self._clock.monotonic() >= status_at:
                status_at = self._clock.monotonic() + STATUS_PERIOD_S
                await self._try(self._write_status)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except ControllerkitError as error:
            self._log.warning("node_not_renewed", error=str(error))

    async def _write_status(self, *, stopping: bool = False) -> None:
        status = node_status(
            host_ip=self._host_ip,
            port=self._port,
            cpus=self.cpus,
            memory_bytes=self.memory_bytes,
            since=self._since,
            now=self._clock.utcnow(),
            stopping=stopping,
        )
        try:
            await self._client.patch(kinds.NODE, self._name, {"status": status}, subresource="status")
        except NotFound:
            if stopping:
                return
            with suppress(AlreadyExists):
                await self._client.create(node_body(self._name))
            await self._client.patch(kinds.NODE, self._name, {"status": status}, subresource="status")

    async def _renew_lease(self) -> None:
        body = lease_body(self._name, self._clock.utcnow())
        try:
            await self._client.patch(kinds.LEASE, Key(LEASE_NAMESPACE, self._name), {"spec": body["spec"]})
        except NotFound:
            with suppress(AlreadyExists):
                await self._client.create(
                    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": LEASE_NAMESPACE}}
                )
            await self._client.create(body)
