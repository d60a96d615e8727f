"""Pieces that all objects of the operator share: metadata, owners, Secrets, governing Services."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from typing import Any, Final

from operators.prometheus.tables import Rejected
from operators.prometheus.workload.settings import Settings

__all__ = [
    "config_map",
    "governing_service",
    "metadata",
    "owner",
    "pruned",
    "rule_maps",
    "secret",
    "tls_asset_secrets",
    "zipped",
]

MANAGED: Final[Mapping[str, str]] = {
    "managed-by": "prometheus-operator",
    "app.kubernetes.io/managed-by": "prometheus-operator",
}
_KUBECTL: Final = "kubectl.kubernetes.io/"
ASSETS_SIZE_MAX: Final = 1024 * 1024 - 50_000
"""Bytes of TLS files in one Secret: what a Secret holds, and room for the rest of the object."""


def pruned(value: Mapping[str, Any]) -> dict[str, Any]:
    """Without keys whose value is None, "" or empty."""
    return {key: each for key, each in value.items() if each is not None and each not in ("", [], {}, ())}


def owner(parent: Mapping[str, Any], *, controller: bool = True) -> dict[str, Any]:
    """The owner reference to a custom resource; one that is shared by several has no controller."""
    named = parent.get("metadata") or {}
    reference = {
        "apiVersion": parent.get("apiVersion"),
        "kind": parent.get("kind"),
        "name": named.get("name"),
        "uid": named.get("uid") or "",
    }
    return {**reference, "controller": True, "blockOwnerDeletion": True} if controller else reference


def metadata(
    parent: Mapping[str, Any],
    name: str,
    settings: Settings,
    labels: Mapping[str, str] | None = None,
    *,
    inherited: bool = False,
) -> dict[str, Any]:
    """Of an object made for ``parent``; ``inherited`` takes its labels and annotations over, but for kubectl's."""
    named = parent.get("metadata") or {}
    taken = named if inherited else {}
    annotations = {
        key: text for key, text in (taken.get("annotations") or {}).items() if not key.startswith(_KUBECTL)
    } | dict(settings.annotations)
    return pruned(
        {
            "name": name,
            "namespace": named.get("namespace"),
            "labels": {**(taken.get("labels") or {}), **(labels or {}), **MANAGED, **settings.labels},
            "annotations": annotations,
            "ownerReferences": [owner(parent)],
        }
    )


def secret(parent: Mapping[str, Any], name: str, data: Mapping[str, bytes], settings: Settings) -> dict[str, Any]:
    """A Secret with that data."""
    encoded = {key: base64.b64encode(data[key]).decode() for key in sorted(data)}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(parent, name, settings), "data": encoded}


def config_map(
    parent: Mapping[str, Any], name: str, data: Mapping[str, str], settings: Settings, labels: Mapping[str, str]
) -> dict[str, Any]:
    """A ConfigMap with that data."""
    described = metadata(parent, name, settings, labels)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": described, "data": dict(sorted(data.items()))}


def zipped(text: str) -> bytes:
    """gzip, the same bytes for the same text."""
    return gzip.compress(text.encode(errors="surrogatepass"), compresslevel=9, mtime=0)


def rule_maps(
    parent: Mapping[str, Any], prefix: str, label: str, data: Sequence[Mapping[str, str]], settings: Settings
) -> list[dict[str, Any]]:
    """``<prefix>-rulefiles-<n>``, labelled by whose they are."""
    name = (parent.get("metadata") or {}).get("name") or ""
    return [
        config_map(parent, f"{prefix}-rulefiles-{at}", each, settings, {label: name}) for at, each in enumerate(data)
    ]


def tls_asset_secrets(
    parent: Mapping[str, Any], prefix: str, files: Mapping[str, bytes], settings: Settings
) -> list[dict[str, Any]]:
    """``<prefix>-tls-assets-<n>``, at least one, filled in the order of the files' names.

    Raises:
        Rejected: one file is larger than a Secret holds.
    """
    parts: list[dict[str, bytes]] = [{}]
    size = 0
    for name in sorted(files):
        added = len(name) + len(files[name])
        if added > ASSETS_SIZE_MAX:
            raise Rejected(f"the TLS file {name} has {len(files[name])} bytes, {ASSETS_SIZE_MAX} fit a Secret")
        if size + added > ASSETS_SIZE_MAX:
            parts.append({})
            size = 0
        parts[-1][name] = files[name]
        size += added
    return [secret(parent, f"{prefix}-tls-assets-{at}", part, settings) for at, part in enumerate(parts)]


def governing_service(
    parents: Sequence[Mapping[str, Any]],
    name: str,
    label: str,
    ports: Sequence[Mapping[str, Any]],
    selector: Mapping[str, str],
    settings: Settings,
    *,
    not_ready_too: bool = False,
) -> dict[str, Any]:
    """The headless Service that gives Pods their names; one in a namespace, owned by all it serves."""
    described = metadata(parents[0], name, settings, {label: "true"})
    described["ownerReferences"] = [owner(each, controller=False) for each in parents]
    spec: dict[str, Any] = {"clusterIP": "None", "ports": list(ports), "selector": dict(selector)}
    if not_ready_too:
        spec["publishNotReadyAddresses"] = True
    return {"apiVersion": "v1", "kind": "Service", "metadata": described, "spec": spec}
