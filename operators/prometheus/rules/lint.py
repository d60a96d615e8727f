"""What is allowed in a rule and is seldom meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import promql_parser

from operators.prometheus.rules.check import parsed
from operators.prometheus.tables import Rejected

__all__ = ["Finding", "lint"]

_COUNTERS: Final = re.compile(r".*(_total|_count|_bucket|_sum)")
_NEEDS_COUNTER: Final = {"rate", "irate", "increase"}
_SPECIAL: Final = re.compile(r"[.*+?^$|()\[\]{}\\]")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a rule, with its path and the name of what was looked for."""

    field: str
    check: str
    text: str


def lint(spec: Mapping[str, Any], *, interval: timedelta | None = None) -> list[Finding]:
    """Findings of a PrometheusRule whose ``spec`` was checked, in its order; expressions that do not parse have none.

    Args:
        interval: between two scrapes, where it is known; ranges are held against it.
    """
    findings: list[Finding] = []
    for at, group in enumerate(spec.get("groups") or ()):
        for index, rule in enumerate(group.get("rules") or ()):
            field = f"spec.groups[{at}].rules[{index}]"
            try:
                tree = parsed(str(rule.get("expr") or ""))
            except Rejected:
                continue
            findings += (Finding(f"{field}.{where}", check, text) for where, check, text in _of_rule(rule, tree))
            for node in _nodes(tree):
                for check, look in _LOOKS.items():
                    findings += (Finding(f"{field}.expr", check, text) for text in look(node))
            if interval is not None:
                findings += (Finding(f"{field}.expr", "short-range", text) for text in _short(tree, interval))
    return findings


def _of_rule(rule: Mapping[str, Any], tree: promql_parser.Expr) -> Iterator[tuple[str, str, str]]:
    if not rule.get("alert"):
        return
    if not (rule.get("for") or rule.get("keep_firing_for")):
        yield "for", "no-for", "fires at the first evaluation; a `for` keeps one bad scrape from paging"
    if "severity" not in (rule.get("labels") or {}):
        yield "labels", "no-severity", "has no `severity`, by which most routes are chosen"
    if not any((rule.get("annotations") or {}).get(each) for each in ("summary", "description", "message")):
        yield "annotations", "no-summary", "has no `summary` and no `description`"
    if isinstance(tree, promql_parser.NumberLiteral):
        yield "expr", "constant", "is a number, and always fires"


def _nodes(tree: promql_parser.Expr) -> list[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(tree, found.append)
    return found


def _rate_of_gauge(node: promql_parser.Expr) -> Iterator[str]:
    if isinstance(node, promql_parser.Call) and node.func.name in _NEEDS_COUNTER:
        selector = getattr(node.args[0], "vector_selector", None)
        name = selector.name if selector is not None else None
        if name and ":" not in name and not _COUNTERS.fullmatch(name):
            yield f"{node.func.name}() of {name}, whose name is not that of a counter"


def _plain_regex(node: promql_parser.Expr) -> Iterator[str]:
    selector = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
    if isinstance(selector, promql_parser.VectorSelector):
        for each in selector.matchers.matchers:
            regex = each.op in (promql_parser.MatchOp.Re, promql_parser.MatchOp.NotRe)
            if regex and not _SPECIAL.search(each.value):
                yield f"the regex {each.value!r} of {each.name} is a plain text; = or != says the same"


def _absent_of_aggregate(node: promql_parser.Expr) -> Iterator[str]:
    if isinstance(node, promql_parser.Call) and node.func.name == "absent" and len(node.args) == 1:
        inner = node.args[0]
        if isinstance(inner, promql_parser.AggregateExpr):
            yield "absent() of an aggregation tells no labels of what is absent"


_LOOKS: Final[Mapping[str, Callable[[promql_parser.Expr], Iterator[str]]]] = {
    "rate-of-gauge": _rate_of_gauge,
    "plain-regex": _plain_regex,
    "absent-of-aggregate": _absent_of_aggregate,
}


def _short(tree: promql_parser.Expr, interval: timedelta) -> Iterator[str]:
    for node in _nodes(tree):
        if isinstance(node, promql_parser.MatrixSelector) and node.range < 2 * interval:
            yield f"a range of {node.range} holds fewer than two scrapes at an interval of {interval}"
