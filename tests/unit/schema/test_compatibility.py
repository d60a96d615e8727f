"""Every rule of the compatibility check, by a table."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from controllerkit.schema import compatibility
from controllerkit.schema.compatibility import compare_definitions, compare_schemas, compare_versions

STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
INT_OR_STRING = {"x-kubernetes-int-or-string": True}
ANY = {"x-kubernetes-preserve-unknown-fields": True}
OPEN = {"type": "object", **ANY}


def thing(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def array(items: Any = STRING, kind: str = "", *keys: str) -> dict[str, Any]:
    marks = {"x-kubernetes-list-type": kind} if kind else {}
    return {"type": "array", "items": items, **marks, **({"x-kubernetes-list-map-keys": list(keys)} if keys else {})}


def rule(*rules: str) -> dict[str, Any]:
    return {**STRING, "x-kubernetes-validations": [{"rule": one} for one in rules]}


BREAKING = [
    ("field-removed", ".a", thing(a=STRING, b=STRING), thing(b=STRING)),
    ("field-removed", ".a.b", thing(a=thing(b=STRING)), thing(a=thing())),
    ("field-removed", ".a[].b", thing(a=array(thing(b=STRING))), thing(a=array(thing()))),
    ("field-removed", ".a{}.b", thing(a={"type": "object", "additionalProperties": thing(b=STRING)}),
     thing(a={"type": "object", "additionalProperties": thing()})),
    ("required-field-added", ".b", thing(a=STRING), thing("b", a=STRING, b=STRING)),
    ("field-required", ".a", thing(a=STRING), thing("a", a=STRING)),
    ("type-changed", ".a", thing(a=STRING), thing(a=INTEGER)),
    ("type-changed", ".", NUMBER, INTEGER),
    ("type-changed", ".", INT_OR_STRING, STRING),
    ("type-changed", ".", ANY, STRING),
    ("type-changed", ".", STRING, array()),
    ("enum-added", ".", STRING, {**STRING, "enum": ["a"]}),
    ("enum-value-removed", ".", {**STRING, "enum": ["a", "b"]}, {**STRING, "enum": ["a", "c"]}),
    ("null-refused", ".", {**STRING, "nullable": True}, STRING),
    ("pattern-changed", ".", STRING, {**STRING, "pattern": "a"}),
    ("pattern-changed", ".", {**STRING, "pattern": "b"}, {**STRING, "pattern": "a"}),
    ("format-changed", ".", STRING, {**STRING, "format": "uri"}),
    ("format-changed", ".", {**INTEGER, "format": "int64"}, {**INTEGER, "format": "int32"}),
    ("bound-tightened", ".", INTEGER, {**INTEGER, "minimum": 1}),
    ("bound-tightened", ".", {**INTEGER, "minimum": 0}, {**INTEGER, "minimum": 1}),
    ("bound-tightened", ".", {**INTEGER, "minimum": 0}, {**INTEGER, "minimum": 0, "exclusiveMinimum": True}),
    ("bound-tightened", ".", {**INTEGER, "maximum": 9}, {**INTEGER, "maximum": 8}),
    ("bound-tightened", ".", {**STRING, "maxLength": 9}, {**STRING, "maxLength": 8}),
    ("bound-tightened", ".", STRING, {**STRING, "minLength": 1}),
    ("bound-tightened", ".", array(), {**array(), "maxItems": 3}),
    ("bound-tightened", ".", INTEGER, {**INTEGER, "multipleOf": 2}),
    ("bound-tightened", ".", {**INTEGER, "multipleOf": 2}, {**INTEGER, "multipleOf": 4}),
    ("list-type-changed", ".", array(), array(STRING, "set")),
    ("list-keys-changed", ".", array(thing(a=STRING, b=STRING), "map", "a"),
     array(thing(a=STRING, b=STRING), "map", "b")),
    ("embedded-resource", ".", OPEN, {**OPEN, "x-kubernetes-embedded-resource": True}),
    ("condition-changed", ".", STRING, {**STRING, "oneOf": [{"pattern": "a"}]}),
    ("rule-added", ".", rule("self != ''"), rule("self != ''", "self != 'a'")),
    ("unknown-fields-dropped", ".", {**thing(a=STRING), **ANY}, thing(a=STRING)),
    ("keys-dropped", ".", {"type": "object", "additionalProperties": STRING}, thing()),
]  # fmt: skip

WARNINGS = [
    ("default-changed", ".", {**INTEGER, "default": 1}, {**INTEGER, "default": 2}),
    ("default-changed", ".", INTEGER, {**INTEGER, "default": 2}),
    ("field-undeclared", ".a", thing(a=STRING), OPEN),
    ("list-type-changed", ".", array(STRING, "set"), array(STRING, "atomic")),
    ("map-type-changed", ".", thing(), {**thing(), "x-kubernetes-map-type": "atomic"}),
]

FINE = [
    (thing(a=STRING), thing(a=STRING, b=STRING)),
    (thing("a", a=STRING), thing(a=STRING)),
    (thing(a=STRING), thing("b", a=STRING, b={**STRING, "default": "x"})),
    (INTEGER, NUMBER),
    (INTEGER, INT_OR_STRING),
    (STRING, ANY),
    ({**STRING, "enum": ["a"]}, {**STRING, "enum": ["b", "a"]}),
    ({**STRING, "enum": ["a"]}, STRING),
    ({**STRING, "pattern": "a"}, STRING),
    (STRING, {**STRING, "nullable": True}),
    ({**INTEGER, "format": "int32"}, {**INTEGER, "format": "int64"}),
    ({**INTEGER, "minimum": 1, "maximum": 3}, {**INTEGER, "minimum": 0, "maximum": 4}),
    ({**INTEGER, "multipleOf": 4}, {**INTEGER, "multipleOf": 2}),
    (rule("self != ''"), STRING),
    ({**STRING, "description": "a"}, {**STRING, "description": "b"}),
    (array(), array(STRING, "atomic")),
]


@pytest.mark.parametrize(("name", "path", "old", "new"), BREAKING)
def test_what_refuses_or_drops_anything_of_before_is_breaking(name: str, path: str, old: Any, new: Any) -> None:
    assert [(c.severity, c.rule, c.path) for c in compare_schemas(old, new)] == [("breaking", name, path)]


@pytest.mark.parametrize(("name", "path", "old", "new"), WARNINGS)
def test_what_only_behaves_otherwise_is_a_warning(name: str, path: str, old: Any, new: Any) -> None:
    assert [(c.severity, c.rule, c.path) for c in compare_schemas(old, new)] == [("warning", name, path)]


@pytest.mark.parametrize(("old", "new"), FINE)
def test_what_accepts_all_of_before_and_more_is_nothing(old: Any, new: Any) -> None:
    assert [c for c in compare_schemas(old, new) if c.rule != "default-changed"] == []


@pytest.mark.parametrize("schema", [new for _, _, _, new in BREAKING])
def test_nothing_changed_is_nothing(schema: Any) -> None:
    assert compare_schemas(schema, copy.deepcopy(schema)) == []


def version(name: str = "v1", schema: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "served": True,
        "storage": name == "v1",
        "schema": {"openAPIV3Schema": schema or thing()},
        **more,
    }


def definition(*versions: Any, **spec: Any) -> dict[str, Any]:
    names = {"kind": "Website", "plural": "websites", "shortNames": ["ws"]}
    return {"spec": {"group": "a.dev", "scope": "Namespaced", "names": names, "versions": list(versions), **spec}}


ONE = definition(version())


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (ONE, definition(version(), scope="Cluster"), ["breaking scope-changed spec.scope"]),
        (ONE, definition(version(), group="b.dev"), ["breaking group-changed spec.group"]),
        (
            ONE,
            definition(version(), names={"kind": "Site", "plural": "sites"}),
            ["breaking kind-changed spec.kind", "breaking plural-changed spec.plural",
             "warning name-removed spec.names.shortNames"],
        ),
        (definition(version(), version("v2")), ONE, ["breaking version-removed v2"]),
        (definition(version(), version("v2", served=False)), ONE, ["warning version-removed v2"]),
        (ONE, definition(version(served=False)), ["breaking version-not-served v1"]),
        (ONE, definition(version(), version("v2")), []),
        (ONE, definition(version(storage=False), version("v2", storage=True)), ["warning storage-version-changed v2"]),
        (definition(version(subresources={"status": {}})), ONE, ["breaking subresource-removed v1.status"]),
        (ONE, definition(version(subresources={"status": {}})), ["warning subresource-added v1.status"]),
        (
            definition(version(subresources={"scale": {"a": 1}})),
            definition(version(subresources={"scale": {"a": 2}})),
            ["warning subresource-changed v1.scale"],
        ),
        (definition(version(selectableFields=[{"jsonPath": ".a"}])), ONE, ["breaking selectable-removed v1.a"]),
        (definition(version(additionalPrinterColumns=[{"name": "A"}])), ONE, ["warning column-removed v1"]),
        (definition(version(schema=thing(a=STRING))), ONE, ["breaking field-removed v1.a"]),
    ],
)  # fmt: skip
def test_definitions(old: Any, new: Any, expected: list[str]) -> None:
    assert [f"{c.severity} {c.rule} {c.path}" for c in compare_definitions(old, new)] == expected


def test_versions_that_nothing_converts_must_hold_the_same_fields() -> None:
    both = definition(version(schema=thing(a=STRING, b=STRING)), version("v1beta1", schema=thing(a=INTEGER, c=STRING)))
    assert [f"{c.rule} {c.path}" for c in compare_versions(both)] == [
        "version-loses v1.a",
        "version-loses v1.b",
        "version-loses v1beta1.a",
        "version-loses v1beta1.c",
    ]
    converted = {"spec": {**both["spec"], "conversion": {"strategy": "Webhook"}}}
    assert compare_versions(converted) == []
    unserved = definition(version(schema=thing(b=STRING)), version("v1beta1", served=False))
    assert compare_versions(unserved) == []


def test_every_breaking_change_that_is_known_is_shown_by_a_case() -> None:
    source = Path(compatibility.__file__).read_text()
    named = set(re.findall(r'"breaking",\s*"([a-z-]+)"', source)) | set(re.findall(r'rule = "([a-z-]+)"', source))
    named |= set(re.findall(r'"([a-z-]+)" if name in before else "', source))
    named |= set(re.findall(r' if name in before else "([a-z-]+)"', source))
    known = Path(__file__).read_text()
    assert len(named) > 20
    assert {one for one in named if one not in known} == set()
