"""Whole lists in pages (client-go ``tools/pager``), and streams: what they ask, and what they keep in memory."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from controllerkit.client import Client, WatchStream
from controllerkit.errors import Expired
from controllerkit.objects import kinds
from controllerkit.runtime import cancel_and_wait
from controllerkit.testing import VirtualClock, settle
from tests.scripted import Scripted, config_map, event, listed


@pytest.fixture
def script() -> Scripted:
    return Scripted(VirtualClock())


@pytest.fixture
def client(script: Scripted) -> Client:
    return Client(script, clock=script.clock)


@pytest.mark.parity("2.1/pager-empty", "2.1/pager-one-page", "2.1/pager-many-pages", "1a/paged-list")
@pytest.mark.parametrize("pages", [[], ["a"], ["a", "b", "c"]], ids=["empty", "one page", "many pages"])
async def test_a_list_is_all_its_pages_at_the_version_of_the_first(
    script: Scripted, client: Client, pages: list[str]
) -> None:
    for number, name in enumerate(pages):
        more = "" if number == len(pages) - 1 else f"after-{name}"
        script.json(listed(str(10 + number), config_map(name, "1"), token=more))
    if not pages:
        script.json(listed("10"))
    found = await client.list_all(kinds.CONFIG_MAP, "default")
    assert ([value.name for value in found.items], found.resource_version) == (pages, "10")
    assert script.told[1:] == [f"list rv= limit=500 continue=after-{name}" for name in pages[:-1]]


@pytest.mark.parity("2.1/pager-expired-first-page")
async def test_a_first_page_that_expired_is_an_error(script: Scripted, client: Client) -> None:
    script.refuse(410, "Expired")
    with pytest.raises(Expired):
        await client.list_all(kinds.CONFIG_MAP, "default", resource_version="7")


@pytest.mark.parity("2.1/pager-expired-later-page", "1a/paged-list")
async def test_a_later_page_that_expired_is_one_list_in_one_piece_as_first_asked_for(
    script: Scripted, client: Client
) -> None:
    script.json(listed("10", config_map("a", "1"), token="more")).refuse(410, "Expired")
    script.json(listed("20", config_map("b", "2")))
    found = await client.list_all(
        kinds.CONFIG_MAP, "default", resource_version="7", resource_version_match="NotOlderThan"
    )
    assert ([value.name for value in found.items], found.resource_version) == (["b"], "20")
    first, later, whole = (each.query for each in script.asked)
    assert first == {"resourceVersion": "7", "resourceVersionMatch": "NotOlderThan", "limit": "500"}
    assert later == {"limit": "500", "continue": "more"}
    assert whole == {"resourceVersion": "7", "resourceVersionMatch": "NotOlderThan"}


@pytest.mark.parity("2.1/pager-cancel")
async def test_a_list_that_is_cancelled_asks_for_no_further_page(script: Scripted, client: Client) -> None:
    script.json(listed("10", config_map("a", "1"), token="more"))
    task = asyncio.create_task(client.list_all(kinds.CONFIG_MAP, "default"))
    await settle()
    assert [each.closed for each in script.asked] == [True, False]
    await cancel_and_wait(task)
    assert [each.closed for each in script.asked] == [True, True]


async def test_while_a_watch_is_silent_it_keeps_nothing_of_what_came() -> None:
    seen = 0

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield b"".join(event("ADDED", f"n{n}", "1", text="x" * 50_000) for n in range(100))
        await asyncio.Event().wait()

    async def read() -> None:
        nonlocal seen
        async for batch in WatchStream(chunks(), kinds.CONFIG_MAP.gvk, "WATCH", clock=VirtualClock()).batches():
            seen += len(batch)
            del batch

    tracemalloc.start()
    try:
        task = asyncio.create_task(read())
        await settle()
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await cancel_and_wait(task)
    assert seen == 200
    assert peak_bytes > 5_000_000
    assert kept_bytes < 1_000_000
