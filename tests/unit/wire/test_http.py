"""What the HTTP transport does with connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from controllerkit.apiserver import ApiServer, TlsFiles
from controllerkit.client import Client
from controllerkit.devcluster.pki import Authority
from controllerkit.errors import TransportError
from controllerkit.objects import kinds
from controllerkit.runtime import cancel_and_wait, wait_until
from controllerkit.testing import Connection, Direction, FaultProxy
from controllerkit.wire import Credentials, HttpTransport


@asynccontextmanager
async def behind_tls(folder: Path) -> AsyncIterator[tuple[Client, FaultProxy]]:
    authority = Authority.create("test")
    certificate, key = authority.issue("apiserver", names=[], addresses=["127.0.0.1"]).write(folder, "tls")
    tls = TlsFiles(certificate=certificate, key=key, ca=authority.save(folder))
    async with ApiServer(tls=tls) as server, FaultProxy("127.0.0.1", urlsplit(server.url).port or 0) as proxy:
        credentials = Credentials(server=f"https://127.0.0.1:{proxy.port}", ca_file=str(tls.ca))
        async with Client(HttpTransport(credentials)) as client:
            yield client, proxy


async def test_leaving_a_watch_over_tls_closes_its_connection_though_the_peer_is_gone(tmp_path: Path) -> None:
    async with behind_tls(tmp_path) as (client, proxy):
        async with client.watch(kinds.CONFIG_MAP, send_initial_events=True) as stream:
            await anext(aiter(stream))
            [connection] = proxy.connections
            proxy.half_open()
        await asyncio.wait_for(connection.client_left.wait(), 5.0)


async def test_a_closed_client_has_no_open_connection_not_even_of_a_call_that_was_cancelled(tmp_path: Path) -> None:
    async with behind_tls(tmp_path) as (client, proxy):
        await client.list(kinds.CONFIG_MAP)
        [connection] = proxy.connections
        proxy.delay(0.05)
        call = asyncio.create_task(client.list(kinds.CONFIG_MAP))
        sent = connection.bytes(Direction.TO_SERVER)
        await wait_until(_more_than(sent, connection), what="the request is under way", timeout_s=5.0, interval_s=0.002)
        await cancel_and_wait(call)
        await client.aclose()
        assert [each.fileno() for each in client._transport._sockets if each.fileno() >= 0] == []


async def test_a_call_while_the_client_is_being_closed_is_refused_by_a_typed_error(tmp_path: Path) -> None:
    async with behind_tls(tmp_path) as (client, _):
        await client.list(kinds.CONFIG_MAP)
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        with pytest.raises(TransportError, match="the client is being closed"):
            await client.list(kinds.CONFIG_MAP)
        await closing


def _more_than(sent: int, connection: Connection) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return connection.bytes(Direction.TO_SERVER) > sent

    return probe
