"""What this machine must have for the full cluster, and what to do where it has not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

__all__ = ["PROGRAMS", "what_is_missing"]

PROGRAMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "containerd": "containerd",
        "ctr": "containerd",
        "containerd-shim-runc-v2": "containerd",
        "runc": "runc",
        "iptables": "iptables",
        "ip": "iproute2",
        "mount": "mount",
        "umount": "mount",
    }
)
"""Each program and the Debian package that brings it."""

_PLUGIN_PACKAGE: Final = "containernetworking-plugins"
_ROOT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CAP_SYS_ADMIN: Final = 21


def what_is_missing(*, plugin_folders: Sequence[Path], plugins: Sequence[str]) -> str:
    """One sentence that says why a full cluster cannot run here and what to do; "" where it can."""
    if os.geteuid() != 0:
        return (
            "a full cluster makes network namespaces and runs containers, which needs root: run it with sudo, "
            "or use the embedded or the real bed, which need no privileges"
        )
    if not _has_capability(_CAP_SYS_ADMIN):
        return "this root has no CAP_SYS_ADMIN: start the container that this runs in with --privileged"
    path = os.environ.get("PATH", "") + ":" + _ROOT_PATH
    missing = {program: package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)}
    if not any(all((folder / plugin).is_file() for plugin in plugins) for folder in plugin_folders):
        missing["CNI plugins"] = _PLUGIN_PACKAGE
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        return f"missing here: {', '.join(missing)}; install them with: apt-get install {packages}"
    if not _kernel_has("overlay"):
        return "this kernel has no overlay file system, which containers' root folders need: modprobe overlay"
    return ""


def _has_capability(number: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return True


def _kernel_has(filesystem: str) -> bool:
    # A module that can be loaded is not listed yet; mounting loads it, so only a kernel without modules is sure.
    known = Path("/proc/filesystems").read_text().split()
    return filesystem in known or Path("/proc/modules").is_file()
