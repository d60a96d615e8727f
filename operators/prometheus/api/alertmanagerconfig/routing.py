"""Routes and times, as both versions of AlertmanagerConfig have them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from operators.prometheus.api.types import Model, NonEmptyDuration

__all__ = [
    "DayOfMonthRange",
    "MatchType",
    "MonthRange",
    "RouteFields",
    "Time",
    "TimeRange",
    "WeekdayRange",
    "YearRange",
]


MatchType = Literal["!=", "=", "=~", "!~"]
_MONTH = "(?i)january|february|march|april|may|june|july|august|september|october|november|december|1[0-2]|[1-9]"
MonthRange = Annotated[str, Field(pattern=f"^({_MONTH})(?:((:({_MONTH}))$)|$)")]
Time = Annotated[str, Field(pattern="^((([01][0-9])|(2[0-3])):[0-5][0-9])$|(^24:00$)")]
_WEEKDAY = "sun|mon|tues|wednes|thurs|fri|satur"
WeekdayRange = Annotated[str, Field(pattern=f"^((?i){_WEEKDAY})day(?:((:({_WEEKDAY})day)$)|$)")]
YearRange = Annotated[str, Field(pattern=r"^2\d{3}(?::2\d{3}|$)")]


class DayOfMonthRange(Model):
    """Days of the month; negative ones count from its end."""

    start: int | None = Field(default=None, ge=-31, le=31)
    end: int | None = Field(default=None, ge=-31, le=31)


class TimeRange(Model):
    """A part of the day."""

    start_time: Time | None = None
    end_time: Time | None = None


class RouteFields(Model):
    """What both versions say of a route alike."""

    receiver: str | None = None
    group_wait: NonEmptyDuration | None = None
    group_interval: NonEmptyDuration | None = None
    repeat_interval: NonEmptyDuration | None = None
    continue_: bool | None = Field(default=None, alias="continue")
