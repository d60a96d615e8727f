"""Read your writes: what this process has written is what it reads next, though the watch has not told of it yet.

A reconciler that creates a Pod and is called again before the watch brings the Pod back would create a second one.
So the answer of every successful write shadows the cached object until the cache has caught up, which
resourceVersions say: those of one kind are numbers of one sequence, and a cache that stands at or past the
version of a write has seen it. Nothing waits, no event is held back or dropped, and where a version is no
number the cache wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from controllerkit.cache.store import Store
from controllerkit.client import Write
from controllerkit.errors import NotFound
from controllerkit.objects import Key, Kind, Object

__all__ = ["Overlay", "Reader", "at_least"]

_OBJECT_SUBRESOURCES: Final = frozenset({"", "status"})
"""Writes whose answer is the object itself; that of ``scale`` or ``eviction`` is another kind."""


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
class _Shadow:
    """``value`` is what was written; None for a deleted object, which ``uid`` names."""

    value: Object | None
    uid: str


class Overlay:
    """The writes of one client that the stores have not seen yet; a `WriteHook`.

    Args:
        store_of: the store of a cached kind, None for a kind that is not cached: its writes are not kept.

    Guarantees:
        A key never reads older than this process's last successful write of it, until the store has passed that
        write. An object somebody else wrote later, or made anew under the same name, is seen at once. A write
        whose outcome is unknown (cancelled, no answer) and one with ``dry_run`` change nothing here. A write of
        an object that the informer's selectors leave out is seen until the store stands past its version.
    """

    def __init__(self, store_of: Callable[[Kind], Store | None]) -> None:
        self._store_of = store_of
        self._shadows: dict[Kind, dict[Key, _Shadow]] = {}

    def __len__(self) -> int:
        """How many writes the caches have yet to see."""
        return sum(len(each) for each in self._shadows.values())

    # -- the writes ------------------------------------------------------------------------------------------------

    def before(self, write: Write) -> None:
        """See `WriteHook.before`; refuses nothing."""

    def after(self, write: Write, answer: Object | None, error: BaseException | None) -> None:
        """See `WriteHook.after`."""
        store = self._store_of(write.kind)
        if store is None or write.dry_run or write.subresource not in _OBJECT_SUBRESOURCES:
            return
        gone = write.verb == "delete" and (answer is None or not answer.deleting)
        if gone and (error is None or isinstance(error, NotFound)):
            self._hide(write, store)
        elif answer is not None and error is None and answer.kind == write.kind.kind:
            self._put(write.kind, answer.key, _Shadow(answer, answer.uid))

    def _hide(self, write: Write, store: Store) -> None:
        known = self.get(write.kind, write.key, store)
        if known is not None:
            self._put(write.kind, write.key, _Shadow(None, known.uid))

    def _put(self, kind: Kind, key: Key, shadow: _Shadow) -> None:
        shadows = self._shadows.setdefault(kind, {})
        older = shadows.pop(key, None)
        both = older is not None and older.value is not None and shadow.value is not None
        if both and at_least(older.value.resource_version, shadow.value.resource_version):  # type: ignore[union-attr]
            shadow = older  # type: ignore[assignment]  # answers of two calls came back in the other order
        shadows[key] = shadow

    # -- the reads -------------------------------------------------------------------------------------------------

    def get(self, kind: Kind, key: Key, store: Store) -> Object | None:
        """What a reader sees under ``key``."""
        shadow = self._shadows.get(kind, {}).get(key)
        if shadow is None or _caught_up(store, key, shadow):
            return store.get(key)
        return shadow.value

    def merged(
        self, kind: Kind, store: Store, cached: Iterable[Object], wanted: Callable[[Object], bool]
    ) -> list[Object]:
        """``cached``, with the shadows of ``kind`` over it as far as they are ``wanted``."""
        shadows = {k: s for k, s in self._shadows.get(kind, {}).items() if not _caught_up(store, k, s)}
        if not shadows:
            return [*cached]
        values = [value for value in cached if value.key not in shadows]
        return values + [s.value for s in shadows.values() if s.value is not None and wanted(s.value)]

    def release(self, kind: Kind, store: Store) -> None:
        """Forgets what the store has caught up with, oldest first; to be called when its version has advanced."""
        shadows = self._shadows.get(kind)
        while shadows:
            key = next(iter(shadows))
            if not _caught_up(store, key, shadows[key]):
                return
            del shadows[key]


def _caught_up(store: Store, key: Key, shadow: _Shadow) -> bool:
    cached = store.get(key)
    if shadow.value is None:
        return cached is None or cached.uid != shadow.uid
    written = shadow.value.resource_version
    seen = store.version if cached is None else cached.resource_version
    if not seen:
        return False  # nothing was listed yet
    return at_least(seen, written) is not False or at_least(store.version, written) is True


class Reader:
    """Reads of one cached kind, own writes included. Never waits."""

    def __init__(self, kind: Kind, store: Store, overlay: Overlay) -> None:
        self._kind = kind
        self._store = store
        self._overlay = overlay

    def get(self, key: Key) -> Object | None:
        """The object, or None."""
        return self._overlay.get(self._kind, key, self._store)

    def list(self, namespace: str | None = None) -> list[Object]:
        """Every object, of one namespace if given."""

        def wanted(value: Object) -> bool:
            return namespace is None or value.namespace == namespace

        return self._overlay.merged(self._kind, self._store, self._store.list(namespace), wanted)

    def by_index(self, name: str, value: str) -> Sequence[Object]:
        """The objects under ``value``, by key. Raises as `Store.by_index`."""

        def wanted(one: Object) -> bool:
            return value in self._store.index_values(name, one)

        found = self._overlay.merged(self._kind, self._store, self._store.by_index(name, value), wanted)
        return sorted(found, key=lambda one: one.key)
