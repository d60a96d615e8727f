"""Reconcilers and the loop that drives them, with controller-runtime's rules."""

from controllerkit.controller.children import AppliedMemory, Children, covers
from controllerkit.controller.controller import Controller, InFlight
from controllerkit.controller.differences import FieldChange, field_changes, merge_patch
from controllerkit.controller.failing import Failing, FailureLedger
from controllerkit.controller.finalizers import Finalizers, add_finalizer, has_finalizer, remove_finalizer
from controllerkit.controller.handlers import EventHandler, enqueue_mapped, enqueue_owner, enqueue_self
from controllerkit.controller.metrics import ControllerMetrics
from controllerkit.controller.permissions import (
    Missing,
    Permission,
    declared_permissions,
    election_permissions,
    grants,
    needed_permissions,
    policy_rules,
    preflight,
    require_permissions,
    reviewing_permissions,
    sharding_permissions,
)
from controllerkit.controller.plan import Action, EventNote, Plan
from controllerkit.controller.planning import PlanningReconciler
from controllerkit.controller.predicates import (
    ChangeEvent,
    Predicate,
    all_of,
    annotations_changed,
    any_of,
    generation_changed,
    labels_changed,
    matches_labels,
    not_,
    on,
    resource_version_changed,
    what_changed,
)
from controllerkit.controller.preview import PlannedWrite, Preview, as_data, as_text
from controllerkit.controller.readiness import waits_for
from controllerkit.controller.reconciler import Reconciler
from controllerkit.controller.rehearsal import Rehearsal
from controllerkit.controller.result import Owns, Request, Result, Watch, outcome_of
from controllerkit.controller.sources import Channel, Poll, Sink, Source, Stream
from controllerkit.controller.tracing import RbacTrace, read_trace
from controllerkit.controller.writing import OperationResult, create_or_patch, create_or_update, retry_on_conflict

__all__ = [
    "Action",
    "AppliedMemory",
    "ChangeEvent",
    "Channel",
    "Children",
    "Controller",
    "ControllerMetrics",
    "EventHandler",
    "EventNote",
    "Failing",
    "FailureLedger",
    "FieldChange",
    "Finalizers",
    "InFlight",
    "Missing",
    "OperationResult",
    "Owns",
    "Permission",
    "Plan",
    "PlannedWrite",
    "PlanningReconciler",
    "Poll",
    "Predicate",
    "Preview",
    "RbacTrace",
    "Reconciler",
    "Rehearsal",
    "Request",
    "Result",
    "Sink",
    "Source",
    "Stream",
    "Watch",
    "add_finalizer",
    "all_of",
    "annotations_changed",
    "any_of",
    "as_data",
    "as_text",
    "covers",
    "create_or_patch",
    "create_or_update",
    "declared_permissions",
    "election_permissions",
    "enqueue_mapped",
    "enqueue_owner",
    "enqueue_self",
    "field_changes",
    "generation_changed",
    "grants",
    "has_finalizer",
    "labels_changed",
    "matches_labels",
    "merge_patch",
    "needed_permissions",
    "not_",
    "on",
    "outcome_of",
    "policy_rules",
    "preflight",
    "read_trace",
    "remove_finalizer",
    "require_permissions",
    "resource_version_changed",
    "retry_on_conflict",
    "reviewing_permissions",
    "sharding_permissions",
    "waits_for",
    "what_changed",
]
