"""`PlanningReconciler`: observe, analyze, act – with the analysis pure and the actions described."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from controllerkit.controller.reconciler import Reconciler
from controllerkit.controller.result import Request, Result
from controllerkit.objects import Object
from controllerkit.runtime import get_logger
from controllerkit.schema import Resource

__all__ = ["Action", "EventNote", "Plan", "PlanningReconciler"]


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
O = TypeVar("O")  # noqa: E741 - Observed
R = TypeVar("R", bound=Resource)


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


class PlanningReconciler(Reconciler[R], Generic[R, O, A]):
    """Splits a reconciler into what it sees, what it concludes and what it does.

    ``observe`` gathers, ``analyze`` decides without I/O or clock, ``act`` carries out one action. A pass is
    abandoned where the status cannot be written because the object has changed (Conflict): the next one sees
    the change.
    """

    @abstractmethod
    async def observe(self, request: Request) -> O | None:
        """Everything ``analyze`` needs; None where the primary is gone and nothing is left to do."""

    @abstractmethod
    def analyze(self, observed: O, now: datetime) -> Plan[A]:
        """The plan that follows from what was observed. Pure: the same arguments give the same plan."""

    @abstractmethod
    async def act(self, observed: O, action: A) -> None:
        """Does one action. It must be right to do it twice: the process can end after it and before the next."""

    async def reconcile(self, request: Request) -> Result | None:
        """observe → analyze → status → events → actions."""
        primary = self.read(self.primary_kind(), request.key)
        observed = await self.observe(request)
        if observed is None or primary is None:
            return None
        plan = self.analyze(observed, self.clock.utcnow())
        if plan.status is not None and plan.status != primary.status:
            await self._write_status(primary, plan.status)
        for note in plan.events:
            self.recorder.record(primary, note.type, note.reason, note.note, action=note.action)
        for action in plan.actions:
            get_logger().info("action", action=type(action).__name__, what=str(action))
            await self.act(observed, action)
        return Result(requeue_after_s=plan.requeue_after_s) if plan.requeue_after_s else None

    async def _write_status(self, primary: Object, status: Mapping[str, Any]) -> Object:
        value = primary.to_dict()
        value["status"] = dict(status)
        return await self.client.update_status(value)
