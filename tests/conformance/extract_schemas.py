"""Reads the built-in kinds' schemas from a real API server into controllerkit/apiserver/data/schemas.json.

Run as ``python tests/conformance/extract_schemas.py`` where the real control plane's binaries are cached. Only
structure is kept (types, merge keys, list types, required fields); descriptions are not.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.control_plane import ControlPlane

TARGET = Path(__file__).resolve().parents[2] / "controllerkit" / "apiserver" / "data" / "schemas.json"
PREFIX = "#/components/schemas/"
KINDS = {
    "v1": "Namespace Node Pod Service Endpoints PersistentVolume PersistentVolumeClaim ConfigMap Secret "
    "ServiceAccount Event Binding",
    "apps/v1": "Deployment StatefulSet ReplicaSet DaemonSet ControllerRevision",
    "batch/v1": "Job CronJob",
    "coordination.k8s.io/v1": "Lease",
    "discovery.k8s.io/v1": "EndpointSlice",
    "events.k8s.io/v1": "Event",
    "policy/v1": "PodDisruptionBudget",
    "storage.k8s.io/v1": "StorageClass",
    "rbac.authorization.k8s.io/v1": "Role RoleBinding ClusterRole ClusterRoleBinding",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "admissionregistration.k8s.io/v1": "MutatingWebhookConfiguration ValidatingWebhookConfiguration",
    "authentication.k8s.io/v1": "TokenReview",
    "authorization.k8s.io/v1": "SelfSubjectAccessReview",
}
KEPT = frozenset(
    {
        "$ref",
        "type",
        "format",
        "properties",
        "items",
        "additionalProperties",
        "required",
        "enum",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
        "x-kubernetes-patch-merge-key",
        "x-kubernetes-patch-strategy",
    }
)


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without prose, with ``allOf: [$ref]`` as ``$ref``, and references by bare name."""
    if "allOf" in schema:
        schema = {**schema, **schema["allOf"][0]}
    kept = {key: value for key, value in schema.items() if key in KEPT}
    if "$ref" in kept:
        kept["$ref"] = kept["$ref"].removeprefix(PREFIX)
    if "properties" in kept:
        kept["properties"] = {name: compact(child) for name, child in kept["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = compact(kept[key])
    if "oneOf" in schema and "format" not in kept:
        kept["format"] = "quantity"
    return kept


def references(schema: Any) -> set[str]:
    """Names of the definitions this one speaks of."""
    if isinstance(schema, dict):
        found = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
        return found.union(*(references(value) for value in schema.values()))
    return set().union(*(references(value) for value in schema)) if isinstance(schema, list) else set()


def bundle(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Kinds to definition names, and every definition they reach."""
    everything: dict[str, dict[str, Any]] = {}
    for document in documents.values():
        everything |= {name: compact(schema) for name, schema in document["components"]["schemas"].items()}
    kinds: dict[str, str] = {}
    for api_version, names in KINDS.items():
        group, _, version = api_version.rpartition("/")
        for name, schema in documents[api_version]["components"]["schemas"].items():
            for gvk in schema.get("x-kubernetes-group-version-kind", ()):
                if (gvk["group"], gvk["version"]) == (group, version) and gvk["kind"] in names.split():
                    kinds[f"{api_version}/{gvk['kind']}"] = name
    reached: dict[str, Any] = {}
    pending = sorted(set(kinds.values()))
    while pending:
        name = pending.pop()
        if name not in reached:
            reached[name] = everything[name]
            pending += references(everything[name])
    return {"kinds": dict(sorted(kinds.items())), "definitions": dict(sorted(reached.items()))}


async def read(url: str, session: aiohttp.ClientSession) -> dict[str, Any]:
    """The bundle of the API server at ``url``."""
    documents = {}
    for api_version in KINDS:
        path = f"api/{api_version}" if "/" not in api_version else f"apis/{api_version}"
        async with session.get(f"{url}/openapi/v3/{path}") as response:
            response.raise_for_status()
            documents[api_version] = await response.json(content_type=None)
    return bundle(documents)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with ControlPlane(cache=BinaryCache(), data_dir=Path(folder), with_controllers=False) as plane:
            connector = aiohttp.TCPConnector(ssl=plane.ssl_context())
            headers = {"Authorization": f"Bearer {plane.token}"}
            async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
                value = await read(plane.url, session)
    TARGET.write_text(json.dumps(value, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
