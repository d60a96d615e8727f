"""The controller's loop: outcomes, limits, threads, failing keys, kinds that come and go, resync."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from controllerkit import Client, Key, Manager, Object, Owns, Reconciler, Request, Result, TerminalError, Watch, kinds
from controllerkit.controller import Poll, Sink, Source, Stream, outcome_of
from controllerkit.errors import ConfigError, Conflict, ControllerkitError, DeadlineExceeded, ManagerError
from controllerkit.objects import GVK, find_condition, set_controller_reference
from controllerkit.runtime import wait_until
from controllerkit.testing import VirtualClock, settle
from controllerkit.workqueue import LOW_PRIORITY
from tests.unit.conftest import WEBSITE_CRD, Website
from tests.unit.controller.looping import Loop, fine, looped
from tests.unit.controller.running import A, Recording, running, until, website


@pytest.mark.parity(
    "2.5/metrics-initialised", "2.5/calls-reconciler", "2.5/enqueue", "2.5/time-histogram", "1d/level-reconcile"
)
async def test_every_series_is_there_from_the_start_and_counts(websites: Client) -> None:
    loop = await looped(websites, fine)
    for name in ("reconcile_errors", "terminal_reconcile_errors", "reconcile_panics", "reconcile_timeouts"):
        assert loop.told(f"{name}_total") == 0.0
    assert (loop.results(), loop.told("max_concurrent_reconciles"), loop.told("active_workers")) == ({}, 1.0, 0.0)
    loop.queue.add(A, "spec.x changed")
    await settle()
    assert (loop.results(), loop.told("reconcile_time_seconds_count")) == ({"success": 1.0}, 1.0)
    reasons = {"controller": "recording", "reason": "changed"}
    assert loop.registry.get_sample_value("controllerkit_reconcile_reasons_total", reasons) == 1.0
    await loop.stopped()


@pytest.mark.parity("2.5/error-requeues-and-others-go-on", "2.5/result-labels", "2.5/backoff-not-reset-before-success")
async def test_an_error_is_retried_with_back_off_and_others_go_on(websites: Client) -> None:
    seen: list[str] = []

    async def answer(request: Request) -> Result | None:
        seen.append(request.key.name)
        if request.key.name == "bad" and seen.count("bad") < 4:
            raise ValueError("not yet")
        return None

    loop = await looped(websites, answer, Key("ns", "bad"), Key("ns", "good"))
    assert seen == ["bad", "good"]
    loop.queue.add(Key("ns", "bad"), "an event of something else")
    await settle()
    assert (loop.queue.failures(Key("ns", "bad")), seen) == (2, ["bad", "good", "bad"]), "an event does not forget"
    await loop.clock.advance(0.0099)
    assert len(seen) == 3
    await loop.clock.advance(0.03)
    assert seen == ["bad", "good", "bad", "bad", "bad"]
    assert loop.queue.failures(Key("ns", "bad")) == 0
    assert loop.results() == {"success": 2.0, "error": 3.0}
    await loop.stopped()


@pytest.mark.parity("2.5/terminal-not-requeued", "1d/terminal-error")
async def test_a_terminal_error_is_counted_and_not_retried(websites: Client) -> None:
    async def answer(_: Request) -> Result | None:
        raise TerminalError("never")

    loop = await looped(websites, answer, A)
    await loop.clock.advance(2000.0)
    assert (loop.results(), loop.told("terminal_reconcile_errors_total")) == ({"error": 1.0}, 1.0)
    await loop.stopped()


@pytest.mark.parity("2.5/requeue-after-exact", "1d/requeue-after")
async def test_requeue_after_comes_back_exactly_then(websites: Client) -> None:
    seen: list[float] = []

    async def answer(request: Request) -> Result | None:
        seen.append(loop.clock.monotonic())
        return Result(requeue_after_s=30.0)

    loop = Loop(Recording(answer), websites)
    await loop.declared()
    loop.start()
    loop.queue.add(A)
    await loop.clock.advance(65.0)
    assert seen == [0.0, 30.0, 60.0]
    assert loop.results() == {"requeue_after": 3.0}
    await loop.stopped()


@pytest.mark.parity("2.5/error-beats-requeue-after", "2.5/result-is-zero")
def test_an_error_beats_a_result_and_a_bad_delay_is_refused() -> None:
    assert outcome_of(Result(requeue_after_s=5.0), ValueError()).label == "error"
    assert outcome_of(Result(), None).label == "success"
    with pytest.raises(ConfigError, match="must not be negative"):
        Result(requeue_after_s=-1.0)
    with pytest.raises(ConfigError, match="must not be negative"):
        Result(requeue_after_s=float("nan"))


@pytest.mark.parity("2.5/priority-kept", "2.5/priority-overridden")
@pytest.mark.parametrize("outcome", ["error", "requeue_after", "overridden"])
async def test_a_key_comes_back_with_its_priority_unless_the_result_says_another(
    websites: Client, outcome: str
) -> None:
    seen: list[int] = []

    async def answer(request: Request) -> Result | None:
        seen.append(request.priority)
        if len(seen) == 2:
            return None
        if outcome == "error":
            raise ValueError("not yet")
        return Result(requeue_after_s=1.0, priority=7 if outcome == "overridden" else None)

    loop = await looped(websites, answer)
    loop.queue.add(A, priority=LOW_PRIORITY)
    await loop.clock.advance(2.0)
    assert seen == [LOW_PRIORITY, 7 if outcome == "overridden" else LOW_PRIORITY]
    await loop.stopped()


# -- limits, bugs, cancellation ------------------------------------------------------------------------------------


@pytest.mark.parity("2.5/timeout-hit", "2.5/timeout-metric", "2.5/timeout-done-in-time", "1d/reconcile-timeout")
async def test_a_reconcile_that_takes_too_long_is_cancelled_counted_and_tried_again(websites: Client) -> None:
    cancelled = []

    async def answer(request: Request) -> Result | None:
        try:
            await loop.clock.sleep(9.0 if not cancelled else 1.0)
        except asyncio.CancelledError:
            cancelled.append(loop.clock.monotonic())
            raise
        return None

    reconciler = type("Recording", (Recording,), {"name": "recording", "reconcile_timeout_s": 5.0})(answer)
    loop = await Loop(reconciler, websites).declared()
    loop.start()
    loop.queue.add(A)
    await loop.clock.advance(5.0)
    assert cancelled == [5.0]
    assert loop.told("reconcile_timeouts_total") == 1.0
    assert "took longer than reconcile_timeout_s = 5 s" in loop.controller.failing()[A].error
    await loop.clock.advance(2.0)
    assert loop.results() == {"error": 1.0, "success": 1.0}
    await loop.stopped()


@pytest.mark.parity("2.5/timeout-user-cancel-earlier", "2.5/timeout-parent-cancelled", "2.5/timeout-zero")
async def test_a_reconcilers_own_timeout_is_not_ours_and_a_stop_is_none_at_all(websites: Client) -> None:
    async def answer(request: Request) -> Result | None:
        if request.key == A:
            raise TimeoutError("of its own")
        await asyncio.Event().wait()
        return None

    loop = await looped(websites, answer, A, Key("ns", "hangs"), reconcile_timeout_s=5.0, max_concurrent_reconciles=2)
    assert (loop.told("reconcile_timeouts_total"), loop.results()) == (0.0, {"error": 1.0})
    task = loop.task
    task.cancel()
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert loop.told("reconcile_timeouts_total") == 0.0


@pytest.mark.parity("2.5/recover-panic-default", "2.5/recover-panic-true", "1d/exception-recovery")
async def test_a_bug_is_counted_and_retried_and_what_the_world_does_is_no_bug(websites: Client) -> None:
    errors: dict[str, BaseException] = {
        "bug": AttributeError("no such field"),
        "refused": Conflict("modified"),
        "disk": OSError("full"),
    }

    async def answer(request: Request) -> Result | None:
        raise errors[request.key.name]

    loop = await looped(websites, answer, *(Key("ns", name) for name in errors))
    assert (loop.told("reconcile_panics_total"), loop.told("reconcile_errors_total")) == (1.0, 3.0)
    await loop.stopped()


@pytest.mark.parity("2.5/recover-panic-false")
async def test_a_bug_ends_the_controller_where_that_is_wanted(websites: Client) -> None:
    async def answer(_: Request) -> Result | None:
        raise AttributeError("no such field")

    loop = await looped(websites, answer, A, recover_bugs=False)
    task = loop.task
    with pytest.raises(AttributeError, match="no such field"):
        await asyncio.wait_for(task, 5.0)


async def test_something_cancelled_inside_a_reconcile_is_its_failure_and_not_the_workers_end(websites: Client) -> None:
    async def answer(_: Request) -> Result | None:
        inner = asyncio.create_task(asyncio.sleep(99.0))
        inner.cancel()
        await inner
        return None

    loop = await looped(websites, answer, A)
    assert loop.results() == {"error": 1.0}
    loop.queue.add(Key("ns", "b"))
    await settle()
    assert loop.results()["error"] == 2.0, "the worker lives"
    await loop.stopped()


@pytest.mark.parity("2.5/n-workers", "2.5/returns-on-queue-shut-down", "1d/concurrency")
async def test_as_many_keys_are_in_work_as_there_are_workers_and_each_is_told_with_its_place(websites: Client) -> None:
    release = asyncio.Event()

    async def answer(_: Request) -> Result | None:
        await release.wait()
        return None

    keys = [Key("ns", name) for name in "abcde"]
    loop = await looped(websites, answer, *keys, max_concurrent_reconciles=3)
    assert loop.told("active_workers") == 3.0
    await loop.clock.advance(4.0)
    works = loop.controller.in_flight()
    assert [(each.key.name, each.for_s, set(each.reasons)) for each in works] == [(n, 4.0, {"put"}) for n in "abc"]
    assert "Event.wait (locks.py" in works[0].where
    release.set()
    await settle()
    assert (loop.controller.in_flight(), loop.told("active_workers")) == ((), 0.0)
    loop.queue.shut_down()
    await asyncio.wait_for(loop.task, 5.0)


@pytest.mark.parity("2.5/started-twice")
async def test_a_controller_that_was_stopped_does_not_start_again(websites: Client) -> None:
    loop = await looped(websites, fine)
    await loop.stopped()
    with pytest.raises(ConfigError, match="make a new one"):
        await loop.controller.run()


@pytest.mark.parity("2.5/cache-sync-timeout", "2.5/informer-wait-error", "2.5/waits-for-sync")
async def test_a_cache_that_does_not_sync_is_named_and_nothing_is_reconciled(websites: Client) -> None:
    reconciler = type("Recording", (Recording,), {"name": "recording", "cache_sync_timeout_s": 0.05})()
    loop = Loop(reconciler, websites)
    await loop.controller.declare()
    loop.queue.add(A)
    with pytest.raises(DeadlineExceeded, match=r"the cache of Website\.v1\.example\.dev did not sync within 0\.05 s"):
        await loop.controller.run()
    assert reconciler.requests == []


@pytest.mark.parity("2.5/cancel-during-sync")
async def test_a_stop_while_the_caches_sync_is_no_error(websites: Client) -> None:
    loop = Loop(Recording(), websites)
    await loop.controller.declare()
    task = loop.start()
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# -- sources -------------------------------------------------------------------------------------------------------


class Told(Sink):
    """Keeps what a source tells."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.requests: list[tuple[str, str]] = []
        self.is_synced = False

    def enqueue(self, key: Key, reason: str, *, priority: int = 0) -> None:
        self.requests.append((key.name, reason))

    def synced(self) -> None:
        self.is_synced = True


