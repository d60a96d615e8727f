"""What a recording says: which writes there were, how the cluster changed and when, and what of it was looked at.

Everything here is pure. The server's events are sorted into those that the recorded operator made itself (they carry
the resourceVersion of an answer to one of its writes, or follow from its deletion) and those that others made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from controllerkit.objects import Key, Kind, kinds
from controllerkit.wire.recording import (
    Answered,
    ApiPath,
    Asked,
    Ended,
    Line,
    Passed,
    Recording,
    Stopping,
)

__all__ = ["Change", "Exchange", "Place", "RecordedWrite", "Scope", "Story", "name_in", "resource_version", "verb_of"]

Value = dict[str, Any]

_METHODS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_APPLY: Final = "application/apply-patch+yaml"
_INITIAL_END: Final = "k8s.io/initial-events-end"
_PARTIAL: Final = "PartialObjectMetadata"
_OBJECT_SUBRESOURCES: Final = ("", "status")


class Place(NamedTuple):
    """An object's address, whatever version it is asked in."""

    group: str
    plural: str
    key: Key


class Scope(NamedTuple):
    """A collection as it was asked for. ``partial``: its metadata alone."""

    group: str
    plural: str
    namespace: str
    labels: str
    fields: str
    partial: bool

    @classmethod
    def of(cls, path: ApiPath, accept: str) -> Scope:
        """Of a request."""
        namespace, fields = path.namespace, path.asks("fieldSelector")
        return cls(path.group, path.plural, namespace, path.asks("labelSelector"), fields, _PARTIAL in accept)

    def covers(self, asked: Scope) -> bool:
        """Whether what ``asked`` wants is among what this holds."""
        return (
            (self.group, self.plural) == (asked.group, asked.plural)
            and self.namespace in ("", asked.namespace)
            and self.labels in ("", asked.labels)
            and self.fields in ("", asked.fields)
            and (asked.partial or not self.partial)
        )

    @property
    def selective(self) -> bool:
        """Whether objects may be left out of it."""
        return bool(self.labels or self.fields)


@dataclass(slots=True)
class Exchange:
    """A request and what came of it: an answer, an ``error``, or nothing before the recording ended.

    ``answered_at`` is infinite where there was no answer.
    """

    asked: Asked
    path: ApiPath | None
    status: int = 0
    answer: Any = None
    content_type: str = ""
    retry_after: str = ""
    omitted: str = ""
    answered_at: float = float("inf")
    error: str = ""
    ended: bool = False

    @property
    def answered(self) -> bool:
        """Whether an answer came."""
        return self.answered_at != float("inf")


@dataclass(slots=True, eq=False)
class RecordedWrite:
    """A write of the recorded operator. ``effects`` are the changes that it made."""

    exchange: Exchange
    place: Place
    subresource: str
    verb: str
    body: Any
    effects: list[Change] = field(default_factory=list)
    matched: bool = False

    @property
    def at(self) -> float:
        """When it was sent."""
        return self.exchange.asked.t


@dataclass(slots=True, eq=False)
class Change:
    """At ``t`` the recorded operator learned that the object was ``value``; None: it is gone.

    ``by`` is the write of its own that did it. Once its time has ``passed`` without that write being repeated,
    ``before`` is what the object was. Once ``done``, the new code sees it, as ``seen``.
    """

    t: float
    place: Place
    value: Value | None
    by: RecordedWrite | None = None
    passed: bool = False
    done: bool = False
    before: Value | None = None
    seen: Value | None = None


