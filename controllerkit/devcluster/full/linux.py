"""The few system calls that Python 3.11 has no name for: namespaces, per thread."""

from __future__ import annotations

import ctypes
import os
from typing import Final

__all__ = ["NEW_MOUNTS", "NEW_NETWORK", "NEW_PROCESSES", "setns", "unshare"]

# linux/sched.h
NEW_MOUNTS: Final = 0x00020000
NEW_PROCESSES: Final = 0x20000000
NEW_NETWORK: Final = 0x40000000

_libc: Final = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Gives the calling thread (for processes: its next children) new namespaces.

    Raises:
        OSError: the kernel refused; EPERM without CAP_SYS_ADMIN.
    """
    if _libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "unshare")


def setns(descriptor: int, flags: int) -> None:
    """Moves the calling thread (for processes: its next children) into the namespace that is open as ``descriptor``.

    Raises:
        OSError: the kernel refused.
    """
    if _libc.setns(descriptor, flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")
