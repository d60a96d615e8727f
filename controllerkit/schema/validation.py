"""Values judged by a structural schema, as the server judges them, before they are sent.

Judged is what is stored: after `as_stored`. What the server writes of a value that is refused, path by path and
reason by reason, is said here too; ``tests/conformance/test_drawn.py`` holds the one to the other.

Source: kube-openapi ``pkg/validation/validate``; apiextensions ``pkg/apiserver/validation``, ``.../schema/listtype``,
``.../schema/objectmeta``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from controllerkit.schema.formats import FORMATS
from controllerkit.schema.rules import Violation

__all__ = ["BLOCKING", "JUNCTIONS", "violations"]

Schema = Mapping[str, Any]

BLOCKING: Final = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
)
"""Reasons after which the server asks no rule in CEL (apiextensions ``hasBlockingErr``)."""

WHOLE_MAX: Final = 2**53 - 1
"""What a float may be at most to count as a whole number (go-openapi ``swag``)."""

_BITS: Final = {"int32": 31, "int64": 63}
JUNCTIONS: Final = ("anyOf", "oneOf", "allOf", "not")
"""Keywords whose branches say what is wrong, and whether rules are asked: here they are one violation."""

_KIND: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def violations(schema: Schema, value: Any) -> list[Violation]:
    """What of ``value``, which is JSON as it is stored, the schema refuses; rules in CEL are not asked.

    Junctions (anyOf and so on) are one violation each, whatever is wrong within their branches.
    """
    return [*_values(schema, value, ""), *_embedded(schema, value, ""), *_duplicates(schema, value, "")]


def _said(path: str, keyword: str, message: str, reason: str = "FieldValueInvalid") -> Violation:
    return Violation(path, keyword, message, reason)


# -- values ----------------------------------------------------------------------------------------------------------


def _values(schema: Schema, value: Any, path: str) -> Iterator[Violation]:
    types = (
        ("integer", "string") if schema.get("x-kubernetes-int-or-string") else tuple(filter(None, [schema.get("type")]))
    )
    if not _has_type(schema, types, value):
        yield _said(path, "type", f"is to be {' or '.join(types)}, got {_type(value)}", "FieldValueTypeInvalid")
    if value is not None:
        yield from _junctions(schema, value, path)
    match value:
        case str():
            yield from _text(schema, value, path)
        case bool() | None:
            pass
        case int() | float():
            yield from _number(schema, value, path)
        case list():
            yield from _list(schema, value, path)
        case Mapping():
            yield from _object(schema, value, path)
    if (allowed := schema.get("enum")) is not None and not any(_is(value, each) for each in allowed):
        yield _said(path, "enum", f"is to be one of {', '.join(map(str, allowed))}", "FieldValueNotSupported")


def _type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() if -(2**63) <= value < 2**63:
            return "integer"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _has_type(schema: Schema, types: tuple[str, ...], value: Any) -> bool:
    if not types or (value is None and schema.get("nullable")):
        return True
    kind = _type(value)
    if kind == "array" and types == ("string",) and schema.get("format", "").replace("-", "") in FORMATS:
        return True  # the server looks at the format, and that of texts alone
    if kind == "number" and "integer" in types:
        return abs(value) <= WHOLE_MAX and float(value).is_integer()
    return kind in types or (kind == "integer" and "number" in types)


def _is(value: Any, allowed: Any) -> bool:
    """Whether a value is one of an enum: the server turns numbers into the type of the enum's value first."""
    if isinstance(value, bool) or isinstance(allowed, bool) or isinstance(value, str):
        return type(value) is type(allowed) and bool(value == allowed)
    if isinstance(value, int | float) and isinstance(allowed, int):
        return int(value) == allowed
    return bool(value == allowed) and value is not None


def _text(schema: Schema, value: str, path: str) -> Iterator[Violation]:
    most, least, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if most is not None and len(value) > most:
        yield _said(path, "maxLength", f"may be {most} characters long, got {len(value)}", "FieldValueTooLong")
    elif least is not None and len(value) < least:
        yield _said(path, "minLength", f"is to be {least} characters long, got {len(value)}")
    elif pattern and not _matches(pattern, value):
        yield _said(path, "pattern", f"is to match {pattern!r}")
    name = schema.get("format", "")
    check = FORMATS.get(name.replace("-", "")) if schema.get("type") in (None, "string") else None
    if check is not None and not check(value):
        yield _said(path, "format", f"is to be a {name}", "FieldValueTypeInvalid")


