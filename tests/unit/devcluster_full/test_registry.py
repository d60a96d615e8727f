"""The registry: what containerd asks in one pull, and what it is told about unknown images."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from controllerkit.devcluster.full.oci import Image, build_image
from controllerkit.devcluster.full.registry import Registry, references
from controllerkit.errors import DevClusterError

KNOWN = "quay.io/coreos/etcd:v3.6.16"
BROKEN = "example.com/broken:1"


class Shelf:
    """Makes one image, counts how often, and cannot make another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[str] = []

    async def make(self, reference: str) -> Image | None:
        if reference == BROKEN:
            raise DevClusterError("the build failed")
        if reference != KNOWN:
            return None
        self.made.append(reference)
        await asyncio.sleep(0)
        binary = self.folder / "etcd"
        binary.write_bytes(b"program")
        return build_image(self.folder / "store", reference, {"/etcd": binary}, entrypoint=["/etcd"])


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest_asyncio.fixture
async def session(shelf: Shelf) -> AsyncIterator[aiohttp.ClientSession]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    registry = Registry(shelf.make)
    await registry.start(port)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as value:
        yield value
    await registry.stop()
    await registry.stop()


async def test_a_pull_finds_manifest_configuration_and_layer_by_their_digests(session: aiohttp.ClientSession) -> None:
    async with session.head("/v2/coreos/etcd/manifests/v3.6.16?ns=quay.io") as response:
        assert response.status == 200
        digest = response.headers["Docker-Content-Digest"]
    async with session.get(f"/v2/coreos/etcd/manifests/{digest}?ns=quay.io") as response:
        assert response.content_type == "application/vnd.oci.image.manifest.v1+json"
        body = await response.read()
        assert digest == f"sha256:{hashlib.sha256(body).hexdigest()}"
        manifest = await response.json(content_type=None)
    for part in (manifest["config"], *manifest["layers"]):
        async with session.get(f"/v2/coreos/etcd/blobs/{part['digest']}?ns=quay.io") as response:
            blob = await response.read()
            assert response.headers["Content-Type"] == part["mediaType"]
            assert len(blob) == part["size"]
            assert part["digest"] == f"sha256:{hashlib.sha256(blob).hexdigest()}"


async def test_an_image_is_made_once_however_many_ask_at_once(session: aiohttp.ClientSession, shelf: Shelf) -> None:
    async def ask() -> int:
        async with session.get("/v2/coreos/etcd/manifests/v3.6.16?ns=quay.io") as response:
            return response.status

    assert set(await asyncio.gather(*(ask() for _ in range(5)))) == {200}
    assert shelf.made == [KNOWN]


@pytest.mark.parametrize(
    "path",
    [
        "/v2/unknown/manifests/1?ns=example.com",
        "/v2/coreos/etcd/manifests/v3.6.16?ns=docker.io",
        f"/v2/coreos/etcd/manifests/sha256:{'0' * 64}?ns=quay.io",
        f"/v2/coreos/etcd/blobs/sha256:{'0' * 64}?ns=quay.io",
    ],
)
async def test_what_is_unknown_is_not_found_in_the_registrys_own_words(
    session: aiohttp.ClientSession, path: str
) -> None:
    async with session.get(path) as response:
        assert response.status == 404
        assert (await response.json())["errors"][0]["code"] in {"MANIFEST_UNKNOWN", "BLOB_UNKNOWN"}


async def test_a_build_that_fails_reaches_the_pods_events(session: aiohttp.ClientSession) -> None:
    async with session.get("/v2/broken/manifests/1?ns=example.com") as response:
        assert response.status == 500
        assert (await response.json())["errors"][0]["message"] == "the build failed"


async def test_containerd_may_ask_whether_this_is_a_registry(session: aiohttp.ClientSession) -> None:
    async with session.get("/v2/") as response:
        assert response.status == 200


def test_a_docker_hub_image_is_known_by_its_short_names_too() -> None:
    assert references("prom/prometheus", "v3", "docker.io") == ["docker.io/prom/prometheus:v3", "prom/prometheus:v3"]
    assert references("prom/prometheus", "v3", "") == ["prom/prometheus:v3"]
