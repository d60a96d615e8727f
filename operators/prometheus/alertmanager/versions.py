"""AlertmanagerConfigs of v1beta1 as v1alpha1, and back.

v1beta1 has ``timeIntervals`` where v1alpha1 has ``muteTimeIntervals``; its matchers have no ``regex``, its references
to Secrets no ``optional``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["as_v1alpha1", "as_v1beta1"]

GROUP = "monitoring.coreos.com"


def as_v1alpha1(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object in the version that is stored; the same if it is that already."""
    spec = value.get("spec")
    if value.get("apiVersion") != f"{GROUP}/v1beta1" or not isinstance(spec, Mapping):
        return dict(value)
    return {**value, "apiVersion": f"{GROUP}/v1alpha1", "spec": _renamed(spec, "timeIntervals", "muteTimeIntervals")}


def as_v1beta1(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object as v1beta1; the same if it is that already."""
    spec = value.get("spec")
    if value.get("apiVersion") == f"{GROUP}/v1beta1" or not isinstance(spec, Mapping):
        return dict(value)
    made = _renamed(spec, "muteTimeIntervals", "timeIntervals")
    if isinstance(made.get("receivers"), list):
        made["receivers"] = _without_optional(made["receivers"])
    if isinstance(made.get("inhibitRules"), list):
        made["inhibitRules"] = [_rule(rule) for rule in made["inhibitRules"]]
    if isinstance(made.get("route"), Mapping):
        made["route"] = _route(made["route"])
    return {**value, "apiVersion": f"{GROUP}/v1beta1", "spec": made}


def _renamed(spec: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: item for key, item in spec.items()}


def _without_optional(value: Any) -> Any:
    """References to Secrets are the mappings with a name, a key and nothing but ``optional``."""
    if isinstance(value, list):
        return [_without_optional(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if {"key", "optional"} <= value.keys() <= {"key", "name", "optional"}:
        return {key: item for key, item in value.items() if key != "optional"}
    return {key: _without_optional(item) for key, item in value.items()}


def _matcher(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    kept = {key: item for key, item in value.items() if key != "regex"}
    return {**kept, "matchType": value.get("matchType") or ("=~" if value.get("regex") else "=")}


def _matchers(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    made = dict(value)
    for key in keys:
        if isinstance(made.get(key), list):
            made[key] = [_matcher(item) for item in made[key]]
    return made


def _rule(value: Any) -> Any:
    return _matchers(value, "sourceMatch", "targetMatch") if isinstance(value, Mapping) else value


def _route(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    made = _matchers(value, "matchers")
    if isinstance(made.get("routes"), list):
        made["routes"] = [_route(child) for child in made["routes"]]
    return made
