"""Several informers of one kind, one for each namespace that is watched, as one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from controllerkit.cache.informer import Handler, Informer, Registration
from controllerkit.cache.store import IndexFunction
from controllerkit.cache.union import UnionStore
from controllerkit.objects import Object

__all__ = ["UnionInformer", "UnionRegistration"]


class UnionRegistration:
    """A handler on every part of a `UnionInformer`. Calling it removes the handler, as ``remove`` does."""

    def __init__(self, parts: Sequence[Registration]) -> None:
        self._parts = parts

    @property
    def has_synced(self) -> bool:
        """Whether this handler was given every object of every first list."""
        return all(each.has_synced for each in self._parts)

    async def wait_synced(self, *, timeout_s: float | None = None) -> None:
        """Returns when ``has_synced``; raises as `Informer.wait_synced`."""
        await _all_synced(self._parts, timeout_s)

    def remove(self) -> None:
        """The handler is not called again. Twice is once."""
        for each in self._parts:
            each.remove()

    __call__ = remove


class UnionInformer:
    """What `Informer` is, over a list and a watch for each namespace.

    Guarantees:
        Those of `Informer` for the objects of one namespace; nothing is said of the order between namespaces.

    Args:
        parts: by namespace; the one under "" has every namespace that has none of its own.
    """

    def __init__(self, parts: Mapping[str, Informer]) -> None:
        self._parts = dict(parts)
        self.parts = tuple(parts.values())
        self.kind = self.parts[0].kind
        self.store = UnionStore({namespace: part.store for namespace, part in parts.items()})

    def kept(self, value: Object) -> Object:
        """What is stored where the server has ``value``, in a namespace that is cached."""
        return self._parts.get(value.namespace, self._parts.get("", self.parts[0])).kept(value)

    @property
    def has_synced(self) -> bool:
        """Whether every part has."""
        return all(each.has_synced for each in self.parts)

    async def wait_synced(self, *, timeout_s: float | None = None) -> None:
        """Returns when ``has_synced``; raises as `Informer.wait_synced`."""
        await _all_synced(self.parts, timeout_s)

    def add_handler(self, handler: Handler, *, resync_s: float = 0.0) -> UnionRegistration:
        """See `Informer.add_handler`."""
        return UnionRegistration([each.add_handler(handler, resync_s=resync_s) for each in self.parts])

    def add_index(self, name: str, function: IndexFunction) -> None:
        """See `Store.add_index`; at any time."""
        for each in self.parts:
            each.add_index(name, function)


async def _all_synced(parts: Sequence[Informer] | Sequence[Registration], timeout_s: float | None) -> None:
    """The first that is not in time is told; the others' waits end with it."""
    waits = [asyncio.ensure_future(each.wait_synced(timeout_s=timeout_s)) for each in parts]
    try:
        await asyncio.gather(*waits)
    finally:
        for each in waits:
            each.cancel()
