"""Shapes: what a schema says about structure, in one form for built-in kinds and custom resources.

Pruning, strict decoding, strategic merge and field ownership all walk a value beside its shape. A shape that is
not known (``ANY``) keeps everything below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec

__all__ = ["ANY", "Shape", "builtin_definitions", "builtin_shape", "shape_of_schema"]


class Shape:
    """One node of a schema.

    Attributes:
        type: object, array, string, integer, number, boolean, or "" where anything goes.
        format: of scalars; ``int-or-string`` and ``quantity`` are scalars of two types.
        properties: known fields; None where the value is no struct.
        values: the shape of every value of a map; None where it is no map.
        items: the shape of a list's items.
        preserve: unknown fields are kept.
        embedded: the value is an object of its own, whose apiVersion, kind and metadata are kept.
        list_type: atomic, set or map; list_keys: what identifies the items of a map list.
        atomic: an object that is owned and replaced as one value.
        merge_key, strategy: strategic merge's patchMergeKey and patchStrategy (comma separated).
    """

    __slots__ = (
        "_items",
        "_properties",
        "_values",
        "atomic",
        "embedded",
        "format",
        "list_keys",
        "list_type",
        "merge_key",
        "preserve",
        "schema",
        "strategy",
        "type",
    )

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self.type: str = schema.get("type", "")
        self.format: str = schema.get("format", "")
        if schema.get("x-kubernetes-int-or-string"):
            self.format = "int-or-string"
        self.preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        self.embedded = bool(schema.get("x-kubernetes-embedded-resource"))
        self.list_type: str = schema.get("x-kubernetes-list-type", "")
        self.list_keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        self.atomic = schema.get("x-kubernetes-map-type") == "atomic"
        self.merge_key: str = schema.get("x-kubernetes-patch-merge-key", "")
        self.strategy: tuple[str, ...] = tuple(filter(None, schema.get("x-kubernetes-patch-strategy", "").split(",")))
        self._properties: dict[str, Shape] | None = None
        self._values: Shape | None = None
        self._items: Shape | None = None

    @property
    def properties(self) -> Mapping[str, Shape] | None:
        """Known fields, made at the first look: schemas may be recursive."""
        if self._properties is None and "properties" in self.schema:
            self._properties = {name: shape_of_schema(child) for name, child in self.schema["properties"].items()}
        return self._properties

    @property
    def values(self) -> Shape | None:
        """The shape of a map's values."""
        declared = self.schema.get("additionalProperties")
        if self._values is None and declared not in (None, False):
            self._values = ANY if declared is True else shape_of_schema(declared)
        return self._values

    @property
    def items(self) -> Shape:
        """The shape of a list's items."""
        if self._items is None:
            self._items = shape_of_schema(self.schema["items"]) if "items" in self.schema else ANY
        return self._items

    def field(self, name: str) -> Shape | None:
        """The shape of the field ``name``: declared, a map's value, unknown but kept (``ANY``), or None."""
        properties = self.properties
        if properties is not None and (found := properties.get(name)) is not None:
            return found
        if self.embedded and name in ("apiVersion", "kind", "metadata"):
            return _object_meta() if name == "metadata" else ANY
        if (values := self.values) is not None:
            return values
        if self.preserve or (properties is None and self.type in ("", "object") and not self.schema.get("_closed")):
            return ANY
        return None


ANY: Final = Shape({"x-kubernetes-preserve-unknown-fields": True})


@cache
def _bundle() -> dict[str, Any]:
    raw = (resources.files("controllerkit.apiserver") / "data" / "schemas.json").read_bytes()
    bundle: dict[str, Any] = msgspec.json.decode(raw)
    return bundle


def builtin_definitions() -> Mapping[str, Any]:
    """Every definition of the built-in kinds by its OpenAPI name."""
    definitions: dict[str, Any] = _bundle()["definitions"]
    return definitions


def builtin_definition_name(api_version: str, kind: str) -> str | None:
    """The OpenAPI name of a built-in kind."""
    name: str | None = _bundle()["kinds"].get(f"{api_version}/{kind}")
    return name


_ANY_DEFINITIONS: Final = frozenset(
    {
        "io.k8s.apimachinery.pkg.runtime.RawExtension",
        "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    }
)


@cache
def _definition(name: str) -> Shape:
    return ANY if name in _ANY_DEFINITIONS else Shape(builtin_definitions()[name])


def shape_of_schema(schema: Mapping[str, Any]) -> Shape:
    """The shape of a JSON schema; a reference to a definition may carry list and patch extensions of its own."""
    if name := schema.get("$ref"):
        extensions = {key: value for key, value in schema.items() if key.startswith("x-")}
        return Shape({**builtin_definitions()[name], **extensions}) if extensions else _definition(name)
    return Shape(schema)


@cache
def builtin_shape(api_version: str, kind: str) -> Shape:
    """The shape of a built-in kind."""
    name = builtin_definition_name(api_version, kind)
    return _definition(name) if name else ANY


@cache
def _object_meta() -> Shape:
    return _definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")


def object_meta_shape() -> Shape:
    """The shape of ``metadata``."""
    return _object_meta()
