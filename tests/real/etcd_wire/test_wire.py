"""The gateway client against real etcd: what the simulator and the operator take for granted."""

from __future__ import annotations

import asyncio

import pytest

from controllerkit.runtime import wait_until
from operators.etcd.wire import (
    EtcdClient,
    EtcdUnreachable,
    LearnerNotInSync,
    MemberExists,
    MemberNotFound,
    NoQuorum,
    NotForLearners,
    NotLeader,
    NotLearner,
    TooManyLearners,
)
from tests.real.etcd_wire.conftest import Members

pytestmark = pytest.mark.real


async def leader_of(members: Members, *names: str) -> str:
    ids = {}
    for name in names:
        async with members.client(name) as one:
            ids[(await one.status()).member_id] = name
    async with members.client(names[0]) as one:
        return ids[(await one.status()).leader]


async def test_keys_are_put_read_counted_and_deleted(members: Members) -> None:
    members.start("a", founds=True)
    await members.answering("a")
    async with members.client("a", version=False) as client:
        assert await client.get("absent") is None
        first = await client.put("k/1", "one")
        second = await client.put(b"k/2", bytes(range(256)))
        assert second == first + 1
        assert await client.get("k/2") == bytes(range(256))
        assert await client.get("k/1", serializable=True) == b"one"
        found = await client.range("k/", range_end="k0", limit=1)
        assert (found.count, len(found.kvs), found.kvs[0].mod_revision, found.revision) == (2, 1, first, second)
        assert await client.delete("k/", range_end="k0") == 2
        running, works_at = await client.version()
        assert (running, works_at) == (str(members.version), f"{members.version.major}.{members.version.minor}.0")
        assert await client.alarms() == ()
        async with members.client("a") as other:
            assert (await client.hash_kv()).hash == (await other.hash_kv()).hash


async def test_a_learner_joins_serves_little_and_is_promoted_when_in_sync(members: Members) -> None:
    members.start("a", founds=True)
    await members.answering("a")
    async with members.client("a") as client:
        added = await client.member_add(members.peer_url("b"), learner=True)
        assert (added.started, added.learner) == (False, True)
        with pytest.raises(MemberExists):
            await client.member_add(members.peer_url("b"), learner=True)
        with pytest.raises(TooManyLearners):
            await client.member_add(members.peer_url("c"), learner=True)
        with pytest.raises(LearnerNotInSync):
            await client.member_promote(added.id)
        with pytest.raises(MemberNotFound):
            await client.member_promote(1)
        with pytest.raises(MemberNotFound):
            await client.member_remove(1)
        members.start("b", "a")
        await members.answering("b")
        async with members.client("b") as learner:
            assert (await learner.status()).learner
            with pytest.raises(NotForLearners):
                await learner.get("k")
            with pytest.raises(NotForLearners):
                await learner.member_list()
        async with members.client("b", "a") as through:
            await client.put("k", "v")
            assert await through.get("k") == b"v", "a read goes on to the next endpoint"

        async def promoted() -> bool:
            try:
                await client.member_promote(added.id)
            except LearnerNotInSync:
                return False
            return True

        await wait_until(promoted, what="the learner is promoted", timeout_s=10.0)
        with pytest.raises(NotLearner):
            await client.member_promote(added.id)
        listed = await client.member_list()
        assert {(m.name, m.learner) for m in listed.members} == {("a", False), ("b", False)}
        assert listed.cluster_id == (await client.status()).cluster_id


async def test_leadership_moves_only_at_the_leaders_word(members: Members) -> None:
    names = await members.three()
    leader = await leader_of(members, *names)
    target, other = (name for name in names if name != leader)
    async with members.client(target) as one:
        target_id = (await one.status()).member_id
    async with members.client(other) as follower:
        with pytest.raises(NotLeader):
            await follower.move_leader(target_id)
    async with members.client(leader) as one:
        await one.move_leader(target_id)
    assert await leader_of(members, *names) == target


async def test_a_majority_lost_is_told_from_one_that_answers(members: Members) -> None:
    names = await members.three()
    leader = await leader_of(members, *names)
    follower, last = (name for name in names if name != leader)
    async with members.client(*names) as client:
        await client.put("k", "v")
        await members.kill(follower)
        assert await client.get("k") == b"v"
        await members.kill(leader)
    async with members.client(last) as alone:

        async def without_a_leader() -> bool:
            return (await alone.status()).leader == 0

        await wait_until(without_a_leader, what="no leader", timeout_s=15.0)
        with pytest.raises((NoQuorum, EtcdUnreachable)):
            await alone.get("k")
        assert await alone.get("k", serializable=True) == b"v"
        assert {m.name for m in (await alone.member_list(linearizable=False)).members} == set(names)
        with pytest.raises((NoQuorum, EtcdUnreachable)):
            await alone.member_list()


async def test_a_removed_member_is_gone_and_another_takes_its_place(members: Members) -> None:
    names = await members.three()
    leader = await leader_of(members, *names)
    victim = next(name for name in names if name != leader)
    rest = tuple(name for name in names if name != victim)
    await members.kill(victim)
    async with members.client(*rest) as client:
        listed = await client.member_list()
        await client.member_remove(next(m.id for m in listed.members if m.name == victim))
        joined = await members.join("d", *rest)
        listed = await client.member_list()
        assert {m.name for m in listed.members} == {*rest, "d"}
        assert joined in {m.id for m in listed.members}


async def test_an_endpoint_that_is_not_there_costs_a_write_nothing(members: Members) -> None:
    members.start("a", founds=True)
    await members.answering("a")
    absent = members.client_url("absent")
    async with EtcdClient([absent, members.client_url("a")]) as client:
        await client.put("k", "v")
        assert await client.get("k") == b"v"
    async with EtcdClient([absent], timeout_s=0.5) as client:
        with pytest.raises(EtcdUnreachable) as caught:
            await client.put("k", "v")
    assert caught.value.__cause__ is not None
    assert list(caught.value.causes) == [absent]
    assert not caught.value.sent


async def test_an_endpoint_that_hangs_is_left_in_time(members: Members) -> None:
    members.start("a", founds=True)
    await members.answering("a")

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            writer.close()

    server = await asyncio.start_server(hang, members.address("hangs"), 2379)
    try:
        hanging = members.client_url("hangs")
        async with EtcdClient([hanging, members.client_url("a")], version=members.version, timeout_s=0.3) as client:
            with pytest.raises(EtcdUnreachable) as caught:
                await client.put("k", "v")
            assert caught.value.sent, "it may have been done, so it is not done again elsewhere"
            assert await client.get("k") is None
    finally:
        server.close()
