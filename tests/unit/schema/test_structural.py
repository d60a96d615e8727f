"""Models and the structural schemas that come of them."""

from __future__ import annotations

import enum
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    AnyUrl,
    AwareDatetime,
    Base64Bytes,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    RootModel,
    StringConstraints,
)
from pydantic import computed_field as computed

from controllerkit.errors import ConfigError
from controllerkit.schema import (
    ApiModel,
    Duration,
    EmbeddedObject,
    Int64,
    IntOrString,
    Quantity,
    Resource,
    at_most_one_of,
    cel,
    exactly_one_of,
    list_atomic,
    list_map,
    list_set,
    map_atomic,
    map_granular,
    nullable,
    preserve_unknown,
    server_default,
    structural_schema,
    wire_schema,
)
from controllerkit.schema.types import DURATION_PATTERN, QUANTITY_PATTERN


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Port(ApiModel):
    """A port.

    What comes after the first paragraph stays here.
    """

    name: str
    port: int = Field(default=80, ge=1, le=65535)


class Secret(ApiModel):
    type: Literal["secret"]
    secret_name: str


class File(ApiModel):
    type: Literal["file"]
    path: str


class ByName(ApiModel):
    name: str


class ByLabels(ApiModel):
    labels: dict[str, str]


class Names(RootModel[list[str]]):
    pass


ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}
STRING, INTEGER = {"type": "string"}, {"type": "integer"}
PORT = {
    "description": "A port.",
    "type": "object",
    "required": ["name"],
    "properties": {"name": STRING, "port": {"type": "integer", "default": 80, "minimum": 1, "maximum": 65535}},
}


def schema_of(annotation: Any, **field: Any) -> Any:
    made = type(
        "Made", (ApiModel,), {"__annotations__": {"value": annotation}, "value": Field(**field), "__module__": __name__}
    )
    return structural_schema(made)["properties"]["value"]


