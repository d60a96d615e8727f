"""Container images made from static binaries, without a container engine.

An image is one layer, a configuration and a manifest. `Image` keeps the layer as a file named by its digest;
`write_archive` packs the three as ``docker save`` does, for ``ctr images import``; the registry beside this module
serves them one by one.

Guarantees:
    The same files give the same bytes and so the same digests: owners, times and order are fixed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

__all__ = ["Image", "build_image", "write_archive"]

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"

_FOLDERS: Final[Mapping[str, int]] = {"etc": 0o755, "root": 0o700, "tmp": 0o1777, "var": 0o755, "var/lib": 0o755}

_TEXTS: Final[Mapping[str, str]] = {
    # Programs look up who they run as; "nonroot" is what runAsUser: 65532 means everywhere.
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnonroot:x:65532:\n",
    # Without it some resolvers ask DNS before /etc/hosts.
    "etc/nsswitch.conf": "hosts: files dns\n",
}

_ARCHITECTURES: Final[Mapping[str, str]] = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """One image. ``layer`` is a tar file; digests are ``sha256:…``."""

    reference: str
    config: bytes
    layer: Path
    layer_digest: str
    layer_size: int

    @property
    def config_digest(self) -> str:
        """What containerd calls the image's ID."""
        return digest_of(self.config)

    @property
    def manifest(self) -> bytes:
        """The OCI manifest, as JSON."""
        config = {"mediaType": CONFIG_TYPE, "digest": self.config_digest, "size": len(self.config)}
        layer = {"mediaType": LAYER_TYPE, "digest": self.layer_digest, "size": self.layer_size}
        return _json({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [layer]})


def digest_of(data: bytes) -> str:
    """``sha256:…`` of these bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def build_image(
    store: Path,
    reference: str,
    files: Mapping[str, Path],
    *,
    entrypoint: Sequence[str],
    env: Mapping[str, str] | None = None,
) -> Image:
    """An image of ``files`` (path in the container to a file here) and what any program expects of a root folder.

    The layer is written into ``store`` once per content. Reads every file once: some tenths of a second for the
    largest.
    """
    store.mkdir(parents=True, exist_ok=True)
    partial = store / f".layer.{os.getpid()}.{abs(hash(reference))}"
    try:
        with partial.open("wb") as raw:
            hashing = _HashingWriter(raw)
            with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as archive:
                _fill(archive, files)
        layer = store / f"{hashing.sha256.hexdigest()}.tar"
        partial.rename(layer)
    finally:
        partial.unlink(missing_ok=True)
    digest = f"sha256:{hashing.sha256.hexdigest()}"
    config = _config(digest, entrypoint, env or {})
    return Image(reference=reference, config=config, layer=layer, layer_digest=digest, layer_size=layer.stat().st_size)


def write_archive(image: Image, target: Path) -> Path:
    """Writes the image as ``docker save`` does: what ``ctr images import`` takes."""
    config_name, layer_name = f"{image.config_digest[7:]}.json", "layer.tar"
    manifest = _json([{"Config": config_name, "RepoTags": [image.reference], "Layers": [layer_name]}])
    with tarfile.open(target, "w") as archive:
        _add_bytes(archive, "manifest.json", manifest)
        _add_bytes(archive, config_name, image.config)
        with image.layer.open("rb") as layer:
            archive.addfile(_entry(layer_name, size=image.layer_size), layer)
    return target


class _HashingWriter(io.RawIOBase):
    """Passes what is written on and hashes it, so that the layer is read only once."""

    def __init__(self, target: io.BufferedWriter) -> None:
        self._target = target
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return self._target.write(data)


def _config(layer_digest: str, entrypoint: Sequence[str], env: Mapping[str, str]) -> bytes:
    variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **env}
    machine = os.uname().machine
    return _json(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": {
                "Entrypoint": list(entrypoint),
                "Env": [f"{name}={value}" for name, value in variables.items()],
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        }
    )


def _fill(archive: tarfile.TarFile, files: Mapping[str, Path]) -> None:
    inside = {path.strip("/"): source for path, source in files.items()}
    for folder, mode in sorted((dict.fromkeys(_parents(inside), 0o755) | dict(_FOLDERS)).items()):
        archive.addfile(_entry(folder, mode=mode, kind=tarfile.DIRTYPE))
    for path, text in sorted(_TEXTS.items()):
        if path not in inside:
            _add_bytes(archive, path, text.encode())
    for path, source in sorted(inside.items()):
        with source.open("rb") as file:
            archive.addfile(_entry(path, mode=0o755, size=os.fstat(file.fileno()).st_size), file)


def _parents(paths: Mapping[str, object]) -> Iterator[str]:
    for path in paths:
        for parent in PurePosixPath(path).parents:
            if parent.name:
                yield str(parent)


def _entry(name: str, *, mode: int = 0o644, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.size, info.type = mode, size, kind
    return info


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    archive.addfile(_entry(name, size=len(data)), io.BytesIO(data))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
