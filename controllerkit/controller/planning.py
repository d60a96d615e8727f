"""`PlanningReconciler`: observe, analyze, act – with the analysis pure and the actions described."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from controllerkit.controller.plan import Action, Plan
from controllerkit.controller.reconciler import Reconciler
from controllerkit.controller.result import Request, Result
from controllerkit.errors import ConfigError
from controllerkit.events import EventRecorder
from controllerkit.objects import Key, Object
from controllerkit.runtime import get_logger
from controllerkit.schema import Resource

__all__ = ["PlanningReconciler"]

A = TypeVar("A", bound=Action)
O = TypeVar("O")  # noqa: E741 - Observed
R = TypeVar("R", bound=Resource)


class PlanningReconciler(Reconciler[R], Generic[R, O, A]):
    """Splits a reconciler into what it sees, what it concludes and what it does.

    ``observe`` gathers, ``analyze`` decides without I/O or clock, ``act`` carries out one action. A pass is
    abandoned where the status cannot be written because the object has changed (Conflict): the next one sees
    the change.

    What will be done is told before it is: in the log, action by action; in an Event, once for each plan that
    differs from the one before; and in the status. In a dry run ``act`` is not called.

    Class attributes:
        plan_events: record an Event ``Planned`` for each plan that differs from the one before; a plan that comes
            back makes a series of its own.
        plan_field: the field of the status, a list of strings, that shows the actions; "" for none.
    """

    plan_events: ClassVar[bool] = True
    plan_field: ClassVar[str] = ""

    plan_recorder: EventRecorder | None = None
    """Plans have a recorder of their own, so that many of them leave room for the Events that ``analyze`` asks for."""

    _told_plans: dict[Key, tuple[str, ...]]

    def bind(self, **given: Any) -> None:
        """See `Reconciler.bind`."""
        super().bind(**given)
        self._told_plans = {}

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
            self._told_plans.pop(request.key, None)
            return None
        plan = self.analyze(observed, self.clock.utcnow())
        status = self._status_of(primary, plan)
        if status is not None and status != primary.status:
            await self._write_status(primary, status)
        self._tell(primary, plan)
        for action in plan.actions:
            if self.rehearsal is not None:
                self.rehearsal.actions.append(action)
                continue
            get_logger().info("action", action=type(action).__name__, what=str(action))
            await self.act(observed, action)
        return Result(requeue_after_s=plan.requeue_after_s) if plan.requeue_after_s else None

    def _status_of(self, primary: Object, plan: Plan[A]) -> Mapping[str, Any] | None:
        """The status to write, with the plan in it where it has a place."""
        if not self.plan_field:
            return plan.status
        base = primary.status if plan.status is None else plan.status
        without = {name: value for name, value in base.items() if name != self.plan_field}
        return {**without, self.plan_field: [*map(str, plan.actions)]} if plan.actions else without

    def _tell(self, primary: Object, plan: Plan[A]) -> None:
        """Records the Events of the plan, and one for the plan itself where it is another than the last."""
        told = tuple(map(str, plan.actions))
        if not told:
            self._told_plans.pop(primary.key, None)
        elif told != self._told_plans.get(primary.key):
            self._told_plans[primary.key] = told
            if self.plan_events and self.rehearsal is None:
                text = "; ".join(told)
                recorder = self.plan_recorder or self.recorder
                recorder.record(primary, "Normal", "Planned", text, action=f"Plan-{_digest(text)}")
        for note in plan.events:
            self.recorder.record(primary, note.type, note.reason, note.note, action=note.action)

    async def _write_status(self, primary: Object, status: Mapping[str, Any]) -> None:
        value = primary.to_dict()
        value["status"] = dict(status)
        answer = await self.client.update_status(value)
        if self.plan_field in status and self.plan_field not in answer.status:
            raise ConfigError(
                f"{primary.kind} has no field status.{self.plan_field}, so the server dropped the plan: declare it as "
                f"a list of strings, or set {type(self).__name__}.plan_field to another one or to the empty string"
            )


def _digest(text: str) -> str:
    """Events of equal action are one series, whatever their notes: so each plan is an action of its own."""
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