_SIGN: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[a-zA-Z]+\)|.", re.DOTALL)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """RE2's meaning: ``$`` is the end of the text, classes such as ``\\w`` are of ASCII, and a flag such as ``(?i)``
    holds from where it stands to the end of its group.
    """
    pieces: list[str] = []
    opened = [0]
    for sign in _SIGN.findall(pattern):
        if sign in ("$", r"\z"):
            pieces.append(r"\Z")
        elif sign.startswith("(?") and sign.endswith(")"):
            pieces.append(f"{sign[:-1]}:")
            opened[-1] += 1
        elif sign == ")":
            pieces.append(")" * (opened.pop() + 1 if len(opened) > 1 else 1))
        else:
            pieces.append(sign)
            opened += [0] if sign == "(" else []
    return re.compile("".join(pieces) + ")" * opened[0], re.ASCII)


def _matches(pattern: str, value: str) -> bool:
    try:
        return _compiled(pattern).search(value) is not None
    except re.error:
        return True  # which RE2 may understand: the server decides


def _number(schema: Schema, value: float, path: str) -> Iterator[Violation]:
    whole = _type(value) == "integer"
    if schema.get("type") == "integer":
        bits = _BITS.get(schema.get("format", ""), 63)
        if value % 1 or not -(2**bits) <= value < 2**bits:
            yield _said(path, "format", f"is to be a whole number of {bits + 1} bits")
    if (factor := schema.get("multipleOf")) is not None and (value / factor) % 1:
        yield _said(path, "multipleOf", f"is to be a multiple of {factor}")
    for keyword, strict, sign in (("maximum", "exclusiveMaximum", 1), ("minimum", "exclusiveMinimum", -1)):
        if (bound := schema.get(keyword)) is None:
            continue
        over = sign * (value - (int(bound) if whole else bound))  # the server cuts the bound for whole numbers
        if over > 0 or (over == 0 and schema.get(strict)):
            yield _said(path, keyword, f"is to be {'at most' if sign > 0 else 'at least'} {bound}, got {value}")


def _list(schema: Schema, value: list[Any], path: str) -> Iterator[Violation]:
    if "items" in schema:
        for index, child in enumerate(value):
            yield from _values(schema["items"], child, f"{path}[{index}]")
    if (least := schema.get("minItems")) is not None and len(value) < least:
        yield _said(path, "minItems", f"is to have {least} items, got {len(value)}")
    if (most := schema.get("maxItems")) is not None and len(value) > most:
        yield _said(path, "maxItems", f"may have {most} items, got {len(value)}", "FieldValueTooMany")


def _object(schema: Schema, value: Mapping[str, Any], path: str) -> Iterator[Violation]:
    if (least := schema.get("minProperties")) is not None and len(value) < least:
        yield _said(path, "minProperties", f"is to have {least} keys, got {len(value)}")
    if (most := schema.get("maxProperties")) is not None and len(value) > most:
        yield _said(path, "maxProperties", f"may have {most} keys, got {len(value)}", "FieldValueTooMany")
    properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
    for name, child in value.items():
        if (inner := properties.get(name, extra)) is not None:
            yield from _values(inner, child, _child(path, name))
    for name in schema.get("required", ()):
        if name not in value:
            yield _said(_child(path, name), "required", "is required", "FieldValueRequired")


def _child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _junctions(schema: Schema, value: Any, path: str) -> Iterator[Violation]:
    for keyword in JUNCTIONS:
        branches: Sequence[Schema] = (
            [schema["not"]] if keyword == "not" and "not" in schema else schema.get(keyword, ())
        )
        if not branches:
            continue
        held = sum(next(_values(branch, value, path), None) is None for branch in branches)
        right = {"anyOf": held > 0, "oneOf": held == 1, "allOf": held == len(branches), "not": held == 0}[keyword]
        if not right:
            yield _said(path, keyword, f"{held} of {len(branches)} shapes hold, which {keyword} does not allow")


# -- what is beside the types ----------------------------------------------------------------------------------------


def _embedded(schema: Schema, value: Any, path: str) -> Iterator[Violation]:
    """Objects within: with a kind and an apiVersion that can be."""
    if isinstance(value, list):
        for index, child in enumerate(value):
            yield from _embedded(schema.get("items", {}), child, f"{path}[{index}]")
    if not isinstance(value, Mapping):
        return
    if schema.get("x-kubernetes-embedded-resource"):
        for name in ("apiVersion", "kind"):
            text = value.get(name)
            if name not in value:
                yield _said(_child(path, name), "required", "is required", "FieldValueRequired")
            elif not isinstance(text, str) or not text:
                yield _said(_child(path, name), name, "is to be a text that is not empty")
            elif text.count("/") > 1 if name == "apiVersion" else not _KIND.fullmatch(text.lower()):
                yield _said(_child(path, name), name, f"{text!r} is no {name}")
    properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
    for name, child in value.items():
        if name in properties:
            yield from _embedded(properties[name], child, _child(path, name))
        elif extra is not None:
            yield from _embedded(extra, child, f"{path}[{name}]")


def _duplicates(schema: Schema, value: Any, path: str) -> Iterator[Violation]:
    """Sets with equal items, and maps with equal keys: the second of each is named."""
    if isinstance(value, Mapping):
        properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
        for name, child in value.items():
            if name in properties:
                yield from _duplicates(properties[name], child, _child(path, name))
            elif extra is not None:
                yield from _duplicates(extra, child, f"{path}[{name}]")
    if not isinstance(value, list):
        return
    kind = schema.get("x-kubernetes-list-type")
    if kind == "map" and (odd := [index for index, each in enumerate(value) if not isinstance(each, Mapping | None)]):
        yield _said(f"{path}[{odd[0]}]", kind, "is to be an object")
    elif kind in ("set", "map"):
        keys = schema.get("x-kubernetes-list-map-keys", ())
        seen: dict[str, int] = {}
        for index, item in enumerate(value):
            identity = item if kind == "set" else {key: item[key] for key in keys if item and key in item}
            written = json.dumps(identity, sort_keys=True)
            seen[written] = seen.get(written, 0) + 1
            if seen[written] == 2:
                yield _said(f"{path}[{index}]", kind, f"{written} is there twice", "FieldValueDuplicate")
    for index, child in enumerate(value):
        yield from _duplicates(schema.get("items", {}), child, f"{path}[{index}]")
