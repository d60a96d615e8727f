"""The recorder: against a sink with trouble on a virtual clock, and against the embedded server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from controllerkit.client import Client, KindLike, ObjectLike, PatchType
from controllerkit.errors import AlreadyExists, ConnectError, Forbidden, NotFound
from controllerkit.events import EventRecorder
from controllerkit.events.recorder import QUEUE_MAX, RETRY_S, TRIES_MAX
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import cancel_and_wait, wait_until
from controllerkit.testing import VirtualClock, settle


def about(name: str = "web", namespace: str = "ns", **metadata: Any) -> Object:
    return Object.from_dict(
        {
            "apiVersion": "v1",
            "kind": "Pod" if namespace else "Node",
            "metadata": {"name": name, "namespace": namespace, "uid": "u", "resourceVersion": "3", **metadata},
        }
    )


class Sink:
    """Events by name, as the server keeps them; ``trouble`` is raised before a call is done."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.trouble: Callable[[str], Exception | None] = lambda verb: None
        self.hold: asyncio.Event | None = None

    async def _called(self, verb: str) -> None:
        self.calls.append(verb)
        if self.hold is not None:
            await self.hold.wait()
        error = self.trouble(verb)
        if error is not None:
            raise error

    async def create(self, value: ObjectLike) -> Object:
        await self._called("create")
        assert isinstance(value, dict)
        assert "resourceVersion" not in value["metadata"]
        if value["metadata"]["name"] in self.events:
            raise AlreadyExists("there")
        self.events[value["metadata"]["name"]] = value
        return Object.from_dict(value)

    async def patch(self, kind: KindLike, name: str | Key, patch: dict[str, Any], *, patch_type: PatchType) -> Object:
        await self._called("patch")
        assert (kind, patch_type) == (kinds.EVENT, PatchType.STRATEGIC)
        assert isinstance(name, Key)
        if name.name not in self.events:
            raise NotFound("gone")
        self.events[name.name].update(patch)
        return Object.from_dict(self.events[name.name])

    def counts(self) -> list[int]:
        return [event.get("series", {}).get("count", 1) for event in self.events.values()]


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@asynccontextmanager
async def recording(sink: Sink, clock: VirtualClock) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(sink, controller="example.dev/c", clock=clock, rng=Random(1))
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        await cancel_and_wait(task)


@pytest.mark.parity("2.7/fields", "2.7/related")
async def test_an_event_says_who_did_what_to_what(sink: Sink, clock: VirtualClock) -> None:
    async with recording(sink, clock) as recorder:
        recorder.record(
            about(), "Normal", "Created", "made it", action="Create", related=about("db"), field_path="spec.x"
        )
        await settle()
    ((name, event),) = sink.events.items()
    assert name.startswith("web.")
    assert int(name.removeprefix("web."), 16) // 10**9 == 1767225600, "nanoseconds of 2026-01-01"
    assert event["reportingInstance"].startswith("example.dev/c-")
    expected = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "ns"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "type": "Normal",
        "reason": "Created",
        "action": "Create",
        "note": "made it",
        "reportingController": "example.dev/c",
        "reportingInstance": event["reportingInstance"],
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "ns",
            "name": "web",
            "uid": "u",
            "resourceVersion": "3",
            "fieldPath": "spec.x",
        },
        "related": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "ns",
            "name": "db",
            "uid": "u",
            "resourceVersion": "3",
        },
    }
    assert event == expected


@pytest.mark.parity("2.7/bad-type")
async def test_an_unknown_type_is_dropped_and_told(sink: Sink, clock: VirtualClock) -> None:
    with capture_logs() as logs:
        async with recording(sink, clock) as recorder:
            recorder.record(about(), "Info", "Odd", "note")
            await settle()
    assert (sink.calls, [each["event"] for each in logs]) == ([], ["event_malformed"])


