"""When two writes count as the same, and what differs between two that do not."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from controllerkit.wire.recording import MARK

__all__ = ["aligned", "alike", "comparable"]

T = TypeVar("T")
S = TypeVar("S")

SLACK_S: Final = 2.0
"""Two times this close are one: what they are of took a little longer in one of the runs."""

_SERVERS: Final = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"})
_IN: Final = frozenset({"metadata", "preconditions", "ownerReferences"})
_TRANSITIONS: Final = frozenset({"lastTransitionTime", "lastUpdateTime", "lastHeartbeatTime", "lastProbeTime"})
_POINTERS: Final = tuple(f"/metadata/{each}" for each in sorted(_SERVERS))
_ENCODED_MARK: Final = base64.b64encode(MARK.encode()).decode()
_SCALARS: Final = (str, int, float, bool, type(None))
ALIGNED_CELLS_MAX: Final = 1_000_000


def comparable(value: Any, within: str = "") -> Any:
    """``value`` without what differs between any two runs.

    Left out are, in ``metadata``, ``ownerReferences`` and ``preconditions``, what the server sets (resourceVersion,
    uid, generation, creationTimestamp, managedFields), and the times of conditions.

    >>> comparable({"metadata": {"name": "a", "uid": "1"}, "status": {"lastTransitionTime": "x", "uid": "2"}})
    {'metadata': {'name': 'a'}, 'status': {'uid': '2'}}
    """
    if isinstance(value, Mapping):
        left_out = _TRANSITIONS | _SERVERS if within in _IN else _TRANSITIONS
        if value.get("path") in _POINTERS and "op" in value:
            return {**value, "value": None}
        return {name: comparable(each, name) for name, each in value.items() if name not in left_out}
    if isinstance(value, list | tuple):
        return [comparable(each, within) for each in value]
    return value


def alike(one: Any, other: Any) -> bool:
    """Equal as JSON (true is not 1). What was redacted equals every scalar; times within ``SLACK_S`` are the same.

    >>> alike("2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"), alike(True, 1), alike("redacted-1", "x")
    (True, False, True)
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if _redacted(one) or _redacted(other):
        return isinstance(one, _SCALARS) and isinstance(other, _SCALARS)
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _close(one, other)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _redacted(value: Any) -> bool:
    return isinstance(value, str) and value.startswith((MARK, _ENCODED_MARK))


def _close(one: str, other: str) -> bool:
    if len(one) < len("2026-01-01T00:00:00Z") or one[4:5] != "-" or other[4:5] != "-":
        return False
    try:
        between = datetime.fromisoformat(one) - datetime.fromisoformat(other)
    except (ValueError, TypeError):
        return False
    return abs(between.total_seconds()) <= SLACK_S


def aligned(
    one: Sequence[T], other: Sequence[S], same: Callable[[T, S], bool]
) -> list[tuple[T | None, S | None, bool]]:
    """Pairs in order: of what is in both, of what stands in place of another, of what is only in one (None).

    >>> aligned("abcd", "axcde", lambda a, b: a == b)
    [('a', 'a', True), ('b', 'x', False), ('c', 'c', True), ('d', 'd', True), (None, 'e', False)]
    """
    begin = 0
    while begin < min(len(one), len(other)) and same(one[begin], other[begin]):
        begin += 1
    end = 0
    while end < min(len(one), len(other)) - begin and same(one[-1 - end], other[-1 - end]):
        end += 1
    first, second = one[begin : len(one) - end], other[begin : len(other) - end]
    pairs: list[tuple[T | None, S | None, bool]] = [
        (a, b, True) for a, b in zip(one[:begin], other[:begin], strict=True)
    ]
    at = (0, 0)
    for i, j in [*_common(first, second, same), (len(first), len(second))]:
        apart = _side_by_side(first[at[0] : i], second[at[1] : j])
        pairs += [(a, b, False) for a, b in apart]
        if i < len(first):
            pairs.append((first[i], second[j], True))
        at = (i + 1, j + 1)
    return pairs + [(a, b, True) for a, b in zip(one[len(one) - end :], other[len(other) - end :], strict=True)]


def _common(one: Sequence[T], other: Sequence[S], same: Callable[[T, S], bool]) -> list[tuple[int, int]]:
    """The places of a longest common subsequence; none of what is too long to be compared so."""
    if len(one) * len(other) > ALIGNED_CELLS_MAX:
        return []
    lengths = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    equal = [[same(a, b) for b in other] for a in one]
    for i in range(len(one) - 1, -1, -1):
        for j in range(len(other) - 1, -1, -1):
            longer = max(lengths[i + 1][j], lengths[i][j + 1])
            lengths[i][j] = max(longer, lengths[i + 1][j + 1] + 1) if equal[i][j] else longer
    found, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        if equal[i][j] and lengths[i][j] == lengths[i + 1][j + 1] + 1:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def _side_by_side(one: Sequence[T], other: Sequence[S]) -> list[tuple[T | None, S | None]]:
    longest = max(len(one), len(other))
    return [(one[at] if at < len(one) else None, other[at] if at < len(other) else None) for at in range(longest)]
