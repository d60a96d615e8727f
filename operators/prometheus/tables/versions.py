"""Versions of Prometheus, Alertmanager and Thanos, as gates compare them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from operators.prometheus.tables.rejected import Rejected

__all__ = ["DEFAULT_ALERTMANAGER", "DEFAULT_PROMETHEUS", "DEFAULT_THANOS", "Version"]

DEFAULT_PROMETHEUS: Final = "v3.13.2"
DEFAULT_ALERTMANAGER: Final = "v0.33.1"
DEFAULT_THANOS: Final = "v0.42.4"
"""What an absent ``spec.version`` means; those of prometheus-operator 0.93."""

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version; a pre-release is older than its release, as in semantic versioning.

    >>> Version.parse("v3.0.0-rc.1") < Version.parse("3.0.0") < Version.parse("3.10")
    True
    >>> str(Version.parse("v2.54.1")), Version.parse("2.9.0") < Version.parse("2.10.0")
    ('2.54.1', True)
    """

    major: int
    minor: int
    patch: int
    rank: tuple[tuple[int, int, str], ...]
    pre: str = ""

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Version:
        """From ``[v]major.minor[.patch][-pre][+build]``.

        Raises:
            Rejected: the text is none.
        """
        match = _VERSION.fullmatch(text)
        if match is None or len(text) > 64:
            raise Rejected(f"{text[:64]!r} is no version; write one as v3.13.2", "spec.version")
        major, minor, patch, pre = match.groups()
        return cls(int(major), int(minor), int(patch or 0), _rank(pre), pre or "")

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{self.pre}" if self.pre else "")

    def at_least(self, text: str) -> bool:
        """Whether this is ``text`` or newer."""
        return self >= Version.parse(text)


def _rank(pre: str | None) -> tuple[tuple[int, int, str], ...]:
    """Orders pre-releases before the release: its rank is greater than that of every identifier."""
    if not pre:
        return ((2, 0, ""),)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split("."))
