"""The image table: which files and which command an image reference stands for on this machine.

There is no registry and no pulling. An image is a handful of static binaries at their paths in the container, an
entrypoint and an environment; both the node that runs Pods as processes and the builder of real container images
read this one table.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from controllerkit.devcluster.binaries import ETCD_VERSIONS, BinaryCache
from controllerkit.errors import DevClusterError

__all__ = ["ImageNotFound", "ImageTable", "ResolvedImage"]

FileSource = Path | Callable[[], Path]
"""A file on this machine, or what provides it (builds it) when the image is first used."""

ETCD_REPOSITORIES: Final = ("quay.io/coreos/etcd", "gcr.io/etcd-development/etcd")
PAUSE_PATTERN: Final = "registry.k8s.io/pause:*"
_PAUSE_COMMAND: Final = ("/bin/sleep", "infinity")


class ImageNotFound(DevClusterError):
    """No entry of the table matches the reference; the message lists the known images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedImage:
    """An image as it can be run.

    Attributes:
        reference: as the Pod has it.
        files: absolute path in the container to the file on this machine.
        entrypoint: what runs unless the container has a ``command``.
        env: the image's own environment, under the container's.
        digest: ``sha256:…`` of paths, contents, entrypoint and environment; equal images have equal digests.
    """

    reference: str
    files: Mapping[str, Path]
    entrypoint: tuple[str, ...]
    env: Mapping[str, str]
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    pattern: str
    files: Mapping[str, FileSource]
    entrypoint: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    built: Callable[[], bool] = lambda: True


class ImageTable:
    """References to images; a later entry wins over an earlier one that matches too.

    Guarantees:
        Files are found or built at the first ``resolve`` that needs them, never before. Safe from several
        threads: two that need the same file build it once.
    """

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._building = threading.Lock()

    @classmethod
    def default(cls, cache: BinaryCache) -> ImageTable:
        """etcd of the versions in ``testbed/`` under its two registries' names, and pause."""
        table = cls()
        for minor, version in ETCD_VERSIONS.items():
            component = f"etcd-{minor}"
            for repository in ETCD_REPOSITORIES:
                table._entries.append(
                    _Entry(
                        pattern=f"{repository}:v{version}",
                        files={"/usr/local/bin/etcd": _from_cache(cache, component, "etcd")},
                        entrypoint=("/usr/local/bin/etcd",),
                        built=_is_cached(cache, component, "etcd"),
                    )
                )
        table.register(PAUSE_PATTERN, files={}, entrypoint=_PAUSE_COMMAND)
        return table

    def register(
        self,
        pattern: str,
        *,
        files: Mapping[str, FileSource],
        entrypoint: Sequence[str],
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Adds an entry. ``pattern`` is a reference or a glob such as ``quay.io/coreos/etcd:v3.7.*``.

        Raises:
            DevClusterError: a container path is not absolute, or there is no entrypoint.
        """
        relative = [path for path in files if not path.startswith("/")]
        if relative or not entrypoint:
            problem = f"the path {relative[0]!r} is not absolute" if relative else "it has no entrypoint"
            raise DevClusterError(f"image {pattern} cannot be registered: {problem}")
        self._entries.append(
            _Entry(pattern=pattern, files=dict(files), entrypoint=tuple(entrypoint), env=dict(env or {}))
        )

    def extend(self, path: Path) -> None:
        """Adds the entries of a YAML file.

        The file holds ``images``, a list of ``pattern``, ``files`` (container path to a path on this machine,
        relative ones from the YAML file's folder), ``entrypoint`` and, if wanted, ``env``.

        Raises:
            DevClusterError: the file cannot be read or an entry is wrong; the message names the entry.
        """
        try:
            value = yaml.safe_load(path.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise DevClusterError(f"the image file {path} cannot be read: {error}") from error
        entries = value.get("images") if isinstance(value, dict) else None
        if not isinstance(entries, list):
            raise DevClusterError(f"the image file {path} must hold a list under the key 'images'")
        for number, entry in enumerate(entries):
            self._extend_one(path, number, entry)

    def _extend_one(self, path: Path, number: int, entry: Any) -> None:
        where = f"images[{number}] of {path}"
        known = {"pattern", "files", "entrypoint", "env"}
        if not isinstance(entry, dict) or not entry.get("pattern") or not isinstance(entry.get("entrypoint"), list):
            raise DevClusterError(f"{where} needs a pattern and an entrypoint (a list)")
        if unknown := sorted(set(entry) - known):
            raise DevClusterError(
                f"{where} has unknown fields {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        files = {str(inside): path.parent / str(outside) for inside, outside in (entry.get("files") or {}).items()}
        env = {str(name): str(text) for name, text in (entry.get("env") or {}).items()}
        self.register(str(entry["pattern"]), files=files, entrypoint=[str(w) for w in entry["entrypoint"]], env=env)

    def resolve(self, reference: str, *, build: bool = True) -> ResolvedImage:
        """The image behind ``reference``; blocks, for minutes where a binary must be built first.

        With ``build`` False an image whose files would have to be built counts as unknown.

        Raises:
            ImageNotFound: no entry matches, or a file of the entry does not exist.
            BinaryUnavailable: a file could not be built.
        """
        entry = next((e for e in reversed(self._entries) if fnmatchcase(reference, e.pattern)), None)
        if entry is None or not (build or entry.built()):
            raise ImageNotFound(f"no image {reference!r} on this machine; known images: {', '.join(self.known())}")
        with self._building:
            files = {inside: source if isinstance(source, Path) else source() for inside, source in entry.files.items()}
        if missing := [str(path) for path in files.values() if not path.is_file()]:
            raise ImageNotFound(f"image {reference!r} is registered, but {', '.join(missing)} does not exist")
        return ResolvedImage(
            reference=reference,
            files=files,
            entrypoint=entry.entrypoint,
            env=dict(entry.env),
            digest=_digest(files, entry.entrypoint, entry.env),
        )

    def known(self) -> list[str]:
        """Every pattern, sorted."""
        return sorted({entry.pattern for entry in self._entries})


def _from_cache(cache: BinaryCache, component: str, binary: str) -> Callable[[], Path]:
    return lambda: cache.ensure(component, binary)


def _is_cached(cache: BinaryCache, component: str, binary: str) -> Callable[[], bool]:
    return lambda: cache.cached(component, binary) is not None


def _digest(files: Mapping[str, Path], entrypoint: Sequence[str], env: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr((tuple(entrypoint), sorted(env.items()))).encode())
    for inside, path in sorted(files.items()):
        stat = path.stat()
        digest.update(f"{inside}\0{_file_digest(path, stat.st_mtime_ns, stat.st_size)}\0".encode())
    return f"sha256:{digest.hexdigest()}"


@lru_cache(maxsize=256)
def _file_digest(path: Path, _mtime_ns: int, _size: int) -> str:
    """Remembered for as long as the file looks the same: etcd alone is 25 MB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
