"""Definitions made of models: accepted as structural, and values judged as the model judges them."""

from __future__ import annotations

import enum
import uuid
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal

import msgspec
import pytest
import pytest_asyncio
from pydantic import AnyUrl, Base64Bytes, Field, JsonValue

from controllerkit.errors import BadRequest
from controllerkit.objects import Object
from controllerkit.schema import (
    ApiModel,
    Column,
    Duration,
    EmbeddedObject,
    Int32,
    Int64,
    IntOrString,
    Quantity,
    Resource,
    Scale,
    at_least_one_of,
    at_most_one_of,
    cel,
    custom_resource_definition,
    exactly_one_of,
    list_atomic,
    list_map,
    list_set,
    map_atomic,
    nullable,
    preserve_unknown,
)
from tests.conformance.conftest import CRDS, Server, establish

GROUP = f"g{uuid.uuid4().hex[:8]}.example.dev"


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Port(ApiModel):
    """A port."""

    name: str = Field(max_length=9)
    port: int = Field(default=80, ge=1, le=65535)
    target: IntOrString = "http"


class SecretSource(ApiModel):
    type: Literal["secret"]
    secret_name: str


class FileSource(ApiModel):
    type: Literal["file"]
    path: str


class ByName(ApiModel):
    name: str


class ByLabels(ApiModel):
    labels: dict[str, str]


class Nested(ApiModel):
    replicas: int = Field(default=2, ge=0)
    grace: Duration = timedelta(minutes=90)
    note: str = ""


class Choice(ApiModel, rules=[exactly_one_of("one", "namespace"), at_least_one_of("one", "namespace", "three")]):
    one: int | None = None
    namespace: int | None = None
    three: int | None = None


class Open(ApiModel):
    known: int = 0


class EverySpec(
    ApiModel,
    rules=[
        at_most_one_of("byTime", "byDate"),
        cel("self.low <= self.high", "low must not be above high", field_path=".low"),
        cel("self.size >= oldSelf.size", message_expression="self.on ? 'size never shrinks' : 'off'"),
    ],
):
    """One field of every kind."""

    text: str = Field(default="abc", min_length=2, max_length=5, pattern="^[a-c]+$")
    size: Int32 = Field(default=3, ge=1, le=9)
    odd: Annotated[int, cel("self % 2 == 1", "must be odd", reason="FieldValueInvalid")] = 1
    ratio: float = Field(default=0.5, gt=0, lt=1)
    stepped: Int64 = Field(default=8, multiple_of=4)
    low: int = 1
    high: int = 2
    on: bool = True
    colour: Colour = Colour.BLUE
    level: Literal[1, 2, 3] = 1
    by_time: datetime | None = None
    by_date: date | None = None
    timeout: Duration = timedelta(seconds=90)
    memory: Quantity = Quantity("1Gi")
    port: IntOrString = 80
    either: int | str = "80%"
    address: IPv4Address | IPv6Address | None = None
    id: uuid.UUID | None = None
    link: AnyUrl | None = None
    data: Base64Bytes | None = None
    anything: JsonValue = None
    free: dict[str, Any] = Field(default_factory=dict)
    labels: Annotated[dict[str, str], Field(max_length=2), map_atomic()] = Field(default_factory=dict)
    limits: dict[str, Quantity] = Field(default_factory=lambda: {"cpu": Quantity("100m")})
    tags: set[Annotated[str, Field(max_length=3)]] = Field(default_factory=set)
    names: Annotated[list[str], Field(min_length=1, max_length=2), list_set()] = ["a"]  # noqa: RUF012
    order: Annotated[tuple[str, ...], list_atomic()] = ()
    ports: Annotated[tuple[Port, ...], list_map("name", "port")] = ()
    source: Annotated[SecretSource | FileSource, Field(discriminator="type")] | None = None
    target: ByName | ByLabels | None = None
    template: EmbeddedObject | None = None
    open: Annotated[Open, preserve_unknown()] | None = None
    nothing: Annotated[str | None, nullable()] = None
    nested: Nested = Field(default_factory=Nested)
    choice: Choice | None = None


