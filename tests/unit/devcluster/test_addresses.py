"""Addresses of Pods."""

from __future__ import annotations

import pytest

from controllerkit.devcluster.node.addresses import AddressPool
from controllerkit.errors import DevClusterError

CIDR = "127.200.0.0/23"
"""Two blocks, apart from those that running nodes use."""


def test_an_address_is_given_once_and_again_only_after_the_others() -> None:
    pool = AddressPool(CIDR)
    try:
        first, second = pool.take(), pool.take()
        assert first != second
        pool.release(first)
        assert pool.take() not in (first, second)
        assert pool.take(first) == first, "unless it is asked for"
    finally:
        pool.close()


def test_two_pools_share_a_network_without_sharing_an_address() -> None:
    one, other = AddressPool(CIDR), AddressPool(CIDR)
    try:
        taken = one.take()
        assert other.take() != taken
        assert other.take(taken) != taken
        third = AddressPool(CIDR)
        with pytest.raises(DevClusterError, match=r"every address of 127\.200\.0\.0/23 is taken"):
            third.take()
        one.close()
        assert third.take(taken) == taken
        third.close()
    finally:
        one.close()
        other.close()


def test_a_preferred_address_of_another_network_is_not_given() -> None:
    pool = AddressPool(CIDR)
    try:
        assert pool.take("10.0.0.1").startswith("127.200.")
    finally:
        pool.close()


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "127.0.0.0/25", "::1/128"])
def test_only_loopback_networks_of_some_size_will_do(cidr: str) -> None:
    with pytest.raises(DevClusterError, match=r"must be a network in 127\.0\.0\.0/8"):
        AddressPool(cidr)
