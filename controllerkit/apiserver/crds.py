"""CustomResourceDefinitions: their own rules, and the resources they make."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from controllerkit.apiserver.configurations import validate_client
from controllerkit.apiserver.conversion import Converter
from controllerkit.apiserver.expressions import available
from controllerkit.apiserver.metadata import dns_label
from controllerkit.apiserver.resources import Resource, ScalePaths, Version, at
from controllerkit.apiserver.rules import NOT_INSTALLED, has_rules, validate_rules
from controllerkit.apiserver.shapes import Shape
from controllerkit.apiserver.status import FieldError
from controllerkit.objects import find_condition, set_condition

__all__ = ["accept", "established", "prepare_create", "prepare_update", "resource_of", "validate_definition"]

Value = dict[str, Any]
CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP_FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STABILITY: Final = {None: 2, "beta": 1, "alpha": 0}


def prepare_create(value: Value) -> None:
    """Names and conversion that may be left out; the versions objects may be stored in."""
    spec = value.setdefault("spec", {})
    _complete_names(spec)
    stored = [version["name"] for version in spec.get("versions") or () if version.get("storage")]
    value["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


def prepare_update(value: Value, old: Value) -> None:
    """The same for an update; a new storage version joins the stored ones."""
    _complete_names(value.setdefault("spec", {}))
    status = value.setdefault("status", dict(old.get("status") or {}))
    stored = list(status.get("storedVersions") or ())
    for version in value["spec"].get("versions") or ():
        if version.get("storage") and version["name"] not in stored:
            stored.append(version["name"])
    value["status"] = {**status, "storedVersions": stored}


def _complete_names(spec: Value) -> None:
    names = spec.setdefault("names", {})
    if kind := names.get("kind"):
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})


def validate_definition(value: Mapping[str, Any]) -> Iterator[FieldError]:
    """Findings in a definition."""
    spec = value.get("spec") or {}
    names, group, name = spec.get("names") or {}, spec.get("group", ""), value["metadata"].get("name", "")
    if name != f"{names.get('plural')}.{group}":
        yield FieldError.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if not group:
        yield FieldError.required("spec.group")
    elif "." not in group:
        yield FieldError.invalid("spec.group", group, "should be a domain with at least one dot")
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        if spec.get("scope"):
            yield FieldError.unsupported("spec.scope", spec["scope"], ("Cluster", "Namespaced"))
        else:
            yield FieldError.required("spec.scope")
    for field in ("plural", "singular", "kind", "listKind"):
        if not names.get(field):
            yield FieldError.required(f"spec.names.{field}")
        elif why := dns_label(str(names[field]).lower()):
            yield FieldError.invalid(f"spec.names.{field}", names[field], why)
    versions = spec.get("versions") or ()
    if not versions:
        yield FieldError.required("spec.versions", "must have exactly one version marked as storage version")
    elif sum(bool(version.get("storage")) for version in versions) != 1:
        shown = [version.get("name") for version in versions]
        yield FieldError.invalid("spec.versions", shown, "must have exactly one version marked as storage version")
    for index, version in enumerate(versions):
        yield from _validate_version(version, f"spec.versions[{index}]")
    yield from _validate_conversion(spec.get("conversion") or {}, "spec.conversion")


def _validate_conversion(conversion: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    strategy, webhook = conversion.get("strategy"), conversion.get("webhook")
    if not strategy:
        yield FieldError.required(f"{path}.strategy")
    elif strategy not in ("None", "Webhook"):
        yield FieldError.unsupported(f"{path}.strategy", strategy, ("None", "Webhook"))
    elif strategy == "None":
        if webhook is not None:
            detail = "should not be set when strategy is not set to Webhook"
            yield FieldError.forbidden(f"{path}.webhook", detail)
    else:
        webhook = webhook or {}
        if webhook.get("clientConfig") is None:
            yield FieldError.required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook")
        else:
            yield from validate_client(webhook["clientConfig"], f"{path}.webhookClientConfig")
        versions = webhook.get("conversionReviewVersions") or ()
        if not set(versions) & {"v1", "v1beta1"}:
            yield FieldError.invalid(
                f"{path}.conversionReviewVersions",
                list(versions),
                "must include at least one of v1, v1beta1",
            )


def _validate_version(version: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    name = version.get("name", "")
    if why := dns_label(name):
        yield FieldError.invalid(f"{path}.name", name, why)
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        yield FieldError.required(f"{path}.schema.openAPIV3Schema", "schemas are required")
        return
    where = f"{path}.schema.openAPIV3Schema"
    if schema.get("type") != "object":
        if "type" in schema:
            yield FieldError.invalid(f"{where}.type", schema["type"], "must be object at the root")
        else:
            yield FieldError.required(f"{where}.type", "must not be empty at the root")
    structure = list(_validate_structure(schema, where))
    yield from structure
    if not structure:
        yield from validate_rules(schema, where)


def warnings_of(value: Mapping[str, Any]) -> Iterator[str]:
    """What whoever writes a definition should know of it."""
    for version in value["spec"].get("versions") or ():
        if not available() and has_rules((version.get("schema") or {}).get("openAPIV3Schema")):
            yield NOT_INSTALLED
            return


def _validate_structure(schema: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """A structural schema states the type of every field it mentions."""
    for name, child in (schema.get("properties") or {}).items():
        where = f"{path}.properties[{name}]"
        yield from _validate_typed(child, where)
        yield from _validate_structure(child, where)
    for keyword in ("items", "additionalProperties"):
        child = schema.get(keyword)
        if isinstance(child, Mapping):
            yield from _validate_typed(child, f"{path}.{keyword}")
            yield from _validate_structure(child, f"{path}.{keyword}")
    if schema.get("type") == "array" and "items" not in schema:
        yield FieldError.required(f"{path}.items", "must be specified")
    if schema.get("properties") and isinstance(schema.get("additionalProperties"), Mapping):
        why = "additionalProperties and properties are mutual exclusive"
        yield FieldError.forbidden(f"{path}.additionalProperties", why)


def _validate_typed(schema: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not schema.get("type") and not free:
        yield FieldError.required(f"{path}.type", "must not be empty for specified object fields")
    elif schema.get("type") and schema["type"] not in ("object", "array", "string", "integer", "number", "boolean"):
        allowed = ("array", "boolean", "integer", "number", "object", "string")
        yield FieldError.unsupported(f"{path}.type", schema["type"], allowed)


def established(value: Mapping[str, Any]) -> bool:
    """Whether the definition's resource is served."""
    condition = find_condition((value.get("status") or {}).get("conditions"), "Established")
    return condition is not None and condition.get("status") == "True"


