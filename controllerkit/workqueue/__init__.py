"""The workqueue with client-go's semantics: one entry per key, priorities, fairness, delays, rate limits, metrics."""

from controllerkit.workqueue.item import LOW_PRIORITY, Item
from controllerkit.workqueue.limiters import (
    BucketLimiter,
    FastSlowLimiter,
    ItemExponentialLimiter,
    MaxOfLimiter,
    MaxWaitLimiter,
    RateLimiter,
    default_controller_limiter,
)
from controllerkit.workqueue.machine import QueuedKey, QueueMachine
from controllerkit.workqueue.metrics import QueueMetrics, WorkQueueMetrics
from controllerkit.workqueue.queue import QueueShutDown, WorkQueue

__all__ = [
    "LOW_PRIORITY",
    "BucketLimiter",
    "FastSlowLimiter",
    "Item",
    "ItemExponentialLimiter",
    "MaxOfLimiter",
    "MaxWaitLimiter",
    "QueueMachine",
    "QueueMetrics",
    "QueueShutDown",
    "QueuedKey",
    "RateLimiter",
    "WorkQueue",
    "WorkQueueMetrics",
    "default_controller_limiter",
]
