"""A connection that is open and dead: noticed by the informer, and by the kernel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from controllerkit.apiserver import ApiServer
from controllerkit.cache import Informer, ReflectorOptions
from controllerkit.client import Client
from controllerkit.errors import DeadlineExceeded
from controllerkit.objects import Key, kinds
from controllerkit.runtime import BackoffOptions, cancel_and_wait, wait_until
from controllerkit.testing import Direction, FaultProxy
from controllerkit.wire import Credentials, HttpTransport, WireRequest

pytestmark = pytest.mark.embedded("its bookmarks come many times a second")

IDLE_S = 0.4
BOOKMARKS_S = IDLE_S / 8
QUICK = ReflectorOptions(watch_idle_s=IDLE_S, backoff=BackoffOptions(initial_s=0.01))


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer(bookmark_interval_s=BOOKMARKS_S) as running:
        yield running


@pytest.fixture
async def proxy(server: ApiServer) -> AsyncIterator[FaultProxy]:
    address = urlsplit(server.url)
    assert address.hostname is not None
    assert address.port is not None
    async with FaultProxy(address.hostname, address.port) as running:
        yield running


async def until(probe: Callable[[], object], what: str) -> None:
    async def probed() -> object:
        return probe()

    await wait_until(probed, what=what, timeout_s=10.0, interval_s=0.005)


@pytest.mark.parity("1a/dead-connection")
@pytest.mark.parametrize("direction", [Direction.BOTH, Direction.TO_CLIENT], ids=["both ways", "from the server"])
async def test_a_peer_that_falls_silent_without_a_word_is_replaced_within_the_deadline(
    server: ApiServer, proxy: FaultProxy, direction: Direction
) -> None:
    loop = asyncio.get_running_loop()
    async with (
        Client(HttpTransport(Credentials(server=f"http://127.0.0.1:{proxy.port}"))) as client,
        Client(HttpTransport(Credentials(server=server.url))) as direct,
    ):
        informer = Informer(client, kinds.CONFIG_MAP, "default", options=QUICK)
        running = asyncio.create_task(informer.run())
        try:
            await informer.wait_synced(timeout_s=10.0)
            (watched,) = proxy.connections
            heard = [watched.bytes(Direction.TO_CLIENT)]
            began = loop.time()
            while loop.time() - began < 2 * IDLE_S:  # bookmarks keep it alive, though nothing changes
                await until(lambda: watched.bytes(Direction.TO_CLIENT) > heard[-1], "a bookmark")
                heard.append(watched.bytes(Direction.TO_CLIENT))
            assert (informer.failures, proxy.accepted) == (0, 1)

            proxy.half_open(direction)
            fell_silent = loop.time()
            await direct.create(config_map("meanwhile"))
            await until(lambda: Key("default", "meanwhile") in informer.store, "what happened meanwhile")
            assert loop.time() - fell_silent < 3 * IDLE_S
            assert isinstance(informer.last_error, DeadlineExceeded)
            await watched.client_left.wait()
        finally:
            await cancel_and_wait(running)


async def test_tcp_itself_watches_every_connection(server: ApiServer) -> None:
    transport = HttpTransport(Credentials(server=server.url))
    async with transport.send(WireRequest(method="GET", path="/api/v1/configmaps?watch=true")) as answer:
        sock = answer._response.connection.transport.get_extra_info("socket")  # type: ignore[attr-defined]
        options = {
            name: sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        }
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    await transport.aclose()
    # A host that is gone is noticed where nothing is sent, and where something is.
    assert options["TCP_KEEPIDLE"] + options["TCP_KEEPINTVL"] * options["TCP_KEEPCNT"] <= 30
    assert options["TCP_USER_TIMEOUT"] == 30_000
