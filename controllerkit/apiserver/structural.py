"""Structural schemas of custom resources: pruning, defaulting, validation.

Rules expressed in CEL (``x-kubernetes-validations``) are not evaluated yet: ``validate`` is where they belong,
after the findings of structure, which the rules may rely on. A CustomResourceDefinition that carries them is
accepted and its rules are kept.
"""

from __future__ import annotations

import base64
import binascii
import copy
import ipaddress
import re
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final

import msgspec

from controllerkit.apiserver.shapes import Shape
from controllerkit.apiserver.status import FieldError

__all__ = ["apply_defaults", "prune", "validate"]

_ROOT_FIELDS: Final = frozenset({"apiVersion", "kind", "metadata"})
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_DURATION: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*")
_HOSTNAME: Final = re.compile(
    r"([a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
)


def prune(shape: Shape, value: Any, path: str = "", *, root: bool = True) -> list[str]:
    """Removes fields the schema does not know (in place) and returns their paths."""
    if isinstance(value, list):
        return [
            found
            for index, child in enumerate(value)
            for found in prune(shape.items, child, f"{path}[{index}]", root=False)
        ]
    if not isinstance(value, dict):
        return []
    unknown: list[str] = []
    for name in list(value):
        if (root or shape.embedded) and name in _ROOT_FIELDS:
            continue
        where = f"{path}.{name}" if path else name
        known = _field(shape, name)
        if known is None:
            unknown.append(where)
            del value[name]
        else:
            unknown += prune(known, value[name], where, root=False)
    return unknown


def _field(shape: Shape, name: str) -> Shape | None:
    if (properties := shape.properties) is not None and (found := properties.get(name)) is not None:
        return found
    if (values := shape.values) is not None:
        return values
    return _KEEP if shape.preserve else None


_KEEP: Final = Shape({"x-kubernetes-preserve-unknown-fields": True, "type": ""})


def apply_defaults(schema: Mapping[str, Any], value: Any) -> None:
    """Fills in declared defaults, in place. A null of a field that is not nullable gives way to its default."""
    if isinstance(value, list):
        items = schema.get("items")
        if items:
            for child in value:
                apply_defaults(items, child)
        return
    if not isinstance(value, dict):
        return
    for name, child in (schema.get("properties") or {}).items():
        if "default" in child and (name not in value or (value[name] is None and not child.get("nullable"))):
            value[name] = copy.deepcopy(child["default"])
        if name in value:
            apply_defaults(child, value[name])
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        declared = schema.get("properties") or {}
        for name, child in value.items():
            if name not in declared:
                apply_defaults(extra, child)


def _type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    kind = schema.get("type")
    return (kind,) if kind else ()


def _matches_type(value: Any, types: tuple[str, ...]) -> bool:
    name = _type_name(value)
    return not types or name in types or (name == "integer" and "number" in types)


