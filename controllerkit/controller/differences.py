"""What differs between two objects: as a merge patch for a server, field by field for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ABSENT", "FieldChange", "field_changes", "merge_patch"]


class _Absent:
    """The value of a field that is not there, which is another thing than null."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()

_PLAIN: Final = re.compile(r"[A-Za-z_][-A-Za-z0-9_]*")
_SERVERS_FIELDS: Final = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)
"""Of ``metadata``: what the server sets at every write."""


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest JSON merge patch (RFC 7386) that makes ``after`` of ``before``; a null in ``after`` cannot be told.

    >>> merge_patch({"a": 1, "b": {"x": 1, "y": 2}}, {"b": {"x": 1, "y": 3}, "c": [1]})
    {'a': None, 'b': {'y': 3}, 'c': [1]}
    """
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name, ABSENT)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            if inner := merge_patch(old, value):
                patch[name] = inner
        elif old is ABSENT or not _same(old, value):
            patch[name] = value
    return patch


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field; ``before`` or ``after`` is ``ABSENT`` where it is not there."""

    path: str
    before: Any
    after: Any


def field_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """The leaves in which two objects differ, without what the server sets by itself in ``metadata``.

    Items of lists are paired by their ``name`` where all have one of their own, else by position.

    >>> old = {"metadata": {"uid": "1"}, "spec": {"containers": [{"name": "web", "image": "a"}]}}
    >>> new = {"metadata": {"uid": "2"}, "spec": {"containers": [{"name": "web", "image": "b"}], "paused": True}}
    >>> [(each.path, each.before, each.after) for each in field_changes(old, new)]
    [('spec.containers[web].image', 'a', 'b'), ('spec.paused', absent, True)]
    """
    return tuple(_changes("", _own(before), _own(after)))


def _own(value: Mapping[str, Any]) -> dict[str, Any]:
    metadata = value.get("metadata") or {}
    return {**value, "metadata": {k: v for k, v in metadata.items() if k not in _SERVERS_FIELDS}}


def _changes(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    named = all(_named(each) for each in (before, after) if isinstance(each, list | tuple))
    old, new = _parts(before, named), _parts(after, named)
    if (old is None and before is not ABSENT) or (new is None and after is not ABSENT) or not (old or new):
        if before is ABSENT or after is ABSENT or not _same(before, after):
            yield FieldChange(path.removeprefix("."), before, after)
        return
    old, new = old or {}, new or {}
    for part in dict.fromkeys((*old, *new)):
        yield from _changes(path + part, old.get(part, ABSENT), new.get(part, ABSENT))


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1, however deep."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _parts(value: Any, named: bool) -> dict[str, Any] | None:
    """What ``value`` is made of, by the text that leads to it; None for a leaf."""
    if isinstance(value, Mapping):
        return {f".{name}" if _PLAIN.fullmatch(name) else f"[{name}]": each for name, each in value.items()}
    if isinstance(value, list | tuple):
        return {f"[{each['name'] if named else index}]": each for index, each in enumerate(value)}
    return None


def _named(items: Sequence[Any]) -> bool:
    """Whether every item has a name of its own."""
    names = [each.get("name") if isinstance(each, Mapping) else None for each in items]
    return all(isinstance(each, str) for each in names) and len(set(names)) == len(names)
