"""Expressions in CEL as Kubernetes has them, and rules where they cannot be evaluated."""

from __future__ import annotations

from typing import Any

import pytest

from controllerkit.apiserver import crds, rules
from controllerkit.apiserver.expressions import CompileError, EvaluationError, NotHere, compiled


@pytest.mark.parametrize(
    ("source", "value", "answer"),
    [
        ("size(self)", "abcd\u00e9", 5),
        ("string(self)", 1.0, "1"),
        ("string(self)", 1e21, "1e+21"),
        ("string(self)", 1e-7, "1e-07"),
        ("string(self)", True, "true"),
        ("string(duration('90s'))", None, "90s"),
        ("self.split(',')", "a,b,c", ["a", "b", "c"]),
        ("self.split(',', 2)", "a,b,c", ["a", "b,c"]),
        ("self.split('', 2)", "abc", ["a", "bc"]),
        ("self.split(',', 0)", "a", []),
        ("self.lastIndexOf('a')", "abca", 3),
        ("self.lastIndexOf('a', 2)", "abca", 0),
        ("self.indexOf(2)", [1, 2], 1),
        ("self.lastIndexOf(1)", [1, 2, 1], 2),
        ("self.replace('a', 'b', 1)", "aa", "ba"),
        ("'%s has %d%% of %s'.format([self, 3, ['x', 'y']])", "a", "a has 3% of [x, y]"),
        ("self.upperAscii()", "a\u00e9", "A\u00e9"),
        ("self.findAll('[0-9]')", "1a2", ["1", "2"]),
        ("self.sum()", [1, 2], 3),
        ("self.sum()", [], 0),
        ("self == 'size(x) // string(y)'", "size(x) // string(y)", True),
        ("self.size", {"size": 3}, 3),
    ],
)
def test_functions_answer_as_those_of_kubernetes(source: str, value: Any, answer: Any) -> None:
    assert compiled(source, "self").evaluate({"self": value}) == answer


@pytest.mark.parametrize("source", ["quantity(self).isGreaterThan(quantity('1'))", "self.?a.orValue(1) == 1"])
def test_what_is_not_known_here_is_said_and_not_guessed(source: str) -> None:
    with pytest.raises(NotHere, match="not known to this server"):
        compiled(source, "self").evaluate({"self": "1"})


@pytest.mark.parametrize("source", ["self +", "nobody == 1", "self.exists(x, y == 1)", "shout(self)"])
def test_what_is_no_expression_is_refused(source: str) -> None:
    with pytest.raises(CompileError):
        compiled(source, "self")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("self.b", "no such key: b"),
        ("1 % 0", "modulus by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("self.a > 1", "no such overload"),
    ],
)
def test_what_has_no_answer_says_why_as_cel_go_does(source: str, why: str) -> None:
    with pytest.raises(EvaluationError, match=why):
        compiled(source, "self").evaluate({"self": {"a": "x"}})


def test_without_the_evaluator_rules_are_kept_and_whoever_writes_them_is_warned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schema = {"type": "object", "x-kubernetes-validations": [{"rule": "self +"}]}
    definition = {"spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}}
    assert list(crds.warnings_of(definition)) == []
    assert [one.path for one in rules.validate_rules(schema, "s")] == ["s.x-kubernetes-validations[0].rule"]
    for module in (crds, rules):
        monkeypatch.setattr(module, "available", lambda: False)
    assert list(crds.warnings_of(definition)) == [rules.NOT_INSTALLED]
    assert list(rules.validate_rules(schema, "s")) == []
    assert rules.ask_rules(schema, {}, None, []) == rules.Verdict()


def test_a_rule_whose_answer_hangs_on_the_order_of_a_set_is_left_out_and_told() -> None:
    schema = {
        "type": "array",
        "items": {"type": "string"},
        "x-kubernetes-list-type": "set",
        "x-kubernetes-validations": [{"rule": "self[0] == 'a'"}],
    }
    assert rules.ask_rules(schema, ["a", "b"], None, []) == rules.Verdict()
    verdict = rules.ask_rules(schema, ["b", "a"], None, [])
    assert verdict.errors == ()
    assert "depends on the order of a list" in verdict.warnings[0]
