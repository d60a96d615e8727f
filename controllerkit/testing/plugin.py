"""pytest fixtures: an API server in the process, and a client to it.

In ``conftest.py``::

    pytest_plugins = ["controllerkit.testing.plugin"]

    @pytest.fixture
    def kube_resources():
        return [Website]

It needs pytest-asyncio, in whatever mode. Each test has a server of its own, which starts in about a millisecond.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from controllerkit.apiserver import ApiServer
from controllerkit.client import Client
from controllerkit.schema import Resource
from controllerkit.testing.clock import VirtualClock
from controllerkit.testing.running import connected

__all__ = ["kube_client", "kube_resources", "kube_server", "virtual_clock"]


@pytest.fixture
def kube_resources() -> Sequence[type[Resource]]:
    """The custom resources that the server serves: none, until a test or conftest says otherwise."""
    return ()


@pytest_asyncio.fixture
async def kube_server() -> AsyncIterator[ApiServer]:
    """An embedded API server that listens nowhere; see `ApiServer`."""
    async with ApiServer(port=None) as server:
        yield server


@pytest_asyncio.fixture
async def kube_client(kube_server: ApiServer, kube_resources: Sequence[type[Resource]]) -> AsyncIterator[Client]:
    """An administrator's client to ``kube_server``, which serves ``kube_resources``."""
    async with connected(kube_server, kube_resources) as client:
        yield client


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """A clock that stands until it is moved."""
    return VirtualClock()
