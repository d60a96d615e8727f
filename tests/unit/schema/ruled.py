"""A resource with rules of every sort, and values with what the rules say of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Base64Bytes, Field

from controllerkit.schema import (
    ApiModel,
    Duration,
    IntOrString,
    Resource,
    cel,
    exactly_one_of,
    list_map,
    list_set,
    nullable,
)

GROUP = "ruled.example.dev"
Short = Annotated[str, Field(max_length=20)]


class Port(ApiModel):
    name: Short
    port: Annotated[int, cel("self >= oldSelf", "a port only grows")] = 80


class Choice(ApiModel, rules=[exactly_one_of("one", "namespace")]):
    one: int | None = None
    namespace: int | None = None


class Inner(ApiModel, rules=[cel("self.maybe > 1", "must be above 1")]):
    maybe: int | None = None


AT = "self.getFullYear() >= 2020 && self < timestamp('2030-01-01T00:00:00Z')"
AllA = cel("self.all(k, k.startsWith('a'))", "keys with a")
NotNo = Annotated[Short, cel("self != 'no'", "not no")]
Few = Field(default_factory=list, max_length=3)


class RuledSpec(
    ApiModel,
    rules=[
        cel("self.low <= self.high", "low is above high", field_path=".low", reason="FieldValueForbidden"),
        cel("!has(self.nothing)", "nothing is given"),
        cel("[has(self.divisor), has(self.ratio)].filter(given, given) != [true, true]", "a divisor or a ratio"),
    ],
):
    odd: Annotated[int, cel("self % 2 == 1", "must be odd")] = 1
    low: int = 1
    high: int = 2
    size: Annotated[int, cel("self >= oldSelf", "size never shrinks")] = 3
    timeout: Annotated[Duration | None, cel("self <= duration('1h')")] = None
    at: Annotated[AwareDatetime | None, cel(AT)] = None
    ratio: Annotated[float | None, cel("self * 2.0 <= 1.0", "at most a half")] = None
    port: Annotated[IntOrString, cel("type(self) == int ? self > 1024 : self.startsWith('h')", "high, or h")] = 8080
    labels: Annotated[dict[str, Short], Field(max_length=3), AllA] = Field(default_factory=lambda: {"a": "b"})
    values: Annotated[dict[str, NotNo], Field(max_length=3)] = Field(default_factory=dict)
    ports: Annotated[list[Port], list_map("name")] = Few
    tags: Annotated[list[Short], list_set(), cel("self == oldSelf", "tags stay")] = Few
    first: Annotated[list[Short] | None, Field(max_length=3), cel("self[0] == 'a'", "a comes first")] = None
    divisor: Annotated[int | None, cel("10 / self > 1", "too large")] = None
    data: Annotated[Base64Bytes | None, Field(max_length=20), cel("size(self) < 4", "too long")] = None
    word: Annotated[Short | None, cel("self.matches('^[a-zé]+$') && size(self) == 5", "five letters")] = None
    plain: Annotated[Short | None, cel("self.matches('^[a-z]+$') && size(self) == 5", "five plain letters")] = None
    sorted: Annotated[list[int] | None, Field(max_length=3), cel("self.isSorted()", "not sorted")] = None
    lower: Annotated[Short | None, cel("self.lowerAscii() == self", "not in lower case")] = None
    choice: Choice | None = None
    inner: Inner | None = None
    nothing: Annotated[Short | None, nullable()] = None


class Ruled(
    Resource, group=GROUP, version="v1", plural="ruleds", rules=[cel("self.metadata.name != 'bad'", "a bad name")]
):
    spec: RuledSpec = Field(default_factory=RuledSpec)


CREATED: list[tuple[dict[str, Any], set[tuple[str, str]]]] = [
    ({}, set()),
    ({"odd": 2}, {("spec.odd", "must be odd")}),
    ({"low": 3, "odd": 4}, {("spec.low", "low is above high"), ("spec.odd", "must be odd")}),
    ({"high": 0}, {("spec.low", "low is above high")}),
    ({"size": 1}, set()),
    ({"timeout": "61m"}, {("spec.timeout", "failed rule: self <= duration('1h')")}),
    ({"timeout": "1h"}, set()),
    ({"at": "2019-12-31T23:59:59Z"}, {("spec.at", f"failed rule: {AT}")}),
    ({"at": "2026-07-01T10:00:00+02:00"}, set()),
    ({"ratio": 1}, {("spec.ratio", "at most a half")}),
    ({"ratio": 0.5}, set()),
    ({"port": 80}, {("spec.port", "high, or h")}),
    ({"port": "http"}, set()),
    ({"port": "web"}, {("spec.port", "high, or h")}),
    ({"labels": {"a": "1", "b": "2"}}, {("spec.labels", "keys with a")}),
    ({"values": {"x": "no", "y": "yes"}}, {("spec.values[x]", "not no")}),
    ({"first": ["a"]}, set()),
    ({"first": ["b"]}, {("spec.first", "a comes first")}),
    ({"first": []}, {("spec.first", "index out of bounds: 0 evaluating rule: a comes first")}),
    ({"divisor": 0}, {("spec.divisor", "division by zero evaluating rule: too large")}),
    ({"divisor": 10}, {("spec.divisor", "too large")}),
    ({"divisor": 5, "ratio": 0.5}, {("spec", "a divisor or a ratio")}),
    ({"data": "YWJjZA=="}, {("spec.data", "too long")}),
    ({"data": "YWJj"}, set()),
    ({"plain": "abcde"}, set()),
    ({"plain": "abc"}, {("spec.plain", "five plain letters")}),
    ({"plain": "ABCDE"}, {("spec.plain", "five plain letters")}),
    ({"choice": {}}, {("spec.choice", "exactly one of one, namespace must be given")}),
    ({"choice": {"namespace": 1}}, set()),
    ({"choice": {"one": 1, "namespace": 1}}, {("spec.choice", "exactly one of one, namespace must be given")}),
    ({"inner": {}}, {("spec.inner", "no such key: maybe evaluating rule: must be above 1")}),
    ({"inner": {"maybe": 2}}, set()),
    ({"nothing": None}, set()),
    ({"nothing": "a"}, {("spec", "nothing is given")}),
]  # fmt: skip
"""A spec that is created, and the fields and messages of what it breaks."""

UPDATED: list[tuple[dict[str, Any], dict[str, Any], set[tuple[str, str]]]] = [
    ({"size": 3}, {"size": 2}, {("spec.size", "size never shrinks")}),
    ({"size": 3}, {"size": 4}, set()),
    ({"ports": [{"name": "a", "port": 2}, {"name": "b", "port": 3}]},
     {"ports": [{"name": "b", "port": 2}, {"name": "a", "port": 2}, {"name": "c", "port": 1}]},
     {("spec.ports[0].port", "a port only grows")}),
    ({"tags": ["a"]}, {"tags": ["a", "b"]}, {("spec.tags", "tags stay")}),
    ({"odd": 1}, {"odd": 2}, {("spec.odd", "must be odd")}),
]  # fmt: skip
"""The spec before, the one after, and what the update breaks."""

LEFT: list[tuple[dict[str, Any], dict[str, Any] | None, str, str]] = [
    ({"sorted": [2, 1]}, None, "spec.sorted", "isSorted may mean something else here"),
    ({"word": "abcdé"}, None, "spec.word", "size counts bytes here"),
    ({"lower": "A"}, None, "spec.lower", "lowerAscii may mean something else here"),
    ({"tags": ["b", "a"]}, {"tags": ["a", "b"]}, "spec.tags", "its answer depends on the order of a list"),
]
"""A spec, the one before, and which rule is left to the server for what reason."""
