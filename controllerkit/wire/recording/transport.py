"""The way to the server, with a recorder beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from controllerkit.wire.recording.recorder import Recorder
from controllerkit.wire.transport import Transport, WireRequest, WireResponse

__all__ = ["RecordingTransport"]


class RecordingTransport:
    """Passes every request on to ``inner``, unchanged, and tells ``recorder`` of it and of its answer.

    Guarantees:
        Nothing is awaited for the recorder. It sees what the caller sees, no more: credentials are added further on.
        Before the recorder is started, and after it stopped, requests pass by it.
    """

    def __init__(self, inner: Transport, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        """See `Transport.send`."""
        recorder = self._recorder
        if not recorder.running:
            async with self._inner.send(request) as response:
                yield response
            return
        number = recorder.asked(request)
        error = ""
        try:
            async with self._inner.send(request) as response:
                recorder.answered(number, response.status, response.headers)
                yield _Recorded(response, recorder, number)
        except BaseException as failure:
            error = type(failure).__name__
            raise
        finally:
            recorder.ended(number, error)

    async def aclose(self) -> None:
        """Ends every connection of the inner transport; the recorder goes on."""
        await self._inner.aclose()


class _Recorded:
    __slots__ = ("_inner", "_number", "_recorder")

    def __init__(self, inner: WireResponse, recorder: Recorder, number: int) -> None:
        self._inner = inner
        self._recorder = recorder
        self._number = number

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    async def read(self) -> bytes:
        body = await self._inner.read()
        self._recorder.body(self._number, body)
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks():
            self._recorder.body(self._number, chunk)
            yield chunk
