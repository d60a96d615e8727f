"""The workqueue's semantics: client-go's queue, delaying queue and rate-limiting queue, case by case."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from controllerkit.testing import VirtualClock, settle
from controllerkit.workqueue import QueueShutDown, WorkQueue


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def queue(clock: VirtualClock) -> WorkQueue[str]:
    return WorkQueue(clock=clock)


@pytest.mark.parity("2.4/order")
async def test_keys_come_out_in_the_order_they_went_in(queue: WorkQueue[str]) -> None:
    for key in "abc":
        queue.add(key)
    assert [(await queue.get()).key for _ in range(3)] == ["a", "b", "c"]


@pytest.mark.parity("2.3/collapse-duplicates", "1c/coalescing")
async def test_adding_twice_hands_out_once_with_both_reasons(queue: WorkQueue[str]) -> None:
    queue.add("a", "spec changed")
    queue.add("a", "Pod deleted")
    assert len(queue) == 1
    assert (await queue.get()).reasons == {"spec changed", "Pod deleted"}


@pytest.mark.parity(
    "2.3/add-while-processing",
    "2.3/reinsert-after-done",
    "2.4/locked-not-handed-out",
    "2.4/handed-out-at-unlock",
    "2.4/enqueued-while-locked",
)
async def test_a_key_added_while_in_work_is_handed_out_after_done_and_not_before(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a", "again")
    queue.add("a", "and again")
    assert len(queue) == 0
    queue.done("a")
    assert (await queue.get()).reasons == {"again", "and again"}


async def test_a_done_key_that_was_not_added_again_stays_out(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.done("a")
    assert len(queue) == 0


@pytest.mark.parity("2.3/shut-down-does-not-wait")
async def test_shut_down_hands_out_what_is_ready_and_takes_no_more(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.shut_down()
    queue.add("b")
    assert (await queue.get()).key == "a"
    with pytest.raises(QueueShutDown):
        await queue.get()


@pytest.mark.parity("2.4/get-unblocked-on-shut-down")
async def test_shut_down_wakes_every_waiting_worker(queue: WorkQueue[str]) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await settle()
    queue.shut_down()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert [type(result) for result in results] == [QueueShutDown] * 3


@pytest.mark.parity("2.3/drain-waits", "2.3/drain-dirty")
async def test_drain_waits_for_work_and_for_keys_added_meanwhile(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    drain = asyncio.create_task(queue.shut_down_with_drain())
    await settle()
    queue.done("a")
    await settle()
    assert not drain.done()
    await queue.get()
    queue.done("a")
    await drain


async def test_a_cancelled_get_loses_no_key(queue: WorkQueue[str]) -> None:
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await settle()
    queue.add("a")
    first.cancel()
    await settle()
    assert (await second).key == "a"


async def test_a_worker_cancelled_while_the_queue_shuts_down_ends_quietly(queue: WorkQueue[str]) -> None:
    worker = asyncio.create_task(queue.get())
    await settle()
    worker.cancel()
    queue.shut_down()
    with pytest.raises(asyncio.CancelledError):
        await worker


@pytest.mark.parity("2.3/delayed-fires", "2.4/returned-when-after-passes")
async def test_a_delayed_key_comes_when_its_time_has_come(queue: WorkQueue[str], clock: VirtualClock) -> None:
    queue.add_after("a", 5.0)
    await clock.advance(4.9)
    assert len(queue) == 0
    await clock.advance(0.1)
    assert len(queue) == 1


@pytest.mark.parity("2.3/delayed-dedup", "2.4/retain-lowest-after", "1c/delays")
async def test_of_several_delays_the_earliest_counts(queue: WorkQueue[str], clock: VirtualClock) -> None:
    queue.add_after("a", 10.0)
    queue.add_after("a", 2.0)
    queue.add_after("a", 7.0)
    await clock.advance(2.0)
    await queue.get()
    queue.done("a")
    await clock.advance(20.0)
    assert len(queue) == 0


async def test_a_waiting_worker_is_woken_by_a_delay(queue: WorkQueue[str], clock: VirtualClock) -> None:
    worker = asyncio.create_task(queue.get())
    queue.add_after("late", 9.0)
    queue.add_after("early", 3.0)
    await clock.advance(3.0)
    assert (await worker).key == "early"


async def test_a_delay_of_nothing_adds_now(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 0.0)
    assert len(queue) == 1


@pytest.mark.parity("2.3/rate-limited-and-forget")
async def test_failures_double_the_delay_until_forgotten(queue: WorkQueue[str], clock: VirtualClock) -> None:
    waits = []
    for _ in range(4):
        queue.add_rate_limited("a")
        began = clock.monotonic()
        while not len(queue):
            await clock.advance(0.001)
        waits.append(round(clock.monotonic() - began, 3))
        await queue.get()
        queue.done("a")
    assert waits == [0.005, 0.01, 0.02, 0.04]
    assert queue.failures("a") == 4
    queue.forget("a")
    assert queue.failures("a") == 0


@pytest.mark.parity("2.3/many-producers-and-consumers")
async def test_many_producers_and_workers_never_share_a_key_and_miss_none(queue: WorkQueue[str]) -> None:
    in_work: set[str] = set()
    seen: Counter[str] = Counter()

    async def work() -> None:
        while True:
            item = await queue.get()
            assert item.key not in in_work
            in_work.add(item.key)
            await asyncio.sleep(0)
            seen[item.key] += 1
            in_work.remove(item.key)
            queue.done(item.key)

    async def produce(name: str) -> None:
        for number in range(50):
            queue.add(f"{name}-{number % 10}")
            await asyncio.sleep(0)

    workers = [asyncio.create_task(work()) for _ in range(5)]
    await asyncio.gather(*(produce(f"p{n}") for n in range(10)))
    await queue.shut_down_with_drain()
    await asyncio.gather(*workers, return_exceptions=True)
    assert len(seen) == 100


async def test_a_key_that_is_held_is_handed_out_when_it_may_be_with_all_that_was_added(
    queue: WorkQueue[str], clock: VirtualClock
) -> None:
    queue.hold_until(lambda key, due, now: max(due, 5.0) if key == "a" else due)
    worker = asyncio.create_task(queue.get())
    await settle()
    queue.add("a", "first")
    await clock.advance(4.9)
    queue.add("a", "second")
    assert not worker.done()
    await clock.advance(0.2)
    item = await worker
    assert (item.key, item.reasons, clock.monotonic()) == ("a", {"first", "second"}, pytest.approx(5.1))
    queue.add("b")
    assert (await queue.get()).key == "b"


async def test_what_is_added_while_its_key_is_in_work_is_held_too(queue: WorkQueue[str], clock: VirtualClock) -> None:
    queue.add("a")
    await queue.get()
    queue.hold_until(lambda key, due, now: 3.0 if now < 3.0 else due)
    queue.add("a", "again")
    queue.done("a")
    worker = asyncio.create_task(queue.get())
    await clock.advance(2.9)
    assert not worker.done()
    await clock.advance(0.2)
    assert (await worker).reasons == {"again"}
