"""Rules bound to their namespace: a label on what they make, a matcher on what they read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import promql_parser

from operators.prometheus.rules.check import parsed
from operators.prometheus.tables import Rejected

__all__ = ["enforced", "enforced_expression"]

_TOKEN: Final = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)"""
    r"""|(?P<skip>\#[^\n]*|\s+)"""
    r"""|(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)"""
    r"""|(?P<number>[0-9][0-9A-Za-z_.]*(?:(?<=[eE])[+-][0-9]+)?)"""
    r"""|(?P<sign>[=!]~|[=!<>]=|.)""",
    re.DOTALL,
)
_LISTING: Final = {"by", "without", "on", "ignoring", "group_left", "group_right"}
"""Words that a list of labels may follow."""

_WORDS: Final = {*_LISTING, "and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"}


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def enforced(spec: Mapping[str, Any], label: str, namespace: str) -> dict[str, Any]:
    """``spec`` of a PrometheusRule whose rules read and make only series with ``label`` = ``namespace``.

    Raises:
        Rejected: an expression is no PromQL, or cannot be bound; with its path.
    """
    groups = []
    for at, group in enumerate(spec.get("groups") or ()):
        rules = []
        for index, rule in enumerate(group.get("rules") or ()):
            try:
                expression = enforced_expression(str(rule.get("expr") or ""), label, namespace)
            except Rejected as refused:
                raise refused.at(f"spec.groups[{at}].rules[{index}].expr") from None
            rules.append({**rule, "expr": expression, "labels": {**(rule.get("labels") or {}), label: namespace}})
        groups.append({**group, "rules": rules})
    return {**spec, "groups": groups}


def enforced_expression(expression: str, label: str, value: str) -> str:
    """The expression with the matcher ``label="value"`` in every selector, in place of others of that label.

    The rest of the text stays as it is written. What comes out is parsed again, and every selector in it is seen to
    have the matcher.

    >>> enforced_expression('sum by (job) (rate(up{namespace="x", job!="a"}[5m])) / count(down)', "namespace", "shop")
    'sum by (job) (rate(up{job!="a",namespace="shop"}[5m])) / count(down{namespace="shop"})'

    Raises:
        Rejected: no PromQL; or a selector is written in a way that is not understood.
    """
    wanted = len(_selectors(parsed(expression)))
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    matcher = f'{_quoted(label)}="{escaped}"'
    pieces, last = [], 0
    for start, end, matchers in _places(list(_tokens(expression))):
        kept = [text for name, text in matchers if name != label]
        pieces += [expression[last:start], "{" + ",".join([*kept, matcher]) + "}"]
        last = end
    bound = "".join([*pieces, expression[last:]])
    selectors = _selectors(parsed(bound))
    if len(selectors) != wanted or not all(_is_bound(each, label, value) for each in selectors):
        raise Rejected(f"cannot be bound to {label}={value!r}: a selector in it is not understood; write it plainly")
    return bound


def _quoted(label: str) -> str:
    return label if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", label) else f'"{label}"'


def _tokens(expression: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(expression):
        if match.lastgroup != "skip":
            yield _Token(match.lastgroup or "sign", match.group(), match.start(), match.end())


def _places(tokens: list[_Token]) -> Iterator[tuple[int, int, list[tuple[str, str]]]]:
    """Where matchers stand or shall stand: from, to, and (label, text) of those that do."""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        after = tokens[at + 1].text if at + 1 < len(tokens) else ""
        if token.text == "{" and token.kind == "sign":
            closing, matchers = _matchers(tokens, at)
            yield token.start, tokens[closing].end, matchers
            at = closing + 1
        elif token.text == "[":
            at = next((place for place in range(at, len(tokens)) if tokens[place].text == "]"), len(tokens))
        elif token.kind != "name" or (at and tokens[at - 1].text == "@"):
            at += 1
        elif token.text.lower() in _LISTING and after == "(":
            while tokens[at].text != ")":
                at += 1
        elif after == "{" or after == "(" or token.text.lower() in _WORDS or _aggregates(tokens, at):
            at += 1
        else:
            yield token.end, token.end, []
            at += 1


def _aggregates(tokens: list[_Token], at: int) -> bool:
    """``sum by (…) (…)``: the word is the operation, not a series."""
    following = [each.text.lower() for each in tokens[at + 1 : at + 3]]
    return len(following) == 2 and following[0] in ("by", "without") and following[1] == "("


def _matchers(tokens: list[_Token], at: int) -> tuple[int, list[tuple[str, str]]]:
    """The place of the closing brace, and the matchers before it."""
    found: list[tuple[str, str]] = []
    part: list[str] = []
    for place in range(at + 1, len(tokens)):
        text = tokens[place].text
        if tokens[place].kind == "sign" and text in (",", "}"):
            if part:
                found.append((part[0].strip("\"'`"), "".join(part)))
            part = []
            if text == "}":
                return place, found
        else:
            part.append(text)
    raise Rejected("is no PromQL: a brace is open")


def _selectors(tree: promql_parser.Expr) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def seen(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)

    promql_parser.walk(tree, seen)
    return found


def _is_bound(selector: promql_parser.VectorSelector, label: str, value: str) -> bool:
    matchers = [each for each in selector.matchers.matchers if each.name == label]
    return len(matchers) == 1 and matchers[0].op == promql_parser.MatchOp.Equal and matchers[0].value == value