class EveryStatus(ApiModel):
    replicas: int = 0
    selector: str = ""


class Every(
    Resource,
    group=GROUP,
    version="v1",
    plural="everys",
    storage=True,
    short_names=["ev"],
    categories=["all"],
    scale=Scale(".spec.size", ".status.replicas", ".status.selector"),
    columns=[
        Column("Colour", ".spec.colour"),
        Column("Age", ".metadata.creationTimestamp", "date"),
        Column("Ports", ".spec.ports[0].name", priority=1),
    ],
    selectable=[".spec.colour", ".spec.size", ".spec.on"],
    rules=[cel("size(self.metadata.name) <= 20", "a name has at most 20 characters")],
):
    """A resource with everything that a model can say."""

    spec: EverySpec
    status: EveryStatus = Field(default_factory=EveryStatus)


class Before(Every, group=GROUP, version="v1beta1", kind="Every", plural="everys", storage=False, deprecated=True):
    """The same, of before."""


EVERYS = f"/apis/{GROUP}/v1/namespaces/default/everys"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def everys(server: Server) -> AsyncIterator[str]:
    """The path of a resource with every construct; the definition goes afterwards."""
    body = custom_resource_definition(Every, Before)
    await establish(server, body)
    yield EVERYS
    await server.delete(f"{CRDS}/{body['metadata']['name']}")


def made(spec: Any, name: str = "") -> dict[str, Any]:
    kind = Every.resource_kind()
    name = name or f"e{uuid.uuid4().hex[:8]}"
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, "spec": spec}


def read(value: Any) -> Every:
    return Every.from_object(Object.from_bytes(msgspec.json.encode(value)))


async def test_a_definition_of_every_construct_is_accepted_as_structural(server: Server, everys: str) -> None:
    answer = await server.get(f"{CRDS}/everys.{GROUP}")
    conditions = {one["type"]: one["status"] for one in answer["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}, "NonStructuralSchema is not among them"
    sent = custom_resource_definition(Every, Before)["spec"]["versions"]
    assert answer["spec"]["versions"] == sent, "nothing was added to it or taken away"


async def test_the_server_fills_in_what_the_model_does(server: Server, everys: str) -> None:
    created = await server.make(everys, made({}))
    assert created["spec"] == {
        "text": "abc",
        "size": 3,
        "odd": 1,
        "ratio": 0.5,
        "stepped": 8,
        "low": 1,
        "high": 2,
        "on": True,
        "colour": "blue",
        "level": 1,
        "timeout": "1m30s",
        "memory": "1Gi",
        "port": 80,
        "either": "80%",
        "limits": {"cpu": "100m"},
        "names": ["a"],
        "nested": {"replicas": 2, "grace": "1h30m0s"},
    }
    assert read(created).spec == EverySpec()


FULL = {
    "text": "abcab",
    "byTime": "2026-07-01T10:00:00Z",
    "timeout": "1h30m0.5s",
    "memory": "250m",
    "port": "http",
    "address": "::1",
    "id": "6f1c7c4e-8a51-4a53-9d8f-0a1f7d1c1a11",
    "link": "https://example.dev/a",
    "data": "aGVsbG8=",
    "anything": {"a": [1, "b", None]},
    "free": {"x": {"y": 1}},
    "labels": {"a": "b"},
    "limits": {"cpu": 2, "memory": "1.5Gi"},
    "tags": ["a", "b"],
    "order": ["b", "a", "b"],
    "ports": [{"name": "a", "port": 1, "target": 8080}, {"name": "a"}],
    "source": {"type": "file", "path": "/a"},
    "target": {"labels": {"a": "b"}},
    "template": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"x": 1}},
    "open": {"known": 1, "unknown": {"a": 1}},
    "nothing": None,
    "nested": {"grace": "-1.5s"},
    "choice": {"one": 1, "three": 3},
}


