"""Objects that are not bound to their namespace though the others are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.tables.reading import entries, mapping, text

__all__ = ["RESOURCES", "is_excluded"]

GROUP: Final = "monitoring.coreos.com"

RESOURCES: Final[Mapping[str, str]] = {
    "ServiceMonitor": "servicemonitors",
    "PodMonitor": "podmonitors",
    "Probe": "probes",
    "ScrapeConfig": "scrapeconfigs",
    "PrometheusRule": "prometheusrules",
}
"""Kinds as ``excludedFromEnforcement`` names them."""


def is_excluded(kind: str, metadata: Mapping[str, Any], cr_spec: Mapping[str, Any]) -> bool:
    """Whether ``excludedFromEnforcement`` names the object, or all of its kind in its namespace."""
    return any(
        (text(each.get("group")) or GROUP) == GROUP
        and text(each.get("resource")) == RESOURCES.get(kind)
        and text(each.get("namespace")) == text(metadata.get("namespace"))
        and text(each.get("name")) in ("", text(metadata.get("name")))
        for each in map(mapping, entries(cr_spec.get("excludedFromEnforcement")))
    )
