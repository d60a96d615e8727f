"""Structural schemas of custom resources: pruning, defaulting, validation. Rules in CEL are in ``rules.py``."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from controllerkit.apiserver.formats import checker
from controllerkit.apiserver.shapes import Shape
from controllerkit.apiserver.status import FieldError

__all__ = ["apply_defaults", "prune", "validate"]

_ROOT_FIELDS: Final = frozenset({"apiVersion", "kind", "metadata"})
_DNS_1035_LABEL: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_1035: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
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
    """Fills in declared defaults, in place, once nulls have gone that may not be and have none."""
    _conform_scalars(schema, value)
    _fill(schema, value)


_ANYTHING: Final[Mapping[str, Any]] = {}


def _conform_scalars(schema: Mapping[str, Any] | None, value: Any) -> None:
    """Drops nulls of fields that are not nullable; whole numbers of more than 64 bits become floats."""
    if isinstance(value, dict):
        declared = (schema or _ANYTHING).get("properties") or {}
        extra = (schema or _ANYTHING).get("additionalProperties")
        for name in list(value):
            known = declared.get(name, extra if isinstance(extra, Mapping) else None)
            if value[name] is None and known is not None and not known.get("nullable") and "default" not in known:
                del value[name]
            else:
                value[name] = _as_float(value[name])
                _conform_scalars(known, value[name])
    elif isinstance(value, list):
        for index, child in enumerate(value):
            value[index] = _as_float(child)
            _conform_scalars((schema or _ANYTHING).get("items"), child)


def _as_float(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63 else value


def _fill(schema: Mapping[str, Any], value: Any) -> None:
    if isinstance(value, list):
        items = schema.get("items")
        if items:
            for index, child in enumerate(value):
                value[index] = _filled(items, child)
                _fill(items, value[index])
        return
    if not isinstance(value, dict):
        return
    declared = schema.get("properties") or {}
    for name, child in declared.items():
        if "default" in child and name not in value:
            value[name] = copy.deepcopy(child["default"])
        if name in value:
            value[name] = _filled(child, value[name])
            _fill(child, value[name])
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        for name, child in value.items():
            if name not in declared:
                value[name] = _filled(extra, child)
                _fill(extra, value[name])


def _filled(schema: Mapping[str, Any], value: Any) -> Any:
    """A null that may not be gives way to the default."""
    return copy.deepcopy(schema.get("default")) if value is None and not schema.get("nullable") else value


_WHOLE_FLOAT_MAX: Final = (1 << 53) - 1


def _type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() and abs(value) <= _WHOLE_FLOAT_MAX else "number"
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


def _equals(value: Any, allowed: Any) -> bool:
    """Numbers are compared in the type of the enum's value."""
    numbers = [isinstance(one, int | float) and not isinstance(one, bool) for one in (value, allowed)]
    if all(numbers):
        return bool(type(allowed)(value) == allowed)
    return type(value) is type(allowed) and bool(value == allowed)


