"""What runs an operator: ordered start and stop, signals, health and metrics."""

from controllerkit.manager.manager import Manager
from controllerkit.manager.serving import Check

__all__ = ["Check", "Manager"]
