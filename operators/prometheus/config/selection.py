"""Which objects a Prometheus takes its jobs from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from operators.prometheus.tables.reading import mapping, text
from operators.prometheus.tables.selecting import Namespaces, selected

__all__ = ["SELECTORS", "is_unmanaged", "name_of", "select"]

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
    cr: Mapping[str, Any], objects: Iterable[Mapping[str, Any]], namespaces: Namespaces
) -> dict[str, list[Mapping[str, Any]]]:
    """By kind, in the order of the file; by the rules of `selected`.

    Raises:
        Rejected: a selector of the Prometheus is none.
    """
    of_kind: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in SELECTORS}
    for each in objects:
        if each.get("kind") in of_kind:
            of_kind[each["kind"]].append(each)
    return {
        kind: selected(cr, of_kind[kind], namespaces, selector=by_labels, namespace_selector=by_namespace)
        for kind, (by_labels, by_namespace) in SELECTORS.items()
    }


def name_of(target: Mapping[str, Any]) -> str:
    """``namespace/name``."""
    metadata = mapping(target.get("metadata"))
    return f"{text(metadata.get('namespace'))}/{text(metadata.get('name'))}"
