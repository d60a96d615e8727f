"""The transport without a network says what the one over sockets says, and streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from aiohttp import web

from controllerkit.apiserver import ApiServer
from controllerkit.client import Client
from controllerkit.errors import ConnectError, DeadlineExceeded, DevClusterError, TransportError
from controllerkit.objects import kinds
from controllerkit.testing import VirtualClock, settle
from controllerkit.wire import Credentials, HttpTransport, Transport, WireRequest
from controllerkit.wire.memory import WINDOW_BYTES, MemoryTransport

MAPS = "/api/v1/namespaces/default/configmaps"
JSON = {"Content-Type": "application/json"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}
APPLIED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"x": "1"}}


def asked(method: str, path: str, value: Any = None, headers: dict[str, str] | None = None) -> WireRequest:
    body = None if value is None else json.dumps(value).encode()
    return WireRequest(method=method, path=path, headers=headers or JSON, body=body)


CALLS = [
    asked("GET", "/version"),
    asked("GET", "/apis"),
    asked("GET", "/nothing/here"),
    asked("POST", MAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}}),
    asked("POST", MAPS, {"metadata": {"name": "a"}}),
    asked("POST", MAPS, {"metadata": {"generateName": "made-"}}),
    asked("POST", MAPS + "?fieldValidation=Warn", {"metadata": {"name": "odd"}, "unknown": 1}),
    asked("POST", MAPS, {"metadata": {"name": "Not_A_Name"}}),
    asked("PATCH", MAPS + "/b?fieldManager=me", APPLIED, APPLY),
    asked("PATCH", MAPS + "/b", APPLIED, APPLY),
    asked("PUT", MAPS + "/a", {"metadata": {"name": "a", "resourceVersion": "1"}}),
    asked("GET", MAPS + "?limit=2"),
    asked("GET", MAPS + "/a", headers={"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}),
    asked("GET", MAPS + "/a", headers={"Accept": "application/yaml"}),
    asked("GET", MAPS + "?watch=1&resourceVersion=0&timeoutSeconds=1&labelSelector=none%3Dsuch"),
    asked("DELETE", MAPS + "/a"),
    asked("DELETE", MAPS + "/a"),
    asked("GET", "/api/v1/namespaces/default/pods?limit=many"),
]


async def answers(transport: Transport) -> list[tuple[int, str, list[str], bytes]]:
    found = []
    for call in CALLS:
        async with transport.send(call) as response:
            headers: Any = response.headers
            told = headers.getall("Warning", [])
            found.append((response.status, response.headers.get("Content-Type", ""), told, await response.read()))
    return found


async def test_both_transports_are_answered_byte_for_byte_the_same() -> None:
    over_sockets = ApiServer(clock=VirtualClock(), rng=Random(1))
    in_memory = ApiServer(clock=VirtualClock(), rng=Random(1), port=None)
    async with over_sockets, in_memory:
        http = HttpTransport(Credentials(server=over_sockets.url))
        assert await answers(in_memory.transport()) == await answers(http)
        await http.aclose()


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer(port=None) as running:
        yield running


def serving() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("GET ")]


async def test_a_watch_streams_while_it_is_open_and_ends_with_its_reader(server: ApiServer) -> None:
    async with Client(server.transport()) as client:
        start = (await client.list(kinds.CONFIG_MAP)).resource_version
        async with client.watch(kinds.CONFIG_MAP, resource_version=start) as events:
            for name in "ab":
                await client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
                assert (await anext(aiter(events))).object.name == name
            assert serving() == ["GET /api/v1/configmaps"]
        assert serving() == []


async def test_a_server_that_does_not_run_has_no_way_in(server: ApiServer) -> None:
    transport = server.transport()
    await transport.aclose()
    with pytest.raises(ConnectError):
        await answers(transport)
    await server.stop()
    with pytest.raises(DevClusterError, match="not running"):
        server.transport()


async def test_what_the_handler_does_wrong_is_an_error_of_the_transport() -> None:
    async def raises(_: web.BaseRequest) -> web.StreamResponse:
        raise ConnectionResetError("gone")

    async def breaks_off(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise ConnectionResetError("gone")

    async def never(_: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(TransportError, match="GET /: the handler raised ConnectionResetError: gone"):
        async with MemoryTransport(raises).send(WireRequest(method="GET", path="/?x=1")):
            pass
    async with MemoryTransport(breaks_off).send(WireRequest(method="GET", path="/")) as response:
        with pytest.raises(TransportError, match="gone"):
            await response.read()
    with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.01 s"):
        async with MemoryTransport(never).send(WireRequest(method="GET", path="/", timeout_s=0.01)):
            pass


async def test_the_handler_waits_for_a_slow_reader_and_is_cancelled_when_the_reader_leaves() -> None:
    written, ended = 0, []

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 1024)
                written += 1024
        finally:
            ended.append(written)

    async with MemoryTransport(endless).send(WireRequest(method="GET", path="/")) as response:
        await settle()
        assert written == WINDOW_BYTES
        assert len(await anext(response.chunks())) == WINDOW_BYTES + 1024
        await settle()
        assert written == 2 * WINDOW_BYTES + 1024
        assert ended == []
    assert ended == [written]
