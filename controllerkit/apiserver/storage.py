"""The store: every object as encoded bytes, one revision counter, and each resource's recent events.

Rule: synchronous, no clock, no network. What is written is whole before anyone is told of it.

Guarantees:
    Revisions only grow, over all resources, by one a write; a DELETED event has a revision of its own.
    An event is published after the store holds what it says, in the order of revisions.
    Bytes are encoded once a write; lists, events and watch lines share them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from controllerkit.objects import ObjectMeta

__all__ = ["Collection", "EventLog", "Item", "LogEvent", "Store", "encode_object"]

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


class _Head(msgspec.Struct):
    metadata: ObjectMeta


_head_decoder: Final = msgspec.json.Decoder(_Head)
_decoder: Final = msgspec.json.Decoder()


class Item(msgspec.Struct, frozen=True, gc=False):
    """One object at one revision. ``raw`` starts with apiVersion and kind, in this order."""

    key: str
    namespace: str
    name: str
    uid: str
    rv: int
    labels: Mapping[str, str]
    fields: Mapping[str, str]
    raw: bytes

    def decode(self) -> dict[str, Any]:
        """A fresh, changeable copy."""
        value: dict[str, Any] = _decoder.decode(self.raw)
        return value

    @property
    def meta(self) -> ObjectMeta:
        """The metadata, decoded anew."""
        return _head_decoder.decode(self.raw).metadata


class LogEvent:
    """One write. ``previous`` is the object before it; a DELETED ``item`` is its last state at the new revision.

    ``lines`` keeps encoded watch lines by what was asked for, so that a thousand watchers cost one encoding.
    """

    __slots__ = ("item", "lines", "previous", "rv", "type")

    def __init__(self, rv: int, type: EventType, item: Item, previous: Item | None) -> None:  # noqa: A002 - API name
        self.rv = rv
        self.type = type
        self.item = item
        self.previous = previous
        self.lines: dict[Any, bytes] = {}


def object_key(namespace: str, name: str) -> str:
    """The key that objects of a resource are sorted by."""
    return f"{namespace}/{name}" if namespace else name


def encode_object(value: Mapping[str, Any]) -> bytes:
    """apiVersion and kind first, metadata next: other versions and list items are then made by cutting bytes."""
    head = {"apiVersion": value["apiVersion"], "kind": value["kind"], "metadata": value["metadata"]}
    head.update(value)
    return msgspec.json.encode(head)


class EventLog:
    """The last events of one resource, by revision.

    Invariant: every event with a revision above ``oldest_rv`` is here.
    """

    __slots__ = ("_events", "_events_max", "oldest_rv")

    def __init__(self, events_max: int, oldest_rv: int) -> None:
        self._events: list[LogEvent] = []
        self._events_max = events_max
        self.oldest_rv = oldest_rv

    def append(self, event: LogEvent) -> None:
        """Adds the newest event; the oldest may go."""
        self._events.append(event)
        # Trimmed in halves, so that a write costs a constant on average.
        if len(self._events) >= 2 * self._events_max:
            self.forget(self._events[-self._events_max - 1].rv)

    def forget(self, rv: int) -> None:
        """Drops every event up to and with ``rv``."""
        del self._events[: self._index(rv)]
        self.oldest_rv = max(self.oldest_rv, rv)

    def _index(self, rv: int) -> int:
        return bisect_left(self._events, rv + 1, key=lambda event: event.rv)

    def since(self, rv: int) -> Sequence[LogEvent]:
        """The events after ``rv``; the caller has checked ``rv >= oldest_rv``."""
        if not self._events or self._events[-1].rv <= rv:
            return ()
        return self._events[self._index(rv) :]


class Collection:
    """The objects of one resource, sorted by key, and its log."""

    __slots__ = ("_keys", "_watchers", "items", "log", "name")

    def __init__(self, name: str, log: EventLog) -> None:
        self.name = name
        self.log = log
        self.items: dict[str, Item] = {}
        self._keys: list[str] = []
        self._watchers: dict[int, Callable[[], None]] = {}

    def get(self, namespace: str, name: str) -> Item | None:
        """The object, if it is there."""
        return self.items.get(object_key(namespace, name))

    def scan(self, namespace: str = "", *, after: str = "") -> Iterator[Item]:
        """Objects in key order, of one namespace or of all, those after the key ``after`` only."""
        prefix = f"{namespace}/" if namespace else ""
        start = bisect_left(self._keys, max(prefix, after + "\0" if after else ""))
        # "0" is the character after "/": the first key behind the namespace.
        end = bisect_left(self._keys, f"{namespace}0") if namespace else len(self._keys)
        items = self.items
        for key in self._keys[start:end]:
            yield items[key]

    def scan_at(self, rv: int, namespace: str = "", *, after: str = "") -> list[Item]:
        """The same as of revision ``rv``: the events since are undone. The caller has checked ``oldest_rv``."""
        undone: dict[str, Item | None] = {}
        for event in self.log.since(rv):
            undone.setdefault(event.item.key, event.previous)
        prefix = f"{namespace}/" if namespace else ""
        current = [undone.pop(item.key, item) for item in self.scan(namespace, after=after)]
        restored = [v for k, v in undone.items() if v is not None and k.startswith(prefix) and (not after or k > after)]
        return sorted((item for item in [*current, *restored] if item is not None), key=lambda item: item.key)

    def put(self, item: Item, event: LogEvent) -> None:
        """Holds ``item`` and publishes ``event``, which says so."""
        if item.key not in self.items:
            insort(self._keys, item.key)
        self.items[item.key] = item
        self._publish(event)

    def remove(self, event: LogEvent) -> None:
        """Lets the event's object go and publishes it."""
        key = event.item.key
        del self.items[key]
        del self._keys[bisect_left(self._keys, key)]
        self._publish(event)

    def _publish(self, event: LogEvent) -> None:
        self.log.append(event)
        for wake in list(self._watchers.values()):
            wake()

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Calls ``wake`` after every write; returns what ends that."""
        self._watchers[id(wake)] = wake
        return lambda: self._watchers.pop(id(wake), None) and None

    def reindex(self, fields: Callable[[Mapping[str, Any]], Mapping[str, str]]) -> None:
        """Reads every object's selectable fields anew: its definition has changed."""
        for key, item in self.items.items():
            self.items[key] = msgspec.structs.replace(item, fields=fields(item.decode()))

    def wake_all(self) -> None:
        """For watchers that have to notice something else than a write."""
        for wake in list(self._watchers.values()):
            wake()

    def __len__(self) -> int:
        return len(self.items)


