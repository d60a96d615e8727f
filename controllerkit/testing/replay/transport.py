"""The way from the new code to the recorded cluster: reads are answered from it, writes are compared."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from controllerkit.errors import RecordingError, TransportError
from controllerkit.objects import Key
from controllerkit.testing.replay.likeness import alike, comparable
from controllerkit.testing.replay.story import Exchange, Place, RecordedWrite, Scope, Story, name_in, verb_of
from controllerkit.testing.replay.world import ReplayedWorld
from controllerkit.wire import WireRequest, WireResponse
from controllerkit.wire.recording import ApiPath

__all__ = ["NewWrite", "ReplayTransport"]

NEAR_S: Final = 5.0
"""A write that comes out of turn is taken for the recorded one if that was sent within this time."""

READ_NEAR_S: Final = 1.0
"""A read waits for its recorded answer if that came within this time: it shows what the cluster was then."""

_OBJECT_SUBRESOURCES: Final = ("", "status")
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(slots=True, eq=False)
class NewWrite:
    """A write of the new code, at ``at`` of the recording. ``answer`` is what the replay answered."""

    at: float
    place: Place
    subresource: str
    verb: str
    body: Any
    status: int = 0
    answer: Any = None


class ReplayTransport:
    """A `Transport`. Nothing that is sent leaves the process.

    Guarantees:
        A read is answered from the recorded cluster as it is at that time, from the moment on at which the recorded
        operator knew it. A write that repeats a recorded one of the same object is answered as that was, after as long;
        any other as the state implies, by the rules of the embedded API server. Events are taken and kept.

    Attributes:
        writes: what the new code wrote, in order; ``events``: what it told.
        problem: what it asked for and the recording cannot answer; set once, with ``failed``.
    """

    def __init__(self, story: Story, world: ReplayedWorld, loop: asyncio.AbstractEventLoop) -> None:
        self.writes: list[NewWrite] = []
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.problem: RecordingError | None = None
        self.failed = asyncio.Event()
        self._story = story
        self._world = world
        self._loop = loop
        self._inner = world.mirror.transport()
        self._open: dict[tuple[Place, str], list[RecordedWrite]] = defaultdict(list)
        for write in story.writes:
            self._open[write.place, write.subresource].append(write)
        self._reads: dict[str, list[Exchange]] = defaultdict(list)
        for exchange in story.exchanges.values():
            if exchange.asked.method == "GET" and not (exchange.path is not None and exchange.path.watching):
                self._reads[exchange.asked.path].append(exchange)

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        """See `Transport.send`."""
        path = ApiPath.parse(request.path)
        if request.method == "GET" and path is not None:
            made = await self._read(request, path)
        elif path is None or path.plural.endswith("reviews"):
            made = await self._question(request)
        else:
            made = await self._write(request, path)
        if made is not None:
            yield made
            return
        async with self._inner.send(request) as response:
            yield response

    async def aclose(self) -> None:
        """The recorded cluster stays."""

    def _missing(self, what: str, cure: str) -> TransportError:
        """Ends the replay; the call itself fails, so that the code may wind up."""
        if self.problem is None:
            self.problem = RecordingError(f"the new code {what}, which was not recorded; {cure}")
            self.failed.set()
        return TransportError(str(self.problem))

    def _uncovered(self, asked: Scope, verb: str) -> TransportError:
        others = [
            _told(each) for each in self._story.synced if (each.group, each.plural) == (asked.group, asked.plural)
        ]
        cure = "record again with code that watches it"
        if others:
            cure = f"there is only {', '.join(others)}: record again, or replay with the `caches` of that program"
        return self._missing(f"{verb} {_told(asked)}", cure)

    # -- reads -----------------------------------------------------------------------------------------------------

    async def _read(self, request: WireRequest, path: ApiPath) -> WireResponse | None:
        """None where the mirror answers."""
        asked = await self._wait_for_recorded(request.path)
        if not self._world.mirror.serves(path.group, path.plural, path.version) and (asked is None or not path.name):
            raise self._missing(f"asks for {path.resource} in version {path.version}", "record again with such code")
        if not path.name:
            scope = Scope.of(path, request.headers.get("Accept", ""))
            known_at = self._story.holds(scope)
            if known_at is None:
                raise self._uncovered(scope, "watches" if path.watching else "lists")
            await self._until(known_at)
            return None
        place = Place(path.group, path.plural, Key(path.namespace, path.name))
        if path.subresource not in _OBJECT_SUBRESOURCES:
            if asked is None or asked.omitted:
                raise self._missing(f"reads {path.subresource} of {path.resource} {place.key}", "do without it")
            return await _recorded(asked)
        scope = Scope(path.group, path.plural, path.namespace, "", "", False)
        known_at = self._story.holds(scope)
        if known_at is None and place not in self._story.objects and self._world.get(place) is None:
            raise self._missing(f"reads {path.resource} {place.key}", "record again with code that reads or watches it")
        if self._world.kind_at(place) is None:
            return await _recorded(asked) if asked is not None else None
        return None

    async def _wait_for_recorded(self, path: str) -> Exchange | None:
        """The exchange that this read repeats: the next one of about this time, else the last before."""
        recorded, now = self._reads.get(path, []), self._loop.time()
        near = next((each for each in recorded if abs(each.asked.t - now) <= READ_NEAR_S), None)
        if near is None:
            before = [each for each in recorded if each.asked.t <= now]
            return before[-1] if before else recorded[0] if recorded else None
        recorded.remove(near)
        if near.answered:
            await self._until(near.answered_at)
        return near

    async def _until(self, at: float) -> None:
        if at > self._loop.time():
            await asyncio.sleep(at - self._loop.time())
            await asyncio.sleep(0)  # what happens at that time has happened

    # -- questions: discovery, reviews -----------------------------------------------------------------------------

    async def _question(self, request: WireRequest) -> WireResponse | None:
        if request.method == "GET":
            asked = await self._wait_for_recorded(request.path)
            return await _recorded(asked) if asked is not None and asked.answer is not None else None
        body = _decoded(request.body)
        for exchange in self._story.exchanges.values():
            of_it = exchange.asked.method == request.method and exchange.asked.path == request.path
            if of_it and exchange.status and alike(msgspec.json.decode(exchange.asked.body), body):
                return await _recorded(exchange)
        raise self._missing(f"asks {request.method} {request.path}", "record again with code that asks it")

    # -- writes ----------------------------------------------------------------------------------------------------

    async def _write(self, request: WireRequest, path: ApiPath) -> WireResponse | None:
        body = _decoded(request.body)
        if path.plural == "events":
            if request.method == "POST":
                self.events.append((self._loop.time(), body))
            return _Made(201 if request.method == "POST" else 200, _JSON, request.body or b"{}")
        if path.asks("dryRun") or (isinstance(body, dict) and body.get("dryRun")):
            return None
        name = path.name or name_in(body)
        place = Place(path.group, path.plural, Key(path.namespace, name))
        verb = verb_of(request.method, request.headers.get("Content-Type", ""))
        new = NewWrite(self._loop.time(), place, path.subresource, verb, body)
        self.writes.append(new)
        recorded = self._repeated(new)
        refused = recorded is not None and recorded.exchange.status >= 300
        if recorded is None or (refused and self._world.diverged(place)):
            return await self._implied(request, new)
        return await self._as_recorded(recorded, new)

    def _repeated(self, new: NewWrite) -> RecordedWrite | None:
        """The recorded write that this one is: the next one of the object, or one of about this time."""
        left = self._open[new.place, new.subresource]
        for at, each in enumerate(left):
            if (at == 0 or each.at <= new.at + NEAR_S) and same_write(each, new):
                return left.pop(at)
        return None

    async def _as_recorded(self, recorded: RecordedWrite, new: NewWrite) -> WireResponse:
        recorded.matched = True
        exchange, now = recorded.exchange, self._loop.time()
        if exchange.answered:
            soon = now < exchange.answered_at <= now + NEAR_S
            await self._until(exchange.answered_at if soon else now + exchange.answered_at - exchange.asked.t)
        self._world.repeat(recorded)
        await _answer_came(exchange)
        new.status, new.answer = exchange.status, exchange.answer
        if exchange.status < 300 and isinstance(exchange.answer, dict) and new.subresource in _OBJECT_SUBRESOURCES:
            metadata = exchange.answer.get("metadata") or {}
            place = new.place._replace(key=Key(new.place.key.namespace, metadata.get("name", "")))
            found = self._world.answer_of(recorded, place) if exchange.answer.get("kind") != "Status" else None
            if found is not None:
                new.answer = {**found, "apiVersion": exchange.answer.get("apiVersion", found["apiVersion"])}
        return _Made(exchange.status, _headers(exchange), msgspec.json.encode(new.answer))

    async def _implied(self, request: WireRequest, new: NewWrite) -> WireResponse:
        if self._world.kind_at(new.place) is None:
            resource = f"{new.place.plural}.{new.place.group}".rstrip(".")
            raise self._missing(f"writes {resource} {new.place.key}", "record again with code that watches that kind")
        self._world.prepare(new.place, new.body)
        async with self._inner.send(request) as response:
            raw = await response.read()
            new.status, new.answer = response.status, _decoded(raw)
            return _Made(response.status, response.headers, raw)


def same_write(recorded: RecordedWrite, new: NewWrite) -> bool:
    """Whether both ask for the same."""
    return recorded.verb == new.verb and alike(comparable(recorded.body), comparable(new.body))


class _Made:
    """An answer that is here already."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers: Mapping[str, str] = headers
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body