def validate(schema: Mapping[str, Any], value: Any, path: str = "", *, root: bool = True) -> Iterator[FieldError]:
    """Every finding, depth first by field name."""
    if value is None and (schema.get("nullable") or not schema.get("type")):
        return
    types = _types(schema)
    if not _matches_type(value, types):
        found = _type_name(value)
        yield FieldError.wrong_type(path, found, f'{path} in body must be of type {",".join(types)}: "{found}"')
    elif isinstance(value, dict):
        yield from _validate_object(schema, value, path, root=root)
    elif isinstance(value, list):
        yield from _validate_list(schema, value, path)
    elif isinstance(value, str):
        yield from _validate_string(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _validate_number(schema, value, path)
    if (allowed := schema.get("enum")) is not None and value not in allowed:
        yield FieldError.unsupported(path, value, allowed)
    yield from _validate_combinations(schema, value, path)


def _validate_object(
    schema: Mapping[str, Any], value: dict[str, Any], path: str, *, root: bool
) -> Iterator[FieldError]:
    properties = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for name in schema.get("required") or ():
        missing = name not in value or (value[name] is None and not (properties.get(name) or {}).get("nullable"))
        if missing:
            yield FieldError.required(f"{path}.{name}" if path else name)
    if (count_max := schema.get("maxProperties")) is not None and len(value) > count_max:
        yield FieldError(path, f"Too many: {len(value)}: must have at most {count_max} items", "FieldValueTooMany")
    if (count_min := schema.get("minProperties")) is not None and len(value) < count_min:
        detail = f"{path} in body should have at least {count_min} properties"
        yield FieldError.invalid(path, len(value), detail)
    for name in sorted(value):
        if root and name in _ROOT_FIELDS:
            continue
        child = properties.get(name, extra if isinstance(extra, Mapping) else None)
        if child is None or (value[name] is None and name in (schema.get("required") or ())):
            continue
        yield from validate(child, value[name], f"{path}.{name}" if path else name, root=False)
    if schema.get("x-kubernetes-embedded-resource"):
        yield from (FieldError.required(f"{path}.{name}") for name in ("apiVersion", "kind") if not value.get(name))


def _validate_list(schema: Mapping[str, Any], value: list[Any], path: str) -> Iterator[FieldError]:
    if (count_max := schema.get("maxItems")) is not None and len(value) > count_max:
        yield FieldError.too_many(path, len(value), count_max)
    if (count_min := schema.get("minItems")) is not None and len(value) < count_min:
        yield FieldError.invalid(path, len(value), f"{path} in body should have at least {count_min} items")
    items = schema.get("items")
    if items:
        for index, child in enumerate(value):
            yield from validate(items, child, f"{path}[{index}]", root=False)
    yield from _validate_unique(schema, value, path)


def _validate_unique(schema: Mapping[str, Any], value: list[Any], path: str) -> Iterator[FieldError]:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map") and not schema.get("uniqueItems"):
        return
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen: set[bytes] = set()
    for index, item in enumerate(value):
        identity = {key: item.get(key) for key in keys} if kind == "map" and isinstance(item, dict) else item
        encoded = msgspec.json.encode(identity, order="deterministic")
        if encoded in seen:
            shown = {k: v for k, v in identity.items() if v is not None} if isinstance(identity, dict) else identity
            yield FieldError.duplicate(f"{path}[{index}]", shown)
        seen.add(encoded)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    # Go's \z and Python's \Z mean the same; what cannot be translated is not enforced.
    try:
        return re.compile(pattern.replace(r"\z", r"\Z"), re.ASCII)
    except re.error:
        return None


def _validate_string(schema: Mapping[str, Any], value: str, path: str) -> Iterator[FieldError]:
    if (length_min := schema.get("minLength")) is not None and len(value) < length_min:
        yield FieldError.invalid(path, value, f"{path} in body should be at least {length_min} chars long")
        return
    if (length_max := schema.get("maxLength")) is not None and len(value) > length_max:
        yield FieldError.too_long(path, value, length_max)
        return
    if pattern := schema.get("pattern"):
        compiled = _compiled(pattern)
        if compiled is not None and not compiled.search(value):
            yield FieldError.invalid(path, value, f"{path} in body should match '{pattern}'")
            return
    name = schema.get("format", "")
    check = _FORMATS.get(name)
    if check is not None and not check(value):
        yield FieldError.wrong_type(path, value, f"{path} in body must be of type {name}: {_quoted(value)}")


def _quoted(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _validate_number(schema: Mapping[str, Any], value: float, path: str) -> Iterator[FieldError]:
    if (bound := schema.get("maximum")) is not None:
        strict = bool(schema.get("exclusiveMaximum"))
        if value > bound or (strict and value == bound):
            yield FieldError.invalid(
                path, value, f"{path} in body should be less than {'' if strict else 'or equal to '}{bound}"
            )
    if (bound := schema.get("minimum")) is not None:
        strict = bool(schema.get("exclusiveMinimum"))
        if value < bound or (strict and value == bound):
            yield FieldError.invalid(
                path, value, f"{path} in body should be greater than {'' if strict else 'or equal to '}{bound}"
            )
    if (factor := schema.get("multipleOf")) and (value / factor) % 1:
        yield FieldError.invalid(path, value, f"{path} in body should be a multiple of {factor}")
    bits = {"int32": 31, "int64": 63}.get(schema.get("format", ""))
    if bits and isinstance(value, int) and not -(1 << bits) <= value < (1 << bits):
        name = schema["format"]
        yield FieldError.invalid(path, value, f"Checked value must be of type {schema.get('type')} with format {name}")


def _validate_combinations(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[FieldError]:
    where = path or "<nil>"
    for branch in schema.get("allOf") or ():
        if any(True for _ in validate(branch, value, path, root=False)):
            yield FieldError.invalid(where, "", f'"{path}" must validate all the schemas (allOf)')
            yield from validate(branch, value, path, root=False)
    branches = schema.get("anyOf") if not schema.get("x-kubernetes-int-or-string") else None
    if branches and not any(_holds(branch, value) for branch in branches):
        yield FieldError.invalid(where, "", f'"{path}" must validate at least one schema (anyOf)')
    if branches := schema.get("oneOf"):
        count = sum(_holds(branch, value) for branch in branches)
        if count != 1:
            tail = "Found none valid" if count == 0 else f"Found {count} valid alternatives"
            yield FieldError.invalid(where, "", f'"{path}" must validate one and only one schema (oneOf). {tail}')
    if (branch := schema.get("not")) and _holds(branch, value):
        yield FieldError.invalid(where, "", f'"{path}" must not validate the schema (not)')


def _holds(schema: Mapping[str, Any], value: Any) -> bool:
    return next(validate(schema, value, root=False), None) is None


def _try(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            parse(value)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _absolute_uri(value: str) -> None:
    parts = urllib.parse.urlsplit(value)
    if not parts.scheme and not value.startswith("/"):
        raise ValueError(value)


_FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "date-time": lambda value: _DATE_TIME.fullmatch(value) is not None,
    "date": _try(date.fromisoformat),
    "duration": lambda value: _DURATION.fullmatch(value) is not None,
    "hostname": lambda value: len(value) <= 255 and _HOSTNAME.fullmatch(value) is not None,
    "ipv4": _try(ipaddress.IPv4Address),
    "ipv6": _try(ipaddress.IPv6Address),
    "cidr": lambda value: "/" in value and _try(lambda text: ipaddress.ip_network(text, strict=False))(value),
    "byte": _try(lambda value: base64.b64decode(value, validate=True)),
    "uuid": _try(uuid.UUID),
    "uri": _try(_absolute_uri),
    "email": lambda value: re.fullmatch(r"[^@\s]+@[^@\s]+", value) is not None,
}
