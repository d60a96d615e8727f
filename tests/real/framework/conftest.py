"""The fixtures of the unit tests, on the servers that ``--bed`` names: embedded and real by default."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from controllerkit.client import Client
from controllerkit.testing import FaultProxy, FaultyTransport
from controllerkit.wire import Credentials, HttpTransport, load_credentials
from tests.servers import Server
from tests.unit.conftest import client, planes, server, websites

__all__ = ["Link", "client", "linked", "planes", "server", "websites"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        beds = metafunc.config.getoption("--bed") or ["embedded", "real"]
        only = metafunc.definition.get_closest_marker("real")
        names = [bed for bed in beds if bed == "real" or (bed == "embedded" and only is None)]
        metafunc.parametrize("server", [pytest.param(name, marks=pytest.mark.real) for name in names], indirect=True)


@dataclass
class Link:
    """A client whose way to the server can be broken."""

    client: Client
    proxy: FaultProxy
    transport: FaultyTransport
    credentials: Credentials

    def asked(self, verb: str, text: str = "") -> int:
        """How often that was asked of the server."""
        return sum(each == verb and text in path for each, path in self.transport.requests)


Linked = Callable[..., AbstractAsyncContextManager[Link]]


@pytest.fixture
def linked(server: Server, tmp_path: Path) -> Linked:
    """Makes clients that go through a proxy of their own."""

    @asynccontextmanager
    async def link(*, token: str | None = None) -> AsyncIterator[Link]:
        server.write_kubeconfig(tmp_path / "kubeconfig")
        credentials = await load_credentials(kubeconfig=tmp_path / "kubeconfig")
        if token is not None:
            credentials.token = token
        parts = urlsplit(server.url)
        async with FaultProxy(parts.hostname or "", parts.port or 0) as proxy:
            credentials.server = f"{parts.scheme}://127.0.0.1:{proxy.port}"
            transport = FaultyTransport(HttpTransport(credentials))
            async with Client(transport, timeout_s=5.0) as connected:
                yield Link(connected, proxy, transport, credentials)

    return link
