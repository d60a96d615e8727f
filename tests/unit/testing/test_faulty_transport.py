"""Each fault of HTTP, as the client tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controllerkit.client import Client
from controllerkit.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    InternalError,
    MalformedObject,
    NotFound,
    TransportError,
)
from controllerkit.objects import kinds
from controllerkit.testing import (
    Delayed,
    FaultyTransport,
    InStream,
    LostAnswer,
    LostRequest,
    Rule,
    Stale,
    Truncated,
    VirtualClock,
    conflict,
    expired,
    internal_error,
    settle,
    too_many_requests,
    wrong_kind,
)
from controllerkit.wire import HttpTransport, load_credentials
from tests.servers import Server


def config_map(name: str = "a") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "labels": {"of": "this"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def faulty(server: Server, tmp_path: Path, clock: VirtualClock) -> FaultyTransport:
    server.write_kubeconfig(tmp_path / "kubeconfig")
    return FaultyTransport(HttpTransport(await load_credentials(kubeconfig=tmp_path / "kubeconfig")), clock=clock)


@pytest.fixture
async def client(faulty: FaultyTransport, clock: VirtualClock) -> AsyncIterator[Client]:
    async with Client(faulty, clock=clock) as connected:
        yield connected


@pytest.mark.parametrize(
    ("fault", "raised"),
    [(conflict(), Conflict), (internal_error(), InternalError), (expired(), Expired), (LostRequest(), TransportError)],
    ids=["409", "500", "410", "lost"],
)
async def test_a_fault_befalls_the_requests_its_rule_names_so_often_and_no_others(
    faulty: FaultyTransport, client: Client, fault: Any, raised: type[Exception]
) -> None:
    faulty.rules.append(Rule(fault, verb="create", path="/configmaps", skip=1))
    await client.create(config_map("first"))
    assert (await client.list(kinds.CONFIG_MAP, "default")).items
    with pytest.raises(raised):
        await client.create(config_map("second"))
    await client.create(config_map("second"))  # nothing had reached the server, and the rule is spent
    assert [verb for verb, _ in faulty.requests] == ["create", "get", "create", "create"]


async def test_a_client_that_is_told_to_come_later_does(
    faulty: FaultyTransport, client: Client, clock: VirtualClock
) -> None:
    await client.create(config_map())
    faulty.rules.append(Rule(too_many_requests(retry_after_s=7), times=2))
    asked = asyncio.create_task(client.get(kinds.CONFIG_MAP, "a"))
    await clock.advance(6.9)
    assert len(faulty.requests) == 2
    await clock.advance(7.2)
    assert ((await asked).name, len(faulty.requests)) == ("a", 4)


async def test_a_write_whose_answer_is_lost_was_done(faulty: FaultyTransport, client: Client) -> None:
    faulty.rules.append(Rule(LostAnswer()))
    with pytest.raises(TransportError, match="its answer was lost"):
        await client.create(config_map())
    with pytest.raises(AlreadyExists):
        await client.create(config_map())


async def test_a_stale_list_is_an_earlier_answer(faulty: FaultyTransport, client: Client) -> None:
    before = await client.list(kinds.CONFIG_MAP, "default")
    await client.create(config_map())
    faulty.rules.append(Rule(Stale(), path="/configmaps"))
    stale = await client.list(kinds.CONFIG_MAP, "default", limit=500)
    assert (stale.resource_version, stale.items) == (before.resource_version, before.items)
    assert "a" in [each.name for each in (await client.list(kinds.CONFIG_MAP, "default")).items]


async def events(client: Client) -> list[str]:
    seen: list[str] = []
    async with client.watch(kinds.CONFIG_MAP, "default", label_selector="of=this", send_initial_events=True) as stream:
        try:
            async for event in stream:
                if event.type == "BOOKMARK":
                    break
                seen.append(f"{event.type} {event.object.name}")
        except (Expired, TransportError) as error:
            seen.append(type(error).__name__)
    return seen


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (InStream(expired()), ["Expired"]),
        (InStream(expired(), after_lines=1), ["ADDED a", "Expired"]),
        (Truncated(after_lines=1), ["ADDED a", "TransportError"]),
        (Truncated(), ["TransportError"]),
    ],
    ids=["410 at once", "410 after one", "cut after one", "cut at once"],
)
async def test_a_watch_breaks_where_it_is_told_to(
    faulty: FaultyTransport, client: Client, fault: Any, seen: list[str]
) -> None:
    for name in ("a", "b"):
        await client.create(config_map(name))
    faulty.rules.append(Rule(fault, verb="watch"))
    assert await events(client) == seen
    assert await events(client) == ["ADDED a", "ADDED b"]


async def test_an_answer_cut_in_two_is_no_answer(faulty: FaultyTransport, client: Client) -> None:
    await client.create(config_map())
    faulty.rules.append(Rule(Truncated()))
    with pytest.raises(MalformedObject):
        await client.list(kinds.CONFIG_MAP, "default")


async def test_an_object_can_call_itself_something_else(faulty: FaultyTransport, client: Client) -> None:
    await client.create(config_map())
    faulty.rules.append(Rule(wrong_kind("Table", instead_of="ConfigMap")))
    assert (await client.get(kinds.CONFIG_MAP, "a")).kind == "Table"


async def test_a_delayed_request_waits_on_the_clock(
    faulty: FaultyTransport, client: Client, clock: VirtualClock
) -> None:
    faulty.rules.append(Rule(Delayed(3.0)))
    asked = asyncio.create_task(client.get(kinds.CONFIG_MAP, "nobody"))
    await clock.advance(2.9)
    assert not asked.done()
    await clock.advance(0.2)
    await settle()
    with pytest.raises(NotFound):
        await asked
