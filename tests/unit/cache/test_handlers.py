"""What handlers hear, and when: lists and events are given to an informer by hand, time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from controllerkit.cache import Handler, Informer, Registration
from controllerkit.client import Client, WatchEvent
from controllerkit.errors import ConfigError
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import cancel_and_wait
from controllerkit.testing import VirtualClock, settle
from controllerkit.wire import WireRequest
from tests import scripted
from tests.scripted import Answer, Scripted, bookmark


def config_map(name: str, version: int, uid: str = "") -> Object:
    metadata = {"name": name, "namespace": "default", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return Object.from_dict({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


class Silent:
    """A transport that never answers."""

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield request

    async def aclose(self) -> None:
        """Nothing to close."""


class Bed:
    """An informer whose server is silent, so that the test is the server."""

    def __init__(self, **options: Any) -> None:
        self.clock = VirtualClock()
        self.informer = Informer(Client(Silent()), kinds.CONFIG_MAP, clock=self.clock, **options)
        self.heard: list[str] = []

    def handler(self, who: str = "", **more: Any) -> Handler:
        def tell(text: str) -> None:
            self.heard.append(f"{who} {text}".strip())

        calls: dict[str, Any] = {
            "on_add": lambda value, initial: tell(f"add {told(value)}{' initial' if initial else ''}"),
            "on_update": lambda old, new: tell(f"update {told(old)} to {told(new)}"),
            "on_delete": lambda value: tell(f"delete {told(value)}"),
        }
        return Handler(**{**calls, **more})

    def add(self, who: str = "", *, resync_s: float = 0.0, **more: Any) -> Registration:
        return self.informer.add_handler(self.handler(who, **more), resync_s=resync_s)

    def listed(self, *objects: Object) -> None:
        self.informer._replace(list(objects))

    def event(self, *events: tuple[str, Object]) -> None:
        self.informer._apply([WatchEvent(kind, value) for kind, value in events])

    def take(self) -> list[str]:
        heard, self.heard[:] = list(self.heard), []
        return heard


def told(value: Object) -> str:
    return f"{value.name}@{value.resource_version}"


@pytest.mark.parity("2.2/basic-order", "2.2/every-update-is-told", "2.2/no-line-jumpers", "1b/in-order-deltas")
def test_events_are_told_one_by_one_in_their_order_after_the_first_list() -> None:
    bed = Bed()
    bed.add()
    bed.listed(config_map("a", 1), config_map("b", 2))
    bed.event(("MODIFIED", config_map("a", 3)), ("ADDED", config_map("c", 4)), ("MODIFIED", config_map("a", 5)))
    bed.event(("DELETED", config_map("b", 6)))
    assert bed.take() == [
        "add a@1 initial",
        "add b@2 initial",
        "update a@1 to a@3",
        "add c@4",
        "update a@3 to a@5",
        "delete b@6",
    ]


@pytest.mark.parity("2.2/replace-deletes-first", "2.2/replace-events", "2.2/watch-disruption-missed-changes")
def test_a_later_list_is_told_as_the_changes_that_lead_there_deletes_first() -> None:
    bed = Bed()
    bed.listed(config_map("a", 1), config_map("b", 2), config_map("c", 3))
    bed.add()
    bed.take()
    bed.listed(config_map("d", 9), config_map("c", 8), config_map("b", 2))
    assert bed.take() == ["delete a@1", "add d@9", "update c@3 to c@8"]


@pytest.mark.parity("2.2/replace-delete-is-recognisable", "2.2/typed-tombstone", "1b/tombstones")
def test_a_missed_deletion_carries_the_last_state_seen_and_can_be_told_apart() -> None:
    bed = Bed()
    missed: list[str] = []
    bed.add("apart", on_missed=lambda value: missed.append(told(value)))
    bed.add("together")
    bed.listed(config_map("a", 1), config_map("b", 2))
    bed.take()
    bed.event(("DELETED", config_map("a", 7)))
    bed.listed()
    assert bed.take() == ["apart delete a@7", "together delete a@7", "together delete b@2"]
    assert missed == ["b@2"]


@pytest.mark.parity("2.2/watch-disruption-resync", "2.2/resync-only-for-those-who-want-it", "2.2/reset-watch")
def test_what_a_later_list_shows_unchanged_goes_only_to_those_with_a_resync_period() -> None:
    bed = Bed()
    bed.add("once")
    bed.add("again", resync_s=60.0)
    bed.listed(config_map("a", 1), config_map("b", 2))
    assert bed.take() == [f"{who} add {each} initial" for each in ("a@1", "b@2") for who in ("once", "again")]
    bed.listed(config_map("a", 1), config_map("b", 5))
    assert bed.take() == ["once update b@2 to b@5", "again update b@2 to b@5", "again update a@1 to a@1"]


def test_a_uid_that_changes_without_a_deletion_is_an_update() -> None:
    bed = Bed()
    bed.listed(config_map("a", 1, uid="one"))
    bed.add()
    bed.take()
    bed.listed(config_map("a", 9, uid="two"))
    bed.event(("ADDED", config_map("a", 12, uid="three")))
    assert bed.take() == ["update a@1 to a@9", "update a@9 to a@12"]


@pytest.mark.parity("2.2/delete-of-the-unknown")
def test_a_deletion_of_what_is_not_there_is_told_to_nobody() -> None:
    bed = Bed()
    bed.add()
    bed.listed()
    bed.event(("DELETED", config_map("a", 3)))
    assert bed.take() == []


# -- handlers that come and go ---------------------------------------------------------------------------------------


@pytest.mark.parity("2.2/sync-counts", "2.2/has-synced-matrix", "1b/handler-sync", "1b/shared-informer")
def test_each_handler_has_synced_when_it_was_given_the_first_list() -> None:
    bed = Bed()
    synced: list[bool] = []
    early = bed.add(on_add=lambda value, initial: synced.append(early.has_synced))
    assert not early.has_synced
    bed.listed(config_map("a", 1), config_map("b", 2))
    assert (synced, early.has_synced) == ([False, False], True), "only when all of it was delivered"
    late = bed.add("late")
    assert (late.has_synced, bed.take()) == (True, ["late add a@1 initial", "late add b@2 initial"])


@pytest.mark.parity("2.2/has-synced-when-empty")
def test_an_empty_first_list_is_synced() -> None:
    bed = Bed()
    registration = bed.add()
    bed.listed()
    assert registration.has_synced


@pytest.mark.parity("2.2/handler-during-initial-list", "2.2/handler-abuse")
def test_a_handler_that_another_one_adds_hears_each_object_once() -> None:
    bed = Bed()
    added: list[Registration] = []

    def add_one(value: Object, initial: bool) -> None:
        if not added:
            added.append(bed.add("late"))

    bed.add(on_add=add_one)
    bed.listed(config_map("a", 1), config_map("b", 2))
    assert bed.take() == ["late add a@1 initial", "late add b@2 initial"]
    bed.event(("MODIFIED", config_map("a", 3)))
    assert bed.take() == ["update a@1 to a@3", "late update a@1 to a@3"]


@pytest.mark.parity("2.2/handler-abuse", "2.2/remove-handler")
def test_a_handler_that_another_one_removes_hears_nothing_more_not_even_of_the_same_change() -> None:
    bed = Bed()
    bed.add(on_add=lambda value, initial: second.remove())
    second = bed.add("second")
    itself = bed.add(on_update=lambda old, new: itself.remove())
    bed.listed(config_map("a", 1))
    bed.event(("MODIFIED", config_map("a", 2)), ("MODIFIED", config_map("a", 3)))
    assert bed.take() == ["add a@1 initial", "update a@1 to a@2", "update a@2 to a@3"]
    assert bed.informer.handlers == 1


@pytest.mark.parity("2.2/remove-twice", "2.2/remove-foreign-handler", "2.2/register-twice")
def test_removing_is_by_registration_once_and_only_ones_own() -> None:
    bed, other = Bed(), Bed()
    handler = bed.handler()
    first, second = bed.informer.add_handler(handler), bed.informer.add_handler(handler)
    other.informer.remove_handler(first)
    bed.listed(config_map("a", 1))
    assert bed.take() == ["add a@1 initial"] * 2
    first.remove()
    first.remove()
    bed.event(("MODIFIED", config_map("a", 2)))
    assert bed.take() == ["update a@1 to a@2"]
    second()
    assert bed.informer.handlers == 0


@pytest.mark.parity("2.2/handler-panics", "1b/shared-informer")
def test_a_handler_that_raises_is_told_of_skipped_and_called_for_the_next() -> None:
    def broken(value: Object, initial: bool) -> None:
        raise ValueError(value.name)

    with capture_logs() as logs:
        bed = Bed()
        bed.add("broken", on_add=broken)
        bed.add("fine")
        bed.listed(config_map("a", 1))
        bed.event(("MODIFIED", config_map("a", 2)))
    assert bed.take() == ["fine add a@1 initial", "broken update a@1 to a@2", "fine update a@1 to a@2"]
    assert [each["event"] for each in logs] == ["handler_failed"]


@pytest.mark.parity("2.2/handler-on-stopped", "2.2/handlers-while-running", "2.2/state-transitions")
async def test_handlers_come_and_go_before_during_and_after_a_run() -> None:
    bed = Bed()
    before = bed.add("before", resync_s=10.0)
    task = asyncio.create_task(bed.informer.run())
    bed.listed(config_map("a", 1))
    during = bed.add("during", resync_s=10.0)
    bed.take()
    await bed.clock.advance(10.0)
    assert bed.take() == ["before update a@1 to a@1", "during update a@1 to a@1"]
    before.remove()
    await bed.clock.advance(10.0)
    assert bed.take() == ["during update a@1 to a@1"]
    await cancel_and_wait(task)
    await bed.clock.advance(30.0)
    assert bed.take() == [], "nothing is given again by an informer that does not run"
    during.remove()
    bed.add("after")
    assert (bed.take(), bed.informer.store.keys()) == (["after add a@1 initial"], [Key("default", "a")])


# -- the whole way from the watch --------------------------------------------------------------------------------------


@asynccontextmanager
async def following(script: Scripted, clock: VirtualClock, handler: Handler | None = None) -> AsyncIterator[Informer]:
    informer = Informer(Client(script), kinds.CONFIG_MAP, clock=clock)
    if handler is not None:
        informer.add_handler(handler)
    task = asyncio.create_task(informer.run())
    await settle()
    try:
        yield informer
    finally:
        await cancel_and_wait(task)


@pytest.mark.parity("2.2/store-version-from-bookmark", "2.9/bookmark-advances", "1b/store-version")
async def test_the_store_stands_at_the_version_of_the_last_bookmark() -> None:
    clock = VirtualClock()
    script = Scripted(clock).stream(scripted.event("ADDED", "a", "3"), bookmark("7", end=True), 60.0, bookmark("12"))
    async with following(script, clock) as informer:
        assert informer.store.version == "7"
        await clock.advance(59.0)
        assert (informer.store.version, informer.staleness_s(clock.monotonic())) == ("7", 59.0)
        await clock.advance(1.0)
        assert (informer.store.version, informer.staleness_s(clock.monotonic())) == ("12", 0.0)


@pytest.mark.parity("1b/slow-consumer")
async def test_nothing_is_read_ahead_of_a_handler_so_a_slow_one_holds_up_the_watch() -> None:
    clock = VirtualClock()
    read: list[int] = []
    heard: list[tuple[str, int]] = []

    def parts() -> Iterator[bytes]:
        yield bookmark("1", end=True)
        for number in range(5):
            read.append(number)
            yield scripted.event("ADDED", f"a-{number}", str(number + 2))

    script = Scripted(clock)
    script.answers.append(Answer(200, parts()))  # type: ignore[arg-type]
    handler = Handler(on_add=lambda value, initial: heard.append((value.name, len(read))))
    async with following(script, clock, handler):
        assert heard == [(f"a-{number}", number + 1) for number in range(5)]


# -- resync ---------------------------------------------------------------------------------------------------------


@pytest.mark.parity("2.2/resync-per-handler", "2.2/resync-of-a-late-handler", "2.2/resync-at-one-stroke", "1b/resync")
async def test_each_handler_is_given_all_that_is_cached_in_its_own_period() -> None:
    bed = Bed()
    bed.add("fast", resync_s=2.0)
    bed.add("slow", resync_s=5.0)
    bed.add("never")
    task = asyncio.create_task(bed.informer.run())
    bed.listed(config_map("a", 1))
    bed.take()
    await bed.clock.advance(4.5)
    bed.add("late", resync_s=2.0)
    assert bed.take() == ["fast update a@1 to a@1"] * 2 + ["late add a@1 initial"]
    await bed.clock.advance(2.0)
    assert sorted(bed.take()) == [f"{who} update a@1 to a@1" for who in ("fast", "late", "slow")]
    await cancel_and_wait(task)


@pytest.mark.parity("2.2/resync-of-the-gone", "2.2/resync-races-update")
async def test_a_resync_gives_what_is_cached_at_its_time_and_nothing_that_has_gone() -> None:
    bed = Bed()
    bed.add(resync_s=2.0)
    task = asyncio.create_task(bed.informer.run())
    bed.listed(config_map("a", 1), config_map("b", 2))
    bed.take()
    await bed.clock.advance(1.999)
    bed.event(("DELETED", config_map("b", 3)), ("MODIFIED", config_map("a", 4)))
    await bed.clock.advance(0.001)
    assert bed.take() == ["delete b@3", "update a@1 to a@4", "update a@4 to a@4"]
    await cancel_and_wait(task)


@pytest.mark.parity("2.2/resync-period-least")
@pytest.mark.parametrize("period_s", [-1.0, 0.5, 0.999])
def test_a_resync_period_below_the_least_is_refused(period_s: float) -> None:
    with pytest.raises(ConfigError, match="at least 1 s"):
        Bed().add(resync_s=period_s)


# -- whatever happens -------------------------------------------------------------------------------------------------

Step = tuple[str, str]
STEPS = st.lists(
    st.tuples(st.sampled_from(["ADDED", "MODIFIED", "DELETED", "LIST", "HANDLER"]), st.sampled_from("abc")), max_size=25
)


@pytest.mark.parity("2.2/hammer", "2.2/update-chain", "2.2/replace-at-one-stroke")
@given(STEPS)
def test_folding_what_any_handler_heard_gives_the_store_whenever_it_came(steps: list[Step]) -> None:
    """Lists and events in any order, handlers that come at any time and raise now and then."""
    bed = Bed(log=Quiet())
    mirrors: list[dict[str, Object]] = []
    now: dict[str, Object] = {}

    def mirror() -> None:
        seen: dict[str, Object] = {}
        mirrors.append(seen)

        def on_add(value: Object, initial: bool) -> None:
            assert value.name not in seen
            assert bed.informer.store.get(value.key) is not None
            seen[value.name] = value
            if value.name == "b":
                raise RuntimeError("a handler's bug")

        def on_update(old: Object, new: Object) -> None:
            assert seen[old.name] is old, "the old side is what was told last"
            seen[new.name] = new

        bed.informer.add_handler(
            Handler(on_add=on_add, on_update=on_update, on_delete=lambda value: seen.pop(value.name))
        )

    mirror()
    for version, (kind, name) in enumerate(steps, 10):
        match kind:
            case "HANDLER":
                mirror()
            case "LIST":
                now = {each: config_map(each, version) for each in "abc" if each >= name}
                bed.listed(*now.values())
            case "DELETED":
                now.pop(name, None)
                bed.event((kind, config_map(name, version)))
            case _:
                now[name] = config_map(name, version)
                bed.event((kind, now[name]))
        for seen in mirrors:
            assert seen == now == {value.name: value for value in bed.informer.store}


class Quiet:
    """A log that keeps nothing."""

    def bind(self, **_: object) -> Quiet:
        return self

    def exception(self, *_: object, **__: object) -> None:
        """A handler's bug."""

    warning = error = exception