def accept(value: Value, others: Mapping[str, str], now: datetime) -> bool:
    """Sets the conditions by whether the names are free; ``others`` are taken names and whose they are.

    Returns whether the resource is now to be served.
    """
    names, group = value["spec"]["names"], value["spec"]["group"]
    wanted = [
        ("PluralConflict", names["plural"]),
        ("SingularConflict", names["singular"]),
        *(("ShortNamesConflict", name) for name in names.get("shortNames") or ()),
        ("KindConflict", names["kind"]),
        ("ListKindConflict", names["listKind"]),
    ]
    clash = next(((reason, name) for reason, name in wanted if f"{name}.{group}" in others), None)
    status = value.setdefault("status", {})
    conditions = status.get("conditions")
    if clash is not None:
        reason, name = clash
        message = f'"{name}" is already in use'
        conditions = set_condition(conditions, "NamesAccepted", False, reason, message, now=now)
        if find_condition(conditions, "Established") is None:
            conditions = set_condition(
                conditions, "Established", False, "NotAccepted", "not all names are accepted", now=now
            )
    else:
        conditions = set_condition(conditions, "NamesAccepted", True, "NoConflicts", "no conflicts found", now=now)
        status["acceptedNames"] = dict(names)
        if not established(value):
            message = "the initial names have been accepted"
            conditions = set_condition(conditions, "Established", True, "InitialNamesAccepted", message, now=now)
    status["conditions"] = [
        {
            key: condition[key]
            for key in ("type", "status", "observedGeneration", "lastTransitionTime", "reason", "message")
            if key in condition
        }
        for condition in conditions or ()
    ]
    return established(value)


def mark_for_deletion(value: Value, now: datetime) -> None:
    """The condition of a definition that was just asked to go."""
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    _terminating(value, "InstanceDeletionPending", message, now)


def terminating(value: Value, now: datetime) -> None:
    """The condition of a definition whose objects are being deleted."""
    _terminating(value, "InstanceDeletionInProgress", "CustomResource deletion is in progress", now)


def _terminating(value: Value, reason: str, message: str, now: datetime) -> None:
    status = value.setdefault("status", {})
    status["conditions"] = set_condition(status.get("conditions"), "Terminating", True, reason, message, now=now)


REPLICAS_MAX: Final = 2**31 - 1
"""``autoscaling/v1`` Scale counts in 32 bits."""


def _json_path(path: str) -> tuple[str, ...]:
    return tuple(filter(None, path.split(".")))


