"""A TCP relay in front of a server, which does to connections what networks do: cut, stall, delay, refuse.

It knows nothing of what passes through it, so TLS does. What goes wrong is told to it call by call; it decides
nothing by itself. Faults of HTTP are `controllerkit.testing.FaultyTransport`'s.
"""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, cast

__all__ = ["Connection", "Direction", "FaultProxy"]

_BUFFER_BYTES_MAX: Final = 2**20
"""So much waits in one direction; then the sender is read no further, as by a full receive window."""

_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST instead of FIN (socket(7))."""


class Direction(enum.Flag):
    """Which way bytes go."""

    TO_SERVER = enum.auto()
    TO_CLIENT = enum.auto()
    BOTH = TO_SERVER | TO_CLIENT


class _Flow:
    """One direction of one connection: bytes in order, each with the time before which it does not go on."""

    def __init__(self, delay_s: float, on_end: Callable[[], None], *, held: bool) -> None:
        self.delay_s = delay_s
        self.held = held
        self.bytes = 0
        self.ended = False
        self._on_end = on_end
        self.source: asyncio.Transport | None = None
        self._target: asyncio.Transport | None = None
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._waiting_bytes = 0
        self._blocked = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def connect(self, target: asyncio.Transport) -> None:
        self._target = target
        self.flush()

    def put(self, data: bytes | None) -> None:
        """None is the end of the stream."""
        self._waiting.append((self._loop.time() + self.delay_s, data))
        self._waiting_bytes += len(data or b"")
        if self._waiting_bytes > _BUFFER_BYTES_MAX and self.source is not None:
            self.source.pause_reading()
        self.flush()

    def block(self, blocked: bool) -> None:
        self._blocked = blocked
        self.flush()

    def flush(self) -> None:
        """Passes on what is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        target = self._target
        while self._waiting and not (self.held or self._blocked or target is None or target.is_closing()):
            due, data = self._waiting[0]
            if due > self._loop.time():
                self._timer = self._loop.call_at(due, self.flush)
                break
            self._waiting.popleft()
            if data is None:
                with suppress(OSError):  # the other side has gone meanwhile
                    target.write_eof()
                self.ended = True
                self._on_end()
                return
            self._waiting_bytes -= len(data)
            self.bytes += len(data)
            target.write(data)
        if self._waiting_bytes <= _BUFFER_BYTES_MAX and self.source is not None and not self.source.is_closing():
            self.source.resume_reading()

    def close(self) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()


class _Side(asyncio.Protocol):
    """The socket at one end: what it receives goes into ``out``, and ``back`` writes to it."""

    def __init__(self, connection: Connection, out: _Flow, back: _Flow, *, client: bool) -> None:
        self._connection = connection
        self._out = out
        self._back = back
        self._client = client
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._out.source = self.transport
        self._back.connect(self.transport)
        self._connection._made(self._client)

    def data_received(self, data: bytes) -> None:
        self._out.put(data)

    def eof_received(self) -> bool:
        if self._client:
            self._connection.client_left.set()
        self._out.put(None)
        return True  # the other direction stays open until it ends, too

    def pause_writing(self) -> None:
        self._back.block(True)

    def resume_writing(self) -> None:
        self._back.block(False)

    def connection_lost(self, error: Exception | None) -> None:
        self._connection._lost(self._client, reset=error is not None)


class Connection:
    """One connection through the proxy.

    Attributes:
        opened_at: when the client connected, in the event loop's time.
        client_left: set once the client closed its side, also where the server was not told.
    """

    def __init__(self, proxy: FaultProxy) -> None:
        self.opened_at = asyncio.get_running_loop().time()
        self.client_left = asyncio.Event()
        self._proxy = proxy
        self._flows = {
            each: _Flow(proxy._delays_s[each], self._ended, held=each in proxy._held)
            for each in (Direction.TO_SERVER, Direction.TO_CLIENT)
        }
        up, down = self._flows[Direction.TO_SERVER], self._flows[Direction.TO_CLIENT]
        self._client = _Side(self, up, down, client=True)
        self._server = _Side(self, down, up, client=False)
        self._opening: asyncio.Task[None] | None = None
        self._stuck = proxy._held != Direction(0)

    @property
    def half_open(self) -> bool:
        """Whether it was made half-open and not healed since."""
        return self._stuck

    def bytes(self, direction: Direction) -> int:
        """How many were passed on in ``direction``."""
        return sum(flow.bytes for each, flow in self._flows.items() if each in direction)

    def _made(self, client: bool) -> None:
        if client:
            self._opening = asyncio.create_task(self._open_server(), name="fault proxy connects")

    async def _open_server(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self._server, *self._proxy.target)
        except OSError:
            self.drop()

    def _lost(self, client: bool, *, reset: bool) -> None:
        """One side is gone. A held connection leaves the other side alone with it: that is what half-open is."""
        if client:
            self.client_left.set()
        left = [side.transport is None or side.transport.is_closing() for side in (self._client, self._server)]
        if not self._stuck or all(left):
            self._end(reset=reset)

    def _ended(self) -> None:
        if all(flow.ended for flow in self._flows.values()):
            self._end(reset=False)

    def drop(self) -> None:
        """Ends it with RST on both sides."""
        self._end(reset=True)

    def _end(self, *, reset: bool) -> None:
        self._proxy._connections.discard(self)
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        for flow in self._flows.values():
            flow.close()
        for side in (self._client, self._server):
            if side.transport is None:
                continue
            if reset and not side.transport.is_closing():
                sock = side.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                side.transport.abort()
            else:
                side.transport.close()

    def _hold(self, direction: Direction) -> None:
        self._stuck = True
        for each, flow in self._flows.items():
            if each in direction:
                flow.held = True

    def _delay(self, delay_s: float, direction: Direction) -> None:
        for each, flow in self._flows.items():
            if each in direction:
                flow.delay_s = delay_s

    def _heal(self) -> None:
        self._stuck = False
        for flow in self._flows.values():
            flow.held, flow.delay_s = False, 0.0
            flow.flush()
        if any(side.transport is not None and side.transport.is_closing() for side in (self._client, self._server)):
            self._end(reset=True)


