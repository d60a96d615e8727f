"""The reflector machine against a small model of a server: whatever goes wrong, what it publishes is true.

The model keeps the state of the collection at every version. So whenever the machine publishes a version, what is
kept must be exactly the collection of that version; and once nothing fails any more, the newest one is reached.
"""

from __future__ import annotations

from random import Random

import pytest

from controllerkit.cache import machine as m
from controllerkit.client import WatchEvent
from controllerkit.errors import (
    ConnectError,
    Expired,
    Forbidden,
    InternalError,
    MalformedObject,
    TooManyRequests,
    TransportError,
)
from controllerkit.objects import Object
from tests.unit.cache.test_reflector_machine import obj

State = dict[str, str]
"""The resourceVersion of each object, by name."""

PASSING = (
    TooManyRequests("slow down"),
    ConnectError("refused", refused=True),
    TransportError("reset"),
    InternalError("oops"),
    Forbidden("not now"),
    MalformedObject("not an event"),
)
NAMES = "abcdef"


class Server:
    """A collection with a history that may be compacted, a lagging watch cache, and faults."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.faults = 0.0
        self.streams = True
        self.expires_at_opening = False
        self.knows_no_version = False
        self.at: dict[int, State] = {1: {}}
        self.changes: dict[int, WatchEvent] = {}
        self.compacted = 1
        self._pending: list[WatchEvent] = []
        self._sent = 0

    @property
    def now(self) -> int:
        return max(self.at)

    def change(self) -> None:
        state, version = dict(self.at[self.now]), self.now + self.random.randint(1, 3)
        name = self.random.choice(NAMES)
        if name in state and self.random.random() < 0.4:
            del state[name]
            kind = "DELETED"
        else:
            kind = "MODIFIED" if name in state else "ADDED"
            state[name] = str(version)
        self.at[version] = state
        self.changes[version] = WatchEvent(kind, obj(name, str(version)))

    def compact(self) -> None:
        self.compacted = self.random.choice([each for each in self.at if each >= self.compacted])

    def objects(self, version: int) -> list[Object]:
        return [obj(name, at) for name, at in self.at[version].items()]

    def answer(self, effect: m.Effect) -> m.Event:
        """What comes of an effect that waits."""
        if not isinstance(effect, m.Wait) and self.random.random() < self.faults:
            return m.Failed(self.random.choice(PASSING))
        match effect:
            case m.Wait():
                return m.Woke()
            case m.ListPage(version, limit, token):
                return self._list(version, limit, token)
            case m.OpenWatch(version, initial):
                return self._open(version, initial)
            case _:
                return self._read()

    def _list(self, version: str, limit: int, token: str) -> m.Event:
        if version not in ("", "0") and self.knows_no_version:
            return m.Failed(InternalError("Too large resource version"))
        if version not in ("", "0") and limit and int(version) < self.compacted:
            return m.Failed(Expired("too old"))
        shown, first = self.now, 0
        if version == "0":  # from a watch cache, which may lag
            shown = self.random.choice([each for each in self.at if each >= self.compacted])
        if token:
            shown, first = (int(each) for each in token.split("-"))
            if shown < self.compacted:
                return m.Failed(Expired("the token is too old"))
        everything = self.objects(shown)
        page = everything[first : first + limit] if limit else everything
        more = f"{shown}-{first + len(page)}" if first + len(page) < len(everything) else ""
        return m.PageListed(page, str(shown), more)

    def _open(self, version: str, initial: bool) -> m.Event:
        if initial and not self.streams:
            return m.Failed(Forbidden("sendInitialEvents is forbidden"))
        if initial and version and self.knows_no_version:
            return m.Failed(InternalError("Too large resource version"))
        if not initial and int(version) < self.compacted and self.expires_at_opening:
            return m.Failed(Expired("too old"))
        self._pending, self._sent = [], int(version or "0")
        if initial:  # what there was at some time, what has changed since, and the end
            began = self.random.choice([each for each in self.at if each >= self.compacted])
            self._pending = [WatchEvent("ADDED", each) for each in self.objects(began)]
            self._pending += [self.changes[each] for each in sorted(self.changes) if each > began]
            self._pending.append(WatchEvent("BOOKMARK", obj("", str(self.now), end="true")))
            self._sent = self.now
        return m.Opened()

    def _read(self) -> m.Event:
        if not self._pending and self._sent < self.compacted:
            return m.Failed(Expired("too old"))
        self._pending += [self.changes[each] for each in sorted(self.changes) if each > self._sent]
        self._sent = self.now
        if self.faults and self.random.random() < 0.1:
            return m.Closed()
        if not self._pending:
            return m.Received([WatchEvent("BOOKMARK", obj("", str(self._sent)))])
        count = self.random.randint(1, len(self._pending))
        batch, self._pending = self._pending[:count], self._pending[count:]
        return m.Received(batch)


class Cache:
    """Does the effects that do not wait, and checks what is published."""

    def __init__(self, server: Server, options: m.ReflectorOptions) -> None:
        self.server = server
        self.state: m.State = m.Empty(m.Memory(options=options))
        self.kept: State = {}
        self.published = 0

    def take(self, event: m.Event, now: float) -> m.Effect:
        self.state, effects = m.step(self.state, event, now)
        for effect in effects[:-1]:
            match effect:
                case m.Replace(objects):
                    self.kept = {each.name: each.resource_version for each in objects}
                case m.Apply(events):
                    for each in events:
                        if each.type == "DELETED":
                            self.kept.pop(each.object.name, None)
                        else:
                            self.kept[each.object.name] = each.object.resource_version
                case m.Publish(version):
                    assert int(version) >= self.published
                    self.published = int(version)
                    assert self.kept == self.server.at[self.published]
        return effects[-1]


@pytest.mark.parity("2.1/list-and-watch-with-errors")
@pytest.mark.parametrize(
    "options",
    [
        m.ReflectorOptions(),
        m.ReflectorOptions(page_size=2, streaming=False),
        m.ReflectorOptions(streaming=False),
        m.ReflectorOptions(internal_error_retry_s=30.0),
    ],
    ids=["streams", "pages", "lists", "window"],
)
def test_what_is_published_is_the_collection_of_that_version_and_the_newest_is_reached(
    options: m.ReflectorOptions,
) -> None:
    for seed in range(150):
        random = Random(seed)
        server = Server(random)
        cache = Cache(server, options)
        server.streams = random.random() < 0.7
        server.expires_at_opening = random.random() < 0.5
        server.knows_no_version = random.random() < 0.3
        server.faults = random.choice([0.05, 0.3])
        waiting, now = cache.take(m.Started(), 0.0), 0.0
        for _ in range(random.randint(20, 150)):
            for _ in range(random.choice([0, 0, 1, 3])):
                server.change()
            if random.random() < 0.1:
                server.compact()
            now += random.choice([0.0, 0.3, 40.0])
            waiting = cache.take(server.answer(waiting), now)
        server.faults = 0.0
        for _ in range(40):
            if isinstance(cache.state, m.Watching) and cache.published == server.now:
                break
            now += 1.0
            waiting = cache.take(server.answer(waiting), now)
        assert cache.kept == server.at[server.now], f"seed {seed}: it stands at {cache.published} of {server.now}"
