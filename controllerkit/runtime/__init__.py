"""What every room above needs of the process it runs in: clocks, back-off, tasks, logs."""

from controllerkit.runtime.backoff import Backoff, BackoffOptions
from controllerkit.runtime.clock import Clock, SystemClock
from controllerkit.runtime.deadline import Deadline
from controllerkit.runtime.logs import configure_logging, get_logger
from controllerkit.runtime.loopwatch import LoopWatch
from controllerkit.runtime.tasks import awaited_place, cancel_and_wait, wait_until

__all__ = [
    "Backoff",
    "BackoffOptions",
    "Clock",
    "Deadline",
    "LoopWatch",
    "SystemClock",
    "awaited_place",
    "cancel_and_wait",
    "configure_logging",
    "get_logger",
    "wait_until",
]
