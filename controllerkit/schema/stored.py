"""What a server makes of a value before it judges and stores it: unknown fields go, nulls go, defaults come.

Source: apiextensions ``pkg/apiserver/schema/pruning``, ``.../defaulting``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["as_stored", "with_defaults"]

Schema = Mapping[str, Any]

_OWN: Final = frozenset({"apiVersion", "kind", "metadata"})
"""What every object has; in the root and in embedded objects it is never dropped."""


def as_stored(schema: Schema, value: Any) -> Any:
    """A copy of ``value``, which is JSON, as the server stores it where it takes it.

    The metadata is left as it is, its own and that of embedded objects.

    >>> number = {"type": "integer", "default": 3}
    >>> schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": number}}}}
    >>> as_stored(schema, {"kind": "A", "spec": {"unknown": 1, "size": None}})
    {'kind': 'A', 'spec': {'size': 3}}
    """
    return with_defaults(schema, _pruned(schema, value, own=True))


def _pruned(schema: Schema | None, value: Any, *, own: bool = False) -> Any:
    """Without unknown fields, and without nulls of fields that may not be null and have no default."""
    if isinstance(value, list):
        items = None if schema is None else schema.get("items")
        return [_pruned(items, child) for child in value]
    if isinstance(value, Mapping):
        if schema is None:  # inside of what is kept as it is
            return {name: _pruned(None, child) for name, child in value.items()}
        return dict(_fields(schema, value, own=own))
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)  # of whole numbers the server knows those of 64 bits
    return value


def _fields(schema: Schema, value: Mapping[str, Any], *, own: bool) -> Iterator[tuple[str, Any]]:
    properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
    own = own or bool(schema.get("x-kubernetes-embedded-resource"))
    for name, child in value.items():
        inner = properties.get(name, extra)
        if own and name in _OWN:
            yield name, child
        elif inner is not None:
            if child is not None or inner.get("nullable") or "default" in inner:
                yield name, _pruned(inner, child)
        elif schema.get("x-kubernetes-preserve-unknown-fields"):
            yield name, _pruned(None, child)


def with_defaults(schema: Schema, value: Any) -> Any:
    """A copy of ``value`` in which the server's defaults are filled in, also for nulls that may not be."""
    if isinstance(value, list) and "items" in schema:
        return [with_defaults(schema["items"], _given(schema["items"], child)) for child in value]
    if not isinstance(value, Mapping):
        return value
    filled = dict(value)
    properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
    for name, child in properties.items():
        if "default" in child:
            filled[name] = _given(child, filled.get(name)) if name in filled else copy.deepcopy(child["default"])
    for name, child in filled.items():
        if name in properties:
            filled[name] = with_defaults(properties[name], child)
        elif extra is not None:
            filled[name] = with_defaults(extra, _given(extra, child))
    return filled


def _given(schema: Schema, value: Any) -> Any:
    """The value, or the default of a null that may not be."""
    return copy.deepcopy(schema.get("default")) if value is None and not schema.get("nullable") else value
