"""Waiting for one object, on a scripted server and a virtual clock (client-go ``tools/watch``)."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from controllerkit.client import Client, Condition, has_condition, is_deleted, wait_for
from controllerkit.errors import DeadlineExceeded, Forbidden, TransportError
from controllerkit.objects import Key, Object, kinds
from controllerkit.testing import VirtualClock
from tests.scripted import CLOSE, Scripted, bookmark, config_map, error, event, line, listed


class Bed:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.server = Scripted(self.clock)
        self.asked_about: list[str] = []

    def has(self, key: str, value: str) -> Condition:
        def met(found: Object | None) -> bool:
            self.asked_about.append("nothing" if found is None else found.resource_version)
            return found is not None and found.get("data", key) == value

        return met

    async def wait(self, condition: Condition, seconds: float = 0.0, *, timeout_s: float | None = None) -> Any:
        client = Client(self.server, clock=self.clock)
        task = asyncio.create_task(
            wait_for(client, kinds.CONFIG_MAP, "a", condition, timeout_s=timeout_s, clock=self.clock, rng=Random(0))
        )
        await self.clock.advance(seconds)
        assert task.done(), self.server.told
        assert all(each.closed for each in self.server.asked)
        return task.result()


@pytest.mark.parity("2.1/until-condition", "1a/wait-until")
async def test_an_object_that_is_as_wanted_already_is_returned_without_a_watch() -> None:
    bed = Bed()
    bed.server.json(listed("9", config_map("a", "4", ready="yes")))
    found = await bed.wait(bed.has("ready", "yes"))
    assert found.key == Key("default", "a")
    assert [each.query for each in bed.server.asked] == [{"fieldSelector": "metadata.name=a"}]


@pytest.mark.parity("2.1/until-condition", "2.1/retrywatcher-unread-events", "1a/wait-until")
async def test_the_first_state_that_is_as_wanted_is_returned_whatever_else_is_unread() -> None:
    bed = Bed()
    bed.server.json(listed("9"))
    bed.server.stream(
        event("ADDED", "a", "10"),
        1.0,
        event("MODIFIED", "a", "11", ready="yes") + event("MODIFIED", "a", "12") + event("DELETED", "a", "13"),
        event("ADDED", "a", "14"),
    )
    found = await bed.wait(bed.has("ready", "yes"), 1.0)
    assert found.resource_version == "11"
    assert bed.asked_about == ["nothing", "10", "11"]
    assert bed.server.told == ["list rv= limit=0", "watch rv=9"]


@pytest.mark.parity("2.1/retrywatcher-resumes", "1a/wait-until")
@pytest.mark.parametrize(
    "end",
    [
        (2.0, CLOSE),
        (TransportError("reset"),),
        (line("ERROR", error(500, "InternalError")),),
        (line("ERROR", error(429, "TooManyRequests")),),
        (line("ERROR", error(504, "Timeout")),),
        (b"no event\n",),
        (CLOSE,),
    ],
    ids=["ends", "breaks", "500", "429", "504", "malformed", "ends at once"],
)
async def test_a_watch_that_ends_is_resumed_at_the_last_version(end: tuple[Any, ...]) -> None:
    bed = Bed()
    bed.server.json(listed("9"))
    bed.server.stream(event("ADDED", "a", "10"), bookmark("15"), *end)
    bed.server.fail().stream(event("MODIFIED", "a", "16", ready="yes"))
    assert (await bed.wait(bed.has("ready", "yes"), 10.0)).resource_version == "16"
    assert bed.server.told == ["list rv= limit=0", "watch rv=9", "watch rv=15", "watch rv=15"]


@pytest.mark.parity("2.1/retrywatcher-resumes")
async def test_a_server_that_ends_every_watch_at_once_is_asked_less_and_less() -> None:
    bed = Bed()
    bed.server.json(listed("9"))
    for _ in range(100):
        bed.server.stream(CLOSE)
    with pytest.raises(DeadlineExceeded):
        await bed.wait(bed.has("ready", "yes"), 200.0, timeout_s=200.0)
    assert len(bed.server.asked) < 15


@pytest.mark.parity("1a/wait-until")
async def test_after_the_version_has_expired_the_object_is_read_again() -> None:
    bed = Bed()
    bed.server.json(listed("9")).stream(line("ERROR", error(410, "Expired")))
    bed.server.json(listed("50", config_map("a", "40", ready="yes")))
    assert (await bed.wait(bed.has("ready", "yes"), 10.0)).resource_version == "40"


@pytest.mark.parity("2.1/until-deleted")
async def test_a_deletion_is_told_to_the_condition() -> None:
    bed = Bed()
    bed.server.json(listed("9", config_map("a", "9"))).stream(1.0, event("DELETED", "a", "10"))
    assert await bed.wait(is_deleted(), 1.0) is None


@pytest.mark.parity("2.1/until-deleted")
async def test_another_object_of_the_same_name_is_a_deletion_of_the_first() -> None:
    bed = Bed()
    bed.server.json(listed("9", config_map("a", "9")))
    found = await bed.wait(is_deleted("the uid of before"))
    assert found.uid == "uid-a"


@pytest.mark.parity("2.1/until-condition-error")
@pytest.mark.parametrize("kind", [ValueError, TimeoutError, TransportError])
async def test_what_the_condition_raises_ends_the_waiting(kind: type[Exception]) -> None:
    bed = Bed()
    bed.server.json(listed("9", config_map("a", "9")))

    def broken(value: Object | None) -> bool:
        raise kind("no idea")

    with pytest.raises(kind, match="no idea"):
        await bed.wait(broken, timeout_s=60.0)


@pytest.mark.parity("2.1/until-timeout", "1a/wait-until")
async def test_the_time_ends_it_and_the_error_tells_what_was_seen_and_what_failed() -> None:
    bed = Bed()
    bed.server.json(listed("9", config_map("a", "9"))).stream(event("MODIFIED", "a", "12"), TransportError("reset"))
    with pytest.raises(DeadlineExceeded, match=r"ConfigMap.* default/a .* within 30 s; last seen: .* rv=12 .*reset"):
        await bed.wait(bed.has("ready", "yes"), 30.0, timeout_s=30.0)


async def test_a_refusal_that_will_not_change_ends_it() -> None:
    bed = Bed()
    bed.server.json(listed("9")).refuse(403, "Forbidden", "no watch for you")
    with pytest.raises(Forbidden, match="no watch for you"):
        await bed.wait(bed.has("ready", "yes"), 1.0)


@pytest.mark.parity("1a/wait-until")
async def test_a_pod_is_waited_for_by_its_condition() -> None:
    bed = Bed()
    conditions = [{"type": "Ready", "status": "True"}]
    ready = {**config_map("a", "10"), "status": {"conditions": conditions}}
    bed.server.json(listed("9", {**config_map("a", "9"), "status": {}})).stream(line("MODIFIED", ready))
    assert (await bed.wait(has_condition("Ready"))).resource_version == "10"


@pytest.mark.parity("1a/wait-until")
async def test_on_a_server_it_sees_an_object_come_change_and_go(client: Client) -> None:
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "awaited"}, "data": {"ready": "no"}}

    def met(found: Object | None) -> bool:
        return found is not None and found.get("data", "ready") == "yes"

    ready = asyncio.create_task(wait_for(client, kinds.CONFIG_MAP, "awaited", met, timeout_s=10.0))
    await client.create(value)
    patched = await client.patch(kinds.CONFIG_MAP, "awaited", {"data": {"ready": "yes"}})
    assert await ready == patched
    gone = asyncio.create_task(wait_for(client, kinds.CONFIG_MAP, "awaited", is_deleted(), timeout_s=10.0))
    await client.delete(kinds.CONFIG_MAP, "awaited")
    assert await gone is None
