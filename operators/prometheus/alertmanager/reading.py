"""A configuration in YAML, read as strictly as Alertmanager reads it.

A scalar without quotes is a `Plain`: its text as it was written, and its value. So ``null`` is not ``"null"``, and
``0x10`` is still that text where a text is asked for.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from operators.prometheus.tables import Rejected

__all__ = ["Plain", "read_yaml"]

NODES_MAX: Final = 500_000
"""Beyond it, counted with what aliases repeat, a document is refused: the Secret it comes in holds one megabyte."""

_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]*|[1-9][0-9_]*)$")
_BASES: Final = {"0b": 2, "0x": 16, "0o": 8}


class Plain(str):
    """The text of a scalar without quotes that YAML reads as something else than text."""

    __slots__ = ("value",)

    value: Any

    @classmethod
    def of(cls, text: str, value: Any) -> Plain:
        """From both."""
        made = cls(text)
        made.value = value
        return made


class _Loader(yaml.SafeLoader):
    """Without times and numbers to the base 60, which yaml.v2 does not know."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - of PyYAML
        first: [(tag, each) for tag, each in resolvers if tag.removeprefix(_TAG) in ("null", "bool", "float", "merge")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(f"{_TAG}int", _INTEGER, list("-+0123456789"))


def read_yaml(text: str) -> Any:
    """The one document in a text; None if it is empty.

    Raises:
        Rejected: it is no YAML, or has a key twice, a key that is no text, or an alias inside what it stands for.
    """
    try:
        node = yaml.compose(text, _Loader)
        return None if node is None else _Reader().value(node)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Rejected(f"is no YAML{line}: {error.problem or error.context or 'it does not parse'}") from None
    except (yaml.YAMLError, ValueError):
        raise Rejected("is no YAML: it has characters that may not stand there") from None
    except RecursionError:
        raise Rejected("is nested too deeply") from None


class _Reader:
    def __init__(self) -> None:
        self.left = NODES_MAX
        self.open: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        self.left -= 1
        if self.left < 0:
            raise Rejected(f"repeats by aliases more than {NODES_MAX} values")
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self.open:
            raise Rejected(f"has an alias inside what it stands for, in line {node.start_mark.line + 1}")
        self.open.add(id(node))
        made = self.mapping(node) if isinstance(node, yaml.MappingNode) else [self.value(item) for item in node.value]
        self.open.discard(id(node))
        return made

    def mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, each in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise Rejected(f"has a key that is no text, in line {key.start_mark.line + 1}")
            made = self.value(each)
            if key.tag == f"{_TAG}merge":
                for part in reversed(made if isinstance(made, list) else [made]):
                    if not isinstance(part, dict):
                        raise Rejected(f"merges what is no mapping, in line {key.start_mark.line + 1}")
                    merged.update(part)
            elif key.value in own:
                raise Rejected(f"has the key {key.value[:40]!r} twice, in line {key.start_mark.line + 1}")
            else:
                own[key.value] = made
        return {**merged, **own}


def _scalar(node: yaml.ScalarNode) -> str:
    kind = node.tag.removeprefix(_TAG)
    if kind in ("str", "merge"):
        return str(node.value)
    if kind not in ("null", "bool", "int", "float"):
        raise Rejected(f"has a value of the type {node.tag[:40]!r}, in line {node.start_mark.line + 1}")
    return Plain.of(node.value, _typed(kind, node.value))


def _typed(kind: str, text: str) -> Any:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on", "y")
    digits = text.replace("_", "")
    if kind == "float":
        return float(digits.lower().replace(".inf", "inf").replace(".nan", "nan"))
    sign, digits = (-1 if digits.startswith("-") else 1), digits.lstrip("+-")
    base = _BASES.get(digits[:2].lower(), 8 if len(digits) > 1 and digits.startswith("0") else 10)
    return sign * int(digits[2:] if digits[:2] in _BASES else digits, base)
