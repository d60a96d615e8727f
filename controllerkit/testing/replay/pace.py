"""When keys were taken up in the recorded run, and are again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controllerkit.objects import Key
from controllerkit.testing.replay.story import Story

__all__ = ["pace_of"]

SLACK_S: Final = 5.0
"""A key that is due belongs to the recorded reconcile whose key was ready up to this much later."""

SLACK_OF_DELAY: Final = 0.25
"""The same for a delay, as a part of it: delays are spread at random."""

NEVER_S: Final = 1e9
_INSTANT_S: Final = 1e-6


def pace_of(story: Story, controller: str, *, sharded: bool) -> Callable[[Key, float, float], float]:
    """For `QueueMachine.hold_until`: the recorded start of the reconcile that a key is due for.

    So the new code sees what the old one saw where the old one was busy, and a burst of events is one reconcile again.
    What no recorded reconcile was made for is taken up when it is due; what waited when the operator was stopped waits
    for ever, and so does, with sharding, every key of another replica.
    """

    def until(key: Key, due: float, now: float) -> float:
        slack_s = SLACK_S + SLACK_OF_DELAY * (due - now)
        passes = story.passes.get((controller, str(key)), ())
        for started, ready in passes:
            if started > now + _INSTANT_S:
                early = due > now and ready < due - slack_s
                return started if ready <= due + slack_s and not early else due
        if (controller, str(key)) in story.unfinished or (sharded and not passes):
            return NEVER_S
        cut_off = not story.stopped and story.passes and due > story.ends_at - SLACK_S
        return NEVER_S if cut_off else due

    return until
