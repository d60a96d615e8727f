"""The cluster's network namespace, and the calling thread's way into it and back.

The thread itself moves, so that every child it starts from then on is inside: no wrapper around any command, and
an operator that runs in this process reaches Pods by their addresses. Other threads stay where they are.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from controllerkit.devcluster.full import linux
from controllerkit.devcluster.full.layout import Addresses
from controllerkit.devcluster.process import run_program
from controllerkit.errors import DevClusterError

__all__ = ["NETNS_FOLDER", "NetworkNamespace", "forget_namespace"]

NETNS_FOLDER: Final = Path("/run/netns")
"""Where iproute2 and nsenter's users look for names."""

_BRIDGE: Final = "node0"


def interface_batch(addresses: Addresses) -> str:
    """The namespace's interfaces and routes as one ``ip -batch`` script.

    The node's address needs a device of its own, as Pods cannot reach one on ``lo``. Service addresses need a
    route, else the kernel refuses them before kube-proxy's rules rewrite them. Everything else is unreachable, so
    that a program which looks for the outside world is told at once and does not wait.
    """
    return "\n".join(
        (
            "link set lo up",
            f"link add {_BRIDGE} type bridge",
            f"address add {addresses.node}/32 dev {_BRIDGE}",
            f"link set {_BRIDGE} up",
            f"route add {addresses.services} dev {_BRIDGE}",
            "route add unreachable default",
            "",
        )
    )


class NetworkNamespace:
    """A new network namespace with a name under /run/netns.

    Expected flow:
        ``enter`` and ``leave`` on the same thread.
    Guarantees:
        ``leave`` is idempotent, and undoes a half-done ``enter``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = NETNS_FOLDER / name
        self._home: int | None = None
        self._thread = 0

    def enter(self, addresses: Addresses) -> None:
        """Makes the namespace, names it, moves the calling thread into it and sets its interfaces up.

        Raises:
            DevClusterError: the kernel refused.
        """
        self._thread = threading.get_native_id()
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            linux.unshare(linux.NEW_NETWORK)
        except OSError as error:
            raise DevClusterError(
                f"the kernel does not let this process make a network namespace ({error.strerror}); "
                "run as root, in a container with --privileged"
            ) from error
        NETNS_FOLDER.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        run_program(["mount", "--bind", f"/proc/{os.getpid()}/task/{self._thread}/ns/net", str(self.path)])
        run_program(["ip", "-batch", "-"], stdin=interface_batch(addresses))
        # Per namespace: the machine's own setting is another.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def leave(self) -> None:
        """Moves the thread back and forgets the name; the namespace goes with the last process in it.

        Raises:
            DevClusterError: called on another thread than ``enter``.
        """
        if self._home is not None:
            if threading.get_native_id() != self._thread:
                raise DevClusterError("a full cluster is stopped on the thread that started it")
            linux.setns(self._home, linux.NEW_NETWORK)
            os.close(self._home)
            self._home = None
        forget_namespace(self.name)


def forget_namespace(name: str) -> None:
    """Removes a name under /run/netns, mounted or not; nothing where there is none."""
    path = NETNS_FOLDER / name
    if not path.exists():
        return
    # Unmounting fails where a start was cancelled between making the file and mounting on it.
    with suppress(DevClusterError):
        run_program(["umount", "--lazy", str(path)])
    path.unlink(missing_ok=True)
