"""The order in which ready keys are handed out: by priority, in turns of groups, first come first served."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from controllerkit.workqueue.item import READY, Item

__all__ = ["Levels"]

K = TypeVar("K", bound=Hashable)


class _Level(Generic[K]):
    """The items of one priority: ``turns`` holds the groups that have any, the next one first."""

    __slots__ = ("groups", "size", "turns")

    def __init__(self) -> None:
        self.groups: dict[Hashable, deque[Item[K]]] = {}
        self.turns: deque[deque[Item[K]]] = deque()
        self.size = 0


class Levels(Generic[K]):
    """Invariants: the highest priority goes first; inside it each group with items gives one in turn; a group's own
    items keep their order. An item that is no longer READY is passed over: whoever takes one out leaves it in here.

    ``push`` and ``pop`` take constant time, and the logarithm of the number of priorities where one comes or goes.
    """

    def __init__(self, group_of: Callable[[K], Hashable] | None) -> None:
        self._group_of = group_of
        self._levels: dict[int, _Level[K]] = {}
        self._priorities: list[int] = []
        self._top: _Level[K] | None = None
        self.live = 0

    def push(self, item: Item[K]) -> None:
        """Adds a READY item behind its peers."""
        self.live += 1
        level = self._levels.get(item.priority)
        if level is None:
            level = self._levels[item.priority] = _Level()
        if not level.size:
            insort(self._priorities, item.priority)
            self._top = self._levels[self._priorities[-1]]
        level.size += 1
        group = None if self._group_of is None else self._group_of(item.key)
        items = level.groups.get(group)
        if items is None:
            items = level.groups[group] = deque()
        if not items:
            level.turns.append(items)
        items.append(item)

    def pop(self) -> Item[K]:
        """Takes out the next READY item. Raises IndexError where there is none."""
        while (level := self._top) is not None:
            turns = level.turns
            items = turns[0]
            item = items.popleft()
            if not items:
                turns.popleft()
            elif len(turns) > 1:
                turns.rotate(-1)
            level.size -= 1
            if not level.size:
                level.groups.clear()
                del self._levels[self._priorities.pop()]
                self._top = self._levels[self._priorities[-1]] if self._priorities else None
            if item.state == READY:
                self.live -= 1
                return item
        raise IndexError("nothing is ready")
