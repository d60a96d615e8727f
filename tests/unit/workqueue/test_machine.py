"""The queue's bookkeeping: priorities, turns, pauses, and the whole against a model that is plainly right."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controllerkit.workqueue import LOW_PRIORITY, QueueMachine


class Time:
    """A number that a test sets."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def queue(time: Time) -> QueueMachine[str]:
    return QueueMachine(time)


def drained(queue: QueueMachine[str]) -> list[str]:
    """Every key that can be handed out, in order, with nothing done yet."""
    keys = []
    while (item := queue.get_nowait()) is not None:
        keys.append(item.key)
    return keys


@pytest.mark.parity("2.4/retain-highest", "2.4/never-lower", "1c/priority-queue")
def test_an_entry_keeps_the_highest_priority_it_was_asked_for_with(queue: QueueMachine[str]) -> None:
    queue.add("a", priority=1)
    queue.add("a", priority=5)
    queue.add("a", priority=LOW_PRIORITY)
    item = queue.get_nowait()
    assert item is not None
    assert item.priority == 5


@pytest.mark.parity("2.4/order-by-priority")
def test_priorities_come_before_age(queue: QueueMachine[str]) -> None:
    for key, priority in (("low", LOW_PRIORITY), ("a", 0), ("high", 7), ("b", 0)):
        queue.add(key, priority=priority)
    assert drained(queue) == ["high", "a", "b", "low"]


@pytest.mark.parity("2.4/raise-goes-behind-peers")
def test_a_raised_key_goes_behind_its_new_peers(queue: QueueMachine[str]) -> None:
    for key, priority in (("a", 0), ("b", 5), ("c", 0)):
        queue.add(key, priority=priority)
    queue.add("a", priority=5)
    assert len(queue) == 3
    assert drained(queue) == ["b", "a", "c"]


@pytest.mark.parity("2.4/dedup")
def test_a_key_that_was_raised_and_done_and_added_again_is_there_once(queue: QueueMachine[str]) -> None:
    queue.add("a")
    queue.add("a", priority=5)
    assert drained(queue) == ["a"]
    queue.done("a")
    queue.add("a")
    assert (len(queue), drained(queue)) == (1, ["a"])