def validate(schema: Mapping[str, Any], value: Any, path: str = "", *, root: bool = True) -> Iterator[FieldError]:
    """Every finding, depth first by field name."""
    if value is None and (schema.get("nullable") or not schema.get("type")):
        if allowed := schema.get("enum"):
            yield FieldError.unsupported(path, value, allowed)  # to which a null never belongs
        return
    types = _types(schema)
    # Where there is a format, that is asked instead of the type, and it is asked of texts alone.
    unasked = isinstance(value, list) and types == ("string",) and checker(schema.get("format", "")) is not None
    if not unasked and not _matches_type(value, types):
        found = _type_name(value)
        yield FieldError.wrong_type(path, found, f'{path} in body must be of type {",".join(types)}: "{found}"')
    if isinstance(value, dict):
        yield from _validate_object(schema, value, path, root=root)
    elif isinstance(value, list):
        yield from _validate_list(schema, value, path)
    elif isinstance(value, str):
        yield from _validate_string(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _validate_number(schema, value, path)
    if (allowed := schema.get("enum")) is not None and not any(_equals(value, one) for one in allowed):
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
        yield from _validate_embedded(value, path)


def _validate_embedded(value: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    for name in ("apiVersion", "kind"):
        where, text = f"{path}.{name}", value.get(name)
        if name not in value:
            yield FieldError.required(where)
        elif not isinstance(text, str):
            yield FieldError.invalid(where, text, "must be a string")
        elif not text:
            yield FieldError.invalid(where, text, "must not be empty")
        elif name == "apiVersion" and text.count("/") > 1:
            yield FieldError.invalid(where, text, f"unexpected GroupVersion string: {text}")
        elif name == "kind" and not _DNS_1035_LABEL.fullmatch(text.lower()):
            yield FieldError.invalid(where, text, f"may have mixed case, but should otherwise match: {_DNS_1035}")


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
    if kind == "map":
        for index, item in enumerate(value):
            if item is not None and not isinstance(item, dict):
                why = "must be an object for an array of list-type map"
                yield FieldError.invalid(f"{path}[{index}]", item, why)
                return
    seen: dict[bytes, int] = {}
    for index, item in enumerate(value):
        identity = {key: item[key] for key in keys if item and key in item} if kind == "map" else item
        encoded = msgspec.json.encode(identity, order="deterministic")
        seen[encoded] = seen.get(encoded, 0) + 1
        if seen[encoded] == 2:
            yield FieldError.duplicate(f"{path}[{index}]", identity)


_GO: Final = re.compile(
    r"(?P<kept>\\[^z]|\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<end>\$|\\z)|\(\?(?P<flags>[a-zA-Z]+)\)|(?P<paren>[()])"
)


def _to_python(pattern: str) -> str:
    """Go's ``$`` is the end of the text alone, as Python's ``\\Z``; its flags hold for the rest of their group."""
    scopes = [""]

    def written(found: re.Match[str]) -> str:
        if found["end"]:
            return r"\Z"
        if found["flags"]:
            scopes[-1] += ")"
            return f"(?{found['flags']}:"
        if found["paren"] == "(":
            scopes.append("")
        elif found["paren"] == ")" and len(scopes) > 1:
            return scopes.pop() + ")"
        return found[0]

    return _GO.sub(written, pattern) + scopes[0]


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(_to_python(pattern), re.ASCII)
    except re.error:
        return None  # what cannot be translated is not enforced


def _validate_string(schema: Mapping[str, Any], value: str, path: str) -> Iterator[FieldError]:
    length_min, length_max, pattern = schema.get("minLength"), schema.get("maxLength"), schema.get("pattern")
    compiled = _compiled(pattern) if pattern else None
    if length_max is not None and len(value) > length_max:
        yield FieldError.too_long(path, value, length_max)
    elif length_min is not None and len(value) < length_min:
        yield FieldError.invalid(path, value, f"{path} in body should be at least {length_min} chars long")
    elif compiled is not None and not compiled.search(value):
        yield FieldError.invalid(path, value, f"{path} in body should match '{pattern}'")
    name = schema.get("format", "")
    check = checker(name) if schema.get("type", "string") == "string" else None
    if check is not None and not check(value):
        yield FieldError.wrong_type(path, value, f"{path} in body must be of type {name}: {_quoted(value)}")


def _quoted(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _validate_number(schema: Mapping[str, Any], value: float, path: str) -> Iterator[FieldError]:
    if schema.get("type") == "integer":
        name = schema.get("format", "")
        bits = 31 if name == "int32" else 63
        if value % 1 or not -(1 << bits) <= value < (1 << bits):
            said = f"with format {name}" if name in ("int32", "int64") else "(default format)"
            yield FieldError.invalid("<nil>", "", f"Checked value must be of type integer {said} in {path}")
    whole = isinstance(value, int)
    if (bound := schema.get("maximum")) is not None:
        bound = int(bound) if whole else bound
        strict = bool(schema.get("exclusiveMaximum"))
        if value > bound or (strict and value == bound):
            yield FieldError.invalid(
                path, value, f"{path} in body should be less than {'' if strict else 'or equal to '}{bound}"
            )
    if (bound := schema.get("minimum")) is not None:
        bound = int(bound) if whole else bound
        strict = bool(schema.get("exclusiveMinimum"))
        if value < bound or (strict and value == bound):
            yield FieldError.invalid(
                path, value, f"{path} in body should be greater than {'' if strict else 'or equal to '}{bound}"
            )
    if (factor := schema.get("multipleOf")) and (value / factor) % 1:
        yield FieldError.invalid(path, value, f"{path} in body should be a multiple of {factor}")


def _validate_combinations(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[FieldError]:
    where = "<nil>"  # the server names the path in the message alone
    branches = schema.get("allOf") or ()
    if broken := [branch for branch in branches if not _holds(branch, value)]:
        none = ". None validated" if len(broken) == len(branches) else ""
        yield FieldError.invalid(where, "", f'"{path}" must validate all the schemas (allOf){none}')
        for branch in broken:
            yield from validate(branch, value, path, root=False)
    branches = schema.get("anyOf")
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
