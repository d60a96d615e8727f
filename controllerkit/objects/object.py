"""`Object`: a Kubernetes object as the bytes it came in, with its metadata decoded.

A cache of 100,000 objects is mostly bodies nobody reads, so the body stays bytes until someone does. Metadata
is decoded at once, because handlers, predicates, indexes and selectors all need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from controllerkit.errors import MalformedObject
from controllerkit.objects.key import GVK, Key

__all__ = ["Object", "ObjectMeta", "OwnerReference"]


class OwnerReference(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """``metav1.OwnerReference``."""

    api_version: str
    kind: str
    name: str
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The part of ``metav1.ObjectMeta`` that controllers read; managedFields stay in the bytes."""

    name: str = ""
    generate_name: str | None = None
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    metadata: ObjectMeta
    api_version: str = ""
    kind: str = ""


_envelope_decoder: Final = msgspec.json.Decoder(_Envelope)
_body_decoder: Final = msgspec.json.Decoder()
_EMPTY: Final[Mapping[str, str]] = {}
_RECENT_BYTES_MAX: Final = 4 * 2**20
"""A decoded body takes several times its bytes; this many bytes' worth of them are kept in the whole process."""


class _Managed(msgspec.Struct, rename="camel", gc=False):
    managed_fields: msgspec.Raw = msgspec.Raw(b"")


class _ManagedEnvelope(msgspec.Struct, gc=False):
    metadata: _Managed


_managed_decoder: Final = msgspec.json.Decoder(_ManagedEnvelope)


