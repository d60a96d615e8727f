"""A key in the queue, with all that is known of it."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Final, Generic, TypeVar

import msgspec

__all__ = ["LOW_PRIORITY", "PAUSED", "PROCESSING", "READY", "REASONS_MAX", "STALE", "WAITING", "Item", "only"]

K = TypeVar("K", bound=Hashable)

LOW_PRIORITY: Final = -100
"""controller-runtime's ``handler.LowPriority``: a first list, a resync."""

READY: Final = "ready"
WAITING: Final = "waiting"
PROCESSING: Final = "processing"
PAUSED: Final = "paused"
STALE: Final = "stale"

NO_REASONS: Final[frozenset[str]] = frozenset()
REASONS_MAX: Final = 32
"""A key that nobody takes gathers no more than this many distinct reasons, and "more"."""


@lru_cache(maxsize=4096)
def only(reason: str) -> frozenset[str]:
    """The set of one reason, shared: most keys have one, and most reasons come again."""
    return frozenset((reason,)) if reason else NO_REASONS


class Item(msgspec.Struct, Generic[K], gc=False, eq=False):
    """A key to work on, every reason it was added for since it was last handed out, and its priority.

    What follows is the queue's own: ``state``; ``since`` when it came into it and ``due`` when a WAITING one becomes
    ready, both monotonic seconds; ``again``, what was added while it is worked on.
    """

    key: K
    reasons: frozenset[str]
    priority: int = 0
    state: str = READY
    since: float = 0.0
    due: float = 0.0
    again: Item[K] | None = None
