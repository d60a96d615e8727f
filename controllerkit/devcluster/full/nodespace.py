"""The node: a process namespace and a mount namespace that containerd, kubelet and every container live in.

They make the node behave as a machine of its own that can be switched off. When its first process ends, the
kernel kills every other one in it, containers and the shims that no parent waits for alike, and drops every mount
that kubelet and containerd made; nothing of it is ever seen in the machine's own mount table. As that first
process dies with us, this holds for a killed parent too. And inside, all is at its usual path (/var/lib/kubelet,
/run/containerd), wherever the cluster's folder is: unix sockets' paths stay short and two clusters do not meet.
"""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from controllerkit.devcluster.full import linux
from controllerkit.devcluster.full.layout import Folders
from controllerkit.devcluster.process import ChildProcess, run_program
from controllerkit.errors import DevClusterError

__all__ = ["NodeSpace"]

TMPFS_FOLDERS: Final = ("/run/containerd", "/run/netns", "/var/lib/cni", "/var/log/containers")
"""What a reboot empties: sockets, the Pods' network namespaces, their address leases, links to their logs."""

KERNEL_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "vm/overcommit_memory": "1",
        "vm/panic_on_oom": "0",
        "kernel/panic": "10",
        "kernel/panic_on_oops": "1",
        "kernel/keys/root_maxkeys": "1000000",
        "kernel/keys/root_maxbytes": "25000000",
    }
)
"""What kubelet sets for the whole machine (kubelet ``setupKernelTunables``) unless it finds it so already.

A development cluster must not change the machine, so the node sees files that say what kubelet wants to read.
"""


@contextmanager
def _children_in_process_namespace(descriptor: int | None) -> Iterator[None]:
    """While held, this thread's children start in the process namespace that is open, or (None) in a new one."""
    home = os.open("/proc/thread-self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if descriptor is None:
            linux.unshare(linux.NEW_PROCESSES)
        else:
            linux.setns(descriptor, linux.NEW_PROCESSES)
        try:
            yield
        finally:
            linux.setns(home, linux.NEW_PROCESSES)
    finally:
        os.close(home)


class _NewSpace:
    """Surroundings of the node's first process."""

    @contextmanager
    def forking(self) -> Iterator[None]:
        with _children_in_process_namespace(None):
            yield

    def in_child(self) -> None:
        linux.unshare(linux.NEW_MOUNTS)


class NodeSpace:
    """The node's namespaces, and the surroundings for what is to run in them.

    Expected flow:
        ``start``; children with ``inside=space``; end those that must end in order; ``end``; the children's exit
        statuses must be taken by their owners, else the first process stays until they are.
    """

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._first: ChildProcess | None = None
        self._processes = -1
        self._mounts = -1

    @property
    def pid(self) -> int:
        """The node's first process, as seen from outside; 0 when there is none."""
        return self._first.pid if self._first is not None else 0

    @contextmanager
    def forking(self) -> Iterator[None]:
        """See `Surroundings`."""
        if not self.pid:
            raise DevClusterError("the node is switched off; start it before starting anything in it")
        with _children_in_process_namespace(self._processes):
            yield

    def in_child(self) -> None:
        """See `Surroundings`."""
        linux.setns(self._mounts, linux.NEW_MOUNTS)

    def start(self, init: Path) -> None:
        """Makes the namespaces with the program ``init`` as first process, and mounts what the node needs.

        Raises:
            DevClusterError: the kernel refused, or a mount failed.
        """
        cure = "the full cluster needs root and CAP_SYS_ADMIN (in a container: --privileged)"
        self._first = ChildProcess(
            "the node's first process", [str(init)], log=self._folders.logs / "node.log", cure=cure, inside=_NewSpace()
        )
        self._first.start()
        self._processes = os.open(f"/proc/{self.pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._mounts = os.open(f"/proc/{self.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        run_program(["sh", "-c", mount_script(self._folders, self._prepare_settings())], inside=self, cure=cure)

    def _prepare_settings(self) -> dict[str, Path]:
        """Files that say what kubelet wants to read, for those settings that this kernel has."""
        files: dict[str, Path] = {}
        for name, value in KERNEL_SETTINGS.items():
            if Path("/proc/sys", name).exists():
                files[name] = self._folders.config / f"sysctl-{name.replace('/', '-')}"
                files[name].write_text(f"{value}\n")
        return files

    def kill(self) -> None:
        """Switches the node off: the kernel kills everything in it. Does not wait."""
        if self._first is not None:
            self._first.send(signal.SIGKILL)

    async def end(self, timeout_s: float) -> bool:
        """``kill``, and whether all has ended within ``timeout_s``."""
        self.kill()
        for descriptor in (self._processes, self._mounts):
            if descriptor >= 0:
                os.close(descriptor)
        self._processes = self._mounts = -1
        return self._first is None or await self._first.wait(timeout_s)


def mount_script(folders: Folders, settings: Mapping[str, Path]) -> str:
    """The node's mounts as a shell script; runs in its mount namespace.

    What the machine mounts later is seen, what is mounted here is not (``rslave``); within the node mounts are
    shared, as kubelet's mount propagation expects.
    """
    lines = ["set -e", "mount --make-rslave /", "mount --make-rshared /", "mount -t proc proc /proc"]
    for folder in TMPFS_FOLDERS:
        lines += [f"mkdir -p {folder}", f"mount -t tmpfs -o mode=755 tmpfs {folder}"]
    for source, target in (
        (folders.containerd, "/var/lib/containerd"),
        (folders.kubelet, "/var/lib/kubelet"),
        (folders.logs / "pods", "/var/log/pods"),
    ):
        lines += [f"mkdir -p {target} {shlex.quote(str(source))}", f"mount --bind {shlex.quote(str(source))} {target}"]
    lines += [f"mount --bind {shlex.quote(str(path))} /proc/sys/{name}" for name, path in settings.items()]
    return "\n".join(lines) + "\n"
