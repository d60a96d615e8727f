"""The namespace of an object as a label that its author cannot change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.prometheus.tables.exclusions import is_excluded
from operators.prometheus.tables.reading import entries, mapping, text

__all__ = ["enforced"]


def enforced(
    relabelings: Any, kind: str, metadata: Mapping[str, Any], cr_spec: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Entries as the API has them, with that of the enforced label behind them, if there is one for the object."""
    found = [mapping(entry) for entry in entries(relabelings)]
    label = text(cr_spec.get("enforcedNamespaceLabel"))
    if not label or is_excluded(kind, metadata, cr_spec):
        return found
    return [*found, {"targetLabel": label, "replacement": text(metadata.get("namespace"))}]
