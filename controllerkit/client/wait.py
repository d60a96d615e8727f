"""Waiting until one object is as wanted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, nullcontext
from random import Random
from typing import Final

from controllerkit.client.client import WATCH_IDLE_S, WATCH_TIMEOUT_MIN_S, Client, KindLike
from controllerkit.errors import (
    DeadlineExceeded,
    Gone,
    InternalError,
    MalformedObject,
    ServerTimeout,
    ServiceUnavailable,
    TooManyRequests,
    TransportError,
)
from controllerkit.objects import Key, Kind, Object, find_condition
from controllerkit.runtime import Backoff, BackoffOptions, Clock, Deadline, SystemClock

__all__ = ["Condition", "has_condition", "is_deleted", "wait_for"]

Condition = Callable[[Object | None], bool]
"""Whether an object is as wanted; None: there is none."""

RESTART_MIN_S: Final = 1.0
"""client-go ``tools/watch/retrywatcher.go``: a watch that ends sooner is not opened again at once."""

_PASSING: Final = (
    TransportError,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    ServerTimeout,
    MalformedObject,
)
"""Errors that say nothing about the next time."""


def has_condition(kind: str, status: str = "True") -> Condition:
    """Whether ``status.conditions`` has one of type ``kind`` with this status.

    >>> ready = Object.from_dict({"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    >>> has_condition("Ready")(ready), has_condition("Ready", "False")(ready), has_condition("Ready")(None)
    (True, False, False)
    """

    def met(value: Object | None) -> bool:
        found = find_condition(value.get("status", "conditions"), kind) if value is not None else None
        return found is not None and found.get("status") == status

    return met


def is_deleted(uid: str = "") -> Condition:
    """Whether the object is gone; with ``uid``, also where another one has its name.

    >>> value = Object.from_dict({"metadata": {"name": "a", "uid": "2"}})
    >>> is_deleted()(None), is_deleted()(value), is_deleted("1")(value)
    (True, False, True)
    """
    return lambda value: value is None or bool(uid and value.uid != uid)


async def wait_for(
    client: Client,
    kind: KindLike,
    name: str | Key,
    condition: Condition,
    namespace: str | None = None,
    *,
    timeout_s: float | None = None,
    clock: Clock | None = None,
    rng: Random | None = None,
) -> Object | None:
    """Returns the object once ``condition`` holds for it; None where it holds for there being none.

    ::

        await wait_for(client, kinds.POD, "web-0", has_condition("Ready"), timeout_s=60.0)

    Guarantees:
        ``condition`` is asked about the object as it is now, and about every later state of it that the server tells
        of, a deletion included, until it holds. A watch that ends or breaks is resumed at the last version; where
        that has expired, the object is read again.

    Raises:
        DeadlineExceeded: not within ``timeout_s``; the message holds what was seen last.
        ApiError: the server will not have it (Forbidden, NotFound of the type …).
        Exception: what ``condition`` raises.
    """
    clock = clock or SystemClock()
    resolved = await client.kind_of(kind)
    if not isinstance(name, Key):
        name = Key((namespace or client.namespace) if resolved.namespaced else "", name)
    states = _States(client, resolved, name, clock, rng or Random())
    deadline = Deadline(clock, timeout_s) if timeout_s is not None else None
    try:
        async with deadline or nullcontext(), aclosing(states.each()) as each:
            async for value in each:
                if condition(value):
                    return value
    except TimeoutError as error:
        if deadline is None or not deadline.expired:
            raise  # the condition's own
        cause = f"; last error: {states.error}" if states.error else ""
        seen = f"last seen: {states.seen!r}" if states.listed else "it was not seen"
        raise DeadlineExceeded(f"{resolved} {name} was not as wanted within {timeout_s:g} s; {seen}{cause}") from error
    raise AssertionError("unreachable: the states never end")


class _States:
    """One object's states, as client-go's ``RetryWatcher`` follows them; a version that expired begins anew."""

    def __init__(self, client: Client, kind: Kind, key: Key, clock: Clock, rng: Random) -> None:
        self.seen: Object | None = None
        self.listed = False
        self.error: Exception | None = None
        self._client = client
        self._kind = kind
        self._key = key
        self._clock = clock
        self._rng = rng
        self._version = ""

    async def each(self) -> AsyncGenerator[Object | None, None]:
        """The present state, then each later one; never ends by itself."""
        backoff = Backoff(BackoffOptions(), self._rng)
        while True:
            began = self._clock.monotonic()
            try:
                if not self._version:
                    yield await self._read()
                async with aclosing(self._watched()) as watched:
                    async for value in watched:
                        yield value
                if self._clock.monotonic() - began >= RESTART_MIN_S:
                    continue
            except Gone as error:
                self.error, self._version = error, ""
            except _PASSING as error:
                self.error = error
            await self._clock.sleep(backoff.next_s(now=self._clock.monotonic()))

    async def _read(self) -> Object | None:
        found = await self._client.list(
            self._kind, self._key.namespace or None, field_selector=f"metadata.name={self._key.name}"
        )
        self._version, self.listed = found.resource_version, True
        self.seen = found.items[0] if found.items else None
        return self.seen

    async def _watched(self) -> AsyncGenerator[Object | None, None]:
        async with self._client.watch(
            self._kind,
            self._key.namespace or None,
            resource_version=self._version,
            field_selector=f"metadata.name={self._key.name}",
            timeout_s=WATCH_TIMEOUT_MIN_S * (1.0 + self._rng.random()),
            idle_timeout_s=WATCH_IDLE_S,
        ) as stream:
            async for event in stream:
                self._version = event.object.resource_version or self._version
                if event.type != "BOOKMARK":
                    self.seen = None if event.type == "DELETED" else event.object
                    yield self.seen
