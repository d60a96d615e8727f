"""The reflector as a state machine: what to ask of the server next, and what to do with its answers.

Theory of operation. A reflector keeps a copy of one collection. It streams or lists the whole once, then watches
from the version it has. Everything it decides is here and pure: ``step(state, event, now)`` returns the next
state and the effects. Of the effects of one step the last is the one that waits (`OpenWatch`, `ListPage`, `Read`
or `Wait`); its outcome is the next event. Effects are done in their order: the store is replaced before its
resourceVersion is published.

::

    Empty ──► Streaming ──(end bookmark)──► Watching ──(closed)──► Resuming ──► Watching
      │           │ not supported               │ Expired
      │           ▼                             ▼
      └──────► Listing(page) ──(whole)──► Resuming      Relisting = Streaming again, at the last version
                  any error ──► Backoff(until) ──► the state it left

A new list replaces the store only when it is whole; until then readers keep the old objects.

Sources: client-go ``tools/cache/reflector.go``: back-off 0.8 s doubling to 30 s with jitter 1.0, reset after two
quiet minutes; first list at "0", a relist at the last version, at "" once that version was refused; a page size
of 500; 429 and refused connections re-open the watch without a new list.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from controllerkit.client import WatchEvent
from controllerkit.errors import ApiError, ConnectError, Expired, Gone, MalformedObject, TooManyRequests
from controllerkit.objects import Key, Object

__all__ = [
    "INITIAL_EVENTS_END",
    "Apply",
    "Backoff",
    "Closed",
    "Effect",
    "Empty",
    "Event",
    "Failed",
    "ListPage",
    "Listing",
    "Log",
    "Memory",
    "OpenWatch",
    "Opened",
    "PageListed",
    "Publish",
    "Read",
    "Received",
    "Replace",
    "Resuming",
    "Started",
    "State",
    "Streaming",
    "Wait",
    "Watching",
    "Woke",
    "step",
]

INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
BACKOFF_INITIAL_S: Final = 0.8
BACKOFF_FACTOR: Final = 2.0
BACKOFF_MAX_S: Final = 30.0
BACKOFF_RESET_S: Final = 120.0
PAGE_SIZE: Final = 500
VERY_SHORT_WATCH_S: Final = 1.0


# -- what the machine remembers in every state ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Carried from state to state.

    ``version`` is that of the newest object or bookmark seen, "" before the first sync. ``refused``: the server
    no longer serves it, so the next list asks for the latest. ``paginated``: the server answered a list at "0"
    in pages, so its watch cache is off.
    """

    version: str = ""
    refused: bool = False
    paginated: bool = False
    delay_s: float = BACKOFF_INITIAL_S
    delayed_at: float = float("-inf")

    @property
    def list_version(self) -> str:
        """The resourceVersion of the next list: "0" (any) at first, then the last one, "" once it was refused."""
        return "" if self.refused else self.version or "0"


