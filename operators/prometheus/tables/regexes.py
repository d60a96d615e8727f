"""Regular expressions as Prometheus reads them (RE2), checked before it does.

Source: the syntax of Go's ``regexp/syntax`` with the flags of Perl, which is what Prometheus compiles with.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from operators.prometheus.tables.rejected import Rejected

__all__ = ["check_regex"]

REPEAT_MAX: Final = 1000
"""Of ``{n,m}``, also where repeated expressions are inside one another."""

DEPTH_MAX: Final = 1000
"""Of expressions inside one another."""

_REPEAT: Final = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_NAMED: Final = re.compile(r"\(\?P?<([^>]*)>")
_FLAGS: Final = re.compile(r"\(\?([a-zA-Z]*(?:-[a-zA-Z]+)?)([:)])")
_GROUP: Final = re.compile(r"\w+", re.ASCII)
_POSIX: Final = re.compile(r"\[:\^?([a-z]+):\]")
_POSIX_NAMES: Final = frozenset(
    {"alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper"}
    | {"word", "xdigit"}
)
_PROPERTY: Final = re.compile(r"\\[pP](?:\{\^?([^}]*)\}|(.))", re.DOTALL)
_CATEGORIES: Final = re.compile("Any|LC|C[cfnos]?|L[ulmot]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?")
_SCRIPT: Final = re.compile(r"[A-Z][a-z][A-Za-z_]+")
"""How names of scripts look; whether Unicode has a script of that name is not known here."""

_CLASS_LETTERS: Final = "dDsSwW"
_CONTROL_LETTERS: Final = "afnrtv"
_PLACE_LETTERS: Final = "AbBz"


@lru_cache(maxsize=4096)
def check_regex(pattern: str) -> None:
    r"""Raises `Rejected` unless RE2 compiles the pattern.

    >>> check_regex("(foo|bar)-[[:alpha:]]+?")
    >>> try: check_regex("(?=a)")
    ... except Rejected as refused: print(refused)
    '(?=a)' is no regular expression: (? is followed by '='
    """
    try:
        _Reader(pattern).read()
    except _SyntaxError as wrong:
        raise Rejected(f"{pattern!r} is no regular expression: {wrong}") from None


class _SyntaxError(Exception):
    """What is wrong, in words."""


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.groups: set[str] = set()
        # Of each group that is open, the highest repetition inside it; the last is of the group that is read.
        self.repeats = [1]

    def read(self) -> None:
        if any(0xD800 <= ord(sign) <= 0xDFFF for sign in self.pattern):
            raise _SyntaxError("it is no UTF-8")
        # What may be repeated: the highest repetition inside the last expression; None where there is none.
        last: int | None = None
        repeated = False
        while self.at < len(self.pattern):
            sign = self.pattern[self.at]
            if sign in "*+?" or (sign == "{" and self._repetition()):
                last, repeated = self._repeat(last, repeated), True
                continue
            repeated = False
            last = self._one(sign, last)
        if len(self.repeats) > 1:
            raise _SyntaxError("a ) is missing")

    def _one(self, sign: str, last: int | None) -> int | None:
        """One expression; what is in it repeated, or None where nothing stands that could be."""
        if sign == "(":
            return self._open(last)
        if sign == ")":
            if len(self.repeats) == 1:
                raise _SyntaxError("a ( is missing")
            self.at += 1
            inner = self.repeats.pop()
            self.repeats[-1] = max(self.repeats[-1], inner)
            return inner
        if sign == "|":
            self.at += 1
            return None
        if sign == "[":
            self._class()
        elif sign == "\\":
            self._escape(within=False)
        else:
            self.at += 1
        return 1

    def _repetition(self) -> re.Match[str] | None:
        return _REPEAT.match(self.pattern, self.at)

    def _repeat(self, last: int | None, repeated: bool) -> int:
        start, most = self.at, 1
        if found := self._repetition():
            least, upto = int(found[1]), int(found[3]) if found[3] else None
            if least > REPEAT_MAX or (upto is not None and (upto > REPEAT_MAX or least > upto)):
                raise _SyntaxError(f"{found[0]} repeats more than {REPEAT_MAX} times, or backwards")
            self.at, most = found.end(), max(least, upto or 0)
        else:
            self.at += 1
        if self.pattern[self.at : self.at + 1] == "?":
            self.at += 1
        operator = self.pattern[start : self.at]
        if last is None:
            raise _SyntaxError(f"there is nothing for {operator} to repeat")
        if repeated:
            raise _SyntaxError(f"{operator} repeats a repetition")
        most = max(1, most) * last
        if most > REPEAT_MAX:
            raise _SyntaxError(f"it repeats {most} times, which is more than {REPEAT_MAX}")
        self.repeats[-1] = max(self.repeats[-1], most)
        return most

    def _open(self, last: int | None) -> int | None:
        if not self.pattern.startswith("(?", self.at):
            self.at += 1
        elif named := _NAMED.match(self.pattern, self.at):
            if not _GROUP.fullmatch(named[1]) or named[1] in self.groups:
                raise _SyntaxError(f"{named[1]!r} is no name of a group, or of two")
            self.groups.add(named[1])
            self.at = named.end()
        else:
            flags = _FLAGS.match(self.pattern, self.at)
            if flags is None or set(flags[1]) - set("imsU-") or (flags[1] == "" and flags[2] == ")"):
                raise _SyntaxError(f"(? is followed by {self.pattern[self.at + 2 : self.at + 3]!r}")
            self.at = flags.end()
            if flags[2] == ")":
                return last
        self.repeats.append(1)
        if len(self.repeats) > DEPTH_MAX:
            raise _SyntaxError(f"more than {DEPTH_MAX} expressions are inside one another")
        return None

    def _class(self) -> None:
        start = self.at
        self.at += 2 if self.pattern.startswith("[^", self.at) else 1
        first = True
        while first or not self.pattern.startswith("]", self.at):
            if self.at >= len(self.pattern):
                raise _SyntaxError(f"{self.pattern[start:]} has no ]")
            first = False
            if posix := _POSIX.match(self.pattern, self.at):
                if posix[1] not in _POSIX_NAMES:
                    raise _SyntaxError(f"{posix[0]} is no class")
                self.at = posix.end()
                continue
            low = self._member()
            if low is None or not self._range():
                continue
            self.at += 1
            high = self._member()
            if high is None or high < low:
                raise _SyntaxError(f"{self.pattern[start : self.at]} holds a range that runs backwards")
        self.at += 1

    def _range(self) -> bool:
        after = self.pattern[self.at + 1 : self.at + 2]
        return self.pattern.startswith("-", self.at) and after not in ("", "]")

    def _member(self) -> int | None:
        """The number of a sign in a class; None for ``\\d`` and such."""
        if self.at >= len(self.pattern):
            raise _SyntaxError("a class has no ]")
        if self.pattern[self.at] == "\\":
            return self._escape(within=True)
        self.at += 1
        return ord(self.pattern[self.at - 1])

    def _escape(self, *, within: bool) -> int | None:
        if found := _PROPERTY.match(self.pattern, self.at):
            name = found[1] if found[1] is not None else found[2]
            if not _CATEGORIES.fullmatch(name) and not _SCRIPT.fullmatch(name):
                raise _SyntaxError(f"{found[0]} is no class of Unicode")
            self.at = found.end()
            return None
        sign = self.pattern[self.at + 1 : self.at + 2]
        if not within and sign == "Q":
            end = self.pattern.find("\\E", self.at)
            self.at = len(self.pattern) if end < 0 else end + 2
            return None
        self.at += 2
        if sign and (sign in _CLASS_LETTERS or (not within and sign in _PLACE_LETTERS)):
            return None
        return self._numbered(sign)

    def _numbered(self, sign: str) -> int:
        """The number of an escaped sign."""
        rest = self.pattern[self.at :]
        if sign in "01234567" and sign and (octal := re.match(r"[0-7]{0,2}", rest)) and (octal[0] or sign == "0"):
            self.at += octal.end()
            return int(sign + octal[0], 8)
        if sign == "x" and (code := re.match(r"[0-9A-Fa-f]{2}|\{([0-9A-Fa-f]+)\}", rest)):
            self.at += code.end()
            value = int(code[1] or code[0], 16)
            if value <= 0x10FFFF:
                return value
        elif sign and sign in _CONTROL_LETTERS:
            return {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}[sign]
        elif sign and sign.isascii() and not sign.isalnum():
            return ord(sign)
        raise _SyntaxError(f"\\{sign} means nothing")
