"""Sets of fields, as server-side apply owns them, and their encoding ``FieldsV1``.

A field is a tuple of steps: ``("f", name)`` into an object or a map, ``("k", keys)`` into an item of a map list
(keys as sorted JSON), ``("v", value)`` an item of a set. The step ``(".", "")`` at the end is the ownership of the
container itself, as distinct from what is in it. Lists without a list type are atomic: one value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from controllerkit.apiserver.shapes import ANY, Shape

__all__ = ["Path", "decode_fields", "encode_fields", "fields_of", "read_path", "remove_path"]

Step = tuple[str, str]
Path = tuple[Step, ...]
SELF: Final[Step] = (".", "")
_UNOWNED_ROOT: Final = frozenset({"apiVersion", "kind"})
_UNOWNED_METADATA: Final = frozenset(
    {
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "generation",
        "managedFields",
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
    }
)


def item_step(shape: Shape, item: Any) -> Step:
    """The step to an item of a list that is a map or a set."""
    if shape.list_type == "map" and isinstance(item, Mapping):
        keys = {key: item.get(key, _key_default(shape, key)) for key in shape.list_keys}
        present = {key: value for key, value in keys.items() if value is not None}
        return ("k", msgspec.json.encode(present, order="sorted").decode())
    return ("v", msgspec.json.encode(item, order="sorted").decode())


def _key_default(shape: Shape, key: str) -> Any:
    """Map keys that the API fills in: ports are told apart by protocol even where a client leaves it out."""
    declared = shape.items.field(key)
    if declared is not None and "default" in declared.schema:
        return declared.schema["default"]
    return "TCP" if key == "protocol" else None


def fields_of(
    shape: Shape, value: Any, prefix: Path = (), *, root: bool = True, containers: bool = False
) -> Iterator[Path]:
    """Every field ``value`` sets. ``containers`` adds the objects and lists that hold them, as updates own those."""
    if isinstance(value, Mapping) and not shape.atomic:
        if prefix and not value:
            yield prefix
        elif len(prefix) > 1 and containers:
            yield (*prefix, SELF)
        for name, child in value.items():
            at_metadata = len(prefix) == 1 and prefix[0] == ("f", "metadata") and root
            if (not prefix and name in _UNOWNED_ROOT) or (at_metadata and name in _UNOWNED_METADATA):
                continue
            below = _root_shape(shape, name) if not prefix else shape.field(name) or ANY
            yield from fields_of(below, child, (*prefix, ("f", name)), root=root, containers=containers)
    elif isinstance(value, list) and value and shape.list_type in ("map", "set"):
        if containers:
            yield (*prefix, SELF)
        for item in value:
            step = item_step(shape, item)
            if shape.list_type == "map":
                yield (*prefix, step, SELF)
                yield from _item_fields(shape.items, item, (*prefix, step), containers)
            else:
                yield (*prefix, step)
    else:
        yield prefix


def _root_shape(shape: Shape, name: str) -> Shape:
    if name == "metadata":
        from controllerkit.apiserver.shapes import object_meta_shape

        return object_meta_shape()
    return shape.field(name) or ANY


def _item_fields(shape: Shape, item: Any, prefix: Path, containers: bool) -> Iterator[Path]:
    for name, child in item.items() if isinstance(item, Mapping) else ():
        yield from fields_of(shape.field(name) or ANY, child, (*prefix, ("f", name)), root=False, containers=containers)


def encode_fields(paths: Iterable[Path]) -> dict[str, Any]:
    """As ``fieldsV1``: nested objects keyed by steps."""
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        node = tree
        for kind, text in path:
            if kind == ".":
                node.setdefault(".", {})
            else:
                node = node.setdefault(f"{kind}:{text}", {})
    return tree


def decode_fields(tree: Mapping[str, Any], prefix: Path = ()) -> Iterator[Path]:
    """The inverse of ``encode_fields``."""
    for key, child in tree.items():
        if key == ".":
            yield (*prefix, SELF)
            continue
        kind, _, text = key.partition(":")
        below = (*prefix, (kind, text))
        if child:
            yield from decode_fields(child, below)
        else:
            yield below


_MISSING: Final = object()


def read_path(shape: Shape, value: Any, path: Path) -> Any:
    """The value of a field, ``MISSING`` where it is not there."""
    for index, step in enumerate(path):
        kind, text = step
        if kind == ".":
            return True if value is not _MISSING else _MISSING
        if kind == "f":
            if not isinstance(value, Mapping) or text not in value:
                return _MISSING
            value = value[text]
            shape = _root_shape(shape, text) if index == 0 else shape.field(text) or ANY
        else:
            found = (
                next((one for one in value if item_step(shape, one) == step), _MISSING)
                if isinstance(value, list)
                else _MISSING
            )
            if found is _MISSING:
                return _MISSING
            value, shape = found, shape.items
    return value


MISSING: Final = _MISSING


def remove_path(shape: Shape, value: Any, path: Path) -> None:
    """Takes a field, or an item of a list, out of ``value``; nothing happens where it is not there."""
    for index, step in enumerate(path):
        kind, text = step
        last = index == len(path) - 1
        if kind == "f":
            if not isinstance(value, dict) or text not in value:
                return
            if last:
                del value[text]
                return
            value = value[text]
            shape = _root_shape(shape, text) if index == 0 else shape.field(text) or ANY
        else:
            items = value if isinstance(value, list) else []
            position = next((i for i, one in enumerate(items) if item_step(shape, one) == step), None)
            if position is None:
                return
            if last:
                del items[position]
                return
            value, shape = items[position], shape.items
