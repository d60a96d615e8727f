"""What lies over one store: the writes that it has not seen yet, under its keys and its indexes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controllerkit.cache.store import Store
from controllerkit.client import WatchEvent
from controllerkit.objects import Key, Object

__all__ = ["Shadow", "Shadows", "at_least"]


def at_least(version: str, other: str) -> bool | None:
    """Whether one resourceVersion is the other or newer; None where one is no number (apimachinery 1.35 rules).

    >>> at_least("10", "9"), at_least("9", "10"), at_least("7", "7"), at_least("a7", "7"), at_least("07", "7")
    (True, False, True, None, None)
    """
    if not (_numeric(version) and _numeric(other)):
        return None
    return (len(version), version) >= (len(other), other)


def _numeric(version: str) -> bool:
    return version.isascii() and version.isdigit() and version[0] != "0"


@dataclass(frozen=True, slots=True)
class Shadow:
    """What lies over one key.

    ``value`` None: the object ``uid`` is deleted. ``version`` is that of the value, or the last known of the deleted
    object: a cache that does not reach it has yet to see the object come, and only then go.
    """

    value: Object | None
    uid: str
    version: str
    since: float


class Shadows:
    """The shadows over ``store``, oldest first. One that the store has caught up with counts as none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shadows: dict[Key, Shadow] = {}
        self._values = Store()

    def __len__(self) -> int:
        return len(self._shadows)

    def lay(self, key: Key, shadow: Shadow) -> None:
        """From now on ``shadow`` lies over ``key``; nothing does where the watch was faster."""
        self.drop(key)
        if not self._caught_up(key, shadow):
            self._shadows[key] = shadow
            if shadow.value is not None:
                self._values.apply(WatchEvent("ADDED", shadow.value))

    def drop(self, key: Key) -> None:
        """Nothing lies over ``key``."""
        shadow = self._shadows.pop(key, None)
        if shadow is not None and shadow.value is not None:
            self._values.apply(WatchEvent("DELETED", shadow.value))

    def get(self, key: Key) -> Shadow | None:
        """The shadow over ``key``."""
        shadow = self._shadows.get(key)
        return None if shadow is None or self._caught_up(key, shadow) else shadow

    def laid(self, key: Key) -> Shadow | None:
        """The shadow over ``key``, even if the store has caught up with it."""
        return self._shadows.get(key)

    def oldest(self) -> tuple[Key, Shadow, bool] | None:
        """The first that was laid, and whether the store has caught up with it."""
        first = next(iter(self._shadows.items()), None)
        return None if first is None else (*first, self._caught_up(*first))

    def values(self) -> Iterator[Object]:
        """What is read in place of the store's objects."""
        for key, shadow in self._shadows.items():
            if shadow.value is not None and not self._caught_up(key, shadow):
                yield shadow.value

    def by_index(self, name: str, value: str) -> Iterator[Object]:
        """Those of ``values`` that an index of the store finds under ``value``."""
        self._values.add_index(name, self._store.index_function(name))
        for one in self._values.by_index(name, value):
            if self.get(one.key) is not None:
                yield one

    def _caught_up(self, key: Key, shadow: Shadow) -> bool:
        store = self._store
        if not store.version:
            return False  # nothing was listed yet
        cached = store.get(key)
        if cached is not None and shadow.value is None and cached.uid == shadow.uid:
            return False
        seen = store.version if cached is None else cached.resource_version
        return at_least(seen, shadow.version) is not False or at_least(store.version, shadow.version) is True