@pytest.mark.parity("2.7/legacy-no-namespace")
async def test_an_event_about_a_cluster_scoped_object_lives_in_default(sink: Sink, clock: VirtualClock) -> None:
    async with recording(sink, clock) as recorder:
        recorder.record(about("node-a", ""), "Normal", "Ready", "note")
        await settle()
    (event,) = sink.events.values()
    assert (event["metadata"]["namespace"], "namespace" in event["regarding"]) == ("default", False)


@pytest.mark.parametrize("name", ["system:kube-dns", "a" * 250])
async def test_an_object_whose_name_makes_no_name_of_an_event_gets_a_uuid(
    sink: Sink, clock: VirtualClock, name: str
) -> None:
    async with recording(sink, clock) as recorder:
        recorder.record(about(name), "Normal", "R", "note")
        await settle()
    (made,) = sink.events
    assert len(made) == 36


async def test_names_differ_where_the_clock_does_not(sink: Sink, clock: VirtualClock) -> None:
    async with recording(sink, clock) as recorder:
        for n in range(20):
            recorder.record(about(), "Normal", f"R{n}", "note")
        await settle()
    assert len(sink.events) == 20


@pytest.mark.parity("2.7/isomorphic", "2.7/legacy-expired", "2.7/isomorphic-without-existing")
async def test_a_series_is_kept_up_to_date_and_made_again_where_its_event_has_expired(
    sink: Sink, clock: VirtualClock
) -> None:
    async with recording(sink, clock) as recorder:
        for _ in range(25):
            recorder.record(about(), "Warning", "Failed", "no")
            await clock.advance(100.0)
        assert sink.calls == ["create", "patch", "patch"], "made, a series, refreshed after half an hour"
        assert sink.counts() == [18]
        await clock.advance(800.0)
        assert (sink.calls[3:], sink.counts()) == (["patch"], [25]), "ended"
        sink.events.clear()
        for _ in range(2):
            recorder.record(about(), "Warning", "Failed", "no")
            await settle()
        sink.events.clear()
        await clock.advance(800.0)
        assert sink.calls[4:] == ["create", "patch", "patch", "create", "patch"], "made again by the refresh, ended"
        assert sink.counts() == [2]


@pytest.mark.parity("2.7/isomorphic-before-original")
async def test_a_series_that_comes_before_its_first_event_is_created_and_the_first_is_not_missed(
    sink: Sink, clock: VirtualClock
) -> None:
    lost = [ConnectError("refused"), None, None]
    sink.trouble = lambda verb: lost.pop(0) if lost else None
    recorder = EventRecorder(sink, controller="c", clock=clock, rng=Random(1))
    recorder.record(about(), "Normal", "R", "note")
    first = recorder._queue.get_nowait()
    recorder.record(about(), "Normal", "R", "note")
    second = recorder._queue.get_nowait()
    assert not await recorder._try(first)
    assert await recorder._try(second)
    assert await recorder._try(first)
    assert (sink.calls, sink.counts()) == (["create", "patch", "create", "create"], [2])


async def test_writes_of_one_event_follow_each_other_and_the_last_that_waits_says_everything(
    sink: Sink, clock: VirtualClock
) -> None:
    sink.hold = asyncio.Event()
    async with recording(sink, clock) as recorder:
        recorder.record(about(), "Normal", "R", "note")
        recorder.record(about(), "Normal", "R", "note")
        recorder.record(about("db"), "Normal", "R", "note")
        recorder.record(about(), "Normal", "R", "note")
        await settle()
        assert sink.calls == ["create", "create"], "one for each object; the series waits for its first event"
        recorder._put(recorder._machine.refresh())
        await settle()
        sink.hold.set()
        await settle()
        assert (sink.calls, sorted(sink.counts())) == (["create", "create", "patch"], [1, 3])


