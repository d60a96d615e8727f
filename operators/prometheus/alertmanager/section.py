"""Sections of Alertmanager's file: their keys in order, by version, and what has to hold between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from operators.prometheus.alertmanager.options import Options
from operators.prometheus.alertmanager.urls import check_template_url, check_url
from operators.prometheus.alertmanager.values import is_null, list_of
from operators.prometheus.tables import OMIT, Field, Rejected, Scope, Table
from operators.prometheus.tables.table import Make

__all__ = [
    "Rule",
    "Section",
    "compat",
    "each",
    "each_or_none",
    "filled",
    "first_wins",
    "needs",
    "one_of",
    "template_urls",
    "until",
    "urls",
]

Rule = Callable[[dict[str, Any], Scope], None]
"""Looks at what is about to be written, may take keys away, and refuses."""


class Section:
    """A mapping with these keys and no other.

    What a version does not know is left out, or refused where a row says so; then the rules are asked, in order.
    """

    def __init__(self, *rows: Field, since: str = "", before: tuple[Rule, ...] = (), rules: tuple[Rule, ...] = ()):
        """``since`` is the version that knows the section at all; ``before`` is asked about what was given."""
        self.table = Table(*rows)
        self.keys = {row.key for row in rows}
        self.since = since
        self.before = before
        self.rules = rules

    def __call__(self, value: Any, scope: Scope) -> Any:
        """As a `Make`: `OMIT` for null; an empty section is written."""
        return OMIT if is_null(value) else self.of(value, scope)

    def of(self, value: Any, scope: Scope) -> dict[str, Any]:
        """The section.

        Raises:
            Rejected: it is no mapping, has a key that is not known, or breaks a rule; with the path.
        """
        if not isinstance(value, Mapping):
            raise Rejected("is no mapping")
        for key in value:
            if key not in self.keys:
                raise Rejected("is not known here; check how it is spelled and where it belongs", str(key)[:60])
        if self.since and not scope.version.at_least(self.since):
            raise Rejected(f"needs Alertmanager {self.since}, this is {scope.version}")
        given = dict(value)
        for rule in self.before:
            rule(given, scope)
        written = self.table.of(given, scope)
        for rule in self.rules:
            rule(written, scope)
        return written


def filled(section: Section) -> Make:
    """A section that is left out if nothing is in it."""

    def made(value: Any, scope: Scope) -> Any:
        return OMIT if is_null(value) else section.of(value, scope) or OMIT

    return made


def each(make: Make) -> Make:
    """A list of sections; an empty one is left out."""

    def made(value: Any, scope: Scope) -> Any:
        return items(value, scope) or OMIT

    items = each_or_none(make)
    return made


def each_or_none(make: Make) -> Make:
    """A list of sections; an empty one is written."""

    def made(value: Any, scope: Scope) -> Any:
        return [_item(make, at, item, scope) for at, item in enumerate(list_of(value))]

    return made


def _item(make: Make, at: int, item: Any, scope: Scope) -> Any:
    try:
        written = make(item, scope)
        if written is OMIT:
            raise Rejected("is empty")
    except Rejected as refused:
        raise refused.at(f"[{at}]") from None
    return written


def compat(scope: Scope) -> bool:
    """Whether what the original does is done also where it is a mistake."""
    return isinstance(scope.options, Options) and scope.options.compat


def until(version: str, *rules: Rule) -> Rule:
    """Rules that hold before a version."""

    def checked(written: dict[str, Any], scope: Scope) -> None:
        if not scope.version.at_least(version):
            for rule in rules:
                rule(written, scope)

    return checked


def first_wins(first: str, second: str) -> Rule:
    """Of two that exclude each other the second is left out."""

    def checked(written: dict[str, Any], scope: Scope) -> None:
        if first in written and written.pop(second, None) is not None:
            scope.dropped.append(f"{second} is left out: {first} is set and comes before it")

    return checked


def one_of(*keys: str) -> Rule:
    """At most one may be set."""

    def checked(written: dict[str, Any], scope: Scope) -> None:
        if len(found := [key for key in keys if key in written]) > 1:
            raise Rejected(f"has {' and '.join(found)}; set one of them")

    return checked


def needs(*keys: str) -> Rule:
    """At least one must be set, and not be ""."""

    def checked(written: dict[str, Any], scope: Scope) -> None:
        if not any(written.get(key) for key in keys):
            raise Rejected(f"has no {' or '.join(keys)}")

    return checked


def urls(*keys: str) -> Rule:
    """These are addresses."""
    return _checked(keys, lambda text, scope: check_url(text))


def template_urls(*keys: str) -> Rule:
    """These are addresses or templates."""
    return _checked(keys, check_template_url)


def _checked(keys: tuple[str, ...], check: Callable[[str, Scope], None]) -> Rule:
    def checked(written: dict[str, Any], scope: Scope) -> None:
        for key in keys:
            if written.get(key):
                try:
                    check(written[key], scope)
                except Rejected as refused:
                    raise refused.at(key) from None

    return checked
