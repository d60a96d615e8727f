"""A read-only image registry for one node: what containerd pulls from, whatever registry a Pod names.

Images are made when they are first asked for, so a cluster starts without unpacking what nobody runs, a Pod with
``imagePullPolicy: Always`` works, and an unknown image fails as it would anywhere: ErrImagePull, not found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from controllerkit.devcluster.full.oci import CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE, Image, digest_of
from controllerkit.errors import DevClusterError

__all__ = ["ImageMaker", "Registry", "references"]

ImageMaker = Callable[[str], Awaitable[Image | None]]
"""The image for a reference, or None where it is unknown; may take minutes when a binary has to be built."""

_DOCKER_HUB: Final = "docker.io"
STOP_TIMEOUT_S: Final = 1.0


def references(name: str, tag: str, registry: str) -> list[str]:
    """How a Pod may have written the image that containerd now asks ``registry`` for, the fullest first.

    >>> references("coreos/etcd", "v3.6.16", "quay.io")
    ['quay.io/coreos/etcd:v3.6.16']
    >>> references("library/etcd", "3.6", "docker.io")
    ['docker.io/library/etcd:3.6', 'library/etcd:3.6', 'etcd:3.6']
    """
    found = [f"{registry}/{name}:{tag}" if registry else f"{name}:{tag}"]
    if registry == _DOCKER_HUB:
        found.append(f"{name}:{tag}")
        if name.startswith("library/"):
            found.append(f"{name.removeprefix('library/')}:{tag}")
    return found


class Registry:
    """The registry; only what speaks to the cluster's own loopback can reach it.

    Expected flow:
        ``start`` in the network namespace, ``stop``. The event loop that runs it must not be blocked for long, as
        pulls wait meanwhile.
    """

    def __init__(self, make: ImageMaker) -> None:
        self._make = make
        self._images: dict[str, Image] = {}
        self._by_manifest: dict[str, Image] = {}
        self._blobs: dict[str, Image] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> None:
        """Listens on 127.0.0.1.

        Raises:
            DevClusterError: the port is taken.
        """
        application = web.Application()
        application.router.add_get("/v2/", self._version)
        application.router.add_get("/v2/{name:.+}/manifests/{reference}", self._manifest)
        application.router.add_get("/v2/{name:.+}/blobs/{digest}", self._blob)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        except OSError as error:
            raise DevClusterError(f"the image registry cannot listen on port {port}: {error.strerror}") from error

    async def stop(self) -> None:
        """Stops listening. Safe to call twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def image(self, *candidates: str) -> Image | None:
        """The image for the first of these references that is known, made once."""
        for reference in candidates:
            async with self._locks.setdefault(reference, asyncio.Lock()):
                if (image := self._images.get(reference)) is not None:
                    return image
                if (image := await self._make(reference)) is not None:
                    self._remember(reference, image)
                    return image
        return None

    def _remember(self, reference: str, image: Image) -> None:
        self._images[reference] = image
        self._by_manifest[digest_of(image.manifest)] = image
        self._blobs[image.config_digest] = image
        self._blobs[image.layer_digest] = image

    async def _version(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({})

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        reference = request.match_info["reference"]
        if reference.startswith("sha256:"):
            image = self._by_manifest.get(reference)
        else:
            asked = references(request.match_info["name"], reference, request.query.get("ns", ""))
            try:
                image = await self.image(*asked)
            except DevClusterError as error:
                return _refusal(500, "UNKNOWN", str(error))
        if image is None:
            return _refusal(404, "MANIFEST_UNKNOWN", f"{reference} is not in the development cluster's image table")
        manifest = image.manifest
        headers = {"Docker-Content-Digest": digest_of(manifest)}
        return web.Response(body=manifest, content_type=MANIFEST_TYPE, headers=headers)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        digest = request.match_info["digest"]
        image = self._blobs.get(digest)
        if image is None:
            return _refusal(404, "BLOB_UNKNOWN", digest)
        headers = {"Docker-Content-Digest": digest}
        if digest == image.config_digest:
            return web.Response(body=image.config, content_type=CONFIG_TYPE, headers=headers)
        return web.FileResponse(image.layer, headers={**headers, "Content-Type": LAYER_TYPE})


def _refusal(status: int, code: str, message: str) -> web.Response:
    """The error document of the distribution specification."""
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=status)