@pytest.mark.parity("1f/crd-generation")
@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, STRING),
        (int, INTEGER),
        (float, {"type": "number"}),
        (int | float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (AwareDatetime, {"type": "string", "format": "date-time"}),
        (date, {"type": "string", "format": "date"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (AnyUrl, {"type": "string", "format": "uri"}),
        (Base64Bytes, {"type": "string", "format": "byte"}),
        (IPv4Address, {"type": "string", "format": "ipv4"}),
        (IPv4Address | IPv6Address, {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
        (Duration, {"type": "string", "format": "duration", "pattern": DURATION_PATTERN}),
        (Quantity, {"pattern": QUANTITY_PATTERN, "x-kubernetes-int-or-string": True}),
        (Int64, {"type": "integer", "format": "int64"}),
        (IntOrString, {"x-kubernetes-int-or-string": True}),
        (int | str, {"x-kubernetes-int-or-string": True}),
        (Any, ANYTHING),
        (JsonValue, ANYTHING),
        (Colour, {"type": "string", "enum": ["red", "blue"]}),
        (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
        (Literal["a"] | Colour, {"type": "string", "enum": ["a", "red", "blue"]}),
        (Annotated[str, Field(pattern="^a")] | Literal["x"],
         {"type": "string", "anyOf": [{"pattern": "^a"}, {"enum": ["x"]}]}),
        (list[str], {"type": "array", "items": STRING}),
        (tuple[Port, ...], {"type": "array", "items": PORT}),
        (list[Any], {"type": "array", "items": ANYTHING}),
        (set[str], {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}),
        (Names, {"type": "array", "items": STRING}),
        (dict[str, str], {"type": "object", "additionalProperties": STRING}),
        (dict[str, list[int]], {"type": "object", "additionalProperties": {"type": "array", "items": INTEGER}}),
        (dict[str, Any], {"type": "object", **ANYTHING}),
        (dict, {"type": "object", **ANYTHING}),
        (EmbeddedObject, {"type": "object", "x-kubernetes-embedded-resource": True, **ANYTHING}),
        (Port, PORT),
        (Annotated[Decimal, wire_schema(type="string", format="decimal")], {"type": "string", "format": "decimal"}),
        (Annotated[int, Field(gt=0, lt=10, multiple_of=3)],
         {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 10, "exclusiveMaximum": True,
          "multipleOf": 3}),
        (Annotated[str, StringConstraints(min_length=1, max_length=9, pattern=r"^\w+$")],
         {"type": "string", "minLength": 1, "maxLength": 9, "pattern": r"^\w+$"}),
        (Annotated[list[Annotated[str, Field(max_length=3)]], Field(min_length=1, max_length=2)],
         {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string", "maxLength": 3}}),
        (Annotated[dict[str, int], Field(max_length=2)],
         {"type": "object", "maxProperties": 2, "additionalProperties": INTEGER}),
        (Annotated[list[Port], list_map("name", "port")],
         {"type": "array", "items": PORT, "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["name", "port"]}),
        (Annotated[list[str], list_set()], {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}),
        (Annotated[list[str], list_atomic()], {"type": "array", "items": STRING, "x-kubernetes-list-type": "atomic"}),
        (Annotated[dict[str, str], map_atomic()],
         {"type": "object", "additionalProperties": STRING, "x-kubernetes-map-type": "atomic"}),
        (Annotated[dict[str, str], map_granular()],
         {"type": "object", "additionalProperties": STRING, "x-kubernetes-map-type": "granular"}),
        (Annotated[Port, preserve_unknown()], {**PORT, **ANYTHING}),
        (Annotated[str | None, nullable()], {"type": "string", "nullable": True}),
        (Annotated[int, cel("self % 2 == 1", "must be odd")],
         {"type": "integer", "x-kubernetes-validations": [{"rule": "self % 2 == 1", "message": "must be odd"}]}),
    ],
)  # fmt: skip
def test_a_type_has_one_structural_schema(annotation: Any, expected: Any) -> None:
    assert schema_of(annotation) == expected


def test_a_discriminated_union_is_one_object_of_which_a_rule_demands_one_shape() -> None:
    assert schema_of(Annotated[Secret | File, Field(discriminator="type")]) == {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"type": "string", "enum": ["secret", "file"]},
            "secretName": STRING,
            "path": STRING,
        },
        "oneOf": [
            {"required": ["type", "secretName"], "properties": {"type": {"enum": ["secret"]}}},
            {"required": ["type", "path"], "properties": {"type": {"enum": ["file"]}}},
        ],
    }


def test_a_union_of_models_demands_the_required_fields_of_one() -> None:
    assert schema_of(ByName | ByLabels | None, default=None) == {
        "type": "object",
        "properties": {"name": STRING, "labels": {"type": "object", "additionalProperties": STRING}},
        "anyOf": [{"required": ["name"]}, {"required": ["labels"]}],
    }


class Inner(ApiModel):
    replicas: int = 1
    note: str = ""


class ReaderOnly(ApiModel, server_defaults=False):
    size: int = 3
    inner: Inner = Field(default_factory=Inner)


@pytest.mark.parametrize(
    ("annotation", "field", "default"),
    [
        (int, {"default": 3}, 3),
        (bool, {"default": False}, False),
        (Colour, {"default": Colour.RED}, "red"),
        (Duration, {"default": timedelta(minutes=90)}, "1h30m0s"),
        (Quantity, {"default": Quantity("1Gi")}, "1Gi"),
        (Quantity, {"default": "1Gi"}, "1Gi"),
        (tuple[str, ...], {"default": ("a", "b")}, ["a", "b"]),
        (Port, {"default": Port(name="web")}, {"name": "web"}),
        (Inner, {"default_factory": Inner}, {}),
        (dict[str, Any], {"default_factory": lambda: {"a": 1}}, {"a": 1}),
        (int | None, {"default": None}, None),
        (str, {"default": ""}, None),
        (Annotated[str, server_default("")], {"default": ""}, ""),
        (list[str], {"default_factory": list}, None),
    ],
)
def test_what_a_reader_fills_in_the_server_does_too_unless_it_is_empty(
    annotation: Any, field: Any, default: Any
) -> None:
    assert schema_of(annotation, **field).get("default") == default


def test_a_default_with_rules_is_written_whole_for_the_server_asks_them_of_it_as_it_stands() -> None:
    class Ruled(ApiModel, rules=[cel("self.low < self.high")]):
        low: int = 1
        high: int = 2
        note: str = ""

    assert schema_of(Ruled, default_factory=Ruled)["default"] == {"low": 1, "high": 2}


def test_defaults_can_be_left_to_the_reader_all_the_way_down() -> None:
    class Root(Resource, group="example.dev", version="v1"):
        spec: ReaderOnly = Field(default_factory=ReaderOnly)

    text = str(structural_schema(Root))
    assert "default" not in text


def test_the_server_fills_nothing_into_a_status() -> None:
    class Root(Resource, group="example.dev", version="v1"):
        spec: Inner
        status: Inner = Field(default_factory=Inner)

    schema = structural_schema(Root)
    assert "default" not in str(schema["properties"]["status"])
    assert schema["required"] == ["spec"]
    assert list(schema["properties"]) == ["apiVersion", "kind", "metadata", "spec", "status"]


def test_keywords_of_a_class_stand_wherever_it_does_and_its_subclasses() -> None:
    class Selector(ApiModel, keywords=[map_atomic()]):
        key: str

    class Named(Selector):
        name: str

    class Root(ApiModel):
        one: Selector
        many: list[Named]
        some: Annotated[Selector | None, Field(description="Its own words.")] = None

    properties = structural_schema(Root)["properties"]
    assert properties["one"]["x-kubernetes-map-type"] == "atomic"
    assert properties["many"]["items"]["x-kubernetes-map-type"] == "atomic"
    assert properties["some"] == {**properties["one"], "description": "Its own words."}
    assert "description" not in properties["one"]


def test_a_model_in_the_spec_and_in_the_status_has_defaults_in_the_one_alone() -> None:
    class Root(Resource, group="example.dev", version="v1"):
        status: Inner = Field(default_factory=Inner)
        spec: Inner

    properties = structural_schema(Root)["properties"]
    assert properties["spec"]["properties"]["replicas"] == {"type": "integer", "default": 1}
    assert properties["status"]["properties"]["replicas"] == {"type": "integer"}


def test_rules_of_a_class_and_of_its_bases_are_on_the_object() -> None:
    class Base(ApiModel, rules=[exactly_one_of("byName", "namespace")]):
        by_name: str | None = None
        namespace: str | None = None

    class Derived(Base, rules=[at_most_one_of("a", "b")]):
        a: int | None = None
        b: int | None = None

    assert structural_schema(Derived)["x-kubernetes-validations"] == [
        {
            "rule": "[has(self.byName), has(self.__namespace__)].filter(given, given).size() == 1",
            "message": "exactly one of byName, namespace must be given",
        },
        {
            "rule": "[has(self.a), has(self.b)].filter(given, given).size() <= 1",
            "message": "at most one of a, b may be given",
        },
    ]


def test_a_models_docstring_and_a_fields_description_reach_the_user_as_plain_text() -> None:
    class Described(ApiModel):
        """A ``port``
        in two lines.

        More for developers.
        """

        port: Port = Field(description="Where it ``listens``.")

    schema = structural_schema(Described)
    assert schema["description"] == "A port in two lines."
    assert schema["properties"]["port"]["description"] == "Where it listens."


class Recursive(ApiModel):
    children: list[Recursive] = Field(default_factory=list)


class Computed(ApiModel):
    size: int = 0

    @computed
    def double(self) -> int:
        return 2 * self.size


class OtherType(ApiModel):
    name: int


class Website(Resource, group="example.dev", version="v1"):
    spec: dict[str, Any] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (timedelta, "Made.value: timedelta has no form in a structural schema; use controllerkit.schema.Duration"),
        (Decimal, "Made.value: Decimal has no form .*; use controllerkit.schema.Quantity, or float"),
        (bytes, "Made.value: bytes has no form in a structural schema; use pydantic.Base64Bytes"),
        (time, "Made.value: time has no form .* use str with a pattern"),
        (complex, "Made.value: complex has no form"),
        (list[timedelta], "Made.value: timedelta has no form"),
        (tuple[int, str], "Made.value: items of a fixed number and order cannot be described; use tuple"),
        (dict[int, str], "Made.value: keys of type int cannot be described; use dict"),
        (str | list[str], r"Made.value: str \| list.* has several types"),
        (Literal[1, "a"], "Made.value: the values .* are of several types"),
        (ByName | OtherType, r"Made.value: name differs between ByName \| OtherType"),
        (str | None, "Made.value: it is required and may be None, which is not sent; give it the default None"),
        (Recursive, "Recursive.children: Recursive → Recursive is recursive"),
        (Computed, "Computed.double: a computed field would be sent to a server that does not know it"),
        (Website, "Made.value: Website is a resource of its own; use EmbeddedObject"),
        (Annotated[str, list_set()], "Made.value: x-kubernetes-list-type set is for lists"),
        (Annotated[list[Port], list_set()], "Made.value: a set holds scalars; use list_map"),
        (Annotated[list[Port], list_map("id")], "Made.value: list_map key 'id' is no field of its items; one of name"),
        (Annotated[list[Inner], list_map("note")], "Made.value: list_map key 'note' may be absent"),
        (Annotated[list[Port], list_map()], "Made.value: list_map without keys"),
        (Annotated[int, Field(max_length=3)], "Made.value"),
        (Annotated[str, PlainSerializer(str.upper)], "Made.value: a serializer makes of it what the compiler"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_by_model_and_field_with_a_cure(annotation: Any, message: str) -> None:
    with pytest.raises((ConfigError, TypeError), match=message) as refusal:
        schema_of(annotation)
    assert isinstance(refusal.value, ConfigError)


def test_a_default_that_its_own_bounds_refuse_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Made\.value: its default 0 does not fit it"):
        schema_of(Annotated[int, Field(ge=1)], default=0)


@pytest.mark.parametrize("pattern", ["^(?!a)", "(?<=a)b", r"(a)\1", r"a\Z"])
def test_a_pattern_that_only_python_knows_is_refused(pattern: str) -> None:
    class Odd(ApiModel):
        model_config = ConfigDict(regex_engine="python-re")
        value: str = Field(pattern=pattern)

    with pytest.raises(ConfigError, match=r"Odd\.value: .* is not in RE2"):
        structural_schema(Odd)


def test_a_type_that_comes_later_is_found_and_one_that_never_comes_is_named() -> None:
    class Local(ApiModel):
        late: Later | None = None
        never: Missing | None = None  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigError, match=r"Local\.never: a name in 'Missing .* None' is not known"):
        structural_schema(Local)
    assert structural_schema(Early)["properties"]["late"] == {"type": "object", "properties": {"size": INTEGER}}


class Early(ApiModel):
    late: Later | None = None


class Later(ApiModel):
    size: int | None = None


def test_two_names_of_one_field_are_refused() -> None:
    class Odd(ApiModel):
        value: int = Field(validation_alias="read", serialization_alias="written")

    with pytest.raises(ConfigError, match=r"Odd\.value: it is read as 'read' and written as 'written'"):
        structural_schema(Odd)


def test_a_status_that_must_be_given_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Odd\.status: status is required"):

        class Odd(Resource, group="example.dev", version="v1"):
            status: Inner


# -- told when the class is declared ---------------------------------------------------------------------------------


def declared(annotation: Any, *rules: Any, **options: Any) -> type[Resource]:
    """A resource whose spec has the field ``value``, as a module would declare it."""
    field = {"__annotations__": {"value": annotation}, "value": Field(default=None), "__module__": __name__}
    spec = type("DeclaredSpec", (ApiModel,), field, rules=list(rules))
    root = {"__annotations__": {"spec": spec}, "__module__": __name__}
    return type("Declared", (Resource,), root, group="example.dev", version="v1", **options)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (timedelta, "DeclaredSpec.value: timedelta has no form in a structural schema; use controllerkit"),
        (list[bytes], "DeclaredSpec.value: bytes has no form in a structural schema; use pydantic.Base64Bytes"),
        (dict[int, str], r"DeclaredSpec.value: keys of type int cannot be described; use dict\[str"),
        (str | list[str], "DeclaredSpec.value: .* has several types, and .* one per field; .* else use Any"),
        (tuple[int, str], "DeclaredSpec.value: items of a fixed number and order cannot be described; use tuple"),
        (Recursive, "Recursive.children: Recursive → Recursive is recursive; .* end it with dict"),
        (set[Port], "DeclaredSpec.value: a set holds scalars; use list_map"),
        (set[Any], "DeclaredSpec.value: a set of anything cannot be compared; give its items a scalar type"),
        (datetime, None),
        (Any, None),
    ],
)  # fmt: skip
def test_a_type_without_a_structural_schema_is_an_error_where_it_is_declared(annotation: Any, message: str) -> None:
    if message is None:
        declared(annotation)
        return
    with pytest.raises(ConfigError, match=message):
        declared(annotation)
    assert declared(annotation, structural=False).resource_kind().kind == "Declared", "for readers of others' kinds"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("self.value >", "it does not compile: <input>:1:13: Syntax error"),
        ("value > 1", "value is no variable; there are self and oldSelf"),
        ("self.valu > 1", "self.valu is no field; valu is none of value"),
        ("has(oldSelf.other)", "oldSelf.other is no field; other is none of value"),
        ("self.value.startsWith('self.other') && [1].all(x, x > 0)", ""),
        ("self.?value.orValue(3) == 3", ""),
        ("[1].exists(i, n, n > i) || cel.bind(x, self.value, x > 1)", ""),
        ("type(self.value) == int || quantity('1Gi').isLessThan(quantity('2Gi'))", ""),
    ],
)
def test_a_rule_that_does_not_compile_is_an_error_where_it_is_declared(rule: str, message: str) -> None:
    if not message:
        declared(int, cel(rule))
        return
    with pytest.raises(ConfigError) as of_class:
        declared(int, cel(rule))
    assert str(of_class.value) == f"DeclaredSpec: the rule {rule!r}: {message}; put the rule right" or (
        "Syntax error" in message and message in str(of_class.value)
    )
    with pytest.raises(ConfigError, match=r"DeclaredSpec\.value: the rule 'self >'"):
        declared(Annotated[int, cel("self >")])


def test_a_rule_of_the_whole_sees_its_name_and_nothing_else_of_the_metadata() -> None:
    with pytest.raises(ConfigError, match=r"self\.metadata\.labels is no field; labels is none of name, generateName"):

        class Labelled(Resource, group="example.dev", version="v1", rules=[cel("has(self.metadata.labels)")]):
            spec: Inner

    class Named(Resource, group="example.dev", version="v1", rules=[cel("self.metadata.name != 'a'")]):
        spec: Inner

    assert "x-kubernetes-validations" in structural_schema(Named)
