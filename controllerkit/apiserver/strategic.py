"""Strategic merge patch of built-in kinds.

Lists with a patchMergeKey are merged by it, lists of scalars with patchStrategy ``merge`` are united; the
directives ``$patch`` (replace, delete, merge), ``$deleteFromPrimitiveList``, ``$setElementOrder`` and
``$retainKeys`` are followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controllerkit.apiserver.shapes import ANY, Shape
from controllerkit.errors import BadRequest

__all__ = ["strategic_merge"]

Value = dict[str, Any]

_PATCH: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_DELETE_PRIMITIVES: Final = "$deleteFromPrimitiveList/"
_ORDER: Final = "$setElementOrder/"


def strategic_merge(shape: Shape, value: Value, patch: Mapping[str, Any]) -> Value:
    """``value`` after ``patch``; neither is changed.

    Raises:
        BadRequest: an unknown directive, or a list item without its merge key.
    """
    merged = _merge_object(shape, value, patch)
    return merged if merged is not None else {}


def _merge_object(shape: Shape, value: Any, patch: Mapping[str, Any]) -> Value | None:
    """None where the patch deletes the object."""
    directive = patch.get(_PATCH)
    if directive == "delete":
        return None
    body = {name: child for name, child in patch.items() if not name.startswith("$")}
    if directive == "replace":
        replaced: Value = _without_directives(body)
        return replaced
    if directive not in (None, "merge"):
        raise BadRequest(f"unknown patch type: {directive}")
    merged: Value = dict(value) if isinstance(value, dict) else {}
    if (retained := patch.get(_RETAIN)) is not None:
        merged = {name: child for name, child in merged.items() if name in retained}
    for name, gone in _directives(patch, _DELETE_PRIMITIVES):
        if isinstance(merged.get(name), list):
            merged[name] = [one for one in merged[name] if one not in gone]
    for name, child in body.items():
        if child is None:
            merged.pop(name, None)
            continue
        found = _merge_value(shape.field(name) or ANY, merged.get(name), child)
        if found is None:
            merged.pop(name, None)
        else:
            merged[name] = found
    for name, order in _directives(patch, _ORDER):
        if isinstance(merged.get(name), list):
            merged[name] = _ordered(shape.field(name) or ANY, merged[name], order)
    return merged


def _directives(patch: Mapping[str, Any], prefix: str) -> list[tuple[str, list[Any]]]:
    return [(name.removeprefix(prefix), child) for name, child in patch.items() if name.startswith(prefix)]


def _merge_value(shape: Shape, value: Any, patch: Any) -> Any:
    if isinstance(patch, dict):
        if shape.strategy and "replace" in shape.strategy and "retainKeys" not in shape.strategy:
            return _without_directives(patch)
        return _merge_object(shape, value, patch)
    if isinstance(patch, list):
        return _merge_list(shape, value if isinstance(value, list) else [], patch)
    return patch


def _merge_list(shape: Shape, value: list[Any], patch: list[Any]) -> list[Any]:
    if "merge" not in shape.strategy:
        return [_without_directives(item) for item in patch]
    if not shape.merge_key:
        return [*value, *(item for item in patch if item not in value)]
    if any(isinstance(item, dict) and item.get(_PATCH) == "replace" and len(item) == 1 for item in patch):
        return [_without_directives(item) for item in patch if item != {_PATCH: "replace"}]
    merged = list(value)
    key = shape.merge_key
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise BadRequest(f"map: {item} does not contain declared merge key: {key}")
        position = next((i for i, one in enumerate(merged) if one.get(key) == item[key]), None)
        if position is None:
            if item.get(_PATCH) != "delete":
                merged.append(_without_directives(item))
            continue
        found = _merge_object(shape.items, merged[position], item)
        if found is None:
            del merged[position]
        else:
            merged[position] = found
    return merged


def _ordered(shape: Shape, items: list[Any], order: list[Any]) -> list[Any]:
    """Items the patch orders in its order; the others keep their place relative to what stood before them."""
    key = shape.merge_key

    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    ranks = {identity(item): rank for rank, item in enumerate(order)}
    ordered = sorted((item for item in items if identity(item) in ranks), key=lambda item: ranks[identity(item)])
    result: list[Any] = []
    queue = iter(ordered)
    pending = next(queue, None)
    for item in items:
        if identity(item) in ranks:
            if pending is not None:
                result.append(pending)
                pending = next(queue, None)
        else:
            result.append(item)
    return result


def _without_directives(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_directives(child)
            for name, child in value.items()
            if not name.startswith("$") and child is not None
        }
    if isinstance(value, list):
        return [_without_directives(child) for child in value]
    return value
