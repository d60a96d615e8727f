"""The store: objects by key, and named indexes over them, changed together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controllerkit.client import WatchEvent
from controllerkit.errors import ConfigError
from controllerkit.objects import Key, Object

__all__ = ["BY_CONTROLLER", "Change", "IndexFunction", "Store", "by_controller"]

IndexFunction = Callable[[Object], Iterable[str]]
"""From an object to the values it is found under; it must depend on nothing else."""

BY_CONTROLLER: Final = "controller-uid"
_NO_VALUES: Final[frozenset[str]] = frozenset()


def _ignore(*_: object) -> None:
    """Does nothing."""


def by_controller(value: Object) -> Iterable[str]:
    """Index function: the uid of the controlling owner."""
    return [reference.uid for reference in value.owner_references if reference.controller]


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one key: added (``old`` None), updated (both) or deleted (``new`` None).

    ``missed``: nobody told of the deletion, a new list just does not have the object any more; ``old`` is then the
    last state that was seen, not the last there was (client-go's ``DeletedFinalStateUnknown``).
    """

    old: Object | None
    new: Object | None
    missed: bool = False


class Store:
    """Objects of one kind.

    Guarantees:
        Object and index entries change in one step; an empty index entry is removed. ``replace`` yields deletes
        (all of them missed) before adds and updates. Methods never await, so a reader sees the state before or after
        a change.

    Attributes:
        version: the resourceVersion it stands at, bookmarks included; "" before the first list.
        bytes: what the objects take as JSON.
        on_index_error: told the index, the object and the error where an index function raises; the object is
            stored all the same, and found under no value of that index.
    """

    def __init__(self, indexes: Mapping[str, IndexFunction] | None = None) -> None:
        self._objects: dict[Key, Object] = {}
        self._functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, set[Key]]] = {}
        self.version = ""
        self.bytes = 0
        self.on_index_error: Callable[[str, Object, Exception], None] = _ignore
        for name, function in (indexes or {}).items():
            self.add_index(name, function)

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, key: object) -> bool:
        return key in self._objects

    def part(self, namespace: str) -> Store | None:
        """The store that keeps the objects of ``namespace``: itself."""
        return self

    @property
    def parts(self) -> tuple[Store, ...]:
        """The stores it is made of: itself."""
        return (self,)

    def __iter__(self) -> Iterator[Object]:
        return iter(list(self._objects.values()))

    def get(self, key: Key) -> Object | None:
        """The object, or None."""
        return self._objects.get(key)

    def keys(self) -> list[Key]:
        """Every key, as of now."""
        return list(self._objects)

    def list(self, namespace: str | None = None) -> list[Object]:
        """Every object, of one namespace if given."""
        if namespace is None:
            return [*self._objects.values()]
        return [value for key, value in self._objects.items() if key.namespace == namespace]

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Indexes what is there and what will come.

        Raises:
            ConfigError: the name is taken by another function.
        """
        if name in self._functions:
            if self._functions[name] is function:
                return
            raise ConfigError(f"an index {name!r} with another function exists already")
        self._functions[name] = function
        entries: dict[str, set[Key]] = {}
        self._indexes[name] = entries
        for key, value in self._objects.items():
            for entry in self.index_values(name, value):
                entries.setdefault(entry, set()).add(key)

    def by_index(self, name: str, value: str) -> Sequence[Object]:
        """The objects under ``value``, by key.

        Raises:
            ConfigError: there is no such index.
        """
        if name not in self._indexes:
            raise ConfigError(f"no index {name!r}; there are {sorted(self._indexes)}")
        return [self._objects[key] for key in sorted(self._indexes[name].get(value, ()))]

    def index_function(self, name: str) -> IndexFunction:
        """The function of the index ``name``.

        Raises:
            ConfigError: there is no such index.
        """
        if name not in self._functions:
            raise ConfigError(f"no index {name!r}; there are {sorted(self._functions)}")
        return self._functions[name]

    def index_values(self, name: str, value: Object) -> frozenset[str]:
        """What the index ``name`` would find ``value`` under.

        Raises:
            ConfigError: there is no such index.
        """
        function = self.index_function(name)
        try:
            return frozenset(function(value))
        except Exception as error:  # an index's bug must not keep the object out of the cache
            self.on_index_error(name, value, error)
            return frozenset()

    def replace(self, objects: Iterable[Object]) -> Sequence[Change]:
        """Makes the store exactly ``objects``. Objects whose resourceVersion is unchanged yield no change."""
        fresh = {value.key: value for value in objects}
        changes = [Change(self._delete(key), None, missed=True) for key in [k for k in self._objects if k not in fresh]]
        for key, value in fresh.items():
            old = self._objects.get(key)
            if old is not None and old.resource_version == value.resource_version and old.uid == value.uid:
                continue
            changes.append(self._put(value))
        return changes

    def apply(self, event: WatchEvent) -> Change | None:
        """ADDED and MODIFIED put, DELETED removes; None where nothing changed or the type is unknown."""
        match event.type:
            case "ADDED" | "MODIFIED":
                return self._put(event.object)
            case "DELETED":
                old = self._objects.get(event.object.key)
                if old is None:
                    return None
                self._delete(event.object.key)
                return Change(event.object, None)
            case _:
                return None

    def changed_in_place(self) -> Sequence[Object]:
        """The objects that some reader has changed instead of a copy: client-go's mutation detector, for tests.

        The bytes cannot be changed, so such a change is never written; but other readers see it. Decodes every object.
        """
        return [value for value in self._objects.values() if not value.intact]

    def _put(self, value: Object) -> Change:
        key = value.key
        old = self._objects.get(key)
        self._objects[key] = value
        self.bytes += len(value.raw) if old is None else len(value.raw) - len(old.raw)
        if self._functions:
            self._reindex(key, old, value)
        return Change(old, value)

    def _delete(self, key: Key) -> Object:
        old = self._objects.pop(key)
        self.bytes -= len(old.raw)
        self._reindex(key, old, None)
        return old

    def _reindex(self, key: Key, old: Object | None, new: Object | None) -> None:
        for name, function in self._functions.items():
            try:
                before = frozenset(function(old)) if old is not None else _NO_VALUES
                after = frozenset(function(new)) if new is not None else _NO_VALUES
            except Exception:  # one of the two at least; which, and that it is told, is the long way's
                before = self.index_values(name, old) if old is not None else _NO_VALUES
                after = self.index_values(name, new) if new is not None else _NO_VALUES
            if before == after:
                continue
            entries = self._indexes[name]
            for value in before - after:
                entries[value].discard(key)
                if not entries[value]:
                    del entries[value]
            for value in after - before:
                entries.setdefault(value, set()).add(key)
