"""What is known of etcd's versions: capabilities of each minor, upgrade edges, releases that must not run.

Sources: etcd's upgrade guides (https://etcd.io/docs/, "Upgrading etcd clusters and applications") and its
changelogs. The numbers are held by ``tests/unit/etcd/test_versions.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from controllerkit.errors import ConfigError

__all__ = [
    "DEFAULT_VERSION",
    "DENIED",
    "MINIMUM_PATCH_BEFORE",
    "SUPPORTED_MINORS",
    "Capabilities",
    "Chosen",
    "Refusal",
    "Version",
    "VersionMap",
    "capabilities",
    "choose",
    "refuse_change",
]

DEFAULT_VERSION: Final = "3.2.13"
"""What ``etcd.database.coreos.com/v1beta2`` means by an absent version."""

SUPPORTED_MINORS: Final = ((3, 2), (3, 3), (3, 4), (3, 5), (3, 6), (3, 7))

DENIED: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(
        ("3.5.0", "3.5.1", "3.5.2"),
        "it can lose consistency between members after a crash (etcd issue 13766); 3.5.3 is the first that does not",
    )
)
"""Releases that are never run, and why."""

MINIMUM_PATCH_BEFORE: Final[Mapping[tuple[int, int], tuple[int, str]]] = MappingProxyType(
    {
        (3, 6): (26, "older 3.5 leave members behind that 3.6 brings back (etcd issue 20967)"),
        (3, 7): (11, "older 3.6 have not been checked against 3.7's storage (etcd's upgrade guide to 3.7)"),
    }
)
"""Target minor → the patch that every member of the minor before it must run first, and why."""

_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?")


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """A release, ordered by its numbers.

    >>> str(Version.parse("v3.5.26")), Version.parse("3.5.9") < Version.parse("3.5.26")
    ('3.5.26', True)
    """

    major: int
    minor: int
    patch: int
    pre: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """From ``[v]major.minor.patch[-pre]``.

        Raises:
            ConfigError: the text is none.
        """
        found = _VERSION.fullmatch(text.strip())
        if found is None:
            raise ConfigError(f"{text!r} is no etcd version; write it as major.minor.patch, as 3.6.16")
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4] or "")

    @property
    def series(self) -> tuple[int, int]:
        """Major and minor."""
        return (self.major, self.minor)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}{self.pre}"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a member of some version can do, so that nothing is asked of it that it does not know.

    Attributes:
        gateway_prefix: the path under which the JSON gateway serves.
        learners: a member can join without a vote (3.4).
        move_leader: leadership can be handed over (3.3).
        hash_kv: the key space can be compared at a revision (3.3).
        linearizable_member_list: the member list can be asked for with a quorum read (3.5).
        health_paths: ``/readyz`` and ``/livez`` exist (3.4.29, 3.5.11); before them only ``/health``.
        guard_flags: flags that make a member check itself for corruption at its start.
        many_learners: ``--max-learners`` exists (3.6), so that several members can join at once.
    """

    gateway_prefix: str
    learners: bool
    move_leader: bool
    hash_kv: bool
    linearizable_member_list: bool
    health_paths: bool
    guard_flags: tuple[str, ...]
    many_learners: bool


def capabilities(version: Version) -> Capabilities:
    """What ``version`` can do.

    >>> capabilities(Version.parse("3.2.13")).gateway_prefix, capabilities(Version.parse("3.7.3")).learners
    ('/v3alpha', True)
    """
    series = version.series
    return Capabilities(
        gateway_prefix="/v3" if series >= (3, 4) else "/v3beta" if series == (3, 3) else "/v3alpha",
        learners=series >= (3, 4),
        move_leader=series >= (3, 3),
        hash_kv=series >= (3, 3),
        linearizable_member_list=series >= (3, 5),
        health_paths=series >= (3, 6)
        or (series == (3, 5) and version.patch >= 11)
        or (series == (3, 4) and version.patch >= 29),
        guard_flags=_guard_flags(series),
        many_learners=series >= (3, 6),
    )


