"""What the HTTP transport does with connections."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from controllerkit.apiserver import ApiServer, TlsFiles
from controllerkit.client import Client
from controllerkit.devcluster.pki import Authority
from controllerkit.objects import kinds
from controllerkit.testing import FaultProxy
from controllerkit.wire import Credentials, HttpTransport


async def test_leaving_a_watch_over_tls_closes_its_connection_though_the_peer_is_gone(tmp_path: Path) -> None:
    authority = Authority.create("test")
    certificate, key = authority.issue("apiserver", names=[], addresses=["127.0.0.1"]).write(tmp_path, "tls")
    tls = TlsFiles(certificate=certificate, key=key, ca=authority.save(tmp_path))
    async with ApiServer(tls=tls) as server, FaultProxy("127.0.0.1", urlsplit(server.url).port or 0) as proxy:
        credentials = Credentials(server=f"https://127.0.0.1:{proxy.port}", ca_file=str(tls.ca))
        async with Client(HttpTransport(credentials)) as client:
            async with client.watch(kinds.CONFIG_MAP, send_initial_events=True) as stream:
                await anext(aiter(stream))
                [connection] = proxy.connections
                proxy.half_open()
            await asyncio.wait_for(connection.client_left.wait(), 5.0)
