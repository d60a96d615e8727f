"""Schemas of the API, and small objects that are right."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from operators.prometheus.tables import Assets


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads ``=`` as the text it is among the operators of matchers."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)

CRDS = Path(__file__).resolve().parents[5] / "shared" / "manifests" / "prometheus-operator" / "crds"

REFERENCE = {"name": "s", "key": "k"}
SECRET = {
    "metadata": {"namespace": "shop", "name": "s"},
    "data": {key: base64.b64encode(text.encode()).decode() for key, text in {"k": "https://hidden.example"}.items()},
}
ASSETS = Assets.of([SECRET])

MINIMAL: Mapping[str, Mapping[str, Any]] = {
    "discordConfigs": {"apiURL": REFERENCE},
    "emailConfigs": {"to": "a@example.com", "from": "b@example.com", "smarthost": "example.com:25"},
    "msteamsConfigs": {"webhookUrl": REFERENCE},
    "msteamsv2Configs": {"webhookURL": REFERENCE},
    "opsgenieConfigs": {"apiKey": REFERENCE},
    "pagerdutyConfigs": {"routingKey": REFERENCE},
    "pushoverConfigs": {"userKey": REFERENCE, "token": REFERENCE},
    "rocketchatConfigs": {"token": REFERENCE, "tokenID": REFERENCE},
    "slackConfigs": {"apiURL": REFERENCE},
    "snsConfigs": {"topicARN": "arn"},
    "telegramConfigs": {"botToken": REFERENCE, "chatID": 1},
    "victoropsConfigs": {"apiKey": REFERENCE, "routingKey": "team"},
    "webexConfigs": {"roomID": "room", "httpConfig": {"authorization": {"credentials": REFERENCE}}},
    "webhookConfigs": {"url": "https://a.example"},
    "wechatConfigs": {"apiSecret": REFERENCE, "corpID": "corp"},
}
"""What each kind of receiver cannot do without."""


@cache
def schema(plural: str) -> Mapping[str, Any]:
    """Of the first version of a definition."""
    text = (CRDS / f"monitoring.coreos.com_{plural}.yaml").read_text()
    found: Mapping[str, Any] = yaml.load(text, _Loader)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


_POOL = ["https://a.example", "socks5://a.example", "0", "5m", "1h30m", "08:00", "17:00", "24:00", "2030:2050", "2031"]
_DAYS_AND_MONTHS = ["monday:friday", "Sunday", "friday:monday", "January:March", "1:3", "12"]


def drawable(of: Any) -> Any:
    """The schema with samples in place of patterns, and with references to what is there or is not."""
    if isinstance(of, list):
        return [drawable(item) for item in of]
    if not isinstance(of, dict):
        return of
    if set(of.get("properties", {})) == {"key", "name", "optional"}:
        return {**of, "enum": [REFERENCE, REFERENCE, REFERENCE, {"name": "lost", "key": "k"}]}
    if isinstance(of.get("pattern"), str):
        try:
            fitting = [text for text in _POOL if re.search(of["pattern"], text)]
        except re.error:
            fitting = _DAYS_AND_MONTHS
        return {"type": "string", "enum": fitting}
    return {key: drawable(item) for key, item in of.items()}


def amc(name: str = "amc", namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    """An AlertmanagerConfig."""
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "AlertmanagerConfig",
        "metadata": {"namespace": namespace, "name": name},
        "spec": spec,
    }


def notifying(kind: str, notifier: Mapping[str, Any], name: str = "amc") -> dict[str, Any]:
    """An AlertmanagerConfig whose alerts go to one notifier."""
    return amc(name, receivers=[{"name": "r", kind: [dict(notifier)]}], route={"receiver": "r"})


def alertmanager(version: str = "v0.33.1", **spec: Any) -> dict[str, Any]:
    """An Alertmanager that selects whatever is in its namespace."""
    return {
        "metadata": {"namespace": "shop", "name": "main"},
        "spec": {"version": version, "alertmanagerConfigSelector": {}, **spec},
    }


def leaves(of: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and a value of each field without fields of its own; a list is a field with what one item of it has."""
    for name, child in of.get("properties", {}).items():
        item = child["items"] if child.get("type") == "array" else child
        here = (*path, f"{name}[]" if item is not child else name)
        if set(item.get("properties", {})) in ({"key", "name", "optional"}, {"key", "value"}):
            yield here, REFERENCE if "name" in item["properties"] else {"key": "k", "value": "v"}
        elif item.get("properties"):
            yield from leaves(item, here)
        else:
            yield here, _sample(item)


def _sample(of: Mapping[str, Any]) -> Any:
    if "enum" in of:
        return of["enum"][-1]
    match of.get("type"):
        case "boolean":
            return True
        case "integer":
            return 7
        case "object":
            references = of.get("additionalProperties", {}).get("type") == "array"
            return {"a": [REFERENCE] if references else "b"}
    pattern = of.get("pattern", "")
    return "https://a.example" if "http" in pattern else "7m" if "ms" in pattern else "text"


def with_leaf(value: Mapping[str, Any], path: tuple[str, ...], leaf: Any) -> dict[str, Any]:
    """The object with one field set, and what leads to it."""
    name, listed = path[0].removesuffix("[]"), path[0].endswith("[]")
    inner = leaf
    if len(path) > 1:
        found = value.get(name)
        held = (found[0] if found else {}) if listed else found or {}
        inner = with_leaf(held, path[1:], leaf)
    return {**value, name: [inner] if listed else inner}
