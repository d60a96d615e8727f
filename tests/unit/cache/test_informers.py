"""The informers of one process, on a server: shared, started and stopped together, read through the overlay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from controllerkit.cache import Handler, Informers
from controllerkit.client import Client
from controllerkit.errors import AlreadyExists, ConfigError, DeadlineExceeded, UndeclaredKind
from controllerkit.manager.metrics import InformerMetrics
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import SystemClock, cancel_and_wait, wait_until
from tests.unit.conftest import Website

OURS = "of=these"


def config_map(name: str, namespace: str = "default", *, data: dict[str, str] | None = None, **labels: str) -> Any:
    metadata = {"name": name, "namespace": namespace, "labels": {"of": "these", **labels}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {}}


@asynccontextmanager
async def started(informers: Informers) -> AsyncIterator[Informers]:
    informers.start()
    try:
        await informers.wait_synced(timeout_s=10.0)
        yield informers
    finally:
        await informers.stop()


async def until(probe: Callable[[], object], what: str) -> None:
    async def probed() -> object:
        return probe()

    await wait_until(probed, what=what, timeout_s=10.0, interval_s=0.005)


def version(value: Object | None) -> str | None:
    return value and value.resource_version


async def emptied(client: Client, *namespaces: str) -> None:
    """They are there, and nothing of ours is in them."""
    for namespace in namespaces:
        with suppress(AlreadyExists):
            await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for each in (await client.list(kinds.CONFIG_MAP, namespace, label_selector="of")).items:
            await client.delete(kinds.CONFIG_MAP, each.key)


@pytest.mark.parity("2.2/indexer", "2.2/start-twice", "1b/shared-informer")
async def test_asking_twice_is_one_informer_with_every_index_and_a_start_again_changes_nothing(client: Client) -> None:
    await client.create(config_map("a", app="x"))
    informers = Informers(client)
    first = await informers.declare(kinds.CONFIG_MAP)
    assert await informers.declare(kinds.CONFIG_MAP) is first
    first.add_index("app", lambda value: [value.labels.get("app", "")])
    async with started(informers):
        informers.start()
        assert len(informers._tasks) == 1
        assert [v.name for v in informers.reader(kinds.CONFIG_MAP).by_index("app", "x")] == ["a"]


@pytest.mark.parity("2.5/cache-fail-on-missing", "1b/undeclared-is-error")
async def test_reading_what_is_not_declared_is_an_error_and_starts_nothing(client: Client) -> None:
    informers = Informers(client)
    await informers.declare(kinds.CONFIG_MAP)
    with pytest.raises(UndeclaredKind, match=r"declare it in `owns` or `watches` \(declared: ConfigMap.v1\)"):
        informers.reader(kinds.SECRET)
    assert [each.kind for each in informers] == [kinds.CONFIG_MAP]


@pytest.mark.parity(
    "2.5/cache-get",
    "2.5/cache-get-missing",
    "2.5/cache-list",
    "2.5/cache-list-namespace",
    "2.5/cache-list-labels",
    "2.5/cache-list-field-by-index",
    "1f/split-client",
)
async def test_cached_reads_by_key_namespace_labels_and_index(websites: Client) -> None:
    await emptied(websites, "other")
    for each in (
        config_map("a", of="reads", app="x"),
        config_map("b", of="reads", app="y"),
        config_map("a", "other", of="reads", app="x"),
    ):
        await websites.create(each)
    await websites.create(
        {"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": "w"}, "spec": {"x": 1}}
    )
    informers = Informers(websites)
    maps = await informers.declare(kinds.CONFIG_MAP, label_selector="of=reads")
    maps.add_index("metadata.name", lambda value: [value.name])
    await informers.declare(Website)
    async with started(informers):
        reader = informers.reader(kinds.CONFIG_MAP)
        found = reader.get(Key("other", "a"))
        assert found is not None
        assert (found.kind, found.api_version, found.labels["app"]) == ("ConfigMap", "v1", "x")
        assert reader.get(Key("default", "missing")) is None
        site = informers.reader(Website.resource_kind()).get(Key("default", "w"))
        assert site is not None
        assert Website.from_object(site).spec == {"x": 1}
        assert sorted(str(value.key) for value in reader.list()) == ["default/a", "default/b", "other/a"]
        assert sorted(value.name for value in reader.list("default")) == ["a", "b"]
        assert [str(v.key) for v in reader.list("default", label_selector="app in (x, z)")] == ["default/a"]
        assert [str(v.key) for v in reader.by_index("metadata.name", "a")] == ["default/a", "other/a"]


@pytest.mark.parity("2.5/cache-get-metadata", "1b/metadata-only")
async def test_of_a_kind_cached_by_metadata_only_that_is_there(client: Client) -> None:
    await client.create(config_map("a", data={"x": "1"}, app="x"))
    informers = Informers(client)
    await informers.declare(kinds.CONFIG_MAP, metadata_only=True)
    async with started(informers):
        found = informers.reader(kinds.CONFIG_MAP).get(Key("default", "a"))
        assert found is not None
        assert (found.kind, found.labels["app"], found.get("data")) == ("ConfigMap", "x", None)


@pytest.mark.parity("2.5/cache-deep-copy", "1b/reader", "2.2/mutation-detector")
async def test_what_a_reader_does_to_a_result_is_found_out_and_never_reaches_the_cache(client: Client) -> None:
    await client.create(config_map("a", data={"x": "1"}))
    informers = Informers(client)
    informer = await informers.declare(kinds.CONFIG_MAP, field_selector="metadata.name=a")
    async with started(informers):
        reader = informers.reader(kinds.CONFIG_MAP)
        found = reader.get(Key("default", "a"))
        assert found is not None
        copy = found.to_dict()
        copy["data"]["x"] = "2"
        assert found.get("data", "x") == "1"
        assert informer.store.changed_in_place() == []
        found.body["data"]["x"] = "3"
        assert informer.store.changed_in_place() == [found]
        again = reader.get(Key("default", "a"))
        assert again is not None
        assert again.to_dict()["data"] == {"x": "1"}


@pytest.mark.parity("2.5/cache-stop-and-start", "2.2/shut-down", "2.2/pop-unblocks-on-close", "2.2/state-transitions")
async def test_a_stopped_cache_stays_readable_and_started_again_has_what_it_missed(client: Client) -> None:
    heard: list[str] = []
    await client.create(config_map("a"))
    informers = Informers(client)
    informer = await informers.declare(kinds.CONFIG_MAP, label_selector=OURS)
    informer.add_handler(Handler(on_add=lambda value, initial: heard.append(f"{value.name} {initial}")))
    assert not informer.has_synced
    async with started(informers):
        assert informer.has_synced
    assert informer.store.keys() == [Key("default", "a")]
    await client.create(config_map("b"))
    async with started(informers):
        await until(lambda: Key("default", "b") in informer.store, "what was missed")
    assert heard == ["a True", "b False"]


@pytest.mark.parity("2.5/cache-remove-informer", "1b/remove-informer")
async def test_a_removed_informer_tells_that_all_is_gone_and_can_be_declared_again(client: Client) -> None:
    gone: list[str] = []
    await client.create(config_map("a"))
    informers = Informers(client)
    informer = await informers.declare(kinds.CONFIG_MAP, label_selector=OURS)
    informer.add_handler(Handler(on_missed=lambda value: gone.append(value.name)))
    async with started(informers):
        await client.create(config_map("b"))
        await informers.remove(kinds.CONFIG_MAP)
        assert "a" in gone
        assert len(informers.overlay) == 0
        with pytest.raises(UndeclaredKind):
            informers.reader(kinds.CONFIG_MAP)
        again = await informers.declare(kinds.CONFIG_MAP, label_selector=OURS)
        assert again is not informer
        await again.wait_synced(timeout_s=10.0)
        assert {value.name for value in again.store} == {"a", "b"}


@pytest.mark.parity("2.2/wait-for-all", "2.2/wait-partial", "2.2/wait-cancelled", "2.5/cache-cancelled-get-informer")
async def test_waiting_names_what_has_not_synced_and_giving_up_harms_nothing(client: Client) -> None:
    informers = Informers(client)
    await informers.declare(kinds.CONFIG_MAP)
    late = await informers.declare(kinds.SECRET)
    cached = informers.get(kinds.CONFIG_MAP)
    task = asyncio.create_task(cached.run())
    await cached.wait_synced(timeout_s=10.0)
    with pytest.raises(DeadlineExceeded, match=r"Secret.v1 did not sync within 0\.01 s"):
        await informers.wait_synced(timeout_s=0.01)
    waiting = asyncio.create_task(late.wait_synced())
    await asyncio.sleep(0)
    await cancel_and_wait(waiting)
    await cancel_and_wait(task)
    async with started(informers):
        assert late.has_synced


@pytest.mark.parity("2.2/transform-race", "2.2/transform-that-hides", "1b/transform")
async def test_a_transform_that_hides_all_but_the_name_keeps_up_with_every_change(client: Client) -> None:
    def only_the_name(value: Object) -> Object:
        kept = {each: value.body["metadata"][each] for each in ("name", "namespace", "uid", "resourceVersion")}
        return Object.from_dict({"kind": value.kind, "metadata": kept})

    informers = Informers(client)
    informer = await informers.declare(kinds.CONFIG_MAP, label_selector=OURS, transform=only_the_name)
    async with started(informers):
        for number in range(10):
            await client.create(config_map(f"a-{number}"))
        last = await client.patch(kinds.CONFIG_MAP, "a-0", {"data": {"x": "1"}}, "default")
        await client.delete(kinds.CONFIG_MAP, "a-1", "default")
        await until(lambda: len(informer.store) == 9, "all but the deleted one")
        assert int(informer.store.version) > int(last.resource_version)
        assert all(value.get("metadata", "creationTimestamp") is None for value in informer.store)
    with pytest.raises(ConfigError, match="different metadata_only or transform"):
        await informers.declare(kinds.CONFIG_MAP, label_selector=OURS)


@pytest.mark.parity("2.2/store-version-from-event", "2.2/store-version-from-replace", "2.2/version-tracking")
async def test_the_store_stands_at_the_version_of_the_last_list_or_event(client: Client) -> None:
    first = await client.create(config_map("a"))
    informers = Informers(client)
    informer = await informers.declare(kinds.CONFIG_MAP)
    assert informer.store.version == ""
    async with started(informers):
        assert int(informer.store.version) >= int(first.resource_version)
        changed = await client.patch(kinds.CONFIG_MAP, "a", {"data": {"x": "1"}}, "default")
        await until(lambda: informer.store.version == changed.resource_version, "the event's version")
        await client.delete(kinds.CONFIG_MAP, "a", "default")
        await until(lambda: int(informer.store.version) > int(changed.resource_version), "the deletion's version")


@pytest.mark.parity("2.2/error-handling")
async def test_a_failing_list_is_counted_kept_and_tried_again(client: Client) -> None:
    informers = Informers(client)
    informer = await informers.declare(Website)
    informers.start()
    await until(lambda: informer.failures, "the failure")
    assert "NotFound" in f"{type(informer.last_error).__name__}"
    with pytest.raises(DeadlineExceeded, match=r"last error: .*websites"):
        await informers.wait_synced(timeout_s=0.01)
    await informers.stop()


@pytest.mark.parity("1f/read-your-writes", "1b/own-write-overlay", "2.9/foreign-change-during-own-write")
async def test_what_this_client_wrote_is_read_next_and_a_foreign_change_beside_it_reaches_the_handlers(
    client: Client,
) -> None:
    heard: list[str] = []
    informers = Informers(client)
    informer = await informers.declare(kinds.CONFIG_MAP, label_selector=OURS)
    informer.add_handler(Handler(on_update=lambda old, new: heard.append(new.get("data", "who", default="nobody"))))
    foreign = client.without(informers.overlay)
    async with started(informers):
        reader = informers.reader(kinds.CONFIG_MAP)
        created = await client.create(config_map("a"))
        assert version(reader.get(created.key)) == created.resource_version
        await foreign.patch(kinds.CONFIG_MAP, "a", {"data": {"who": "they"}}, "default")
        mine = await client.patch(kinds.CONFIG_MAP, "a", {"metadata": {"labels": {"x": "1"}}}, "default")
        seen = reader.get(created.key)
        assert seen is not None
        assert (seen.get("data", "who"), seen.labels.get("x")) == ("they", "1")
        await until(lambda: int(informer.store.version) >= int(mine.resource_version), "the watch catches up")
        assert heard == ["they", "they"]
        await client.delete(kinds.CONFIG_MAP, "a", "default")
        assert reader.get(created.key) is None
        await until(lambda: len(informers.overlay) == 0, "the overlay lets go")


@pytest.mark.parity("1b/informer-metrics", "2.2/unique-metric-series", "2.9/store-version-metric")
async def test_a_scrape_tells_of_every_kind_once_however_many_informers_it_has(client: Client) -> None:
    for each in (config_map("a", app="x"), config_map("b", app="y")):
        await client.create(each)
    clock = SystemClock()
    informers = Informers(client, clock=clock)
    registry = CollectorRegistry()
    InformerMetrics(registry, informers, clock)
    one = await informers.declare(kinds.CONFIG_MAP, label_selector="of=these,app=x")
    two = await informers.declare(kinds.CONFIG_MAP, label_selector="of=these,app=y")
    await informers.declare(Website)
    label = {"kind": str(kinds.CONFIG_MAP)}
    assert registry.get_sample_value("controllerkit_informer_staleness_seconds", label) is None, "nothing heard yet"
    informers.start()
    await one.wait_synced(timeout_s=10.0)
    await two.wait_synced(timeout_s=10.0)
    await until(lambda: informers.get(Website.resource_kind()).failures, "a list that fails")
    told = generate_latest(registry).decode()
    assert told.count('controllerkit_cached_objects{kind="ConfigMap.v1"}') == 1
    assert registry.get_sample_value("controllerkit_cached_objects", label) == 2.0
    assert registry.get_sample_value("controllerkit_cached_bytes", label) == one.store.bytes + two.store.bytes
    assert registry.get_sample_value("controllerkit_store_resource_version", label) == min(
        int(one.store.version), int(two.store.version)
    )
    age = registry.get_sample_value("controllerkit_informer_staleness_seconds", label)
    assert age is not None
    assert 0.0 <= age < 10.0
    failing = {"kind": str(Website.resource_kind())}
    assert (registry.get_sample_value("controllerkit_informer_failures_total", failing) or 0.0) >= 1.0
    await informers.stop()  # so that the write's event, which may come before its answer, does not
    await client.create(config_map("c", app="x"))
    assert registry.get_sample_value("controllerkit_own_writes_ahead") == 1.0