async def _answer_came(exchange: Exchange) -> None:
    """Fails as the call failed; where the recording ended before an answer, this call has none either."""
    if exchange.answered:
        return
    if not exchange.ended:
        await asyncio.get_running_loop().create_future()
    raise TransportError(f"{exchange.asked.method} {exchange.asked.path}: {exchange.error}, as it was recorded")


async def _recorded(exchange: Exchange) -> WireResponse:
    await _answer_came(exchange)
    return _Made(exchange.status, _headers(exchange), msgspec.json.encode(exchange.answer))


def _headers(exchange: Exchange) -> dict[str, str]:
    after = {"Retry-After": exchange.retry_after} if exchange.retry_after else {}
    return {"Content-Type": exchange.content_type or "application/json", **after}


def _decoded(body: bytes | None) -> Any:
    try:
        return msgspec.json.decode(body or b"null")
    except msgspec.DecodeError:
        return None


def _told(scope: Scope) -> str:
    """For people."""
    resource = f"{scope.plural}.{scope.group}" if scope.group else scope.plural
    parts = [f"in namespace {scope.namespace}" if scope.namespace else ""]
    parts += [
        f"with labels {scope.labels}" if scope.labels else "",
        f"with fields {scope.fields}" if scope.fields else "",
    ]
    parts += ["metadata alone" if scope.partial else ""]
    return " ".join(filter(None, [resource, *parts]))
