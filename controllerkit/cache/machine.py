"""The reflector as a state machine: what to ask of the server next, and what to do with its answers.

Theory of operation. A reflector keeps a copy of one collection. It streams or lists the whole once, then watches
from the version it has. Everything it decides is here and pure: ``step(state, event, now)`` returns the next
state and the effects. Of the effects of one step the last is the one that waits (`OpenWatch`, `ListPage`, `Read`
or `Wait`); its outcome is the next event. Effects are done in their order: the store is replaced before its
resourceVersion is published.

::

    Empty ──► Streaming ──(end bookmark)──► Watching ──(closed)──► Resuming ──(opened)──► Watching
      ▲         │ ▲  │ refused                │  │                   ▲  │
      │         └─┘  ▼                        │  │ throttled, broken │  │
      │   ended  Listing(page) ──(whole)──────│──│──────────────────►┘  │
      │   early      │                        │  └──► Backoff ──► Resuming
      │              ▼                        ▼                         ▼
      └──────────── Backoff ◄────────── (expired, or any other error) ◄─┘

A new list replaces the store only when it is whole; until then readers keep the old objects. A stream that was
refused is tried again at the next sync.

Sources: client-go ``tools/cache/reflector.go``. The first list is at "0" (any version will do), a relist at the last
version, at "" (the latest) once that one was refused. Pages of 500, except where a version is asked for: the server
answers that from its watch cache only in one piece. 429 and refused connections re-open the watch without a new list.

Beyond client-go: what could become a loop without a pause waits (a stream that ends within a second of its opening,
an InternalError inside its window), and a version that a list refuses as no version at all counts as refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from controllerkit.client import WATCH_IDLE_S, WATCH_TIMEOUT_MIN_S, WatchEvent
from controllerkit.errors import (
    ApiError,
    BadRequest,
    ConfigError,
    ConnectError,
    Gone,
    InternalError,
    Invalid,
    TooManyRequests,
    TransportError,
)
from controllerkit.objects import Key, Object
from controllerkit.runtime import BackoffOptions

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
    "ReflectorOptions",
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
_NO_VERSION: Final = ("", "0")
PAGE_SIZE: Final = 500
VERY_SHORT_WATCH_S: Final = 1.0
INTERNAL_ERROR_RESET_S: Final = 60.0
"""client-go ``retry_with_deadline.go``: a minute without an InternalError begins a new window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflectorOptions:
    """How one collection is followed.

    Attributes:
        backoff: the waits after failures.
        page_size: objects a page. 0: 500, and a list at a known version in one piece, from the server's watch cache.
        streaming: whether the first sync is asked for as a stream; a server that refuses is asked for a list anyway.
        internal_error_retry_s: how long a watch that gets InternalError is opened again before it is listed anew.
        watch_timeout_min_s: the server is asked to end a watch after one to two times this.
        watch_idle_s: seconds of silence after which a connection is taken for dead; servers send a bookmark a minute.

    Raises:
        ConfigError: ``watch_timeout_min_s`` is below client-go's least; a number is negative.
    """

    backoff: BackoffOptions = field(default_factory=BackoffOptions)
    page_size: int = 0
    streaming: bool = True
    internal_error_retry_s: float = 0.0
    watch_timeout_min_s: float = WATCH_TIMEOUT_MIN_S
    watch_idle_s: float = WATCH_IDLE_S

    def __post_init__(self) -> None:
        if self.watch_timeout_min_s < WATCH_TIMEOUT_MIN_S:
            least = f"{WATCH_TIMEOUT_MIN_S:g} s"
            raise ConfigError(f"watch_timeout_min_s must be at least {least}, got {self.watch_timeout_min_s:g}")
        if min(self.page_size, self.internal_error_retry_s) < 0 or self.watch_idle_s <= 0:
            raise ConfigError(f"page_size and internal_error_retry_s must be 0 or more, watch_idle_s more: {self}")


