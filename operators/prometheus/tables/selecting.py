"""Which objects a custom resource selects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controllerkit.errors import BadRequest
from controllerkit.objects import LabelSelector
from operators.prometheus.tables.reading import mapping, text
from operators.prometheus.tables.rejected import Rejected

__all__ = ["Namespaces", "selected"]

Namespaces = Mapping[str, Mapping[str, str]]
"""Names of namespaces to their labels."""


def selected(
    cr: Mapping[str, Any],
    objects: Iterable[Mapping[str, Any]],
    namespaces: Namespaces,
    *,
    selector: str,
    namespace_selector: str,
) -> list[Mapping[str, Any]]:
    """Those of ``objects`` that the fields of these names in ``spec`` select, sorted by ``namespace/name``.

    No selector selects nothing, an empty one everything; no namespace selector selects the own namespace. A namespace
    that is not in ``namespaces`` counts as one whose only label is its name.

    Raises:
        Rejected: a selector that is none, with its field.
    """
    spec, home = mapping(cr.get("spec")), text(mapping(cr.get("metadata")).get("namespace"))
    if not isinstance(spec.get(selector), Mapping):
        return []
    wanted = _parsed(spec, selector)
    within = _parsed(spec, namespace_selector) if isinstance(spec.get(namespace_selector), Mapping) else None
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for each in objects:
        metadata = mapping(each.get("metadata"))
        namespace = text(metadata.get("namespace"))
        if within is None and namespace != home:
            continue
        known = namespaces.get(namespace, {"kubernetes.io/metadata.name": namespace})
        if (within is None or within.matches(known)) and wanted.matches(mapping(metadata.get("labels"))):
            found[namespace, text(metadata.get("name"))] = each
    return [found[key] for key in sorted(found, key="/".join)]


def _parsed(spec: Mapping[str, Any], field: str) -> LabelSelector:
    try:
        return LabelSelector.from_dict(spec[field])
    except (BadRequest, TypeError, AttributeError, KeyError) as error:
        raise Rejected(f"is no label selector: {error}", f"spec.{field}") from error