@pytest.mark.parity("2.4/len-excludes-waiting")
def test_what_waits_or_is_in_work_does_not_count(queue: QueueMachine[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.add_at("later", 5.0)
    queue.get_nowait()
    assert len(queue) == 1


@pytest.mark.parity("2.4/ready-high-beats-low")
def test_a_waiting_key_of_high_priority_comes_first_once_it_is_ready(queue: QueueMachine[str], time: Time) -> None:
    queue.add_at("high", 5.0, priority=1)
    queue.add("low")
    time.at = 4.9
    assert queue.next_at() == 5.0
    time.at = 5.0
    assert drained(queue) == ["high", "low"]


@pytest.mark.parity("2.3/delayed-two-early", "2.3/delayed-order-under-shifting")
def test_delayed_keys_come_in_the_order_of_their_times_however_these_move(queue: QueueMachine[str], time: Time) -> None:
    for key, at in (("a", 9.0), ("b", 6.0), ("c", 7.0), ("a", 5.0), ("b", 8.0)):
        queue.add_at(key, at)
    time.at = 6.5
    assert drained(queue) == ["a", "b"]
    time.at = 7.0
    assert drained(queue) == ["c"]
    assert queue.next_at() is None


@pytest.mark.parity("2.4/ready-stays-ready")
def test_a_delay_does_not_take_back_a_key_that_is_ready_and_an_add_ends_a_delay(queue: QueueMachine[str]) -> None:
    queue.add("a")
    queue.add_at("a", 99.0)
    queue.add_at("b", 99.0)
    queue.add("b")
    assert drained(queue) == ["a", "b"]


def test_a_delay_asked_for_while_the_key_is_in_work_counts_from_there(queue: QueueMachine[str], time: Time) -> None:
    queue.add("a")
    queue.get_nowait()
    queue.add_at("a", 5.0, "timer")
    queue.add_at("a", 3.0)
    time.at = 4.0
    assert drained(queue) == [], "it is in work"
    queue.done("a")
    item = queue.get_nowait()
    assert item is not None
    assert item.reasons == {"timer"}
    queue.add_at("a", 9.0)
    queue.done("a")
    assert queue.next_at() == 9.0


@pytest.mark.parity("2.3/popped-are-collectable")
def test_a_key_that_is_done_is_kept_by_nothing() -> None:
    @dataclass(eq=False)
    class Named:
        name: str = field(default="a")

    queue: QueueMachine[Named] = QueueMachine(lambda: 0.0)
    key = Named()
    gone = weakref.ref(key)
    queue.add(key)
    queue.add(key, priority=1)
    item = queue.get_nowait()
    assert item is not None
    queue.done(item.key)
    del item, key
    gc.collect()
    assert gone() is None


@pytest.mark.parity("1c/fairness")
def test_a_namespace_that_floods_does_not_starve_the_others(time: Time) -> None:
    queue: QueueMachine[tuple[str, int]] = QueueMachine(time, fairness=lambda key: key[0])
    for number in range(1000):
        queue.add(("flood", number))
    queue.add(("quiet", 0))
    queue.add(("other", 0))
    queue.add(("quiet", 1))
    first = [item.key for item in (queue.get_nowait() for _ in range(6)) if item]
    assert first == [("flood", 0), ("quiet", 0), ("other", 0), ("flood", 1), ("quiet", 1), ("flood", 2)]


def test_turns_are_taken_inside_a_priority_only(time: Time) -> None:
    queue: QueueMachine[str] = QueueMachine(time, fairness=lambda key: key[0])
    for key in ("a1", "a2", "b1"):
        queue.add(key)
    queue.add("a3", priority=1)
    assert drained(queue) == ["a3", "a1", "b1", "a2"]


@pytest.mark.parity("1c/pause")
def test_a_paused_key_is_kept_with_its_reasons_and_comes_when_resumed(queue: QueueMachine[str], time: Time) -> None:
    queue.add("a", "first")
    queue.add("b")
    queue.pause("a")
    queue.pause("c")
    queue.add("c")
    queue.add("a", "second")
    queue.add_at("c", 1.0)
    assert (drained(queue), queue.paused) == (["b"], {"a", "c"})
    queue.pause("b")
    queue.add("b", "again")
    queue.done("b")
    assert drained(queue) == [], "paused while it was in work"
    for key in "abc":
        queue.resume(key)
    items = [queue.get_nowait(), queue.get_nowait(), queue.get_nowait()]
    assert [(item.key, item.reasons) for item in items if item] == [
        ("a", {"first", "second"}),
        ("b", {"again"}),
        ("c", set()),
    ]
    queue.pause("z")
    queue.add_at("z", 1.0)
    time.at = 2.0
    assert (drained(queue), len(queue)) == ([], 0)
    queue.resume("z")
    assert drained(queue) == ["z"]


def test_snapshot_tells_everything_that_is_known(time: Time) -> None:
    class Timings:
        def __init__(self) -> None:
            self.told: list[tuple[str, float]] = []

        def queued(self, seconds: float) -> None:
            self.told.append(("queued", seconds))

        def worked(self, seconds: float) -> None:
            self.told.append(("worked", seconds))

    timings = Timings()
    queue: QueueMachine[str] = QueueMachine(time, timings=timings)
    time.at = 1.0
    queue.add("work")
    time.at = 3.0
    queue.get_nowait()
    queue.add("work", "again", priority=2)
    queue.add("ready", "spec.x changed", priority=1)
    queue.add_at("waiting", 9.0)
    queue.add("held")
    queue.pause("held")
    time.at = 5.0
    told = {
        (each.key, each.state): (each.priority, set(each.reasons), each.for_s, each.due_in_s)
        for each in queue.snapshot()
    }
    assert told == {
        ("work", "processing"): (0, set(), 2.0, None),
        ("work", "ready"): (2, {"again"}, 2.0, None),
        ("ready", "ready"): (1, {"spec.x changed"}, 2.0, None),
        ("waiting", "waiting"): (0, set(), 2.0, 4.0),
        ("held", "paused"): (0, set(), 2.0, None),
    }
    queue.done("work")
    assert timings.told == [("queued", 2.0), ("worked", 2.0)]


def test_reasons_are_bounded(queue: QueueMachine[str]) -> None:
    for number in range(500):
        queue.add("a", f"Pod {number} changed")
    item = queue.get_nowait()
    assert item is not None
    assert (len(item.reasons), "more" in item.reasons) == (33, True)


def test_done_of_a_key_nobody_has_changes_nothing(queue: QueueMachine[str]) -> None:
    queue.done("nobody")
    queue.add("a")
    queue.done("a")
    assert drained(queue) == ["a"]


# -- against a model -----------------------------------------------------------------------------------------------


@dataclass
class Entry:
    key: str
    priority: int
    reasons: set[str]
    turn: int
    due: float | None = None
    paused: bool = False


class QueueAgainstModel(RuleBasedStateMachine):
    """A list of entries that is searched from end to end, against the queue: what it hands out, and when."""

    KEYS = st.sampled_from(["a1", "a2", "b1", "b2"])
    PRIORITIES = st.sampled_from([LOW_PRIORITY, 0, 0, 3])
    REASONS = st.sampled_from(["", "x", "y"])

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self.queue: QueueMachine[str] = QueueMachine(self.time)
        self.entries: dict[str, Entry] = {}
        self.work: dict[str, Entry | None] = {}
        self.paused: set[str] = set()
        self.turn = 0

    def model_add(self, key: str, reason: str, priority: int, due: float | None) -> None:
        self.turn += 1
        known = self.work[key] if key in self.work else self.entries.get(key)
        if known is None:
            known = Entry(
                key, priority, set(), self.turn, due, key in self.paused and key not in self.work and due is None
            )
            if key in self.work:
                self.work[key] = known
            else:
                self.entries[key] = known
        elif due is None and known.due is not None:
            known.due, known.turn = None, self.turn
            known.paused = key in self.paused and key not in self.work
        elif due is not None and known.due is not None:
            known.due = min(known.due, due)
        if priority > known.priority:
            known.priority = priority
            if known.due is None:
                known.turn = self.turn
        if reason:
            known.reasons.add(reason)

    @rule(key=KEYS, reason=REASONS, priority=PRIORITIES)
    def add(self, key: str, reason: str, priority: int) -> None:
        if key in self.paused and key in self.entries and self.entries[key].due is not None:
            return  # a paused key that waits: see the test above
        self.queue.add(key, reason, priority=priority)
        self.model_add(key, reason, priority, None)

    @rule(key=KEYS, reason=REASONS, priority=PRIORITIES, delay=st.integers(1, 9))
    def add_later(self, key: str, reason: str, priority: int, delay: int) -> None:
        self.queue.add_at(key, self.time.at + delay, reason, priority=priority)
        self.model_add(key, reason, priority, self.time.at + delay)

    @rule(step=st.integers(1, 6))
    def pass_time(self, step: int) -> None:
        for _ in range(step):
            self.time.at += 1
            for key, entry in (*self.entries.items(), *self.work.items()):
                if entry is not None and entry.due is not None and entry.due <= self.time.at:
                    entry.due = None
                    entry.paused = key in self.paused and key not in self.work
            len(self.queue)  # it takes in what is due
            self._renumber([entry.key for entry in self._ready_in_order()])

    def _ready_in_order(self) -> list[Entry]:
        """The model's ready entries, those of one priority as the queue holds them."""
        ready = [e for e in self.entries.values() if e.due is None and not e.paused]
        position = {key: n for n, key in enumerate(self._queue_order())}
        assert set(position) == {e.key for e in ready}
        return sorted(ready, key=lambda e: position[e.key])

    def _queue_order(self) -> list[str]:
        """What the queue would hand out, in order, seen from a copy of its order."""
        levels = self.queue._levels
        if levels is None:
            return [item.key for item in self.queue._fifo]
        found: list[str] = []
        for priority in sorted(levels._levels, reverse=True):
            for turn in levels._levels[priority].turns:
                found += [item.key for item in turn if item.state == "ready"]
        return found

    def _renumber(self, order: list[str]) -> None:
        for key in order:
            self.turn += 1
            self.entries[key].turn = self.turn

    @rule(key=KEYS)
    def pause(self, key: str) -> None:
        self.queue.pause(key)
        self.paused.add(key)
        if key in self.entries and self.entries[key].due is None:
            self.entries[key].paused = True

    @rule(key=KEYS)
    def resume(self, key: str) -> None:
        self.queue.resume(key)
        self.paused.discard(key)
        if key in self.entries and self.entries[key].paused:
            self.turn += 1
            self.entries[key].paused, self.entries[key].turn = False, self.turn

    @rule()
    def get(self) -> None:
        ready = [e for e in self.entries.values() if e.due is None and not e.paused]
        item = self.queue.get_nowait()
        if not ready:
            assert item is None
            return
        expected = min(ready, key=lambda e: (-e.priority, e.turn))
        assert item is not None
        assert (item.key, item.priority, item.reasons) == (expected.key, expected.priority, expected.reasons)
        del self.entries[item.key]
        self.work[item.key] = None

    @precondition(lambda self: self.work)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.work)))
        self.queue.done(key)
        again = self.work.pop(key)
        if again is not None:
            self.turn += 1
            again.turn = self.turn
            again.paused = again.due is None and key in self.paused
            self.entries[key] = again

    @invariant()
    def agrees(self) -> None:
        assert len(self.queue) == sum(e.due is None and not e.paused for e in self.entries.values())
        assert self.queue.in_work == len(self.work)
        waiting = [e.due for e in (*self.entries.values(), *self.work.values()) if e is not None and e.due is not None]
        assert self.queue.next_at() == min(waiting, default=None)


@pytest.mark.parity("2.4/fuzz", "2.4/many-items", "2.3/collapse-while-processing", "2.3/len")
class TestQueueAgainstModel(QueueAgainstModel.TestCase):  # type: ignore[name-defined,misc]
    """Run by hypothesis."""


TestQueueAgainstModel.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
