"""A container as a command line: bubblewrap's arguments, and whether bubblewrap works here.

A container gets its own user, process, host name and IPC namespaces and its own file tree; it shares the network
with the machine, where its Pod has a loopback address to itself. Nothing needs root.

Assumptions:
    A program listens on its Pod's address (``$(POD_IP)``, its host name), not on ``0.0.0.0``, and on a port that
    the user who runs the node may bind. The root file system is an empty writable memory file system with the
    machine's ``/usr`` read-only in it; ``/usr/local`` is empty but for the image's files. The process is uid 0 in
    its namespace whatever ``securityContext`` says. It runs under bubblewrap's small init, so unlike a container's
    first process it is ended by SIGTERM even without a handler.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from controllerkit.errors import DevClusterError

__all__ = ["DEFAULT_PATH", "Mount", "SandboxSpec", "check_sandbox", "enter_line", "sandbox_line"]

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POD_ETC: Final = "/.pod"
ETC_FILES: Final = ("hosts", "hostname", "resolv.conf", "passwd", "group", "nsswitch.conf")
_MERGED: Final = ("bin", "sbin", "lib", "lib32", "lib64")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of this machine at a path in the container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """Everything the command line depends on.

    ``etc`` is the folder with the Pod's `ETC_FILES`; ``files`` are the image's; ``status_fd`` is where bubblewrap
    reports (0: nowhere).
    """

    hostname: str
    command: Sequence[str]
    etc: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    working_dir: str = ""
    status_fd: int = 0
    bwrap: str = "bwrap"


def sandbox_line(spec: SandboxSpec) -> list[str]:
    """The arguments that run ``spec.command``; the environment is inherited.

    Guarantees:
        What is below in the tree is mounted later, so a volume may lie inside another one, and volumes cover the
        image's files.
    """
    line = [spec.bwrap, "--unshare-user", "--uid", "0", "--gid", "0", "--unshare-pid", "--unshare-uts"]
    line += ["--unshare-ipc", "--hostname", spec.hostname, "--die-with-parent", "--new-session"]
    if spec.status_fd:
        line += ["--json-status-fd", str(spec.status_fd)]
    line += ["--ro-bind", "/usr", "/usr", "--tmpfs", "/usr/local"]
    line += _top_level_folders(spec.files)
    line += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run", "--dir", "/var"]  # noqa: S108
    for name in ("ssl", "alternatives", "ld.so.cache"):
        line += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    line += ["--ro-bind", str(spec.etc), POD_ETC]
    # Links, so that a file can be replaced whole: a bind mount of the file itself would keep the old one.
    for name in ETC_FILES:
        line += ["--symlink", f"{POD_ETC}/{name}", f"/etc/{name}"]
    for target, source in sorted(spec.files.items()):
        line += ["--ro-bind", str(source), target]
    for mount in sorted(spec.mounts, key=lambda m: len(PurePosixPath(m.target).parts)):
        line += ["--ro-bind" if mount.read_only else "--bind", str(mount.source), mount.target]
    line += ["--chdir", spec.working_dir or "/", "--", *spec.command]
    return line


def _top_level_folders(files: Mapping[str, Path]) -> list[str]:
    """``/bin`` and its like lead into ``/usr``, unless the image brings files of its own for them."""
    line: list[str] = []
    for name in _MERGED:
        if any(target.startswith(f"/{name}/") for target in files):
            line += ["--dir", f"/{name}"]
            if name == "bin" and "/bin/sh" not in files:
                line += ["--symlink", "/usr/bin/sh", "/bin/sh"]
        elif Path(f"/usr/{name}").exists():
            line += ["--symlink", f"usr/{name}", f"/{name}"]
    return line


def enter_line(pid: int, command: Sequence[str]) -> list[str]:
    """The arguments that run ``command`` inside the namespaces of the sandbox whose init is ``pid``."""
    return [
        "nsenter",
        f"--target={pid}",
        "--user",
        "--mount",
        "--pid",
        "--uts",
        "--wd",
        "--preserve-credentials",
        "--",
        *command,
    ]


def check_sandbox(bwrap: str = "bwrap") -> str:
    """The path of bubblewrap, after a trial run.

    Raises:
        DevClusterError: it is not installed, or may not make namespaces; the message says what to do.
    """
    found = shutil.which(bwrap)
    if found is None:
        raise DevClusterError(
            "Pods run in sandboxes made by bubblewrap, which is not installed: install the package bubblewrap"
        )
    trial = sandbox_line(SandboxSpec(hostname="trial", command=["/usr/bin/true"], etc=Path("/usr"), bwrap=found))
    try:
        done = subprocess.run(trial, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DevClusterError(f"bubblewrap cannot be run ({error}); install it anew") from error
    if done.returncode != 0:
        raise DevClusterError(
            f"bubblewrap may not make namespaces here ({done.stderr.strip() or f'status {done.returncode}'}): allow "
            "unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or "
            "kernel.apparmor_restrict_unprivileged_userns=0 under AppArmor), or run as root"
        )
    return found
