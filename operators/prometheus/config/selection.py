"""Which objects a Prometheus takes its jobs from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from controllerkit.objects import LabelSelector
from operators.prometheus.config.checks import check_label_selector
from operators.prometheus.config.references import inside
from operators.prometheus.tables.reading import mapping, text

__all__ = ["SELECTORS", "is_unmanaged", "name_of", "select", "sorted_objects"]

SELECTORS: Final[Mapping[str, tuple[str, str]]] = {
    "ServiceMonitor": ("serviceMonitorSelector", "serviceMonitorNamespaceSelector"),
    "PodMonitor": ("podMonitorSelector", "podMonitorNamespaceSelector"),
    "Probe": ("probeSelector", "probeNamespaceSelector"),
    "ScrapeConfig": ("scrapeConfigSelector", "scrapeConfigNamespaceSelector"),
}
"""Kinds in the order of the file, and the fields that select them: by their labels, by those of their namespaces."""


def is_unmanaged(cr: Mapping[str, Any]) -> bool:
    """Whether nothing selects anything, so that the file is the user's own (a way that the API calls deprecated)."""
    spec = mapping(cr.get("spec"))
    return all(spec.get(selector) is None for selector, _ in SELECTORS.values())


def select(
    cr: Mapping[str, Any], objects: Iterable[Mapping[str, Any]], namespaces: Mapping[str, Mapping[str, str]]
) -> dict[str, list[Mapping[str, Any]]]:
    """By kind, in the order of the file. An absent selector of labels selects nothing and an empty one everything; an
    absent one of namespaces selects the Prometheus' own.

    Args:
        namespaces: their labels by their names.

    Raises:
        Rejected: a selector of the Prometheus is none.
    """
    spec, own = mapping(cr.get("spec")), text(mapping(cr.get("metadata")).get("namespace"))
    by_kind: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in SELECTORS}
    for each in objects:
        if each.get("kind") in by_kind:
            by_kind[each["kind"]].append(each)
    chosen = {}
    for kind, (of_objects, of_namespaces) in SELECTORS.items():
        wanted, among = _selector(spec, of_objects), _selector(spec, of_namespaces)
        places = {own} if among is None else {name for name, labels in namespaces.items() if among.matches(labels)}
        found = by_kind[kind] if wanted is not None else []
        chosen[kind] = sorted_objects(each for each in found if _matches(each, wanted, places))
    return chosen


def name_of(target: Mapping[str, Any]) -> str:
    """``namespace/name``."""
    metadata = mapping(target.get("metadata"))
    return f"{text(metadata.get('namespace'))}/{text(metadata.get('name'))}"


def sorted_objects(found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """In the order of the file."""
    return sorted(found, key=name_of)


def _selector(spec: Mapping[str, Any], field: str) -> LabelSelector | None:
    if spec.get(field) is None:
        return None
    inside(f"spec.{field}", check_label_selector, spec[field])
    return LabelSelector.from_dict(mapping(spec[field]))


def _matches(target: Mapping[str, Any], wanted: LabelSelector | None, places: set[str]) -> bool:
    metadata = mapping(target.get("metadata"))
    if wanted is None or text(metadata.get("namespace")) not in places:
        return False
    return not wanted.requirements or wanted.matches(mapping(metadata.get("labels")))
