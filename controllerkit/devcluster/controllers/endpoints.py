"""Endpoints and EndpointSlices of Services that have a selector.

For people and for programs that discover targets by them; the node's names do not need them. One slice for each
set of port numbers, so Pods that name their ports differently are told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final, NamedTuple

from controllerkit.controller import Reconciler, Request, Watch
from controllerkit.errors import NotFound
from controllerkit.objects import Key, LabelSelector, Object, find_condition, kinds, owner_reference

__all__ = ["EndpointsReconciler", "endpoints_of", "slices_of"]

SERVICE_NAME: Final = "kubernetes.io/service-name"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
SLICE_MANAGER: Final = "endpointslice-controller.k8s.io"
HEADLESS: Final = "service.kubernetes.io/headless"


class _Port(NamedTuple):
    name: str
    number: int
    protocol: str


class _Member(NamedTuple):
    ports: tuple[_Port, ...]
    endpoint: dict[str, Any]


class EndpointsReconciler(Reconciler[Object]):
    """Writes both for one Service from the Pods its selector finds."""

    name = "endpoints"
    kind = kinds.SERVICE
    owns = (kinds.ENDPOINT_SLICE, kinds.ENDPOINTS)

    def __init__(self) -> None:
        super().__init__()
        # Which Services a Pod concerns is in the cache, so the function needs the instance.
        self.watches = (Watch(kinds.POD, self._services_of),)  # type: ignore[misc]

    def _services_of(self, pod: Object) -> Iterable[Key]:
        return [
            service.key
            for service in self.list(kinds.SERVICE, pod.namespace)
            if (selector := service.spec.get("selector")) and LabelSelector.of(selector).matches(pod.labels)
        ]

    async def reconcile(self, request: Request) -> None:
        """What no longer belongs is deleted; a Service that is gone takes its own along by owner reference."""
        service = await self.get(request.key)
        if service is None or service.deleting or not service.spec.get("selector"):
            return
        wanted = slices_of(service, self.list(kinds.POD, service.namespace))
        current = {each.name: each for each in self.owned(service, kinds.ENDPOINT_SLICE)}
        for body in wanted:
            await self._write(body, current.pop(body["metadata"]["name"], None), ("endpoints", "ports"))
        for stale in current.values():
            with suppress(NotFound):
                await self.client.delete(kinds.ENDPOINT_SLICE, stale.key, uid=stale.uid)
        body = endpoints_of(service, wanted)
        await self._write(body, self.read(kinds.ENDPOINTS, service.key), ("subsets",))

    async def _write(self, body: dict[str, Any], current: Object | None, compared: tuple[str, ...]) -> None:
        if current is not None and all((current.get(field) or []) == body[field] for field in compared):
            return
        await self.client.apply(body)


def members_of(service: Object, pods: Iterable[Object]) -> list[_Member]:
    """The Service's Pods that have an address, in the order of their names."""
    matches = LabelSelector.of(service.spec["selector"]).matches
    members = []
    for pod in sorted(pods, key=lambda each: each.name):
        phase = pod.status.get("phase")
        if matches(pod.labels) and pod.status.get("podIP") and phase not in ("Succeeded", "Failed"):
            members.append(_Member(_ports(service, pod), _endpoint(service, pod)))
    return members


def _endpoint(service: Object, pod: Object) -> dict[str, Any]:
    condition = find_condition(pod.status.get("conditions"), "Ready")
    serving = condition is not None and condition.get("status") == "True"
    published = bool(service.spec.get("publishNotReadyAddresses"))
    value: dict[str, Any] = {
        "addresses": [pod.status["podIP"]],
        "conditions": {
            "ready": published or (serving and not pod.deleting),
            "serving": published or serving,
            "terminating": pod.deleting,
        },
        "nodeName": pod.spec.get("nodeName", ""),
        "targetRef": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid},
    }
    if pod.spec.get("subdomain") == service.name and pod.spec.get("hostname"):
        value["hostname"] = pod.spec["hostname"]
    return value


def _ports(service: Object, pod: Object) -> tuple[_Port, ...]:
    """The Service's ports as numbers of this Pod; one that the Pod does not name is left out."""
    found = []
    for port in service.spec.get("ports") or ():
        target = port.get("targetPort") or port["port"]
        number = target if isinstance(target, int) else _named(pod, target)
        if number:
            found.append(_Port(port.get("name") or "", number, port.get("protocol") or "TCP"))
    return tuple(found)


def _named(pod: Object, name: str) -> int:
    if name.isdigit():
        return int(name)
    for container in pod.spec.get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == name:
                return int(port["containerPort"])
    return 0


def slices_of(service: Object, pods: Iterable[Object]) -> list[dict[str, Any]]:
    """The EndpointSlices as they are to be; one without endpoints where the Service has no Pods."""
    groups: dict[tuple[_Port, ...], list[dict[str, Any]]] = {}
    for member in members_of(service, pods):
        groups.setdefault(member.ports, []).append(member.endpoint)
    return [_slice(service, ports, endpoints) for ports, endpoints in sorted(groups.items())] or [
        _slice(service, (), [])
    ]


def _slice(service: Object, ports: tuple[_Port, ...], endpoints: list[dict[str, Any]]) -> dict[str, Any]:
    digest = sha256(repr(ports).encode()).hexdigest()[:5]
    labels = {SERVICE_NAME: service.name, MANAGED_BY: SLICE_MANAGER}
    if service.spec.get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service.name}-{digest}",
            "namespace": service.namespace,
            "labels": {**service.labels, **labels},
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": p.name, "port": p.number, "protocol": p.protocol} for p in ports],
    }


def endpoints_of(service: Object, slices: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The same as an Endpoints object."""
    subsets = []
    for part in slices:
        ready = [_address(e) for e in part["endpoints"] if e["conditions"]["ready"]]
        not_ready = [_address(e) for e in part["endpoints"] if not e["conditions"]["ready"]]
        if not (ready or not_ready):
            continue
        subset: dict[str, Any] = {"addresses": ready} if ready else {}
        if not_ready:
            subset["notReadyAddresses"] = not_ready
        if part["ports"]:
            subset["ports"] = [{k: v for k, v in port.items() if v} for port in part["ports"]]
        subsets.append(subset)
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": service.name,
            "namespace": service.namespace,
            "labels": dict(service.labels),
            "ownerReferences": [owner_reference(service)],
        },
        "subsets": subsets,
    }


def _address(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    value = {"ip": endpoint["addresses"][0], "nodeName": endpoint["nodeName"], "targetRef": endpoint["targetRef"]}
    return {**value, "hostname": endpoint["hostname"]} if "hostname" in endpoint else value