async def test_a_poll_tells_what_has_changed_outside_and_nothing_is_gone_because_asking_failed() -> None:
    clock = VirtualClock()
    sink, errors = Told(clock), []
    answers: list[Any] = [OSError("down"), {Key("n", "a"): 1, Key("n", "b"): 1}, OSError("down"), {Key("n", "b"): 2}]

    async def ask() -> Any:
        answer = answers.pop(0) if answers else {Key("n", "b"): 2}
        if isinstance(answer, Exception):
            raise answer
        return answer

    task = asyncio.create_task(Poll(ask, every_s=10.0, on_error=errors.append).run(sink))
    await settle()
    assert (sink.is_synced, len(errors)) == (False, 1)
    await clock.advance(20.0)
    assert (sink.is_synced, sink.requests) == (True, [("a", "outside found"), ("b", "outside found")])
    await clock.advance(30.0)
    assert sink.requests[2:] == [("a", "outside gone"), ("b", "outside changed")]
    task.cancel()
    with pytest.raises(ConfigError, match="must be positive"):
        Poll(ask, every_s=0.0, on_error=errors.append)


@pytest.mark.parity("2.5/source-closed")
async def test_a_source_that_ends_has_nothing_more_to_tell_and_one_that_fails_ends_the_controller(
    websites: Client,
) -> None:
    async def two() -> Any:
        yield Key("ns", "a"), "from a broker"
        yield Key("ns", "b"), "from a broker"

    class Failing(Source):
        async def run(self, sink: Sink) -> None:
            sink.synced()
            raise OSError("the broker is gone")

    loop = await looped(websites, fine, sources=(Stream(two),))
    assert loop.results() == {"success": 2.0}
    await loop.stopped()
    loop = await looped(websites, fine, sources=(Failing(),))
    with pytest.raises(OSError, match="the broker is gone"):
        await asyncio.wait_for(loop.task, 5.0)


