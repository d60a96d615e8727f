"""Conversion between the versions of one kind, through its hub. No I/O here: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from controllerkit.errors import ApiError, BadRequest, ConfigError, MalformedObject
from controllerkit.objects import GVK, Object
from controllerkit.schema import Resource
from controllerkit.webhook.admission import check_body

__all__ = ["Conversions", "Spoke", "convert_review"]

VERSION: Final = "apiextensions.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Spoke:
    """A version that is converted to the hub and back by two functions.

    A class with the methods ``to_hub(self)`` and ``from_hub(hub)`` (a classmethod) is taken for its own spoke.
    """

    model: type[Resource]
    to_hub: Callable[[Any], Resource]
    from_hub: Callable[[Any], Resource]

    @classmethod
    def of(cls, model: type[Resource] | Spoke) -> Spoke:
        """Raises ConfigError where the class has not both methods."""
        if isinstance(model, Spoke):
            return model
        to_hub, from_hub = getattr(model, "to_hub", None), getattr(model, "from_hub", None)
        if not callable(to_hub) or not callable(from_hub):
            raise ConfigError(
                f"{model.__name__} is no spoke: it needs the methods to_hub(self) and from_hub(hub), a classmethod"
            )
        return cls(model, to_hub, from_hub)


class Conversions:
    """How objects become another version; a spoke becomes another through the hub.

    Guarantees:
        Metadata stays as it was, but for labels and annotations where the function sets ``metadata``: more the API
        server does not take. What a model does not know is lost, as the model's own ``to_dict`` says.
    """

    def __init__(self) -> None:
        self._hubs: dict[tuple[str, str], type[Resource]] = {}
        self._spokes: dict[GVK, Spoke] = {}

    def add(self, hub: type[Resource], *spokes: type[Resource] | Spoke) -> None:
        """Registers the versions of one kind.

        Raises:
            ConfigError: the kind has a hub, a version is there twice, or is of another group or kind than the hub.
        """
        kind = hub.resource_kind()
        if (kind.group, kind.kind) in self._hubs:
            raise ConfigError(f"{kind.kind} of {kind.group} has a hub: add all its spokes at once")
        found: dict[GVK, Spoke] = {}
        for spoke in map(Spoke.of, spokes):
            gvk = spoke.model.resource_kind().gvk
            if (gvk.group, gvk.kind) != (kind.group, kind.kind):
                raise ConfigError(f"{spoke.model.__name__} is {gvk}, no version of the hub {kind}")
            if gvk in found or gvk == kind.gvk:
                raise ConfigError(f"{gvk.kind} of {gvk.api_version} is registered twice; leave one out")
            found[gvk] = spoke
        if not found:
            raise ConfigError(f"the hub {kind} has no spoke, so there is nothing to convert")
        self._hubs[kind.group, kind.kind] = hub
        self._spokes |= found

    def convert(self, value: Object, desired: str) -> Mapping[str, Any]:
        """``value`` in the apiVersion ``desired``.

        Raises:
            BadRequest: the kind has no hub, one of the versions is unknown or of another group, or both are the same.
            Exception: whatever the functions raise.
        """
        source, target = value.gvk, GVK.of(desired, value.kind)
        what = f"{source.kind} {value.key} of {source.api_version}"
        if source.group != target.group:
            raise BadRequest(f"{what} cannot become {desired}: that is another group")
        hub = self._hubs.get((source.group, source.kind))
        if hub is None:
            raise BadRequest(f"{what} cannot become {desired}: the kind has no hub here")
        hub_gvk = hub.resource_kind().gvk
        for gvk in (source, target):
            if gvk != hub_gvk and gvk not in self._spokes:
                raise BadRequest(f"{what} cannot become {desired}: {gvk.api_version} is neither hub nor spoke")
        if source == target:
            raise BadRequest(f"{what} is {desired} already")
        given = self._model(source, hub).from_object(value)
        middle = given if source == hub_gvk else _made(self._spokes[source].to_hub, given, hub)
        made = middle if target == hub_gvk else _made(self._spokes[target].from_hub, middle, self._model(target, hub))
        return _with_metadata(made, value)

    def _model(self, gvk: GVK, hub: type[Resource]) -> type[Resource]:
        return hub if gvk == hub.resource_kind().gvk else self._spokes[gvk].model


def _made(function: Callable[[Any], Any], given: Resource, wanted: type[Resource]) -> Resource:
    """What ``function`` makes of ``given``, with the metadata of that where it says none."""
    made = function(given)
    if not isinstance(made, wanted):
        raise TypeError(f"the conversion to {wanted.__name__} returned {type(made).__name__}")
    return made if "metadata" in made.model_fields_set else made.model_copy(update={"metadata": given.metadata})


def _with_metadata(made: Resource, source: Object) -> Mapping[str, Any]:
    """``made`` under the metadata of ``source``, but for labels and annotations."""
    metadata = source.to_dict()["metadata"]
    for name, texts in (("labels", made.metadata.labels), ("annotations", made.metadata.annotations)):
        if texts:
            metadata[name] = dict(texts)
        else:
            metadata.pop(name, None)
    return {**made.to_dict(), "metadata": metadata}


# -- the review: bytes in, bytes out -----------------------------------------------------------------------------------


class _Request(msgspec.Struct, rename="camel"):
    uid: str
    desired_api_version: str = msgspec.field(name="desiredAPIVersion")
    objects: list[msgspec.Raw] = []


class _Review(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    request: _Request | None = None


_decoder: Final = msgspec.json.Decoder(_Review)


def convert_review(
    body: bytes, content_type: str, conversions: Conversions, *, on_panic: Callable[[Exception], None] = lambda _: None
) -> bytes:
    """Answers a ConversionReview, whatever happens: all objects, or a Status that says of the first why not.

    ``on_panic`` is told what is no ApiError.

    Raises:
        ApiError: it cannot be decoded, so that there is no review to answer: 400, or 413.
    """
    check_body(body, content_type)
    try:
        found = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is no ConversionReview: {error}") from error
    if found.kind != "ConversionReview" or found.api_version != VERSION or found.request is None:
        raise BadRequest(f"the body is {found.kind} of {found.api_version}, not a ConversionReview of {VERSION}")
    response = {"uid": found.request.uid, **_converted(found.request, conversions, on_panic)}
    return msgspec.json.encode({"apiVersion": VERSION, "kind": "ConversionReview", "response": response})


def _converted(request: _Request, conversions: Conversions, on_panic: Callable[[Exception], None]) -> Mapping[str, Any]:
    made: Sequence[Mapping[str, Any]]
    try:
        made = [conversions.convert(Object.from_bytes(raw), request.desired_api_version) for raw in request.objects]
    except (ApiError, MalformedObject) as error:
        return _failed(str(error))
    except Exception as error:  # an answer with the reason tells more than a connection that breaks
        on_panic(error)
        return _failed(f"the conversion failed: {type(error).__name__}: {error}")
    return {"result": {"status": "Success"}, "convertedObjects": made}


def _failed(message: str) -> Mapping[str, Any]:
    return {"result": {"status": "Failure", "message": message}, "convertedObjects": []}
