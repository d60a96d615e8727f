"""`Object`: a Kubernetes object as the bytes it came in, with its metadata decoded.

A cache of 100,000 objects is mostly bodies nobody reads, so the body stays bytes until someone does. Metadata
is decoded at once, because handlers, predicates, indexes and selectors all need it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType
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


_ABSENT: Final = msgspec.Raw(b"null")
_EMPTY: Final[Mapping[str, str]] = MappingProxyType({})
_texts_decoder: Final = msgspec.json.Decoder(dict[str, str] | None)


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """The part of ``metav1.ObjectMeta`` that controllers read for every object; the rest stays in the bytes.

    Labels and annotations are views into the object's bytes, decoded where they are read: as dictionaries they would
    take more memory than all the rest.
    """

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    raw_labels: msgspec.Raw = msgspec.field(name="labels", default=_ABSENT)
    raw_annotations: msgspec.Raw = msgspec.field(name="annotations", default=_ABSENT)
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None

    @property
    def labels(self) -> Mapping[str, str]:
        """``labels``, a fresh mapping at each call, never None. Raises MalformedObject where they are no texts."""
        return _texts(self.raw_labels, "labels", self)

    @property
    def annotations(self) -> Mapping[str, str]:
        """``annotations``, as ``labels``."""
        return _texts(self.raw_annotations, "annotations", self)


def _texts(raw: msgspec.Raw, what: str, meta: ObjectMeta) -> Mapping[str, str]:
    if raw is _ABSENT:
        return _EMPTY
    try:
        return _texts_decoder.decode(raw) or _EMPTY
    except msgspec.DecodeError as error:
        raise MalformedObject(f"metadata.{what} of {meta.namespace}/{meta.name}: {error}") from error


class _Envelope(msgspec.Struct, rename="camel"):
    metadata: ObjectMeta
    api_version: str = ""
    kind: str = ""


_envelope_decoder: Final = msgspec.json.Decoder(_Envelope)
_body_decoder: Final = msgspec.json.Decoder()
_RECENT_BYTES_MAX: Final = 4 * 2**20
_RECENT_MAX: Final = 2048
"""A decoded body takes several times its bytes; so many bytes' worth, and so many of them, are kept in the process."""


class _Managed(msgspec.Struct, rename="camel", gc=False):
    managed_fields: msgspec.Raw = msgspec.Raw(b"")


class _ManagedEnvelope(msgspec.Struct, gc=False):
    metadata: _Managed


class _SpecEnvelope(msgspec.Struct, gc=False):
    spec: dict[str, msgspec.Raw] = {}


_spec_decoder: Final = msgspec.json.Decoder(_SpecEnvelope)
_managed_decoder: Final = msgspec.json.Decoder(_ManagedEnvelope)


class Object(msgspec.Struct, eq=False, gc=False):
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

    raw: bytes
    meta: ObjectMeta
    api_version: str
    kind: str
    key: Key

    @classmethod
    def from_bytes(cls, raw: bytes | msgspec.Raw, *, gvk: GVK | None = None) -> Object:
        """Decodes the envelope. ``gvk`` fills in what items of a typed list leave out."""
        data = bytes(raw)  # one copy: what is decoded below holds views into it
        try:
            envelope = _envelope_decoder.decode(data)
        except msgspec.DecodeError as error:
            raise MalformedObject(f"not a Kubernetes object: {error}; it starts {data[:120]!r}") from error
        api_version = envelope.api_version or (gvk.api_version if gvk else "")
        kind = envelope.kind or (gvk.kind if gvk else "")
        meta = envelope.metadata
        msgspec.structs.force_setattr(meta, "namespace", sys.intern(meta.namespace))  # one text for all of a namespace
        return cls(data, meta, sys.intern(api_version), sys.intern(kind), Key(meta.namespace, meta.name))

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Object:
        """Encodes ``value``; the mapping is not kept."""
        return cls.from_bytes(msgspec.json.encode(value))

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
        return self.meta.labels

    @property
    def annotations(self) -> Mapping[str, str]:
        """``metadata.annotations``, never None."""
        return self.meta.annotations

    @property
    def owner_references(self) -> Iterable[OwnerReference]:
        """``metadata.ownerReferences``, never None."""
        return self.meta.owner_references or ()

    @property
    def finalizers(self) -> Iterable[str]:
        """``metadata.finalizers``, never None."""
        return self.meta.finalizers or ()

    @property
    def creation_timestamp(self) -> str:
        """``metadata.creationTimestamp``, "" where there is none; decodes the body."""
        return str(self.get("metadata", "creationTimestamp", default=""))

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

    def spec_fields(self) -> Mapping[str, msgspec.Raw]:
        """The fields of ``spec``, each as its bytes: a comparison at a fraction of what decoding them costs."""
        try:
            return _spec_decoder.decode(self.raw).spec
        except msgspec.DecodeError:
            return {}  # no object, which no schema allows

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
        trimmed = Object.from_bytes(self.raw[:start] + self.raw[end:])  # anew: its views must not hold the old bytes
        trimmed.api_version, trimmed.kind = self.api_version, self.kind
        return trimmed

    @property
    def intact(self) -> bool:
        """Whether nobody has changed the metadata or the shared body in place: they are what the bytes say.

        The bytes never change; but whoever else reads the same body sees such a change. Costs a decoding.
        """
        return bool(_envelope_decoder.decode(self.raw).metadata == self.meta) and _recently_decoded.intact(self)

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
    """The bodies decoded last, bounded by the bytes they came from, the oldest going first.

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
        while len(self._entries) > (1 if self._bytes > self._bytes_max else _RECENT_MAX):
            oldest, _ = self._entries.pop(next(iter(self._entries)))
            self._bytes -= len(oldest.raw)
        return body

    def intact(self, value: Object) -> bool:
        """Whether the body of ``value``, if it is here, is what its bytes say."""
        entry = self._entries.get(id(value))
        if entry is None:
            return True
        return {"apiVersion": value.api_version, "kind": value.kind, **_body_decoder.decode(value.raw)} == entry[1]


_recently_decoded: Final = _RecentlyDecoded(_RECENT_BYTES_MAX)
