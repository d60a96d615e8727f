"""After a compaction the past is gone. One compaction serves the module: on a real server it costs a restart."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio

from tests.conformance.conftest import Server, config_map


@dataclass
class Forgotten:
    """What a client held when the server forgot its history."""

    maps: str
    rv: str
    continue_token: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def forgotten(server: Server) -> AsyncIterator[Forgotten]:
    name = f"e-{uuid.uuid4().hex[:8]}"
    path = f"/api/v1/namespaces/{name}"
    await server.make("/api/v1/namespaces", {"metadata": {"name": name}})
    await server.until(f"{path}/configmaps/kube-root-ca.crt", lambda answer: answer.code == 200)
    for one in "abc":
        await server.make(f"{path}/configmaps", config_map(one))
    page = await server.get(f"{path}/configmaps", limit=1)
    await server.make(f"{path}/configmaps", config_map("d"))
    await server.compact()
    yield Forgotten(f"{path}/configmaps", page.rv, page.meta["continue"])
    await server.delete(path)


async def test_a_watch_from_a_compacted_revision_is_expired(server: Server, forgotten: Forgotten) -> None:
    async with server.watch(forgotten.maps, resourceVersion=forgotten.rv, timeoutSeconds=3) as watch:
        assert watch.code == 200
        (event,) = await watch.rest()
    assert event["type"] == "ERROR"
    error = event["object"]
    assert (error["kind"], error["code"], error["reason"]) == ("Status", 410, "Expired")
    assert error["message"].startswith(f"too old resource version: {forgotten.rv} (")


async def test_a_continue_token_from_before_a_compaction_is_expired(server: Server, forgotten: Forgotten) -> None:
    answer = await server.get(forgotten.maps, limit=1, continue_=forgotten.continue_token)
    assert (answer.code, answer["reason"]) == (410, "Expired")
    assert answer["message"].startswith("The provided continue parameter is too old")


async def test_an_expired_list_goes_on_from_where_it_was(server: Server, forgotten: Forgotten) -> None:
    expired = await server.get(forgotten.maps, limit=1, continue_=forgotten.continue_token)
    answer = await server.get(forgotten.maps, limit=9, continue_=expired.meta["continue"])
    assert [item["metadata"]["name"] for item in answer["items"]] == ["b", "c", "d", "kube-root-ca.crt"]


async def test_an_exact_list_of_a_compacted_revision_is_expired(server: Server, forgotten: Forgotten) -> None:
    answer = await server.get(forgotten.maps, resourceVersion=forgotten.rv, resourceVersionMatch="Exact")
    assert (answer.code, answer["reason"]) == (410, "Expired")


async def test_a_watch_from_now_goes_on(server: Server, forgotten: Forgotten) -> None:
    rv = (await server.get(forgotten.maps)).rv
    async with server.watch(forgotten.maps, resourceVersion=rv) as watch:
        await server.make(forgotten.maps, config_map("after"))
        assert await watch.shapes(1) == [("ADDED", "after")]
