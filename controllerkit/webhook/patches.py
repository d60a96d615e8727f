"""What changed between two JSON documents: as a JSON patch, and carried over to a third."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["carried_over", "json_patch"]


def json_patch(old: Any, new: Any, path: str = "") -> list[dict[str, Any]]:
    """The operations of RFC 6902 that make ``new`` of ``old``; lists of different lengths are replaced whole.

    >>> json_patch({"a": 1, "b": [1, 2]}, {"b": [1, 3], "c/d": {}})
    [{'op': 'remove', 'path': '/a'}, {'op': 'replace', 'path': '/b/1', 'value': 3}, {'op': 'add', 'path': '/c~1d', 'value': {}}]
    >>> json_patch({"a": 1}, {"a": True})
    [{'op': 'replace', 'path': '/a', 'value': True}]
    """  # noqa: E501 - what a patch is, is shown whole
    return list(_operations(old, new, path))


def _operations(old: Any, new: Any, path: str) -> Iterator[dict[str, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in old:
            if name not in new:
                yield {"op": "remove", "path": f"{path}/{_escaped(name)}"}
        for name, value in new.items():
            if name in old:
                yield from _operations(old[name], value, f"{path}/{_escaped(name)}")
            else:
                yield {"op": "add", "path": f"{path}/{_escaped(name)}", "value": value}
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _operations(before, after, f"{path}/{index}")
    elif not _same(old, new):
        yield {"op": "replace", "path": path, "value": new}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: to Python ``True == 1``."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def carried_over(raw: Any, before: Any, after: Any) -> Any:
    """``raw`` with what changed from ``before`` to ``after``, where ``before`` is what a reader understood of ``raw``.

    What the reader does not know stays as it is: unknown fields, nulls, how a number is written. An element of a list
    keeps what is unknown in it where the element itself is unchanged, or the length of the list is.

    >>> carried_over({"a": 1, "unknown": 2}, {"a": 1}, {"a": 1, "b": 3})
    {'a': 1, 'unknown': 2, 'b': 3}
    >>> carried_over([{"n": 1, "x": 1}, {"n": 2, "x": 2}], [{"n": 1}, {"n": 2}], [{"n": 2}])
    [{'n': 2, 'x': 2}]
    """
    if _same(before, after):
        return raw
    if isinstance(raw, Mapping) and isinstance(before, Mapping) and isinstance(after, Mapping):
        kept = {name: value for name, value in raw.items() if name in after or name not in before}
        for name, value in after.items():
            if name not in before or name not in raw:
                kept[name] = value
            else:
                kept[name] = carried_over(raw[name], before[name], value)
        return kept
    if isinstance(raw, list) and isinstance(before, list) and isinstance(after, list) and len(raw) == len(before):
        return [_element(raw, before, after, index) for index in range(len(after))]
    return after


def _element(raw: list[Any], before: list[Any], after: list[Any], index: int) -> Any:
    if len(before) == len(after):
        return carried_over(raw[index], before[index], after[index])
    for known, whole in zip(before, raw, strict=True):
        if _same(known, after[index]):
            return whole
    return after[index]
