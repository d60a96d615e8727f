"""YAML as the original's emitter writes it, from ordered mappings.

Block style, two spaces, lists not indented under their key, lines folded at 80 columns; a text that would be read as
something else is written in double quotes, one that cannot stand plain in single ones. How a text is written is
decided by PyYAML once for each text and place, so that many equal lines cost a look into a dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any, Final

import yaml

__all__ = ["Flow", "Text", "to_yaml"]

WIDTH: Final = 80

FLOAT_PLACES: Final = 6
"""Numbers of more digits before the point are written with an exponent (Go ``strconv/ftoa.go``, the shortest form)."""

_SEXAGESIMAL: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
"""Numbers to the base 60 of YAML 1.1, which yaml.v2 quotes though it would not read them as numbers."""

_NUMBER: Final = re.compile(
    r"[-+]?(?:0[oO][0-7_]+|(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9_]+)?)", re.ASCII
)
"""Numbers that yaml.v2 reads beside those that PyYAML reads: with an exponent and no point, and octal ones."""

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS: Final = frozenset(("y", "n", "yes", "no", "true", "false", "on", "off", "null"))
"""Texts that stand plain and are never folded, most of all there are, but for the words that mean something else."""

_BREAKS: Final = re.compile("[\\r\\x85\\u2028\\u2029]")
"""What breaks a line beside a newline."""


class Flow(list[Any]):
    """A list that is written in one line, in brackets."""


@dataclass(frozen=True, slots=True)
class Text:
    """Lines that are written already, of items of a list at the column where they stand: a cached fragment."""

    lines: str


class _Dumper(yaml.SafeDumper):
    """Quotes as yaml.v2: double quotes around what would be read as another type, literal blocks for lines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    tag = dumper.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    number = _NUMBER.fullmatch(value) or _SEXAGESIMAL.fullmatch(value)
    looks_else = tag != "tag:yaml.org,2002:str" or number or _BREAKS.search(value)
    style = '"' if looks_else else "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _flow(dumper: _Dumper, value: Flow) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)


_Dumper.add_representer(str, _string)
_Dumper.add_representer(Flow, _flow)


def to_yaml(value: Mapping[str, Any]) -> str:
    """The document, each line ended.

    ``value`` holds mappings with text keys, sequences, `Text` in sequences, and scalars (text, bool, int, float, None).
    """
    lines: list[str] = []
    _mapping(value, "", "", lines)
    return "".join(lines) if lines else "{}\n"


def _mapping(value: Mapping[str, Any], first: str, indent: str, lines: list[str]) -> None:
    """``first`` stands before the first key (``"- "`` behind an item's indent), ``indent`` before the others."""
    lead = first
    for key, each in value.items():
        label = lead + _key(key) + ":"
        lead = indent
        if isinstance(each, Mapping) and each:
            lines.append(label + "\n")
            _mapping(each, indent + "  ", indent + "  ", lines)
        elif isinstance(each, (list, tuple)) and each and not isinstance(each, Flow):
            lines.append(label + "\n")
            _sequence(each, indent, lines)
        else:
            lines.append(label + _scalar(each, len(indent), len(label) - len(indent)))


def _sequence(value: Sequence[Any], indent: str, lines: list[str]) -> None:
    for each in value:
        if isinstance(each, Text):
            lines.append(each.lines)
        elif isinstance(each, Mapping) and each:
            _mapping(each, indent + "- ", indent + "  ", lines)
        elif isinstance(each, (list, tuple)) and each:
            nested: list[str] = []
            _sequence(each, indent + "  ", nested)
            nested[0] = indent + "- " + nested[0][len(indent) + 2 :]
            lines.extend(nested)
        else:
            lines.append(indent + "-" + _scalar(each, len(indent), 1))


@lru_cache(maxsize=4096)
def _key(key: str) -> str:
    text = _dumped({key: 0})
    if not text.startswith("? "):
        return text[: -len(": 0\n")]
    quoted: str = yaml.safe_dump(key, default_style='"', allow_unicode=True, width=float("inf"))
    return quoted.removesuffix("\n")


def _scalar(value: Any, indent: int, label: int) -> str:
    """With the space before it and the end of its line."""
    if value is True or value is False:
        return " true\n" if value else " false\n"
    if type(value) is int:
        return f" {value}\n"
    if isinstance(value, str):
        return _text(value, indent, label if len(value) > WIDTH - indent - label else 0)
    if isinstance(value, Mapping):
        return " {}\n"
    if isinstance(value, (list, tuple)) and not value:
        return " []\n"
    if isinstance(value, float) and isfinite(value):
        return f" {_float(value)}\n"
    return " " + _dumped({"k": value})[len("k: ") :]


def _float(value: float) -> str:
    """The fewest digits that read as the same number, as Go's ``strconv.FormatFloat`` with ``'g'`` writes them.

    >>> [_float(value) for value in (1.0, 12.124, 0.00001, 1234567.0, -0.0)]
    ['1', '12.124', '1e-05', '1.234567e+06', '-0']
    """
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    place = len(digits) + int(exponent) - 1
    if value and not -4 <= place < FLOAT_PLACES:
        mantissa = "".join(map(str, digits)).rstrip("0")
        fraction = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
        return f"{'-' * sign}{mantissa[0]}{fraction}e{'-' if place < 0 else '+'}{abs(place):02d}"
    written = format(Decimal(repr(value)), "f")
    return written.rstrip("0").rstrip(".") if "." in written else written


@lru_cache(maxsize=65536)
def _text(value: str, indent: int, label: int) -> str:
    """``label`` matters only where the line may have to be folded."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return f" {value}\n"
    label = min(label, WIDTH)  # behind a longer one the line is folded at the same signs
    if not label and "\n" not in value:
        return _dumped({"k": value})[len("k:") :]
    nested: Any = {"k" * max(1, label - 1): value}
    for _ in range(indent // 2):
        nested = {"p": nested}
    text = _dumped(nested)
    skipped = sum(2 * depth + len("p:\n") for depth in range(indent // 2))
    return text[skipped + indent + max(1, label - 1) + 1 :]


def _dumped(value: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=WIDTH
    )
    # Behind a block whose last empty lines count, PyYAML ends the document, which here goes on.
    return text.removesuffix("...\n") if text.endswith("\n...\n") else text
