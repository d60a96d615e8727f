"""Events: one storage, two APIs. ``v1`` Events are stored; ``events.k8s.io/v1`` is a view of them."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["from_core", "to_core"]

_RENAMED: Final = (
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
)


def _renamed(value: dict[str, Any], names: dict[str, str], api_version: str) -> dict[str, Any]:
    renamed = {names.get(name, name): child for name, child in value.items()}
    renamed["apiVersion"] = api_version
    return renamed


_TO_CORE: Final = dict(_RENAMED)
_FROM_CORE: Final = {core: new for new, core in _RENAMED}


def to_core(value: dict[str, Any]) -> dict[str, Any]:
    """An ``events.k8s.io/v1`` Event as it is stored.

    >>> to_core({"kind": "Event", "regarding": {"name": "a"}, "note": "x"})["involvedObject"]
    {'name': 'a'}
    """
    return _renamed(value, _TO_CORE, "v1")


def from_core(value: dict[str, Any]) -> dict[str, Any]:
    """A stored Event as ``events.k8s.io/v1`` shows it."""
    shown = _renamed(value, _FROM_CORE, "events.k8s.io/v1")
    for name in ("reportingController", "reportingInstance"):
        if not shown.get(name):
            shown.pop(name, None)
    return shown


FIELDS: Final = {
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
}
"""Field selectors of ``events.k8s.io/v1`` by their stored names; dotted paths by their first step."""


def core_field(path: str) -> str:
    """A selectable field of the newer API under its stored name."""
    head, dot, rest = path.partition(".")
    return FIELDS.get(head, head) + dot + rest
