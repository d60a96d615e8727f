"""Which Events are written, and what follows when one could not be: pure.

As client-go ``tools/events``: the first event of its kind is created; the second makes it a series, which is patched;
later ones are only counted, and written every half an hour and when the series has ended. What makes two events the
same is `identity_of`, and the note is no part of it. Two things differ from client-go: the resourceVersion of the
object is no part of it either (an object that changes all the time would never make a series), and the bucket of
client-go's older ``tools/record`` keeps one object from flooding the server.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple

from controllerkit.errors import AlreadyExists, ApiError, NotFound, TransportError
from controllerkit.objects import Object

__all__ = ["Event", "EventMachine", "Reference", "Series", "SpamFilter", "Verdict", "Write", "verdict"]

REFRESH_S: Final = 1800.0
"""client-go ``tools/events`` ``refreshTime``: every series is written again so often."""

FINISH_S: Final = 360.0
"""client-go ``finishTime``: a series that was not seen for so long has ended; looked for as often."""

SPAM_BURST: Final = 25
SPAM_REFILL_S: Final = 300.0
"""client-go ``tools/record/events_cache.go``: new Events of one object, and seconds until one more is let through."""

REMEMBERED_MAX: Final = 4096
"""client-go ``maxLruCacheEntries``."""

NOTE_BYTES_MAX: Final = 1024
"""``events.k8s.io/v1`` (``pkg/apis/core/validation/events.go``): a note may have 1 kB."""

TYPES: Final = ("Normal", "Warning")


class Reference(NamedTuple):
    """An ``ObjectReference``."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    field_path: str = ""

    @classmethod
    def to(cls, value: Object, field_path: str = "") -> Reference:
        """To an object, or to a part of it such as ``spec.containers{web}``."""
        return cls(
            value.api_version,
            value.kind,
            value.namespace,
            value.name,
            value.uid,
            value.resource_version,
            field_path,
        )

    def to_dict(self) -> dict[str, str]:
        """As the API has it, without what is empty."""
        fields = {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "resourceVersion": self.resource_version,
            "fieldPath": self.field_path,
        }
        return {name: text for name, text in fields.items() if text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event as it was recorded."""

    name: str
    at: datetime
    type: str
    reason: str
    action: str
    note: str
    controller: str
    instance: str
    regarding: Reference
    related: Reference | None = None

    @property
    def namespace(self) -> str:
        """That of the object; ``default`` for one that has none."""
        return self.regarding.namespace or "default"


@dataclass(frozen=True, slots=True)
class Series:
    """How often the event was seen, and when last."""

    count: int
    last_observed_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """As the API has it."""
        return {"count": self.count, "lastObservedTime": micro_time(self.last_observed_at)}


@dataclass(frozen=True, slots=True)
class Write:
    """The effect: create ``event``, or patch its ``series``. ``ends``: nothing more of it is expected."""

    event: Event
    series: Series | None = None
    ends: bool = False

    def body(self) -> dict[str, Any]:
        """The whole object, for a create."""
        event = self.event
        value: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": event.name, "namespace": event.namespace},
            "eventTime": micro_time(event.at),
            "type": event.type,
            "reason": event.reason,
            "action": event.action,
            "note": event.note.encode()[:NOTE_BYTES_MAX].decode(errors="ignore"),
            "reportingController": event.controller,
            "reportingInstance": event.instance,
            "regarding": event.regarding.to_dict(),
        }
        if event.related is not None:
            value["related"] = event.related.to_dict()
        if self.series is not None:
            value["series"] = self.series.to_dict()
        return value

    def patch(self) -> dict[str, Any]:
        """What a series changes."""
        return {"series": self.series.to_dict() if self.series is not None else None}


class Verdict(Enum):
    """What follows when a write failed."""

    CREATE = "the Event has gone: create it, its series included"
    RETRY = "begin anew, later"
    DROP = "give it up"


def verdict(write: Write, error: Exception, *, creating: bool) -> Verdict:
    """client-go ``recordEvent``: what a server refuses is given up, what did not reach it is not.

    A patch of an Event that has gone (they expire) creates it. If it is there again by then, another writer made it,
    and the patch will do.
    """
    match error:
        case NotFound() if not creating:
            return Verdict.CREATE
        case AlreadyExists() if write.series is not None:
            return Verdict.RETRY
        case ApiError():
            return Verdict.DROP
        case TransportError():
            return Verdict.RETRY
        case _:
            return Verdict.DROP


def identity_of(event: Event) -> tuple[Any, ...]:
    """What makes two events one series."""
    regarding = event.regarding._replace(resource_version="")
    related = event.related._replace(resource_version="") if event.related is not None else None
    return (event.type, event.action, event.reason, event.controller, event.instance, regarding, related)


class SpamFilter:
    """A token bucket for each object and type of event: ``SPAM_BURST`` at once, then one every ``SPAM_REFILL_S``."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, ...], tuple[float, float]] = OrderedDict()

    def lets(self, event: Event, now: float) -> bool:
        """Whether one more is let through; takes its token."""
        of = event.regarding
        key = (event.controller, event.instance, of.api_version, of.kind, of.namespace, of.name, of.uid, event.type)
        tokens, at = self._buckets.pop(key, (float(SPAM_BURST), now))
        tokens = min(tokens + (now - at) / SPAM_REFILL_S, float(SPAM_BURST))
        enough = tokens >= 1.0
        self._buckets[key] = (tokens - 1.0 if enough else tokens, now)
        if len(self._buckets) > REMEMBERED_MAX:
            self._buckets.popitem(last=False)
        return enough


@dataclass(slots=True)
class _Kept:
    event: Event
    seen_at: float
    series: Series | None = None
    ending: bool = False

    def write(self, *, ends: bool = False) -> Write:
        return Write(self.event, self.series, ends)


class EventMachine:
    """The series of one recorder. ``now`` is monotonic; the wall-clock time is in the events.

    Guarantees:
        A new identity costs one token of its object's bucket, or is dropped; what is counted in memory is written
        by ``refresh``, by ``finish``, and when ``REMEMBERED_MAX`` newer ones push it out.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], _Kept] = OrderedDict()
        self._spam = SpamFilter()
        self.refused = 0

    def __len__(self) -> int:
        return len(self._kept)

    def record(self, event: Event, now: float) -> tuple[Write, ...]:
        """What is to be written because of ``event``; nothing, where it is only counted or one too many."""
        identity = identity_of(event)
        kept = self._kept.get(identity)
        if kept is not None:
            kept.seen_at = now
            before, kept.series = kept.series, Series(kept.series.count + 1 if kept.series else 2, event.at)
            return () if before is not None else (kept.write(),)
        if not self._spam.lets(event, now):
            self.refused += 1
            return ()
        self._kept[identity] = _Kept(event, now)
        return (Write(event), *self._pushed_out())

    def _pushed_out(self) -> tuple[Write, ...]:
        if len(self._kept) <= REMEMBERED_MAX:
            return ()
        _, oldest = self._kept.popitem(last=False)
        return (oldest.write(ends=True),) if oldest.series is not None else ()

    def refresh(self) -> tuple[Write, ...]:
        """Every ``REFRESH_S``: all series."""
        return tuple(each.write() for each in self._kept.values() if each.series is not None)

    def finish(self, now: float) -> tuple[Write, ...]:
        """Every ``FINISH_S``: the series that have ended; a single event that did not come again is forgotten."""
        idle = {key: each for key, each in self._kept.items() if now - each.seen_at > FINISH_S and not each.ending}
        ended: list[Write] = []
        for key, each in idle.items():
            if each.series is None:
                del self._kept[key]
            else:
                each.ending = True
                ended.append(each.write(ends=True))
        return tuple(ended)

    def settled(self, write: Write, *, given_up: bool) -> None:
        """``write`` was done, or refused, or (``given_up``) could not be sent: then its series is kept for later.

        A series that was seen again meanwhile goes on.
        """
        if not write.ends:
            return
        identity = identity_of(write.event)
        kept = self._kept.get(identity)
        if kept is None or kept.event is not write.event:
            return
        kept.ending = False
        if not given_up and kept.series == write.series:
            del self._kept[identity]


def micro_time(at: datetime) -> str:
    """``metav1.MicroTime``."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