class FaultProxy:
    """Relays TCP from a port on loopback to ``host:port``, and fails as it is told.

    ::

        async with FaultProxy("127.0.0.1", 6443) as proxy:
            ...                     # the client talks to https://127.0.0.1:{proxy.port}
            proxy.half_open()       # every connection falls silent, and no FIN tells
            await proxy.heal()

    Guarantees:
        Nothing fails unless told to. Bytes keep their order and none is lost but by ``drop``. A half-open
        connection still acknowledges what is sent into it, so that no TCP timeout on either side notices.
        Leaving the context ends every connection and leaves no task.

    Attributes:
        target: host and port of the server; a new value holds for new connections.
        accepted: how many connections there were.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.accepted = 0
        self._connections: set[Connection] = set()
        self._delays_s = {Direction.TO_SERVER: 0.0, Direction.TO_CLIENT: 0.0}
        self._held = Direction(0)
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1; the same while connections are refused."""
        return self._port

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Those that are open, the oldest first."""
        return tuple(sorted(self._connections, key=lambda each: each.opened_at))

    async def __aenter__(self) -> FaultProxy:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop_listening()
        opening = [each._opening for each in self._connections if each._opening is not None]
        self.drop()
        await asyncio.gather(*opening, return_exceptions=True)
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    # -- faults --------------------------------------------------------------------------------------------------

    def drop(self, connections: Iterable[Connection] | None = None) -> None:
        """Ends these connections (every one) with RST on both sides."""
        for each in self._chosen(connections):
            each.drop()

    def half_open(
        self,
        direction: Direction = Direction.BOTH,
        *,
        connections: Iterable[Connection] | None = None,
        new: bool = False,
    ) -> None:
        """These connections (every one) stay open and pass nothing on, and neither side hears that the other left.

        Args:
            new: those opened until ``heal`` are so, too: the network is cut. Without it, it is as when a firewall
                has forgotten what was open: who connects again is through.
        """
        for each in self._chosen(connections):
            each._hold(direction)
        if new:
            self._held |= direction

    def delay(self, seconds: float, direction: Direction = Direction.BOTH) -> None:
        """Everything that comes from now on, on old connections and new ones, arrives so much later."""
        for each in (Direction.TO_SERVER, Direction.TO_CLIENT):
            if each in direction:
                self._delays_s[each] = seconds
        for connection in self._connections:
            connection._delay(seconds, direction)

    def refuse(self) -> None:
        """New connections are refused, as where no server listens; open ones go on."""
        if self._server is not None:
            self._stop_listening()
            self._reserve()

    async def heal(self) -> None:
        """Ends every fault. What half-open connections kept back goes on, or RST where a side has left meanwhile."""
        self._held = Direction(0)
        self.delay(0.0)
        for each in list(self._connections):
            each._heal()
        if self._server is None:
            await self._listen()

    # -- the port ------------------------------------------------------------------------------------------------

    def _chosen(self, connections: Iterable[Connection] | None) -> list[Connection]:
        return list(self._connections if connections is None else connections)

    def _reserve(self) -> socket.socket:
        """A bound socket that does not listen: the kernel refuses, and nobody else takes the port."""
        if self._reserved is None:
            self._reserved = socket.socket()
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.bind(("127.0.0.1", self._port))
            self._port = self._reserved.getsockname()[1]
        return self._reserved

    async def _listen(self) -> None:
        reserved = self._reserve()
        self._server = await asyncio.get_running_loop().create_server(self._accept, sock=reserved, backlog=1024)
        self._reserved = None

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self) -> _Side:
        self.accepted += 1
        connection = Connection(self)
        self._connections.add(connection)
        return connection._client
