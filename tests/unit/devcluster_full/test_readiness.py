"""What counts as ready, and the DNS question on the wire."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from controllerkit.devcluster.full import readiness
from controllerkit.devcluster.full.readiness import dns_answers, dns_query, has_answers, is_ready
from controllerkit.objects import Object


def with_conditions(**conditions: str) -> Object:
    listed = [{"type": name, "status": status} for name, status in conditions.items()]
    return Object.from_dict({"metadata": {"name": "a"}, "status": {"conditions": listed}})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, False),
        (Object.from_dict({"metadata": {"name": "a"}}), False),
        (with_conditions(Ready="True"), True),
        (with_conditions(Ready="Unknown", Initialized="True"), False),
    ],
)
def test_ready_is_what_says_so(value: Object | None, expected: bool) -> None:
    assert is_ready(value) is expected


def test_the_query_asks_for_one_ipv4_address() -> None:
    query = dns_query("a.bc")
    assert query[4:6] == b"\0\1"
    assert query[12:] == b"\1a\2bc\0\0\1\0\1"


def answer(query: bytes, *, code: int = 0, records: int = 1) -> bytes:
    return query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, records, 0, 0) + query[12:]


def test_an_answer_must_be_ours_without_error_and_hold_something() -> None:
    query = dns_query("a")
    assert has_answers(query, answer(query))
    assert not has_answers(query, answer(query, code=3))
    assert not has_answers(query, answer(query, records=0))
    assert not has_answers(query, b"xx" + answer(query)[2:])
    assert not has_answers(query, b"short")


async def test_a_server_that_is_silent_or_absent_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "DNS_TIMEOUT_S", 0.05)
    monkeypatch.setattr(readiness, "DNS_PORT", 1)
    assert not await dns_answers("127.0.0.1", "a")


async def test_a_server_that_answers_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        monkeypatch.setattr(readiness, "DNS_PORT", server.getsockname()[1])
        asking = asyncio.create_task(dns_answers("127.0.0.1", "kubernetes.default.svc.cluster.local"))
        query, sender = await asyncio.get_running_loop().sock_recvfrom(server, 512)
        server.sendto(answer(query), sender)
        assert await asking