# -- states --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing asked yet."""

    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Listing:
    """Pages of a list are coming in. ``objects`` is the list so far, owned by this state."""

    memory: Memory
    asked: str
    objects: list[Object] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Streaming:
    """A watch that sends the initial objects first. ``objects`` is the new store so far, owned by this state."""

    memory: Memory
    objects: dict[Key, Object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resuming:
    """A watch from ``memory.version`` was asked for."""

    memory: Memory


@dataclass(frozen=True, slots=True)
class Watching:
    """Events are coming in."""

    memory: Memory
    since: float
    received: int = 0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting; then on from ``then``."""

    memory: Memory
    until: float
    then: Empty | Resuming


State = Empty | Listing | Streaming | Resuming | Watching | Backoff


# -- events --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """Begin."""


@dataclass(frozen=True, slots=True)
class PageListed:
    """One page of a list; ``continue_token`` is "" with the last."""

    objects: list[Object]
    version: str
    continue_token: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """The server accepted the watch."""


@dataclass(frozen=True, slots=True)
class Received:
    """Events of a watch, in order."""

    events: list[WatchEvent]


@dataclass(frozen=True, slots=True)
class Closed:
    """The server ended the watch without an error."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The list or watch failed with this."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Woke:
    """The wait is over."""


Event = Started | PageListed | Opened | Received | Closed | Failed | Woke


# -- effects -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListPage:
    """Waits: GET one page."""

    version: str
    limit: int = 0
    continue_token: str = ""


@dataclass(frozen=True, slots=True)
class OpenWatch:
    """Waits: open a watch; ``initial`` asks for the whole collection first."""

    version: str
    initial: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """Waits: the next events of the open watch."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Waits: ``base_s`` seconds and up to as many again (jitter 1.0)."""

    base_s: float


@dataclass(frozen=True, slots=True)
class Replace:
    """The store becomes exactly these objects."""

    objects: list[Object]


@dataclass(frozen=True, slots=True)
class Apply:
    """Events for the store and its handlers, in order."""

    events: list[WatchEvent]


@dataclass(frozen=True, slots=True)
class Publish:
    """The store now stands at this resourceVersion. Always after the Replace or Apply that made it so."""

    version: str


@dataclass(frozen=True, slots=True)
class Log:
    """Something a person may want to know."""

    event: str
    error: Exception | None = None


Effect = ListPage | OpenWatch | Read | Wait | Replace | Apply | Publish | Log
Step = tuple[State, tuple[Effect, ...]]


# -- transitions ---------------------------------------------------------------------------------------------------


def step(state: State, event: Event, now: float) -> Step:
    """The transition of ``state`` at ``event``.

    Raises:
        AssertionError: the event cannot happen in this state: the driver is wrong.
    """
    match state, event:
        case Empty(memory), Started() | Woke():
            return _begin(memory)
        case Backoff(_, _, then), Woke():
            return _begin(then.memory) if isinstance(then, Empty) else _resume(then.memory)
        case Listing(), PageListed():
            return _page(state, event)
        case Listing(), Failed(error):
            return _list_failed(state, error, now)
        case Streaming(), Opened():
            return state, (Read(),)
        case Streaming(), Received(events):
            return _initial_events(state, events, now)
        case Streaming(memory), Closed():
            return _back_off(memory, Empty(memory), Log("stream_ended_early"), now)
        case Streaming(), Failed(error):
            return _stream_failed(state, error, now)
        case Resuming(memory), Opened():
            return Watching(memory, now), (Read(),)
        case Resuming(memory), Failed(error):
            return _open_failed(memory, error, now)
        case Watching(), Received(events):
            return _received(state, events)
        case Watching(), Closed():
            return _closed(state, now)
        case Watching(memory), Failed(error):
            return _watch_failed(memory, error, now)
        case _:
            raise AssertionError(f"{event!r} cannot happen in {state!r}")


def _begin(memory: Memory) -> Step:
    """A sync from the start: streamed; a server that does not do that refuses, and is then asked for a list."""
    return Streaming(memory), (OpenWatch("" if memory.refused else memory.version, initial=True),)


def _list(memory: Memory) -> Step:
    version = memory.list_version
    whole = version not in ("", "0") and not memory.paginated
    return Listing(memory, version), (ListPage(version, 0 if whole else PAGE_SIZE),)


def _resume(memory: Memory) -> Step:
    return Resuming(memory), (OpenWatch(memory.version),)


def _page(state: Listing, page: PageListed) -> Step:
    state.objects.extend(page.objects)
    if page.continue_token:
        paginated = state.memory.paginated or state.asked == "0"
        kept = Listing(replace(state.memory, paginated=paginated), state.asked, state.objects)
        return kept, (ListPage("", PAGE_SIZE, page.continue_token),)
    memory = replace(state.memory, version=page.version, refused=False)
    after, effects = _resume(memory)
    return after, (Replace(state.objects), Publish(page.version), *effects)


def _list_failed(state: Listing, error: Exception, now: float) -> Step:
    if _version_refused(error) and not state.memory.refused:
        after, effects = _list(replace(state.memory, refused=True))
        return after, (Log("list_version_refused", error), *effects)
    return _back_off(state.memory, Empty(state.memory), Log("list_failed", error), now)


def _initial_events(state: Streaming, events: list[WatchEvent], now: float) -> Step:
    """Collects until the end bookmark; what came after it in the same batch is already a watch."""
    for position, event in enumerate(events):
        match event.type:
            case "ADDED" | "MODIFIED":
                state.objects[event.object.key] = event.object
            case "DELETED":
                state.objects.pop(event.object.key, None)
            case "BOOKMARK" if event.object.annotations.get(INITIAL_EVENTS_END) == "true":
                version = event.object.resource_version
                memory = replace(state.memory, version=version, refused=False)
                after, effects = _received(Watching(memory, now), events[position + 1 :])
                return after, (Replace(list(state.objects.values())), Publish(version), *effects)
            case _:
                continue
    return state, (Read(),)


def _stream_failed(state: Streaming, error: Exception, now: float) -> Step:
    if _version_refused(error) and not state.memory.refused:
        after, effects = _begin(replace(state.memory, refused=True))
        return after, (Log("stream_version_refused", error), *effects)
    if _try_again_later(error):
        return _back_off(state.memory, Empty(state.memory), Log("stream_failed", error), now)
    if isinstance(error, ApiError):
        listed, effects = _list(state.memory)
        return listed, (Log("streaming_lists_not_supported", error), *effects)
    return _back_off(state.memory, Empty(state.memory), Log("stream_failed", error), now)


def _open_failed(memory: Memory, error: Exception, now: float) -> Step:
    if _try_again_later(error):
        return _back_off(memory, Resuming(memory), Log("watch_open_failed", error), now)
    return _back_off(memory, Empty(memory), Log("watch_open_failed", error), now)


def _received(state: Watching, events: list[WatchEvent]) -> Step:
    if not events:
        return state, (Read(),)
    version = next((e.object.resource_version for e in reversed(events) if e.object.resource_version), "")
    memory = replace(state.memory, version=version) if version else state.memory
    after = Watching(memory, state.since, state.received + len(events))
    changes = [e for e in events if e.type != "BOOKMARK"]
    effects: tuple[Effect, ...] = (Apply(changes),) if changes else ()
    return after, (*effects, Publish(memory.version), Read())


def _closed(state: Watching, now: float) -> Step:
    if state.received == 0 and now - state.since < VERY_SHORT_WATCH_S:
        return _back_off(state.memory, Resuming(state.memory), Log("watch_very_short"), now)
    return _resume(state.memory)


def _watch_failed(memory: Memory, error: Exception, now: float) -> Step:
    if isinstance(error, Expired | Gone):
        after, effects = _begin(memory)
        return after, (Log("watch_expired", error), *effects)
    if _try_again_later(error) or not isinstance(error, ApiError | MalformedObject):
        return _back_off(memory, Resuming(memory), Log("watch_broken", error), now)
    return _back_off(memory, Empty(memory), Log("watch_failed", error), now)


def _back_off(memory: Memory, then: Empty | Resuming, log: Log, now: float) -> Step:
    delay_s = BACKOFF_INITIAL_S if now - memory.delayed_at > BACKOFF_RESET_S else memory.delay_s
    after = replace(memory, delay_s=min(delay_s * BACKOFF_FACTOR, BACKOFF_MAX_S), delayed_at=now)
    match then:
        case Empty():
            then = Empty(after)
        case Resuming():
            then = Resuming(after)
        case _:
            assert_never(then)
    return Backoff(after, now + delay_s, then), (log, Wait(delay_s))


def _version_refused(error: Exception) -> bool:
    """Expired, or "Too large resource version" (apimachinery's cause, or the text of older servers)."""
    if isinstance(error, Expired | Gone):
        return True
    if not isinstance(error, ApiError):
        return False
    too_large = any(cause.get("reason") == "ResourceVersionTooLarge" for cause in error.causes)
    return too_large or "Too large resource version" in error.message


def _try_again_later(error: Exception) -> bool:
    """Errors after which the same request is right, only later: 429 and a refused connection."""
    return isinstance(error, TooManyRequests) or (isinstance(error, ConnectError) and error.refused)
