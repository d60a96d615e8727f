"""Transforms that many tables share: from the value of the API to that of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cmp_to_key
from typing import Any

from operators.prometheus.tables.rejected import Rejected
from operators.prometheus.tables.table import OMIT, Field, Make, Scope, Table

__all__ = ["always", "by_name", "each", "filled", "given", "lowered", "naturally", "read_secret", "secret", "section"]


def given(value: Any, scope: Scope) -> Any:
    """As it is, "" and what is empty too: a field that the API has as a pointer."""
    return value


def filled(value: Any, scope: Scope) -> Any:
    """As it is, unless it is the zero of its type: "", 0, false, empty."""
    return value or OMIT


def always(key: str, source: str = "", otherwise: Any = "") -> Field:
    """A field that is written also where it is absent: a required one, as ``otherwise``."""
    return Field(key, source, lambda value, scope: otherwise if value is None else value, always=True)


def lowered(value: Any, scope: Scope) -> Any:
    """A text in small letters."""
    return value.lower() if isinstance(value, str) else OMIT


def by_name(value: Any, scope: Scope) -> Any:
    """A mapping sorted by its keys."""
    return dict(sorted(value.items())) if isinstance(value, Mapping) and value else OMIT


def naturally(value: Any, scope: Scope) -> Any:
    """A mapping in the order that yaml.v2 gives a Go map: letters behind other signs, numbers by their value.

    >>> list(naturally({"a10": 1, "a2": 1, "b": 1, "_": 1}, Scope(None)))
    ['_', 'a2', 'a10', 'b']
    """
    if not isinstance(value, Mapping) or not value:
        return OMIT
    return {key: value[key] for key in sorted(value, key=cmp_to_key(_natural))}


def secret(value: Any, scope: Scope) -> Any:
    """The text at a reference to a Secret (or at ``{"secret": …}`` | ``{"configMap": …}``), "" where there is none."""
    return scope.assets.found(scope.namespace, value if isinstance(value, Mapping) else None)


def read_secret(value: Any, scope: Scope) -> Any:
    """The text at a reference to a Secret.

    Raises:
        Rejected: it cannot be read.
    """
    if not isinstance(value, Mapping):
        raise Rejected('is no reference to a Secret; write one as {"name": …, "key": …}')
    return scope.assets.secret(scope.namespace, value)


def section(table: Table) -> Make:
    """A nested section that is written also if it ends empty, unless it is absent."""
    return lambda value, scope: table.of(value, scope) if isinstance(value, Mapping) else OMIT


def each(make: Make | Table) -> Make:
    """Of a list: what ``make`` makes of each item, without those for which it gives `OMIT`; `OMIT` for an empty one."""
    of = make.of if isinstance(make, Table) else make

    def items(value: Any, scope: Scope) -> Any:
        if not isinstance(value, list) or not value:
            return OMIT
        return [made for at, item in enumerate(value) if (made := _item(of, at, item, scope)) is not OMIT]

    return items


def _item(of: Make, at: int, item: Any, scope: Scope) -> Any:
    try:
        return of(item, scope)
    except Rejected as refused:
        raise refused.at(f"[{at}]") from None


def _natural(left: str, right: str) -> int:
    """Below, equal, above: -1, 0, 1."""
    digits = False
    for at, (a, b) in enumerate(zip(left, right, strict=False)):
        if a == b:
            digits = a.isdecimal()
        elif a.isalpha() and b.isalpha():
            return -1 if a < b else 1
        elif a.isalpha() or b.isalpha():
            return -1 if a.isalpha() == digits else 1
        else:
            return _numbers(left, right, at)
    return (len(left) > len(right)) - (len(left) < len(right))


def _numbers(left: str, right: str, at: int) -> int:
    """Where they first differ and neither sign is a letter: by the numbers that stand there."""
    led = "0" in (left[at], right[at]) and any(sign != "0" for sign in _digits_before(left, at))
    return -1 if _number(left, at, led) < _number(right, at, led) else 1


def _number(text: str, at: int, led: bool) -> tuple[int, int, str]:
    digits = _digits(text, at)
    return int(("1" if led else "") + digits or "0"), len(digits), text[at]


def _digits(text: str, at: int) -> str:
    end = at
    while end < len(text) and text[end].isdecimal():
        end += 1
    return text[at:end]


def _digits_before(text: str, at: int) -> str:
    start = at
    while start and text[start - 1].isdecimal():
        start -= 1
    return text[start:at]
