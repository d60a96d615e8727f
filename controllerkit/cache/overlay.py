"""Read your writes: what this process has written is what it reads next, though the watch has not told of it yet.

A reconciler that creates a Pod and is called again before the watch brings the Pod back would create a second one.
So the answer of every successful write shadows the cached object until the cache has caught up, which
resourceVersions say: those of one kind are numbers of one sequence, and a cache that stands at or past the
version of a write has seen it. Nothing waits, no event is held back or dropped, and where a version is no
number the cache wins.

Two kinds of write leave nothing to lay over the cache: one whose outcome is unknown (cancelled, no answer), and one
that is answered by something else than the object (``scale``, ``eviction``). Those are `Unsettled`: whoever asked to
`collecting` them should not read the cache for the same purpose again before they are settled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from controllerkit.cache.shadows import Shadow, Shadows, at_least
from controllerkit.cache.store import Store
from controllerkit.cache.union import StoreView
from controllerkit.client import Write
from controllerkit.errors import ApiError, ConnectError, MalformedObject, NotFound, TlsError, TransportError
from controllerkit.objects import Key, Kind, LabelSelector, Object

__all__ = ["Overlay", "Reader", "Unsettled", "at_least", "outcome_unknown"]

SHADOW_AGE_MAX_S: Final = 300.0
"""client-go ``MutationCache``: a write that a living cache has not passed by then lies in another sequence of versions,
such as that of an etcd restored from a backup, and is given up."""

_CHANGES_NOTHING: Final = frozenset({"token"})
"""Subresources whose writes leave the object as it is."""


def outcome_unknown(error: BaseException | None) -> bool:
    """Whether a write that ended so may have been done all the same."""
    if isinstance(error, ConnectError | TlsError):
        return False  # nothing was sent
    if isinstance(error, ApiError):
        return error.code >= 500  # such as etcd's own timeout
    return isinstance(error, TransportError | MalformedObject | asyncio.CancelledError)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A write of which the overlay has no object to show.

    ``version`` is what the cache must reach to have seen it; "" where only the server can tell. The name in ``key``
    is "" for a create that left it to the server.
    """

    kind: Kind
    key: Key
    version: str = ""


def _whole(kind: Kind, value: Object) -> Object:
    return value


_collected: ContextVar[tuple[Overlay, list[Unsettled]] | None] = ContextVar("unsettled writes", default=None)


