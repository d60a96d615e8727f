"""Tables of fields: one line for each key of a section, in the order of the output.

>>> from operators.prometheus.tables.versions import Version
>>> TABLE = Table(
...     Field("url"),
...     Field("remote_timeout", "remoteTimeout"),
...     Field("round_robin_dns", "roundRobinDNS", since="3.1.0"),
... )
>>> TABLE.of({"roundRobinDNS": True, "url": "http://a"}, Scope(Version.parse("3.2.0")))
{'url': 'http://a', 'round_robin_dns': True}
>>> old = Scope(Version.parse("2.53.0"))
>>> TABLE.of({"roundRobinDNS": True, "url": "http://a"}, old), old.dropped
({'url': 'http://a'}, ['roundRobinDNS is left out: it needs 3.1.0, this is 2.53.0'])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from operators.prometheus.tables.assets import Assets
from operators.prometheus.tables.rejected import Rejected
from operators.prometheus.tables.versions import Version

__all__ = ["OMIT", "Field", "Inline", "Make", "Scope", "Table", "present"]


class _Omit:
    """The value of a key that is not written."""

    def __repr__(self) -> str:
        return "OMIT"


OMIT: Final = _Omit()


@dataclass(slots=True)
class Scope:
    """What a transform may know beside its value.

    Attributes:
        version: of the program that reads the output.
        namespace: that references of the object are looked up in.
        options: what the operator was told; its type is the section's business.
        dropped: filled with one line for each field that the version does not know.
        any_version: every field is written, whatever versions know it: for a program that is no Prometheus and whose
            own version says nothing of the section.
    """

    version: Version
    namespace: str = ""
    assets: Assets = field(default_factory=Assets)
    options: Any = None
    dropped: list[str] = field(default_factory=list)
    any_version: bool = False

    def knows(self, since: str = "", until: str = "") -> bool:
        """Whether the reader of the output knows what came with ``since`` and ended with ``until``."""
        return self.any_version or (
            not (since and not self.version.at_least(since)) and not (until and self.version.at_least(until))
        )

    @property
    def compat(self) -> bool:
        """Whether the options ask for what the original does also where it is a mistake."""
        return bool(getattr(self.options, "compat", False))

    def within(self, **changes: Any) -> Scope:
        """The same with changes; `dropped` stays the one list."""
        return replace(self, **changes)


Make = Callable[[Any, Scope], Any]
"""From the value at a field's source to that of its key, or `OMIT`."""


def present(value: Any, scope: Scope) -> Any:
    """As it is, unless it is absent, "" or empty; False and 0 are written."""
    return OMIT if value is None or value == "" or value == [] or value == {} else value


@dataclass(frozen=True, slots=True)
class Field:
    """One key.

    Attributes:
        key: of the output.
        source: dotted path in the object; absent, it is ``key``; ``"."`` is the whole section.
        make: is called with None where the path leads nowhere only if ``always``.
        since, until: the first version that knows the key, and the first that does not any more.
        outside: what happens to a field that is set beside those versions.
        quiet: a drop is not told, since nobody set the field, or another row has it for those versions.
    """

    key: str
    source: str = ""
    make: Make = present
    since: str = ""
    until: str = ""
    outside: Literal["drop", "reject"] = "drop"
    always: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Inline:
    """Keys that another function or table writes in place: ``make(value at source, scope)`` returns them."""

    make: Callable[[Any, Scope], Mapping[str, Any]]
    source: str = "."
    since: str = ""


class Table:
    """Fields in the order of the output."""

    def __init__(self, *rows: Field | Inline) -> None:
        self.rows = rows
        self._paths = [_path(row) for row in rows]

    def __call__(self, value: Any, scope: Scope) -> Any:
        """As a `Make` of a nested section: `OMIT` for an absent value or if nothing is written."""
        return (self.of(value, scope) or OMIT) if isinstance(value, Mapping) else OMIT

    def of(self, value: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        """The section.

        Raises:
            Rejected: a field that may not be set for this version, or what a transform refuses; with its path.
        """
        written: dict[str, Any] = {}
        for row, path in zip(self.rows, self._paths, strict=True):
            found = _at(value, path)
            if isinstance(row, Inline):
                if found is not None and scope.knows(row.since):
                    written.update(row.make(found, scope))
                continue
            if found is None and not row.always:
                continue
            try:
                made = row.make(found, scope)
                if made is OMIT:
                    continue
                if not scope.knows(row.since, row.until):
                    _outside(row, scope)
                    continue
            except Rejected as refused:
                raise refused.at("" if row.source == "." else row.source or row.key) from None
            written[row.key] = made
        return written


def _path(row: Field | Inline) -> tuple[str, ...]:
    source = row.source if isinstance(row, Inline) else row.source or row.key
    return () if source == "." else tuple(source.split("."))


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if type(value) is not dict and not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _outside(row: Field, scope: Scope) -> None:
    needs = f"it needs {row.since}" if row.since and not scope.version.at_least(row.since) else f"{row.until} ended it"
    if row.outside == "reject":
        raise Rejected(f"{needs}, this is {scope.version}; change the version or leave the field out")
    if row.quiet:
        return
    field_ = row.source if row.source not in ("", ".") else row.key
    scope.dropped.append(f"{field_} is left out: {needs}, this is {scope.version}")
