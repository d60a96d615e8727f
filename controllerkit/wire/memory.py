"""The transport without a network: an aiohttp handler in this process answers, streaming both ways."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from types import SimpleNamespace
from typing import Any, Final

from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from controllerkit.errors import ConnectError, DeadlineExceeded, TransportError
from controllerkit.runtime import cancel_and_wait
from controllerkit.wire.transport import WireRequest, WireResponse

__all__ = ["MemoryTransport", "ServerHandler"]

ServerHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""What `aiohttp.web.Server` takes."""

WINDOW_BYTES: Final = 64 * 1024
"""So much of a body waits unread; then the handler waits, as behind a full TCP window."""

_PEER: Final = SimpleNamespace(ssl_context=None, peername=("memory", 0), sockname=("memory", 0))


class MemoryTransport:
    """Every exchange is a call of ``handler`` in a task of its own.

    Guarantees:
        No socket, thread or file is used, so that it runs on any event loop. The body is read as it is written, and
        the handler waits where nobody reads. Leaving the exchange, or its cancellation, cancels the handler; what
        the handler did before that stays done. The handler sees nothing of the caller's context variables.
    """

    def __init__(self, handler: ServerHandler, *, user_agent: str = "controllerkit") -> None:
        self._handler = handler
        self._user_agent = user_agent
        self._serving: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        """See `Transport.send`.

        Raises:
            ConnectError: the transport was closed.
            DeadlineExceeded: nothing came within the request's time limits, by the event loop's time.
            TransportError: the handler failed, or left the body unfinished.
        """
        asked = f"{request.method} {request.path.partition('?')[0]}"
        if self._closed:
            raise ConnectError(f"{asked}: the in-process server was closed")
        pipe = _Pipe()
        serving = asyncio.create_task(self._serve(self._received(request, pipe), pipe), name=asked, context=Context())
        self._serving.add(serving)
        try:
            with _named(asked, request.timeout_s):
                async with asyncio.timeout(request.timeout_s):
                    await pipe.begun.wait()
            if not pipe.status:
                pipe.raise_failure(asked)
            yield _MemoryResponse(pipe, asked, request.idle_timeout_s or request.timeout_s)
        finally:
            self._serving.discard(serving)
            await cancel_and_wait(serving)

    async def aclose(self) -> None:
        """Ends every exchange."""
        self._closed = True
        await cancel_and_wait(*self._serving)

    def _received(self, request: WireRequest, pipe: _Pipe) -> web.BaseRequest:
        headers = CIMultiDict({"Host": "memory", "User-Agent": self._user_agent, **request.headers})
        body = request.body or b""
        if body:
            headers.setdefault("Content-Type", "application/octet-stream")
        loop = asyncio.get_running_loop()
        payload = StreamReader(BaseProtocol(loop), len(body) + 1, loop=loop)
        payload.feed_data(body)
        payload.feed_eof()
        url = URL(request.path, encoded=True)
        message = RawRequestMessage(
            request.method, request.path, HttpVersion11, CIMultiDictProxy(headers), (), False, None, False, False, url
        )
        protocol: Any = _PEER
        task: Any = asyncio.current_task()
        return web.BaseRequest(message, payload, protocol, pipe, task, loop)

    async def _serve(self, received: web.BaseRequest, pipe: _Pipe) -> None:
        """What aiohttp's server does with a request, without its connection."""
        try:
            response = await self._handler(received)
            await response.prepare(received)
            await response.write_eof()
        except Exception as error:
            pipe.fail(error)
        finally:
            pipe.end()


class _Pipe(AbstractStreamWriter):
    """The answer on its way: the handler writes, the client reads."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.buffer_size = self.output_size = 0
        self._chunks: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._whole = False
        self._ended = False
        self._failure: Exception | None = None

    # The handler's side.

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        self.status = int(status_line.split(" ", 2)[1])
        self.headers = CIMultiDictProxy(headers)
        self.begun.set()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        if chunk:
            self._chunks.append(bytes(chunk))
            self.output_size += len(chunk)
            self.buffer_size += len(chunk)
            self._changed.set()
        await self.drain()

    async def drain(self) -> None:
        if self.buffer_size > WINDOW_BYTES:
            self._room.clear()
            await self._room.wait()

    async def write_eof(self, chunk: bytes = b"") -> None:
        await self.write(chunk)
        self._whole = True
        self._changed.set()

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Nothing is compressed on the way through memory."""

    def enable_chunking(self) -> None:
        """Chunks stay what they are."""

    def fail(self, failure: Exception) -> None:
        self._failure = failure

    def end(self) -> None:
        """The handler writes no more."""
        self._ended = True
        self.begun.set()
        self._changed.set()

    # The client's side.

    def raise_failure(self, asked: str) -> None:
        if self._failure is not None:
            failure = self._failure
            raise TransportError(f"{asked}: the handler raised {type(failure).__name__}: {failure}") from failure
        if self._ended and not self._whole:
            raise TransportError(f"{asked}: the handler left its answer unfinished")

    async def next_chunk(self, asked: str) -> bytes:
        """b"" at the end of the body."""
        while not self._chunks:
            if self._whole:
                return b""
            self.raise_failure(asked)
            self._changed.clear()
            await self._changed.wait()
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        self.buffer_size = 0
        self._room.set()
        return chunk


class _MemoryResponse:
    __slots__ = ("_asked", "_idle_timeout_s", "_pipe")

    def __init__(self, pipe: _Pipe, asked: str, idle_timeout_s: float) -> None:
        self._pipe = pipe
        self._asked = asked
        self._idle_timeout_s = idle_timeout_s

    @property
    def status(self) -> int:
        return self._pipe.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._pipe.headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            with _named(self._asked, self._idle_timeout_s):
                async with asyncio.timeout(self._idle_timeout_s):
                    chunk = await self._pipe.next_chunk(self._asked)
            if not chunk:
                return
            yield chunk


@contextmanager
def _named(asked: str, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise DeadlineExceeded(f"{asked}: no answer within {timeout_s:g} s") from error
