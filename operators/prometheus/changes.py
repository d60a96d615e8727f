"""What differs between two sets of objects and configurations, as lines."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from operators.prometheus.render import Made, subject_of
from operators.prometheus.shown import document, masked, sorted_keys
from operators.prometheus.tables import Assets

__all__ = ["Change", "as_data", "changes", "colored", "described"]

CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One object or configuration that is not the same.

    Attributes:
        name: ``Kind namespace/name``, of a configuration with " configuration" behind it.
        lines: a unified diff, without its two lines of file names.
    """

    name: str
    how: Literal["added", "removed", "changed"]
    lines: tuple[str, ...] = field(default=(), repr=False)


def described(made: Iterable[Made], assets: Assets) -> dict[str, str]:
    """Name → text of all that is made, and of the configurations; without what is in Secrets."""
    texts: dict[str, str] = {}
    for each in made:
        if each.configuration:
            texts[f"{each.subject} configuration"] = masked(each.configuration, assets)
        for value in each.objects:
            texts[subject_of(value)] = document(sorted_keys(value))
        notes = [str(refused) for _, refused in sorted(each.rejected.items())]
        notes += [str(each.refused)] if each.refused is not None else []
        if notes or each.dropped:
            texts[f"{each.subject} messages"] = "".join(f"{line}\n" for line in (*notes, *each.dropped))
    return texts


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """Of texts by name, in the order of names; what is equal is not in it.

    >>> [(each.name, each.how) for each in changes({"a": "1", "b": "2"}, {"b": "3", "c": "4"})]
    [('a', 'removed'), ('b', 'changed'), ('c', 'added')]
    """
    found = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        how: Literal["added", "removed", "changed"] = (
            "added" if old is None else "removed" if new is None else "changed"
        )
        diff = difflib.unified_diff((old or "").splitlines(), (new or "").splitlines(), n=CONTEXT, lineterm="")
        found.append(Change(name, how, tuple(diff)[2:]))
    return found


def as_data(found: Sequence[Change]) -> list[dict[str, Any]]:
    """For ``--json``."""
    return [{"name": each.name, "how": each.how, "diff": list(each.lines)} for each in found]


_COLORS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def colored(found: Sequence[Change], *, color: bool) -> str:
    """For people: a heading for each change, and its lines."""
    lines = []
    for each in found:
        heading = f"{_SIGNS[each.how]} {each.name} ({each.how})"
        lines.append(f"\x1b[1m{heading}\x1b[0m" if color else heading)
        for line in each.lines:
            paint = _COLORS.get(line[:1]) if color else None
            lines.append(f"  {paint}{line}\x1b[0m" if paint else f"  {line}")
    counts = ", ".join(f"{sum(each.how == how for each in found)} {how}" for how in ("added", "changed", "removed"))
    return "\n".join([*lines, counts])
