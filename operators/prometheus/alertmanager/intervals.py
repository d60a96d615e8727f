"""Times at which notifications are muted or active.

Source: Alertmanager's ``timeinterval`` package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.alertmanager.section import Section, each, each_or_none
from operators.prometheus.alertmanager.values import flow, text_or_empty
from operators.prometheus.tables import Field, Rejected, Scope

__all__ = ["INTERVAL", "check_days", "clock", "days", "months", "weekdays", "years"]

_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_CLOCK: Final = re.compile(r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)", re.ASCII)
_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,9}", re.ASCII)
_LOCATION: Final = re.compile(r"[A-Za-z0-9_+/-]{1,64}", re.ASCII)
_SHORTEST_MONTH: Final = 28
"""Days; with negative days, what is never right in a month of this length is refused."""


def _ends(value: Any, names: Mapping[str, int]) -> tuple[int, int]:
    given = text_or_empty(value, Scope(version=None)).lower()  # type: ignore[arg-type]
    parts = given.split(":")
    if not 1 <= len(parts) <= 2:
        raise Rejected(f"{given[:40]!r} is no range; write start:end")
    first, last = parts[0], parts[-1]
    found = []
    for part in (first, last):
        if part not in names and not _NUMBER.fullmatch(part):
            raise Rejected(f"{part[:40]!r} is not known; write {'one of ' + ', '.join(names) if names else 'a number'}")
        found.append(names[part] if part in names else int(part))
    if found[0] > found[1] >= 0:
        raise Rejected(f"{given[:40]!r} ends before it starts")
    return found[0], found[1]


def _within(found: tuple[int, int], low: int, high: int) -> tuple[int, int]:
    if not all(low <= end <= high for end in found):
        raise Rejected(f"is not within {low} and {high}")
    return found


def _joined(first: Any, last: Any) -> str:
    return str(first) if first == last else f"{first}:{last}"


def weekdays(value: Any, scope: Scope) -> str:
    """``monday`` or ``monday:friday``."""
    first, last = _within(_ends(value, {name: at for at, name in enumerate(_WEEKDAYS)}), 0, 6)
    return _joined(_WEEKDAYS[first], _WEEKDAYS[last])


def months(value: Any, scope: Scope) -> str:
    """``1`` or ``1:3``, of numbers or names."""
    return _joined(*_within(_ends(value, {name: at for at, name in enumerate(_MONTHS, 1)}), 1, 12))


def years(value: Any, scope: Scope) -> str:
    """``2030`` or ``2030:2050``."""
    return _joined(*_ends(value, {}))


def days(value: Any, scope: Scope) -> str:
    """Days of the month; -1 is the last."""
    first, last = _ends(value, {})
    check_days(first, last)
    return _joined(first, last)


def check_days(first: int, last: int) -> None:
    """Checks both ends.

    Raises:
        Rejected: one is no day, or the end is always before the start.
    """
    if not all(day and -31 <= day <= 31 for day in (first, last)):
        raise Rejected("is not within 1 and 31, or -31 and -1")
    if first < 0 < last:
        raise Rejected("has to end with a negative day, as it starts with one")
    if (first if first > 0 else _SHORTEST_MONTH + first) > (last if last > 0 else _SHORTEST_MONTH + last):
        raise Rejected("ends before it starts")


def clock(value: Any, scope: Scope) -> str:
    """``HH:MM`` up to ``24:00``."""
    given = text_or_empty(value, scope)
    if not _CLOCK.fullmatch(given):
        raise Rejected(f"{given[:40]!r} is no time; write one as 08:00")
    return str(given)


def _location(value: Any, scope: Scope) -> Any:
    given = text_or_empty(value, scope)
    if not _LOCATION.fullmatch(given):
        raise Rejected(f"{given[:40]!r} is no time zone; write one as Europe/Berlin")
    return given


def _starts_before_it_ends(written: dict[str, Any], scope: Scope) -> None:
    if written["start_time"] >= written["end_time"]:
        raise Rejected("ends before it starts")


_TIMES: Final = Section(
    Field("start_time", make=clock, always=True),
    Field("end_time", make=clock, always=True),
    rules=(_starts_before_it_ends,),
)
_SPAN: Final = Section(
    Field("times", make=each(_TIMES)),
    Field("weekdays", make=flow(weekdays)),
    Field("days_of_month", make=flow(days)),
    Field("months", make=flow(months)),
    Field("years", make=flow(years)),
    Field("location", make=_location, since="0.25.0"),
)
INTERVAL: Final = Section(
    Field("name", make=text_or_empty, always=True),
    Field("time_intervals", make=each_or_none(_SPAN), always=True),
)
"""A named interval."""
