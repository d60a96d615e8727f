"""Admission: what a write needs to know of other objects – namespaces, addresses, accounts, default classes."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from controllerkit.apiserver.requests import Target
from controllerkit.apiserver.resources import Resource
from controllerkit.apiserver.status import FieldError, invalid, not_found
from controllerkit.errors import Forbidden, InternalError

if TYPE_CHECKING:
    from controllerkit.apiserver.registry import Registry

__all__ = ["admit_create", "admit_delete", "allocate", "check_namespace_open"]

Value = dict[str, Any]

SERVICE_NETWORK: Final = ipaddress.ip_network("10.0.0.0/24")
_RESERVED_ADDRESSES: Final = 10
"""The first addresses are left to Services that ask for one (the API server's own, DNS)."""
NODE_PORTS: Final = range(30000, 32768)
_UNDELETABLE_NAMESPACES: Final = frozenset({"default", "kube-system", "kube-public"})
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_TOKEN_MOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
_TOKEN_SECONDS: Final = 3607
ROOT_CA: Final = "kube-root-ca.crt"


def check_namespace_open(registry: Registry, target: Target, metadata: Value) -> None:
    """Objects are created only in a namespace that is there and not being deleted."""
    if not target.resource.namespaced:
        return
    item = registry.store.collection("namespaces").get("", target.namespace)
    if item is None:
        raise not_found("", "namespaces", target.namespace)
    if item.meta.deletion_timestamp is None:
        return
    resource, name = target.resource, metadata.get("name", "")
    why = f"namespace {target.namespace} is being terminated"
    raise Forbidden(
        f'{resource.qualified} "{name}" is forbidden: unable to create new content in namespace '
        f"{target.namespace} because it is being terminated",
        details={
            "name": name,
            "kind": resource.plural,
            **({"group": resource.group} if resource.group else {}),
            "causes": [{"reason": "NamespaceTerminating", "message": why, "field": "metadata.namespace"}],
        },
    )


def admit_delete(target: Target) -> None:
    """The namespaces everything relies on stay."""
    if target.resource.collection == "namespaces" and target.name in _UNDELETABLE_NAMESPACES:
        raise Forbidden(
            f'namespaces "{target.name}" is forbidden: this namespace may not be deleted',
            details={"name": target.name, "kind": "namespaces"},
        )


def admit_create(registry: Registry, resource: Resource, value: Value, now: datetime) -> None:
    """Completes an object from others at its creation."""
    if resource.custom:
        return
    if resource.kind == "Pod":
        _admit_pod(registry, value)
    elif resource.kind == "PersistentVolumeClaim":
        _default_class(registry, value)


def _admit_pod(registry: Registry, value: Value) -> None:
    metadata, spec = value["metadata"], value["spec"]
    namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
    account_name = spec["serviceAccountName"]
    account = registry.store.collection("serviceaccounts").get(namespace, account_name)
    if account is None:
        raise Forbidden(
            f'pods "{name}" is forbidden: error looking up service account {namespace}/{account_name}: '
            f'serviceaccount "{account_name}" not found',
            details={"name": name, "kind": "pods"},
        )
    mounts = spec.get("automountServiceAccountToken", account.decode().get("automountServiceAccountToken", True))
    if mounts:
        _mount_token(registry, spec)


def _mount_token(registry: Registry, spec: Value) -> None:
    """The projected volume with token, authority and namespace, in every container that has none of its own."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    lacking = [
        container
        for container in containers
        if not any(mount.get("mountPath") == _TOKEN_MOUNT for mount in container.get("volumeMounts") or ())
    ]
    if not lacking:
        return
    suffix = "".join(registry.rng.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))
    name = f"kube-api-access-{suffix}"
    for container in lacking:
        mount = {"name": name, "readOnly": True, "mountPath": _TOKEN_MOUNT}
        container.setdefault("volumeMounts", []).append(mount)
    namespace_item = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace_item]}},
    ]
    spec.setdefault("volumes", []).append({"name": name, "projected": {"sources": sources, "defaultMode": 0o644}})


def _default_class(registry: Registry, value: Value) -> None:
    spec = value["spec"]
    if "storageClassName" in spec:
        return
    defaults = [
        item
        for item in registry.store.collection("storageclasses.storage.k8s.io").scan()
        if (item.meta.annotations or {}).get(_DEFAULT_CLASS) == "true"
    ]
    if defaults:
        # The newest wins, and of equally old ones the first by name.
        newest = min(defaults, key=lambda item: (-_seconds(item.decode()["metadata"]["creationTimestamp"]), item.name))
        spec["storageClassName"] = newest.name


def _seconds(timestamp: str | None) -> float:
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0


def allocate(registry: Registry, resource: Resource, value: Value) -> None:
    """Gives a Service the addresses and node ports it lacks."""
    if resource.custom or resource.kind != "Service":
        return
    spec = value["spec"]
    if spec.get("type") == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(name, None)
        return
    name = value["metadata"].get("name", "")
    wanted = spec.get("clusterIP")
    if wanted == "None":
        spec["clusterIPs"] = ["None"]
    elif wanted is None or wanted == "":
        spec["clusterIP"] = _free_address(registry)
        spec["clusterIPs"] = [spec["clusterIP"]]
    else:
        _check_address(registry, value["metadata"], wanted)
        spec["clusterIPs"] = [wanted]
    if wanted == "None" and not spec.get("selector"):
        # A headless Service without selector may hold endpoints of any family.
        spec.setdefault("ipFamilies", ["IPv4", "IPv6"])
        spec.setdefault("ipFamilyPolicy", "RequireDualStack")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        _node_ports(registry, spec, name)


def _services(registry: Registry) -> list[Value]:
    return [item.decode() for item in registry.store.collection("services").scan()]


def _free_address(registry: Registry) -> str:
    used = {one["spec"].get("clusterIP") for one in _services(registry)}
    hosts = [str(address) for address in SERVICE_NETWORK.hosts()]
    # The upper part first: the lower one is for those who choose.
    for address in [*hosts[_RESERVED_ADDRESSES:], *hosts[1:_RESERVED_ADDRESSES]]:
        if address not in used:
            return address
    raise InternalError("failed to allocate a serviceIP: range is full")


def _check_address(registry: Registry, metadata: Value, address: str) -> None:
    name, namespace = metadata.get("name", ""), metadata.get("namespace", "")
    try:
        inside = ipaddress.ip_address(address) in SERVICE_NETWORK
    except ValueError:
        why = FieldError.invalid(
            "spec.clusterIPs[0]", address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        )
        raise invalid("", "Service", name, [why]) from None
    if not inside:
        why = FieldError.invalid(
            "spec.clusterIPs",
            [address],
            f"failed to allocate IP {address}: the provided network does not match the current range",
        )
        raise invalid("", "Service", name, [why])
    for other in _services(registry):
        mine = (other["metadata"]["namespace"], other["metadata"]["name"]) == (namespace, name)
        if not mine and other["spec"].get("clusterIP") == address:
            why = FieldError.invalid(
                "spec.clusterIPs", [address], f"failed to allocate IP {address}: provided IP is already allocated"
            )
            raise invalid("", "Service", name, [why])


def _node_ports(registry: Registry, spec: Value, name: str) -> None:
    used = {port.get("nodePort") for one in _services(registry) for port in one["spec"].get("ports") or ()}
    for port in spec.get("ports") or ():
        if not port.get("nodePort"):
            port["nodePort"] = next(number for number in NODE_PORTS if number not in used)
        elif port["nodePort"] not in NODE_PORTS:
            why = FieldError.invalid(
                "spec.ports[0].nodePort",
                port["nodePort"],
                "provided port is not in the valid range. The range of valid ports is 30000-32767",
            )
            raise invalid("", "Service", name, [why])
        used.add(port["nodePort"])
