"""The queue's bookkeeping: one entry per key, its order, its delays. Nothing here waits; time is a function given.

As client-go's ``util/workqueue``: a key that is added while it is worked on is kept aside and queued again when
it is done, so no two workers ever have the same key, and no change is lost. As controller-runtime's priority queue:
an entry has the highest priority and the earliest time it was asked for with.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from controllerkit.workqueue.item import PAUSED, PROCESSING, READY, REASONS_MAX, STALE, WAITING, Item
from controllerkit.workqueue.levels import Levels

__all__ = ["QueueMachine", "QueuedKey", "Timings"]

K = TypeVar("K", bound=Hashable)


class Timings(Protocol):
    """Told how long keys were queued and worked on."""

    def queued(self, seconds: float) -> None:
        """A key was handed out after so long."""

    def worked(self, seconds: float) -> None:
        """The work on a key took so long."""


@dataclass(frozen=True, slots=True)
class QueuedKey(Generic[K]):
    """What the queue knows of a key: ``state`` is ready, waiting, processing or paused, for ``for_s`` seconds now.

    A key that is added while it is worked on is there twice. ``for_s`` is 0 in a queue without timings.
    """

    key: K
    state: str
    priority: int
    reasons: frozenset[str]
    for_s: float
    due_in_s: float | None


class QueueMachine(Generic[K]):
    """The synchronous part of the queue.

    Invariants:
        A key has one entry, and a second one only while it is worked on. Entries that are READY and not behind one
        in work are exactly those that the order holds. Where nobody asked for priorities, fairness or pauses the
        order is one deque. ``_plain`` says that in addition no times are kept and nothing is closed, delayed or held
        back: then `add`, `get_nowait` and `done` take their short ways, and count nothing.

    Args:
        now: the monotonic time.
        fairness: keys of equal priority take turns by what it says of them, such as their namespace.
        timings: told of every hand-out and end; None keeps no times.
    Attributes:
        adds: how often a key became ready; counted with ``timings`` only.
        waited_s: how long the key that was handed out last had been ready; with ``timings`` only.
    """

    def __init__(
        self,
        now: Callable[[], float],
        *,
        fairness: Callable[[K], Hashable] | None = None,
        timings: Timings | None = None,
    ) -> None:
        self._now = now
        self._fairness = fairness
        self._timings = timings
        self._known: dict[K, Item[K]] = {}
        self._heap: list[tuple[float, int, Item[K]]] = []
        self._serial = 0
        self._paused: set[K] = set()
        self._closed = False
        self._on_ready: Callable[[], None] | None = None
        self._on_idle: Callable[[], None] | None = None
        self._in_work = 0
        self.adds = 0
        self.waited_s = 0.0
        self._until: Callable[[K, float, float], float] | None = None
        self._fifo: deque[Item[K]] = deque()
        self._levels: Levels[K] | None = None
        self._plain = timings is None
        self._push: Callable[[Item[K]], None] = self._fifo.append
        self._pop: Callable[[], Item[K]] = self._fifo.popleft
        if fairness is not None:
            self._order_by_levels()

    def __len__(self) -> int:
        """Keys that could be handed out now."""
        if self._heap and not self._closed:
            self.promote()
        return len(self._fifo) if self._levels is None else self._levels.live

    # -- in --------------------------------------------------------------------------------------------------------

    def add(self, key: K, reason: str = "", *, priority: int = 0) -> None:
        """Queues ``key`` now. One that is queued keeps its place, unless the priority is raised."""
        known = self._known
        if self._plain and not priority and key not in known:
            known[key] = item = Item(key, reason)
            self._fifo.append(item)
            if self._on_ready is not None:
                self._on_ready()
            return
        if self._closed:
            return
        if self._until is not None and self._until(key, now := self._now(), now) > now:
            self.add_at(key, now, reason, priority=priority)
            return
        found = known.get(key)
        if found is not None:
            self._add_known(found, reason, priority)
            return
        known[key] = item = Item(key, reason, priority)
        if key in self._paused:
            item.state = PAUSED
        else:
            self._enter(item)

    def _enter(self, item: Item[K]) -> None:
        """Makes ``item`` ready, behind its peers."""
        self.adds += 1
        if self._timings is not None:
            item.since = self._now()
        if item.priority and self._levels is None:
            self._order_by_levels()
        self._push(item)
        if self._on_ready is not None:
            self._on_ready()

    def _add_known(self, item: Item[K], reason: str, priority: int) -> None:
        if item.state == PROCESSING:
            again = item.again
            if again is None:
                self.adds += 1
                item.again = Item(item.key, reason, priority)
                item.again.since = self._now()
            else:
                _merge(again, reason, priority)
                again.state = READY
        elif item.state == WAITING:
            _merge(item, reason, priority)
            item.state = READY
            self._enter(item)
        elif item.state == READY and priority > item.priority:
            self._replace(item, reason, priority)
        else:
            _merge(item, reason, priority)

    def _replace(self, item: Item[K], reason: str, priority: int) -> None:
        """Moves a ready item behind its new peers."""
        moved = Item(item.key, item.why, item.priority, since=item.since)
        _merge(moved, reason, priority)
        self._leave(item)
        self._known[moved.key] = moved
        self._push(moved)

    def _leave(self, item: Item[K]) -> None:
        """Takes a ready item out of the order, which passes over what is left of it."""
        if self._levels is None:
            self._order_by_levels()
        assert self._levels is not None  # noqa: S101 - it was just made
        self._levels.live -= 1
        item.state = STALE
        item.key = None  # type: ignore[assignment]  # what is done must be kept by nothing

    def add_at(self, key: K, at: float, reason: str = "", *, priority: int = 0) -> None:
        """Queues ``key`` at the time ``at``. What is ready stays so, and what waits does so for the earlier time."""
        if self._closed:
            return
        if self._until is not None:
            at = self._until(key, at, self._now())
        item = self._known.get(key)
        if item is None:
            item = Item(key, reason, priority)
            self._known[key] = item
            self._delay(item, at)
        elif item.state == PROCESSING:
            if item.again is None:
                item.again = Item(key, reason, priority)
                self._delay(item.again, at)
            else:
                _merge(item.again, reason, priority)
                if item.again.state == WAITING and at < item.again.due:
                    self._delay(item.again, at)
        elif item.state == WAITING:
            _merge(item, reason, priority)
            if at < item.due:
                self._delay(item, at)
        else:
            self._add_known(item, reason, priority)

    def _delay(self, item: Item[K], at: float) -> None:
        if item.state != WAITING:
            item.state, item.since = WAITING, self._now()
        item.due = at
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, item))

    def promote(self) -> None:
        """Makes ready what has waited long enough."""
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            at, _, item = heapq.heappop(self._heap)
            if item.state != WAITING or item.due != at:
                continue
            item.state = READY
            if self._known.get(item.key) is not item:
                self.adds += 1  # it is worked on; done() brings it in
            elif item.key in self._paused:
                item.state = PAUSED
            else:
                self._enter(item)

    def next_at(self) -> float | None:
        """When `promote` has something to do next."""
        while self._heap and (self._heap[0][2].state != WAITING or self._heap[0][2].due != self._heap[0][0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    # -- out -------------------------------------------------------------------------------------------------------

    def get_nowait(self) -> Item[K] | None:
        """Hands out the next key, None where nothing is ready. Whoever gets one calls `done` with its key."""
        if self._plain and not self._heap:
            if not self._fifo:
                return None
            item = self._fifo.popleft()
            item.state = PROCESSING
            return item
        if self._heap and not self._closed:
            self.promote()
        try:
            item = self._pop()
        except IndexError:
            return None
        item.state = PROCESSING
        self._in_work += not self._plain
        if self._timings is not None:
            now = self._now()
            self.waited_s = now - item.since
            self._timings.queued(self.waited_s)
            item.since = now
        return item

    def done(self, key: K) -> None:
        """Ends the work on ``key``, which is queued again if it was added meanwhile."""
        item = self._known.pop(key, None)
        if item is None:
            return
        if item.state is not PROCESSING:
            self._known[key] = item
            return
        if self._plain:
            if item.again is not None:
                self._bring_in(item.again)
            return
        self._in_work -= 1
        if self._timings is not None:
            self._timings.worked(self._now() - item.since)
        if item.again is not None:
            self._bring_in(item.again)
        elif self._on_idle is not None and not self._in_work:
            self._on_idle()

    def _bring_in(self, again: Item[K]) -> None:
        """What was added while its key was worked on."""
        if self._closed and again.state == WAITING:
            return
        self._known[again.key] = again
        if again.state == READY:
            self.adds -= 1  # it was counted when it was added
            if again.key in self._paused:
                again.state = PAUSED
            else:
                self._enter(again)

    # -- holding back ----------------------------------------------------------------------------------------------

    def pause(self, key: K) -> None:
        """Keeps ``key``, and does not hand it out until `resume`. What is in work stays so."""
        self._paused.add(key)
        self._leave_plain()
        item = self._known.get(key)
        if item is not None and item.state == READY:
            self._leave(item)
            self._known[key] = Item(key, item.why, item.priority, PAUSED, item.since)

    def resume(self, key: K) -> None:
        """Ends a `pause`; what was added meanwhile is queued."""
        self._paused.discard(key)
        item = self._known.get(key)
        if item is not None and item.state == PAUSED:
            item.state = READY
            self._enter(item)

    def hold_until(self, until: Callable[[K, float, float], float]) -> None:
        """From now on a key that is due becomes ready when ``until`` says: it is given the key, that time, and now.

        What is added meanwhile joins what is held, as for every delay.
        """
        self._leave_plain()
        self._until = until

    @property
    def in_work(self) -> int:
        """How many keys are handed out and not done."""
        if self._plain:
            return sum(item.state is PROCESSING for item in self._known.values())
        return self._in_work

    def _leave_plain(self) -> None:
        """The short ways end, and with them what they leave uncounted."""
        self._in_work = self.in_work
        self._plain = False

    @property
    def paused(self) -> frozenset[K]:
        """The keys held back, queued or not."""
        return frozenset(self._paused)

    # -- looking in ------------------------------------------------------------------------------------------------

    def snapshot(self) -> tuple[QueuedKey[K], ...]:
        """Every key known: in work, ready, waiting, paused."""
        if self._heap and not self._closed:
            self.promote()
        now = self._now()
        entries = [each for item in self._known.values() for each in (item, item.again) if each is not None]
        return tuple(
            QueuedKey(
                each.key,
                each.state,
                each.priority,
                each.reasons,
                now - each.since if each.since else 0.0,
                max(each.due - now, 0.0) if each.state == WAITING else None,
            )
            for each in entries
        )

    def _order_by_levels(self) -> None:
        """From one deque to levels, once and for good."""
        self._leave_plain()
        self._levels = Levels(self._fairness)
        self._push, self._pop = self._levels.push, self._levels.pop
        while self._fifo:
            self._levels.push(self._fifo.popleft())


def _merge(item: Item[K], reason: str, priority: int) -> None:
    if reason and reason != item.why:
        reasons = item.reasons
        if reason not in reasons:
            item.why = reasons | {reason if len(reasons) < REASONS_MAX else "more"}
    item.priority = max(item.priority, priority)
