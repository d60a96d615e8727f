"""Loopback addresses for Pods: one each, and none twice on a machine even with several nodes on it."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Final

from controllerkit.errors import DevClusterError

__all__ = ["AddressPool"]

BLOCK_PREFIX: Final = 24


class AddressPool:
    """Hands out addresses of ``cidr``, a block of 254 at a time.

    A block is held by an abstract UNIX socket named after it, which the kernel releases with the process, so two
    pools on one machine never share a block, and a crash leaves nothing behind.

    Guarantees:
        An address that was released is given again only after the others of its block.
    Raises:
        DevClusterError: no block is left, or ``cidr`` is no network of loopback addresses.
    """

    def __init__(self, cidr: str) -> None:
        network = ipaddress.ip_network(cidr)
        if (
            not isinstance(network, ipaddress.IPv4Network)
            or not network.is_loopback
            or network.prefixlen > BLOCK_PREFIX
        ):
            raise DevClusterError(
                f"pod_cidr must be a network in 127.0.0.0/8 of at least a /{BLOCK_PREFIX}, got {cidr}"
            )
        self._network = network
        self._locks: dict[ipaddress.IPv4Network, socket.socket] = {}
        self._free: list[str] = []
        self._used: set[str] = set()

    def take(self, preferred: str = "") -> str:
        """A free address; ``preferred`` if it is free and its block ours to have."""
        if preferred and self._reserve(preferred):
            self._free.remove(preferred)
            self._used.add(preferred)
            return preferred
        if not self._free:
            self._next_block()
        address = self._free.pop(0)
        self._used.add(address)
        return address

    def release(self, address: str) -> None:
        """Makes ``address`` available again; an address not taken is ignored."""
        if address in self._used:
            self._used.remove(address)
            self._free.append(address)

    def close(self) -> None:
        """Gives every block back."""
        for lock in self._locks.values():
            lock.close()
        self._locks.clear()
        self._free.clear()
        self._used.clear()

    def _reserve(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address)
        if parsed not in self._network:
            return False
        block = ipaddress.IPv4Network((int(parsed) & ~0xFF, BLOCK_PREFIX))
        if block not in self._locks:
            self._claim(block)
        return address in self._free

    def _next_block(self) -> None:
        blocks = 1 << (BLOCK_PREFIX - self._network.prefixlen)
        # Several nodes started in the same moment do not all try the same blocks first.
        first = os.getpid() % blocks
        for step in range(blocks):
            start = int(self._network.network_address) + (((first + step) % blocks) << (32 - BLOCK_PREFIX))
            if self._claim(ipaddress.IPv4Network((start, BLOCK_PREFIX))):
                return
        raise DevClusterError(f"every address of {self._network} is taken; stop other development clusters")

    def _claim(self, block: ipaddress.IPv4Network) -> bool:
        if block in self._locks:
            return False
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0controllerkit/pod-addresses/{block}")
        except OSError:
            lock.close()
            return False
        self._locks[block] = lock
        self._free += [str(host) for host in block.hosts()]
        # 127.x.y.1 looks like a gateway and 127.0.0.1 is the machine itself.
        self._free.remove(str(block.network_address + 1))
        return True
