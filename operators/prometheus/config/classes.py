"""Scrape classes: what a Prometheus gives to the jobs that ask for it by name, or to all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.prometheus.config.relabel import check_relabel_configs
from operators.prometheus.tables import Rejected, Version
from operators.prometheus.tables.reading import entries, mapping, text

__all__ = ["check_class_name", "check_scrape_classes", "scrape_class"]


def scrape_class(section: Mapping[str, Any], cr_spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """That which ``scrapeClass`` of an object names, else the default one, else an empty one."""
    classes = {text(each.get("name")): each for each in _classes(cr_spec)}
    named = classes.get(text(section.get("scrapeClass"))) if section.get("scrapeClass") is not None else None
    if named is not None:
        return named
    return next((each for each in classes.values() if each.get("default") is True), {})


def check_class_name(section: Mapping[str, Any], cr_spec: Mapping[str, Any]) -> None:
    """Raises `Rejected` if the object names a class that the Prometheus does not have."""
    name = text(section.get("scrapeClass"))
    known = [text(each.get("name")) for each in _classes(cr_spec)]
    if name and name not in known:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise Rejected(f"the Prometheus has no scrape class {name!r}; {has}", "scrapeClass")


def check_scrape_classes(cr_spec: Mapping[str, Any], version: Version) -> None:
    """Raises `Rejected` for relabelings that Prometheus refuses, or two defaults."""
    for at, each in enumerate(_classes(cr_spec)):
        for field in ("relabelings", "metricRelabelings"):
            try:
                check_relabel_configs(each.get(field), version)
            except Rejected as refused:
                raise refused.at(f"spec.scrapeClasses[{at}].{field}") from None
    defaults = [text(each.get("name")) for each in _classes(cr_spec) if each.get("default") is True]
    if len(defaults) > 1:
        raise Rejected(f"only one class can be the default; {', '.join(defaults)} are", "spec.scrapeClasses")


def _classes(cr_spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [mapping(each) for each in entries(cr_spec.get("scrapeClasses"))]
