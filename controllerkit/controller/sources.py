"""Where requests come from besides informers: a channel, a poll of the world outside, a stream (``pkg/source``)."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from typing import Final, Protocol

from controllerkit.errors import ConfigError
from controllerkit.objects import Key
from controllerkit.runtime import Clock

__all__ = ["CHANNEL_MAX", "Channel", "Poll", "Sink", "Source", "Stream"]

CHANNEL_MAX: Final = 1024
"""controller-runtime's buffer of a ``Channel`` source."""


class Sink(Protocol):
    """What a source puts its requests into."""

    clock: Clock

    def enqueue(self, key: Key, reason: str, *, priority: int = 0) -> None:
        """Asks for a reconcile of ``key``."""

    def synced(self) -> None:
        """Says that the state at the start was told completely: workers wait for it."""


class Source(ABC):
    """Runs beside the controller and asks for reconciles.

    ``run`` ends when there is nothing more to tell, and is cancelled at the stop. What it raises ends the manager.
    It must call ``sink.synced()``, or return, within the cache-sync timeout.
    """

    @abstractmethod
    async def run(self, sink: Sink) -> None:
        """Tells what happens."""


class Channel(Source):
    """Requests that other code of this process puts in.

    Guarantees:
        What is put in before the start is kept, up to ``size``.
    """

    def __init__(self, *, size: int = CHANNEL_MAX) -> None:
        self._queue: asyncio.Queue[tuple[Key, str] | None] = asyncio.Queue(size)

    async def put(self, key: Key, reason: str = "told") -> None:
        """Asks for a reconcile; waits while the channel is full."""
        await self._queue.put((key, reason))

    async def close(self) -> None:
        """Nothing more will come; what is inside is still delivered."""
        await self._queue.put(None)

    async def run(self, sink: Sink) -> None:
        """See `Source.run`."""
        sink.synced()
        while (item := await self._queue.get()) is not None:
            sink.enqueue(item[0], item[1])


class Poll(Source):
    """Asks the outside world every ``every_s`` seconds and tells which keys' answers have changed.

    Args:
        ask: gives everything of interest, by the key it concerns; any hashable value, compared with the last.
    Guarantees:
        The first answer is told whole; a key that is missing from a later one is told as gone. What ``ask`` raises
        is told to ``on_error`` and asked again in ``every_s``: nothing counts as gone meanwhile.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[Mapping[Key, Hashable]]],
        *,
        every_s: float,
        on_error: Callable[[Exception], None],
    ) -> None:
        if every_s <= 0:
            raise ConfigError(f"every_s must be positive, got {every_s}")
        self._ask = ask
        self._every_s = every_s
        self._on_error = on_error

    async def run(self, sink: Sink) -> None:
        """See `Source.run`."""
        known: Mapping[Key, Hashable] = {}
        while True:
            try:
                answer = await self._ask()
            except Exception as error:  # the outside world fails as it likes
                self._on_error(error)
            else:
                for key in sorted(answer.keys() | known.keys()):
                    if key not in answer:
                        sink.enqueue(key, "outside gone")
                    elif key not in known or known[key] != answer[key]:
                        sink.enqueue(key, "outside changed" if key in known else "outside found")
                known = answer
                sink.synced()
            await sink.clock.sleep(self._every_s)


class Stream(Source):
    """Any async iterator of keys and reasons, such as the messages of a broker."""

    def __init__(self, stream: Callable[[], AsyncIterator[tuple[Key, str]]]) -> None:
        self._stream = stream

    async def run(self, sink: Sink) -> None:
        """See `Source.run`."""
        sink.synced()
        async for key, reason in self._stream():
            sink.enqueue(key, reason)
