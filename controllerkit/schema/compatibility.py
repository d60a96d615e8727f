"""What of a new definition breaks objects and clients of the old one.

The question is asked as a user would: is every object that was accepted still accepted and kept whole, and does
every path, version and selector that was served still work? Kubernetes ratchets (an invalid field that an update
does not touch is let through), but a client that writes it anew is refused, so this counts as breaking here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["Change", "compare_definitions", "compare_schemas", "compare_versions"]

Schema = Mapping[str, Any]
Severity = Literal["breaking", "warning"]


@dataclass(frozen=True, slots=True)
class Change:
    """One finding. ``rule`` names the kind of change, ``path`` where, ``message`` what and for whom.

    >>> str(Change("breaking", "field-removed", ".spec.size", "its values are lost"))
    'breaking: .spec.size: field-removed: its values are lost'
    """

    severity: Severity
    rule: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.path}: {self.rule}: {self.message}"

    @property
    def breaking(self) -> bool:
        """Whether objects or clients of before fail."""
        return self.severity == "breaking"


# -- schemas ---------------------------------------------------------------------------------------------------------

_LOWER: Final = ("minimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "maxLength", "maxItems", "maxProperties")
_WIDER_FORMATS: Final = {("int32", "int64"), ("float", "double")}


def compare_schemas(old: Schema, new: Schema, path: str = "") -> list[Change]:
    """Findings in the step from ``old`` to ``new``, in the order of the old fields, then of the new ones."""
    return list(_schemas(old, new, path))


def _schemas(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    where = path or "."
    if (problem := _type_change(old, new)) is not None:
        yield Change("breaking", "type-changed", where, problem)
        return
    yield from _values(old, new, where)
    yield from _bounds(old, new, where)
    yield from _lists(old, new, where)
    yield from _junctions(old, new, where)
    yield from _fields(old, new, path)
    if "items" in old and "items" in new:
        yield from _schemas(old["items"], new["items"], f"{path}[]")
    if "additionalProperties" in old and "additionalProperties" in new:
        yield from _schemas(old["additionalProperties"], new["additionalProperties"], f"{path}{{}}")


def _types(schema: Schema) -> frozenset[str] | None:
    """None for anything."""
    if schema.get("x-kubernetes-int-or-string"):
        return frozenset({"integer", "string"})
    kind = schema.get("type")
    return frozenset({kind} | ({"integer"} if kind == "number" else set())) if kind else None


def _type_change(old: Schema, new: Schema) -> str | None:
    before, after = _types(old), _types(new)
    if after is None or (before is not None and before <= after):
        return None
    shown = ["anything" if each is None else " or ".join(sorted(each)) for each in (before, after)]
    return f"{shown[0]} was accepted, only {shown[1]} is now"


def _values(old: Schema, new: Schema, where: str) -> Iterator[Change]:
    if (allowed := new.get("enum")) is not None:
        before = old.get("enum")
        if before is None:
            yield Change("breaking", "enum-added", where, f"only {_shown(allowed)} are accepted now")
        elif gone := [value for value in before if value not in allowed]:
            yield Change("breaking", "enum-value-removed", where, f"{_shown(gone)} are refused now")
    if old.get("nullable") and not new.get("nullable"):
        yield Change("breaking", "null-refused", where, "null was accepted")
    if new.get("pattern") not in (None, old.get("pattern")):
        message = f"values have to match {new['pattern']!r} now, before {old.get('pattern', 'anything')!r}"
        yield Change("breaking", "pattern-changed", where, message)
    before, after = old.get("format"), new.get("format")
    if after not in (None, before) and (before, after) not in _WIDER_FORMATS:
        yield Change("breaking", "format-changed", where, f"values are of format {after} now, before {before or 'any'}")
    if old.get("default") != new.get("default"):
        message = f"{_default(old)} was filled in, {_default(new)} is now; stored objects keep what they have"
        yield Change("warning", "default-changed", where, message)


def _shown(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values))


def _default(schema: Schema) -> str:
    return repr(schema["default"]) if "default" in schema else "nothing"


def _bounds(old: Schema, new: Schema, where: str) -> Iterator[Change]:
    for names, sign in ((_LOWER, 1), (_UPPER, -1)):
        for name in names:
            before, after = old.get(name), new.get(name)
            strict = f"exclusive{name.capitalize()}"
            tighter = after is not None and (
                before is None
                or sign * (after - before) > 0
                or (after == before and new.get(strict, False) and not old.get(strict, False))
            )
            if tighter:
                shown = "none" if before is None else before
                yield Change("breaking", "bound-tightened", where, f"{name} is {after} now, before {shown}")
    before, after = old.get("multipleOf"), new.get("multipleOf")
    if after is not None and (before is None or (before / after) % 1):
        yield Change("breaking", "bound-tightened", where, f"multipleOf is {after} now, before {before or 'none'}")


def _lists(old: Schema, new: Schema, where: str) -> Iterator[Change]:
    before, after = (schema.get("x-kubernetes-list-type", "atomic") for schema in (old, new))
    keys = [schema.get("x-kubernetes-list-map-keys") for schema in (old, new)]
    if before != after and after in ("set", "map"):
        yield Change("breaking", "list-type-changed", where, f"it is a {after} now: duplicates are refused")
    elif before != after:
        yield Change("warning", "list-type-changed", where, f"it was a {before}: from now on one owner holds it whole")
    elif keys[0] != keys[1]:
        yield Change("breaking", "list-keys-changed", where, f"items were told apart by {keys[0]}, by {keys[1]} now")
    if old.get("x-kubernetes-map-type", "granular") != new.get("x-kubernetes-map-type", "granular"):
        yield Change("warning", "map-type-changed", where, "owners of single fields and of the whole change places")
    if new.get("x-kubernetes-embedded-resource") and not old.get("x-kubernetes-embedded-resource"):
        yield Change("breaking", "embedded-resource", where, "apiVersion and kind are required now")


def _junctions(old: Schema, new: Schema, where: str) -> Iterator[Change]:
    for name in ("allOf", "anyOf", "oneOf", "not"):
        if new.get(name) and new.get(name) != old.get(name):
            message = f"{name} differs, and whether it demands more cannot be told; compare it by hand"
            yield Change("breaking", "condition-changed", where, message)
    known = {rule["rule"] for rule in old.get("x-kubernetes-validations", ())}
    for rule in new.get("x-kubernetes-validations", ()):
        if rule["rule"] not in known:
            yield Change("breaking", "rule-added", where, f"values have to satisfy {rule['rule']!r} now")


def _fields(old: Schema, new: Schema, path: str) -> Iterator[Change]:
    before, after = old.get("properties", {}), new.get("properties", {})
    keeps = bool(new.get("x-kubernetes-preserve-unknown-fields"))
    kept = bool(old.get("x-kubernetes-preserve-unknown-fields"))
    open_map = "additionalProperties" in new
    if kept and not keeps and not open_map:
        message = "unknown fields were kept, and are dropped now"
        yield Change("breaking", "unknown-fields-dropped", path or ".", message)
    if "additionalProperties" in old and not open_map and not keeps:
        yield Change("breaking", "keys-dropped", path or ".", "any key was kept; only the declared fields are now")
    required = set(old.get("required", ()))
    for name, child in before.items():
        where = f"{path}.{name}"
        successor = after.get(name, new.get("additionalProperties"))
        if successor is not None:
            yield from _schemas(child, successor, where)
        elif keeps:
            yield Change("warning", "field-undeclared", where, "it is kept, but nothing checks it any more")
        else:
            yield Change("breaking", "field-removed", where, "its values are dropped")
    for name in new.get("required", ()):
        if name in required or "default" in after.get(name, {}):
            continue
        rule = "field-required" if name in before else "required-field-added"
        yield Change("breaking", rule, f"{path}.{name}", "objects without it were accepted; give it a default")


# -- definitions -----------------------------------------------------------------------------------------------------


def compare_definitions(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Findings in the step from one CustomResourceDefinition to the next."""
    return list(_definitions(old["spec"], new["spec"]))


