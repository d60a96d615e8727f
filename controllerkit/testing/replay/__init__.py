"""New code on what was recorded of a cluster (`controllerkit.wire.recording`), and the writes in which it differs."""

from controllerkit.testing.replay.driver import replay
from controllerkit.testing.replay.report import ObjectReport, ReplayReport, Step

__all__ = ["ObjectReport", "ReplayReport", "Step", "replay"]
