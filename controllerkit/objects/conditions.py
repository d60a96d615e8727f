"""``metav1.Condition`` lists, kept as the API conventions ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["Condition", "find_condition", "rfc3339", "set_condition"]


def rfc3339(at: datetime) -> str:
    """Second precision in UTC, as ``metav1.Time`` is written.

    >>> rfc3339(datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC))
    '2026-01-02T03:04:05Z'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Condition:
    """What a condition says. ``status`` None is "Unknown"; ``reason`` is a CamelCase word, for programs."""

    type: str
    status: bool | None
    reason: str
    message: str = ""


def find_condition(conditions: Sequence[Mapping[str, Any]] | None, kind: str) -> Mapping[str, Any] | None:
    """The condition of type ``kind``."""
    return next((c for c in conditions or () if c.get("type") == kind), None)


def set_condition(
    conditions: Sequence[Mapping[str, Any]] | None,
    kind: str,
    status: bool | None,
    reason: str,
    message: str,
    *,
    now: datetime,
    observed_generation: int | None = None,
) -> list[dict[str, Any]]:
    """A new list in which the condition of type ``kind`` says this; the others stay as and where they are.

    ``status`` None is "Unknown". ``lastTransitionTime`` moves only when the status changes (apimachinery
    ``meta.SetStatusCondition``).

    >>> at = datetime(2026, 1, 1, tzinfo=UTC)
    >>> first = set_condition(None, "Ready", False, "Starting", "", now=at)
    >>> later = set_condition(first, "Ready", False, "Waiting", "2 of 3", now=at.replace(hour=5))
    >>> later[0]["lastTransitionTime"], later[0]["reason"]
    ('2026-01-01T00:00:00Z', 'Waiting')
    """
    word = {True: "True", False: "False", None: "Unknown"}[status]
    updated = [dict(condition) for condition in conditions or ()]
    previous = next((c for c in updated if c.get("type") == kind), None)
    fresh: dict[str, Any] = {"type": kind, "status": word, "reason": reason, "message": message}
    if observed_generation is not None:
        fresh["observedGeneration"] = observed_generation
    if previous is None:
        updated.append({**fresh, "lastTransitionTime": rfc3339(now)})
        return updated
    unchanged = previous.get("status") == word and previous.get("lastTransitionTime")
    fresh["lastTransitionTime"] = previous["lastTransitionTime"] if unchanged else rfc3339(now)
    updated[updated.index(previous)] = fresh
    return updated
