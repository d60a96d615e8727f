"""How kinds differ when they are written: what a create resets, what a status update may touch, who counts
generations, whose deletion waits, and what a delete answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from controllerkit.apiserver import crds, events
from controllerkit.apiserver.defaults import apply_builtin_defaults, pod_qos_class
from controllerkit.apiserver.resources import Resource, Version
from controllerkit.apiserver.status import FieldError
from controllerkit.objects import rfc3339

__all__ = [
    "counts_generation",
    "deletable",
    "grace_period",
    "held",
    "prepare_create",
    "prepare_delete",
    "prepare_update",
    "returns_object",
    "validate_special",
]

Value = dict[str, Any]

_STATUS_KEPT_ON_CREATE: Final = frozenset({"Node"})
_INITIAL_STATUS: Final[Mapping[str, Any]] = {
    "Pod": {"phase": "Pending"},
    "Namespace": {"phase": "Active"},
    "Service": {"loadBalancer": {}},
    "PersistentVolumeClaim": {"phase": "Pending"},
    "PersistentVolume": {"phase": "Pending"},
}
_RETURNED: Final = frozenset(
    {"Pod", "Service", "ServiceAccount", "PersistentVolume", "PersistentVolumeClaim", "Namespace", "StorageClass"}
)
PVC_PROTECTION: Final = "kubernetes.io/pvc-protection"
PV_PROTECTION: Final = "kubernetes.io/pv-protection"
_PROTECTION: Final = {"PersistentVolumeClaim": PVC_PROTECTION, "PersistentVolume": PV_PROTECTION}


def prepare_create(resource: Resource, version: Version, value: Value, now: datetime) -> None:
    """What a client cannot decide at creation: status, generation, first finalizers."""
    metadata = value["metadata"]
    if version.status and resource.kind not in _STATUS_KEPT_ON_CREATE:
        value.pop("status", None)
        if version.schema is None:
            if resource.kind in _INITIAL_STATUS:
                value["status"] = dict(_INITIAL_STATUS[resource.kind])
            apply_builtin_defaults(resource.kind, value)
    if resource.generation:
        metadata["generation"] = 1
    if resource.custom:
        return
    if resource.kind == "Event":
        # Both APIs of events come here, in the stored form.
        apply_builtin_defaults("Event", value)
    elif resource.kind == "Pod":
        value["status"]["qosClass"] = pod_qos_class(value["spec"])
    elif resource.kind == "CustomResourceDefinition":
        crds.prepare_create(value)
    elif resource.kind == "Job":
        _mark_job(value)
    elif resource.kind == "DaemonSet":
        metadata.setdefault("annotations", {})["deprecated.daemonset.template.generation"] = "1"
    elif resource.kind == "PersistentVolume":
        value["status"]["lastPhaseTransitionTime"] = rfc3339(now)
    if protection := _PROTECTION.get(resource.kind):
        finalizers = metadata.setdefault("finalizers", [])
        if protection not in finalizers:
            finalizers.append(protection)


_JOB_UID: Final = "batch.kubernetes.io/controller-uid"
_JOB_NAME: Final = "batch.kubernetes.io/job-name"


def _mark_job(value: Value) -> None:
    """A Job finds its Pods by its own uid, unless it was told to choose them itself."""
    metadata, spec = value["metadata"], value["spec"]
    if spec.get("manualSelector"):
        return
    uid, name = metadata["uid"], metadata.get("name", "")
    marks = {_JOB_UID: uid, _JOB_NAME: name, "controller-uid": uid, "job-name": name}
    for labelled in (metadata, spec["template"]["metadata"]):
        labelled.setdefault("labels", {}).update(marks)
    if not spec.get("selector"):
        spec["selector"] = {"matchLabels": {_JOB_UID: uid}}


_METADATA_OF_STATUS: Final = frozenset({"labels", "annotations", "finalizers", "managedFields", "resourceVersion"})


def prepare_update(
    resource: Resource, version: Version, subresource: str, value: Value, old: Value, now: datetime
) -> None:
    """Puts back what this update may not touch: the status, or for a status update everything else."""
    if subresource == "status":
        _only_status(resource, value, old)
        if resource.kind == "PersistentVolume" and not resource.custom:
            phase, before = (one.get("status", {}).get("phase") for one in (value, old))
            if phase != before:
                value["status"]["lastPhaseTransitionTime"] = rfc3339(now)
    elif version.status and subresource != "finalize":
        value.pop("status", None)
        if "status" in old:
            value["status"] = old["status"]
    if subresource == "" and not resource.custom:
        if resource.kind == "CustomResourceDefinition":
            crds.prepare_update(value, old)
        elif resource.kind == "Service":
            _keep_cluster_ip(value["spec"], old.get("spec") or {})
        elif resource.kind == "Namespace":
            # Only the finalize subresource changes these.
            value["spec"] = old.get("spec", {})
        elif resource.kind == "Pod":
            _keep_pod_fields(value["spec"], old["spec"])


def _only_status(resource: Resource, value: Value, old: Value) -> None:
    status, metadata = value.get("status"), value["metadata"]
    value.clear()
    value.update({name: child for name, child in old.items() if name != "status"})
    if status is not None:
        value["status"] = status
    # Built-in kinds let a status update change some metadata, custom resources nothing but managedFields.
    kept = {"managedFields", "resourceVersion"} if resource.custom else _METADATA_OF_STATUS
    value["metadata"] = {name: child for name, child in old["metadata"].items() if name not in kept} | {
        name: child for name, child in metadata.items() if name in kept
    }


def _keep_cluster_ip(spec: Value, old: Mapping[str, Any]) -> None:
    """Clients that replace a Service need not know its address."""
    if spec.get("type") == "ExternalName":
        return
    for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if not spec.get(name) and old.get(name):
            spec[name] = old[name]
    for port, before in zip(spec.get("ports") or (), old.get("ports") or (), strict=False):
        if spec.get("type") in ("NodePort", "LoadBalancer") and not port.get("nodePort") and before.get("nodePort"):
            port["nodePort"] = before["nodePort"]


def _keep_pod_fields(spec: Value, old: Mapping[str, Any]) -> None:
    """Fields admission added at creation, which a client that applies its manifest again does not send."""
    for name in ("nodeName", "serviceAccountName", "serviceAccount", "enableServiceLinks"):
        if name in old:
            spec.setdefault(name, old[name])


def counts_generation(resource: Resource, version: Version, subresource: str, value: Value, old: Value) -> bool:
    """Whether this update changes what ``metadata.generation`` counts."""
    if not resource.generation or subresource == "status":
        return False
    if resource.custom:
        ignored = {"metadata", "status"} if version.status else {"metadata"}
        return {k: v for k, v in value.items() if k not in ignored} != {
            k: v for k, v in old.items() if k not in ignored
        }
    if resource.kind == "EndpointSlice":
        return any(value.get(name) != old.get(name) for name in ("endpoints", "ports", "addressType"))
    return value.get("spec") != old.get("spec")


def prepare_delete(resource: Resource, value: Value, now: datetime) -> None:
    """A definition is held until its objects are gone."""
    if resource.kind == "CustomResourceDefinition" and not resource.custom:
        finalizers = value["metadata"].setdefault("finalizers", [])
        if not value["metadata"].get("deletionTimestamp") and crds.CLEANUP_FINALIZER not in finalizers:
            finalizers.append(crds.CLEANUP_FINALIZER)
            crds.mark_for_deletion(value, now)


def deletable(resource: Resource, value: Value) -> bool:
    """Whether an object that is being deleted is no longer held by anything."""
    metadata = value["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if resource.kind == "Namespace" and not resource.custom:
        return not (value.get("spec") or {}).get("finalizers")
    return int(metadata.get("deletionGracePeriodSeconds", 0)) == 0


def held(resource: Resource, value: Value) -> bool:
    """Whether something but finalizers and grace holds the object: a namespace its content."""
    if resource.kind == "Namespace" and not resource.custom:
        return bool((value.get("spec") or {}).get("finalizers"))
    return False


def grace_period(resource: Resource, value: Value, asked_s: int | None) -> int:
    """Seconds the deletion waits: a Pod that was never bound, or has ended, waits for nobody."""
    if not resource.graceful:
        return 0
    spec, status = value.get("spec") or {}, value.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    own_s = int(spec.get("terminationGracePeriodSeconds", 30))
    wanted_s = own_s if asked_s is None else max(asked_s, 1 if asked_s < 0 else 0)
    marked_s = value["metadata"].get("deletionGracePeriodSeconds")
    # A second delete may shorten the grace period, and without a wish of its own changes nothing.
    if value["metadata"].get("deletionTimestamp") and marked_s is not None:
        return int(marked_s) if asked_s is None else min(int(marked_s), wanted_s)
    return wanted_s


def returns_object(resource: Resource) -> bool:
    """Whether a finished delete answers with the object, not with a Status."""
    return resource.kind in _RETURNED and not resource.custom


def validate_special(resource: Resource, value: Value, old: Value | None = None) -> Iterator[FieldError]:
    """Findings of kinds that have a module of their own."""
    if resource.kind == "CustomResourceDefinition":
        yield from crds.validate_definition(value)
    elif resource.group == "events.k8s.io":
        yield from events.validate_new_event(value) if old is None else events.validate_new_update(value, old)
