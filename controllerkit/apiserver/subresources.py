"""Subresources that are not the object itself: scale, binding, eviction, finalize, and where logs are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from controllerkit.apiserver.patch import check_type, patched
from controllerkit.apiserver.registry import Registry, Written
from controllerkit.apiserver.requests import DeleteOptions, Target, WriteOptions
from controllerkit.apiserver.resources import ScalePaths
from controllerkit.apiserver.status import FieldError, conflict, invalid, not_found
from controllerkit.errors import ApiError, BadRequest, TooManyRequests
from controllerkit.objects import LabelSelector, set_condition

__all__ = ["bind", "evict", "finalize", "log_address", "patch_scale", "read_scale", "write_scale"]

Value = dict[str, Any]

_SCALE: Final = "autoscaling/v1"


def _read(value: Any, path: tuple[str, ...] | None) -> Any:
    for step in path or ():
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if path else None


def read_scale(target: Target, value: Mapping[str, Any]) -> Value:
    """The Scale of an object."""
    paths = target.version.scale or ScalePaths()
    metadata = value["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    selector = _read(value, paths.selector)
    status: Value = {"replicas": int(_read(value, paths.status) or 0)}
    if selector:
        status["selector"] = selector if isinstance(selector, str) else str(LabelSelector.from_dict(selector))
    wanted = _read(value, paths.spec)
    return {
        "kind": "Scale",
        "apiVersion": _SCALE,
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {} if wanted is None else {"replicas": int(wanted)},
        "status": status,
    }


def write_scale(registry: Registry, target: Target, scale: Value, options: WriteOptions, now: datetime) -> Written:
    """Sets the wanted replicas; everything else of the Scale is read-only."""
    item = registry.find(target)
    if scale.get("kind", "Scale") != "Scale" or scale.get("apiVersion", _SCALE) != _SCALE:
        raise BadRequest(f"{scale.get('kind')} in version {scale.get('apiVersion')} cannot be handled as a Scale")
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    name = target.name
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise BadRequest('Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal spec.replicas')
    if replicas < 0:
        why = FieldError.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid("autoscaling", "Scale", name, [why])
    value = registry.outbound(target, item.decode())
    sent = (scale.get("metadata") or {}).get("resourceVersion")
    if sent:
        value["metadata"]["resourceVersion"] = sent
    node = value
    path = (target.version.scale or ScalePaths()).spec
    for step in path[:-1]:
        node = node.setdefault(step, {})
    node[path[-1]] = replicas
    main = Target(target.resource, target.version, target.namespace, name)
    with registry.unasked():
        written = registry.update(main, value, options, now)
    return Written(read_scale(target, written.value))


def patch_scale(
    registry: Registry, target: Target, content_type: str, body: bytes, options: WriteOptions, now: datetime
) -> Written:
    """The same through a patch of the Scale."""
    check_type(content_type, custom=False)
    scale = read_scale(target, registry.outbound(target, registry.find(target).decode()))
    return write_scale(registry, target, patched(target, scale, content_type, body), options, now)


def bind(registry: Registry, target: Target, binding: Value, options: WriteOptions, now: datetime) -> None:
    """Assigns a Pod to a node, once.

    Raises:
        Conflict: the Pod has a node, or is being deleted.
    """
    item = registry.find(target)
    value = item.decode()
    node = (binding.get("target") or {}).get("name", "")
    name = target.name
    if not node:
        raise invalid("", "Binding", name, [FieldError.required("target.name")])
    if value["metadata"].get("deletionTimestamp"):
        raise conflict("", "pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
    if before := value["spec"].get("nodeName"):
        raise conflict("", "pods/binding", name, f'pod {name} is already assigned to node "{before}"')
    value["spec"]["nodeName"] = node
    annotations = (binding.get("metadata") or {}).get("annotations")
    if annotations:
        value["metadata"].setdefault("annotations", {}).update(annotations)
    status = value.setdefault("status", {})
    conditions = set_condition(status.get("conditions"), "PodScheduled", True, "", "", now=now)
    for condition in conditions:
        if condition["type"] == "PodScheduled":
            condition.pop("reason"), condition.pop("message")
            condition["lastProbeTime"] = None
    status["conditions"] = conditions
    if not options.dry_run:
        registry.edit(target.resource, item, value)


def evict(registry: Registry, target: Target, eviction: Value, options: WriteOptions, now: datetime) -> None:
    """Deletes a Pod if its disruption budget allows.

    Raises:
        TooManyRequests: the budget allows no more disruption now.
    """
    item = registry.find(target)
    value = item.decode()
    asked = eviction.get("deleteOptions") or {}
    delete = DeleteOptions.parse({"dryRun": "All"} if options.dry_run else {}, asked)
    if (value.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
        _check_budgets(registry, target, value, dry_run=delete.dry_run)
    main = Target(target.resource, target.version, target.namespace, target.name)
    if not delete.dry_run:
        status = value.setdefault("status", {})
        message = "Eviction API: evicting"
        reason = "EvictionByEvictionAPI"
        conditions = set_condition(status.get("conditions"), "DisruptionTarget", True, reason, message, now=now)
        status["conditions"] = conditions
        registry.edit(target.resource, item, value)
    registry.delete(main, delete, now)


def _check_budgets(registry: Registry, target: Target, pod: Value, *, dry_run: bool) -> None:
    labels = pod["metadata"].get("labels") or {}
    resource = registry.resource("policy", "poddisruptionbudgets")
    for item in registry.store.collection("poddisruptionbudgets.policy").scan(target.namespace):
        budget = item.decode()
        selector = (budget.get("spec") or {}).get("selector")
        if selector is None or not LabelSelector.from_dict(selector).matches(labels):
            continue
        status = budget.setdefault("status", {})
        if status.get("disruptionsAllowed", 0) <= 0:
            raise TooManyRequests(
                "Cannot evict pod as it would violate the pod's disruption budget.",
                details={
                    "causes": [
                        {
                            "reason": "DisruptionBudget",
                            "message": f"The disruption budget {item.name} needs {status.get('desiredHealthy', 0)} "
                            f"healthy pods and has {status.get('currentHealthy', 0)} currently",
                        }
                    ]
                },
            )
        status["disruptionsAllowed"] -= 1
        if not dry_run and resource is not None:
            registry.edit(resource, item, budget)


def finalize(registry: Registry, target: Target, body: Value, options: WriteOptions, now: datetime) -> Written:
    """Replaces a Namespace's ``spec.finalizers``; an empty list lets it go."""
    item = registry.find(target)
    value = item.decode()
    finalizers = (body.get("spec") or {}).get("finalizers") or []
    value["spec"] = {"finalizers": finalizers} if finalizers else {}
    if not options.dry_run:
        registry.edit(target.resource, item, value)
    return Written(value)