# -- on a server ---------------------------------------------------------------------------------------------------


@pytest.mark.parity("1d/sync-reconcile")
async def test_a_plain_reconcile_runs_in_a_thread_reads_the_cache_and_waits_for_calls(websites: Client) -> None:
    told: list[Any] = []

    class Plain(Reconciler[Website]):
        name = "plain"
        owns = (kinds.CONFIG_MAP,)

        def reconcile(self, request: Request) -> Result | None:  # type: ignore[override]
            time.sleep(0.05)
            found = self.read(Website.resource_kind(), request.key)
            site = self.wait(self.get(request.key))
            assert found is not None
            assert site is not None
            child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
            self.wait(self.apply(site, [child]))
            told.append(
                (threading.current_thread().name.startswith("plain-reconcile"), len(self.owned(site, kinds.CONFIG_MAP)))
            )
            return None

    plain = Plain()
    async with running(websites, plain):
        await websites.create(website())
        await until(lambda: bool(told), "a pass")
        with pytest.raises(ConfigError, match="write `await`"):
            plain.wait(websites.get(Website, "a"))
    assert told[0] == (True, 1), "and it reads what it wrote"


@pytest.mark.parity("1d/failing-told-once", "1d/conditions")
async def test_a_key_that_keeps_failing_is_told_by_one_event_and_a_condition_that_goes_again(websites: Client) -> None:
    broken = True

    async def answer(request: Request) -> Result | None:
        if broken:
            raise KeyError("password=hunter2")
        return None

    reconciler = Recording(answer)
    async with running(websites, reconciler) as manager:
        await websites.create(website())

        async def stalled() -> Any:
            found = await websites.get(Website, "a")
            return find_condition(found.get("status", "conditions"), "Stalled")

        condition = await wait_until(stalled, what="the condition", timeout_s=20.0)
        assert (condition["status"], condition["reason"]) == ("True", "ReconcileFailing")
        assert condition["message"] == "KeyError; the operator's log says where"
        assert manager._controllers["recording"].failing()[A].failures >= 10
        broken = False
        reconciler.resync_s = 0.0  # type: ignore[misc]
        await websites.patch(Website, "a", {"spec": {"x": 2}})

        async def recovered() -> bool:
            return (await stalled())["status"] == "False"

        await wait_until(recovered, what="the condition is taken back", timeout_s=10.0)

        async def events() -> list[Object]:
            found = (await websites.list(kinds.EVENT, "default")).items
            return [each for each in found if each.get("reason") == "ReconcileFailing"]

        told = await wait_until(events, what="the Event", timeout_s=10.0)
        assert [each.get("note") for each in told] == [
            "KeyError; the operator's log says where (reconciled for: retry 9)"
        ]


