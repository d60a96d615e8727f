"""Patches: JSON merge patch (RFC 7386), JSON patch (RFC 6902), and which kind accepts which."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import jsonpatch
import msgspec
import yaml
from jsonpointer import JsonPointerException

from controllerkit.apiserver.apply import apply
from controllerkit.apiserver.registry import Registry, Written, plain_error
from controllerkit.apiserver.requests import Target, WriteOptions
from controllerkit.apiserver.status import EMPTY, unsupported_media_type
from controllerkit.apiserver.strategic import strategic_merge
from controllerkit.apiserver.structural import prune
from controllerkit.apiserver.typed import TypeMismatch, conform, conform_metadata
from controllerkit.errors import BadRequest, Invalid, NotFound, UnsupportedMediaType
from controllerkit.objects import split_api_version

__all__ = ["json_patch", "merge_patch", "patch_object", "patched"]

Value = dict[str, Any]

JSON: Final = "application/json-patch+json"
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
_TYPES: Final = (JSON, MERGE, STRATEGIC, APPLY)
_OPERATIONS_MAX: Final = 10_000


def merge_patch(value: Any, patch: Any) -> Any:
    """``value`` with ``patch`` merged in; null removes. Neither argument is changed.

    >>> merge_patch({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": 4}})
    {'b': {'c': 4, 'd': 3}}
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, child in patch.items():
        if child is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), child)
    return merged


def json_patch(value: Value, operations: list[Any]) -> Any:
    """``value`` after the operations, in a copy.

    Raises:
        Invalid: a path is not there, or a test failed; as the real server, without saying which.
    """
    if len(operations) > _OPERATIONS_MAX:
        raise Invalid(f"The allowed maximum operations in a JSON patch is {_OPERATIONS_MAX}, got {len(operations)}")
    try:
        return jsonpatch.JsonPatch(operations).apply(value, in_place=False)
    except (jsonpatch.JsonPatchException, JsonPointerException, KeyError, TypeError, IndexError) as error:
        raise Invalid("the server rejected our request due to an error in our request", details=EMPTY) from error


def _decode(body: bytes, wanted: type) -> Any:
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    if not isinstance(value, wanted):
        found, expected = (
            type(value).__name__,
            "[]handlers.jsonPatchOp" if wanted is list else "map[string]interface {}",
        )
        word = {"dict": "object", "list": "array"}.get(found, found)
        raise BadRequest(f"error decoding patch: json: cannot unmarshal {word} into Go value of type {expected}")
    return value


def check_type(content_type: str, *, custom: bool) -> None:
    """Raises UnsupportedMediaType for what the kind does not accept."""
    if content_type not in _TYPES:
        raise UnsupportedMediaType("415: Unsupported Media Type", details=EMPTY)
    if custom and content_type == STRATEGIC:
        raise unsupported_media_type((JSON, MERGE, APPLY))


def patched(target: Target, current: Value, content_type: str, body: bytes) -> Value:
    """``current`` after the patch of one of the three types that need an object to be there."""
    if content_type == JSON:
        value = json_patch(current, _decode(body, list))
    elif content_type == MERGE:
        value = merge_patch(current, _decode(body, dict))
    else:
        value = strategic_merge(target.version.shape, current, _decode(body, dict))
    if not isinstance(value, dict):
        raise BadRequest("the patch leaves no object")
    return value


def patch_object(
    registry: Registry, target: Target, content_type: str, body: bytes, options: WriteOptions, now: datetime
) -> Written:
    """Patches the object, or its status; an apply creates what is not there."""
    check_type(content_type, custom=target.version.schema is not None)
    if content_type == APPLY:
        return _apply(registry, target, body, options, now)
    item = registry.find(target)
    current = registry.outbound(target, item.decode())
    managers = current["metadata"].get("managedFields")
    value = patched(target, current, content_type, body)
    value.setdefault("metadata", {})
    if value["metadata"].get("managedFields") is None and managers:
        value["metadata"]["managedFields"] = managers
    return registry.update(target, value, options, now, patched=True)


def _type_of(config: Value) -> str:
    group, version = split_api_version(str(config.get("apiVersion") or ""))
    return f"{group}/{version}, Kind={config.get('kind') or ''}"


def _check_declared(target: Target, config: Value) -> None:
    """An applied field that the schema does not know cannot be owned, so it is refused and not dropped."""
    copied = msgspec.json.decode(msgspec.json.encode(config))
    try:
        if target.version.schema is None:
            unknown = conform(target.version.shape, copied, target.resource.kind)
        else:
            unknown = [*conform_metadata(copied, target.resource.kind), *prune(target.version.shape, copied)]
    except TypeMismatch:
        # Decoding says it better.
        return
    if unknown:
        metadata = config["metadata"]
        name = f"{metadata.get('namespace', '')}/{metadata['name']}"
        raise plain_error(
            f"failed to create typed patch object ({name}; {_type_of(config)}): .{unknown[0]}: "
            "field not declared in schema"
        )


def _apply(registry: Registry, target: Target, body: bytes, options: WriteOptions, now: datetime) -> Written:
    try:
        config = yaml.safe_load(body) if not body.lstrip().startswith(b"{") else msgspec.json.decode(body)
    except (yaml.YAMLError, msgspec.DecodeError) as error:
        raise BadRequest(f"error decoding YAML: {error}") from error
    if not isinstance(config, dict):
        raise BadRequest("error decoding YAML: the applied configuration is no object")
    metadata = config.setdefault("metadata", {})
    metadata.setdefault("name", target.name)
    if not config.get("apiVersion") or not config.get("kind"):
        raise BadRequest(f"invalid object type: {_type_of(config)}")
    _check_declared(target, config)
    if metadata["name"] != target.name:
        raise BadRequest(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({target.name})"
        )
    live: Value | None
    try:
        live = registry.outbound(target, registry.find(target).decode())
    except NotFound:
        if target.subresource:
            raise
        live = None
    value = apply(
        live,
        config,
        target.version.shape,
        manager=options.manager,
        api_version=target.api_version,
        subresource=target.subresource,
        force=options.force,
        now=now,
    )
    if live is None:
        return registry.create(target, value, options, now)
    return registry.update(target, value, options, now, patched=True)
