"""What runs an operator: ordered start and stop, signals, leader election, health, metrics, a live console."""

from controllerkit.manager.authz import Authorizer, Verdict
from controllerkit.manager.groups import Runnable, RunnableGroup
from controllerkit.manager.manager import LeaderElection, Manager, Serving, Sharding
from controllerkit.manager.serving import Check
from controllerkit.wire import CertWatcher

__all__ = [
    "Authorizer",
    "CertWatcher",
    "Check",
    "LeaderElection",
    "Manager",
    "Runnable",
    "RunnableGroup",
    "Serving",
    "Sharding",
    "Verdict",
]
