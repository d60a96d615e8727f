"""Syntax of Go templates.

Source: Go's ``text/template/parse``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import Final, NamedTuple

from operators.prometheus.tables.rejected import Rejected

__all__ = ["BUILTIN", "check_template"]

_BUILTIN: Final = "and call html index slice js len not or print printf println urlquery eq ge gt le lt ne"

BUILTIN: Final = frozenset(f"{_BUILTIN} true false nil".split())
"""What may stand where a function stands, without any that a program adds."""

_ACTION: Final = re.compile(
    r"""\{\{(?:-\s)?\s*(?:/\*.*?\*/\s*(?:\s-)?\}\}|(?P<body>(?:"(?:\\.|[^"\\\n])*"|`[^`]*`|'(?:\\.|[^'\\\n])*'|[^"`'])*?)(?:\s-)?\}\})""",
    re.DOTALL,
)
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)|(?P<text>"(?:\\.|[^"\\\n])*"|`[^`]*`|'(?:\\.|[^'\\\n])*')|(?P<variable>\$[A-Za-z0-9_]*)"""
    r"""|(?P<field>\.[A-Za-z_][A-Za-z0-9_]*)|(?P<dot>\.)|(?P<number>[+-]?[0-9][0-9A-Za-z_.]*)"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>:=|[=|(),])"""
)
_OPENING: Final = {"if", "range", "with", "block", "define"}


class _Token(NamedTuple):
    kind: str
    text: str
    spaced: bool


class _Block(NamedTuple):
    word: str
    variables: int
    """How many were known outside."""


def check_template(text: str, functions: Set[str] = BUILTIN, variables: Sequence[str] = ("$",)) -> None:
    """Checks one text.

    >>> check_template('{{ .Labels.job }} is at {{ printf "%.2f" .Value }}')
    >>> check_template("{{ if .Values }}x")
    Traceback (most recent call last):
    operators.prometheus.tables.rejected.Rejected: is no template: {{if}} has no {{end}}

    Args:
        functions: that it may call.
        variables: that are defined before it.
    Raises:
        Rejected: it does not parse.
    """
    parser, at = _Parser(functions, variables), 0
    while (opened := text.find("{{", at)) >= 0:
        match = _ACTION.match(text, opened)
        if match is None:
            raise _refused("an action is not closed by }}")
        if match["body"] is not None:
            parser.action(match["body"])
        at = match.end()
    if parser.blocks:
        raise _refused(f"{{{{{parser.blocks[-1].word}}}}} has no {{{{end}}}}")


def _refused(what: str) -> Rejected:
    return Rejected(f"is no template: {what}")


class _Parser:
    def __init__(self, functions: Set[str], variables: Sequence[str]) -> None:
        self.blocks: list[_Block] = []
        self._functions = functions
        self._variables = list(variables)
        self._tokens: list[_Token] = []

    def action(self, body: str) -> None:
        self._tokens = _tokens(body)
        if not self._tokens:
            raise _refused("an action is empty")
        first = self._tokens[0]
        word = first.text if first.kind == "word" else ""
        if word in _OPENING:
            self._open(word)
        elif word == "else":
            self._else()
        elif word == "end":
            if not self.blocks:
                raise _refused("unexpected {{end}}")
            del self._variables[self.blocks.pop().variables :]
            self._nothing_after("end")
        elif word in ("break", "continue") and any(each.word == "range" for each in self.blocks):
            self._nothing_after(word)
        elif word == "template":
            self._name("template")
            if self._tokens:
                self._pipeline()
        else:
            self._pipeline()

    def _open(self, word: str) -> None:
        self.blocks.append(_Block(word, len(self._variables)))
        if word in ("block", "define"):
            self._name(word)
            if word == "define":
                self._variables.append("$")
                self._nothing_left("define")
                return
        else:
            self._tokens.pop(0)
        self._pipeline(in_range=word == "range")

    def _else(self) -> None:
        block = self.blocks[-1] if self.blocks else None
        if block is None or block.word not in ("if", "range", "with"):
            raise _refused("unexpected {{else}}")
        del self._variables[block.variables :]
        self._tokens.pop(0)
        if self._tokens and self._tokens[0].text == block.word and block.word in ("if", "with"):
            self._tokens.pop(0)
            self._pipeline()
        else:
            self._nothing_left("else")

    def _name(self, word: str) -> None:
        self._tokens.pop(0)
        if not self._tokens or self._tokens.pop(0).kind != "text":
            raise _refused(f"{{{{{word}}}}} has no name in quotes")

    def _nothing_after(self, word: str) -> None:
        self._tokens.pop(0)
        self._nothing_left(word)

    def _nothing_left(self, word: str) -> None:
        if self._tokens:
            raise _refused(f"unexpected {self._tokens[0].text!r} after {word}")

    def _pipeline(self, *, in_range: bool = False) -> None:
        declared = self._declared(in_range)
        self._commands(closing="")
        self._variables += declared
        if self._tokens:
            raise _refused(f"unexpected {self._tokens[0].text!r}")

    def _declared(self, in_range: bool) -> list[str]:
        """Takes ``$a :=``, ``$a =`` or, in a range, ``$a, $b :=`` away."""
        kinds = [each.kind for each in self._tokens]
        texts = [each.text for each in self._tokens]
        count = 3 if in_range and kinds[:1] == ["variable"] and texts[1:2] == [","] else 1
        if kinds[:1] != ["variable"] or texts[count : count + 1] not in ([":="], ["="]):
            return []
        names = texts[0:count:2]
        if texts[count] == "=":
            for name in names:
                self._known(name)
        del self._tokens[: count + 1]
        return names if texts[count] == ":=" else []

    def _commands(self, closing: str) -> None:
        """Commands joined by ``|``, up to ``closing`` or the end."""
        while True:
            operands = 0
            while self._tokens and self._tokens[0].text not in ("|", ")"):
                if operands and not self._tokens[0].spaced and self._tokens[0].kind != "sign":
                    raise _refused(f"unexpected {self._tokens[0].text!r} in an operand")
                self._operand()
                operands += 1
            if not operands:
                raise _refused("a value is missing")
            if not self._tokens or self._tokens[0].text == ")":
                break
            self._tokens.pop(0)
        if closing:
            if not self._tokens:
                raise _refused("a left parenthesis is not closed")
            self._tokens.pop(0)

    def _operand(self) -> None:
        token = self._tokens.pop(0)
        if token.text == "(":
            self._commands(closing=")")
        elif token.kind == "variable":
            self._known(token.text)
        elif token.kind == "word" and token.text not in self._functions:
            raise _refused(f"the function {token.text!r} is not defined")
        elif token.kind == "sign":
            raise _refused(f"unexpected {token.text!r}")
        while self._tokens and self._tokens[0].kind == "field" and not self._tokens[0].spaced:
            self._tokens.pop(0)

    def _known(self, name: str) -> None:
        if name not in self._variables:
            raise _refused(f"the variable {name!r} is not defined")


def _tokens(body: str) -> list[_Token]:
    tokens: list[_Token] = []
    at, spaced = 0, True
    while at < len(body):
        match = _TOKEN.match(body, at)
        if match is None:
            raise _refused(f"unexpected {body[at]!r}")
        at = match.end()
        if match.lastgroup == "space":
            spaced = True
            continue
        tokens.append(_Token(match.lastgroup or "", match.group(), spaced))
        spaced = False
    return tokens
