"""What is made, as text for people and version control: YAML without what is in Secrets."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from operators.prometheus.tables import Assets, to_yaml
from operators.prometheus.tables.reading import mapping, text

__all__ = ["document", "masked", "sorted_keys"]

_SHORTEST: Final = 4
"""Characters of a value that is looked for; "30s" as a password hides nothing."""

_LONG: Final = 8
"""Characters of a value that is also looked for within others."""

_KEYS: Final = re.compile(
    r"^(?P<lead>\s*(?:- )?(?:[a-z_]*(?:password|secret|secret_key|credentials|bearer_token|api_key|routing_key|"
    r"service_key|user_key|bot_token|app_token|auth_token|authorization))):\s+(?P<value>\S.*)$",
    re.MULTILINE,
)
"""Keys of Prometheus and Alertmanager that hold a secret wherever it comes from."""

_PLAIN: Final = re.compile(r"^(?P<lead>\s*(?:- )?(?:[^\s:]+:)? ?)(?P<value>\S.*)$")
HIDDEN: Final = "<secret>"


def masked(configuration: str, assets: Assets) -> str:
    """A configuration with the name and key of a Secret in place of what it holds.

    What stands at a key that is made for secrets is hidden too, wherever it comes from.
    """
    values: dict[str, str] = {}
    for (namespace, name), data in sorted(assets.secrets.items()):
        for key, value in sorted(data.items()):
            found = value.decode(errors="replace").strip()
            if len(found) >= _SHORTEST and found not in ("true", "false", "null"):
                values.setdefault(found, f"<Secret {namespace}/{name} {key}>")
    lines = [_line(line, values) for line in configuration.split("\n")]
    shown = "\n".join(lines)
    for found in sorted((each for each in values if len(each) >= _LONG and "\n" not in each), key=len, reverse=True):
        shown = shown.replace(found, values[found])
    return _KEYS.sub(_by_key, shown)


def _line(line: str, values: Mapping[str, str]) -> str:
    match = _PLAIN.match(line)
    if match is None:
        return line
    value = match["value"]
    if value[:1] in "\"'":
        try:
            value = str(yaml.safe_load(value))
        except yaml.YAMLError:
            return line
    return match["lead"] + f'"{values[value.strip()]}"' if value.strip() in values else line


def _by_key(match: re.Match[str]) -> str:
    value = match["value"]
    kept = value.startswith(('"<', "<", "|", "{}", "[]")) or value in ('""', "''")
    return match[0] if kept else f"{match['lead']}: {HIDDEN}"


def document(value: Mapping[str, Any], *, secrets: bool = False) -> str:
    """One object as YAML; ``data`` of a Secret as sizes and digests, unless ``secrets``.

    A digest is of the content, so that a change is seen: the first 12 digits of its SHA-256, of what is in it where
    it is in gzip.
    """
    shown = dict(value)
    if value.get("kind") == "Secret" and not secrets:
        shown["data"] = {key: _digest(each) for key, each in mapping(value.get("data")).items()}
    return to_yaml(shown)


def _digest(encoded: Any) -> str:
    raw = base64.b64decode(text(encoded))
    inside = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    return f"<{len(inside)} bytes, sha256 {hashlib.sha256(inside).hexdigest()[:12]}>"


def sorted_keys(value: Any) -> Any:
    """Mappings in the order of their keys, which two servers' answers share."""
    if isinstance(value, Mapping):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(each) for each in value] if isinstance(value, list) else value