_LOG_QUERY: Final = (
    "follow",
    "previous",
    "timestamps",
    "sinceSeconds",
    "sinceTime",
    "tailLines",
    "limitBytes",
    "stream",
)


def log_address(registry: Registry, target: Target, query: Mapping[str, str]) -> str:
    """The kubelet's URL of a container's log; "" where the Pod has no node, and so has said nothing yet.

    Raises:
        BadRequest: no such container, or several to choose from.
        NotFound: the Pod's node is not known.
    """
    pod = registry.find(target).decode()
    spec = pod["spec"]
    names = [one["name"] for one in spec.get("containers") or ()]
    starting = [one["name"] for one in spec.get("initContainers") or ()]
    container = query.get("container", "")
    if not container:
        if len(names) > 1:
            raise BadRequest(
                f"a container name must be specified for pod {target.name}, choose one of: [{' '.join(names)}]"
                + (f" or one of the init containers: [{' '.join(starting)}]" if starting else "")
            )
        container = names[0]
    elif container not in names + starting:
        raise BadRequest(f"container {container} is not valid for pod {target.name}")
    node_name = spec.get("nodeName", "")
    if not node_name:
        return ""
    node = registry.store.collection("nodes").get("", node_name)
    if node is None:
        raise not_found("", "pods", node_name)
    status = node.decode().get("status") or {}
    host = next((one["address"] for one in status.get("addresses") or () if one.get("type") == "InternalIP"), "")
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port", 0)
    if not host:
        raise ApiError(
            f"no preferred addresses found; known addresses: {status.get('addresses') or []}", code=500, reason=""
        )
    asked = {name: query[name] for name in _LOG_QUERY if name in query}
    tail = f"?{urlencode(asked)}" if asked else ""
    return f"https://{host}:{port}/containerLogs/{target.namespace}/{target.name}/{container}{tail}"