class Store:
    """All collections and the revision they share."""

    def __init__(self, *, history_events_max: int = 10_000) -> None:
        self._history_events_max = history_events_max
        self._collections: dict[str, Collection] = {}
        self._listeners: list[Callable[[Collection, LogEvent], None]] = []
        self.rv = 1
        self.compacted_rv = 0

    def collection(self, name: str) -> Collection:
        """The collection of that name (``deployments.apps``), made at the first call."""
        found = self._collections.get(name)
        if found is None:
            # Nothing of this resource was ever written, so its log is whole from the last compaction on.
            found = Collection(name, EventLog(self._history_events_max, self.compacted_rv))
            self._collections[name] = found
        return found

    def collections(self) -> Sequence[Collection]:
        """All of them."""
        return tuple(self._collections.values())

    def listen(self, listener: Callable[[Collection, LogEvent], None]) -> None:
        """Calls ``listener`` after every write, before the writer goes on: it must not write itself."""
        self._listeners.append(listener)

    def put(self, name: str, value: dict[str, Any], fields: Mapping[str, str]) -> Item:
        """Writes ``value`` (changed: it gets its resourceVersion) as a new or an existing object."""
        self.rv += 1
        value["metadata"]["resourceVersion"] = str(self.rv)
        collection = self.collection(name)
        item = make_item(value, self.rv, fields)
        previous = collection.items.get(item.key)
        event = LogEvent(self.rv, "MODIFIED" if previous else "ADDED", item, previous)
        collection.put(item, event)
        self._tell(collection, event)
        return item

    def delete(self, name: str, item: Item, value: dict[str, Any] | None = None) -> Item:
        """Removes the object; the DELETED event shows ``value``, by default its last state, at the new revision."""
        self.rv += 1
        value = item.decode() if value is None else value
        value["metadata"]["resourceVersion"] = str(self.rv)
        collection = self.collection(name)
        last = make_item(value, self.rv, item.fields)
        event = LogEvent(self.rv, "DELETED", last, item)
        collection.remove(event)
        self._tell(collection, event)
        return last

    def drop(self, name: str) -> None:
        """Forgets a whole collection that is empty: its resource is served no more."""
        if collection := self._collections.pop(name, None):
            collection.wake_all()

    def load(self, name: str, value: dict[str, Any], fields: Mapping[str, str]) -> None:
        """Puts back an object from disk, without an event."""
        item = make_item(value, int(value["metadata"]["resourceVersion"]), fields)
        collection = self.collection(name)
        if item.key not in collection.items:
            insort(collection._keys, item.key)
        collection.items[item.key] = item

    def compact(self, rv: int | None = None) -> None:
        """Forgets every event up to ``rv`` (by default, now)."""
        self.compacted_rv = self.rv if rv is None else rv
        for collection in self._collections.values():
            collection.log.forget(self.compacted_rv)

    def _tell(self, collection: Collection, event: LogEvent) -> None:
        for listener in self._listeners:
            listener(collection, event)


def make_item(value: dict[str, Any], rv: int, fields: Mapping[str, str]) -> Item:
    """The stored form of a decoded object."""
    metadata = value["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    return Item(
        key=object_key(namespace, name),
        namespace=namespace,
        name=name,
        uid=metadata.get("uid", ""),
        rv=rv,
        labels=metadata.get("labels") or {},
        fields=fields,
        raw=encode_object(value),
    )
