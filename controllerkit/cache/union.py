"""Several stores of one kind, read as one: a store for each namespace that is watched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from controllerkit.cache.store import Store
from controllerkit.objects import Key, Object

__all__ = ["StoreView", "UnionStore"]


class StoreView(Protocol):
    """What can be read of a `Store` or a `UnionStore`."""

    def __len__(self) -> int: ...

    def __contains__(self, key: object) -> bool: ...

    def __iter__(self) -> Iterator[Object]: ...

    @property
    def version(self) -> str:
        """The resourceVersion it stands at; of several stores none."""
        ...

    @property
    def bytes(self) -> int:
        """What the objects take as JSON."""
        ...

    @property
    def parts(self) -> Sequence[Store]:
        """The stores it is made of, each standing at a version of its own."""
        ...

    def part(self, namespace: str) -> Store | None:
        """The store that keeps the objects of ``namespace``; None where they are not cached."""
        ...

    def get(self, key: Key) -> Object | None:
        """The object, or None."""
        ...

    def keys(self) -> list[Key]:
        """Every key, as of now."""
        ...

    def list(self, namespace: str | None = None) -> list[Object]:
        """Every object, of one namespace if given."""
        ...

    def by_index(self, name: str, value: str) -> Sequence[Object]:
        """The objects under ``value``, by key. Raises as `Store.by_index`."""
        ...


class UnionStore:
    """Reads over stores by namespace; the one under "" has every namespace that has none of its own.

    Each part stands at its own version, so there is no version of the whole: ``version`` is "".
    """

    version = ""

    def __init__(self, parts: Mapping[str, Store]) -> None:
        self._parts = dict(parts)
        self.parts: Sequence[Store] = tuple(self._parts.values())

    def __len__(self) -> int:
        return sum(len(each) for each in self.parts)

    def __contains__(self, key: object) -> bool:
        return any(key in each for each in self.parts)

    def __iter__(self) -> Iterator[Object]:
        return iter(self.list())

    @property
    def bytes(self) -> int:
        """What the objects take as JSON."""
        return sum(each.bytes for each in self.parts)

    def part(self, namespace: str) -> Store | None:
        """See `StoreView.part`."""
        return self._parts.get(namespace, self._parts.get(""))

    def get(self, key: Key) -> Object | None:
        """The object, or None."""
        part = self.part(key.namespace)
        return None if part is None else part.get(key)

    def keys(self) -> list[Key]:
        """Every key, as of now."""
        return [value.key for value in self]

    def list(self, namespace: str | None = None) -> list[Object]:
        """Every object, of one namespace if given."""
        if namespace is not None:
            part = self.part(namespace)
            return [] if part is None else part.list(namespace)
        return [value for each in self.parts for value in each.list()]

    def by_index(self, name: str, value: str) -> Sequence[Object]:
        """The objects under ``value``, by key. Raises as `Store.by_index`."""
        found = [one for each in self.parts for one in each.by_index(name, value)]
        return sorted(found, key=lambda one: one.key)
