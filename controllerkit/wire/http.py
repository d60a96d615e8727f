"""The transport over aiohttp. Errors of the library stop here and leave as this package's own."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final
from weakref import WeakSet

import aiohttp
from yarl import URL

from controllerkit.errors import ConnectError, DeadlineExceeded, TlsError, TransportError
from controllerkit.runtime import wait_until
from controllerkit.wire.credentials import Credentials
from controllerkit.wire.transport import WireRequest, WireResponse

__all__ = ["HttpTransport"]

CONNECT_TIMEOUT_S: Final = 10.0
TCP_USER_TIMEOUT_MS: Final = 30_000
KEEPALIVE_IDLE_S: Final = 15
KEEPALIVE_INTERVAL_S: Final = 5
KEEPALIVE_PROBES: Final = 3
FAREWELL_S: Final = 0.5


class HttpTransport:
    """One server, any number of exchanges; a connection per open watch, the others kept alive and shared.

    Guarantees:
        A peer that vanishes without a word is noticed by TCP within ``TCP_USER_TIMEOUT_MS``.
    """

    def __init__(self, credentials: Credentials, *, user_agent: str = "controllerkit") -> None:
        self._credentials = credentials
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._sockets: WeakSet[socket.socket] = WeakSet()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0, socket_factory=self._open_socket)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": self._user_agent},
                auto_decompress=True,
                read_bufsize=2**18,
            )
        return self._session

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        """See `Transport.send`."""
        context = self._credentials.ssl_context()
        headers = {**await self._credentials.headers(), **request.headers}
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=request.idle_timeout_s or request.timeout_s
        )
        with _translated(self._credentials.server, request):
            session = self._open_session()
            if session.closed:
                raise TransportError(f"{request.method} {self._credentials.server}: the client is being closed")
            async with asyncio.timeout(request.timeout_s):
                answer = await session.request(
                    request.method,
                    URL(self._credentials.server + request.path, encoded=True),
                    headers=headers,
                    data=request.body,
                    ssl=context if context is not None else True,
                    server_hostname=self._credentials.server_name,
                    proxy=self._credentials.proxy,
                    timeout=timeout,
                    allow_redirects=False,
                )
            async with answer as response:
                try:
                    yield _HttpResponse(response, self._credentials.server, request)
                finally:
                    _cut(response)

    async def aclose(self) -> None:
        """Ends every connection; waits a moment for peers to say farewell, as TLS does."""
        if self._session is None:
            return
        await self._session.close()
        self._session = None

        async def closed() -> bool:
            return all(each.fileno() < 0 for each in self._sockets)

        with suppress(DeadlineExceeded):
            await wait_until(closed, what="every connection is closed", timeout_s=FAREWELL_S, interval_s=0.005)

    def _open_socket(self, address: tuple[object, ...]) -> socket.socket:
        opened = _watched_socket(address)
        self._sockets.add(opened)
        return opened


class _HttpResponse:
    __slots__ = ("_request", "_response", "_server")

    def __init__(self, response: aiohttp.ClientResponse, server: str, request: WireRequest) -> None:
        self._response = response
        self._server = server
        self._request = request

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def read(self) -> bytes:
        with _translated(self._server, self._request):
            return await self._response.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        content = self._response.content
        while True:
            with _translated(self._server, self._request):  # not around the yield: errors of the reader are its own
                chunk = await content.readany()
            if not chunk:
                return
            yield chunk
            del chunk


def _cut(response: aiohttp.ClientResponse) -> None:
    """Ends a connection whose body was not read to its end, at once.

    Left to itself, TLS would first wait for the peer's farewell, for half a minute if the peer is gone.
    """
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


@contextmanager
def _translated(server: str, request: WireRequest) -> Iterator[None]:
    asked = f"{request.method} {server}{request.path.partition('?')[0]}"
    try:
        yield
    except aiohttp.ServerTimeoutError as error:
        raise DeadlineExceeded(f"{asked}: {error}") from error
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
        raise TlsError(f"{asked}: {error}; check certificate-authority and the server's name") from error
    except aiohttp.ClientConnectorError as error:
        refused = error.os_error.errno == errno.ECONNREFUSED
        raise ConnectError(f"{asked}: {error.os_error.strerror or error}", refused=refused) from error
    except ssl.SSLError as error:
        raise TlsError(f"{asked}: {error}") from error
    except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
        raise TransportError(f"{asked}: {type(error).__name__}: {error}") from error
    except TimeoutError as error:
        raise DeadlineExceeded(f"{asked}: no answer within {request.timeout_s:g} s") from error


def _watched_socket(address: tuple[object, ...]) -> socket.socket:
    """A socket on which TCP itself notices a peer that is gone (keep-alive probes and a user timeout)."""
    family, kind, protocol = address[0], address[1], address[2]
    sock = socket.socket(family, kind, protocol)  # type: ignore[arg-type]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", TCP_USER_TIMEOUT_MS),
    ):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return sock