# -- what the machine remembers in every state ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Carried from state to state.

    ``version`` is that of the newest object or bookmark seen, "" before the first sync. ``refused``: the server
    no longer serves it, so the next list asks for the latest. ``paginated``: the server answered a list at "0"
    in pages, so its watch cache is off. ``internal_since`` and ``internal_at``: the first and the last InternalError
    of the window that is open.
    """

    options: ReflectorOptions = field(default_factory=ReflectorOptions)

    version: str = ""
    refused: bool = False
    paginated: bool = False
    delay_s: float = 0.0
    delayed_at: float = float("-inf")
    internal_since: float = 0.0
    internal_at: float = float("-inf")

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
    """Pages of a list are coming in. ``objects`` is the list so far, owned by this state.

    ``version`` is that of the first page, and so of the whole; ``continued``: a later page is asked for.
    """

    memory: Memory
    asked: str
    objects: list[Object] = field(default_factory=list)
    version: str = ""
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Streaming:
    """A watch that sends the initial objects first. ``objects`` is the new store so far, owned by this state."""

    memory: Memory
    objects: dict[Key, Object] = field(default_factory=dict)
    since: float = 0.0
    received: int = 0


@dataclass(frozen=True, slots=True)
class Resuming:
    """A watch from ``memory.version`` was asked for."""

    memory: Memory


@dataclass(frozen=True, slots=True)
class Watching:
    """Events are coming in.

    ``synthetic``: the watch began at no version, so the server tells first of every object there is, in no order of
    versions; none of them is a version to resume at.
    """

    memory: Memory
    since: float
    received: int = 0
    synthetic: bool = False


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
    """Waits: ``base_s`` seconds and up to ``jitter`` times as many again."""

    base_s: float
    jitter: float


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
    """Something a person may want to know: what failed, or what was refused and is asked for in another way."""

    event: str
    error: Exception


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
            return replace(state, since=now), (Read(),)
        case Streaming(), Received(events):
            return _initial_events(state, events, now)
        case Streaming(), Closed():
            return _stream_ended(state, now)
        case Streaming(), Failed(error):
            return _stream_failed(state, error, now)
        case Resuming(memory), Opened():
            return Watching(memory, now, synthetic=memory.version in _NO_VERSION), (Read(),)
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
    """A sync from the start: streamed, unless that is switched off."""
    memory = replace(memory, internal_at=float("-inf"))
    if not memory.options.streaming:
        return _list(memory)
    return Streaming(memory), (OpenWatch("" if memory.refused else memory.version, initial=True),)


def _list(memory: Memory) -> Step:
    version = memory.list_version
    whole = version not in _NO_VERSION and not memory.paginated
    limit = memory.options.page_size or (0 if whole else PAGE_SIZE)
    return Listing(memory, version), (ListPage(version, limit),)


def _resume(memory: Memory) -> Step:
    return Resuming(memory), (OpenWatch(memory.version),)


def _page(state: Listing, page: PageListed) -> Step:
    state.objects.extend(page.objects)
    version = state.version if state.continued else page.version
    if page.continue_token:
        paginated = state.memory.paginated or state.asked == "0"
        memory = replace(state.memory, paginated=paginated)
        kept = Listing(memory, state.asked, state.objects, version, continued=True)
        return kept, (ListPage("", memory.options.page_size or PAGE_SIZE, page.continue_token),)
    memory = replace(state.memory, version=version, refused=False)
    after, effects = _resume(memory)
    return after, (Replace(state.objects), Publish(version), *effects)


def _list_failed(state: Listing, error: Exception, now: float) -> Step:
    if state.continued and isinstance(error, Gone):
        return Listing(state.memory, state.asked), (Log("list_page_expired", error), ListPage(state.asked))
    no_version = isinstance(error, BadRequest | Invalid) and state.asked not in _NO_VERSION
    if (no_version or _version_refused(error)) and not state.memory.refused:
        after, effects = _list(replace(state.memory, refused=True))
        return after, (Log("list_version_refused", error), *effects)
    return _back_off(Empty(state.memory), Log("list_failed", error), now)


def _initial_events(state: Streaming, events: list[WatchEvent], now: float) -> Step:
    """Collects until the end bookmark; what came after it in the same batch is already a watch."""
    objects = state.objects
    for position, event in enumerate(events):
        match event.type:
            case "ADDED" | "MODIFIED":
                objects[event.object.key] = event.object
            case "DELETED":
                objects.pop(event.object.key, None)
            case "BOOKMARK" if event.object.annotations.get(INITIAL_EVENTS_END) == "true":
                version = event.object.resource_version
                memory = replace(state.memory, version=version, refused=False)
                received = state.received + position + 1
                after, effects = _received(Watching(memory, state.since, received), events[position + 1 :])
                return after, (Replace(list(objects.values())), Publish(version), *effects)
            case _:
                continue
    return Streaming(state.memory, objects, state.since, state.received + len(events)), (Read(),)


def _stream_ended(state: Streaming, now: float) -> Step:
    """Ended before the end bookmark: asked for again, unless the server seems not to mean it."""
    short = now - state.since < VERY_SHORT_WATCH_S
    error = TransportError(f"the stream ended after {state.received} events, before its end bookmark")
    if short and not state.received:
        listed, effects = _list(state.memory)
        return listed, (Log("stream_very_short", error), *effects)
    if short:
        return _back_off(Empty(state.memory), Log("stream_ended_early", error), now)
    after, effects = _begin(state.memory)
    return after, (Log("stream_ended_early", error), *effects)


def _stream_failed(state: Streaming, error: Exception, now: float) -> Step:
    if _version_refused(error) and not state.memory.refused:
        after, effects = _begin(replace(state.memory, refused=True))
        return after, (Log("stream_version_refused", error), *effects)
    if _try_again_later(error) or isinstance(error, TransportError):
        return _back_off(Empty(state.memory), Log("stream_failed", error), now)
    listed, effects = _list(state.memory)
    return listed, (Log("stream_refused", error), *effects)


def _open_failed(memory: Memory, error: Exception, now: float) -> Step:
    then = Resuming(memory) if _try_again_later(error) else Empty(memory)
    return _back_off(then, Log("watch_open_failed", error), now)


def _received(state: Watching, events: list[WatchEvent]) -> Step:
    if not events:
        return state, (Read(),)
    received = state.received + len(events)
    changes = [e for e in events if e.type != "BOOKMARK"]
    effects: tuple[Effect, ...] = (Apply(changes),) if changes else ()
    if state.synthetic and all(e.type == "ADDED" for e in events):
        return Watching(state.memory, state.since, received, synthetic=True), (*effects, Read())
    version = next((e.object.resource_version for e in reversed(events) if e.object.resource_version), "")
    memory = replace(state.memory, version=version) if version else state.memory
    return Watching(memory, state.since, received), (*effects, Publish(memory.version), Read())


def _closed(state: Watching, now: float) -> Step:
    if state.received == 0 and now - state.since < VERY_SHORT_WATCH_S:
        error = TransportError(f"the watch from {state.memory.version!r} ended within a second, without an event")
        return _back_off(Empty(state.memory), Log("watch_very_short", error), now)
    return _resume(state.memory)


def _watch_failed(memory: Memory, error: Exception, now: float) -> Step:
    if isinstance(error, Gone):  # not refused: a list at this version gives what is at least as new
        return _back_off(Empty(memory), Log("watch_expired", error), now)
    if _try_again_later(error) or isinstance(error, TransportError):
        return _back_off(Resuming(memory), Log("watch_broken", error), now)
    if isinstance(error, InternalError) and error.reason == InternalError.reason_default:
        quiet = now - memory.internal_at >= INTERNAL_ERROR_RESET_S
        memory = replace(memory, internal_since=now if quiet else memory.internal_since, internal_at=now)
        window_s = memory.options.internal_error_retry_s
        if window_s and now - memory.internal_since <= window_s:
            return _back_off(Resuming(memory), Log("watch_internal_error", error), now)
    return _back_off(Empty(memory), Log("watch_failed", error), now)


def _back_off(then: Empty | Resuming, log: Log, now: float) -> Step:
    memory, options = then.memory, then.memory.options.backoff
    delay_s = options.initial_s if now - memory.delayed_at > options.reset_after_s else memory.delay_s
    after = replace(memory, delay_s=min(delay_s * options.factor, options.max_s), delayed_at=now)
    return Backoff(after, now + delay_s, replace(then, memory=after)), (log, Wait(delay_s, options.jitter))


def _version_refused(error: Exception) -> bool:
    """Expired, or "Too large resource version" (apimachinery's cause, or the text of older servers)."""
    if isinstance(error, Gone):
        return True
    if not isinstance(error, ApiError):
        return False
    too_large = any(cause.get("reason") == "ResourceVersionTooLarge" for cause in error.causes)
    return too_large or "Too large resource version" in error.message


def _try_again_later(error: Exception) -> bool:
    """Errors after which the same request is right, only later: 429 and a refused connection."""
    return isinstance(error, TooManyRequests) or (isinstance(error, ConnectError) and error.refused)
