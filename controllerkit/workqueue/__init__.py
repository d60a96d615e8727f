"""The workqueue with client-go's semantics: dirty and processing sets, delays, rate limits, metrics."""

from controllerkit.workqueue.limiters import ItemExponentialLimiter, RateLimiter
from controllerkit.workqueue.metrics import QueueMetrics, WorkQueueMetrics
from controllerkit.workqueue.queue import Item, QueueShutDown, WorkQueue

__all__ = [
    "Item",
    "ItemExponentialLimiter",
    "QueueMetrics",
    "QueueShutDown",
    "RateLimiter",
    "WorkQueue",
    "WorkQueueMetrics",
]
