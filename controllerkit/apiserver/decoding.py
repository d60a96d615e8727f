"""From the body of a request to a decoded, pruned and defaulted object in the caller's version."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml

from controllerkit.apiserver.defaults import apply_builtin_defaults
from controllerkit.apiserver.protobuf import CONTENT_TYPE, decode_protobuf
from controllerkit.apiserver.requests import Target, WriteOptions
from controllerkit.apiserver.status import FieldError, invalid
from controllerkit.apiserver.structural import apply_defaults, prune
from controllerkit.apiserver.typed import TypeMismatch, conform, conform_metadata
from controllerkit.errors import BadRequest, InternalError

__all__ = ["complete", "decode_body", "decode_object"]

Value = dict[str, Any]


def decode_body(body: bytes, content_type: str, kind: str) -> Value:
    """A JSON, YAML or protobuf document that must be one object.

    Raises:
        BadRequest: it is none; the message names ``kind``, what was expected.
    """
    if content_type == CONTENT_TYPE:
        return decode_protobuf(body)
    shown = body[:30].decode(errors="replace") + (" ..." if len(body) > 30 else "") or "<empty>"
    try:
        value = yaml.safe_load(body) if "yaml" in content_type else msgspec.json.decode(body)
    except (msgspec.DecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        why = str(error) if body else "unexpected end of JSON input"
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; "
            f"json parse error: {why} ({shown})"
        ) from error
    if not isinstance(value, dict):
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; "
            f"json parse error: json: cannot unmarshal {type(value).__name__} into an object ({shown})"
        )
    return value


def decode_object(target: Target, body: Value, options: WriteOptions) -> tuple[Value, list[str]]:
    """``body`` (changed in place) as the server takes it in, and the warnings about it.

    Raises:
        BadRequest: another kind or version, a value of the wrong type, or with Strict an unknown field.
    """
    _check_type(target, body)
    kind = target.resource.kind
    try:
        unknown = _conform(target, body)
    except TypeMismatch as error:
        raise BadRequest(f'{kind} in version "{target.version.name}" cannot be handled as a {kind}: {error}') from error
    sentences = [f'unknown field "{path}"' for path in unknown]
    if sentences and options.validation == "Strict":
        raise BadRequest(
            f'{kind} in version "{target.version.name}" cannot be handled as a {kind}: '
            f"strict decoding error: {', '.join(sentences)}"
        )
    return body, sentences if options.validation == "Warn" else []


def complete(target: Target, value: Value) -> Value:
    """An object that a webhook has changed (changed in place), as the server takes it in.

    Raises:
        InternalError: it is none of its kind any more.
    """
    try:
        _conform(target, value)
    except TypeMismatch as error:
        raise InternalError(f"Internal error occurred: {error}") from error
    return value


def _conform(target: Target, body: Value) -> list[str]:
    kind, schema = target.resource.kind, target.version.schema
    if schema is None:
        unknown = conform(target.version.shape, body, kind)
        if not isinstance(body.get("metadata"), dict):
            body["metadata"] = {}
        if not target.subresource and target.resource.group != "events.k8s.io":
            _secret_text(body)
            apply_builtin_defaults(kind, body)
        return unknown
    unknown = conform_metadata(body, kind)
    unknown += sorted(prune(target.version.shape, body))
    apply_defaults(schema, body)
    return unknown


def _secret_text(body: Value) -> None:
    """``stringData`` is written into ``data`` and not kept."""
    if body.get("kind") != "Secret" or not isinstance(text := body.pop("stringData", None), dict):
        return
    import base64

    data = body.setdefault("data", {})
    data.update({name: base64.b64encode(value.encode()).decode() for name, value in text.items()})


def _check_type(target: Target, body: Value) -> None:
    resource, version = target.resource, target.version
    kind, api_version = body.get("kind"), body.get("apiVersion")
    if version.schema is None:
        # Built-in kinds are known from the path: a body may leave both out.
        body["kind"] = kind or resource.kind
        body["apiVersion"] = api_version or target.api_version
        if body["apiVersion"] != target.api_version:
            raise BadRequest(
                f"the API version in the data ({api_version}) does not match the expected API version "
                f"({target.api_version})"
            )
        if body["kind"] != resource.kind:
            raise BadRequest(
                f'{kind} in version "{version.name}" cannot be handled as a {resource.kind}: converting '
                f"({version.name}.{kind}) to ({resource.kind}): unknown conversion"
            )
        return
    for name, value in (("Kind", kind), ("apiVersion", api_version)):
        if not value:
            shown = msgspec.json.encode(body).decode()
            raise BadRequest(
                f"the object provided is unrecognized (must be of type {resource.kind}): Object '{name}' is "
                f"missing in '{shown}' ({shown[:30]} ...)"
            )
    if api_version != target.api_version:
        raise BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({target.api_version})"
        )
    if kind != resource.kind:
        name = (body.get("metadata") or {}).get("name", "")
        raise invalid(resource.group, str(kind), name, [FieldError.invalid("kind", kind, f"must be {resource.kind}")])
