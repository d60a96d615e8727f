"""What the gateway client makes of answers; how it speaks to real etcd is in ``tests/real/etcd_wire``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from operators.etcd.versions import Version
from operators.etcd.wire import (
    EtcdClient,
    EtcdRefused,
    EtcdUnreachable,
    LearnerNotInSync,
    MemberExists,
    MemberNotFound,
    NoQuorum,
    NoSpace,
    NotForLearners,
    NotLeader,
    NotLearner,
    TooManyLearners,
    UnhealthyCluster,
)

Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]


@asynccontextmanager
async def gateway(handler: Handler) -> AsyncIterator[str]:
    server = web.Server(handler)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def answering(status: int, body: Any) -> Handler:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.json_response(body, status=status)

    return handle


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("etcdserver: can only promote a learner member which is in sync with leader", LearnerNotInSync),
        ("etcdserver: can only promote a learner member", NotLearner),
        ("etcdserver: too many learner members in cluster", TooManyLearners),
        ("etcdserver: member not found", MemberNotFound),
        ("etcdserver: member ID already exist", MemberExists),
        ("etcdserver: Peer URLs already exists", MemberExists),
        ("etcdserver: unhealthy cluster", UnhealthyCluster),
        ("etcdserver: re-configuration failed due to not enough started members", UnhealthyCluster),
        ("etcdserver: not leader", NotLeader),
        ("etcdserver: rpc not supported for learner", NotForLearners),
        ("etcdserver: mvcc: database space exceeded", NoSpace),
        ("etcdserver: no leader", NoQuorum),
        ("etcdserver: request timed out", NoQuorum),
        ("etcdserver: something new", EtcdRefused),
    ],
)
@pytest.mark.parametrize("field", ["message", "error"])
async def test_a_refusal_is_known_by_its_meaning(message: str, kind: type[EtcdRefused], field: str) -> None:
    handler = answering(400, {field: message, "code": 9})
    async with gateway(handler) as url, EtcdClient([url], version=Version.parse("3.7.3")) as client:
        with pytest.raises(EtcdRefused) as caught:
            await client.put("k", "v")
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.grpc_code) == (message, 9)


@pytest.mark.parametrize(
    ("version", "path"), [("3.2.13", "/v3alpha/kv/put"), ("3.3.27", "/v3beta/kv/put"), ("3.4.23", "/v3/kv/put")]
)
async def test_the_path_is_that_of_the_version_which_the_member_tells(version: str, path: str) -> None:
    asked: list[str] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.json_response({"etcdserver": version} if request.path == "/version" else {})

    async with gateway(handle) as url, EtcdClient([url]) as client:
        await client.put("a", "1")
        await client.put("b", "2")
    assert asked == ["/version", path, path]


async def test_an_answer_that_is_no_json_is_an_error_that_shows_it() -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.Response(text="404 page not found", status=404)

    async with gateway(handle) as url, EtcdClient([url], version=Version.parse("3.7.3")) as client:
        with pytest.raises(EtcdRefused, match="404 page not found"):
            await client.status()


async def test_a_read_goes_on_where_a_member_has_no_leader_and_a_write_does_not() -> None:
    puts: list[str] = []

    async def healthy(request: web.BaseRequest) -> web.Response:
        puts.append(request.path)
        return web.json_response({"header": {"revision": "7"}, "kvs": [{"key": "aw==", "value": "dg=="}], "count": "1"})

    async with (
        gateway(answering(503, {"message": "etcdserver: no leader", "code": 14})) as bad,
        gateway(healthy) as good,
        EtcdClient([bad, good], version=Version.parse("3.7.3")) as client,
    ):
        assert await client.get("k") == b"v"
        with pytest.raises(NoQuorum):
            await client.put("k", "v")
    assert puts == ["/v3/kv/range"]


async def test_without_endpoints_the_error_says_so() -> None:
    async with EtcdClient([]) as client:
        with pytest.raises(EtcdUnreachable, match="there are no endpoints"):
            await client.status()
