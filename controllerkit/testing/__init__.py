"""What one proves an operator with: a virtual clock, scenario files."""

from controllerkit.testing.clock import VirtualClock, settle
from controllerkit.testing.scenario import Mismatch, run_scenario

__all__ = ["Mismatch", "VirtualClock", "run_scenario", "settle"]
