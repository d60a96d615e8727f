"""Kubernetes controllers in Python, with client-go's semantics.

The names most operators need; each room exports its own in full (``controllerkit.objects``, ``.client``,
``.cache``, ``.workqueue``, ``.controller``, ``.manager`` …).
"""

from controllerkit.client import Client
from controllerkit.controller import (
    Action,
    EventNote,
    Owns,
    Plan,
    PlanningReconciler,
    Reconciler,
    Request,
    Result,
    Watch,
)
from controllerkit.errors import ControllerkitError, TerminalError
from controllerkit.manager import Manager
from controllerkit.objects import Key, Kind, Object, kinds
from controllerkit.schema import ApiModel, Metadata, Resource

__all__ = [
    "Action",
    "ApiModel",
    "Client",
    "ControllerkitError",
    "EventNote",
    "Key",
    "Kind",
    "Manager",
    "Metadata",
    "Object",
    "Owns",
    "Plan",
    "PlanningReconciler",
    "Reconciler",
    "Request",
    "Resource",
    "Result",
    "TerminalError",
    "Watch",
    "kinds",
]
