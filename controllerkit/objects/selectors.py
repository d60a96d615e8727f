"""Label and field selectors: parsed from text or from ``metav1.LabelSelector``, matched, written back.

Grammar and matching follow apimachinery ``pkg/labels/selector.go`` and ``pkg/fields/selector.go``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controllerkit.errors import BadRequest

__all__ = ["FieldSelector", "LabelSelector", "Requirement"]

_NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SET: Final = re.compile(r"^\s*(?P<key>[^\s=!,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)\s*$")
_COMPARE: Final = re.compile(r"^\s*(?P<key>[^\s=!<>,()]+)\s*(?P<op>==|=|!=|<|>)\s*(?P<value>[^\s=!<>,()]*)\s*$")
_EXISTS: Final = re.compile(r"^\s*(?P<not>!?)\s*(?P<key>[^\s=!<>,()]+)\s*$")
_DOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_NAME_LENGTH_MAX: Final = 63
_PREFIX_LENGTH_MAX: Final = 253


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term. ``operator`` is one of In, NotIn, Exists, DoesNotExist, Gt, Lt."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """NotIn and DoesNotExist also hold for a label that is absent."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case _:
                return value is not None and self._compare(value)

    def _compare(self, value: str) -> bool:
        ours, bound = _integer(value), _integer(next(iter(self.values)))
        if ours is None or bound is None:
            return False
        return ours > bound if self.operator == "Gt" else ours < bound

    def __str__(self) -> str:
        values = sorted(self.values)
        match self.operator:
            case "In":
                return f"{self.key}={values[0]}" if len(values) == 1 else f"{self.key} in ({','.join(values)})"
            case "NotIn":
                return f"{self.key}!={values[0]}" if len(values) == 1 else f"{self.key} notin ({','.join(values)})"
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
            case _:
                return f"{self.key}{'>' if self.operator == 'Gt' else '<'}{values[0]}"


def _integer(text: str) -> int | None:
    """As Go's ``strconv.ParseInt`` to base 10 with 64 bits; None where that is an error."""
    if not _INTEGER.fullmatch(text) or not -(1 << 63) <= int(text) < 1 << 63:
        return None
    return int(text)


def _split_terms(text: str) -> Iterable[str]:
    depth, start = 0, 0
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _check_key(key: str, text: str) -> None:
    prefix, slash, name = key.rpartition("/")
    if (
        not _NAME.fullmatch(name)
        or len(name) > _NAME_LENGTH_MAX
        or (slash and (not _DOMAIN.fullmatch(prefix) or len(prefix) > _PREFIX_LENGTH_MAX))
    ):
        raise BadRequest(f"unable to parse requirement: {text!r}: invalid label key {key!r}")


def _check_value(value: str, text: str) -> None:
    if value and (not _NAME.fullmatch(value) or len(value) > _NAME_LENGTH_MAX):
        raise BadRequest(f"unable to parse requirement: {text!r}: invalid label value {value!r}")


def _parse_term(term: str) -> Requirement:
    if found := _SET.match(term):
        values = frozenset(value.strip() for value in found["values"].split(","))
        requirement = Requirement(found["key"], "In" if found["op"] == "in" else "NotIn", values)
    elif found := _COMPARE.match(term):
        operator = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}[found["op"]]
        requirement = Requirement(found["key"], operator, frozenset({found["value"]}))
    elif found := _EXISTS.match(term):
        requirement = Requirement(found["key"], "DoesNotExist" if found["not"] else "Exists")
    else:
        raise BadRequest(f"unable to parse requirement: {term!r}")
    _check_key(requirement.key, term)
    for value in requirement.values:
        _check_value(value, term)
    if requirement.operator in ("Gt", "Lt") and _integer(next(iter(requirement.values))) is None:
        raise BadRequest(
            f"unable to parse requirement: {term!r}: for 'Gt', 'Lt' operators, the value must be an integer"
        )
    return requirement


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none at all matches everything.

    Raises:
        BadRequest: from ``parse`` and ``from_dict``, as the server answers, with the term and why.

    >>> selector = LabelSelector.parse("app=etcd,tier in (a,b),!old")
    >>> selector.matches({"app": "etcd", "tier": "b"}), selector.matches({"app": "etcd", "tier": "b", "old": ""})
    (True, False)
    >>> str(LabelSelector.from_dict({"matchLabels": {"app": "web"}}))
    'app=web'
    """

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """From a ``labelSelector`` query parameter."""
        return cls(tuple(_parse_term(term) for term in _split_terms(text))) if text.strip() else cls()

    @classmethod
    def from_dict(cls, value: Mapping[str, Any] | None) -> LabelSelector:
        """From ``metav1.LabelSelector`` (matchLabels and matchExpressions)."""
        value = value or {}
        terms = [Requirement(k, "In", frozenset({v})) for k, v in (value.get("matchLabels") or {}).items()]
        for expression in value.get("matchExpressions") or ():
            operator, values = expression["operator"], frozenset(expression.get("values") or ())
            if operator not in ("In", "NotIn", "Exists", "DoesNotExist") or (operator in ("In", "NotIn")) != bool(
                values
            ):
                raise BadRequest(f"invalid label selector requirement {dict(expression)!r}")
            terms.append(Requirement(expression["key"], operator, values))
        return cls(tuple(terms))

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> LabelSelector:
        """Equality with every one of ``labels``."""
        return cls.from_dict({"matchLabels": labels})

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether every requirement holds."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """``path=value`` and ``path!=value`` terms; which paths are allowed is the server's to say.

    >>> [str(t) for t in FieldSelector.parse("metadata.name=a,status.phase!=Running").terms]
    ["('metadata.name', True, 'a')", "('status.phase', False, 'Running')"]
    """

    terms: tuple[tuple[str, bool, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> FieldSelector:
        """From a ``fieldSelector`` query parameter; each term as (path, equal, value)."""
        terms = []
        for term in filter(None, (part.strip() for part in text.split(","))):
            found = re.fullmatch(r"([^=!]+?)\s*(==|!=|=)\s*(.*)", term)
            if found is None:
                raise BadRequest(f"invalid field selector {text!r}: {term!r} is no path=value or path!=value")
            terms.append((found[1], found[2] != "!=", found[3]))
        return cls(tuple(terms))

    def matches(self, fields: Mapping[str, str]) -> bool:
        """``fields`` holds the value at each path; a missing one counts as ""."""
        return all((fields.get(path, "") == value) is equal for path, equal, value in self.terms)

    def __str__(self) -> str:
        return ",".join(f"{path}{'=' if equal else '!='}{value}" for path, equal, value in self.terms)
