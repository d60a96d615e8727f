"""Each fault of the proxy, as both ends of a connection see it; and a client that lives through all of them."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from controllerkit.cache import Informer
from controllerkit.client import Client
from controllerkit.errors import DeadlineExceeded, TransportError
from controllerkit.objects import Key, kinds
from controllerkit.runtime import cancel_and_wait, wait_until
from controllerkit.testing import Direction, FaultProxy
from controllerkit.testing.faults import _Flow
from controllerkit.wire import HttpTransport, load_credentials
from tests.servers import Server

PATIENCE_S = 5.0
"""Only a bug waits so long."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Sends back what comes, and keeps what it saw of each connection's end."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.received = b""
        self.connected = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]
            for task in self._tasks:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connected.set()
        try:
            while data := await reader.read(65536):
                self.received += data
                writer.write(data)
                await writer.drain()
            self.ends.append("FIN")
        except ConnectionError:
            self.ends.append("RST")
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()


_opened: list[asyncio.StreamWriter] = []


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Echo, FaultProxy]]:
    """An echo server behind a proxy; at the end every stream that was opened is closed."""
    echo = Echo()
    async with echo.running() as port, FaultProxy("127.0.0.1", port) as proxy:
        try:
            yield echo, proxy
        finally:
            while _opened:
                _opened.pop().close()


async def connect(proxy: FaultProxy) -> Streams:
    streams = await asyncio.open_connection("127.0.0.1", proxy.port)
    _opened.append(streams[1])
    return streams


async def said(streams: Streams, text: bytes) -> bytes:
    reader, writer = streams
    writer.write(text)
    async with asyncio.timeout(PATIENCE_S):
        return await reader.readexactly(len(text))


async def until(probe: object, what: str) -> None:
    async def probed() -> object:
        assert callable(probe)
        return probe()

    await wait_until(probed, what=what, timeout_s=PATIENCE_S, interval_s=0.002)


async def test_it_passes_everything_on_until_told_otherwise_and_the_end_of_a_stream_too() -> None:
    async with proxied() as (echo, proxy):
        streams = await connect(proxy)
        large = bytes(range(256)) * 20_000  # more than waits anywhere, so that back-pressure is passed on
        assert await asyncio.gather(said(streams, large)) == [large]
        assert (proxy.accepted, len(proxy.connections)) == (1, 1)
        assert proxy.connections[0].bytes(Direction.BOTH) == 2 * len(large)
        streams[1].write_eof()
        assert await streams[0].read() == b""
        assert echo.ends == ["FIN"]
        await until(lambda: not proxy.connections, "the connection is forgotten")


async def test_a_dropped_connection_ends_with_a_reset_at_both_ends() -> None:
    async with proxied() as (echo, proxy):
        reader, _ = streams = await connect(proxy)
        await said(streams, b"hello")
        proxy.drop()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await until(lambda: echo.ends == ["RST"], "the server hears of it")


@pytest.mark.parametrize("direction", [Direction.TO_SERVER, Direction.TO_CLIENT])
async def test_one_way_alone_can_fall_silent_and_heals_without_loss(direction: Direction) -> None:
    async with proxied() as (echo, proxy):
        reader, writer = streams = await connect(proxy)
        await said(streams, b"before ")
        proxy.half_open(direction)
        writer.write(b"behind")
        if direction is Direction.TO_CLIENT:
            await until(lambda: echo.received == b"before behind", "the request is there")
        else:
            assert await said(await connect(proxy), b"!") == b"!"  # as long as the silence has lasted
            assert echo.received == b"before !"
        await proxy.heal()
        assert await reader.readexactly(6) == b"behind"


async def test_a_half_open_connection_tells_neither_side_that_the_other_left_and_new_ones_pass() -> None:
    async with proxied() as (echo, proxy):
        _, writer = streams = await connect(proxy)
        await said(streams, b"hello")
        [old] = proxy.connections
        proxy.half_open()
        writer.close()
        async with asyncio.timeout(PATIENCE_S):
            await old.client_left.wait()
        assert await said(await connect(proxy), b"new") == b"new"
        assert echo.ends == []
        assert old.half_open
        await proxy.heal()
        await until(lambda: len(echo.ends) == 1, "after healing the server hears of it")
        assert old not in proxy.connections


