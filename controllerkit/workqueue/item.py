"""A key in the queue, with all that is known of it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

import msgspec

__all__ = ["LOW_PRIORITY", "PAUSED", "PROCESSING", "READY", "REASONS_MAX", "STALE", "WAITING", "Item"]

K = TypeVar("K", bound=Hashable)

LOW_PRIORITY: Final = -100
"""controller-runtime's ``handler.LowPriority``: a first list, a resync."""

READY: Final = "ready"
WAITING: Final = "waiting"
PROCESSING: Final = "processing"
PAUSED: Final = "paused"
STALE: Final = "stale"

REASONS_MAX: Final = 32
"""A key that nobody takes gathers no more than this many distinct reasons, and "more"."""


class Item(msgspec.Struct, Generic[K], gc=False, eq=False):
    """A key to work on, every reason it was added for since it was last handed out, and its priority.

    What follows is the queue's own: ``why``, the reasons, as a text while there is but one; ``state``; ``since`` when
    it came into it and ``due`` when a WAITING one becomes ready, both monotonic seconds; ``again``, what was added
    while it is worked on.
    """

    key: K
    why: str | frozenset[str] = ""
    priority: int = 0
    state: str = READY
    since: float = 0.0
    due: float = 0.0
    again: Item[K] | None = None

    @property
    def reasons(self) -> frozenset[str]:
        """Why it is queued; empty where nobody said."""
        why = self.why
        return frozenset((why,) if why else ()) if isinstance(why, str) else why
