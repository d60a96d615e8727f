"""What one proves an operator with.

A virtual clock, scenario files, connections and HTTP that fail on command; and `simulate`, which has all of it happen
to a reconciler by seed.
"""

from controllerkit.testing.clock import VirtualClock, settle
from controllerkit.testing.faults import Connection, Direction, FaultProxy
from controllerkit.testing.life import Limits, World
from controllerkit.testing.process import Outside
from controllerkit.testing.running import connected, running, served
from controllerkit.testing.scenario import Mismatch, run_scenario
from controllerkit.testing.schedule import Faults
from controllerkit.testing.simloop import SimClock, SimLoop
from controllerkit.testing.simulate import Report, simulate
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
    "Faults",
    "FaultyTransport",
    "InStream",
    "Limits",
    "LostAnswer",
    "LostRequest",
    "Mismatch",
    "Outside",
    "Refusal",
    "Report",
    "Rewritten",
    "Rule",
    "SimClock",
    "SimLoop",
    "Stale",
    "Truncated",
    "VirtualClock",
    "World",
    "conflict",
    "connected",
    "expired",
    "internal_error",
    "run_scenario",
    "running",
    "served",
    "settle",
    "simulate",
    "too_many_requests",
    "wrong_kind",
]
