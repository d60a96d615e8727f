"""A plan: what one pass will do and why, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

__all__ = ["Action", "EventNote", "Plan"]


@dataclass(frozen=True)
class Action:
    """The base of an operator's actions: frozen data that says what to do and why.

    ``str(action)`` is for people; subclasses override ``__str__`` where the field values read badly.
    """

    why: str = field(kw_only=True, default="")

    def __str__(self) -> str:
        fields = {name: value for name, value in vars(self).items() if name != "why"}
        told = ", ".join(f"{name}={value}" for name, value in fields.items())
        return f"{type(self).__name__}({told})" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class EventNote:
    """An Event to record about the primary object."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str
    action: str = ""


A = TypeVar("A", bound=Action)


@dataclass(frozen=True, kw_only=True)
class Plan(Generic[A]):
    """What one pass will do, in this order: write ``status``, record ``events``, do ``actions``.

    ``status`` is the whole status object, None to leave it. So the status says what is about to be done before
    it is done.
    """

    actions: tuple[A, ...] = ()
    status: Mapping[str, Any] | None = None
    events: tuple[EventNote, ...] = ()
    requeue_after_s: float | None = None