@pytest.mark.parity("1d/generation-forgets-failures")
async def test_a_change_of_the_spec_forgets_the_failures(websites: Client) -> None:
    async def answer(request: Request) -> Result | None:
        raise ValueError("no")

    async with running(websites, Recording(answer)) as manager:
        queue = manager._controllers["recording"].queue
        await websites.create(website())
        await until(lambda: queue.failures(A) >= 6, "some failures")
        await websites.patch(Website, "a", {"spec": {"x": 2}})
        await until(lambda: queue.failures(A) < 4, "the count begins anew")


@pytest.mark.parity("1d/dynamic-watches")
async def test_an_optional_kind_is_watched_when_its_crd_comes_and_forgotten_when_it_goes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controllerkit.controller.controller.OPTIONAL_KIND_POLL_S", 0.05)
    site = GVK("example.dev", "v1", "Website")

    class Dynamic(Reconciler[Object]):
        kind = kinds.CONFIG_MAP
        name = "dynamic"
        watches = (Watch(site, lambda value: [Key("default", value.name)], optional=True),)

        def __init__(self) -> None:
            self.seen: list[str] = []

        async def reconcile(self, request: Request) -> None:
            self.seen.extend(request.reasons)

    dynamic = Dynamic()
    async with running(client, dynamic) as manager:
        await client.create(WEBSITE_CRD)

        async def created() -> bool:
            try:
                await client.create({"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": "w"}})
            except ControllerkitError:
                return False
            return True

        await wait_until(created, what="the CRD is served", timeout_s=10.0)
        await until(lambda: any("Website w" in each for each in dynamic.seen), "the object is seen")
        await client.delete(kinds.CUSTOM_RESOURCE_DEFINITION, "websites.example.dev")
        await until(lambda: "Website w deleted" in dynamic.seen, "and gone")
        await until(lambda: [str(each.kind) for each in manager.informers] == ["ConfigMap.v1"], "and so is its watch")
        seen = len(dynamic.seen)
        await client.create(WEBSITE_CRD)
        await wait_until(created, what="the CRD is served again", timeout_s=10.0)
        await until(lambda: len(dynamic.seen) > seen, "and watched again")


