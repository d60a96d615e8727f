"""Which objects a custom resource selects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controllerkit.errors import BadRequest
from controllerkit.objects import LabelSelector
from operators.prometheus.tables.reading import entries, mapping, text
from operators.prometheus.tables.rejected import Rejected

__all__ = ["Namespaces", "check_label_selector", "selected", "selector_text"]

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
    wanted, within = _parsed(spec, selector), _parsed(spec, namespace_selector)
    if wanted is None:
        return []
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


def check_label_selector(selector: Any) -> None:
    """Raises `Rejected` unless the API takes it as a ``metav1.LabelSelector``."""
    for at, expression in enumerate(map(mapping, entries(mapping(selector).get("matchExpressions")))):
        operator, values = expression.get("operator"), entries(expression.get("values"))
        if operator in ("In", "NotIn") and not values:
            raise Rejected(f"{operator} needs values", f"matchExpressions[{at}].values")
        if operator in ("Exists", "DoesNotExist") and values:
            raise Rejected(f"{operator} has no values", f"matchExpressions[{at}].values")
    written = selector_text(selector)
    try:
        LabelSelector.parse(written)
    except BadRequest:
        raise Rejected(f"{written!r} holds something that is no label or no value of one") from None


def selector_text(selector: Any) -> str:
    """A ``metav1.LabelSelector`` as the API takes it in a query, sorted by label.

    >>> selector_text({"matchLabels": {"b": "1"}, "matchExpressions": [
    ...     {"key": "a", "operator": "In", "values": ["y", "x"]}, {"key": "c", "operator": "DoesNotExist"}]})
    'a in (x,y),b=1,!c'
    """
    terms = [(key, f"{key}={value}") for key, value in mapping(mapping(selector).get("matchLabels")).items()]
    for expression in map(mapping, entries(mapping(selector).get("matchExpressions"))):
        key, operator = text(expression.get("key")), text(expression.get("operator"))
        values = ",".join(sorted({value for value in entries(expression.get("values")) if isinstance(value, str)}))
        written = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        if operator not in written:
            raise Rejected(f"{operator!r} is no operator; they are {', '.join(written)}", "matchExpressions")
        terms.append((key, written[operator]))
    return ",".join(term for _, term in sorted(terms, key=lambda each: each[0]))


def _parsed(spec: Mapping[str, Any], field: str) -> LabelSelector | None:
    given = spec.get(field)
    if given is None:
        return None
    try:
        check_label_selector(given)
        return LabelSelector.from_dict(given)
    except Rejected as refused:
        raise refused.at(f"spec.{field}") from None
    except (BadRequest, TypeError, AttributeError, KeyError) as error:
        raise Rejected(f"is no label selector: {error}", f"spec.{field}") from error