async def test_a_value_of_every_kind_comes_back_as_it_went(server: Server, everys: str) -> None:
    created = await server.make(everys, made(FULL))
    expected = {**FULL, "nested": {"replicas": 2, "grace": "-1.5s"}}
    expected["ports"] = [{"name": "a", "port": 1, "target": 8080}, {"name": "a", "port": 80, "target": "http"}]
    assert {name: created["spec"][name] for name in FULL} == expected
    again = read(created)
    resent = again.to_dict()["spec"]
    assert read(await server.make(everys, made(resent))).spec == again.spec


REFUSED = [
    {"text": "a"},
    {"text": "abcabc"},
    {"text": "xyz"},
    {"text": 1},
    {"size": 0},
    {"size": 10},
    {"size": 1.5},
    {"ratio": 0},
    {"ratio": 1},
    {"stepped": 6},
    {"on": "maybe"},
    {"colour": "green"},
    {"level": 4},
    {"byTime": "yesterday"},
    {"byDate": "2026-13-01"},
    {"timeout": "soon"},
    {"timeout": "1 hour"},
    {"timeout": ""},
    {"memory": "1Gb"},
    {"memory": 1.5},
    {"memory": True},
    {"port": 1.5},
    {"either": []},
    {"address": "1.2.3"},
    {"id": "6f1c"},
    {"free": []},
    {"labels": {"a": "1", "b": "2", "c": "3"}},
    {"labels": {"a": 1}},
    {"limits": {"cpu": "lots"}},
    {"tags": ["long"]},
    {"names": []},
    {"names": ["a", "b", "c"]},
    {"order": "a"},
    {"ports": [{"port": 1}]},
    {"ports": [{"name": "a", "port": 0}]},
    {"ports": [{"name": "0123456789"}]},
    {"source": {"type": "file", "secretName": "a"}},
    {"source": {"type": "other", "path": "a"}},
    {"source": {"path": "a"}},
    {"target": {}},
    {"nested": {"replicas": -1}},
    {"nested": {"grace": "x"}},
]
REFUSED_BY_THE_SERVER_ALONE = [
    {"data": "?"},
    {"names": ["a", "a"]},
    {"tags": ["a", "a"]},
    {"ports": [{"name": "a"}, {"name": "a"}]},
    {"template": {"kind": "Pod"}},
]


@pytest.mark.parametrize("spec", REFUSED, ids=str)
async def test_what_the_model_refuses_the_server_does_too(server: Server, everys: str, spec: Any) -> None:
    with pytest.raises(BadRequest):
        read(made(spec))
    answer = await server.post(everys, made(spec))
    assert answer.code == 422, answer.text


@pytest.mark.parametrize("spec", REFUSED_BY_THE_SERVER_ALONE, ids=str)
async def test_what_a_list_or_an_object_promises_the_server_holds(server: Server, everys: str, spec: Any) -> None:
    answer = await server.post(everys, made(spec))
    assert answer.code == 422, answer.text


async def test_unknown_fields_are_dropped_as_the_model_ignores_them(server: Server, everys: str) -> None:
    created = await server.make(everys, made({"unknown": 1, "nested": {"unknown": 1}}))
    assert "unknown" not in str(created["spec"])


async def test_fields_can_be_selected_and_scaled(server: Server, everys: str) -> None:
    created = await server.make(everys, made({"colour": "red", "size": 7}))
    name = created["metadata"]["name"]
    listed = await server.get(everys, fieldSelector="spec.colour=red,spec.size=7,spec.on=true")
    assert [one["metadata"]["name"] for one in listed["items"]] == [name]
    assert (await server.get(f"{everys}/{name}/scale"))["spec"] == {"replicas": 7}


async def test_a_deprecated_version_warns(server: Server, everys: str) -> None:
    written = await server.post(everys.replace("/v1/", "/v1beta1/"), {**made({}), "apiVersion": f"{GROUP}/v1beta1"})
    assert any(f"{GROUP}/v1beta1 Every is deprecated" in warning for warning in written.warnings)
