"""Kubernetes' protobuf, read: what Go clients send for built-in kinds where they are not told to send JSON.

Only requests are decoded. Answers are JSON, which every such client accepts beside protobuf. The field numbers
are data, read from the tags of the Go types by ``tests/conformance/extract_protobuf.py``.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

from controllerkit.errors import BadRequest

__all__ = ["CONTENT_TYPE", "decode_protobuf"]

CONTENT_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"
_GROUPS: Final[Mapping[str, str]] = {
    "v1": "core/v1",
    "rbac.authorization.k8s.io/v1": "rbac/v1",
    "meta.k8s.io/v1": "meta/v1",
}
_META_KINDS: Final = frozenset({"DeleteOptions"})
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Value = dict[str, Any]


@cache
def _messages() -> Mapping[str, Mapping[str, tuple[str, str, str]]]:
    raw = (resources.files("controllerkit.apiserver") / "data" / "protobuf.json").read_bytes()
    return msgspec.json.decode(raw, type=dict[str, dict[str, tuple[str, str, str]]])


def decode_protobuf(body: bytes) -> Value:
    """The object in a protobuf body, with apiVersion and kind.

    Raises:
        BadRequest: it is no such body, or of a kind this server does not have.
    """
    try:
        return _decode(body)
    except (IndexError, struct.error, UnicodeDecodeError, msgspec.DecodeError, ValueError) as error:
        raise BadRequest(f"the object provided is unrecognized: {error}") from error


def _decode(body: bytes) -> Value:
    if not body.startswith(_MAGIC):
        raise BadRequest("the object provided is unrecognized: it does not start as Kubernetes' protobuf does")
    envelope = {number: value for number, _, value in _fields(body[len(_MAGIC) :])}
    names = {number: value.decode() for number, _, value in _fields(envelope.get(1, b""))}
    api_version, kind = names.get(1, ""), names.get(2, "")
    package = "meta/v1" if kind in _META_KINDS else _package(api_version)
    message = f"{package}.{kind}"
    if message not in _messages():
        raise BadRequest(f'no kind "{kind}" is registered for version "{api_version}"')
    return {"apiVersion": api_version, "kind": kind, **_message(message, envelope.get(2, b""))}


def _package(api_version: str) -> str:
    """``coordination.k8s.io/v1`` is the package ``coordination/v1``."""
    if api_version in _GROUPS:
        return _GROUPS[api_version]
    group, _, version = api_version.partition("/")
    return f"{group.partition('.')[0]}/{version}"


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """Field number, wire type and raw value of everything in a message."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, wire, value
        elif wire == _BYTES:
            size, position = _varint(data, position)
            if position + size > end:
                raise ValueError("unexpected end of a protobuf message")
            yield number, wire, data[position : position + size]
            position += size
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            yield number, wire, data[position : position + size]
            position += size
        else:
            raise ValueError(f"protobuf wire type {wire} is not used by Kubernetes")


def _message(name: str, data: bytes) -> Value:
    known = _messages()[name]
    decoded: Value = {}
    for number, wire, raw in _fields(data):
        field = known.get(str(number))
        if field is None:
            continue
        json_name, code, flag = field
        if json_name == "":
            decoded |= _message(code, raw)
        elif code.startswith("[]"):
            items = decoded.setdefault(json_name, [])
            items += _packed(raw) if code == "[]i" and wire == _BYTES else [_value(code[2:], raw)]
        elif code.startswith("{}"):
            pair = {inner: one for inner, _, one in _fields(raw)}
            key = pair.get(1, b"").decode()
            decoded.setdefault(json_name, {})[key] = _value(code[2:], pair.get(2, _zero(code[2:])))
        else:
            value = _value(code, raw)
            # Go writes zero values of fields that JSON leaves out.
            if flag or value not in (None, "", 0, False, {}):
                decoded[json_name] = value
    return decoded


def _zero(code: str) -> Any:
    return 0 if code in ("i", "t") else b""


def _packed(data: bytes) -> list[int]:
    values, position = [], 0
    while position < len(data):
        value, position = _varint(data, position)
        values.append(_signed(value))
    return values


def _signed(value: int) -> int:
    """Negative numbers are sent as the 64-bit complement."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _value(code: str, raw: Any) -> Any:
    match code:
        case "s":
            return raw.decode()
        case "i":
            return _signed(raw)
        case "t":
            return bool(raw)
        case "x":
            return base64.b64encode(raw).decode()
        case "d":
            return struct.unpack("<d", raw)[0]
        case "Time":
            return _time(raw)
        case "Quantity":
            return _first(raw, b"").decode()
        case "IntOrString":
            parts = {number: value for number, _, value in _fields(raw)}
            return parts.get(3, b"").decode() if parts.get(1, 0) else _signed(parts.get(2, 0))
        case "Raw":
            inner = _first(raw, b"")
            return msgspec.json.decode(inner) if inner else None
        case "Duration":
            return f"{_signed(_first(raw, 0)) / 1e9:g}s"
        case _ if code.startswith(("[]", "{}")):
            return [_value(code[2:], one) for _, _, one in _fields(raw)]
        case _:
            return _message(code, raw)


def _first(raw: bytes, default: Any) -> Any:
    return next((value for number, _, value in _fields(raw) if number == 1), default)


def _time(raw: bytes) -> str | None:
    parts = {number: value for number, _, value in _fields(raw)}
    if not parts:
        return None
    at = datetime.fromtimestamp(_signed(parts.get(1, 0)), UTC)
    nanos = parts.get(2, 0)
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{nanos // 1000:06d}" if nanos else "") + "Z"
