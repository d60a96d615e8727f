"""Rules in CEL on every way to write, and definitions whose rules are none."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.conformance.conftest import APPLY, CRDS, JSON_PATCH, Answer, Custom, Server, definition, establish

TEXT: dict[str, Any] = {"type": "string", "maxLength": 20}
SPEC: dict[str, Any] = {
    "type": "object",
    "properties": {
        "size": {
            "type": "integer",
            "default": 1,
            "x-kubernetes-validations": [
                {"rule": "self < 10", "messageExpression": "'%d is not below 10'.format([self])"},
                {
                    "rule": "oldSelf.hasValue() ? self >= oldSelf.value() : self == 1",
                    "optionalOldSelf": True,
                    "message": "starts at 1 and grows",
                },
            ],
        },
        "name": {
            **TEXT,
            "x-kubernetes-validations": [
                {"rule": "self.lowerAscii() == self", "reason": "FieldValueForbidden", "message": "  lower case  "},
                {"rule": "self != 'twice'", "reason": "FieldValueDuplicate"},
                {"rule": "size(self.trim().split(',')) < 3", "message": "at most two"},
                {"rule": "self == oldSelf", "messageExpression": "oldSelf + ' stays'"},
            ],
        },
        "range": {
            "type": "object",
            "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}},
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.low) || self.low <= self.high",
                    "fieldPath": ".high",
                    "reason": "FieldValueRequired",
                    "message": "high from low on",
                }
            ],
        },
        "free": {
            "x-kubernetes-int-or-string": True,
            "x-kubernetes-validations": [{"rule": "string(self) != '7'", "message": "not seven"}],
        },
        "words": {
            "type": "array",
            "maxItems": 4,
            "items": TEXT,
            "x-kubernetes-validations": [
                {"rule": "self.indexOf('x') < 1 && self.join('-') != 'a-b'", "message": "words"},
            ],
        },
    },
}
STATUS: dict[str, Any] = {
    "type": "object",
    "properties": {"count": {"type": "integer"}},
    "x-kubernetes-validations": [
        {"rule": "!has(oldSelf.count) || self.count >= oldSelf.count", "message": "counts up"}
    ],
}


UNCHECKED = (
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


def ruled(spec: Any, group: str = "") -> dict[str, Any]:
    body = definition(group or f"r{uuid.uuid4().hex[:8]}.example.dev")
    version = body["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"] = {"type": "object", "properties": {"spec": spec, "status": STATUS}}
    version["additionalPrinterColumns"] = []
    version["selectableFields"] = []
    version["subresources"] = {"status": {}}
    return body


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def group(server: Server) -> AsyncIterator[str]:
    body = ruled(SPEC)
    await establish(server, body)
    yield body["spec"]["group"]
    await server.delete(f"{CRDS}/{body['metadata']['name']}")


@pytest.fixture
def things(group: str, ns: str) -> Custom:
    return Custom(group, "widgets", "Widget", ns, {})


def causes(answer: Answer) -> set[tuple[str, str, str]]:
    if answer.code < 300:
        return set()
    assert answer.code == 422, answer.text
    return {(one["reason"], one["field"], one["message"]) for one in answer["details"]["causes"]}


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, set()),
        ({"size": 12}, {
            ("FieldValueInvalid", "spec.size", "Invalid value: 12: 12 is not below 10"),
            ("FieldValueInvalid", "spec.size", "Invalid value: 12: starts at 1 and grows"),
        }),
        ({"size": 1}, set()),
        ({"name": "Up"}, {("FieldValueForbidden", "spec.name", "Forbidden: lower case")}),
        ({"name": "twice"}, {("FieldValueDuplicate", "spec.name", 'Duplicate value: "twice"')}),
        ({"name": " a,b,c "}, {("FieldValueInvalid", "spec.name", 'Invalid value: " a,b,c ": at most two')}),
        ({"range": {"low": 2, "high": 1}}, {
            ("FieldValueRequired", "spec.range.high", "Required value: high from low on"),
        }),
        ({"range": {"low": 2}}, {
            ("FieldValueInvalid", "spec.range",
             'Invalid value: "object": no such key: high evaluating rule: high from low on'),
        }),
        ({"free": 7}, {("FieldValueInvalid", "spec.free", "Invalid value: 7: not seven")}),
        ({"free": "7"}, {("FieldValueInvalid", "spec.free", 'Invalid value: "7": not seven')}),
        ({"words": ["a", "b"]}, {("FieldValueInvalid", "spec.words", "Invalid value: words")}),
        ({"words": ["a", "x"]}, {("FieldValueInvalid", "spec.words", "Invalid value: words")}),
        ({"words": ["b", "a"]}, set()),
        ({"size": "12"}, {
            ("FieldValueTypeInvalid", "spec.size",
             'Invalid value: "string": spec.size in body must be of type integer: "string"'),
            ("FieldValueInvalid", "<nil>",
             UNCHECKED),
        }),
    ],
    ids=str,
)  # fmt: skip
async def test_a_create_is_refused_by_rules(server: Server, things: Custom, spec: Any, found: Any) -> None:
    answer = await server.post(things.path(), things.new("a", spec))
    assert causes(answer) == found


async def test_every_way_to_write_asks_the_rules(server: Server, things: Custom) -> None:
    made = await server.make(things.path(), things.new("a", {"name": "first"}))
    stays = {("FieldValueInvalid", "spec.name", 'Invalid value: "b": first stays')}
    path = things.path("a")
    assert causes(await server.put(path, {**made, "spec": {**made["spec"], "name": "b"}})) == stays
    assert causes(await server.patch(path, {"spec": {"name": "b"}})) == stays
    operations = [{"op": "replace", "path": "/spec/name", "value": "b"}]
    assert causes(await server.patch(path, operations, JSON_PATCH)) == stays
    applied = things.new("a", {"name": "b"})
    answer = await server.patch(path, applied, APPLY, fieldManager="me", force="true")
    assert causes(answer) == stays
    created = await server.patch(things.path("b"), things.new("b", {"size": 3}), APPLY, fieldManager="me")
    assert causes(created) == {("FieldValueInvalid", "spec.size", "Invalid value: 3: starts at 1 and grows")}
    assert causes(await server.patch(path, {"spec": {"size": 3}})) == set()
    assert causes(await server.patch(path, {"spec": {"size": 2}}, dryRun="All")) == {
        ("FieldValueInvalid", "spec.size", "Invalid value: 2: starts at 1 and grows")
    }


async def test_a_write_of_the_status_asks_the_rules_of_the_status(server: Server, things: Custom) -> None:
    await server.make(things.path(), things.new("a", {}))
    path = things.path("a", "status")
    assert (await server.patch(path, {"status": {"count": 3}})).code == 200
    assert causes(await server.patch(path, {"status": {"count": 2}})) == {
        ("FieldValueInvalid", "status", "Invalid value: counts up")
    }


async def test_what_an_update_leaves_as_it_is_is_warned_of_and_not_refused(server: Server) -> None:
    spec: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    body = ruled(spec)
    await establish(server, body)
    things = Custom(body["spec"]["group"], "widgets", "Widget", "default", body)
    await server.make(things.path(), things.new("x", {"a": 1, "b": 1}))
    crd = f"{CRDS}/{body['metadata']['name']}"
    rules = [{"rule": "self > 5", "message": "above 5"}]
    schema = {**spec, "properties": {**spec["properties"], "a": {"type": "integer", "x-kubernetes-validations": rules}}}
    changed = [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec", "value": schema}]
    assert (await server.patch(crd, changed, JSON_PATCH)).code == 200
    # The definition is followed in the background.
    while (await server.post(things.path(), things.new("y", {"a": 1}), dryRun="All")).code == 201:
        await asyncio.sleep(0)
    answer = await server.patch(things.path("x"), {"spec": {"b": 2}})
    assert answer.code == 200, answer.text
    assert answer.warnings == ['299 - "spec.a: Invalid value: 1: above 5"']
    assert (await server.patch(things.path("x"), {"spec": {"a": 2}})).code == 422
    await server.delete(crd)


def text(**rule: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"name": {**TEXT, "x-kubernetes-validations": [rule]}}}


NAME = "spec.validation.openAPIV3Schema.properties[spec].properties[name].x-kubernetes-validations[0]"
SPEC_AT = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]"


@pytest.mark.parametrize(
    ("spec", "field", "reason", "said"),
    [
        (text(rule="self +"), f"{NAME}.rule", "FieldValueInvalid", "compilation failed"),
        (text(rule="other == 'a'"), f"{NAME}.rule", "FieldValueInvalid", "undeclared reference to 'other'"),
        (text(rule="self.shout() == 'A'"), f"{NAME}.rule", "FieldValueInvalid", "undeclared reference to 'shout'"),
        (text(rule="self == 'a'", messageExpression="nobody + 1"), f"{NAME}.messageExpression", "FieldValueInvalid",
         "messageExpression compilation failed"),
        ({"type": "object", "properties": {"a": {"type": "integer"}},
          "x-kubernetes-validations": [{"rule": "self.b > 1"}]},
         f"{SPEC_AT}.rule", "FieldValueInvalid", "undefined field 'b'"),
        (text(rule=" "), f"{NAME}.rule", "FieldValueRequired", "rule is not specified"),
        (text(rule="self == 'a'", reason="Wrong"), f"{NAME}.reason", "FieldValueNotSupported", "supported values"),
        (text(rule="self == 'a'", fieldPath=".no"), f"{NAME}.fieldPath", "FieldValueInvalid", "must be a valid path"),
        (text(rule="self == 'a'", optionalOldSelf=True), f"{NAME}.optionalOldSelf", "FieldValueInvalid",
         "may not be set if oldSelf is not used in rule"),
        ({"type": "object", "properties": {"l": {"type": "array", "maxItems": 2, "items": {
            **TEXT, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}}},
         "spec.validation.openAPIV3Schema.properties[spec].properties[l].items.x-kubernetes-validations[0].rule",
         "FieldValueInvalid", "oldSelf cannot be used on the uncorrelatable portion of the schema"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_a_definition_whose_rule_is_none_is_refused(
    server: Server, spec: Any, field: str, reason: str, said: str
) -> None:
    answer = await server.post(CRDS, ruled(spec), dryRun="All")
    assert answer.code == 422, answer.text
    found = [
        (one["reason"], one["field"].replace("versions[0].schema", "validation")) for one in answer["details"]["causes"]
    ]
    assert (reason, field) in found, answer["details"]["causes"]
    assert said in answer["message"]
