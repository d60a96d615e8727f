"""What one proves an operator with: a virtual clock, scenario files, connections and HTTP that fail on command."""

from controllerkit.testing.clock import VirtualClock, settle
from controllerkit.testing.faults import Connection, Direction, FaultProxy
from controllerkit.testing.scenario import Mismatch, run_scenario
from controllerkit.testing.transport import (
    Delayed,
    Fault,
    FaultyTransport,
    InStream,
    LostAnswer,
    LostRequest,
    Refusal,
    Rewritten,
    Rule,
    Stale,
    Truncated,
    conflict,
    expired,
    internal_error,
    too_many_requests,
    wrong_kind,
)

__all__ = [
    "Connection",
    "Delayed",
    "Direction",
    "Fault",
    "FaultProxy",
    "FaultyTransport",
    "InStream",
    "LostAnswer",
    "LostRequest",
    "Mismatch",
    "Refusal",
    "Rewritten",
    "Rule",
    "Stale",
    "Truncated",
    "VirtualClock",
    "conflict",
    "expired",
    "internal_error",
    "run_scenario",
    "settle",
    "too_many_requests",
    "wrong_kind",
]
