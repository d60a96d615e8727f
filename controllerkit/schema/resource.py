"""`Resource`: a custom resource as a pydantic model, and back to the object it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from controllerkit.errors import BadRequest, ConfigError
from controllerkit.objects import Key, Kind, Object
from controllerkit.schema.markers import Cel, Keywords

if TYPE_CHECKING:
    from controllerkit.schema.rules import Judgement

__all__ = ["ApiModel", "Column", "Metadata", "Resource", "Scale", "Serving"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``; ``priority`` above 0 is for ``-o wide``."""

    name: str
    path: str
    type: Literal["integer", "number", "string", "boolean", "date"] = "string"
    description: str = ""
    priority: int = 0
    format: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """The subresource ``scale``: where replicas are asked for and told, and the selector of the Pods as text."""

    spec: str = ".spec.replicas"
    status: str = ".status.replicas"
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Serving:
    """The class arguments of a `Resource` that are about how the API serves it."""

    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    scale: Scale | None = None
    selectable: tuple[str, ...] = ()
    served: bool = True
    storage: bool | None = None
    deprecated: bool | str = False


class ApiModel(BaseModel):
    """A part of a resource: snake_case in Python, camelCase in the API, unknown fields refused nowhere.

    The server prunes what its schema does not know, so a reader must accept what a newer schema adds.

    Class arguments:
        rules: what must hold between its fields, as `cel` and `exactly_one_of` make it.
        server_defaults: False where the defaults are for the reader alone: then the server fills none in, and what
            a user did not write stays unwritten. Holds for subclasses too.
        keywords: what joins its schema wherever it stands, as ``[map_atomic()]``. Holds for subclasses too.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    _rules: ClassVar[tuple[Cel, ...]] = ()
    _keywords: ClassVar[tuple[Keywords, ...]] = ()
    _server_defaults: ClassVar[bool] = True

    def __init_subclass__(cls, **_: Any) -> None:
        """Keeps the class arguments from ``object``, which takes none; pydantic hands them to the method below."""
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        rules: Sequence[Cel] = (),
        server_defaults: bool | None = None,
        keywords: Sequence[Keywords] = (),
        **kwargs: Any,
    ) -> None:
        """Takes the class arguments; rules join those of the base classes."""
        super().__pydantic_init_subclass__(**kwargs)
        cls._rules = (*cls._rules, *rules)
        cls._keywords = (*cls._keywords, *keywords)
        if server_defaults is not None:
            cls._server_defaults = server_defaults


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
        singular, short_names, categories: other names, for kubectl.
        columns: what ``kubectl get`` shows, as `Column`. scale: where `Scale` finds replicas.
        selectable: paths such as ``.spec.color`` that field selectors may name.
        served, storage: whether this version is served, and is the one that is stored, where there are several.
        deprecated: True, or the warning that clients get.
        structural: False for a class that only reads objects whose definition is somebody else's, and may so have
            types that no structural schema has. All others are compiled when they are declared, unless a name in
            them is declared later.

    >>> class Website(Resource, group="example.dev", version="v1"):
    ...     spec: dict[str, Any] = {}
    >>> Website.resource_kind().path("default", "a")
    '/apis/example.dev/v1/namespaces/default/websites/a'
    >>> Website(metadata=Metadata(name="a"), spec={"x": 1}).to_dict()["spec"]
    {'x': 1}
    """

    metadata: Metadata = Field(default_factory=Metadata)

    _kind: ClassVar[Kind | None] = None
    _serving: ClassVar[Serving] = Serving()
    _source: Object | None = None

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        group: str | None = None,
        version: str | None = None,
        kind: str | None = None,
        plural: str | None = None,
        namespaced: bool = True,
        singular: str = "",
        short_names: Sequence[str] = (),
        categories: Sequence[str] = (),
        columns: Sequence[Column] = (),
        scale: Scale | None = None,
        selectable: Sequence[str] = (),
        served: bool = True,
        storage: bool | None = None,
        deprecated: bool | str = False,
        structural: bool = True,
        **kwargs: Any,
    ) -> None:
        """Takes the class arguments.

        Raises:
            ConfigError: a field has no structural schema, or a rule cannot be compiled; the message names class,
                field and what to do.
        """
        super().__pydantic_init_subclass__(**kwargs)
        if group is not None or version is not None:
            if not group or not version:
                raise ConfigError(f"{cls.__name__}: a Resource needs both group and version, got {group=} {version=}")
            name = kind or cls.__name__
            cls._kind = Kind(group, version, name, plural or name.lower() + "s", namespaced=namespaced)
            cls._serving = Serving(
                singular,
                tuple(short_names),
                tuple(categories),
                tuple(columns),
                scale,
                tuple(selectable),
                served=served,
                storage=storage,
                deprecated=deprecated,
            )
            if structural and cls.__pydantic_complete__:
                from controllerkit.schema.rules import schema_of

                schema_of(cls)

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
    def serving(cls) -> Serving:
        """How the API serves the type, beside its names and schema."""
        return cls._serving

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

    @property
    def read_from(self) -> Object | None:
        """The object this, or what it is a copy of, was read from; None for one made here."""
        return self._source

    def to_dict(self) -> Mapping[str, Any]:
        """As the API writes it: unset fields are left out."""
        kind = self.resource_kind()
        value = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        return {"apiVersion": kind.api_version, "kind": kind.kind, **value}

    def judge(self, old: Self | None = None) -> Judgement:
        """What the rules of its class say of it, asked here; with ``old``, of the update from that.

        Rules whose answer may differ on the server are left to it, and are in the answer as ``left_to_server``.

        Raises:
            ConfigError: the extra ``cel`` is not installed, or the class has no structural schema.
        """
        from controllerkit.schema.judging import judge_resource

        return judge_resource(type(self), self.to_dict(), None if old is None else old.to_dict())

    def checked(self, old: Self | None = None) -> Self:
        """Itself, where it breaks no rule that can be asked here: ``await client.create(site.checked())``.

        Raises:
            Invalid: it breaks some; ``causes`` names each field and why, as a refusal of the server does.
            ConfigError: as `judge`.
        """
        self.judge(old).raise_if_violated(f"{self.resource_kind().kind} {self.key}")
        return self

    def to_object(self) -> Object:
        """Encoded."""
        return Object.from_bytes(msgspec.json.encode(self.to_dict()))
