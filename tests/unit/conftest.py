"""The embedded API server and clients to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controllerkit.apiserver import ApiServer
from controllerkit.client import Client
from controllerkit.errors import ApiError
from controllerkit.runtime import wait_until
from controllerkit.schema import Resource


class Website(Resource, group="example.dev", version="v1"):
    """The custom resource the tests reconcile."""

    spec: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies defaults
    status: dict[str, Any] = {}  # noqa: RUF012


OPEN_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
WEBSITE_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "websites.example.dev"},
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


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer() as running:
        yield running


@pytest.fixture
async def client(server: ApiServer, tmp_path: Path) -> AsyncIterator[Client]:
    server.write_kubeconfig(tmp_path / "kubeconfig")
    async with await Client.connect(kubeconfig=tmp_path / "kubeconfig") as connected:
        yield connected


@pytest.fixture
async def websites(client: Client) -> Client:
    """A client to a server that serves websites."""
    await client.create(WEBSITE_CRD)

    async def served() -> bool:
        try:
            await client.list(Website)
        except ApiError:
            return False
        return True

    await wait_until(served, what="the CRD is served", timeout_s=5.0, interval_s=0.01)
    return client
