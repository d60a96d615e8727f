"""Reconcilers and the loop that drives them, with controller-runtime's rules."""

from controllerkit.controller.controller import Controller
from controllerkit.controller.metrics import ControllerMetrics
from controllerkit.controller.planning import Action, EventNote, Plan, PlanningReconciler
from controllerkit.controller.reconciler import Reconciler
from controllerkit.controller.result import Request, Result, Watch, outcome_of

__all__ = [
    "Action",
    "Controller",
    "ControllerMetrics",
    "EventNote",
    "Plan",
    "PlanningReconciler",
    "Reconciler",
    "Request",
    "Result",
    "Watch",
    "outcome_of",
]