async def test_an_end_that_waited_for_a_peer_that_is_gone_meanwhile_is_an_end() -> None:
    class Gone(asyncio.Transport):
        """Reset underneath, which its owner has not been told of yet."""

        def write_eof(self) -> None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

        def is_closing(self) -> bool:
            return False

    ended = []
    flow = _Flow(0.0, lambda: ended.append(True), held=True)
    flow.connect(Gone())
    flow.put(None)
    flow.held = False
    flow.flush()
    assert (flow.ended, ended) == (True, [True])


async def test_a_cut_network_holds_new_connections_too() -> None:
    async with proxied() as (echo, proxy):
        proxy.half_open(new=True)
        reader, writer = await connect(proxy)
        writer.write(b"hello")
        await asyncio.wait_for(echo.connected.wait(), PATIENCE_S)
        await said_nothing(echo)
        await proxy.heal()
        assert await reader.readexactly(5) == b"hello"


async def said_nothing(echo: Echo) -> None:
    for _ in range(50):
        await asyncio.sleep(0)
    assert echo.received == b""


async def test_a_delay_is_as_long_as_asked_each_way() -> None:
    async with proxied() as (_, proxy):
        streams = await connect(proxy)
        await said(streams, b"hello")
        proxy.delay(0.05, Direction.TO_SERVER)
        proxy.delay(0.1, Direction.TO_CLIENT)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await said(streams, b"slow")
        assert loop.time() - began >= 0.15
        proxy.delay(0.0)
        await said(streams, b"fast")


async def test_refused_connections_come_to_nothing_and_open_ones_go_on() -> None:
    async with proxied() as (_, proxy):
        open_before = await connect(proxy)
        await said(open_before, b"hello")
        port = proxy.port
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await connect(proxy)
        await said(open_before, b"still here")
        await proxy.heal()
        assert proxy.port == port
        await said(await connect(proxy), b"again")


async def test_without_a_server_behind_it_connections_are_reset() -> None:
    async with proxied() as (_, proxy):
        async with FaultProxy("127.0.0.1", proxy.port) as gone:
            nobody = gone.port
        proxy.target = ("127.0.0.1", nobody)
        reader, _ = await connect(proxy)
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_leaving_ends_every_connection_and_no_task_stays() -> None:
    async with proxied() as (_, proxy):
        before = asyncio.all_tasks()
        async with FaultProxy(*proxy.target) as inner:
            reader, _ = streams = await connect(inner)
            await said(streams, b"hello")
            await connect(inner)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert {task for task in asyncio.all_tasks() if "fault proxy" in task.get_name()} <= before


# -- with a client behind it ---------------------------------------------------------------------------------------


@asynccontextmanager
async def connected(server: Server, folder: Path) -> AsyncIterator[tuple[Client, FaultProxy]]:
    """A client that reaches the server through a proxy only."""
    server.write_kubeconfig(folder / "kubeconfig")
    parts = urlsplit(server.url)
    async with FaultProxy(parts.hostname or "", parts.port or 0) as proxy:
        credentials = await load_credentials(kubeconfig=folder / "kubeconfig")
        credentials.server = f"{parts.scheme}://127.0.0.1:{proxy.port}"
        async with Client(HttpTransport(credentials), timeout_s=0.5) as client:
            yield client, proxy


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


async def test_a_client_tells_what_befell_it(server: Server, tmp_path: Path) -> None:
    async with connected(server, tmp_path) as (client, proxy):
        await client.create(config_map("a"))
        proxy.half_open(new=True)
        with pytest.raises(DeadlineExceeded):
            await client.get(kinds.CONFIG_MAP, "a")
        await proxy.heal()
        proxy.refuse()
        proxy.drop()
        with pytest.raises(TransportError):
            await client.get(kinds.CONFIG_MAP, "a")
        await proxy.heal()
        assert (await client.get(kinds.CONFIG_MAP, "a")).name == "a"


async def test_an_informer_lives_through_dropped_connections(server: Server, tmp_path: Path) -> None:
    async with connected(server, tmp_path) as (client, proxy):
        informer = Informer(client, kinds.CONFIG_MAP, "default")
        task = asyncio.create_task(informer.run())
        await informer.wait_synced(timeout_s=PATIENCE_S)
        proxy.drop()
        await client.create(config_map("while-away"))
        await until(lambda: Key("default", "while-away") in informer.store, "the object")
        assert informer.failures == 1
        await cancel_and_wait(task)
