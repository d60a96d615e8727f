"""Events: one storage, two APIs. ``v1`` Events are stored; ``events.k8s.io/v1`` is a view of them.

Source: kubernetes ``pkg/apis/core/validation/events.go``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from controllerkit.apiserver.metadata import check_qualified
from controllerkit.apiserver.status import FieldError

__all__ = ["from_core", "to_core", "validate_event", "validate_new_event", "validate_new_update"]

_LENGTHS_MAX: Final = (("reportingInstance", 128), ("action", 128), ("reason", 128), ("message", 1024))
_UNSET: Final = ("firstTimestamp", "lastTimestamp", "count")
_FIXED: Final = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)
_TOLD: Final = {"reportingComponent": "reportingController"}

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


def validate_event(value: Mapping[str, Any]) -> Iterator[FieldError]:
    """Findings of both APIs; what has an ``eventTime`` is of the newer kind, which says who reports and what was done.

    Events about cluster-scoped objects live in the namespace default.
    """
    namespace, about = value["metadata"].get("namespace", ""), (value.get("involvedObject") or {}).get("namespace", "")
    new = bool(value.get("eventTime"))
    allowed = ("default", "kube-system") if new else ("default",)
    if namespace not in allowed if not about else (namespace != about and not new):
        yield FieldError.invalid("involvedObject.namespace", about, "does not match event.namespace")
    if not new:
        return
    controller = value.get("reportingComponent") or ""
    if not controller:
        yield FieldError.required("reportingController")
    yield from check_qualified(controller, "reportingController")
    for name, length_max in _LENGTHS_MAX:
        text = value.get(name) or ""
        if not text and name != "message":
            yield FieldError.required(name)
        elif len(text.encode()) > length_max:
            yield FieldError.invalid(name, "", f"can have at most {length_max} characters")


def validate_new_event(value: Mapping[str, Any]) -> Iterator[FieldError]:
    """Findings in an Event that is made through ``events.k8s.io/v1``."""
    yield from _check_series(value)
    if not value.get("eventTime"):
        yield FieldError.required("eventTime")
    if value.get("type") not in ("Normal", "Warning"):
        yield FieldError.invalid("type", "", f"has invalid value: {value.get('type') or ''}")
    for name in _UNSET:
        if value.get(name):
            yield FieldError.invalid(name, "", "needs to be unset")
    source = value.get("source") or {}
    if source.get("component") or source.get("host"):
        yield FieldError.invalid("source", "", "needs to be unset")


def validate_new_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[FieldError]:
    """Findings in an Event that is changed through ``events.k8s.io/v1``: only its series may."""
    if new.get("series") != old.get("series"):
        yield from _check_series(new)
    for name in _FIXED:
        if (new.get(name) or None) != (old.get(name) or None):
            yield FieldError.invalid(_TOLD.get(name, name), new.get(name), "field is immutable")


def _check_series(value: Mapping[str, Any]) -> Iterator[FieldError]:
    series = value.get("series")
    if series is None:
        return
    if (series.get("count") or 0) < 2:
        yield FieldError.invalid("series.count", "", "should be at least 2")
    if not series.get("lastObservedTime"):
        yield FieldError.required("series.lastObservedTime")
