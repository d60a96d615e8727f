"""Which etcd this machine can run: one on PATH that is fit, else built from its Go module, else Debian's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controllerkit.devcluster import BinaryCache
from controllerkit.devcluster.binaries import ETCD_VERSIONS
from controllerkit.errors import BinaryUnavailable
from operators.etcd.versions import Refusal, Version, VersionMap, choose

__all__ = ["Found", "find_etcd"]

NEWEST_MINOR: Final = max(ETCD_VERSIONS, key=lambda minor: [int(part) for part in minor.split(".")])
_VERSION_LINE: Final = re.compile(r"etcd Version: (\d+\.\d+\.\d+)")
_INTERPRETER: Final = b"/lib64/ld-linux"


@dataclass(frozen=True, slots=True)
class Found:
    """An etcd: its version, its binary, and where it came from, for people."""

    version: str
    binary: Path
    source: str


def find_etcd(cache: BinaryCache, progress: Callable[[str], None], *, static: bool) -> Found:
    """The newest etcd to be had. ``static``: it must run in a container that holds nothing else.

    Raises:
        BinaryUnavailable: there is none; the message says what was tried.
    """
    on_path = _on_path(static=static)
    if on_path is not None and Version.parse(on_path.version) >= Version.parse(ETCD_VERSIONS[NEWEST_MINOR]):
        return on_path
    try:
        binary = cache.ensure(f"etcd-{NEWEST_MINOR}", "etcd")
        return Found(ETCD_VERSIONS[NEWEST_MINOR], binary, "built from its Go module")
    except BinaryUnavailable as error:
        if on_path is not None:
            return on_path
        debian = _from_debian(progress)
        if debian is None:
            raise BinaryUnavailable(
                f"no etcd: none that is fit on PATH, not built ({error}), and Debian's etcd-server cannot be installed"
            ) from error
        return debian


def _on_path(*, static: bool) -> Found | None:
    program = shutil.which("etcd")
    if program is None:
        return None
    path = Path(program).resolve()
    if static and _INTERPRETER in path.read_bytes()[:4096]:
        return None
    version = _version_of(path)
    if version is None or isinstance(choose(version, VersionMap()), Refusal):
        return None
    return Found(version, path, "on PATH")


def _version_of(path: Path) -> str | None:
    done = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=10, check=False)
    found = _VERSION_LINE.search(done.stdout)
    return found[1] if found else None


def _from_debian(progress: Callable[[str], None]) -> Found | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    progress("installing Debian's etcd-server")
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "etcd-server"]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        return None
    path = Path("/usr/bin/etcd")
    version = _version_of(path) if path.exists() else None
    return Found(version, path, "Debian's etcd-server") if version else None
