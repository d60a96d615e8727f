"""Decoding of built-in kinds: what Go's typed structs do to JSON, done to a decoded value.

Unknown fields are dropped and reported, null and empty lists and maps of optional fields disappear, and a value
of the wrong type is an error in the words of Go's decoder.
"""

from __future__ import annotations

import re
from typing import Any, Final

from controllerkit.apiserver.quantities import canonical_quantity
from controllerkit.apiserver.shapes import Shape, object_meta_shape

__all__ = ["TypeMismatch", "conform", "conform_metadata"]

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_INDEX: Final = re.compile(r"\[\d+\]")
_GO_TYPES: Final = {"string": "string", "boolean": "bool", "integer": "int32", "number": "float64"}


class TypeMismatch(Exception):
    """A value Go could not have decoded; the text is the decoder's sentence."""


def _json_word(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def _go_type(shape: Shape) -> str:
    if shape.type == "array":
        return f"[]{_go_type(shape.items)}"
    if shape.values is not None:
        return f"map[string]{_go_type(shape.values)}"
    if shape.type == "integer":
        return "int64" if shape.format == "int64" else "int32"
    return _GO_TYPES.get(shape.type, "struct")


def _mismatch(value: Any, shape: Shape, where: str) -> TypeMismatch:
    return TypeMismatch(
        f"json: cannot unmarshal {_json_word(value)} into Go struct field {where} of type {_go_type(shape)}"
    )


_EMPTY_CONTAINERS: Final[tuple[Any, ...]] = ([], {})


class _Pass:
    """One walk: collects unknown fields, knows the kind for error sentences."""

    __slots__ = ("kind", "unknown")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.unknown: list[str] = []

    def value(self, shape: Shape, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return self._object(shape, value, path)
        if isinstance(value, list):
            return self._list(shape, value, path)
        if shape.format == "quantity":
            return self._quantity(shape, value, path)
        self._check_scalar(shape, value, path)
        return value

    def _quantity(self, shape: Shape, value: Any, path: str) -> str:
        """Written in one form only, so that equal amounts are equal texts to whoever compares them."""
        if isinstance(value, bool):
            raise _mismatch(value, shape, f"{self.kind}.{path}")
        text = canonical_quantity(value)
        if text is None:
            raise TypeMismatch(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            )
        return text

    def _object(self, shape: Shape, value: dict[str, Any], path: str) -> dict[str, Any]:
        if shape.values is not None:
            values = shape.values
            for key, child in value.items():
                # Go names the map's field, not the key, and shows what a value should have been.
                value[key] = self.value(values, child, path) if child is not None else _zero(values)
            return value
        if shape.properties is None:
            if shape.type in ("", "object") and shape.format == "":
                return value
            raise _mismatch(value, shape, f"{self.kind}.{path}")
        dropped = []
        required: tuple[str, ...] = tuple(shape.schema.get("required") or ())
        for name, child in value.items():
            known = shape.field(name)
            where = f"{path}.{name}" if path else name
            if known is None:
                self.unknown.append(where)
                dropped.append(name)
            elif child is None:
                dropped.append(name)
            else:
                found = self.value(known, child, where)
                if found in _EMPTY_CONTAINERS and name not in required and _is_container(known):
                    dropped.append(name)
                else:
                    value[name] = found
        for name in dropped:
            del value[name]
        return value

    def _list(self, shape: Shape, value: list[Any], path: str) -> list[Any]:
        if shape.type != "array":
            if shape.type in ("", "object") and shape.properties is None and shape.values is None and not shape.format:
                return value
            raise _mismatch(value, shape, f"{self.kind}.{path}")
        items = shape.items
        return [
            self.value(items, child, f"{path}[{index}]") if child is not None else _zero(items)
            for index, child in enumerate(value)
        ]

    def _check_scalar(self, shape: Shape, value: Any, path: str) -> None:
        if shape.format == "int-or-string":
            if isinstance(value, bool):
                raise _mismatch(value, shape, f"{self.kind}.{path}")
            return
        match shape.type:
            case "string":
                good = isinstance(value, str)
            case "boolean":
                good = isinstance(value, bool)
            case "integer":
                good = isinstance(value, int) and not isinstance(value, bool)
            case "number":
                good = isinstance(value, int | float) and not isinstance(value, bool)
            case "array" | "object":
                good = shape.preserve or (shape.type == "object" and shape.properties is None and shape.values is None)
            case _:
                good = True
        if not good:
            raise _mismatch(value, shape, f"{self.kind}.{_INDEX.sub('', path)}")
        if shape.format == "date-time" and not _TIME.fullmatch(value):
            raise TypeMismatch(
                f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}" as "2006"'
            )


def _zero(shape: Shape) -> Any:
    if shape.format in ("int-or-string", "quantity"):
        return "0"
    return {"string": "", "boolean": False, "integer": 0, "number": 0, "array": [], "object": {}}.get(shape.type)


def _is_container(shape: Shape) -> bool:
    return shape.type == "array" or shape.values is not None


def conform(shape: Shape, value: dict[str, Any], kind: str) -> list[str]:
    """Makes ``value`` what a typed decoder would have kept of it, and returns the unknown fields.

    Raises:
        TypeMismatch: a value has another type than its field.
    """
    walk = _Pass(kind)
    walk.value(shape, value, "")
    # Nested findings come first, as the strict decoder lists them while it unwinds.
    return sorted(walk.unknown, key=lambda path: "." not in path)


def conform_metadata(value: dict[str, Any], kind: str) -> list[str]:
    """The same for ``metadata`` alone: custom resources have typed metadata too."""
    metadata = value.get("metadata")
    if metadata is None:
        value["metadata"] = {}
        return []
    walk = _Pass(kind)
    if not isinstance(metadata, dict):
        raise TypeMismatch(f"json: cannot unmarshal {_json_word(metadata)} into Go struct field {kind}.metadata")
    value["metadata"] = walk.value(object_meta_shape(), metadata, "metadata")
    return walk.unknown