# -- transforms, indexes --------------------------------------------------------------------------------------------


def without_data(value: Object) -> Object:
    body = value.to_dict()
    body.pop("data", None)
    return Object.from_dict(body)


def data_map(name: str, version: int) -> Object:
    return Object.from_dict({**config_map(name, version).to_dict(), "data": {"big": "x" * 100}})


@pytest.mark.parity("2.2/transform", "2.2/transform-twice", "1b/transform")
def test_objects_are_transformed_before_anybody_sees_them_each_time_they_arrive() -> None:
    calls: list[str] = []

    def transform(value: Object) -> Object:
        calls.append(told(value))
        return without_data(value)

    bed = Bed(transform=transform)
    kept = bed.informer.kept(data_map("a", 1))
    assert kept.get("data") is None
    assert kept == bed.informer.kept(kept), "the same for its own result"
    assert calls == ["a@1", "a@1"]


def raises(value: Object) -> Object:
    raise KeyError(value.name)


def another(value: Object) -> Object:
    return config_map("another", 1)


def at_no_version(value: Object) -> Object:
    return Object.from_dict({"metadata": {"name": value.name, "namespace": value.namespace, "uid": value.uid}})


@pytest.mark.parity("2.2/transform-raises", "2.2/transform-that-hides")
@pytest.mark.parametrize("transform", [raises, another, at_no_version])
def test_an_object_whose_transform_raises_or_makes_another_of_it_is_kept_as_it_came_and_told(
    transform: Callable[[Object], Object],
) -> None:
    with capture_logs() as logs:
        bed = Bed(transform=transform)
        assert bed.informer.kept(data_map("a", 1)) == data_map("a", 1)
    assert [(each["event"], each["object"]) for each in logs] == [("transform_failed", "default/a")]


@pytest.mark.parity("2.2/index-errors", "2.2/broken-in-batch")
def test_an_index_that_raises_is_told_and_the_object_is_kept() -> None:
    def broken(value: Object) -> list[str]:
        return [value.annotations["site"]]

    with capture_logs() as logs:
        bed = Bed()
        bed.add()
        bed.informer.add_index("site", broken)
        bed.listed(config_map("a", 1), config_map("b", 2))
    assert bed.take() == ["add a@1 initial", "add b@2 initial"]
    assert len(bed.informer.store.by_index("site", "x")) == 0
    assert {(each["event"], each["object"]) for each in logs} == {
        ("index_failed", "default/a"),
        ("index_failed", "default/b"),
    }