def _deprecation(name: str, spec: Mapping[str, Any]) -> str:
    """What is told of a deprecated version that says nothing itself; the best of the better ones is named."""
    group, kind = spec["group"], spec["names"]["kind"]
    better = [
        one["name"]
        for one in spec["versions"]
        if one.get("served") and not one.get("deprecated") and version_order(one["name"]) > version_order(name)
    ]
    told = f"{group}/{name} {kind} is deprecated"
    return f"{told}; use {group}/{max(better, key=version_order)} {kind}" if better else told


def _version(version: Mapping[str, Any], spec: Mapping[str, Any]) -> Version:
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
    subresources = version.get("subresources") or {}
    scale = subresources.get("scale")
    paths = None
    if scale:
        selector = scale.get("labelSelectorPath")
        paths = ScalePaths(
            _json_path(scale["specReplicasPath"]),
            _json_path(scale["statusReplicasPath"]),
            _json_path(selector) if selector else None,
        )
    warning = ""
    if version.get("deprecated"):
        warning = version.get("deprecationWarning") or _deprecation(version["name"], spec)
    return Version(
        version["name"],
        shape=Shape(schema),
        schema=schema,
        ruled=has_rules(schema),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        selectable=tuple(one["jsonPath"].removeprefix(".") for one in version.get("selectableFields") or ()),
        status="status" in subresources,
        scale=paths,
        served=bool(version.get("served")),
        warning=warning,
    )


def version_order(name: str) -> tuple[int, int, int, str]:
    """Sorts versions as clients prefer them, best last: v2 after v1 after v1beta2 after v1alpha1."""
    found = _VERSION.fullmatch(name)
    if found is None:
        return (-1, 0, 0, name)
    return (_STABILITY[found[2]], int(found[1]), int(found[3] or 0), "")


def resource_of(value: Mapping[str, Any]) -> Resource:
    """What an established definition serves."""
    spec, metadata = value["spec"], value["metadata"]
    names, group = spec["names"], spec["group"]
    versions = {one["name"]: _version(one, spec) for one in spec["versions"]}
    ordered = dict(sorted(versions.items(), key=lambda pair: version_order(pair[0]), reverse=True))
    selectable: dict[str, Callable[[Mapping[str, Any]], str]] = {
        path: at(*_json_path(path)) for version in versions.values() for path in version.selectable
    }
    return Resource(
        group,
        names["plural"],
        names["kind"],
        storage_version=next(one["name"] for one in spec["versions"] if one.get("storage")),
        versions=ordered,
        namespaced=spec["scope"] == "Namespaced",
        singular=names.get("singular", ""),
        list_kind=names.get("listKind", ""),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        generation=True,
        unconditional_update=False,
        fields=selectable,
        custom=metadata["uid"],
        converter=Converter.of(value),
    )


def names_taken(definitions: list[Mapping[str, Any]], group: str, uid: str) -> dict[str, str]:
    """The accepted names of a group's other definitions, as ``name.group`` to the definition's name."""
    taken: dict[str, str] = {}
    for one in definitions:
        if one["spec"]["group"] != group or one["metadata"]["uid"] == uid:
            continue
        names = (one.get("status") or {}).get("acceptedNames") or {}
        for name in (
            *(names.get(field) for field in ("plural", "singular", "kind", "listKind")),
            *(names.get("shortNames") or ()),
        ):
            if name:
                taken[f"{name}.{group}"] = one["metadata"]["name"]
    return taken


def validate_scale(version: Version, value: Mapping[str, Any]) -> Iterator[FieldError]:
    """Findings at the places a custom resource's scale subresource reads: a count of replicas is a natural number."""
    if version.scale is None:
        return
    for path in (version.scale.spec, version.scale.status):
        where = "." + ".".join(path)
        found: Any = value
        for step in path:
            if not isinstance(found, Mapping):
                yield FieldError.invalid(where, 0, f"{where} accessor error: expected map[string]interface{{}}")
                break
            if step not in found:
                break
            found = found[step]
        else:
            yield from _validate_replicas(where, found)


def _validate_replicas(where: str, found: Any) -> Iterator[FieldError]:
    if not isinstance(found, int) or isinstance(found, bool):
        yield FieldError.invalid(where, 0, f"{where} accessor error: expected int64")
    elif found < 0:
        yield FieldError.invalid(where, found, "should be a non-negative integer")
    elif found > REPLICAS_MAX:
        yield FieldError.invalid(where, found, f"should be less than or equal to {REPLICAS_MAX}")
