"""Validation of built-in kinds: what operators and kubectl users run into.

Structure and metadata are checked for every kind elsewhere; here are the rules of single kinds: required
fields, fields that may not change, selectors that must match their templates. It is a part of the real server's
rules, chosen by what callers meet, not the whole of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from controllerkit.apiserver.configurations import validate_configuration
from controllerkit.apiserver.events import validate_event
from controllerkit.apiserver.metadata import check_labels, dns_label
from controllerkit.apiserver.status import FieldError
from controllerkit.errors import BadRequest
from controllerkit.objects import LabelSelector

__all__ = ["validate_builtin", "validate_builtin_update"]

Value = Mapping[str, Any]
Findings = Iterator[FieldError]


def _containers(spec: Value, path: str, claims: Sequence[Value] = ()) -> Findings:
    containers = spec.get("containers") or ()
    if not containers:
        yield FieldError.required(f"{path}.containers")
    names: set[str] = set()
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    volumes |= {(claim.get("metadata") or {}).get("name") for claim in claims}
    for group in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(group) or ()):
            where = f"{path}.{group}[{index}]"
            yield from _container(container, where, volumes)
            name = container.get("name")
            if name in names:
                yield FieldError.duplicate(f"{where}.name", name)
            names.add(name)


def _container(container: Value, where: str, volumes: set[Any]) -> Findings:
    name = container.get("name", "")
    if not name:
        yield FieldError.required(f"{where}.name")
    elif why := dns_label(name):
        yield FieldError.invalid(f"{where}.name", name, why)
    if not container.get("image"):
        yield FieldError.required(f"{where}.image")
    for index, port in enumerate(container.get("ports") or ()):
        number = port.get("containerPort", 0)
        if not 0 < number < 65536:
            yield FieldError.invalid(
                f"{where}.ports[{index}].containerPort", number, "must be between 1 and 65535, inclusive"
            )
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            yield FieldError(
                f"{where}.volumeMounts[{index}].name", f'Not found: "{mount.get("name")}"', "FieldValueNotFound"
            )
        if not mount.get("mountPath"):
            yield FieldError.required(f"{where}.volumeMounts[{index}].mountPath")


def _pod_spec(spec: Value, path: str, claims: Sequence[Value] = ()) -> Findings:
    """``claims``: templates that a StatefulSet makes volumes of."""
    yield from _containers(spec, path, claims)
    policy = spec.get("restartPolicy")
    if policy not in ("Always", "OnFailure", "Never"):
        yield FieldError.unsupported(f"{path}.restartPolicy", policy, ("Always", "OnFailure", "Never"))
    names: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        name = volume.get("name", "")
        if not name:
            yield FieldError.required(f"{path}.volumes[{index}].name")
        elif name in names:
            yield FieldError.duplicate(f"{path}.volumes[{index}].name", name)
        names.add(name)


def _pod(value: Value) -> Findings:
    yield from _pod_spec(value.get("spec") or {}, "spec")


_SET_KINDS: Final = ("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet")


def _workload(value: Value) -> Findings:
    spec = value.get("spec") or {}
    selector = spec.get("selector")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector:
        yield FieldError.required("spec.selector")
    else:
        yield from _selector_matches(selector, labels)
    if spec.get("replicas", 0) < 0:
        yield FieldError.invalid("spec.replicas", spec["replicas"], "must be greater than or equal to 0")
    yield from check_labels(labels, "spec.template.metadata.labels")
    claims = spec.get("volumeClaimTemplates") or ()
    yield from _pod_spec(template.get("spec") or {}, "spec.template.spec", claims)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        yield FieldError.unsupported("spec.template.spec.restartPolicy", policy, ("Always",))
    yield from _workload_status(value["kind"], value.get("status") or {})


_PARTS_OF_REPLICAS: Final[Mapping[str, tuple[str, ...]]] = {
    "Deployment": ("updatedReplicas", "readyReplicas", "availableReplicas"),
    "ReplicaSet": ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
    "StatefulSet": ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
}
"""kubernetes ``pkg/apis/apps/validation``: none of them may be more than ``status.replicas``."""


def _workload_status(kind: str, status: Value) -> Findings:
    replicas = status.get("replicas") or 0
    for name in _PARTS_OF_REPLICAS.get(kind, ()):
        if (count := status.get(name) or 0) > replicas:
            yield FieldError.invalid(f"status.{name}", count, "cannot be greater than status.replicas")
    available, ready = status.get("availableReplicas") or 0, status.get("readyReplicas") or 0
    if kind in _PARTS_OF_REPLICAS and available > ready:
        detail = "cannot be greater than " + ("status.readyReplicas" if kind == "StatefulSet" else "readyReplicas")
        yield FieldError.invalid("status.availableReplicas", available, detail)


def _selector_matches(selector: Value, labels: Mapping[str, str]) -> Findings:
    try:
        matches = LabelSelector.from_dict(selector).matches(labels)
    except (BadRequest, KeyError) as error:
        yield FieldError.invalid("spec.selector", selector, str(error))
        return
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield FieldError.invalid("spec.selector", selector, "empty selector is invalid for deployment")
    elif not matches:
        yield FieldError.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")


def _service(value: Value) -> Findings:
    spec = value.get("spec") or {}
    ports = spec.get("ports") or ()
    kinds = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if spec.get("type") not in kinds:
        yield FieldError.unsupported("spec.type", spec.get("type"), kinds)
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield FieldError.required("spec.ports")
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        yield FieldError.required("spec.externalName")
    seen: set[Any] = set()
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        if len(ports) > 1 and not port.get("name"):
            yield FieldError.required(f"{where}.name")
        if not 0 < port.get("port", 0) < 65536:
            yield FieldError.invalid(f"{where}.port", port.get("port", 0), "must be between 1 and 65535, inclusive")
        identity = (port.get("port"), port.get("protocol"))
        if identity in seen:
            yield FieldError.duplicate(where, {"protocol": port.get("protocol"), "port": port.get("port")})
        seen.add(identity)


def _claim(value: Value) -> Findings:
    spec = value.get("spec") or {}
    if not spec.get("accessModes"):
        yield FieldError.required("spec.accessModes", "at least 1 access mode is required")
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        yield FieldError.required("spec.resources[storage]")


def _volume(value: Value) -> Findings:
    spec = value.get("spec") or {}
    if not spec.get("accessModes"):
        yield FieldError.required("spec.accessModes")
    if not spec.get("capacity"):
        yield FieldError.required("spec.capacity")


def _job(value: Value) -> Findings:
    spec = value.get("spec") or {}
    template = (spec.get("template") or {}).get("spec") or {}
    yield from _containers(template, "spec.template.spec")
    if template.get("restartPolicy") not in ("OnFailure", "Never"):
        policy = template.get("restartPolicy")
        yield FieldError(
            "spec.template.spec.restartPolicy",
            'Required value: valid values: "OnFailure", "Never"'
            if policy == "Always"
            else f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"',
            "FieldValueRequired" if policy == "Always" else "FieldValueNotSupported",
        )


def _cron_job(value: Value) -> Findings:
    if not (value.get("spec") or {}).get("schedule"):
        yield FieldError.required("spec.schedule")


def _storage_class(value: Value) -> Findings:
    if not value.get("provisioner"):
        yield FieldError.required("provisioner")


def _config_map(value: Value) -> Findings:
    for key in (value.get("data") or {}).keys() & (value.get("binaryData") or {}).keys():
        yield FieldError.invalid("data[" + key + "]", key, "duplicate of key present in binaryData")


def _role_binding(value: Value) -> Findings:
    if not (value.get("roleRef") or {}).get("name"):
        yield FieldError.required("roleRef.name")


def _lease(value: Value) -> Findings:
    spec = value.get("spec") or {}
    for name, least in (("leaseDurationSeconds", 1), ("leaseTransitions", 0)):
        if name in spec and spec[name] < least:
            bound = "0" if least == 1 else "or equal to 0"
            yield FieldError.invalid(f"spec.{name}", spec[name], f"must be greater than {bound}")


def _endpoint_slice(value: Value) -> Findings:
    if value.get("addressType") not in ("IPv4", "IPv6", "FQDN"):
        yield FieldError.required("addressType")


_CREATE: Final[Mapping[str, Callable[[Value], Findings]]] = {
    "Pod": _pod,
    **dict.fromkeys(_SET_KINDS, _workload),
    "Service": _service,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume,
    "Job": _job,
    "CronJob": _cron_job,
    "StorageClass": _storage_class,
    "ConfigMap": _config_map,
    "RoleBinding": _role_binding,
    "ClusterRoleBinding": _role_binding,
    "Lease": _lease,
    "Event": validate_event,
    "EndpointSlice": _endpoint_slice,
    "MutatingWebhookConfiguration": validate_configuration,
    "ValidatingWebhookConfiguration": validate_configuration,
}


def validate_builtin(kind: str, value: Value) -> Findings:
    """Findings in an object of a built-in kind, after defaulting."""
    if (check := _CREATE.get(kind)) is not None:
        yield from check(value)


_POD_RULE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _frozen_pod_spec(spec: Value) -> dict[str, Any]:
    changeable = ("activeDeadlineSeconds", "tolerations", "schedulingGates", "ephemeralContainers")
    frozen = {name: value for name, value in spec.items() if name not in changeable}
    for group in ("containers", "initContainers"):
        if group in frozen:
            frozen[group] = [{k: v for k, v in container.items() if k != "image"} for container in frozen[group]]
    return frozen


def _pod_update(new: Value, old: Value) -> Findings:
    if _frozen_pod_spec(new.get("spec") or {}) != _frozen_pod_spec(old.get("spec") or {}):
        yield FieldError.forbidden("spec", _POD_RULE)


def _immutable(path: str, new: Any, old: Any) -> Findings:
    if new != old:
        yield FieldError.invalid(path, new, "field is immutable")


_STATEFUL_SET_FIXED: Final = ("serviceName", "podManagementPolicy", "selector", "volumeClaimTemplates")


def _stateful_set_update(new: Value, old: Value) -> Findings:
    for name in _STATEFUL_SET_FIXED:
        after, before = new["spec"].get(name), old["spec"].get(name)
        if name == "volumeClaimTemplates":
            after, before = ([_without_status(claim) for claim in claims or ()] for claims in (after, before))
        yield from _immutable(f"spec.{name}", after, before)


def _without_status(claim: Value) -> dict[str, Any]:
    return {name: child for name, child in claim.items() if name != "status"}


def _workload_update(new: Value, old: Value) -> Findings:
    yield from _immutable("spec.selector", new["spec"].get("selector"), old["spec"].get("selector"))


def _job_update(new: Value, old: Value) -> Findings:
    for name in ("selector", "completionMode"):
        yield from _immutable(f"spec.{name}", new["spec"].get(name), old["spec"].get(name))
    if not old["spec"].get("suspend"):
        yield from _immutable("spec.template", new["spec"].get("template"), old["spec"].get("template"))


def _service_update(new: Value, old: Value) -> Findings:
    before, after = old["spec"], new["spec"]
    if after.get("type") == "ExternalName" or before.get("type") == "ExternalName":
        return
    if before.get("clusterIP") and after.get("clusterIP") != before["clusterIP"]:
        yield FieldError.invalid("spec.clusterIPs[0]", [after.get("clusterIP", "")], "may not change once set")


_CLAIM_RULE: Final = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def _claim_update(new: Value, old: Value) -> Findings:
    def frozen(value: Value) -> dict[str, Any]:
        spec = dict(value.get("spec") or {})
        spec.pop("volumeAttributesClassName", None)
        spec["resources"] = {k: v for k, v in (spec.get("resources") or {}).items() if k != "requests"}
        return spec

    after, before = frozen(new), frozen(old)
    # Binding and the default class are written into a claim once.
    for late in ("volumeName", "storageClassName"):
        if late not in before:
            after.pop(late, None)
    bound = (old.get("status") or {}).get("phase") == "Bound"
    requests_changed = (new["spec"].get("resources") or {}) != (old["spec"].get("resources") or {})
    if after != before or (requests_changed and not bound):
        yield FieldError.forbidden("spec", _CLAIM_RULE)


def _frozen_data(new: Value, old: Value) -> Findings:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield FieldError.forbidden("immutable", "field is immutable when `immutable` is set")
    for name in ("data", "binaryData", "stringData"):
        if new.get(name) != old.get(name):
            yield FieldError.forbidden(name, "field is immutable when `immutable` is set")


def _secret_update(new: Value, old: Value) -> Findings:
    yield from _immutable("type", new.get("type"), old.get("type"))
    yield from _frozen_data(new, old)


def _storage_class_update(new: Value, old: Value) -> Findings:
    for name in ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"):
        if new.get(name) != old.get(name):
            yield FieldError.invalid(name, None, "field is immutable")


def _role_binding_update(new: Value, old: Value) -> Findings:
    after = new.get("roleRef") or {}
    if after != old.get("roleRef"):
        # The sentence holds the internal form of the reference.
        shown = {"APIGroup": after.get("apiGroup", ""), "Kind": after.get("kind", ""), "Name": after.get("name", "")}
        yield FieldError.invalid("roleRef", shown, "field is immutable")


def _revision_update(new: Value, old: Value) -> Findings:
    yield from _immutable("data", new.get("data"), old.get("data"))


def _endpoint_slice_update(new: Value, old: Value) -> Findings:
    yield from _immutable("addressType", new.get("addressType"), old.get("addressType"))


_UPDATE: Final[Mapping[str, Callable[[Value, Value], Findings]]] = {
    "Pod": _pod_update,
    "StatefulSet": _stateful_set_update,
    **dict.fromkeys(("Deployment", "ReplicaSet", "DaemonSet"), _workload_update),
    "Job": _job_update,
    "Service": _service_update,
    "PersistentVolumeClaim": _claim_update,
    "ConfigMap": _frozen_data,
    "Secret": _secret_update,
    "StorageClass": _storage_class_update,
    "RoleBinding": _role_binding_update,
    "ClusterRoleBinding": _role_binding_update,
    "ControllerRevision": _revision_update,
    "EndpointSlice": _endpoint_slice_update,
}


def validate_builtin_update(kind: str, new: Value, old: Value) -> Findings:
    """Findings in what an update of a built-in kind changes."""
    if (check := _UPDATE.get(kind)) is not None:
        yield from check(new, old)