class Object:
    """An immutable snapshot of one object.

    ``body`` decodes at the first read, and again only when many others were read since: treat it as read-only, and
    take ``to_dict()`` (a fresh copy at each call) to change something. Two Objects are equal when they are the same
    bytes.

    Raises:
        MalformedObject: from ``from_bytes`` where the bytes are no JSON object with a ``metadata`` object.

    >>> pod = Object.from_bytes(b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{"nodeName":"n"}}')
    >>> str(pod.key), pod.gvk.kind, pod.spec["nodeName"]
    ('a', 'Pod', 'n')
    """

    __slots__ = ("api_version", "kind", "meta", "raw")

    raw: bytes
    meta: ObjectMeta
    api_version: str
    kind: str

    @classmethod
    def from_bytes(cls, raw: bytes | msgspec.Raw, *, gvk: GVK | None = None) -> Object:
        """Decodes the envelope. ``gvk`` fills in what items of a typed list leave out."""
        try:
            envelope = _envelope_decoder.decode(raw)
        except msgspec.DecodeError as error:
            raise MalformedObject(f"not a Kubernetes object: {error}; it starts {bytes(raw)[:120]!r}") from error
        self = cls.__new__(cls)
        self.raw = bytes(raw)
        self.meta = envelope.metadata
        self.api_version = envelope.api_version or (gvk.api_version if gvk else "")
        self.kind = envelope.kind or (gvk.kind if gvk else "")
        return self

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Object:
        """Encodes ``value``; the mapping is not kept."""
        return cls.from_bytes(msgspec.json.encode(value))

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.meta.namespace, self.meta.name)

    @property
    def gvk(self) -> GVK:
        """Group, version and kind."""
        return GVK.of(self.api_version, self.kind)

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return self.meta.name

    @property
    def namespace(self) -> str:
        """``metadata.namespace``; "" where there is none."""
        return self.meta.namespace

    @property
    def uid(self) -> str:
        """``metadata.uid``."""
        return self.meta.uid

    @property
    def resource_version(self) -> str:
        """``metadata.resourceVersion``: opaque but for equality."""
        return self.meta.resource_version

    @property
    def generation(self) -> int:
        """``metadata.generation``; 0 where the kind has none."""
        return self.meta.generation

    @property
    def labels(self) -> Mapping[str, str]:
        """``metadata.labels``, never None."""
        return self.meta.labels or _EMPTY

    @property
    def annotations(self) -> Mapping[str, str]:
        """``metadata.annotations``, never None."""
        return self.meta.annotations or _EMPTY

    @property
    def owner_references(self) -> Iterable[OwnerReference]:
        """``metadata.ownerReferences``, never None."""
        return self.meta.owner_references or ()

    @property
    def finalizers(self) -> Iterable[str]:
        """``metadata.finalizers``, never None."""
        return self.meta.finalizers or ()

    @property
    def deleting(self) -> bool:
        """Whether a deletion was asked for (``metadata.deletionTimestamp`` is set)."""
        return self.meta.deletion_timestamp is not None

    @property
    def body(self) -> Mapping[str, Any]:
        """The whole object, decoded and shared by all who read it meanwhile: do not change it."""
        return _recently_decoded.body_of(self)

    @property
    def spec(self) -> Mapping[str, Any]:
        """``spec``, {} where there is none."""
        return self.body.get("spec") or {}

    @property
    def status(self) -> Mapping[str, Any]:
        """``status``, {} where there is none."""
        return self.body.get("status") or {}

    def get(self, *path: str, default: Any = None) -> Any:
        """The value at a path of field names, ``default`` where a step is missing or null.

        >>> Object.from_dict({"metadata": {"name": "a"}, "spec": {"x": {"y": 1}}}).get("spec", "x", "y")
        1
        """
        value: Any = self.body
        for step in path:
            if not isinstance(value, Mapping) or (value := value.get(step)) is None:
                return default
        return value

    def without_managed_fields(self) -> Object:
        """This object without the bytes of ``metadata.managedFields``; itself where there are none.

        Anything that is not spelled as API servers spell it stays as it is.
        """
        if b'"managedFields"' not in self.raw:
            return self
        value = bytes(_managed_decoder.decode(self.raw).metadata.managed_fields)
        field = b'"managedFields":' + value
        if not value or self.raw.count(field) != 1:
            return self
        start = self.raw.index(field)
        end = start + len(field)
        if self.raw[end : end + 1] == b",":
            end += 1
        elif self.raw[start - 1 : start] == b",":
            start -= 1
        trimmed = Object.__new__(Object)
        trimmed.raw = self.raw[:start] + self.raw[end:]
        trimmed.meta, trimmed.api_version, trimmed.kind = self.meta, self.api_version, self.kind
        return trimmed

    def to_dict(self) -> dict[str, Any]:
        """A fresh, independent, changeable copy."""
        value: dict[str, Any] = _body_decoder.decode(self.raw)
        if self.api_version:
            value.setdefault("apiVersion", self.api_version)
        if self.kind:
            value.setdefault("kind", self.kind)
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Object) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash((self.meta.uid, self.meta.resource_version, self.meta.name))

    def __repr__(self) -> str:
        return f"<{self.kind or 'Object'} {self.key} rv={self.resource_version or '-'} {len(self.raw)} bytes>"


class _RecentlyDecoded:
    """The bodies read last, bounded by the bytes they came from, the oldest going first.

    An entry holds its object, so that an identity is not taken by another one while it is here.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: dict[int, tuple[Object, dict[str, Any]]] = {}

    def body_of(self, value: Object) -> dict[str, Any]:
        """The decoded body of ``value``."""
        if (entry := self._entries.get(id(value))) is not None:
            return entry[1]
        body: dict[str, Any] = _body_decoder.decode(value.raw)
        body.setdefault("apiVersion", value.api_version)
        body.setdefault("kind", value.kind)
        self._entries[id(value)] = (value, body)
        self._bytes += len(value.raw)
        while self._bytes > self._bytes_max and len(self._entries) > 1:
            oldest, _ = self._entries.pop(next(iter(self._entries)))
            self._bytes -= len(oldest.raw)
        return body


_recently_decoded: Final = _RecentlyDecoded(_RECENT_BYTES_MAX)
