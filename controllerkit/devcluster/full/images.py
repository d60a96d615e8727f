"""Which images a full cluster has: its own two, and those of the image table."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.full.dns import COREDNS_IMAGE
from controllerkit.devcluster.full.oci import Image, build_image
from controllerkit.devcluster.images import ImageNotFound, ImageTable

__all__ = ["PAUSE_IMAGE", "ImageShelf"]

PAUSE_IMAGE: Final = "controllerkit.dev/pause:1"
_PAUSE_ELSEWHERE: Final = "registry.k8s.io/pause:"


class ImageShelf:
    """Makes images of binaries, in a worker thread.

    ``outside`` must hold threads that are not in the cluster's network namespace: building a binary for the first
    time needs the network.
    """

    def __init__(self, *, cache: BinaryCache, table: ImageTable, store: Path, outside: Executor) -> None:
        self._cache = cache
        self._table = table
        self._store = store
        self._outside = outside

    async def make(self, reference: str) -> Image | None:
        """The image for this reference; None where it is unknown.

        Raises:
            DevClusterError: it is known, and its binary cannot be built.
        """
        return await asyncio.get_running_loop().run_in_executor(self._outside, self._make, reference)

    def _make(self, reference: str) -> Image | None:
        if reference == COREDNS_IMAGE:
            return self._own(reference, "coredns", "/coredns")
        if reference == PAUSE_IMAGE or reference.startswith(_PAUSE_ELSEWHERE):
            return self._own(reference, "pause", "/pause")
        try:
            resolved = self._table.resolve(reference)
        except ImageNotFound:
            return None
        return build_image(self._store, reference, resolved.files, entrypoint=resolved.entrypoint, env=resolved.env)

    def _own(self, reference: str, component: str, path: str) -> Image:
        binary = self._cache.ensure(component, component)
        return build_image(self._store, reference, {path: binary}, entrypoint=[path])