def _guard_flags(series: tuple[int, int]) -> tuple[str, ...]:
    if series >= (3, 6):
        return ("--feature-gates=InitialCorruptCheck=true,CompactHashCheck=true",)
    return ("--experimental-initial-corrupt-check=true",) if series >= (3, 4) else ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a version is not run: a CamelCase reason for conditions, a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The version asked for, the one that runs for it, and the rule that says so ("" where they are the same)."""

    requested: str
    run: Version
    rule: str = ""

    @property
    def mapped(self) -> bool:
        """Whether another version runs than was asked for."""
        return self.requested != str(self.run)


class VersionMap:
    """Rules ``REQUESTED=RUN`` for places where not every release can be had; REQUESTED may hold ``*``.

    The first rule that matches counts.

    Raises:
        ConfigError: a rule is malformed.

    >>> str(VersionMap.parse(["3.2.*=3.7.3"]).apply("3.2.13").run)
    '3.7.3'
    """

    def __init__(self, rules: Iterable[tuple[str, Version]] = ()) -> None:
        self._rules = tuple(rules)

    @classmethod
    def parse(cls, rules: Iterable[str]) -> VersionMap:
        """From the command line's form."""
        parsed = []
        for rule in rules:
            requested, equals, run = rule.partition("=")
            if not equals or not requested.strip():
                raise ConfigError(f"--map-version takes REQUESTED=RUN, as 3.2.*=3.7.3; got {rule!r}")
            parsed.append((requested.strip().removeprefix("v"), Version.parse(run)))
        return cls(parsed)

    def apply(self, requested: str) -> Chosen:
        """What runs for ``requested`` (already without its "v").

        Raises:
            ConfigError: no rule matches and the text is no version.
        """
        for pattern, run in self._rules:
            if fnmatchcase(requested, pattern):
                return Chosen(requested, run, f"{pattern}={run}")
        return Chosen(requested, Version.parse(requested))


def choose(requested: str | None, mapping: VersionMap) -> Chosen | Refusal:
    """What runs for the ``version`` of a spec, or why nothing does.

    >>> choose("9.1.0", VersionMap()).reason
    'VersionUnknown'
    """
    text = (requested or DEFAULT_VERSION).strip().removeprefix("v")
    try:
        chosen = mapping.apply(text)
    except ConfigError as error:
        return Refusal("VersionUnknown", str(error))
    series = chosen.run.series
    if series not in SUPPORTED_MINORS:
        known = ", ".join(f"{major}.{minor}" for major, minor in SUPPORTED_MINORS)
        return Refusal("VersionUnknown", f"etcd {chosen.run} is not known to this operator; it knows {known}")
    if why := DENIED.get(str(chosen.run)):
        return Refusal("VersionDenied", f"etcd {chosen.run} is never run: {why}")
    return chosen


def refuse_change(current: Version, target: Version) -> Refusal | None:
    """Why a cluster whose oldest member runs ``current`` may not be taken to ``target``; None where it may.

    Going back within a minor is allowed: its releases share one storage format.

    >>> refuse_change(Version.parse("3.5.26"), Version.parse("3.7.3")).reason
    'UpgradeSkipsMinor'
    >>> refuse_change(Version.parse("3.6.16"), Version.parse("3.7.3")) is None
    True
    """
    if target.series < current.series:
        return Refusal(
            "DowngradeRefused",
            f"from {current} to {target} is a downgrade: once every member runs a minor, its data is no longer "
            "read by an older one; restore a snapshot into a new cluster instead",
        )
    if target.series > current.series:
        if target.major != current.major or target.minor != current.minor + 1:
            return Refusal(
                "UpgradeSkipsMinor",
                f"from {current} to {target} leaves out a minor; go to the latest "
                f"{current.major}.{current.minor + 1} first",
            )
        patch, why = MINIMUM_PATCH_BEFORE.get(target.series, (0, ""))
        if current.patch < patch:
            return Refusal(
                "UpgradeNeedsPatch",
                f"from {current} to {target}: every member must run at least "
                f"{current.major}.{current.minor}.{patch} first, since {why}",
            )
    return None
