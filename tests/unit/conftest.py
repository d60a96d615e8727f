"""An API server and clients to it: the embedded one, with ``--api=real`` (or ``both``) the real kube-apiserver.

With ``--api=memory`` it is the embedded one, and the clients reach it without sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from controllerkit.apiserver import ApiServer
from controllerkit.client import Client
from controllerkit.errors import AlreadyExists
from controllerkit.schema import Resource
from controllerkit.testing import served
from tests.servers import KEPT_LABEL, Planes, RealServer, Server, tidy


class Website(Resource, group="example.dev", version="v1"):
    """The custom resource the tests reconcile."""

    spec: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies defaults
    status: dict[str, Any] = {}  # noqa: RUF012


OPEN_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
WEBSITE_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "websites.example.dev", "labels": {KEPT_LABEL: "yes"}},
    "spec": {
        "group": "example.dev",
        "scope": "Namespaced",
        "names": {"plural": "websites", "singular": "website", "kind": "Website"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {"type": "object", "properties": {"spec": OPEN_SCHEMA, "status": OPEN_SCHEMA}}
                },
            }
        ],
    },
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = metafunc.config.getoption("--api")
    if chosen != "embedded" and "server" in metafunc.fixturenames:
        names = ("embedded", "real") if chosen == "both" else (chosen,)
        metafunc.parametrize("server", [pytest.param(name, id=name) for name in names], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On the real server run those that touch a server, but for those that say why they cannot."""
    here = str(Path(__file__).parent)
    chosen = config.getoption("--api")
    left_out = []
    for item in items:
        if chosen == "embedded" or not str(item.path).startswith(here):
            continue
        callspec = getattr(item, "callspec", None)
        on = callspec.params.get("server") if callspec is not None else None
        if on is None and chosen == "real":
            left_out.append(item)
        elif on == "real" and (reason := item.get_closest_marker("embedded")) is not None:
            item.add_marker(pytest.mark.skip(reason=f"on the embedded server only: {reason.args[0]}"))
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def planes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Planes]:
    made = Planes(tmp_path_factory.getbasetemp() / "plane")
    yield made
    await made.stop()


@pytest.fixture
async def server(request: pytest.FixtureRequest, planes: Planes) -> AsyncIterator[Server]:
    if getattr(request, "param", "embedded") != "real":
        async with ApiServer() as running:
            yield running
        return
    real = RealServer(await planes.get())
    async with real.connected() as client:
        await tidy(client, keep="websites" in request.fixturenames)
    yield real


@pytest.fixture
async def client(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> AsyncIterator[Client]:
    server.write_kubeconfig(tmp_path / "kubeconfig")
    if request.config.getoption("--api") == "memory" and isinstance(server, ApiServer):
        async with Client(server.transport()) as connected:
            yield connected
        return
    async with await Client.connect(kubeconfig=tmp_path / "kubeconfig") as connected:
        yield connected


@pytest.fixture
async def websites(client: Client) -> Client:
    """A client to a server that serves websites."""
    with suppress(AlreadyExists):
        await client.create(WEBSITE_CRD)
    await served(client, Website, timeout_s=15.0)
    return client
