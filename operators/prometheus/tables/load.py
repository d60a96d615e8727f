"""YAML of users, read as the original reads it: with the types of yaml.v2, keys in their order."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from operators.prometheus.tables.rejected import Rejected

__all__ = ["from_yaml"]

NODES_MAX: Final = 500_000
"""Beyond it, counted with what aliases repeat, a text is refused: the Secret it comes in holds one megabyte."""

_TAG: Final = "tag:yaml.org,2002:"
_BASES: Final = {"0b": 2, "0x": 16, "0o": 8}
_RESOLVED: Final = (
    ("bool", r"[yY]|yes|Yes|YES|true|True|TRUE|on|On|ON|[nN]|no|No|NO|false|False|FALSE|off|Off|OFF", "yYtToOnNfF"),
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("merge", r"<<", "<"),
    ("int", r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]*|[1-9][0-9_]*)", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
)
"""Of scalars without quotes: neither times nor numbers to the base 60."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: Any = {}  # noqa: RUF012 - of PyYAML; filled below


for _tag, _pattern, _first in _RESOLVED:
    _signs = [*_first, ""] if _tag == "null" else list(_first)
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(f"(?:{_pattern})$"), _signs)


def from_yaml(text: str) -> Any:
    """The document in a text; None for an empty one.

    Raises:
        Rejected: it is no YAML, or holds what cannot stand in a configuration. The text itself stays out of the rule.
    """
    try:
        node = yaml.compose(text, _Loader)
        return None if node is None else _Reader().value(node)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Rejected(f"is no YAML{line}; correct it") from None
    except (yaml.YAMLError, ValueError):
        raise Rejected("is no YAML; it has characters that may not stand there") from None
    except RecursionError:
        raise Rejected("is nested too deeply") from None


class _Reader:
    """Nodes as values; one that stands inside itself, or too many, are refused."""

    def __init__(self) -> None:
        self.left = NODES_MAX
        self.open: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        self.left -= 1
        if self.left < 0 or id(node) in self.open:
            raise Rejected(f"repeats by aliases more than {NODES_MAX} values, or a value in itself")
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        self.open.add(id(node))
        made = self.mapping(node) if isinstance(node, yaml.MappingNode) else [self.value(each) for each in node.value]
        self.open.discard(id(node))
        return made

    def mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, each in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise Rejected(f"has a key that is no text in line {key.start_mark.line + 1}")
            value = self.value(each)
            if key.tag != f"{_TAG}merge":
                made[key.value] = value
                continue
            for merged in value if isinstance(value, list) else [value]:
                if not isinstance(merged, dict):
                    raise Rejected(f"merges what is no mapping in line {key.start_mark.line + 1}")
                made = {**made, **{name: part for name, part in merged.items() if name not in made}}
        return made


def _scalar(node: yaml.ScalarNode) -> Any:
    text, kind = node.value, node.tag.removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("y", "yes", "true", "on")
    if kind == "int":
        return _whole(text.replace("_", ""))
    if kind == "float":
        plain = text.replace("_", "").lower()
        return float(plain.replace(".", "") if plain[-1] in "fn" else plain)
    if kind not in ("str", "merge"):
        raise Rejected(f"has a value of the type {node.tag[:40]!r} in line {node.start_mark.line + 1}")
    return str(text)


def _whole(text: str) -> int:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    base = _BASES.get(digits[:2].lower())
    if base is not None:
        return sign * int(digits[2:], base)
    return sign * int(digits, 8 if len(digits) > 1 and digits[0] == "0" else 10)
