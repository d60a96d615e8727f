"""One watch: a cursor in a collection's log, and lines written as the log grows.

An idle watch holds a position, a callback and a timer; nothing is queued for it. One that is too slow finds the
log cut off before its position and is told so, as by etcd's compaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from controllerkit.apiserver.reading import COMPACTED, ListOptions
from controllerkit.apiserver.represent import Representation
from controllerkit.apiserver.status import expired, status_value
from controllerkit.apiserver.storage import Collection, Item, Store

__all__ = ["Watch"]

_BATCH_BYTES_MAX = 256 * 1024


class Watch:
    """Streams one selection of one collection until it times out, its resource goes, or the server stops."""

    def __init__(
        self,
        store: Store,
        collection: Collection,
        options: ListOptions,
        representation: Representation,
        *,
        bookmark_interval_s: float,
        ended: Callable[[], bool],
        decided: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        self._store = store
        self._collection = collection
        self._options = options
        self._representation = representation
        self._bookmark_interval_s = bookmark_interval_s
        self._ended = ended
        self._decided = decided
        self._changed = asyncio.Event()

    async def stream(self, response: web.StreamResponse, start: int, *, initial: bool, timeout_s: float) -> None:
        """Writes lines until the watch is over. Cancellation ends it at once."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        unwatch = self._collection.watch(self._changed.set)
        position = start
        try:
            if initial:
                position = self._store.rv
                selected = self._selected()
                await response.write(await self._decided(lambda: self._initial(selected, position)))
            next_bookmark = loop.time() + self._bookmark_interval_s
            while True:
                self._changed.clear()
                if position < self._collection.log.oldest_rv:
                    await response.write(_error_line())
                    return
                lines, position = await self._decided(partial(self._lines, position))
                if lines:
                    await response.write(lines)
                    continue
                now = loop.time()
                # Looked at after the log: what was written before the end is still shown.
                if now >= deadline or self._ended():
                    break
                if self._options.bookmarks and now >= next_bookmark:
                    await response.write(self._representation.bookmark(position))
                    next_bookmark = now + self._bookmark_interval_s
                    continue
                until = min(deadline, next_bookmark) if self._options.bookmarks else deadline
                await self._wait(until - now)
            if self._options.bookmarks and not self._ended():
                await response.write(self._representation.bookmark(position))
        finally:
            unwatch()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _selected(self) -> list[Item]:
        """The present objects, at this moment."""
        selection = self._options.selection
        return [item for item in self._collection.scan(selection.namespace) if selection.matches(item)]

    def _initial(self, selected: list[Item], rv: int) -> bytes:
        """The present objects as ADDED, and where asked for the mark that they are all."""
        show = self._representation
        lines = show.event_lines("ADDED", [item.raw for item in selected])
        if self._options.initial_events and self._options.bookmarks:
            lines.append(show.bookmark(rv, initial_end=True))
        return b"".join(lines)

    def _lines(self, position: int) -> tuple[bytes, int]:
        """What the log holds beyond ``position``, and the new position; b"" where it is the end."""
        lines: list[bytes] = []
        size = 0
        for event in self._collection.log.since(position):
            position = event.rv
            seen = self._options.selection.transition(event)
            if seen is None:
                continue
            line = self._representation.line(event, *seen)
            lines.append(line)
            size += len(line)
            if size > _BATCH_BYTES_MAX:
                return b"".join(lines), position
        if not lines:
            # Everything up to now is seen: bookmarks may say so.
            position = max(position, self._store.rv)
        return b"".join(lines), position


def _error_line() -> bytes:
    value: dict[str, Any] = {"type": "ERROR", "object": status_value(expired(COMPACTED))}
    return msgspec.json.encode(value) + b"\n"
