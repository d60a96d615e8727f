"""Where a Service can be reached from this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from controllerkit.apiserver.registry import Registry

__all__ = ["service_address"]

_SERVICE_NAME: Final = "kubernetes.io/service-name"


def service_address(registry: Registry, namespace: str, name: str, port: int) -> tuple[str, int] | None:
    """An address and port behind the Service's ``port``: of its ready endpoints, or of where it points by name.

    None where it is not there or leads nowhere. Its ClusterIP is nobody's in this process, and not tried.
    """
    item = registry.store.collection("services").get(namespace, name)
    if item is None:
        return None
    spec = item.decode().get("spec") or {}
    if spec.get("type") == "ExternalName" and spec.get("externalName") in ("localhost", "127.0.0.1"):
        return "127.0.0.1", port
    served = next((one for one in spec.get("ports") or () if one.get("port") == port), None)
    if served is None:
        return None
    return next(_ready(registry, namespace, name, str(served.get("name") or "")), None)


def _ready(registry: Registry, namespace: str, name: str, port_name: str) -> Iterator[tuple[str, int]]:
    for item in registry.store.collection("endpointslices.discovery.k8s.io").scan(namespace):
        if item.labels.get(_SERVICE_NAME) == name:
            yield from _of_slice(item.decode(), port_name)
    endpoints = registry.store.collection("endpoints").get(namespace, name)
    for subset in (endpoints.decode().get("subsets") or ()) if endpoints is not None else ():
        ports = [one["port"] for one in subset.get("ports") or () if (one.get("name") or "") == port_name]
        yield from ((one["ip"], port) for one in subset.get("addresses") or () for port in ports)


def _of_slice(value: Mapping[str, Any], port_name: str) -> Iterator[tuple[str, int]]:
    ports = [one["port"] for one in value.get("ports") or () if (one.get("name") or "") == port_name]
    for endpoint in value.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready") is not False:
            yield from ((address, port) for address in endpoint.get("addresses") or () for port in ports)
