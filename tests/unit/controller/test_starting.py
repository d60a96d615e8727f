"""Starting: caches and sources first, once, in time; warm-up; what is added later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controllerkit import Client, Key, Manager, Object, Owns, Reconciler, Request, Watch, kinds
from controllerkit.controller import Channel, Sink, Source
from controllerkit.election import ElectionOptions
from controllerkit.errors import ConfigError, DeadlineExceeded
from controllerkit.manager import LeaderElection
from controllerkit.objects import rfc3339
from controllerkit.runtime import SystemClock
from controllerkit.testing import settle
from tests.unit.conftest import Website
from tests.unit.controller.looping import Loop, fine, looped
from tests.unit.controller.running import A, Recording, running, until, website


class Gate(Source):
    """Tells one key, and its start once ``opened``."""

    def __init__(self, name: str = "gate") -> None:
        self.key = Key("ns", name)
        self.opened = asyncio.Event()
        self.runs = 0

    async def run(self, sink: Sink) -> None:
        self.runs += 1
        sink.enqueue(self.key, "from the gate")
        await self.opened.wait()
        sink.synced()
        await asyncio.Event().wait()


def recording(client: Client, *sources: Source, **attributes: Any) -> Loop:
    reconciler = type("Recording", (Recording,), {"name": "recording", "resync_s": 0.0, **attributes})(fine)
    reconciler.sources = sources
    return Loop(reconciler, client)


def seen(loop: Loop) -> list[str]:
    return [request.key.name for request in loop.controller.reconciler.requests]  # type: ignore[attr-defined]


@pytest.mark.parity("2.5/no-reconcile-before-handlers")
async def test_nothing_is_reconciled_before_every_cache_has_synced(websites: Client) -> None:
    loop = recording(websites)
    await loop.controller.declare()
    loop.queue.add(A)
    loop.start()
    for informer in loop.informers:
        await settle()
        assert seen(loop) == []
        informer._synced.set()
    await settle()
    assert seen(loop) == ["a"]
    await loop.stopped()


@pytest.mark.parity("2.5/no-reconcile-before-handlers")
async def test_the_first_reconcile_finds_all_that_was_there_cached_and_queued(websites: Client) -> None:
    for number in range(12):
        await websites.create(website(f"s{number}"))
    found: list[tuple[int, int]] = []

    class First(Reconciler[Website]):
        name = "first"

        async def reconcile(self, request: Request) -> None:
            cached = len(self.list(Website))
            found.append((cached, len(manager._controllers["first"].queue)))

    async with running(websites, First()) as manager:
        await until(lambda: len(found) == 12, "all")
    assert found == [(12, left) for left in range(11, -1, -1)]


@pytest.mark.parity("2.5/custom-syncing-source", "2.5/long-enough-sync-timeout")
async def test_workers_wait_for_a_source_that_takes_its_time_within_the_limit(websites: Client) -> None:
    gate = Gate()
    loop = await recording(websites, gate, cache_sync_timeout_s=5.0).declared()
    loop.start()
    await loop.clock.advance(4.9)
    assert seen(loop) == []
    gate.opened.set()
    await loop.clock.advance(100.0)
    assert seen(loop) == ["gate"]
    await loop.stopped()


@pytest.mark.parity("2.5/started-twice")
async def test_a_second_run_is_refused_and_the_first_goes_on(websites: Client) -> None:
    loop = await looped(websites, fine)
    with pytest.raises(ConfigError, match="was started already; make a new one"):
        await loop.controller.run()
    loop.queue.add(A)
    await settle()
    assert loop.results() == {"success": 1.0}
    await loop.stopped()


@pytest.mark.parity(
    "2.5/sources-started-once", "2.5/second-caller-waits", "2.5/warm-up-race-with-start", "2.5/warm-up-before-election"
)
async def test_sources_start_once_whoever_asks_and_all_who_ask_wait(websites: Client) -> None:
    gate = Gate()
    loop = await recording(websites, gate).declared()
    warm = [asyncio.create_task(loop.controller.warm_up()) for _ in range(3)]
    await settle()
    loop.start()
    await settle()
    assert (gate.runs, [each.done() for each in warm], seen(loop)) == (1, [False] * 3, [])
    gate.opened.set()
    await settle()
    assert (gate.runs, [each.done() for each in warm], seen(loop)) == (1, [True] * 3, ["gate"])
    await loop.stopped()


@pytest.mark.parity("2.5/warm-up-cache-timeout", "2.5/warm-up-source-timeout")
async def test_a_warm_up_has_the_same_limits_as_a_start(websites: Client) -> None:
    loop = recording(websites, cache_sync_timeout_s=0.05)
    await loop.controller.declare()
    with pytest.raises(DeadlineExceeded, match=r"the cache of Website\.v1\.example\.dev did not sync within 0\.05 s"):
        await loop.controller.warm_up()
    loop = await recording(websites, Gate(), cache_sync_timeout_s=5.0).declared()
    warm = asyncio.create_task(loop.controller.warm_up())
    await loop.clock.advance(5.0)
    with pytest.raises(DeadlineExceeded, match="no start was told by Gate within 5 s"):
        await warm
    with pytest.raises(DeadlineExceeded, match="no start was told by Gate"):
        await loop.controller.run()


@pytest.mark.parity("2.5/warm-up-cancelled")
async def test_a_caller_that_gives_up_ends_its_own_wait_and_not_the_warm_up(websites: Client) -> None:
    gate = Gate()
    loop = await recording(websites, gate).declared()
    warm = asyncio.create_task(loop.controller.warm_up())
    await settle()
    warm.cancel()
    await asyncio.gather(warm, return_exceptions=True)
    gate.opened.set()
    loop.start()
    await settle()
    assert (warm.cancelled(), gate.runs, seen(loop)) == (True, 1, ["gate"])
    await loop.stopped()


@pytest.mark.parity("2.5/warm-up-sources-added-after", "2.5/watch-after-start")
async def test_a_source_added_late_starts_at_once(websites: Client) -> None:
    early, warm, late = Gate("early"), Gate("warm"), Gate("late")
    for each in (early, warm, late):
        each.opened.set()
    loop = await recording(websites).declared()
    await loop.controller.watch(early)
    await settle()
    assert early.runs == 0, "before the start it waits for the others"
    await loop.controller.warm_up()
    await loop.controller.watch(warm)
    await settle()
    assert (early.runs, warm.runs, seen(loop)) == (1, 1, [])
    loop.start()
    await settle()
    await loop.controller.watch(late)
    await settle()
    assert seen(loop) == ["early", "warm", "late"]
    await loop.stopped()
    with pytest.raises(ConfigError, match="nothing can be watched for it any more"):
        await loop.controller.watch(Gate())


@pytest.mark.parity("2.5/source-start-error")
async def test_a_source_added_late_that_fails_ends_the_controller(websites: Client) -> None:
    class Broken(Source):
        async def run(self, sink: Sink) -> None:
            raise OSError("no broker")

    loop = await looped(websites, fine)
    await loop.controller.watch(Broken())
    with pytest.raises(OSError, match="no broker"):
        await asyncio.wait_for(loop.task, 5.0)


@pytest.mark.parity("2.5/watch-after-start", "1d/dynamic-watches")
async def test_a_kind_watched_late_is_listed_at_once(websites: Client) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}}

    class Plain(Reconciler[Website]):
        name = "plain"

        def __init__(self) -> None:
            self.seen: set[tuple[str, str]] = set()

        async def reconcile(self, request: Request) -> None:
            self.seen |= {(request.key.name, reason) for reason in request.reasons}

    plain = Plain()
    async with running(websites, plain) as manager:
        await websites.create(secret)
        controller = manager._controllers["plain"]
        await controller.watch(Watch(kinds.SECRET, lambda each: [Key(each.namespace, f"of-{each.name}")]))
        await controller.watch(Owns(kinds.CONFIG_MAP))
        await until(lambda: ("of-s", "Secret s listed") in plain.seen, "the Secret that was there")
        await websites.delete(kinds.SECRET, "s")
        await until(lambda: ("of-s", "Secret s deleted") in plain.seen, "and that it goes")
        assert plain.list(kinds.CONFIG_MAP, "default") == []


@pytest.mark.parity("2.5/warm-up-disabled", "2.5/warm-up-before-election", "1d/warm-up")
@pytest.mark.parametrize("warms_up", [True, False])
async def test_a_standby_runs_its_sources_only_where_that_is_wanted(websites: Client, warms_up: bool) -> None:
    now = rfc3339(SystemClock().utcnow()).replace("Z", ".000000Z")
    lease = {"holderIdentity": "somebody", "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now}
    metadata = {"name": "op", "namespace": "default"}
    await websites.create(
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": lease}
    )
    gate = Gate()
    gate.opened.set()
    reconciler = type("Recording", (Recording,), {"name": "recording", "warms_up": warms_up, "sources": (gate,)})()
    election = LeaderElection(
        name="op", namespace="default", options=ElectionOptions(lease_duration_s=3600, renew_deadline_s=60.0)
    )
    manager = Manager(websites, leader_election=election, grace_period_s=5.0)
    manager.add(reconciler)
    task = asyncio.create_task(manager.run(stop := asyncio.Event()))
    await asyncio.wait_for(manager.ready.wait(), 10.0)
    await settle()
    assert (gate.runs, reconciler.requests) == (int(warms_up), [])
    stop.set()
    await task


@pytest.mark.parity("2.5/source-blocked-then-drained")
async def test_a_full_channel_holds_its_writer_back_and_loses_nothing(websites: Client) -> None:
    channel = Channel(size=2)

    async def write() -> None:
        for number in range(20):
            await channel.put(Key("ns", f"k{number:02}"))
        await channel.close()

    writer = asyncio.create_task(write())
    await settle()
    assert not writer.done()
    loop = await recording(websites, channel).declared()
    loop.start()
    await settle()
    assert writer.done()
    assert seen(loop) == [f"k{number:02}" for number in range(20)]
    await loop.stopped()


# -- what a class says ---------------------------------------------------------------------------------------------


@pytest.mark.parity("2.5/no-name")
def test_a_controller_is_named_after_its_class_unless_it_says_otherwise() -> None:
    class WebsiteReconciler(Reconciler[Website]):
        async def reconcile(self, request: Request) -> None: ...

    class Named(WebsiteReconciler):
        name = "sites"

    class Further(Named):
        pass

    assert [each.name for each in (WebsiteReconciler, Named, Further)] == ["website", "sites", "further"]
    assert WebsiteReconciler.primary_kind() == Website.resource_kind()


@pytest.mark.parity("2.5/options-override")
async def test_options_are_the_classs_own_or_an_objects(websites: Client) -> None:
    loop = await looped(websites, fine, max_concurrent_reconciles=4)
    assert loop.told("max_concurrent_reconciles") == 4.0
    await loop.stopped()
    reconciler = Recording(fine)
    reconciler.max_concurrent_reconciles = 3  # type: ignore[misc]
    assert Loop(reconciler, websites).told("max_concurrent_reconciles") == 3.0
    assert Recording.max_concurrent_reconciles == 1


@pytest.mark.parity("2.5/custom-request-type")
async def test_what_is_reconciled_need_not_be_an_object(websites: Client) -> None:
    everything = Key("", "all sites together")

    class Together(Reconciler[Object]):
        kind = kinds.CONFIG_MAP
        name = "together"
        predicates = (lambda _: False,)
        watches = (Watch(Website, lambda _: [everything]),)

        def __init__(self) -> None:
            self.seen: list[tuple[Key, int]] = []

        async def reconcile(self, request: Request) -> None:
            self.seen.append((request.key, len(self.list(Website))))

    together = Together()
    async with running(websites, together):
        await websites.create(website("a"))
        await websites.create(website("b"))
        await until(lambda: (everything, 2) in together.seen, "both at once")
    assert {key for key, _ in together.seen} == {everything}


@pytest.mark.parity("2.5/as-reconciler")
async def test_a_reconciler_gets_its_object_typed_and_none_where_it_is_gone(websites: Client) -> None:
    got: list[Website | None] = []

    class Typed(Reconciler[Website]):
        name = "typed"

        async def reconcile(self, request: Request) -> None:
            got.append(await self.get(request.key))

    async with running(websites, Typed()):
        await websites.create(website(x=1))
        await until(lambda: bool(got), "the object")
        await websites.delete(Website, "a")
        await until(lambda: got[-1] is None, "that it is gone")
    assert isinstance(got[0], Website)
    assert got[0].spec == {"x": 1}