class Story:
    """A recording, sorted out.

    Attributes:
        changes: in the order of their times.
        synced: when each collection that was looked at was first known as a whole.
        followed: those that were watched.
        objects: every object that was ever seen or asked for.
        kinds: the resources that occur, by group and plural.
        with_status: those whose status was written by itself.
        passes: for each controller and key, when reconciles began, and since when the key had been ready.
        ends_at: when the operator was told to stop, or the recording breaks off.
        unfinished: the keys that were ready then, by controller.
    """

    def __init__(self, recording: Recording) -> None:
        self.exchanges: dict[int, Exchange] = {}
        self.writes: list[RecordedWrite] = []
        self.events: list[tuple[float, Value]] = []
        self.changes: list[Change] = []
        self.synced: dict[Scope, float] = {}
        self.followed: set[Scope] = set()
        self.objects: set[Place] = set()
        self.kinds: dict[tuple[str, str], Kind] = {}
        self.with_status: set[tuple[str, str]] = set()
        self.passes: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        self.ends_at = recording.duration_s
        self.stopped = False
        self.unfinished: set[tuple[str, str]] = set()
        self._known: dict[Place, Value] = {}
        self._gone: dict[Place, tuple[str, int]] = {}
        self._initial: dict[int, set[Place]] = {}
        self._pages: dict[Scope, set[Place]] = {}
        self._by_version: dict[tuple[Place, int], RecordedWrite] = {}
        self._by_number: dict[int, RecordedWrite] = {}
        self._last_write: dict[Place, RecordedWrite] = {}
        self._read_exchanges(recording)
        self._read_writes()
        self._follow(recording)

    def holds(self, asked: Scope) -> float | None:
        """When what is asked for was first known, None where it was not recorded."""
        return min((at for scope, at in self.synced.items() if scope.covers(asked)), default=None)

    # -- requests --------------------------------------------------------------------------------------------------

    def _read_exchanges(self, recording: Recording) -> None:
        for entry in recording.entries:
            match entry:
                case Asked():
                    self.exchanges[entry.n] = Exchange(entry, ApiPath.parse(entry.path))
                case Answered() if found := self.exchanges.get(entry.n):
                    found.status, found.answered_at = entry.status, entry.t
                    found.answer, found.omitted = msgspec.json.decode(entry.body), entry.omitted
                    found.content_type, found.retry_after = entry.content_type, entry.retry_after
                case Ended() if found := self.exchanges.get(entry.n):
                    found.error, found.ended = entry.error, True
                case Passed():
                    self.passes[entry.controller, entry.key].append((entry.t, entry.t - entry.waited_s))
                case Stopping():
                    self.ends_at, self.stopped = entry.t, True
                    self.unfinished = set(entry.ready)
                case _:
                    pass

    def _read_writes(self) -> None:
        for number, exchange in self.exchanges.items():
            asked, path = exchange.asked, exchange.path
            if path is None or asked.method == "GET" or path.asks("dryRun") or path.plural.endswith("reviews"):
                continue
            body = msgspec.json.decode(asked.body)
            if path.plural == "events":
                if asked.method == "POST" and isinstance(body, dict):
                    self.events.append((asked.t, body))
                continue
            answer = exchange.answer if isinstance(exchange.answer, dict) else {}
            name = path.name or name_in(body) or ""
            write = RecordedWrite(
                exchange,
                Place(path.group, path.plural, Key(path.namespace, name)),
                path.subresource,
                verb_of(asked.method, asked.content_type),
                body,
            )
            self.writes.append(write)
            self._by_number[number] = write
            if path.subresource == "status":
                self.with_status.add((path.group, path.plural))
            if exchange.status < 300 and path.subresource in _OBJECT_SUBRESOURCES and "metadata" in answer:
                place = write.place._replace(key=Key(path.namespace, answer["metadata"].get("name", name)))
                self._by_version.setdefault((place, resource_version(answer)), write)

    # -- how the cluster changed -----------------------------------------------------------------------------------

    def _follow(self, recording: Recording) -> None:
        for entry in recording.entries:
            match entry:
                case Asked() if write := self._by_number.get(entry.n):
                    self._last_write[write.place] = write
                    self.objects.add(write.place)
                case Asked() if (path := self.exchanges[entry.n].path) and entry.method == "GET" and path.name:
                    self.objects.add(_place(path))
                case Answered() if (exchange := self.exchanges.get(entry.n)) and (path := exchange.path):
                    self._answered(entry.t, exchange, path)
                case Line() if (exchange := self.exchanges.get(entry.n)) and (path := exchange.path):
                    self._line(entry.t, entry.n, msgspec.json.decode(entry.line), Scope.of(path, exchange.asked.accept))
                case _:
                    pass

    def _answered(self, t: float, exchange: Exchange, path: ApiPath) -> None:
        answer, method = exchange.answer, exchange.asked.method
        if path.watching:
            self.followed.add(Scope.of(path, exchange.asked.accept))
        elif path.subresource not in _OBJECT_SUBRESOURCES or not isinstance(answer, dict):
            return
        elif exchange.status < 300 and "items" in answer:
            self._listed(t, answer, path, Scope.of(path, exchange.asked.accept))
        elif exchange.status < 300 and answer.get("kind") != "Status" and (answer.get("metadata") or {}).get("name"):
            self._saw(t, path, answer)
        elif path.name and exchange.status == {"GET": 404, "DELETE": 200}.get(method):
            self._lost(t, _place(path))

    def _listed(self, t: float, answer: Value, path: ApiPath, scope: Scope) -> None:
        if not path.asks("continue"):
            self._pages[scope] = set()
        seen = self._pages.setdefault(scope, set())
        kind = str(answer.get("kind", "")).removesuffix("List")
        for item in answer["items"] or ():
            item.setdefault("apiVersion", answer.get("apiVersion"))
            item.setdefault("kind", kind)
            seen.add(self._saw(t, path, item))
        if not (answer.get("metadata") or {}).get("continue"):
            self._whole(t, scope, self._pages.pop(scope))
            self._name_kind(path, kind)

    def _line(self, t: float, number: int, event: Value, scope: Scope) -> None:
        exchange = self.exchanges[number]
        path, value = exchange.path, event.get("object")
        if path is None or not isinstance(value, dict):
            return
        initial = self._initial.get(number)
        if initial is None and path.asks("sendInitialEvents") and number not in self._initial:
            initial = self._initial[number] = set()
        match event.get("type"):
            case "ADDED" | "MODIFIED":
                place = self._saw(t, path, value)
                if initial is not None:
                    initial.add(place)
            case "DELETED":
                self._lost(t, _place(path, value), value)
            case "BOOKMARK" if initial is not None and _INITIAL_END in (value["metadata"].get("annotations") or {}):
                self._whole(t, scope, initial)
                self._name_kind(path, str(value.get("kind", "")))
                self._initial[number] = None  # type: ignore[assignment]
            case _:
                pass

    def _whole(self, t: float, scope: Scope, seen: set[Place]) -> None:
        """Of a collection exactly this is there."""
        self.synced.setdefault(scope, t)
        for place in [each for each in self._known if (each.group, each.plural) == (scope.group, scope.plural)]:
            if place not in seen and scope.namespace in ("", place.key.namespace) and not scope.selective:
                self._lost(t, place)

    def _saw(self, t: float, path: ApiPath, value: Value) -> Place:
        place = _place(path, value)
        self.objects.add(place)
        if value.get("kind") != _PARTIAL:
            self._name_kind(path, str(value.get("kind", "")))
        elif not self._only_partial(place):
            return place
        version, known = resource_version(value), self._known.get(place)
        uid = value["metadata"].get("uid", "")
        old = known is not None and known["metadata"].get("uid", "") == uid and resource_version(known) >= version
        gone_uid, gone_at = self._gone.get(place, ("", 0))
        if old or (gone_uid == uid and gone_at >= version):
            return place
        self._known[place] = value
        self._change(t, place, value, self._by_version.get((place, version)))
        return place

    def _only_partial(self, place: Place) -> bool:
        scopes = [each for each in self.synced if (each.group, each.plural) == (place.group, place.plural)]
        return all(each.partial for each in scopes)

    def _lost(self, t: float, place: Place, last: Value | None = None) -> None:
        known = self._known.pop(place, None)
        value = last or known
        if value is not None:
            self._gone[place] = (value["metadata"].get("uid", ""), resource_version(value))
        if known is not None:
            self._change(t, place, None, self._deleted_by(place, known))

    def _deleted_by(self, place: Place, known: Value) -> RecordedWrite | None:
        """The write of its own that let the object go: a deletion that nothing held, or of the last finalizer."""
        write = self._last_write.get(place)
        if write is None or write.exchange.status >= 300:
            return None
        metadata = known["metadata"]
        held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
        if write.verb == "delete":
            answer = write.exchange.answer
            whole = not isinstance(answer, dict) or answer.get("kind") == "Status" or not held
            return write if whole else None
        last = any(each.value is known for each in write.effects)
        return write if last and metadata.get("deletionTimestamp") and not held else None

    def _change(self, t: float, place: Place, value: Value | None, by: RecordedWrite | None) -> None:
        change = Change(t, place, value, by)
        self.changes.append(change)
        if by is not None:
            by.effects.append(change)

    def _name_kind(self, path: ApiPath, kind: str) -> None:
        where = (path.group, path.plural)
        if kind and kind != _PARTIAL and where not in self.kinds:
            self.kinds[where] = kind_of(path, kind, namespaced=self._namespaced(where))
        elif where in self.kinds and path.namespace and not self.kinds[where].namespaced:
            self.kinds[where] = kind_of(path, self.kinds[where].kind, namespaced=True)

    def _namespaced(self, where: tuple[str, str]) -> bool:
        return any(each.key.namespace for each in self.objects if (each.group, each.plural) == where) or not any(
            (each.group, each.plural) == where for each in self.objects
        )


def kind_of(path: ApiPath, kind: str, *, namespaced: bool) -> Kind:
    """As the package knows it, else as it seems."""
    made = Kind(path.group, path.version, kind, path.plural, namespaced=namespaced)
    return kinds.BUILTIN.get(made.gvk, made)


def verb_of(method: str, content_type: str) -> str:
    """As in `controllerkit.client.Verb`."""
    return "apply" if content_type == _APPLY else _METHODS.get(method, method.lower())


def resource_version(value: Mapping[str, Any]) -> int:
    """0 where it is none, or no number."""
    text = str((value.get("metadata") or {}).get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0


def name_in(body: Any) -> str:
    """Of an object that is created; ``page-*`` where the server is to complete it."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    if not isinstance(metadata, dict):
        return ""
    prefix = metadata.get("generateName")
    return str(metadata.get("name") or (f"{prefix}*" if prefix else ""))


def _place(path: ApiPath, value: Mapping[str, Any] | None = None) -> Place:
    if value is None:
        return Place(path.group, path.plural, Key(path.namespace, path.name))
    metadata = value["metadata"]
    return Place(path.group, path.plural, Key(metadata.get("namespace", ""), metadata["name"]))