class Overlay:
    """The writes of one client that the stores have not seen yet; a `WriteHook`.

    Args:
        store_of: the store of a cached kind, None for a kind that is not cached: its writes are not kept.
        now: a monotonic clock in seconds.
        kept: what the cache keeps of an object, so that a reader finds the same fields before and after.

    Guarantees:
        A key never reads older than this process's last successful write of it, until the store has passed that
        write. An object somebody else wrote later, or made anew under the same name, is seen at once. A write
        with ``dry_run`` and one the server refused change nothing here. A write of an object that the informer's
        selectors leave out is seen until the store stands past its version. A deletion of an object that this
        process never saw hides nothing.
    """

    def __init__(
        self,
        store_of: Callable[[Kind], StoreView | None],
        now: Callable[[], float] = time.monotonic,
        kept: Callable[[Kind, Object], Object] = _whole,
    ) -> None:
        self._store_of = store_of
        self._now = now
        self._kept = kept
        self._shadows: dict[Store, Shadows] = {}
        self._deleting: dict[int, Object | None] = {}
        self._waiters: dict[Store, list[tuple[Unsettled, asyncio.Future[None]]]] = {}

    def __len__(self) -> int:
        """How many writes the caches have yet to see."""
        return sum(len(each) for each in self._shadows.values())

    # -- the writes ------------------------------------------------------------------------------------------------

    def before(self, write: Write) -> None:
        """See `WriteHook.before`; refuses nothing.

        What is deleted is known before it is: a namesake may be made, and cached, before the answer is here.
        """
        if write.verb == "delete":
            self._deleting[id(write)] = self.known(write.kind, write.key)

    def after(self, write: Write, answer: Object | None, error: BaseException | None) -> None:
        """See `WriteHook.after`."""
        deleted = self._deleting.pop(id(write), None)
        if write.dry_run or self._part(write.kind, write.key) is None:
            return
        if outcome_unknown(error):
            self._collect(Unsettled(write.kind, write.key))
        elif write.verb == "delete" and (isinstance(error, NotFound) or (error is None and not _still_there(answer))):
            self._hide(write.kind, deleted)
        elif answer is not None and answer.kind == write.kind.kind:
            self._show(write.kind, answer)
        elif answer is not None and write.subresource not in _CHANGES_NOTHING:
            self._collect(Unsettled(write.kind, write.key, answer.resource_version))

    def learned(self, kind: Kind, key: Key, known: Object | None, found: Object | None) -> None:
        """Lays what a read from the server ``found`` over ``key``; ``known`` is what was read here before it began.

        Nothing found means that the known object is gone; another one under its name may be there by now.
        """
        if found is not None and self._part(kind, key) is not None:
            self._show(kind, found)
        elif found is None:
            self._hide(kind, known)

    def _show(self, kind: Kind, value: Object) -> None:
        older = self._over(kind, value.key)
        if older is not None:
            dead = older.value is None and older.uid == value.uid
            if dead or at_least(older.version, value.resource_version):
                return  # answers of two writes came back in the other order
        self._lay(kind, value.key, Shadow(self._kept(kind, value), value.uid, value.resource_version, self._now()))

    def _hide(self, kind: Kind, known: Object | None) -> None:
        if known is None:
            return
        older, version = self._over(kind, known.key), known.resource_version
        if older is not None and at_least(older.version, version):
            if older.uid != known.uid:
                return  # it was made anew under the name meanwhile
            version = older.version
        self._lay(kind, known.key, Shadow(None, known.uid, version, self._now()))

    def _lay(self, kind: Kind, key: Key, shadow: Shadow) -> None:
        store = self._part(kind, key)
        if store is not None:
            shadows = self._shadows.get(store)
            if shadows is None:
                shadows = self._shadows[store] = Shadows(store)
            shadows.lay(key, shadow)

    def _over(self, kind: Kind, key: Key) -> Shadow | None:
        store = self._part(kind, key)
        shadows = None if store is None else self._shadows.get(store)
        return None if shadows is None else shadows.laid(key)

    def _part(self, kind: Kind, key: Key) -> Store | None:
        store = self._store_of(kind)
        return None if store is None else store.part(key.namespace)

    # -- writes without an object ------------------------------------------------------------------------------------

    @contextmanager
    def collecting(self) -> Iterator[list[Unsettled]]:
        """The list of what this task, and what it starts, leaves unsettled while inside."""
        unsettled: list[Unsettled] = []
        token = _collected.set((self, unsettled))
        try:
            yield unsettled
        finally:
            _collected.reset(token)

    def _collect(self, unsettled: Unsettled) -> None:
        collected = _collected.get()
        if collected is not None and collected[0] is self:
            collected[1].append(unsettled)

    async def wait_seen(self, unsettled: Unsettled) -> None:
        """Returns when the cache has reached ``unsettled.version``; at once where that cannot be told."""
        store = self._part(unsettled.kind, unsettled.key)
        if store is None or _has_seen(store, unsettled):
            return
        seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (unsettled, seen)
        waiters = self._waiters.setdefault(store, [])
        waiters.append(waiter)
        try:
            await seen
        finally:
            waiters.remove(waiter)

    # -- the reads -------------------------------------------------------------------------------------------------

    def known(self, kind: Kind, key: Key) -> Object | None:
        """What a reader sees under ``key``, None also where the kind is not cached."""
        store = self._store_of(kind)
        return None if store is None else self.get(key, store)

    def get(self, key: Key, store: StoreView) -> Object | None:
        """What a reader of ``store`` sees under ``key``."""
        part = store.part(key.namespace)
        if part is None:
            return None
        shadows = self._shadows.get(part)
        shadow = shadows.get(key) if shadows else None
        return part.get(key) if shadow is None else shadow.value

    def all(self, store: StoreView, namespace: str | None) -> list[Object]:
        """The objects of ``namespace``, None for all, as a reader of ``store`` sees them."""
        found = self._seen(store, store.list(namespace))
        ahead = [one for shadows in self._ahead(store) for one in shadows.values()]
        return found + [one for one in ahead if namespace is None or one.namespace == namespace]

    def by_index(self, store: StoreView, name: str, value: str) -> list[Object]:
        """The objects under ``value``, by key, as a reader of ``store`` sees them."""
        found = self._seen(store, store.by_index(name, value))
        found += [one for shadows in self._ahead(store) for one in shadows.by_index(name, value)]
        return sorted(found, key=lambda one: one.key)

    def _ahead(self, store: StoreView) -> Iterator[Shadows]:
        return (shadows for part in store.parts if (shadows := self._shadows.get(part)))

    def _seen(self, store: StoreView, cached: Iterable[Object]) -> list[Object]:
        """``cached`` without what lies in a shadow."""
        ahead = [*self._ahead(store)]
        if not ahead:
            return [*cached]
        return [one for one in cached if all(shadows.get(one.key) is None for shadows in ahead)]

    def release(self, store: Store) -> None:
        """Forgets what the store has caught up with, oldest first; to be called when its version has advanced."""
        shadows = self._shadows.get(store)
        while shadows and (oldest := shadows.oldest()) is not None:
            key, shadow, caught_up = oldest
            if not caught_up and self._now() - shadow.since < SHADOW_AGE_MAX_S:
                break
            shadows.drop(key)
        for unsettled, seen in self._waiters.get(store, ()):
            if not seen.done() and _has_seen(store, unsettled):
                seen.set_result(None)

    def forget(self, store: Store) -> None:
        """The store is no longer kept, so nothing lies over it and nobody waits for it."""
        self._shadows.pop(store, None)
        for _, seen in self._waiters.pop(store, ()):
            if not seen.done():
                seen.set_result(None)


def _still_there(answer: Object | None) -> bool:
    """Whether a deletion was only begun: finalizers or a grace period keep the object."""
    return answer is not None and answer.deleting


def _has_seen(store: Store, unsettled: Unsettled) -> bool:
    cached = store.get(unsettled.key)
    seen = [store.version] if cached is None else [store.version, cached.resource_version]
    return any(at_least(each, unsettled.version) is not False for each in seen if each)


class Reader:
    """Reads of one cached kind, own writes included. Never waits."""

    def __init__(self, store: StoreView, overlay: Overlay) -> None:
        self._store = store
        self._overlay = overlay

    def get(self, key: Key) -> Object | None:
        """The object, or None."""
        return self._overlay.get(key, self._store)

    def list(self, namespace: str | None = None, *, label_selector: str = "") -> list[Object]:
        """Every object, of one namespace if given, whose labels match if given.

        Raises:
            BadRequest: ``label_selector`` cannot be read.
        """
        found = self._overlay.all(self._store, namespace)
        if not label_selector:
            return found
        selector = LabelSelector.parse(label_selector)
        return [one for one in found if selector.matches(one.labels)]

    def by_index(self, name: str, value: str) -> Sequence[Object]:
        """The objects under ``value``, by key. Raises as `Store.by_index`."""
        return self._overlay.by_index(self._store, name, value)
