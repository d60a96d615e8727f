"""Leader election: the record, the decisions, one elector against a server in memory, and several with trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from controllerkit.client import Client, Write
from controllerkit.election import (
    ElectionOptions,
    LeaderElector,
    LeaderRecord,
    Observation,
    claim,
    free,
    lease_of,
    observe,
    record_of,
    released,
)
from controllerkit.errors import ConfigError, Conflict, Forbidden, InternalError, MalformedObject, NotLeading
from controllerkit.objects import Key, Object, kinds
from controllerkit.testing import VirtualClock, settle
from tests.unit.election.leases import LeaseClient, LeaseServer, RunningClock, trouble_of

WALL = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
EARLIER = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = ElectionOptions()
KEY = Key("ns", "lock")


# -- record and decisions ------------------------------------------------------------------------------------------


@pytest.mark.parity("2.6/lease-round-trip", "2.6/lock-conversion", "2.6/lock-labels-kept")
def test_a_record_goes_into_a_lease_and_comes_back_and_what_else_is_there_stays() -> None:
    record = LeaderRecord(
        holder="me",
        lease_duration_s=15,
        acquire_time=EARLIER,
        renew_time=WALL,
        transitions=3,
        strategy="OldestEmulationVersion",
        preferred_holder="you",
    )
    value = lease_of(record, KEY)
    assert value["spec"]["renewTime"] == "2026-01-02T03:04:05.000678Z"
    assert record_of(Object.from_dict(value)) == record
    over = Object.from_dict({**value, "metadata": {**value["metadata"], "labels": {"a": "b"}, "resourceVersion": "7"}})
    again = lease_of(released(record, WALL), KEY, over)
    assert (again["metadata"]["labels"], again["metadata"]["resourceVersion"]) == ({"a": "b"}, "7")
    assert record_of(Object.from_dict({"metadata": {"name": "x"}})) == LeaderRecord()
    broken = {"metadata": {"name": "x", "namespace": "n"}, "spec": {"renewTime": "soon"}}
    with pytest.raises(MalformedObject, match=r"Lease n/x: spec\.renewTime is 'soon'"):
        record_of(Object.from_dict(broken))


@pytest.mark.parity("2.6/config-validation")
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"lease_duration_s": 10, "renew_deadline_s": 10.0}, "must be greater than renew_deadline_s"),
        ({"renew_deadline_s": 2.4, "retry_period_s": 2.0}, r"greater than 1\.2 times"),
        ({"lease_duration_s": 0}, "at least 1"),
        ({"renew_deadline_s": 0.0}, "above 0"),
        ({"retry_period_s": -1.0}, "above 0"),
    ],
)
def test_spans_that_cannot_work_are_refused_with_their_values(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ElectionOptions(**values)


@pytest.mark.parity("2.6/config-validation")
@pytest.mark.parametrize("missing", ["name", "namespace", "identity"])
def test_an_election_without_a_name_is_refused(missing: str) -> None:
    named = {"name": "lock", "namespace": "ns", "identity": "me", missing: ""}
    with pytest.raises(ConfigError, match=f"leader election needs a {missing}"):
        LeaderElector(LeaseClient(LeaseServer()), **named)


@pytest.mark.parity("2.6/led-acked-refused", "2.6/empty-holder", "2.6/renew-own")
@pytest.mark.parametrize(
    ("holder", "age_s", "is_free"),
    [("me", 0, True), ("", 0, True), ("you", 0, False), ("you", 14.9, False), ("you", 15, True), ("me", 99, True)],
)
def test_a_lease_is_free_by_how_long_it_was_seen_not_to_change(holder: str, age_s: float, is_free: bool) -> None:
    seen = Observation(LeaderRecord(holder=holder, lease_duration_s=15, renew_time=EARLIER), 100.0)
    assert free(seen, "me", 100.0 + age_s) is is_free


@pytest.mark.parity("2.6/led-own-lease-seconds-expired", "2.6/led-own-lease-seconds-not-expired")
def test_the_holders_own_duration_counts_and_not_the_candidates() -> None:
    seen = Observation(LeaderRecord(holder="you", lease_duration_s=60), 0.0)
    assert (free(seen, "me", 59.0), free(seen, "me", 60.0)) == (False, True)


def test_an_unchanged_record_keeps_its_age_whatever_its_times_say() -> None:
    first = observe(None, LeaderRecord(holder="you", renew_time=EARLIER), 5.0)
    assert observe(first, LeaderRecord(holder="you", renew_time=EARLIER), 9.0).at == 5.0
    assert observe(first, LeaderRecord(holder="you", renew_time=WALL), 9.0).at == 9.0


@pytest.mark.parity("2.6/transitions-only-on-takeover")
def test_a_takeover_counts_and_a_renewal_does_not() -> None:
    mine = claim(None, "me", OPTIONS, EARLIER)
    assert (mine.transitions, mine.acquire_time) == (0, EARLIER)
    renewed = claim(mine, "me", OPTIONS, WALL)
    assert (renewed.transitions, renewed.acquire_time, renewed.renew_time) == (0, EARLIER, WALL)
    taken = claim(renewed, "you", OPTIONS, WALL)
    assert (taken.transitions, taken.acquire_time) == (1, WALL)
    assert released(taken, WALL) == LeaderRecord(lease_duration_s=1, acquire_time=WALL, renew_time=WALL, transitions=1)


# -- one elector ---------------------------------------------------------------------------------------------------


@dataclass
class Candidate:
    """An elector, its task, and what it was told."""

    elector: LeaderElector
    told: list[str] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


@asynccontextmanager
async def candidate(
    server: LeaseServer, clock: VirtualClock, identity: str = "me", client: LeaseClient | None = None, **options: Any
) -> AsyncIterator[Candidate]:
    told: list[str] = []
    elector = LeaderElector(
        client or LeaseClient(server),
        name="lock",
        namespace="ns",
        identity=identity,
        options=ElectionOptions(**options),
        clock=clock,
        rng=Random(1),
        on_started_leading=lambda: told.append("started"),
        on_stopped_leading=lambda: told.append("stopped"),
        on_new_leader=lambda leader: told.append(f"leader {leader}"),
    )
    made = Candidate(elector, told, asyncio.create_task(elector.run()))
    await settle()
    try:
        yield made
    finally:
        assert made.task is not None
        made.task.cancel()
        await clock.advance(30.0)
        await asyncio.gather(made.task, return_exceptions=True)


@pytest.fixture
def leases() -> LeaseServer:
    return LeaseServer()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.mark.parity(
    "2.6/acquire-no-object", "2.6/fast-path", "2.6/release-held", "2.6/release-gets-first", "1e/leader-election"
)
async def test_it_takes_a_lease_that_is_not_there_renews_it_blindly_and_frees_it(
    leases: LeaseServer, clock: VirtualClock
) -> None:
    async with candidate(leases, clock) as me:
        assert (me.elector.is_leader, me.told) == (True, ["leader me", "started"])
        assert leases.calls == ["get", "create"]
        await clock.advance(20.0)
        assert leases.calls[2:] == ["update"] * 10
        assert me.elector.check() is None
        leases.calls.clear()
    assert leases.calls[-2:] == ["get", "update"]
    assert (leases.spec["holderIdentity"], leases.spec["leaseDurationSeconds"], me.told[-1]) == ("", 1, "stopped")


@pytest.mark.parity("2.6/acquire-unled", "2.6/acquire-without-annotations", "2.6/led-unacked")
@pytest.mark.parametrize("spec", [{}, {"holderIdentity": "", "leaseTransitions": 4}, {"holderIdentity": "me"}])
async def test_it_takes_a_lease_that_nobody_holds(
    leases: LeaseServer, clock: VirtualClock, spec: dict[str, Any]
) -> None:
    leases.put(**spec)
    async with candidate(leases, clock) as me:
        assert me.elector.is_leader
        assert leases.spec["holderIdentity"] == "me"
        assert leases.value is not None
        assert leases.value["metadata"]["labels"] == {"kept": "yes"}


@pytest.mark.parity("2.6/led-expired", "2.6/new-leader-first-observed")
async def test_it_waits_for_as_long_as_the_lease_of_another_may_last_and_no_longer(
    leases: LeaseServer, clock: VirtualClock
) -> None:
    leases.put(holderIdentity="you", leaseDurationSeconds=15, renewTime="1999-01-01T00:00:00.000000Z")
    async with candidate(leases, clock) as me:
        assert me.told == ["leader you"], "an old time in the record says nothing"
        await clock.advance(14.0)
        assert not me.elector.is_leader
        await clock.advance(6.0)
        assert (me.elector.is_leader, me.told) == (True, ["leader you", "leader me", "started"])
        assert leases.spec["leaseTransitions"] == 1


@pytest.mark.parity("2.6/fast-path-fallback")
async def test_a_renewal_that_is_refused_is_tried_again_after_a_read(leases: LeaseServer, clock: VirtualClock) -> None:
    async with candidate(leases, clock) as me:
        leases.calls.clear()
        leases.refuse = [InternalError("etcd is slow")]
        await clock.advance(2.0)
        assert leases.calls == ["update", "get", "update"]
        assert me.elector.is_leader


@pytest.mark.parity("2.6/lock-get-error", "2.6/lock-update-error", "2.6/lock-create-error")
@pytest.mark.parametrize("refused_at", [0, 1])
async def test_errors_while_acquiring_are_waited_out(leases: LeaseServer, clock: VirtualClock, refused_at: int) -> None:
    refusal = Forbidden("may not")

    def refuse(verb: str) -> None:
        LeaseServer._called(leases, verb)
        if len(leases.calls) == refused_at + 1:
            raise refusal

    leases._called = refuse  # type: ignore[method-assign]
    async with candidate(leases, clock) as me:
        assert not me.elector.is_leader
        await clock.advance(5.0)
        assert me.elector.is_leader


@pytest.mark.parity("1e/write-gate")
async def test_a_leader_that_cannot_renew_stops_before_anybody_else_may_start_and_its_gate_closes(
    leases: LeaseServer, clock: VirtualClock
) -> None:
    async with candidate(leases, clock) as me:
        write = Write("create", kinds.POD, Key("ns", "web"))
        me.elector.gate.before(write)
        leases.refuse = [InternalError("down")] * 99
        await clock.advance(11.9)
        assert me.elector.is_leader
        await clock.advance(0.2)
        assert (me.told[-1], me.elector.is_leader, me.task and me.task.done()) == ("stopped", False, True)
        with pytest.raises(NotLeading, match=r"create of Pod ns/web was not sent: writes need the lease ns/lock"):
            me.elector.gate.before(write)
        me.elector.gate.before(Write("update", kinds.LEASE, KEY))


async def test_the_gate_closes_by_itself_when_the_process_was_stopped_for_a_while(
    leases: LeaseServer, clock: VirtualClock
) -> None:
    async with candidate(leases, clock) as me:
        write = Write("patch", kinds.POD, Key("ns", "web"))
        clock._now += 14.9  # nothing runs meanwhile
        me.elector.gate.before(write)
        clock._now += 0.2
        with pytest.raises(NotLeading, match=r"it ended 0\.1 s ago; me leads"):
            me.elector.gate.before(write)
        assert me.elector.check() is None
        clock._now += 20.0
        assert "has not stopped leading" in (me.elector.check() or "")


@pytest.mark.parity("2.6/health-not-initialised", "2.6/health-far-expired", "2.6/health-held-by-other")
@pytest.mark.parity("2.6/health-fresh", "2.6/health-within-tolerance", "2.6/check-race")
@pytest.mark.parametrize(
    ("held", "late_s", "ill"), [(False, 0, False), (True, -5, False), (True, 19, False), (True, 21, True)]
)
async def test_health_is_a_matter_of_leaders_that_did_not_notice(
    leases: LeaseServer, clock: VirtualClock, held: bool, late_s: float, ill: bool
) -> None:
    if not held:
        leases.put(holderIdentity="you", leaseDurationSeconds=60)
    async with candidate(leases, clock) as me:
        clock._now += 15.0 + late_s
        assert (me.elector.check() is not None) is ill


async def test_a_lease_taken_by_force_is_lost_at_the_next_renewal(leases: LeaseServer, clock: VirtualClock) -> None:
    async with candidate(leases, clock) as me:
        leases.put(holderIdentity="you", leaseDurationSeconds=15)
        await clock.advance(2.0)
        assert (me.told[-2:], me.task and me.task.done()) == (["leader you", "stopped"], True)
    assert leases.spec["holderIdentity"] == "you", "what is not held is not freed"


@pytest.mark.parity("2.6/release-none", "2.6/release-held-by-other", "2.6/stopped-even-if-never-led")
@pytest.mark.parametrize("gone", [True, False])
async def test_a_candidate_that_never_led_frees_nothing_and_is_told_that_it_stopped(
    leases: LeaseServer, clock: VirtualClock, gone: bool
) -> None:
    leases.put(holderIdentity="you", leaseDurationSeconds=60)
    async with candidate(leases, clock) as me:
        if gone:
            leases.value = None
    assert me.told[-1] == "stopped"
    assert gone or leases.spec["holderIdentity"] == "you"
    assert "update" not in leases.calls


@pytest.mark.parity("2.6/release-retries-on-conflict")
async def test_freeing_is_tried_again_when_somebody_writes_in_between(leases: LeaseServer, clock: VirtualClock) -> None:
    async with candidate(leases, clock):
        conflicts = 2

        def update(value: dict[str, Any]) -> Object:
            nonlocal conflicts
            if conflicts:
                conflicts -= 1
                raise Conflict("modified")
            return LeaseServer.update(leases, value)

        leases.update = update  # type: ignore[method-assign]
    assert leases.spec["holderIdentity"] == ""


@pytest.mark.parity("2.6/cancel-during-update-releases", "2.6/cancel-during-get-releases")
@pytest.mark.parametrize("slow", ["create", "update", "get"])
async def test_a_cancelled_call_may_have_been_done_so_the_lease_is_read_and_freed(
    leases: LeaseServer, clock: VirtualClock, slow: str
) -> None:
    waiting = False

    class Slow(LeaseClient):
        async def _on_the_way(self, where: str) -> None:
            nonlocal waiting
            if where == "after" and leases.calls[-1] == slow and not waiting and len(leases.calls) > 1:
                waiting = True
                await clock.sleep(3.0)

    async with candidate(leases, clock, client=Slow(leases)) as me:
        if slow == "get":
            leases.refuse = [InternalError("the renewal has to read")]
        await clock.advance(2.0)
        assert (waiting, leases.calls[-1]) == (True, slow)
    assert leases.spec["holderIdentity"] == ""
    assert me.told[-1] == "stopped"


async def test_without_release_the_lease_runs_out_by_itself(leases: LeaseServer, clock: VirtualClock) -> None:
    async with candidate(leases, clock, release_on_cancel=False):
        pass
    assert leases.spec["holderIdentity"] == "me"


# -- on an API server ----------------------------------------------------------------------------------------------


async def test_the_gate_stops_the_writes_of_a_client_that_does_not_lead(client: Client) -> None:
    elector = LeaderElector(client, name="lock", namespace="default", identity="me")
    client.hooks.append(elector.gate)
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
    with pytest.raises(NotLeading):
        await client.create(child)
    started = asyncio.Event()
    elector._on_started = started.set
    task = asyncio.create_task(elector.run())
    await asyncio.wait_for(started.wait(), 10.0)
    await client.create(child)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(NotLeading):
        await client.delete(kinds.CONFIG_MAP, Key("default", "c"))
    lease = await client.get(kinds.LEASE, Key("default", "lock"))
    assert record_of(lease).holder == ""


# -- several, with trouble -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(150))
async def test_no_two_ever_may_write_at_once_and_once_the_trouble_ends_one_leads(seed: int) -> None:
    rng, true, server = Random(seed), VirtualClock(), LeaseServer()
    calm_at, end = 60.0, 120.0
    electors: list[LeaderElector] = []
    tasks: dict[str, asyncio.Task[None]] = {}

    async def keeps_running(elector: LeaderElector, after: asyncio.Task[None] | None = None) -> None:
        if after is not None:
            await asyncio.wait([after])
        while True:
            await elector.run()

    for number in range(3):
        clock = RunningClock(true, rng.uniform(0.97, 1.03), rng.uniform(0, 1e6))
        trouble = trouble_of(rng, lambda: true.monotonic() >= calm_at)
        identity = f"candidate-{number}"
        elector = LeaderElector(
            LeaseClient(server, clock, trouble), name="lock", namespace="ns", identity=identity, clock=clock, rng=rng
        )
        electors.append(elector)
        tasks[identity] = asyncio.create_task(keeps_running(elector))

    def may_write() -> list[str]:
        admitted = []
        for elector in electors:
            try:
                elector.gate.before(Write("create", kinds.POD, Key("ns", "web")))
            except NotLeading:
                continue
            admitted.append(elector.identity)
        return admitted

    led: set[str] = set()
    while true.monotonic() < end:
        await true.advance(rng.uniform(0.2, 1.5))
        admitted = may_write()
        assert len(admitted) <= 1, f"seed {seed}: {admitted} at {true.monotonic():.1f} s"
        led.update(admitted)
        if rng.random() < 0.02 and true.monotonic() < calm_at:
            identity = rng.choice(sorted(tasks))
            tasks[identity].cancel()
            elector = next(each for each in electors if each.identity == identity)
            tasks[identity] = asyncio.create_task(keeps_running(elector, tasks[identity]))
    assert len(may_write()) == 1, f"seed {seed}: nobody leads"
    for task in tasks.values():
        task.cancel()
    await true.advance(30.0)
    await asyncio.gather(*tasks.values(), return_exceptions=True)