def _definitions(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name, (before, after) in {
        "group": (old["group"], new["group"]),
        "scope": (old["scope"], new["scope"]),
        "kind": (old["names"]["kind"], new["names"]["kind"]),
        "plural": (old["names"]["plural"], new["names"]["plural"]),
    }.items():
        if before != after:
            yield Change("breaking", f"{name}-changed", f"spec.{name}", f"{before} was served, {after} is now")
    for name in ("shortNames", "categories"):
        gone = [one for one in old["names"].get(name) or () if one not in (new["names"].get(name) or ())]
        if gone:
            yield Change("warning", "name-removed", f"spec.names.{name}", f"{_shown(gone)} is no name any more")
    before, after = ({version["name"]: version for version in spec["versions"]} for spec in (old, new))
    for name, version in before.items():
        if name in after:
            yield from _versions(version, after[name], name)
        elif version.get("served"):
            yield Change("breaking", "version-removed", name, "clients of it fail; serve it, with deprecated=True")
        else:
            yield Change("warning", "version-removed", name, "objects stored in it must have been written anew before")
    stored = [next((name for name, one in versions.items() if one.get("storage")), "") for versions in (before, after)]
    if stored[0] != stored[1]:
        message = f"objects stay stored in {stored[0]} until they are written"
        yield Change("warning", "storage-version-changed", stored[1], message)


def _versions(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> Iterator[Change]:
    if old.get("served") and not new.get("served"):
        yield Change("breaking", "version-not-served", name, "clients of it fail")
    before, after = old.get("subresources") or {}, new.get("subresources") or {}
    if "status" in after and "status" not in before:
        yield Change("warning", "subresource-added", f"{name}.status", "status is written through its own path now")
    for one in before:
        if one not in after:
            yield Change("breaking", "subresource-removed", f"{name}.{one}", "requests to it fail")
        elif before[one] != after[one]:
            yield Change("warning", "subresource-changed", f"{name}.{one}", f"{before[one]} is {after[one]} now")
    selectable = {one["jsonPath"] for one in new.get("selectableFields") or ()}
    for one in old.get("selectableFields") or ():
        if one["jsonPath"] not in selectable:
            yield Change("breaking", "selectable-removed", f"{name}{one['jsonPath']}", "selectors by it are refused")
    columns = {one["name"] for one in new.get("additionalPrinterColumns") or ()}
    for one in old.get("additionalPrinterColumns") or ():
        if one["name"] not in columns:
            yield Change("warning", "column-removed", name, f"kubectl get does not show {one['name']} any more")
    yield from _schemas(_schema_of(old), _schema_of(new), name)


def _schema_of(version: Mapping[str, Any]) -> Schema:
    schema: Schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return schema


_LOSSES: Final = frozenset({"field-removed", "type-changed", "unknown-fields-dropped", "keys-dropped"})


def compare_versions(definition: Mapping[str, Any]) -> list[Change]:
    """Findings between the versions that one definition serves without converting.

    With ``strategy: None`` the server only rewrites apiVersion: what one version knows and another does not is
    lost to who reads or writes through the other.
    """
    spec = definition["spec"]
    if (spec.get("conversion") or {}).get("strategy", "None") != "None":
        return []
    stored = next(version for version in spec["versions"] if version.get("storage"))
    found: list[Change] = []
    for version in spec["versions"]:
        if version is stored or not version.get("served"):
            continue
        for one, other in ((stored, version), (version, stored)):
            for change in _schemas(_schema_of(one), _schema_of(other), ""):
                if change.rule in _LOSSES:
                    path = f"{one['name']}{change.path}"
                    message = f"{other['name']} does not hold it as it is, and nothing converts: {change.message}"
                    found.append(Change("breaking", "version-loses", path, message))
    return found