@pytest.mark.parity("2.5/metadata-projection", "1b/metadata-only")
async def test_a_watch_of_metadata_alone_caches_no_spec(websites: Client) -> None:
    class Light(Reconciler[Website]):
        name = "light"
        owns = (Owns(kinds.SECRET, metadata_only=True),)

        def __init__(self) -> None:
            self.seen: set[str] = set()

        async def reconcile(self, request: Request) -> None:
            self.seen |= request.reasons

    light = Light()
    async with running(websites, light):
        site = await websites.create(website())
        secret: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "namespace": "default"},
        }
        set_controller_reference(site, secret)
        await websites.create({**secret, "stringData": {"password": "hunter2"}})
        await until(lambda: "owned Secret s added" in light.seen, "the Secret")
        cached = light.read(kinds.SECRET, Key("default", "s"))
        assert cached is not None
        assert (cached.get("data"), cached.kind, b"hunter2" in cached.raw) == (None, "Secret", False)


@pytest.mark.parity("2.5/handler-low-priority")
async def test_a_first_list_and_a_resync_wait_behind_what_has_changed(websites: Client) -> None:
    for name in ("one", "two"):
        await websites.create(website(name))
    held = asyncio.Event()

    async def answer(request: Request) -> Result | None:
        await held.wait()
        return None

    class Resyncing(Recording):
        name = "recording"
        resync_s = 60.0

    reconciler = Resyncing(answer)
    async with running(websites, reconciler) as manager:
        await until(lambda: len(reconciler.requests) == 1, "the first key is in work")
        assert reconciler.requests[0].priority == LOW_PRIORITY
        await websites.create(website("urgent"))
        await until(lambda: len(manager._controllers["recording"].queue) == 2, "it is queued behind the list")
        held.set()
        await until(lambda: len(reconciler.requests) >= 3, "all")
    assert reconciler.requests[1].key.name == "urgent"


@pytest.mark.parity("2.5/unique-names", "2.5/several-controllers-per-kind", "1d/unique-names", "1d/owns-watches")
async def test_two_controllers_may_share_a_kind_but_not_a_name(websites: Client) -> None:
    other = type("Other", (Recording,), {"name": "other"})()
    first = Recording()
    async with running(websites, first, other):
        await websites.create(website())
        await until(lambda: bool(first.requests and other.requests), "both")
    manager = Manager(websites)
    manager.add(Recording())
    with pytest.raises(ConfigError, match="two controllers are named"):
        manager.add(Recording())


@pytest.mark.parity("2.8/warm-up-error", "2.5/source-start-error", "2.5/warm-up-source-error")
async def test_an_error_while_warming_up_ends_the_manager(websites: Client) -> None:
    class Broken(Source):
        async def run(self, sink: Sink) -> None:
            raise OSError("no broker")

    class WithBroken(Recording):
        sources = (Broken(),)

    manager = Manager(websites, grace_period_s=1.0)
    manager.add(WithBroken())
    with pytest.raises(ManagerError, match="no broker"):
        await manager.run()
