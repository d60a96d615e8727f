"""Whether an object has become what it was asked to be, by the conventions of its kind.

The rules are those by which ``kubectl rollout status`` and the kstatus conventions judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from controllerkit.objects import Object, find_condition

__all__ = ["waits_for"]


def waits_for(value: Object) -> str | None:
    """What ``value`` waits for, None once it is ready. A kind without a known rule is ready by its conditions.

    >>> waits_for(Object.from_bytes(b'{"kind":"ConfigMap","metadata":{"name":"a"}}'))
    >>> waits_for(Object.from_bytes(b'{"kind":"Pod","metadata":{"name":"a"},"status":{"phase":"Pending"}}'))
    'phase is Pending'
    """
    if value.deleting:
        return "it is being deleted"
    status = value.get("status", default={}) or {}
    observed = status.get("observedGeneration")
    if observed is not None and value.generation and observed < value.generation:
        return f"generation {value.generation} is not observed yet"
    rule = _RULES.get((value.gvk.group, value.kind), _by_conditions)
    return rule(value.get("spec", default={}) or {}, status)


def _by_conditions(_: Mapping[str, Any], status: Mapping[str, Any]) -> str | None:
    conditions = status.get("conditions")
    if not isinstance(conditions, list):
        return None
    for kind, good in (("Stalled", "False"), ("Reconciling", "False"), ("Ready", "True"), ("Available", "True")):
        condition = find_condition(conditions, kind)
        if condition is not None:
            return None if condition.get("status") == good and kind == "Ready" else _bad(condition, kind, good)
    return None


def _bad(condition: Mapping[str, Any], kind: str, good: str) -> str | None:
    if condition.get("status") == good:
        return None
    return f"{kind} is {condition.get('status')}: {condition.get('reason', '')} {condition.get('message', '')}".strip()


def _replicas(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str | None:
    wanted = spec.get("replicas", 1)
    for field, word in (("updatedReplicas", "updated"), ("availableReplicas", "available")):
        if status.get(field, 0) < wanted:
            return f"{status.get(field, 0)} of {wanted} replicas {word}"
    if status.get("replicas", 0) > wanted:
        return f"{status['replicas'] - wanted} old replicas are still there"
    return None if "observedGeneration" in status else "it is not observed yet"


def _stateful_set(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str | None:
    wanted = spec.get("replicas", 1)
    partition = (spec.get("updateStrategy") or {}).get("rollingUpdate", {}).get("partition", 0)
    if "observedGeneration" not in status:
        return "it is not observed yet"
    if status.get("readyReplicas", 0) < wanted:
        return f"{status.get('readyReplicas', 0)} of {wanted} replicas ready"
    on_delete = (spec.get("updateStrategy") or {}).get("type") == "OnDelete"
    if not on_delete and status.get("updatedReplicas", 0) < wanted - partition:
        return f"{status.get('updatedReplicas', 0)} of {wanted - partition} replicas updated"
    return None


def _daemon_set(_: Mapping[str, Any], status: Mapping[str, Any]) -> str | None:
    wanted = status.get("desiredNumberScheduled")
    if wanted is None or "observedGeneration" not in status:
        return "it is not observed yet"
    for field, word in (("updatedNumberScheduled", "updated"), ("numberAvailable", "available")):
        if status.get(field, 0) < wanted:
            return f"{status.get(field, 0)} of {wanted} Pods {word}"
    return None


def _job(_: Mapping[str, Any], status: Mapping[str, Any]) -> str | None:
    conditions = status.get("conditions")
    failed = find_condition(conditions, "Failed")
    if failed is not None and failed.get("status") == "True":
        return f"it failed: {failed.get('reason', '')}"
    complete = find_condition(conditions, "Complete")
    return None if complete is not None and complete.get("status") == "True" else "it is not complete"


def _pod(_: Mapping[str, Any], status: Mapping[str, Any]) -> str | None:
    phase = status.get("phase", "Pending")
    if phase == "Succeeded":
        return None
    if phase != "Running":
        return f"phase is {phase}"
    ready = find_condition(status.get("conditions"), "Ready")
    return None if ready is not None and ready.get("status") == "True" else "its containers are not ready"


def _phase(good: str) -> Callable[[Mapping[str, Any], Mapping[str, Any]], str | None]:
    return lambda _, status: None if status.get("phase") == good else f"phase is {status.get('phase', 'unknown')}"


def _service(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str | None:
    waits = spec.get("type") == "LoadBalancer" and not (status.get("loadBalancer") or {}).get("ingress")
    return "the load balancer has no address" if waits else None


def _crd(_: Mapping[str, Any], status: Mapping[str, Any]) -> str | None:
    established = find_condition(status.get("conditions"), "Established")
    return None if established is not None and established.get("status") == "True" else "it is not established"


_RULES: Final[Mapping[tuple[str, str], Callable[[Mapping[str, Any], Mapping[str, Any]], str | None]]] = {
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _phase("Bound"),
    ("", "Namespace"): _phase("Active"),
    ("", "Service"): _service,
    ("apps", "Deployment"): _replicas,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
}
