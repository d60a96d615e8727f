"""What the models of this package are made of: their base class, lists by how they are merged, and texts of a form."""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

from pydantic import ConfigDict, Field

from controllerkit.schema import ApiModel, Resource, list_atomic, list_map, list_set, server_default, wire_schema

__all__ = [
    "CATEGORIES",
    "GROUP",
    "URL",
    "AtomicList",
    "ByteSize",
    "Duration",
    "EmptyByDefault",
    "GoDuration",
    "HttpUrl",
    "IntOrString",
    "ListByName",
    "Model",
    "MonitoringResource",
    "NonEmptyDuration",
    "NonEmptyString",
    "Quantity",
    "SetList",
]

GROUP: Final = "monitoring.coreos.com"
CATEGORIES: Final = ("prometheus-operator",)

T = TypeVar("T")


class Model(ApiModel):
    """A part of a resource, whose validator is built when something is first read with it.

    There are some hundreds of these, and most processes read with few.
    """

    model_config = ConfigDict(defer_build=True)


class MonitoringResource(Resource):
    """The base of the kinds here; its validator too is built at the first reading."""

    model_config = ConfigDict(defer_build=True)


AtomicList = Annotated[list[T], list_atomic()]
SetList = Annotated[list[T], list_set()]
ListByName = Annotated[list[T], list_map("name")]

NonEmptyString = Annotated[str, Field(min_length=1)]
EmptyByDefault = Annotated[str, server_default("")]

Duration = Annotated[
    str,
    Field(
        pattern=r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$",
    ),
]
"""As Prometheus writes durations: ``1d12h``."""

NonEmptyDuration = Annotated[Duration, Field(min_length=1)]

GoDuration = Annotated[str, Field(pattern=r"^(0|(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$")]
"""As Go writes durations, without fractions: ``1h30m``."""

ByteSize = Annotated[str, Field(pattern=r"(^0|([0-9]*[.])?[0-9]+((K|M|G|T|E|P)i?)?B)$")]
"""As Prometheus writes sizes: ``512MB``, ``1.5GiB``."""

HttpUrl = Annotated[str, Field(pattern=r"^(http|https)://.+$")]
URL = Annotated[str, Field(pattern=r"^https?://.+$")]
"""What `HttpUrl` is, as the kinds of v1alpha1 and v1beta1 spell it."""

_NUMBER_OR_TEXT: Final = [{"type": "integer"}, {"type": "string"}]

IntOrString = Annotated[int | str, wire_schema(**{"anyOf": _NUMBER_OR_TEXT, "x-kubernetes-int-or-string": True})]

Quantity = Annotated[
    int | str,
    wire_schema(
        **{
            "anyOf": _NUMBER_OR_TEXT,
            "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
            r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
            "x-kubernetes-int-or-string": True,
        }
    ),
]
"""``resource.Quantity`` as a schema that is generated from its Go type takes it."""
