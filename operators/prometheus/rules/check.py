"""What Prometheus refuses in a rule file, found before it is written.

The rules are those of Prometheus' ``model/rulefmt``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import promql_parser

from operators.prometheus.rules.templates import check_template
from operators.prometheus.tables import Rejected

__all__ = ["check_rule", "parsed"]

_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_DURATION: Final = re.compile(r"(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?")
_STRATEGIES: Final = ("abort", "warn")
EXPRESSION_MAX: Final = 64 * 1024
"""Characters of one expression that are given to the parser."""


def check_rule(spec: Mapping[str, Any], *, utf8_names: bool) -> None:
    """Checks ``spec`` of a PrometheusRule.

    Args:
        utf8_names: names of metrics and labels may hold any character.
    Raises:
        Rejected: the first thing that is wrong, with its path.
    """
    seen: set[str] = set()
    for index, group in enumerate(_list(spec, "groups", "spec.groups")):
        with _at(f"spec.groups[{index}]"):
            _mapping(group)
            name = _text(group, "name")
            if not name:
                raise Rejected("has no name; give it one", "name")
            if name in seen:
                raise Rejected(f"a group {name!r} is there already; names are unique in an object", "name")
            seen.add(name)
            _check_group(group, utf8_names)


def _check_group(group: Mapping[str, Any], utf8_names: bool) -> None:
    for field in ("interval", "query_offset"):
        _check_duration(group, field)
    if (limit := group.get("limit")) is not None and type(limit) is not int:
        raise Rejected("is no whole number", "limit")
    strategy = _text(group, "partial_response_strategy")
    if strategy and strategy.lower() not in _STRATEGIES:
        raise Rejected(f"{strategy!r} is none of {', '.join(_STRATEGIES)}", "partial_response_strategy")
    _check_names(group, "labels", utf8_names)
    for index, rule in enumerate(_list(group, "rules", "rules")):
        with _at(f"rules[{index}]"):
            _check_rule(_mapping(rule), utf8_names)


def _check_rule(rule: Mapping[str, Any], utf8_names: bool) -> None:
    record, alert = _text(rule, "record"), _text(rule, "alert")
    if bool(record) == bool(alert):
        raise Rejected(
            "has both `record` and `alert`; set one" if record else "has no `record` and no `alert`; set one"
        )
    _check_expression(rule)
    for field in ("for", "keep_firing_for"):
        _check_duration(rule, field)
    if record:
        _check_record(rule, record, utf8_names)
    for field in ("labels", "annotations"):
        _check_names(rule, field, utf8_names, metric_name_too=field == "annotations")
        for name, text in (rule.get(field) or {}).items():
            if alert:
                with _at(f"{field}[{name}]"):
                    check_template(text)


def _check_record(rule: Mapping[str, Any], record: str, utf8_names: bool) -> None:
    for field in ("annotations", "for", "keep_firing_for"):
        if rule.get(field):
            raise Rejected("a recording rule has none; leave it out, or set `alert`", field)
    if "{" in record or "}" in record:
        raise Rejected(f"{record!r} holds braces; labels are set by `labels`", "record")
    if not utf8_names and not _METRIC.fullmatch(record):
        raise Rejected(f"{record!r} is no name of a metric", "record")


def _check_expression(rule: Mapping[str, Any]) -> None:
    expression = rule.get("expr")
    if isinstance(expression, bool) or not isinstance(expression, (str, int)) or expression == "":
        raise Rejected("is no expression; write one in PromQL", "expr")
    with _at("expr"):
        parsed(str(expression))


def parsed(expression: str) -> promql_parser.Expr:
    """The tree of an expression.

    Raises:
        Rejected: it is no PromQL, or longer than `EXPRESSION_MAX`.
    """
    if len(expression) > EXPRESSION_MAX:
        raise Rejected(f"has {len(expression)} characters, {EXPRESSION_MAX} are allowed")
    try:
        tree = promql_parser.parse(expression)
    except ValueError as refused:
        raise Rejected(f"is no PromQL: {refused}") from None
    alternatives: list[bool] = []
    promql_parser.walk(tree, lambda node: alternatives.extend([True] * bool(_alternatives(node))))
    if alternatives:
        raise Rejected("is no PromQL: `or` between matchers is of another language")
    return tree


def _alternatives(node: promql_parser.Expr) -> bool:
    selector = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
    return isinstance(selector, promql_parser.VectorSelector) and bool(selector.matchers.or_matchers)


def _check_duration(value: Mapping[str, Any], field: str) -> None:
    text = _text(value, field)
    if text and text != "0" and not _DURATION.fullmatch(text):
        raise Rejected(f"{text!r} is no duration; write one as 1h30m", field)


def _check_names(value: Mapping[str, Any], field: str, utf8_names: bool, *, metric_name_too: bool = False) -> None:
    names = value.get(field)
    if names is None:
        return
    if not isinstance(names, Mapping):
        raise Rejected("is no mapping", field)
    for name, text in names.items():
        if not isinstance(text, str):
            raise Rejected("is no text; put it in quotes", f"{field}[{name}]")
        legal = bool(name) if utf8_names else bool(_LABEL.fullmatch(name))
        if not legal or (name == "__name__" and not metric_name_too):
            raise Rejected(f"{name!r} is no name of a label", field)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Rejected("is no mapping")
    return value


def _list(value: Mapping[str, Any], field: str, told: str) -> Sequence[Any]:
    found = value.get(field)
    if found is None:
        return []
    if not isinstance(found, list):
        raise Rejected("is no list", told)
    return found


def _text(value: Mapping[str, Any], field: str) -> str:
    found = value.get(field)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise Rejected("is no text", field)
    return found


@contextmanager
def _at(field: str) -> Iterator[None]:
    try:
        yield
    except Rejected as refused:
        raise refused.at(field) from None
