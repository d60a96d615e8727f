"""OpenAPI: enough for kubectl to know that the server validates fields, and how kinds are merged.

Version 3 holds every served kind with its structure and, per write, the query parameters clients look for.
Version 2 holds the same definitions in the older form. Descriptions are not served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from controllerkit.apiserver.resources import Resource, Version
from controllerkit.apiserver.shapes import builtin_definition_name, builtin_definitions

__all__ = ["V2_PROTOBUF", "V2_PROTOBUF_TYPE", "openapi_v2", "openapi_v3", "openapi_v3_index"]

Value = dict[str, Any]

_V3: Final = "#/components/schemas/"
_V2: Final = "#/definitions/"
_QUERY: Final = ("dryRun", "fieldManager", "fieldValidation", "force", "pretty")
_PATCHES: Final = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
V2_PROTOBUF_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V2_PROTOBUF: Final = b"\x0a\x032.0\x12\x19\x0a\x0aKubernetes\x12\x0bunversioned"
"""A version 2 document without definitions, as the protobuf that kubectl asks for.

kubectl reads it only for kinds that version 3 does not hold (a CustomResourceDefinition and its first object in one
file), finds no definition, and leaves validation to the server.
"""

_OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def _served(resources: Iterable[Resource]) -> dict[str, list[tuple[Resource, Version]]]:
    found: dict[str, list[tuple[Resource, Version]]] = {}
    for resource in resources:
        for version in resource.versions.values():
            if version.served:
                prefix = f"apis/{resource.group}/{version.name}" if resource.group else f"api/{version.name}"
                found.setdefault(prefix, []).append((resource, version))
    return found


def openapi_v3_index(resources: Iterable[Resource], revision: int) -> Value:
    """The body of /openapi/v3. ``revision`` changes with the definitions, so that clients read again."""
    paths = {}
    for prefix in _served(resources):
        digest = hashlib.sha256(f"{prefix}/{revision}".encode()).hexdigest().upper()
        paths[prefix] = {"serverRelativeURL": f"/openapi/v3/{prefix}?hash={digest}"}
    return {"paths": paths}


def _definition_name(resource: Resource, version: Version) -> str:
    known = builtin_definition_name(resource.api_version(version.name), resource.kind)
    reverse = ".".join(reversed(resource.group.split(".")))
    return known or f"{reverse}.{version.name}.{resource.kind}"


def _gvk(resource: Resource, version: Version) -> Value:
    return {"group": resource.group, "version": version.name, "kind": resource.kind}


def _refer(schema: Any, prefix: str) -> Any:
    """The schema with references as the document spells them."""
    if isinstance(schema, Mapping):
        copied = {key: _refer(child, prefix) for key, child in schema.items()}
        name = schema.get("$ref")
        if isinstance(name, str):
            copied["$ref"] = prefix + name
        if schema.get("format") == "quantity":
            copied.pop("format")
        return copied
    return [_refer(child, prefix) for child in schema] if isinstance(schema, list) else schema


def _names(schema: Any) -> set[str]:
    if isinstance(schema, Mapping):
        own = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*(_names(child) for child in schema.values()))
    return set().union(*(_names(child) for child in schema)) if isinstance(schema, list) else set()


def _definitions(pairs: Iterable[tuple[Resource, Version]], prefix: str) -> Value:
    builtin = builtin_definitions()
    found: Value = {}
    pending: list[str] = []
    for resource, version in pairs:
        name = _definition_name(resource, version)
        if version.schema is None:
            schema: Value = _refer(builtin.get(name, {"type": "object"}), prefix)
            pending += sorted(_names(builtin.get(name, {})))
        else:
            properties = {
                **(version.schema.get("properties") or {}),
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"$ref": prefix + _OBJECT_META},
            }
            schema = {**version.schema, "properties": properties}
            pending.append(_OBJECT_META)
        found[name] = {**schema, "x-kubernetes-group-version-kind": [_gvk(resource, version)]}
    while pending:
        name = pending.pop()
        if name not in found and name in builtin:
            found[name] = _refer(builtin[name], prefix)
            pending += sorted(_names(builtin[name]))
    return found


def _parameters() -> list[Value]:
    return [{"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in _QUERY]


def _operation(action: str, resource: Resource, version: Version) -> Value:
    reference = {"schema": {"$ref": _V3 + _definition_name(resource, version)}}
    operation: Value = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(resource, version),
        "parameters": _parameters(),
        "responses": {"200": {"description": "OK", "content": {"application/json": reference}}},
    }
    if action == "patch":
        # kubectl chooses the patch it sends by this: custom resources have no strategic merge.
        accepted = _PATCHES if version.schema is None else _PATCHES[:-1]
        operation["requestBody"] = {"content": {kind: {"schema": {"type": "object"}} for kind in accepted}}
    elif action != "get":
        operation["requestBody"] = {"content": {"application/json": reference}}
    return operation


def _paths(prefix: str, resource: Resource, version: Version) -> Value:
    below = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"/{prefix}{below}/{resource.plural}"
    paths: Value = {collection: {"post": _operation("post", resource, version)}}
    if "get" in resource.verbs:
        paths[collection + "/{name}"] = {verb: _operation(verb, resource, version) for verb in ("get", "put", "patch")}
    return paths


def openapi_v3(resources: Iterable[Resource], prefix: str) -> Value | None:
    """The body of /openapi/v3/PREFIX; None where nothing is served there."""
    pairs = _served(resources).get(prefix)
    if pairs is None:
        return None
    paths: Value = {}
    for resource, version in pairs:
        paths |= _paths(prefix, resource, version)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": _definitions(pairs, _V3)},
    }


def openapi_v2(resources: Iterable[Resource]) -> Value:
    """The body of /openapi/v2."""
    pairs = [pair for group in _served(resources).values() for pair in group]
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": {},
        "definitions": _definitions(pairs, _V2),
    }
