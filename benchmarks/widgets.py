"""The custom resource of every benchmark."""

from __future__ import annotations

from typing import Any

from controllerkit.objects import Kind

WIDGETS = Kind("bench.example.dev", "v1", "Widget", "widgets")
_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
WIDGET_CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.bench.example.dev"},
    "spec": {
        "group": WIDGETS.group,
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": _OPEN, "status": _OPEN}}},
            }
        ],
    },
}


FIELDS = 25
"""With these many an object has 3.3 kB, with ``FIELDS_3_KB`` 3.0 kB."""
FIELDS_3_KB = 22


def widget(number: int, version: int = 0, *, fields: int = FIELDS) -> dict[str, Any]:
    """One object, most of it spec; with the server's metadata where ``version`` is given."""
    metadata: dict[str, Any] = {
        "name": f"widget-{number:06d}",
        "namespace": f"team-{number % 20}",
        "labels": {"app": f"app-{number % 100}", "tier": "backend"},
        "annotations": {"example.dev/owner": "someone"},
    }
    if version:
        metadata |= {
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "resourceVersion": str(version),
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
    parts = {f"field{n}": {"name": f"n{n}", "values": [number, n, version], "text": "x" * 60} for n in range(fields)}
    spec = {"text": f"text of {number}", **parts}
    return {"apiVersion": WIDGETS.api_version, "kind": WIDGETS.kind, "metadata": metadata, "spec": spec}
