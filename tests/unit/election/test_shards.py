"""Sharding: the hash, the rules of a ring, one replica, two that hand over, and many with everything going wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from controllerkit.client import Write
from controllerkit.election import Claims, Grant, Member, Ring, Shards, member_of, owner, token_of
from controllerkit.election.ring import member_to
from controllerkit.errors import ConfigError, NotLeading, TransportError
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import cancel_and_wait
from controllerkit.testing import VirtualClock, settle
from tests.unit.election.rings import SPANS, Replica, RingClient, RingServer, World

TOKENS = [token_of(kinds.POD, Key("ns", f"k{n}")) for n in range(3000)]


# -- the hash ------------------------------------------------------------------------------------------------------


def test_keys_are_shared_out_evenly() -> None:
    shares = Counter(owner(token, ("a", "b", "c")) for token in TOKENS)
    assert set(shares) == {"a", "b", "c"}
    assert all(900 < share < 1100 for share in shares.values()), shares


def test_only_the_keys_of_who_came_or_went_move() -> None:
    before = {token: owner(token, ("a", "b", "c")) for token in TOKENS}
    joined = {token: owner(token, ("a", "b", "c", "d")) for token in TOKENS}
    assert {joined[token] for token in TOKENS if joined[token] != before[token]} == {"d"}
    left = {token: owner(token, ("a", "c")) for token in TOKENS}
    assert {before[token] for token in TOKENS if left[token] != before[token]} == {"b"}


def test_the_owner_does_not_depend_on_the_order_of_the_view() -> None:
    assert all(owner(token, ("a", "b", "c")) == owner(token, ("c", "a", "b")) for token in TOKENS[:100])


# -- what a Lease says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [Claims(), Claims(view=("a", "b"), still=frozenset({"/Pod/ns/x", "apps/Deployment/ns/y"})), Claims(view=("a",))],
)
def test_claims_go_into_a_lease_and_come_back(claims: Claims) -> None:
    lease: dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "a", "namespace": "ns", "labels": {"kept": "yes"}, "resourceVersion": "4"},
        "spec": {"holderIdentity": "run", "leaseDurationSeconds": 15},
    }
    value = Object.from_dict(member_to(lease, claims, "ring"))
    assert value.labels == {"kept": "yes", "controllerkit.dev/shard-ring": "ring"}
    assert member_of(value) == Member(name="a", run="run", version="4", duration_s=15, claims=claims)


# -- the rules -----------------------------------------------------------------------------------------------------


def member(name: str, *view: str, still: str = "", version: str = "1") -> Member:
    claims = Claims(view=view, still=frozenset({still} if still else ()))
    return Member(name=name, run=f"run-{name}", version=version, duration_s=15, claims=claims)


def token_in(view: tuple[str, ...], name: str, skip: int = 0) -> str:
    return [token for token in TOKENS if owner(token, view) == name][skip]


def joined(*others: Member) -> Ring:
    """The member a, that has told what it saw and has looked since."""
    ring = Ring("a", "run-a", duration_s=15)
    ring.listed(others, 0.0)
    claims = ring.claims()
    ring.stored(claims, 0.0)
    ring.listed([member("a", *claims.view), *others], 0.0)
    return ring


def test_nothing_is_taken_before_the_view_is_stored_and_the_ring_was_read_again() -> None:
    ring = Ring("a", "run-a", duration_s=15)
    ring.listed([], 0.0)
    claims = ring.claims()
    assert (claims.view, ring.has(TOKENS[0], 0.0)) == (("a",), False)
    ring.stored(claims, 0.0)
    assert not ring.has(TOKENS[0], 0.0), "another may have stored a claim just before"
    listed = ring.listed([member("a", "a")], 0.0)
    assert ring.has(TOKENS[0], 0.0)
    assert listed.gained is not None
    assert listed.gained(TOKENS[0])


def test_nothing_is_taken_once_the_lease_is_over() -> None:
    ring = joined()
    assert (ring.has(TOKENS[0], 14.9), ring.has(TOKENS[0], 15.0)) == (True, False)


def test_a_key_that_another_claims_waits_for_it() -> None:
    ring = joined(member("b", "b"))
    assert not any(ring.has(token, 1.0) for token in TOKENS), "the other does not know of this one yet"
    listed = ring.listed([member("a", "a", "b"), member("b", "a", "b", version="2")], 1.0)
    mine = {token for token in TOKENS if ring.has(token, 1.0)}
    assert mine == {token for token in TOKENS if owner(token, ("a", "b")) == "a"}
    assert listed.gained is not None
    assert {token for token in TOKENS if listed.gained(token)} == mine


def test_a_key_that_another_still_works_on_waits_for_it_alone() -> None:
    busy, free = token_in(("a", "b"), "a"), token_in(("a", "b"), "a", skip=1)
    ring = joined(member("b", "a", "b", still=busy))
    assert (ring.has(busy, 1.0), ring.has(free, 1.0)) == (False, True)
    listed = ring.listed([member("a", "a", "b"), member("b", "a", "b", version="2")], 2.0)
    assert ring.has(busy, 2.0)
    assert listed.gained is not None
    assert (listed.gained(busy), listed.gained(free)) == (True, False)


def test_a_renewal_of_one_who_still_works_on_a_key_moves_nothing() -> None:
    busy = token_in(("a", "b"), "a")
    ring = joined(member("b", "a", "b", still=busy))
    assert ring.listed([member("a", "a", "b"), member("b", "a", "b", still=busy, version="2")], 2.0).gained is None


def test_a_key_that_is_lost_is_not_taken_from_the_moment_on_at_which_that_is_said() -> None:
    ring = joined()
    lost, busy, kept = (
        token_in(("a", "b"), "b"),
        token_in(("a", "b"), "b", skip=1),
        token_in(("a", "b"), "a"),
    )
    assert ring.take(busy, 1.0)
    assert ring.take(kept, 1.0)
    ring.listed([member("a", "a"), member("b", "a", "b")], 1.0)
    claims = ring.claims()
    assert claims == Claims(view=("a", "b"), still=frozenset({busy}))
    assert (ring.take(lost, 1.0), ring.take(busy, 1.0), ring.has(kept, 1.0)) == (False, False, True)
    assert not ring.done(kept)
    assert ring.done(busy), "others wait for it"
    assert ring.claims().still == frozenset()


def test_a_view_whose_write_was_not_answered_counts_until_a_later_one_is_stored() -> None:
    """a told d that a key is not its own, and would take it back before anybody could read so."""
    key = next(
        token
        for token in TOKENS
        if (owner(token, ("a", "b")), owner(token, ("b", "c")), owner(token, ("a", "d"))) == ("b", "c", "d")
    )
    a = joined()
    a.listed([member("a", "a"), member("b", "b", "c")], 1.0)
    assert a.take(key, 1.0)
    a.done(key)
    told = a.claims()
    a.listed([member("a", *told.view, version="2")], 2.0)
    again = a.claims()
    assert (told.view, again.view) == (("a", "b"), ("a",))
    d = Ring("d", "run-d", duration_s=15)
    for _ in range(2):
        d.listed([member("a", *told.view), *([member("d", "a", "d")] if d.valid_until else [])], 2.0)
        d.stored(d.claims(), 2.0)
    assert d.has(key, 2.0)
    assert not a.take(key, 2.0)
    a.stored(again, 3.0)
    assert not a.has(key, 3.0), "nobody has looked since"
    listed = a.listed([member("a", "a", version="3")], 3.0)
    assert a.has(key, 3.0), "d has gone"
    assert listed.gained is not None
    assert listed.gained(key), "it was asked for while it was not given"


def test_a_list_from_before_a_view_was_stored_grants_nothing_of_it() -> None:
    key = token_in(("a", "b"), "b")
    ring = joined(member("b", "a", "b"))
    ring.listed([member("a", "a", "b")], 1.0)
    claims = ring.claims()
    ring.listed([member("a", "a", "b")], 2.0)
    ring.claims()
    ring.stored(claims, 2.0)
    assert not ring.has(key, 2.0), "another may have claimed it in between"
    ring.listed([member("a", "a", version="2"), member("d", "d")], 3.0)
    assert not ring.has(key, 3.0)


def test_two_controllers_may_have_the_same_key_in_work() -> None:
    ring = joined()
    theirs = token_in(("a", "b"), "b")
    assert ring.take(theirs, 1.0)
    assert ring.take(theirs, 1.0)
    ring.listed([member("a", "a"), member("b", "a", "b")], 1.0)
    ring.claims()
    assert (ring.done(theirs), ring.in_work) == (False, {theirs})
    assert (ring.done(theirs), ring.in_work) == (True, frozenset())


def test_a_lease_that_does_not_change_for_its_duration_is_found_expired() -> None:
    ring = joined(member("b", "b"))
    me = member("a", "a", "b")
    assert ring.listed([me, member("b", "b")], 15.0).expired == ()
    assert ring.listed([me, member("b", "b")], 15.1).expired == (member("b", "b"),)
    assert ring.listed([me, member("b", "b", version="2")], 20.0).expired == ()
    assert ring.listed([me, member("b", "b", version="2")], 34.9).expired == ()


def test_a_lease_that_has_gone_or_is_another_runs_is_lost_for_ever() -> None:
    for leases in ([], [Member(name="a", run="other", version="9", duration_s=15, claims=Claims(view=("a",)))]):
        ring = joined()
        ring.listed(leases, 1.0)
        assert (ring.lost, ring.has(TOKENS[0], 1.0)) == (True, False)


def test_who_leaves_claims_nothing_but_what_is_in_work_and_shares_no_more() -> None:
    ring = joined()
    ring.take(TOKENS[0], 1.0)
    ring.leaving = True
    assert ring.claims() == Claims(view=(), still=frozenset({TOKENS[0]}))
    other = Ring("b", "run-b", duration_s=15)
    other.listed([member("a", still=TOKENS[0])], 1.0)
    assert other.claims().view == ("b",)


def test_a_grant_looks_at_every_other_claim() -> None:
    mine = token_in(("a", "b"), "a")
    assert Grant("a", ("a", "b")).has(mine)
    assert not Grant("a", ("a", "b"), (member("b", "b"),)).has(mine)
    assert Grant("a", ("a", "b"), (member("c"),)).has(mine)


# -- one replica, and two ------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def server() -> RingServer:
    return RingServer()


@asynccontextmanager
async def replica(server: RingServer, clock: VirtualClock, name: str, client: Any = None) -> AsyncIterator[Shards]:
    shards = Shards(
        client or RingClient(server), name="ring", namespace="ns", identity=name, options=SPANS, clock=clock
    )
    task = asyncio.create_task(shards.run())
    await settle()
    try:
        yield shards
    finally:
        await cancel_and_wait(task)


KEYS = [Key("ns", f"k{n}") for n in range(60)]


def owned(shards: Shards) -> set[Key]:
    return {key for key in KEYS if shards.owns(kinds.POD, key)}


@pytest.mark.parametrize("missing", ["name", "namespace"])
def test_a_ring_without_a_name_is_refused(missing: str, server: RingServer) -> None:
    with pytest.raises(ConfigError, match=f"sharding needs a {missing}"):
        Shards(RingClient(server), **{"name": "ring", "namespace": "ns", missing: ""})


async def test_one_alone_has_everything_at_once_renews_and_deletes_its_lease_at_the_end(
    server: RingServer, clock: VirtualClock
) -> None:
    async with replica(server, clock, "a") as a:
        assert (owned(a), a.active) == (set(KEYS), True)
        assert server.calls == ["list", "create", "list"]
        await clock.advance(4.0)
        assert server.calls[3:] == ["list", "update"] * 2
        with pytest.raises(ConfigError, match="was in the ring ring already"):
            await a.run()
    assert (server.leases, a.active) == ({}, False)
    with pytest.raises(NotLeading, match="Whoever holds it does what is left to do"):
        a.gate.before(Write("create", kinds.POD, KEYS[0]))


async def test_a_second_one_gets_its_half_except_what_the_first_has_in_work(
    server: RingServer, clock: VirtualClock
) -> None:
    async with replica(server, clock, "a") as a:
        busy = next(key for key in KEYS if owner(token_of(kinds.POD, key), ("a", "b")) == "b")
        assert a.take(kinds.POD, busy)
        async with replica(server, clock, "b") as b:
            assert (owned(a), owned(b)) == (set(KEYS), set()), "b waits until a knows of it"
            await clock.advance(4.0)
            assert owned(a).isdisjoint(owned(b))
            assert owned(a) | owned(b) == set(KEYS) - {busy}
            gained: list[Key] = []
            b.on_moved.append(lambda is_gained: gained.extend(key for key in KEYS if is_gained(kinds.POD, key)))
            await clock.advance(20.0)
            assert gained == []
            a.done(kinds.POD, busy)
            await settle()
            await clock.advance(2.0)
            assert (gained, busy in owned(b)) == ([busy], True)
        await clock.advance(4.0)
        assert owned(a) == set(KEYS), "b has left"


async def test_who_is_about_to_leave_gives_up_its_keys_at_once_and_can_still_finish(
    server: RingServer, clock: VirtualClock
) -> None:
    async with replica(server, clock, "a") as a, replica(server, clock, "b") as b:
        await clock.advance(4.0)
        busy = min(owned(a))
        a.take(kinds.POD, busy)
        a.leave()
        await settle()
        await clock.advance(4.0)
        assert (owned(a), owned(b)) == (set(), set(KEYS) - {busy})
        a.gate.before(Write("update", kinds.POD, busy))
        a.done(kinds.POD, busy)
        await settle()
        await clock.advance(2.0)
        assert owned(b) == set(KEYS)


async def test_a_replica_with_work_that_hangs_leaves_its_lease_to_expire(
    server: RingServer, clock: VirtualClock
) -> None:
    async with replica(server, clock, "b") as b:
        async with replica(server, clock, "a") as a:
            await clock.advance(4.0)
            a.take(kinds.POD, min(owned(a)))
        assert "a" in server.leases
        await clock.advance(14.0)
        assert owned(b) != set(KEYS)
        await clock.advance(6.0)
        assert (owned(b), list(server.leases)) == (set(KEYS), ["b"])


class Unreachable(RingClient):
    down = False

    async def _through(self, call: Any) -> Any:
        if self.down:
            raise TransportError("unreachable")
        return call()


async def test_a_replica_that_cannot_renew_ends_before_another_takes_its_keys(
    server: RingServer, clock: VirtualClock
) -> None:
    client = Unreachable(server)
    async with replica(server, clock, "b") as b, replica(server, clock, "a", client) as a:
        await clock.advance(4.0)
        assert owned(a)
        client.down = True
        await clock.advance(9.0)
        assert (a.active, a.changed.is_set()) == (True, True)
        await clock.advance(1.1)
        assert (a.active, owned(a)) == (False, set()), "ten seconds after its last renewal"
        assert owned(b) != set(KEYS)
        await clock.advance(8.0)
        assert owned(b) == set(KEYS)


async def test_a_replica_whose_lease_was_taken_away_ends(server: RingServer, clock: VirtualClock) -> None:
    async with replica(server, clock, "a") as a:
        server.leases.clear()
        await clock.advance(2.1)
        assert (a.active, server.leases) == (False, {})


async def test_the_name_of_an_earlier_run_is_taken_once_its_lease_is_over(
    server: RingServer, clock: VirtualClock
) -> None:
    dead = Shards(RingClient(server), name="ring", namespace="ns", identity="a", options=SPANS, clock=clock)
    await dead._look()
    await dead._say()
    async with replica(server, clock, "a") as a:
        await clock.advance(14.0)
        assert not a.active
        await clock.advance(4.0)
        assert owned(a) == set(KEYS)


class Forgetful(RingClient):
    """The first create is done, and its answer lost."""

    lost = False

    async def create(self, value: Any) -> Object:
        answer = await super().create(value)
        if not self.lost:
            self.lost = True
            raise TransportError("lost")
        return answer


async def test_a_lease_whose_creation_was_not_answered_is_found_again(server: RingServer, clock: VirtualClock) -> None:
    async with replica(server, clock, "a", Forgetful(server)) as a:
        assert not a.active
        await clock.advance(2.1)
        assert owned(a) == set(KEYS)
        assert server.calls.count("create") == 1


# -- many, with everything going wrong -----------------------------------------------------------------------------


@pytest.mark.parity("1e/sharding")
@pytest.mark.parametrize("seed", range(5))
async def test_no_two_replicas_work_on_a_key_and_in_the_end_every_key_has_one(seed: int) -> None:
    rng, clock, server, world = Random(seed), VirtualClock(), RingServer(), World(12)
    until_calm = 300.0

    def start(number: int) -> Replica:
        own = Random(f"{seed}/{number}")
        return Replica(server, world, clock, own, f"r{number}", lambda: clock.monotonic() >= until_calm)

    replicas = [start(number) for number in range(3)]
    number = 3
    while clock.monotonic() < until_calm:
        await clock.advance(rng.uniform(0.5, 12.0))
        alive = [each for each in replicas if not each.task.done()]
        luck = rng.random()
        if luck < 0.2 and alive:
            rng.choice(alive).stop(rng.uniform(1.0, 40.0))
        elif luck < 0.25 and alive:
            await rng.choice(alive).crash()
        elif luck < 0.3 and alive:
            rng.choice(alive).shards.leave()
        elif luck < 0.7 and len(alive) < 5:
            replicas.append(start(number))
            number += 1
    replicas.append(start(number))
    await clock.advance(120.0)
    alive = [each for each in replicas if not each.task.done()]
    assert world.wrong == []
    failed = [each.task.exception() for each in replicas if each.task.done() and not each.task.cancelled()]
    assert [each for each in failed if each is not None] == []
    owners = Counter(key for each in alive for key in each.owns())
    assert owners == dict.fromkeys(world.keys, 1)
    assert min(world.takes, world.writes) > 100
    for each in replicas:
        await cancel_and_wait(each.task)
