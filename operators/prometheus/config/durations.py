"""Durations as Prometheus writes them, and the rule that a scrape ends before the next begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.tables import Rejected
from operators.prometheus.tables.reading import text

__all__ = ["check_timeout", "milliseconds"]

_UNITS_MS: Final = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_DURATION: Final = re.compile("".join(rf"(?:(\d+){unit})?" for unit in _UNITS_MS), re.ASCII)
_MAX_NS: Final = (1 << 63) - 1


def milliseconds(value: str) -> int:
    """Of ``1h30m`` and the like: units from years to milliseconds, each once, the greater before the smaller.

    Raises:
        Rejected: the text is none, or more than Go can hold (about 292 years).

    >>> milliseconds("1d12h"), milliseconds("0"), milliseconds("15s500ms")
    (129600000, 0, 15500)
    """
    found = _DURATION.fullmatch(value)
    if value == "0":
        return 0
    if not value or found is None or len(value) > 128:
        raise Rejected(f"{value[:128]!r} is no duration; write one as 30s or 1m30s")
    total = sum(int(count or 0) * unit for count, unit in zip(found.groups(), _UNITS_MS.values(), strict=True))
    if total * 1_000_000 > _MAX_NS:
        raise Rejected(f"{value!r} is longer than a duration can be")
    return total


def check_timeout(
    section: Mapping[str, Any], cr_spec: Mapping[str, Any], interval: str = "interval", timeout: str = "scrapeTimeout"
) -> None:
    """Raises `Rejected` if a timeout is set and is no duration, or longer than the interval (that of the Prometheus
    where the section has none).

    Args:
        interval, timeout: names of the fields.
    """
    allowed = text(section.get(timeout))
    if not allowed:
        return
    every = text(section.get(interval)) or text(cr_spec.get("scrapeInterval"))
    try:
        interval_ms = milliseconds(every)
    except Rejected as refused:
        raise refused.at(interval) from None
    try:
        timeout_ms = milliseconds(allowed)
    except Rejected as refused:
        raise refused.at(timeout) from None
    if timeout_ms > interval_ms:
        raise Rejected(f"{allowed} is longer than the interval {every}; scrapes would overlap", timeout)
