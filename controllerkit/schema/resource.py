"""`Resource`: a custom resource as a pydantic model, and back to the object it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from controllerkit.errors import BadRequest, ConfigError
from controllerkit.objects import Key, Kind, Object

__all__ = ["ApiModel", "Metadata", "Resource"]


class ApiModel(BaseModel):
    """A part of a resource: snake_case in Python, camelCase in the API, unknown fields refused nowhere.

    The server prunes what its schema does not know, so a reader must accept what a newer schema adds.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Metadata(ApiModel):
    """The part of ``metadata`` that one writes."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()


class Resource(ApiModel):
    """Subclass it to declare a custom resource; fields are usually ``spec`` and ``status``.

    Class arguments:
        group, version: required, for a class that is used.
        kind: the class name. plural: the kind in lower case with an "s". namespaced: True.

    >>> class Website(Resource, group="example.dev", version="v1"):
    ...     spec: dict[str, Any] = {}
    >>> Website.resource_kind().path("default", "a")
    '/apis/example.dev/v1/namespaces/default/websites/a'
    >>> Website(metadata=Metadata(name="a"), spec={"x": 1}).to_dict()["spec"]
    {'x': 1}
    """

    metadata: Metadata = Field(default_factory=Metadata)

    _kind: ClassVar[Kind | None] = None
    _source: Object | None = None

    def __init_subclass__(cls, **_: Any) -> None:
        """Keeps the class arguments from ``object``, which takes none; pydantic hands them to the method below."""
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        group: str | None = None,
        version: str | None = None,
        kind: str | None = None,
        plural: str | None = None,
        namespaced: bool = True,
        **kwargs: Any,
    ) -> None:
        """Takes the class arguments."""
        super().__pydantic_init_subclass__(**kwargs)
        if group is not None or version is not None:
            if not group or not version:
                raise ConfigError(f"{cls.__name__}: a Resource needs both group and version, got {group=} {version=}")
            name = kind or cls.__name__
            cls._kind = Kind(group, version, name, plural or name.lower() + "s", namespaced=namespaced)

    @classmethod
    def resource_kind(cls) -> Kind:
        """The type's names.

        Raises:
            ConfigError: the class was declared without group and version.
        """
        if cls._kind is None:
            raise ConfigError(
                f"{cls.__name__} has no group and version: class {cls.__name__}(Resource, group=…, version=…)"
            )
        return cls._kind

    @classmethod
    def from_object(cls, value: Object) -> Self:
        """The typed form; the object itself stays at hand as ``source``.

        Raises:
            BadRequest: a field has a value that the model does not take; the message names each path and why.
        """
        try:
            typed = cls.model_validate(value.body)
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise BadRequest(f"{value.kind} {value.key} does not fit {cls.__name__}: {problems}") from error
        typed._source = value
        return typed

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.metadata.namespace, self.metadata.name)

    @property
    def source(self) -> Object:
        """The object this was read from; for one made here, its own form."""
        return self._source if self._source is not None else self.to_object()

    def to_dict(self) -> Mapping[str, Any]:
        """As the API writes it: unset fields are left out."""
        kind = self.resource_kind()
        value = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        return {"apiVersion": kind.api_version, "kind": kind.kind, **value}

    def to_object(self) -> Object:
        """Encoded."""
        return Object.from_bytes(msgspec.json.encode(self.to_dict()))
