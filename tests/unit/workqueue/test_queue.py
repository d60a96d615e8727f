"""The workqueue's semantics: client-go's queue, delaying queue and rate-limiting queue, case by case."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controllerkit.testing import VirtualClock, settle
from controllerkit.workqueue import QueueShutDown, WorkQueue
from controllerkit.workqueue.machine import QueueMachine


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def queue(clock: VirtualClock) -> WorkQueue[str]:
    return WorkQueue(clock=clock)


async def test_keys_come_out_in_the_order_they_went_in(queue: WorkQueue[str]) -> None:
    for key in "abc":
        queue.add(key)
    assert [(await queue.get()).key for _ in range(3)] == ["a", "b", "c"]


async def test_adding_twice_hands_out_once_with_both_reasons(queue: WorkQueue[str]) -> None:
    queue.add("a", "spec changed")
    queue.add("a", "Pod deleted")
    assert len(queue) == 1
    assert (await queue.get()).reasons == {"spec changed", "Pod deleted"}


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


async def test_shut_down_hands_out_what_is_ready_and_takes_no_more(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.shut_down()
    queue.add("b")
    assert (await queue.get()).key == "a"
    with pytest.raises(QueueShutDown):
        await queue.get()


async def test_shut_down_wakes_every_waiting_worker(queue: WorkQueue[str]) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await settle()
    queue.shut_down()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert [type(result) for result in results] == [QueueShutDown] * 3


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


async def test_a_delayed_key_comes_when_its_time_has_come(queue: WorkQueue[str], clock: VirtualClock) -> None:
    queue.add_after("a", 5.0)
    await clock.advance(4.9)
    assert len(queue) == 0
    await clock.advance(0.1)
    assert len(queue) == 1


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


class QueueAgainstModel(RuleBasedStateMachine):
    """The machine against a model so simple that it is plainly right: a list of keys to do, a set in work."""

    def __init__(self) -> None:
        super().__init__()
        self.machine: QueueMachine[str] = QueueMachine()
        self.order: deque[str] = deque()
        self.work: dict[str, bool] = {}
        self.delayed: dict[str, float] = {}
        self.now = 0.0

    def model_add(self, key: str) -> None:
        if key in self.work:
            self.work[key] = True
        elif key not in self.order:
            self.order.append(key)

    @rule(key=st.sampled_from("abcd"))
    def add(self, key: str) -> None:
        self.machine.add(key, self.now)
        self.model_add(key)

    @rule(key=st.sampled_from("abcd"), delay=st.integers(1, 9))
    def add_later(self, key: str, delay: int) -> None:
        self.machine.add_at(key, self.now + delay)
        self.delayed[key] = min(self.delayed.get(key, float("inf")), self.now + delay)

    @rule(step=st.integers(1, 6))
    def pass_time(self, step: int) -> None:
        for _ in range(step):
            self.now += 1
            self.machine.advance(self.now)
            due = {key for key, at in self.delayed.items() if at <= self.now}
            assert due == {key for key in self.delayed if key not in self.machine.waiting}
            expected = Counter(self.order) + Counter(
                key for key in due if key not in self.order and key not in self.work
            )
            for key in due:
                del self.delayed[key]
                if key in self.work:
                    self.work[key] = True
            self.order = deque(self.machine._ready)  # keys due at the same moment may come in any order
            assert Counter(self.order) == expected

    @precondition(lambda self: self.order)
    @rule()
    def pop(self) -> None:
        popped = self.machine.pop(self.now)
        assert popped is not None
        assert popped[0] == self.order.popleft()
        self.work[popped[0]] = False

    @precondition(lambda self: self.work)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.work)))
        self.machine.done(key, self.now)
        if self.work.pop(key):
            self.order.append(key)

    @invariant()
    def agrees(self) -> None:
        assert len(self.machine) == len(self.order)
        assert set(self.machine.processing) == set(self.work)
        assert self.machine.next_at() == min(self.delayed.values(), default=None)


TestQueueAgainstModel = QueueAgainstModel.TestCase
TestQueueAgainstModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
