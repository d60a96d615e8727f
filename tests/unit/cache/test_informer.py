"""The shared informer on a server: the store equals the collection, whatever happens to the watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from controllerkit.apiserver import ApiServer
from controllerkit.cache import Handler, Informer
from controllerkit.client import Client
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import cancel_and_wait, wait_until
from controllerkit.testing import settle
from tests.servers import Server, compact


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


@asynccontextmanager
async def running(informer: Informer) -> AsyncIterator[Informer]:
    task = asyncio.create_task(informer.run())
    try:
        await informer.wait_synced(timeout_s=10.0)
        yield informer
    finally:
        await cancel_and_wait(task)


async def until(probe: Callable[[], object], what: str) -> None:
    async def probed() -> object:
        return probe()

    await wait_until(probed, what=what, timeout_s=10.0, interval_s=0.005)


async def test_the_store_follows_the_server_and_handlers_hear_each_change_once(client: Client) -> None:
    heard: list[str] = []
    await client.create(config_map("first"))
    informer = Informer(client, kinds.CONFIG_MAP, "default", field_selector="metadata.name!=kube-root-ca.crt")
    informer.add_handler(
        Handler(
            on_add=lambda value, initial: heard.append(f"add {value.name} {initial}"),
            on_update=lambda old, new: heard.append(f"update {new.name}"),
            on_delete=lambda value: heard.append(f"delete {value.name}"),
        )
    )
    async with running(informer):
        await client.create(config_map("second"))
        await client.patch(kinds.CONFIG_MAP, "second", {"data": {"x": "1"}}, "default")
        await client.delete(kinds.CONFIG_MAP, "first", "default")
        await until(lambda: "delete first" in heard, "the deletion")
        assert heard == ["add first True", "add second False", "update second", "delete first"]
        assert informer.store.keys() == [Key("default", "second")]


async def test_a_late_handler_gets_what_is_cached_as_the_initial_list_and_can_be_removed(client: Client) -> None:
    heard: list[tuple[str, bool]] = []
    await client.create(config_map("a"))
    async with running(Informer(client, kinds.CONFIG_MAP, "default", field_selector="metadata.name=a")) as informer:
        remove = informer.add_handler(Handler(on_add=lambda value, initial: heard.append((value.name, initial))))
        assert heard == [("a", True)]
        remove()
        await client.delete(kinds.CONFIG_MAP, "a", "default")
        await until(lambda: len(informer.store) == 0, "the deletion")
        assert heard == [("a", True)]


async def test_a_handler_that_raises_does_not_keep_the_event_from_the_others(client: Client) -> None:
    heard: list[str] = []

    def broken(value: Object, initial: bool) -> None:
        raise ValueError(value.name)

    informer = Informer(client, kinds.CONFIG_MAP, "default")
    informer.add_handler(Handler(on_add=broken))
    informer.add_handler(Handler(on_add=lambda value, initial: heard.append(value.name)))
    async with running(informer):
        await client.create(config_map("a"))
        await until(lambda: "a" in heard, "the second handler")


async def test_after_history_is_compacted_while_it_was_away_deletes_and_adds_surface(
    server: Server, client: Client
) -> None:
    deleted: list[str] = []
    await client.create(config_map("goes"))
    informer = Informer(client, kinds.CONFIG_MAP, "default", rng=Random(0))
    informer.add_handler(Handler(on_delete=lambda value: deleted.append(value.name)))
    async with running(informer):
        pass
    await client.delete(kinds.CONFIG_MAP, "goes", "default")
    await client.create(config_map("comes"))
    await compact(server)
    async with running(informer):
        await until(lambda: deleted == ["goes"], "the missed deletion")
        await until(lambda: Key("default", "comes") in informer.store, "the missed addition")


async def test_a_selector_limits_what_is_kept_and_an_object_that_leaves_it_is_deleted(client: Client) -> None:
    value = config_map("a")
    value["metadata"]["labels"] = {"keep": "yes"}
    await client.create(value)
    await client.create(config_map("b"))
    async with running(Informer(client, kinds.CONFIG_MAP, "default", label_selector="keep=yes")) as informer:
        assert [value.name for value in informer.store] == ["a"]
        await client.patch(kinds.CONFIG_MAP, "a", {"metadata": {"labels": {"keep": "no"}}}, "default")
        await until(lambda: len(informer.store) == 0, "the object left the selection")


@pytest.mark.parity("2.1/consistency-equal", "1a/consistency-check")
@pytest.mark.parametrize("metadata_only", [False, True], ids=["whole", "metadata only"])
async def test_the_cache_is_held_against_the_server(client: Client, metadata_only: bool) -> None:
    for name in ("a", "b"):
        await client.create(config_map(name))
    one = "metadata.name!=kube-root-ca.crt"
    informer = Informer(client, kinds.CONFIG_MAP, "default", field_selector=one, metadata_only=metadata_only)
    async with running(informer):
        assert await informer.differences() == []
        await client.patch(kinds.CONFIG_MAP, "a", {"data": {"x": "1"}}, "default")
        await client.create(config_map("c"))
        await until(lambda: Key("default", "c") in informer.store, "the third")
        assert await informer.differences() == []
        informer.store.replace([value for value in informer.store.list() if value.name != "b"])
        (told,) = await informer.differences()
        assert "default/b: cached at nothing, the server has " in told


@pytest.mark.parametrize("steps", range(6))
async def test_a_watch_is_closed_also_where_its_informer_is_cancelled_again_while_it_closes(steps: int) -> None:
    async with ApiServer(port=None) as server, Client(server.transport()) as client:
        informer = Informer(client, kinds.CONFIG_MAP)
        task = asyncio.create_task(informer.run())
        await informer.wait_synced(timeout_s=10.0)
        watches = [each for each in asyncio.all_tasks() if each.get_name() == "GET /api/v1/configmaps"]
        assert len(watches) == 1
        task.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await settle()
        assert watches[0].done()
