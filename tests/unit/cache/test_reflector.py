"""The reflector's driver on a scripted transport and a virtual clock: what it asks, what it keeps, what it tells."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from controllerkit.cache import CacheOptions, Handler, Informer, Informers, ReflectorOptions, Store
from controllerkit.cache.machine import Listing, Streaming
from controllerkit.client import Client
from controllerkit.client.answers import decode_list
from controllerkit.errors import (
    ApiError,
    DeadlineExceeded,
    Expired,
    Forbidden,
    InternalError,
    MalformedObject,
    TooManyRequests,
    TransportError,
)
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import BackoffOptions, cancel_and_wait
from controllerkit.testing import VirtualClock, settle
from tests.scripted import CLOSE, Scripted, bookmark, config_map, error, event, line, listed

NO_JITTER = ReflectorOptions(backoff=BackoffOptions(jitter=0.0))
LISTS = ReflectorOptions(backoff=BackoffOptions(jitter=0.0), streaming=False)


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def bind(self, **_: Any) -> Log:
        return self

    def warning(self, what: str, **values: Any) -> None:
        self.lines.append((what, values))

    exception = error = warning


class Bed:
    """An informer of ConfigMaps on a scripted server; what its handler heard, and what it told of."""

    def __init__(self, options: ReflectorOptions = NO_JITTER, **more: Any) -> None:
        self.clock = VirtualClock()
        self.server = Scripted(self.clock)
        self.errors: list[Exception] = []
        self.heard: list[str] = []
        self.log = Log()
        self.informer = Informer(
            Client(self.server, clock=self.clock),
            kinds.CONFIG_MAP,
            "default",
            clock=self.clock,
            rng=Random(0),
            log=self.log,
            on_error=self.errors.append,
            options=options,
            **more,
        )
        self.informer.add_handler(
            Handler(
                on_add=lambda value, _: self.heard.append(f"add {value.name}@{value.resource_version}"),
                on_update=lambda _, new: self.heard.append(f"update {new.name}@{new.resource_version}"),
                on_delete=lambda value: self.heard.append(f"delete {value.name}"),
            )
        )

    @asynccontextmanager
    async def running(self, seconds: float = 0.0) -> AsyncIterator[None]:
        task = asyncio.create_task(self.informer.run())
        try:
            await self.clock.advance(seconds)
            yield
            assert not task.done(), task
        finally:
            await cancel_and_wait(task)

    @property
    def names(self) -> list[str]:
        return sorted(key.name for key in self.informer.store.keys())  # noqa: SIM118 - a store is no dict


# -- beginning and ending ----------------------------------------------------------------------------------------------


@pytest.mark.parity("2.1/stopped-before-watch", "2.1/run-until")
async def test_told_to_end_before_the_server_has_answered_it_ends_and_leaves_no_connection() -> None:
    bed = Bed()
    async with bed.running():
        assert [each.closed for each in bed.server.asked] == [False]
    assert [each.closed for each in bed.server.asked] == [True]


@pytest.mark.parity("2.1/stopped-after-watch", "2.1/stopped-before-handler", "2.1/run-until")
async def test_told_to_end_while_it_watches_it_ends_and_handles_nothing_more() -> None:
    bed = Bed()
    bed.server.stream(bookmark("5", end=True), 10.0, event("ADDED", "late", "6"))
    async with bed.running(9.0):
        assert bed.informer.has_synced
    await bed.clock.advance(60.0)
    assert (bed.heard, [each.closed for each in bed.server.asked]) == ([], [True])


@pytest.mark.parity("2.1/stopped-after-handler", "2.1/run-until")
async def test_told_to_end_by_a_handler_it_ends_with_what_that_batch_brought() -> None:
    bed = Bed()
    bed.server.stream(bookmark("5", end=True), 1.0, event("ADDED", "a", "6"), 1.0, event("ADDED", "b", "7"))
    task = asyncio.create_task(bed.informer.run())
    bed.informer.add_handler(Handler(on_add=lambda *_: bool(task.cancel())))
    await bed.clock.advance(10.0)
    assert task.cancelled()
    assert (bed.heard, bed.server.asked[0].closed) == (["add a@6"], True)


@pytest.mark.parity("2.1/close-watch-on-error")
@pytest.mark.parametrize(
    "last",
    [line("ERROR", error(500, "InternalError")), b"not json\n", TransportError("reset"), CLOSE],
    ids=["an error event", "a line that is no event", "a broken connection", "its end"],
)
async def test_a_watch_that_is_over_is_closed_before_the_next_is_opened(last: bytes | TransportError) -> None:
    bed = Bed()
    bed.server.stream(bookmark("5", end=True), 2.0, last)
    async with bed.running(2.1):
        if last != CLOSE:  # that one is followed at once
            assert [each.closed for each in bed.server.asked] == [True], "while it waits"
        await bed.clock.advance(30.0)
        assert [each.closed for each in bed.server.asked] == [True, False]


@pytest.mark.parity("1a/resume", "2.1/informerwatcher-tombstones")
async def test_run_again_it_goes_on_from_the_version_it_had_and_tells_what_it_missed() -> None:
    bed = Bed()
    bed.server.stream(event("ADDED", "a", "4"), event("ADDED", "b", "5"), bookmark("5", end=True))
    bed.server.stream(event("ADDED", "a", "4"), event("ADDED", "c", "8"), bookmark("9", end=True))
    async with bed.running():
        assert bed.names == ["a", "b"]
    async with bed.running():
        assert bed.server.told == ["stream rv=", "stream rv=5"]
        assert bed.heard == ["add a@4", "add b@5", "delete b", "add c@8"]


# -- lists and watches -------------------------------------------------------------------------------------------------


@pytest.mark.parity("2.1/watch-handler-add", "2.1/watch-handler-update", "2.1/watch-handler-delete")
@pytest.mark.parity("2.1/watch-handler-bookmark", "2.1/watch-handler-unknown")
async def test_each_type_of_event_does_its_own() -> None:
    bed = Bed()
    bed.server.stream(
        event("ADDED", "a", "1"), bookmark("1", end=True), event("ADDED", "b", "2"), event("MODIFIED", "a", "3")
    )
    bed.server.answers[0].parts += (event("MOVED", "a", "4"), event("DELETED", "b", "5"), bookmark("9"))
    async with bed.running():
        assert bed.heard == ["add a@1", "add b@2", "update a@3", "delete b"]
        assert (bed.names, bed.informer.store.version) == (["a"], "9")
    (told,) = bed.errors
    assert "unknown type 'MOVED' about <ConfigMap default/a" in str(told)


@pytest.mark.parity("2.1/list-and-watch")
async def test_what_is_listed_and_what_is_watched_is_in_the_store() -> None:
    bed = Bed(LISTS)
    bed.server.json(listed("5", config_map("a", "4"))).stream(event("ADDED", "b", "6"))
    async with bed.running():
        assert bed.server.told == ["list rv=0 limit=500", "watch rv=5"]
        assert (bed.names, bed.informer.store.version) == (["a", "b"], "6")


@pytest.mark.parity("2.1/list-and-watch-with-errors", "1a/error-event", "1a/expired-relist")
async def test_whatever_fails_in_between_the_store_ends_up_right_and_every_failure_is_told() -> None:
    bed = Bed(LISTS)
    bed.server.fail().refuse(500, "InternalError").json(listed("5", config_map("a", "4"), config_map("b", "5")))
    bed.server.stream(event("ADDED", "c", "6"), line("ERROR", error(403, "Forbidden")))
    bed.server.json(listed("7", config_map("a", "4"), config_map("c", "6")))
    bed.server.refuse(429, "TooManyRequests")
    bed.server.stream(event("MODIFIED", "a", "8"), line("ERROR", error(410, "Expired")))
    bed.server.refuse(410, "Expired").json(listed("20", config_map("d", "19")))
    async with bed.running(120.0):
        assert bed.names == ["d"]
        assert bed.heard[-3:] == ["delete a", "delete c", "add d@19"]
        assert bed.server.told == [
            *["list rv=0 limit=500"] * 3,
            "watch rv=5",
            "list rv=6 limit=0",
            *["watch rv=7"] * 2,
            "list rv=8 limit=0",
            "list rv= limit=500",
            "watch rv=20",
        ]
    kinds_told = [type(each) for each in bed.errors]
    assert kinds_told[1:] == [InternalError, Forbidden, TooManyRequests, Expired, Expired]
    assert (bed.informer.failures, bed.informer.last_error) == (6, bed.errors[-1])


@pytest.mark.parity("2.1/initial-connection-backoff", "1a/list-backoff")
async def test_n_refused_connections_take_the_sum_of_n_growing_waits() -> None:
    bed = Bed(ReflectorOptions())
    for _ in range(5):
        bed.server.fail()
    bed.server.stream(bookmark("5", end=True))
    least_s = sum(0.8 * 2**n for n in range(5))
    async with bed.running(least_s - 0.1):
        assert not bed.informer.has_synced
        await bed.clock.advance(least_s + 0.1)
        assert bed.informer.has_synced
    waits_s = [later.at - sooner.at for sooner, later in zip(bed.server.asked, bed.server.asked[1:], strict=False)]
    assert all(0.8 * 2**n <= waited_s < 2 * 0.8 * 2**n for n, waited_s in enumerate(waits_s))
    assert len({waited_s / 2**n for n, waited_s in enumerate(waits_s)}) == 5, "without jitter all clients come at once"


@pytest.mark.parity("2.1/no-relist-on-too-many-requests", "1a/throttled-no-relist")
async def test_five_times_429_are_five_watches_and_no_second_list() -> None:
    bed = Bed(LISTS)
    bed.server.json(listed("5", config_map("a", "4")))
    for _ in range(3):
        bed.server.refuse(429, "TooManyRequests")
    for _ in range(2):
        bed.server.stream(line("ERROR", error(429, "TooManyRequests")))
    async with bed.running(100.0):
        assert bed.server.told == ["list rv=0 limit=500", *["watch rv=5"] * 6]


@pytest.mark.parity("2.1/resync")
async def test_a_resync_delivers_what_is_cached_again_and_asks_the_server_nothing() -> None:
    bed = Bed()
    bed.server.stream(event("ADDED", "a", "1"), bookmark("1", end=True))
    bed.informer.add_handler(Handler(on_update=lambda old, new: bed.heard.append(f"same {old is new}")), resync_s=30.0)
    async with bed.running(61.0):
        assert bed.heard == ["add a@1", "same True", "same True"]
        assert len(bed.server.asked) == 1


@pytest.mark.parity("2.1/watch-timeout-within-bounds", "1a/server-timeout-jitter")
async def test_the_server_is_asked_to_end_each_watch_after_five_to_ten_minutes() -> None:
    bed = Bed()
    for number in range(40):
        bed.server.stream(bookmark(str(number + 1), end=number == 0), CLOSE)
    async with bed.running():
        asked_s = [int(each.query["timeoutSeconds"]) for each in bed.server.asked]
    assert len(asked_s) == 41
    assert min(asked_s) >= 300
    assert max(asked_s) < 600
    assert len(set(asked_s)) > 30


# -- what is kept ------------------------------------------------------------------------------------------------------


@pytest.mark.parity("2.1/transformer-in-temporary-store")
@pytest.mark.parametrize("options", [NO_JITTER, LISTS], ids=["streamed", "listed"])
async def test_objects_are_transformed_before_they_are_collected(options: ReflectorOptions) -> None:
    def lean(value: Object) -> Object:
        return Object.from_dict({**value.to_dict(), "data": {}})

    bed = Bed(options, transform=lean)
    if options.streaming:
        bed.server.stream(event("ADDED", "a", "1", long="text"), bookmark("1", end=True))
    else:
        bed.server.json(listed("1", config_map("a", "1", long="text"))).stream()
    bed.server.answers[-1].parts += (event("ADDED", "b", "2", long="text"),)
    async with bed.running():
        assert [value.body["data"] for value in bed.informer.store.list()] == [{}, {}]


@pytest.mark.parametrize("options", [NO_JITTER, LISTS], ids=["streamed", "listed"])
async def test_while_nothing_happens_the_store_alone_holds_the_objects(options: ReflectorOptions) -> None:
    bed = Bed(options)
    if options.streaming:
        bed.server.stream(event("ADDED", "a", "1") + bookmark("1", end=True))
    else:
        bed.server.json(listed("1", config_map("a", "1"))).stream()
    alone = Store()
    alone.replace([Object.from_dict(config_map("a", "1"))])
    key = Key("default", "a")
    async with bed.running(1.0):
        assert sys.getrefcount(bed.informer.store.get(key)) == sys.getrefcount(alone.get(key))


@pytest.mark.parity("1a/paged-list")
async def test_of_a_page_there_is_one_copy_beside_the_answer() -> None:
    def bulky(number: int) -> dict[str, Any]:
        value = config_map(f"n{number}", "1", text="x" * 5_000)
        value["metadata"]["managedFields"] = [{"manager": "y" * 5_000}]
        return value

    bed = Bed(LISTS)
    bed.server.json(listed("1", *(bulky(number) for number in range(500)))).stream()
    page_bytes = sum(len(part) for part in bed.server.answers[0].parts if isinstance(part, bytes))
    tracemalloc.start()
    try:
        async with bed.running(1.0):
            assert len(bed.informer.store) == 500
            kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1.25 * page_bytes
    assert kept_bytes < 0.75 * page_bytes


async def test_every_informer_of_a_process_is_followed_as_its_cache_options_say() -> None:
    clock = VirtualClock()
    server = Scripted(clock).fail(TransportError("no way")).json(listed("5", config_map("a", "4")))
    told: list[Exception] = []
    options = CacheOptions(reflector=ReflectorOptions(streaming=False, page_size=7), on_error=told.append)
    informers = Informers(Client(server, clock=clock), options=options, clock=clock)
    informer = await informers.declare(kinds.CONFIG_MAP)
    informers.start()
    await clock.advance(5.0)
    assert (len(informer.store), server.told) == (1, ["list rv=0 limit=7", "list rv=0 limit=7", "watch rv=5"])
    assert [str(each) for each in told] == ["no way"]
    await informers.stop()


@pytest.mark.parametrize("options", [NO_JITTER, LISTS], ids=["streamed", "listed"])
async def test_a_new_sync_needs_no_second_copy_of_what_is_unchanged(options: ReflectorOptions) -> None:
    bed = Bed(options)
    same, changed, made_anew = config_map("same", "1"), config_map("changed", "2"), config_map("made-anew", "3")
    if options.streaming:
        bed.server.stream(*(line("ADDED", each) for each in (same, changed, made_anew)), bookmark("3", end=True))
    else:
        bed.server.json(listed("3", same, changed, made_anew)).stream()
    bed.server.answers[-1].parts += (5.0, line("ERROR", error(410, "Expired")))
    made_anew["metadata"]["uid"] = "another"
    changed["metadata"]["resourceVersion"] = "4"
    if options.streaming:
        bed.server.stream(*(line("ADDED", each) for each in (same, changed, made_anew)), 5.0, bookmark("4", end=True))
    else:
        bed.server.json(listed("4", same, changed, made_anew, token="more")).json(listed("4"), after_s=5.0)
    async with bed.running(8.0):
        state = bed.informer.state
        assert isinstance(state, Streaming | Listing)
        collected = state.objects.values() if isinstance(state, Streaming) else state.objects
        assert [value.name for value in collected if value is bed.informer.store.get(value.key)] == ["same"]
        await bed.clock.advance(10.0)
        assert bed.heard[3:] == ["update changed@4", "update made-anew@3"]


@pytest.mark.parity("2.1/list-extraction")
def test_an_object_taken_from_a_list_keeps_no_more_than_its_own_bytes() -> None:
    page = listed("1", config_map("small", "1"), *(config_map(f"n{n}", "1", text="x" * 9_000) for n in range(200)))
    answer = json.dumps(page).encode()
    small, *others = decode_list(answer, kinds.CONFIG_MAP).items
    assert (type(small.raw), len(others)) == (bytes, 200)
    assert len(small.raw) < 200
    assert not [each for each in gc.get_referents(small) if isinstance(each, memoryview) or each is answer]


# -- what cannot be read -----------------------------------------------------------------------------------------------

SECRET = {**config_map("foreign", "7"), "kind": "Secret"}
OTHER_VERSION = {**config_map("foreign", "7"), "apiVersion": "v2"}
TABLE = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": "7"}, "rows": []}


@pytest.mark.parity("2.1/kind-mismatch-skipped", "2.1/tables-rejected", "1a/wrong-kind-guard", "1a/watch-error-hook")
@pytest.mark.parametrize(
    ("foreign", "message"),
    [
        (SECRET, "expected ConfigMap of v1, got <Secret default/foreign rv=7"),
        (OTHER_VERSION, "expected ConfigMap of v1, got <ConfigMap default/foreign rv=7 .* of 'v2'"),
        (TABLE, "expected ConfigMap of v1, got <Table "),
    ],
    ids=["kind", "version", "table"],
)
async def test_an_object_of_another_kind_is_skipped_and_told_of_and_the_rest_goes_on(
    foreign: dict[str, Any], message: str
) -> None:
    bed = Bed()
    bed.server.stream(
        event("ADDED", "a", "5"),
        bookmark("5", end=True),
        1.0,
        event("ADDED", "b", "6") + line("MODIFIED", foreign) + event("MODIFIED", "a", "8"),
    )
    # What it was about is not known: a new sync tells.
    bed.server.stream(event("ADDED", "a", "8"), event("ADDED", "b", "9"), bookmark("9", end=True))
    async with bed.running(1.0):
        assert bed.heard == ["add a@5", "add b@6", "update a@8"]
        await bed.clock.advance(1.0)
        assert bed.server.told == ["stream rv=", "stream rv=8"]
        assert bed.heard[3:] == ["update b@9"]
    (told,) = bed.errors
    assert isinstance(told, MalformedObject)
    with pytest.raises(MalformedObject, match=message):
        raise told


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"not json at all\n", "not a watch event: .* it starts b'not json at all'"),
        (b'{"type":"ADDED"}\n', "missing required field `object`"),
        (line("MODIFIED", {"kind": "ConfigMap"}), 'missing required field `metadata`.*it starts b\'{"kind"'),
        (line("MODIFIED", {"metadata": {"name": "a", "resourceVersion": 7}}), r"Expected `str`.*resourceVersion"),
        (line("MODIFIED", {"metadata": []}), "Expected `object`, got `array`"),
    ],
    ids=["no json", "no object", "no metadata", "a version that is a number", "metadata that is none"],
)
async def test_after_an_event_that_cannot_be_read_all_is_synced_anew_and_nothing_is_lost(
    broken: bytes, message: str
) -> None:
    bed = Bed()
    bed.server.stream(
        event("ADDED", "a", "5"),
        bookmark("5", end=True),
        1.0,
        event("ADDED", "b", "6") + broken + event("ADDED", "c", "8"),
    )
    bed.server.stream(event("ADDED", "a", "7"), event("ADDED", "b", "6"), event("ADDED", "c", "8"))
    bed.server.answers[-1].parts += (bookmark("8", end=True),)
    async with bed.running(1.0):
        assert bed.heard == ["add a@5", "add b@6"]
        await bed.clock.advance(1.0)
        assert bed.heard[2:] == ["update a@7", "add c@8"]
    (told,) = bed.errors
    with pytest.raises(MalformedObject, match=message):
        raise told


@pytest.mark.parametrize(
    "page",
    [
        listed("9", config_map("a", "8"), SECRET),
        listed("9", config_map("a", "8"), {"kind": "ConfigMap"}),
        {**TABLE, "items": []},
    ],
    ids=["kind", "no metadata", "table"],
)
async def test_a_list_that_cannot_be_read_deletes_nothing_and_is_asked_for_again(page: dict[str, Any]) -> None:
    bed = Bed(LISTS)
    bed.server.json(listed("5", config_map("a", "4"), config_map("foreign", "5")))
    bed.server.stream(line("ERROR", error(410, "Expired")))
    bed.server.json(page)
    bed.server.json(listed("9", config_map("a", "8"), config_map("foreign", "5")))
    async with bed.running(1.0):
        assert bed.names == ["a", "foreign"]
        await bed.clock.advance(60.0)
        assert bed.server.told[3:] == ["list rv=5 limit=0", "watch rv=9"]
        assert bed.heard == ["add a@4", "add foreign@5", "update a@8"]
    assert isinstance(bed.errors[-1], MalformedObject)


async def test_a_version_that_is_no_number_is_resumed_at_until_the_server_will_not_have_it() -> None:
    bed = Bed()
    bed.server.stream(event("ADDED", "a", "five"), bookmark("five", end=True), 2.0, CLOSE)
    bed.server.refuse(400, "BadRequest", "invalid resource version: five")
    bed.server.refuse(400, "BadRequest", "invalid resource version: five")
    bed.server.refuse(400, "BadRequest", "invalid resource version: five")
    bed.server.json(listed("6", config_map("a", "5"))).stream()
    async with bed.running(10.0):
        assert bed.server.told == [
            "stream rv=",
            "watch rv=five",
            "stream rv=five",
            "list rv=five limit=0",
            "list rv= limit=500",
            "watch rv=6",
        ]
        assert (bed.heard, bed.informer.store.version) == (["add a@five", "update a@5"], "6")


async def test_a_line_that_is_cut_off_is_a_broken_connection_and_resumed() -> None:
    bed = Bed()
    bed.server.stream(bookmark("5", end=True), 2.0, event("ADDED", "a", "6")[:40], CLOSE)
    bed.server.stream(event("ADDED", "a", "6"))
    async with bed.running(10.0):
        assert bed.server.told == ["stream rv=", "watch rv=5"]
        assert bed.names == ["a"]
    assert "in the middle of a line" in str(bed.errors[0])


# -- what is told ------------------------------------------------------------------------------------------------------


@pytest.mark.parity("1a/watch-error-hook")
async def test_without_a_hook_failures_are_logged_and_a_hook_that_raises_stops_nothing() -> None:
    bed = Bed()
    bed.informer._on_error = None
    bed.server.refuse(429, "TooManyRequests", "busy").fail().stream(bookmark("5", end=True))
    async with bed.running(0.5):
        (logged,) = bed.log.lines
        assert logged[0] == "stream_failed"
        assert "429 TooManyRequests: busy" in logged[1]["error"]

        def broken(error: Exception) -> None:
            raise RuntimeError("a hook's bug")

        bed.informer._on_error = broken
        await bed.clock.advance(10.0)
        assert bed.informer.has_synced
        assert bed.log.lines[1][0] == "handler_failed"


@pytest.mark.parity("2.1/watchlist-warning-ticker")
async def test_while_the_end_of_the_initial_events_is_late_that_is_said_every_ten_seconds() -> None:
    bed = Bed()
    bed.server.stream(event("ADDED", "a", "1"), 35.0, bookmark("1", end=True))
    async with bed.running(100.0):
        assert bed.informer.has_synced
        assert {what for what, _ in bed.log.lines} == {"initial_events_not_ended"}
        assert [values["waited_s"] for _, values in bed.log.lines] == [10.0, 20.0, 30.0]


# -- dead connections --------------------------------------------------------------------------------------------------


@pytest.mark.parity("1a/dead-connection", "1a/server-timeout-jitter")
async def test_a_watch_that_goes_on_past_its_time_is_replaced_though_bytes_come_in() -> None:
    bed = Bed()
    bed.server.stream(bookmark("1", end=True), *[part for n in range(30) for part in (60.0, bookmark(str(n + 2)))])
    async with bed.running(290.0):
        assert len(bed.server.asked) == 1
        await bed.clock.advance(600.0 + 15.0 + 60.0 - 290.0)
        first, second = bed.server.asked
        assert first.closed
        assert second.at - first.at <= int(first.query["timeoutSeconds"]) + 1 + 15.0 + 60.0 + 1.6
        assert str(second) == f"watch rv={bed.informer.store.version}"
    (told,) = bed.errors
    assert isinstance(told, DeadlineExceeded)


async def test_the_silence_that_is_borne_is_told_to_the_transport() -> None:
    bed = Bed(ReflectorOptions(watch_idle_s=7.0))
    async with bed.running():
        assert bed.server.asked[0].request.idle_timeout_s == 7.0


# -- holding the cache against the server ------------------------------------------------------------------------------


@pytest.mark.parity("2.1/consistency-equal", "1a/consistency-check")
async def test_the_cache_is_held_against_a_list_of_its_own_version() -> None:
    bed = Bed()
    bed.server.stream(event("ADDED", "a", "4"), event("ADDED", "b", "5"), bookmark("9", end=True), 1.0)
    bed.server.answers[-1].parts += (event("DELETED", "a", "10"),)
    bed.server.json(listed("9", config_map("a", "4"), config_map("b", "5")), after_s=2.0)
    bed.server.json(listed("10", config_map("b", "6"), config_map("c", "7")))
    async with bed.running():
        check = asyncio.create_task(bed.informer.differences())
        await bed.clock.advance(5.0)
        assert await check == [], "what was deleted while the list was under way is no difference"
        query = bed.server.asked[1].query
        assert (query["resourceVersion"], query["resourceVersionMatch"]) == ("9", "Exact")
        assert await bed.informer.differences() == [
            "ConfigMap.v1 default/b: cached at 5, the server has 6",
            "ConfigMap.v1 default/c: cached at nothing, the server has 7",
        ]


@pytest.mark.parity("2.1/consistency-retries")
async def test_where_the_version_has_expired_meanwhile_the_cache_is_held_against_the_next() -> None:
    bed = Bed()
    bed.server.stream(event("ADDED", "a", "4"), bookmark("9", end=True), 1.0, event("DELETED", "a", "12"))
    bed.server.json(error(410, "Expired"), 410, after_s=2.0).json(listed("12"))
    bed.server.refuse(410, "Expired")
    async with bed.running():
        check = asyncio.create_task(bed.informer.differences())
        await bed.clock.advance(5.0)
        assert await check == []
        assert [each.query["resourceVersion"] for each in bed.server.asked[1:]] == ["9", "12"]
        with pytest.raises(Expired):
            await bed.informer.differences()


# -- what is not ours to repair ----------------------------------------------------------------------------------------


async def test_an_index_that_raises_keeps_no_other_object_back() -> None:
    bed = Bed()

    def index(value: Object) -> list[str]:
        if value.name == "bad":
            raise ValueError("an index's bug")
        return [value.name]

    bed.informer.add_index("name", index)
    bed.server.stream(bookmark("1", end=True), event("ADDED", "bad", "2"), event("ADDED", "good", "3"))
    async with bed.running():
        assert [value.name for value in bed.informer.store.by_index("name", "good")] == ["good"]
        assert bed.informer.store.version == "3"


async def test_an_error_of_who_is_told_is_followed_by_a_new_sync() -> None:
    bed = Bed()
    failures = [RuntimeError("a listener's bug")]

    def progress() -> None:
        if failures:
            raise failures.pop()

    bed.informer.on_progress = progress
    bed.server.stream(event("ADDED", "a", "1"), bookmark("1", end=True))
    bed.server.stream(event("ADDED", "a", "1"), bookmark("2", end=True), event("ADDED", "b", "3"))
    async with bed.running(1.0):
        assert (bed.names, bed.server.told) == (["a", "b"], ["stream rv=", "stream rv=1"])
        assert [str(each) for each in bed.errors] == ["a listener's bug"]


async def test_a_server_that_refuses_everything_is_asked_less_and_less_and_readers_keep_what_there_is() -> None:
    bed = Bed()
    bed.server.stream(event("ADDED", "a", "1"), bookmark("1", end=True), 2.0, line("ERROR", error(401, "Unauthorized")))
    for _ in range(100):
        bed.server.refuse(401, "Unauthorized")
    async with bed.running(300.0):
        assert bed.informer.store.get(Key("default", "a")) is not None
        assert len(bed.server.asked) < 2 * 16
        assert isinstance(bed.informer.last_error, ApiError)
    await settle()
