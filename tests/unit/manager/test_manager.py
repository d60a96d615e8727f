"""Starting and stopping in order, leader election, health, the live console: managers on the embedded API server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from controllerkit import Client, Key, Manager, Object, Reconciler, Request, Result, kinds
from controllerkit.apiserver import ApiServer
from controllerkit.cli.__main__ import app
from controllerkit.controller import Channel, Source
from controllerkit.election import ElectionOptions
from controllerkit.errors import ConfigError, ManagerError, NotLeading
from controllerkit.manager import LeaderElection, RunnableGroup, Serving
from controllerkit.manager import manager as manager_module
from controllerkit.runtime import LoopWatch, get_logger
from controllerkit.testing import settle
from tests.unit.controller.running import Recording, running, until, website

FAST = ElectionOptions(lease_duration_s=3, renew_deadline_s=2.0, retry_period_s=0.2)


async def forever() -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def run(manager: Manager) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(manager.run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.gather(task, return_exceptions=True)


# -- groups --------------------------------------------------------------------------------------------------------


@pytest.mark.parity("2.8/add-before-after-while-stopping", "2.8/add-after-stop-refused")
async def test_a_group_takes_runnables_before_and_after_its_start_and_none_while_it_stops() -> None:
    failures: list[ManagerError] = []
    started: list[str] = []

    def runnable(name: str) -> Callable[[], Any]:
        async def run() -> None:
            started.append(name)
            await forever()

        return run

    group = RunnableGroup("group", failures.append, get_logger())
    group.add("before", runnable("before"))
    await settle()
    assert started == []
    group.start()
    group.add("after", runnable("after"))
    await settle()
    assert started == ["before", "after"]
    with pytest.raises(ConfigError, match="two runnables are named 'after'"):
        group.add("after", runnable("after"))
    assert await group.stop(1.0) == []
    with pytest.raises(ConfigError, match="late came while the manager was stopping"):
        group.add("late", runnable("late"))
    assert failures == []


@pytest.mark.parity("2.8/component-error", "2.8/cancelled-not-reported")
async def test_a_runnable_that_raises_is_named_and_one_that_returns_is_done() -> None:
    failures: list[ManagerError] = []
    group = RunnableGroup("group", failures.append, get_logger())

    async def fails() -> None:
        raise OSError("no disk")

    async def returns() -> None:
        return

    async def cancelled_inside() -> None:
        inner = asyncio.create_task(forever())
        inner.cancel()
        await inner

    for name, runnable in (("bad", fails), ("short", returns), ("odd", cancelled_inside), ("good", forever)):
        group.add(name, runnable)
    group.start()
    await settle()
    assert [str(each) for each in failures] == [
        "bad failed: OSError: no disk",
        "odd failed: it was cancelled by somebody else",
    ]
    assert isinstance(failures[0].__cause__, OSError)
    assert await group.stop(1.0) == []
    assert len(failures) == 2, "being stopped is no failure"


@pytest.mark.parity("2.8/stop-timeout", "2.8/stop-timeout-zero", "1e/hanging-named")
@pytest.mark.parametrize("timeout_s", [0.0, 0.02])
async def test_what_hangs_is_named(timeout_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controllerkit.manager.groups._LAST_WORD_S", 0.01)
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    group = RunnableGroup("group", lambda _: None, get_logger())
    group.add("stubborn", stubborn)
    group.start()
    await settle()
    assert await group.stop(timeout_s) == ["stubborn"]
    release.set()
    await settle()


@pytest.mark.parity("2.8/stop-timeout-never")
async def test_without_a_limit_the_slow_are_waited_for() -> None:
    async def slow() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0.05)

    group = RunnableGroup("group", lambda _: None, get_logger())
    group.add("slow", slow)
    group.start()
    await settle()
    assert await group.stop(None) == []


# -- the manager ---------------------------------------------------------------------------------------------------


@pytest.mark.parity("2.8/starts-everything", "2.8/caches-first", "2.8/stops-in-order", "1e/ordered-stop")
async def test_caches_come_before_runnables_and_controllers_stop_before_caches(websites: Client) -> None:
    told: list[str] = []
    await websites.create(website())

    async def runnable() -> None:
        told.append(f"runnable starts, caches synced: {all(i.has_synced for i in manager.informers)}")
        try:
            await forever()
        finally:
            told.append(f"runnable stops, caches run: {len(manager.informers._tasks) > 0}")

    async def answer(_: Request) -> Result | None:
        told.append("reconciles")
        return None

    manager = Manager(websites, grace_period_s=5.0)
    reconciler = Recording(answer)
    manager.add(reconciler)
    manager.add_runnable("beside", runnable)
    async with run(manager):
        await until(lambda: "reconciles" in told, "a reconcile")
    assert told[0] == "runnable starts, caches synced: True"
    assert told[-1] == "runnable stops, caches run: True"


async def test_webhooks_are_served_before_the_caches_ask_and_until_they_have_stopped(websites: Client) -> None:
    told: list[str] = []

    class Webhooks:
        async def start(self, client: Client, **_: Any) -> None:
            assert client is not manager.client, "not behind the leader's gate"
            told.append(f"start, caches run: {len(manager.informers._tasks) > 0}")

        async def stop(self) -> None:
            told.append(f"stop, caches run: {len(manager.informers._tasks) > 0}")

    lease = LeaderElection(name="a", namespace="default", options=FAST)
    manager = Manager(websites, grace_period_s=5.0, leader_election=lease, webhooks=Webhooks())  # type: ignore[arg-type]
    manager.add(Recording())
    async with run(manager):
        await asyncio.wait_for(manager.ready.wait(), 10.0)
        told.append(f"ready, caches run: {len(manager.informers._tasks) > 0}")
    assert told == ["start, caches run: False", "ready, caches run: True", "stop, caches run: False"]


@pytest.mark.parity("2.8/added-after-start")
async def test_a_runnable_that_comes_late_runs_at_once(client: Client) -> None:
    manager = Manager(client, grace_period_s=5.0)
    began = asyncio.Event()

    async def late() -> None:
        began.set()

    async with run(manager):
        await manager.ready.wait()
        manager.add_runnable("late", late)
        await asyncio.wait_for(began.wait(), 5.0)
        with pytest.raises(ConfigError, match="came after the manager was started"):
            manager.add(Recording())


@pytest.mark.parity("2.8/second-start-refused")
async def test_a_second_run_is_refused(client: Client) -> None:
    manager = Manager(client)
    async with run(manager):
        await manager.ready.wait()
        with pytest.raises(ConfigError, match="a second run came after"):
            await manager.run()


@pytest.mark.parity("2.8/errors-joined", "2.8/single-error-not-joined")
@pytest.mark.parametrize("hangs", [True, False])
async def test_errors_of_running_and_of_stopping_are_told_together(
    client: Client, hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controllerkit.manager.groups._LAST_WORD_S", 0.01)
    release = asyncio.Event()

    async def stubborn() -> None:
        while hangs and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        await forever()

    async def fails() -> None:
        raise OSError("no disk")

    manager = Manager(client, grace_period_s=0.02)
    manager.add_runnable("stubborn", stubborn)
    manager.add_runnable("bad", fails)
    with pytest.raises(ManagerError) as raised:
        await manager.run()
    release.set()
    await settle()
    told = "bad failed: OSError: no disk"
    assert str(raised.value) == (f"{told}; did not stop within 0.02 s: stubborn" if hangs else told)


@pytest.mark.parity("2.8/no-leak")
async def test_a_stopped_manager_leaves_no_task_and_no_thread(websites: Client) -> None:
    import threading

    before, threads = asyncio.all_tasks(), threading.active_count()
    manager = Manager(websites, serving=Serving(address="127.0.0.1:0", debug=True), grace_period_s=5.0)
    manager.add(Recording())
    async with run(manager):
        await manager.ready.wait()
        assert threading.active_count() > threads
    await settle()
    left = asyncio.all_tasks() - before
    assert not [each for each in left if "connection" not in repr(each) and "ApiServer" not in repr(each)]
    alive = [each.name for each in threading.enumerate()]
    assert "endpoints" not in alive
    assert "event loop watch" not in alive


# -- leader election -----------------------------------------------------------------------------------------------


class Writer(Recording):
    """Writes a ConfigMap at every pass."""

    name = "writer"
    watches = ()

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    async def reconcile(self, request: Request) -> Result | None:
        self.requests.append(request)
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
        await self.client.apply({**child, "data": {"by": self.text}})
        return None


async def connected(server: ApiServer, folder: Any) -> Client:
    server.write_kubeconfig(folder / "kubeconfig")
    return await Client.connect(kubeconfig=folder / "kubeconfig")


@pytest.mark.parity(
    "2.8/election-after-runnables", "2.8/warm-up-before-election", "2.6/manager-release-flag", "2.6/lock-event"
)
@pytest.mark.parity("1e/leader-runnables", "1d/warm-up")
async def test_one_of_two_acts_and_the_other_takes_over_warm_when_it_stops(
    server: ApiServer, websites: Client, tmp_path: Any
) -> None:
    election = LeaderElection(name="lock", namespace="default", options=FAST)
    writers = [Writer("first"), Writer("second")]
    clients = [await connected(server, tmp_path) for _ in writers]
    managers = [Manager(client, leader_election=election, grace_period_s=5.0) for client in clients]
    for manager, writer in zip(managers, writers, strict=True):
        manager.add(writer)
    await websites.create(website())
    async with run(managers[0]) as first, run(managers[1]) as second:
        await until(lambda: any(writer.requests for writer in writers), "one leads")
        leads = 0 if writers[0].requests else 1
        standby = managers[1 - leads]
        await asyncio.wait_for(standby.ready.wait(), 10.0)
        assert not writers[1 - leads].requests
        assert len(standby._controllers["writer"].queue) == 1, "what there is to do is queued already"
        with pytest.raises(NotLeading):
            await standby.client.create(website("by-standby"))
        await _stop((first, second)[leads])
        await until(lambda: bool(writers[1 - leads].requests), "the other acts")
    for client in clients:
        await client.aclose()


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parity("2.8/lost-lease-no-grace")
async def test_a_lost_lease_ends_the_manager_at_once_and_says_so(websites: Client) -> None:
    election = LeaderElection(name="lock", namespace="default", options=FAST)
    manager = Manager(websites, leader_election=election, grace_period_s=30.0)
    reconciler = Recording()
    manager.add(reconciler)
    task = asyncio.create_task(manager.run())
    assert manager.elector is not None
    await asyncio.wait_for(manager.elector.changed.wait(), 10.0)
    other = websites.without(manager.elector.gate)
    for _ in range(50):
        spec = {"holderIdentity": "somebody else", "leaseDurationSeconds": 60}
        await other.patch(kinds.LEASE, Key("default", "lock"), {"spec": spec})
        if task.done():
            break
        await asyncio.sleep(0.05)
    with pytest.raises(ManagerError, match="leader election lost: the lease default/lock"):
        await asyncio.wait_for(task, 10.0)


@pytest.mark.parity("2.6/manager-id-required", "2.6/manager-default-namespace")
async def test_an_election_needs_a_name_and_outside_a_pod_a_namespace(
    client: Client, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="leader election needs a name"):
        Manager(client, leader_election=LeaderElection(name="", namespace="ns"))
    with pytest.raises(ConfigError, match="outside a Pod needs a namespace"):
        Manager(client, leader_election=LeaderElection(name="lock"))
    (tmp_path / "namespace").write_text("mine\n")
    monkeypatch.setattr(manager_module, "_NAMESPACE_FILE", tmp_path / "namespace")
    manager = Manager(client, leader_election=LeaderElection(name="lock"))
    assert manager.elector is not None
    assert manager.elector.key == Key("mine", "lock")


@pytest.mark.parity("2.6/manager-no-election-while-stopping", "2.8/no-election-while-stopping")
async def test_a_manager_that_stops_before_it_led_does_not_come_to_lead(websites: Client) -> None:
    await websites.create(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "lock", "namespace": "default"},
            "spec": {"holderIdentity": "other", "leaseDurationSeconds": 1},
        }
    )
    manager = Manager(websites, leader_election=LeaderElection(name="lock", namespace="default", options=FAST))
    reconciler = Recording()
    manager.add(reconciler)
    async with run(manager):
        await manager.ready.wait()
    assert manager.elector is not None
    assert (manager.elector.is_leader, reconciler.requests) == (False, [])


# -- health --------------------------------------------------------------------------------------------------------


async def fetch(manager: Manager, path: str, **headers: str) -> tuple[int, str]:
    assert manager.endpoints is not None
    url = f"http://127.0.0.1:{manager.endpoints.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


@pytest.mark.parity("1e/ready-is-fresh", "2.8/probes-serve-then-stop", "1b/informer-metrics")
async def test_a_cache_that_hears_nothing_makes_the_manager_unready(websites: Client) -> None:
    async with running(websites, Recording(), metrics_address="127.0.0.1:0", ready_staleness_s=60.0) as manager:
        assert await fetch(manager, "/readyz") == (200, "ok")
        informer = next(iter(manager.informers))
        informer._heard_at = manager.clock.monotonic() - 99.0
        status, text = await fetch(manager, "/readyz")
        assert (status, f"nothing heard of {informer.kind} for 99 s" in text) == (500, True)
        metrics = (await fetch(manager, "/metrics"))[1]
        for name in ("cached_objects", "cached_bytes", "store_resource_version", "informer_staleness_seconds"):
            assert f'controllerkit_{name}{{kind="Website.v1.example.dev"}}' in metrics
    with pytest.raises(aiohttp.ClientError):
        await fetch(manager, "/readyz")


@pytest.mark.parity("1e/loop-honesty")
async def test_a_blocked_loop_is_told_by_liveness_and_in_the_log_with_its_place(websites: Client) -> None:
    class Blocking(Recording):
        name = "blocking"

        async def reconcile(self, request: Request) -> Result | None:
            time.sleep(1.2)
            return None

    answers: list[str] = []

    def ask(port: int) -> None:
        import urllib.error
        import urllib.request

        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5.0)
        except urllib.error.HTTPError as error:
            answers.append(error.read().decode())

    from controllerkit.manager import serving

    async with running(websites, Blocking(), metrics_address="127.0.0.1:0") as manager:
        assert manager.endpoints is not None
        manager._loop_watch.blocked_s = 0.2
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(serving, "ANSWER_S", 0.5)
            # Asked from before: a server in this loop may answer only once the reconcile it led to is over.
            asked = asyncio.get_running_loop().run_in_executor(None, _when_blocked, manager, ask)
            await websites.create(website())
            await asked
        await until(lambda: manager._loop_watch.incidents == 1, "the incident is counted")
    assert "the event loop is blocked" in answers[0]
    assert "reconcile (test_manager.py:" in answers[0]


def _when_blocked(manager: Manager, ask: Callable[[int], None]) -> None:
    assert manager.endpoints is not None
    until_s = time.monotonic() + 5.0
    while not manager._loop_watch.blocked_for_s() and time.monotonic() < until_s:
        time.sleep(0.01)
    ask(manager.endpoints.port)


async def test_a_loop_that_runs_is_never_told_to_be_blocked() -> None:
    watch = LoopWatch(blocked_s=0.5)
    watch.start()
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert (watch.blocked_for_s(), watch.incidents) == (0.0, 0)
    watch.stop()


# -- the live console ----------------------------------------------------------------------------------------------


@pytest.mark.parity("1e/console", "1e/profiling")
async def test_the_console_shows_what_is_in_work_and_failing_and_can_hold_a_key_back(websites: Client) -> None:
    release = asyncio.Event()

    async def answer(request: Request) -> Result | None:
        if request.key.name == "bad":
            raise ValueError("password=hunter2")
        await release.wait()
        return None

    class Two(Recording):
        name = "recording"
        max_concurrent_reconciles = 2

    reconciler = Two(answer)
    serving = Serving(address="127.0.0.1:0", debug=True)
    async with running(websites, reconciler, serving=serving) as manager:
        assert manager.endpoints is not None
        url = f"http://127.0.0.1:{manager.endpoints.port}"
        await websites.create(website())
        await websites.create(website("bad"))
        queue = manager._controllers["recording"].queue
        await until(lambda: queue.failures(Key("default", "bad")) > 2, "some failures")

        def top(*arguments: str) -> str:
            result = CliRunner().invoke(app, ["top", "--url", url, *arguments])
            assert result.exit_code == 0, result.output
            return result.stdout

        shown = json.loads(await asyncio.to_thread(top, "--json"))
        controller = shown["controllers"][0]
        work = next(each for each in controller["in_work"] if each["key"] == "default/a")
        assert "Event.wait" in work["where"]
        assert work["reasons"] == ["added"]
        failing = controller["failing"][0]
        assert (failing["key"], failing["error"]) == ("default/bad", "ValueError; the operator's log says where")
        assert {each["kind"] for each in shown["caches"]} >= {"Website.v1.example.dev", "ConfigMap.v1"}
        assert "hunter2" not in json.dumps(shown)

        text = await asyncio.to_thread(top, "--once")
        assert "default/a" in text
        assert "caches" in text
        assert "pause recording default/bad" in await asyncio.to_thread(top, "--pause", "recording", "default/bad")
        assert queue.paused == {Key("default", "bad")}
        await asyncio.to_thread(top, "--resume", "recording", "default/bad")
        assert queue.paused == set()
        before = len(reconciler.requests)
        await asyncio.to_thread(top, "--requeue", "recording", "default/bad")
        await until(lambda: any("asked for by hand" in r.reasons for r in reconciler.requests[before:]), "the request")
        wrong = ["top", "--url", url, "--pause", "nobody", "default/x"]
        refused = await asyncio.to_thread(CliRunner().invoke, app, wrong)
        assert "there is no controller 'nobody'" in str(refused.exception)
        release.set()


async def test_the_console_is_not_opened_to_other_machines_without_authorisation(client: Client) -> None:
    with pytest.raises(ConfigError, match="would be open to all"):
        Manager(client, serving=Serving(address=":0", debug=True))


async def test_actions_need_a_header_that_a_browser_does_not_send_elsewhere(client: Client) -> None:
    async with running(client, serving=Serving(address="127.0.0.1:0", debug=True)) as manager:
        assert manager.endpoints is not None
        url = f"http://127.0.0.1:{manager.endpoints.port}/debug"
        async with aiohttp.ClientSession() as session:
            async with session.post(url, json={"action": "pause"}) as answer:
                assert answer.status == 403
            header = {"X-Controllerkit-Action": "test"}
            async with session.post(url, data=b"{", headers=header) as answer:
                assert answer.status == 400
            async with session.post(url, json={"action": "explode"}, headers=header) as answer:
                assert (answer.status, "there is no action 'explode'" in await answer.text()) == (400, True)


# -- sources -------------------------------------------------------------------------------------------------------


class WithSources(Reconciler[Object]):
    kind = kinds.CONFIG_MAP
    name = "with-sources"
    cache_sync_timeout_s = 0.2

    def __init__(self, *sources: Source) -> None:
        self.sources = sources
        self.seen: list[Request] = []

    async def reconcile(self, request: Request) -> None:
        self.seen.append(request)


@pytest.mark.parity("2.5/start-blocking-for-ever", "1d/sync-timeout")
async def test_a_source_that_never_tells_its_start_is_named(client: Client) -> None:
    class Silent(Source):
        async def run(self, sink: Any) -> None:
            await forever()

    manager = Manager(client, grace_period_s=1.0)
    manager.add(WithSources(Silent()))
    with pytest.raises(ManagerError, match=r"no start was told by Silent within 0\.2 s"):
        await manager.run()


@pytest.mark.parity("2.5/channel-source", "2.5/source-events-before-start", "1d/sources")
async def test_a_channel_keeps_what_came_before_the_start(client: Client) -> None:
    channel = Channel()
    await channel.put(Key("default", "early"), "told early")
    reconciler = WithSources(channel)
    async with running(client, reconciler):
        await channel.put(Key("default", "late"))
        await until(lambda: {each.key.name for each in reconciler.seen} >= {"early", "late"}, "both")
    seen = {(each.key.name, *each.reasons) for each in reconciler.seen if each.key.namespace == "default"}
    assert seen == {("early", "told early"), ("late", "told")}
