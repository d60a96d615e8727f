"""Label selectors against a second, plain implementation: one character at a time, by apimachinery's grammar."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controllerkit.errors import BadRequest
from controllerkit.objects import LabelSelector

Term = Callable[[Mapping[str, str]], bool]

OPERATORS: Final = ("==", "!=", "=", "!", "<", ">", "(", ")", ",")
NAME: Final = re.compile(r"(?=.{1,63}\Z)[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?\Z", re.ASCII)
DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z")


class Refused(Exception):
    """The text is no selector."""


def tokens_of(text: str) -> list[str]:
    found: list[str] = []
    while text := text.lstrip(" \t\r\n"):
        operator = next((each for each in OPERATORS if text.startswith(each)), "")
        length = len(operator) or next((at for at, c in enumerate(text) if c in "=!<>(), \t\r\n"), len(text))
        found.append(text[:length])
        text = text[length:]
    return found


class Oracle:
    """Recursive descent over the tokens; each term becomes a function of the labels."""

    def __init__(self, text: str) -> None:
        self.tokens = tokens_of(text)
        self.terms: list[Term] = []
        while self.tokens:
            self.terms.append(self.term())
            if self.tokens and (self.tokens.pop(0) != "," or not self.tokens):
                raise Refused

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(term(labels) for term in self.terms)

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ","

    def word(self) -> str:
        if not self.tokens or self.tokens[0] in OPERATORS:
            raise Refused
        return self.tokens.pop(0)

    def term(self) -> Term:
        absent = self.peek() == "!"
        if absent:
            self.tokens.pop(0)
        key = self.word()
        domain, slash, name = key.partition("/")
        if not NAME.match(name if slash else key) or (slash and not DOMAIN.match(domain)):
            raise Refused
        if absent:
            return lambda labels: key not in labels
        if self.peek() == ",":
            return lambda labels: key in labels
        operator = self.tokens.pop(0)
        if operator in ("in", "notin"):
            values = self.values()
        elif operator in ("=", "==", "!=", "<", ">"):
            values = [""] if self.peek() == "," else [self.word()]
        else:
            raise Refused
        if any(value and not NAME.match(value) for value in values):
            raise Refused
        if operator in ("in", "=", "=="):
            return lambda labels: key in labels and labels[key] in values
        if operator in ("notin", "!="):
            return lambda labels: key not in labels or labels[key] not in values
        bound = number(values[0])
        if bound is None:
            raise Refused
        sign = 1 if operator == ">" else -1

        def compared(labels: Mapping[str, str]) -> bool:
            has = number(labels[key]) if key in labels else None
            return has is not None and sign * has > sign * bound

        return compared

    def values(self) -> list[str]:
        if not self.tokens or self.tokens.pop(0) != "(":
            raise Refused
        found = [""]
        while self.tokens:
            match token := self.tokens.pop(0):
                case ")":
                    return found
                case ",":
                    found.append("")
                case _ if token in OPERATORS or found[-1]:
                    raise Refused
                case _:
                    found[-1] = token
        raise Refused


def number(text: str) -> int | None:
    """As Go's ParseInt to base 10 with 64 bits has it."""
    if not re.match(r"[+-]?[0-9]+\Z", text) or not -(2**63) <= int(text) < 2**63:
        return None
    return int(text)


WORDS = ("a", "b", "in", "notin", "1", "7", "-1", "1_0", "x.dev/a", "X/a", "a/b/c", "/a", "a-", "9" * 19, "é", "")
LABELS = st.dictionaries(st.sampled_from(("a", "b", "in", "x.dev/a")), st.sampled_from((*WORDS, "10", "+5", "٣")))
SOUP = st.lists(st.sampled_from((*OPERATORS, *WORDS, " ")), max_size=9).map("".join)
KEYS = st.sampled_from(("a", "b", "in", "x.dev/a"))
VALUES = st.sampled_from(("", "a", "b", "1", "5", "10", "1_0", "9" * 18))
TERMS = st.one_of(
    KEYS,
    st.builds("!{}".format, KEYS),
    st.builds("{}{}{}".format, KEYS, st.sampled_from(("=", "==", "!=", "<", ">", " = ", " != ")), VALUES),
    st.builds("{} {} ({})".format, KEYS, st.sampled_from(("in", "notin")), st.lists(VALUES, max_size=3).map(", ".join)),
)


@given(text=st.one_of(SOUP, st.lists(TERMS, max_size=4).map(",".join)), labels=LABELS)
@example(text="a>5", labels={"a": "1_0"})
@example(text="a>5", labels={"a": "9" * 19})
@example(text=f"a>{'9' * 19}", labels={})
@example(text="X/a", labels={})
@example(text="a/b/c", labels={})
def test_a_selector_is_read_and_matched_as_by_a_plain_second_implementation(text: str, labels: dict[str, str]) -> None:
    try:
        oracle = Oracle(text)
    except Refused:
        with pytest.raises(BadRequest):
            LabelSelector.parse(text)
        return
    selector = LabelSelector.parse(text)
    assert selector.matches(labels) == oracle.matches(labels)
    assert Oracle(str(selector)).matches(labels) == oracle.matches(labels), "what it writes means something else"


EXPRESSIONS = st.one_of(
    st.fixed_dictionaries(
        {
            "key": KEYS,
            "operator": st.sampled_from(("In", "NotIn")),
            "values": st.lists(VALUES, min_size=1, max_size=3),
        }
    ),
    st.fixed_dictionaries({"key": KEYS, "operator": st.sampled_from(("Exists", "DoesNotExist"))}),
)


@given(equal=st.dictionaries(KEYS, VALUES, max_size=2), expressions=st.lists(EXPRESSIONS, max_size=3), labels=LABELS)
def test_a_selector_of_an_object_matches_as_its_words_say(
    equal: dict[str, str], expressions: list, labels: dict
) -> None:
    def holds(expression: Mapping[str, object]) -> bool:
        value = labels.get(expression["key"])
        among = value in expression.get("values", ())
        return {
            "In": value is not None and among,
            "NotIn": value is None or not among,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[expression["operator"]]

    selector = LabelSelector.from_dict({"matchLabels": equal, "matchExpressions": expressions})
    plain = equal.items() <= labels.items() and all(map(holds, expressions))
    assert selector.matches(labels) == plain
    assert LabelSelector.parse(str(selector)).matches(labels) == plain
