"""Secrets and ConfigMaps that the selected objects refer to, as data."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.prometheus.tables.rejected import Rejected

__all__ = ["Assets"]

Found = Mapping[tuple[str, str], Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Assets:
    """What was read of the cluster: (namespace, name) → key → bytes.

    A reference is a mapping as the API has it: ``{"name": …, "key": …}`` to a Secret, or ``{"secret": …}`` |
    ``{"configMap": …}``. Its values stay out of ``repr``.
    """

    secrets: Found = field(default_factory=dict, repr=False)
    config_maps: Found = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, secrets: Iterable[Mapping[str, Any]] = (), config_maps: Iterable[Mapping[str, Any]] = ()) -> Assets:
        """From objects as the API returns them.

        Raises:
            Rejected: ``data`` that is no base64.
        """
        return cls(dict(map(_secret, secrets)), dict(map(_config_map, config_maps)))

    def secret(self, namespace: str, reference: Mapping[str, Any]) -> str:
        """The text at ``{"name": …, "key": …}``.

        Raises:
            Rejected: no such Secret, no such key in it, or what is there is no UTF-8.
        """
        return _text("Secret", self.secrets, namespace, reference)

    def config_map(self, namespace: str, reference: Mapping[str, Any]) -> str:
        """The same of a ConfigMap."""
        return _text("ConfigMap", self.config_maps, namespace, reference)

    def either(self, namespace: str, reference: Mapping[str, Any]) -> str:
        """The text at ``{"secret": …}`` or ``{"configMap": …}``; "" where it names neither.

        Raises:
            Rejected: as `secret`; or it names both.
        """
        secret, config_map = reference.get("secret"), reference.get("configMap")
        if secret is not None and config_map is not None:
            raise Rejected("names a Secret and a ConfigMap; name one of them")
        if secret is not None:
            return self.secret(namespace, secret)
        return self.config_map(namespace, config_map) if config_map is not None else ""

    def found(self, namespace: str, reference: Mapping[str, Any] | None) -> str:
        """The text at a reference of either shape, or "" where there is none: what a generator writes of objects that
        were checked before.
        """
        if not reference:
            return ""
        try:
            if "secret" in reference or "configMap" in reference:
                return self.either(namespace, reference)
            return self.secret(namespace, reference)
        except Rejected:
            return ""


def _text(kind: str, found: Found, namespace: str, reference: Mapping[str, Any]) -> str:
    if not isinstance(reference, Mapping):
        raise Rejected(f'is no reference to a {kind}; write one as {{"name": …, "key": …}}')
    name, key = str(reference.get("name") or ""), str(reference.get("key") or "")
    data = found.get((namespace, name))
    if data is None:
        raise Rejected(f"the {kind} {namespace}/{name} is not there; create it or refer to another")
    if key not in data:
        raise Rejected(f"the {kind} {namespace}/{name} has no key {key!r}; it has {sorted(data)}")
    try:
        return data[key].decode()
    except UnicodeDecodeError:
        raise Rejected(f"the value of {key!r} in the {kind} {namespace}/{name} is no UTF-8") from None


def _named(value: Mapping[str, Any]) -> tuple[str, str]:
    metadata = value.get("metadata") or {}
    return metadata.get("namespace") or "", metadata.get("name") or ""


def _secret(value: Mapping[str, Any]) -> tuple[tuple[str, str], dict[str, bytes]]:
    return _named(value), {
        **_decoded("Secret", value, "data"),
        **{key: text.encode() for key, text in (value.get("stringData") or {}).items()},
    }


def _config_map(value: Mapping[str, Any]) -> tuple[tuple[str, str], dict[str, bytes]]:
    return _named(value), {
        **{key: text.encode() for key, text in (value.get("data") or {}).items()},
        **_decoded("ConfigMap", value, "binaryData"),
    }


def _decoded(kind: str, value: Mapping[str, Any], field_: str) -> dict[str, bytes]:
    try:
        return {key: base64.b64decode(text, validate=True) for key, text in (value.get(field_) or {}).items()}
    except (binascii.Error, ValueError):
        raise Rejected("is no base64", field_, f"{kind} {'/'.join(_named(value))}") from None