@pytest.mark.parity("2.7/legacy-retry-matrix")
async def test_a_server_that_is_not_reached_is_tried_twelve_times(sink: Sink, clock: VirtualClock) -> None:
    sink.trouble = lambda verb: ConnectError("refused")
    with capture_logs() as logs:
        async with recording(sink, clock) as recorder:
            recorder.record(about(), "Normal", "R", "note")
            await clock.advance(RETRY_S - 0.1)
            assert len(sink.calls) == 1
            await clock.advance(RETRY_S * 0.25 + 0.2)
            assert len(sink.calls) == 2
            await clock.advance(RETRY_S * 1.25 * TRIES_MAX)
    assert len(sink.calls) == TRIES_MAX
    assert [each["event"] for each in logs if each["log_level"] == "warning"] == ["event_lost"]


async def test_what_is_refused_is_dropped_at_once_and_told(sink: Sink, clock: VirtualClock) -> None:
    sink.trouble = lambda verb: Forbidden("may not")
    with capture_logs() as logs:
        async with recording(sink, clock) as recorder:
            recorder.record(about(), "Normal", "R", "note")
            await clock.advance(100.0)
    assert (sink.calls, [each["event"] for each in logs]) == (["create"], ["event_refused"])


@pytest.mark.parity("2.7/legacy-cancel")
async def test_it_can_be_cancelled_while_it_waits_to_try_again(sink: Sink, clock: VirtualClock) -> None:
    sink.trouble = lambda verb: ConnectError("refused")
    recorder = EventRecorder(sink, controller="c", clock=clock)
    task = asyncio.create_task(recorder.run())
    recorder.record(about(), "Normal", "R", "note")
    await settle()
    task.cancel()
    await clock.advance(2.0)
    assert task.cancelled()


@pytest.mark.parity("2.7/legacy-shutdown")
async def test_what_was_recorded_just_before_the_end_is_sent_and_nothing_is_left_running(
    sink: Sink, clock: VirtualClock
) -> None:
    before = asyncio.all_tasks()
    async with recording(sink, clock) as recorder:
        await settle()
        for n in range(20):
            recorder.record(about(), "Normal", f"R{n}", "note")
    assert len(sink.events) == 20
    assert asyncio.all_tasks() == before


@pytest.mark.parity("2.7/legacy-overflow")
async def test_more_than_can_be_queued_are_dropped_and_nothing_waits(sink: Sink, clock: VirtualClock) -> None:
    recorder = EventRecorder(sink, controller="c", clock=clock)
    with capture_logs() as logs:
        for n in range(QUEUE_MAX + 3):
            recorder.record(about(f"p{n}"), "Normal", "R", "note")
    assert [each["event"] for each in logs] == ["event_dropped"] * 3
    task = asyncio.create_task(recorder.run())
    await settle()
    await settle()
    await cancel_and_wait(task)
    assert len(sink.events) == QUEUE_MAX


@pytest.mark.parity("2.7/series-with-server", "1f/event-series")
async def test_many_of_the_same_at_once_make_one_series_in_the_server(client: Client) -> None:
    pod = await client.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web"},
            "spec": {"containers": [{"name": "main", "image": "i:1"}]},
        }
    )
    recorder = EventRecorder(client, controller="example.dev/c")
    task = asyncio.create_task(recorder.run())
    for _ in range(50):
        recorder.record(pod, "Warning", "Failed", "no", action="Try")

    async def patched() -> Object | None:
        found = (await client.list(kinds.EVENT, "default")).items
        assert len(found) <= 1
        return next((each for each in found if each.get("series")), None)

    first = await wait_until(patched, what="the series", timeout_s=10.0)
    assert first is not None
    assert first.get("series", "count") == 2, "later ones are only counted"
    recorder._put(recorder._machine.refresh())

    async def refreshed() -> bool:
        event = await patched()
        return event is not None and event.get("series", "count") == 50

    await wait_until(refreshed, what="the series with all its events", timeout_s=10.0)
    await cancel_and_wait(task)
