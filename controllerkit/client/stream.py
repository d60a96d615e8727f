"""A watch's body as events: split into lines without decoding, then one small decode for each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import msgspec

from controllerkit.errors import ControllerkitError, DeadlineExceeded, MalformedObject, TransportError, api_error
from controllerkit.objects import GVK, Object
from controllerkit.runtime import Clock

__all__ = ["WatchEvent", "WatchStream"]

LINE_BYTES_MAX: Final = 64 * 2**20
"""No object is larger than etcd's request limit of 1.5 MiB by far; more is not a watch."""


class WatchEvent(msgspec.Struct, frozen=True, gc=False):
    """``type`` is ADDED, MODIFIED, DELETED or BOOKMARK; the object of a BOOKMARK has only its metadata."""

    type: str
    object: Object


class _Line(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


_line_decoder: Final = msgspec.json.Decoder(_Line)


class WatchStream:
    """An async iterator of `WatchEvent`; it ends when the server ends the watch.

    Raises:
        ApiError: an ERROR event, by its Status (Expired, TooManyRequests …).
        MalformedObject: a line is no event; ``what`` names the watch.
        TransportError: the connection broke or fell silent, or the watch goes on past ``ends_at``.
    """

    def __init__(
        self, chunks: AsyncIterator[bytes], gvk: GVK, what: str, *, clock: Clock, ends_at: float = float("inf")
    ) -> None:
        self._chunks = chunks
        self._gvk = gvk
        self._what = what
        self._clock = clock
        self._ends_at = ends_at

    async def batches(self) -> AsyncGenerator[list[WatchEvent], None]:
        """The events of each arriving chunk together, so that a burst costs one wake-up.

        Events that came before an error are yielded before it is raised. While it waits it keeps no bytes but those
        of an unfinished line.
        """
        rest = b""
        async for chunk in self._chunks:
            events, rest, failure = self._split(rest + chunk if rest else chunk)
            del chunk
            if events:
                yield events
            del events
            if failure is not None:
                raise failure
            if self._clock.monotonic() > self._ends_at:
                raise DeadlineExceeded(f"{self._what}: goes on past the time after which the server was to end it")
        if not rest.strip():
            return
        try:
            yield [self._decode(rest)]
        except MalformedObject as error:
            raise TransportError(f"{self._what}: the answer ended in the middle of a line") from error

    def _split(self, data: bytes) -> tuple[list[WatchEvent], bytes, ControllerkitError | None]:
        """The events of the whole lines, what follows them, and what was wrong with the line after the last event."""
        lines = data.split(b"\n")
        rest = lines.pop()
        events: list[WatchEvent] = []
        try:
            events.extend(self._decode(line) for line in lines if line)
            if len(rest) > LINE_BYTES_MAX:
                raise MalformedObject(f"{self._what}: a line of over {LINE_BYTES_MAX} bytes")
        except ControllerkitError as error:
            return events, b"", error
        return events, rest, None

    def __aiter__(self) -> AsyncIterator[WatchEvent]:
        return self._each()

    async def _each(self) -> AsyncIterator[WatchEvent]:
        async for batch in self.batches():
            for event in batch:
                yield event

    def _decode(self, line: bytes) -> WatchEvent:
        try:
            event = _line_decoder.decode(line)
        except msgspec.DecodeError as error:
            raise MalformedObject(f"{self._what}: not a watch event: {error}; it starts {line[:120]!r}") from error
        if event.type == "ERROR":
            status = msgspec.json.decode(event.object)
            raise api_error(status if isinstance(status, dict) else {"message": str(status)}, request=self._what)
        return WatchEvent(event.type, Object.from_bytes(event.object, gvk=self._gvk))
