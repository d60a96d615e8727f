"""When the cluster is ready: what is asked of whom, and why what is stored is not believed after a restart."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Final

from controllerkit.client import Client, PatchType
from controllerkit.errors import NotFound
from controllerkit.objects import Kind, Object
from controllerkit.objects.kinds import NODE, POD

__all__ = ["dns_answers", "forget_readiness", "get_or_none", "is_ready"]

DNS_PORT: Final = 53
DNS_TIMEOUT_S: Final = 0.3
_TYPE_A: Final = 1
_CLASS_IN: Final = 1
_RECURSION_DESIRED: Final = 0x0100


def is_ready(value: Object | None) -> bool:
    """Whether a Node or a Pod is there and says that it is Ready."""
    conditions = value.get("status", "conditions", default=()) if value is not None else ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


async def get_or_none(client: Client, kind: Kind, name: str, namespace: str = "") -> Object | None:
    """The object, or None where it is not there yet."""
    try:
        return await client.get(kind, name, namespace)
    except NotFound:
        return None


async def forget_readiness(client: Client, node: str) -> None:
    """Marks the node and its Pods as not ready, before a kubelet starts that has none of them running.

    After a restart the storage still says what was true before it. A cluster that runs on would notice in 40 s
    (kube-controller-manager's node-monitor-grace-period); here it is known.
    """

    def not_ready(*types: str) -> dict[str, Any]:
        reason = {"status": "False", "reason": "NodeRestarted", "message": "the node was switched off"}
        return {"status": {"conditions": [{"type": name, **reason} for name in types]}}

    async def mark(kind: Kind, name: str, namespace: str, *types: str) -> None:
        await client.patch(
            kind, name, not_ready(*types), namespace, patch_type=PatchType.STRATEGIC, subresource="status"
        )

    if await get_or_none(client, NODE, node) is None:
        return
    await mark(NODE, node, "", "Ready")
    pods = await client.list(POD, field_selector=f"spec.nodeName={node}")
    for pod in pods.items:
        if is_ready(pod):
            await mark(POD, pod.name, pod.namespace, "Ready", "ContainersReady")


def dns_query(name: str) -> bytes:
    """A DNS query for the IPv4 addresses of ``name`` (RFC 1035, section 4)."""
    header = struct.pack(">HHHHHH", 0x6B63, _RECURSION_DESIRED, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label for label in name.encode("idna").split(b"."))
    return header + labels + b"\0" + struct.pack(">HH", _TYPE_A, _CLASS_IN)


def has_answers(query: bytes, answer: bytes) -> bool:
    """Whether ``answer`` belongs to ``query``, is no error and holds at least one record."""
    if len(answer) < 12 or answer[:2] != query[:2]:
        return False
    flags, records = int.from_bytes(answer[2:4]), int.from_bytes(answer[6:8])
    return flags & 0xF == 0 and records > 0


async def dns_answers(server: str, name: str) -> bool:
    """Whether the DNS server at ``server`` finds an address for ``name``.

    At a Service address this asks DNS, kube-proxy's rules and the Pod's link at once.
    """
    loop = asyncio.get_running_loop()
    query = dns_query(name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        try:
            await loop.sock_connect(channel, (server, DNS_PORT))
            await loop.sock_sendall(channel, query)
            answer = await asyncio.wait_for(loop.sock_recv(channel, 4096), DNS_TIMEOUT_S)
        except (OSError, TimeoutError):
            return False
    return has_answers(query, answer)
