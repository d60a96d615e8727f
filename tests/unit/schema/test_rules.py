"""Rules in CEL, asked before anything is sent; ``tests/conformance/test_rules.py`` holds the answers to a server's."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from controllerkit.errors import ConfigError, Invalid
from controllerkit.objects import Object
from controllerkit.schema import ApiModel, Resource, cel
from controllerkit.schema.rules import judge, schema_of
from controllerkit.schema.stored import with_defaults
from tests.unit.schema.ruled import CREATED, LEFT, UPDATED, Ruled

SCHEMA = schema_of(Ruled)


def full(spec: Any, name: str = "a") -> Any:
    return with_defaults(SCHEMA, {"metadata": {"name": name}, "spec": spec})


def found(value: Any, old: Any = None) -> set[tuple[str, str]]:
    return {(one.path, one.message) for one in judge(SCHEMA, value, old).violations}


@pytest.mark.parity("1f/cel-before-sending")
@pytest.mark.parametrize(("spec", "expected"), CREATED, ids=str)
def test_what_a_new_object_breaks_is_known(spec: Any, expected: set[tuple[str, str]]) -> None:
    assert found(full(spec)) == expected


@pytest.mark.parametrize(("before", "after", "expected"), UPDATED, ids=str)
def test_what_an_update_breaks_is_known(before: Any, after: Any, expected: set[tuple[str, str]]) -> None:
    assert found(full(after), full(before)) == expected


def test_an_update_is_not_refused_for_what_it_leaves_as_it_was() -> None:
    assert found(full({"odd": 2, "size": 9}), full({"odd": 2})) == set()


@pytest.mark.parametrize(("spec", "before", "path", "why"), LEFT, ids=str)
def test_what_may_mean_something_else_here_is_left_to_the_server(spec: Any, before: Any, path: str, why: str) -> None:
    judged = judge(SCHEMA, full(spec), full(before) if before else None)
    assert judged.violations == ()
    assert [(one.path, one.why.startswith(why)) for one in judged.left_to_server] == [(path, True)]


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("self.?size.orValue(3) == 3", "it cannot be parsed here"),
        ("self.size +", "it cannot be parsed here"),
        ("self.size", "it answers int, not bool"),
        ("self.names.all(i, name, i < 3)", "RuntimeError: Undefined variable or function: 'i'"),
        ("self.size && true", "TypeError"),
        ("string(self.size) == '3'", "string may mean something else here"),
        ("quantity('1Gi').isGreaterThan(quantity('1Mi'))", "isGreaterThan, quantity may mean"),
    ],
)
def test_no_rule_makes_an_object_unsendable_because_it_cannot_be_asked_here(rule: str, why: str) -> None:
    schema = {
        "type": "object",
        "properties": {"size": {"type": "integer"}, "names": {"type": "array", "items": {"type": "string"}}},
        "x-kubernetes-validations": [{"rule": rule}],
    }
    judged = judge(schema, {"size": 3, "names": ["a"]})
    assert judged.violations == ()
    assert why in judged.left_to_server[0].why


def test_a_resource_is_checked_with_its_defaults_and_as_an_update() -> None:
    sent = {"apiVersion": "ruled.example.dev/v1", "kind": "Ruled", "metadata": {"name": "a"}, "spec": {}}
    before = Ruled.from_object(Object.from_dict(sent))
    assert before.checked() is before
    after = before.model_copy(update={"spec": before.spec.model_copy(update={"size": 2, "low": 5})})
    with pytest.raises(Invalid) as refusal:
        after.checked(before)
    assert refusal.value.causes == [
        {"reason": "FieldValueForbidden", "message": "low is above high", "field": "spec.low"},
        {"reason": "FieldValueInvalid", "message": "size never shrinks", "field": "spec.size"},
    ]
    assert str(refusal.value) == (
        "Ruled a is invalid, and was not sent: spec.low: low is above high (self.low <= self.high), "
        "spec.size: size never shrinks (self >= oldSelf)"
    )


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spec(ApiModel, rules=[cel("self.size != 77")]):
        size: int = 1

    class Other(Resource, group="other.example.dev", version="v1"):
        spec: Spec

    monkeypatch.setitem(sys.modules, "cel", None)
    with pytest.raises(ConfigError, match=r"pip install 'controllerkit\[cel\]'"):
        Other(spec=Spec()).checked()
