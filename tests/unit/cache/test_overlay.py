"""Own writes over the cache: tables of what is read, and a machine against a server that is only a history."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controllerkit.cache import Overlay, Reader, Store, Unsettled, outcome_unknown
from controllerkit.cache.overlay import SHADOW_AGE_MAX_S, at_least
from controllerkit.client import WatchEvent, Write
from controllerkit.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    ConnectError,
    DeadlineExceeded,
    InternalError,
    MalformedObject,
    NotFound,
    NotLeading,
    ServerTimeout,
    TooManyRequests,
)
from controllerkit.objects import Key, Object, kinds

A = Key("default", "a")


def config_map(version: str, name: str = "a", uid: str = "one", kind: str = "ConfigMap", **meta: Any) -> Object:
    metadata = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": version, **meta}
    return Object.from_dict({"apiVersion": "v1", "kind": kind, "metadata": metadata})


def app(value: Object) -> list[str]:
    return [value.labels["app"]] if "app" in value.labels else []


class Bed:
    """One cached kind, a client that writes, and a watch that tells when the test says so."""

    def __init__(self, *listed: Object, version: str = "5") -> None:
        self.now = 0.0
        self.store = Store({"app": app})
        self.store.replace(listed)
        self.store.version = version
        self.overlay = Overlay(lambda kind: self.store if kind == kinds.CONFIG_MAP else None, lambda: self.now)
        self.reader = Reader(self.store, self.overlay)

    def begin(self, verb: Any, key: Key = A, **write: Any) -> Write:
        begun = Write(verb, write.pop("kind", kinds.CONFIG_MAP), key, **write)
        self.overlay.before(begun)
        return begun

    def wrote(self, verb: Any, answer: Object | None, error: BaseException | None = None, **write: Any) -> None:
        key = answer.key if answer is not None and answer.name else A
        self.overlay.after(self.begin(verb, key, **write), answer, error)

    def event(self, kind: str, value: Object) -> None:
        if kind != "BOOKMARK":
            self.store.apply(WatchEvent(kind, value))
        self.store.version = value.resource_version
        self.overlay.release(self.store)

    def bookmark(self, version: str) -> None:
        self.event("BOOKMARK", config_map(version))

    def read(self, key: Key = A) -> str | None:
        found = self.reader.get(key)
        return found and found.resource_version


@pytest.mark.parity("2.9/version-order")
@pytest.mark.parametrize(
    ("version", "other", "said"),
    [("10", "9", True), ("9", "10", False), ("7", "7", True), ("07", "7", None), ("", "7", None), ("x", "7", None)],
)
def test_versions_compare_as_numbers_without_leading_zeros(version: str, other: str, said: bool | None) -> None:
    assert at_least(version, other) is said


@pytest.mark.parity("2.9/wrote-at", "2.9/get-after-write", "2.9/no-worker-waits", "2.2/mutation-newer-than-store")
@pytest.mark.parametrize("verb", ["create", "update", "patch", "apply"])
def test_what_was_written_is_read_before_the_watch_tells_of_it(verb: str) -> None:
    bed = Bed(config_map("3"))
    bed.wrote(verb, config_map("8"))
    assert bed.read() == "8"
    assert bed.store.get(A) == config_map("3"), "the cache itself is as it was"


@pytest.mark.parity(
    "2.9/ready-when-seen", "2.9/released-by-newer-event", "2.9/clear", "2.2/mutation-cleared-when-stale"
)
def test_an_event_at_or_past_the_write_releases_it_and_an_older_one_does_not() -> None:
    bed = Bed(config_map("3"))
    bed.wrote("update", config_map("8"))
    bed.event("MODIFIED", config_map("7"))
    assert (bed.read(), len(bed.overlay)) == ("8", 1)
    bed.event("MODIFIED", config_map("12"))
    assert (bed.read(), len(bed.overlay)) == ("12", 0)


@pytest.mark.parity("2.9/bookmark-advances", "2.9/outside-selector")
def test_a_write_outside_the_selector_is_seen_until_a_bookmark_passes_it_and_holds_up_nobody() -> None:
    bed = Bed(config_map("3"))
    bed.wrote("create", config_map("8", "outside"))
    bed.wrote("update", config_map("9"))
    assert [value.name for value in bed.reader.list()] == ["outside", "a"]
    bed.bookmark("10")
    assert (bed.read(Key("default", "outside")), bed.read(), len(bed.overlay)) == (None, "3", 0)


@pytest.mark.parity("2.9/list-after-write", "2.9/lists-not-coupled")
def test_lists_and_indexes_have_what_was_created_and_lack_what_was_deleted() -> None:
    bed = Bed(config_map("3", "stays", labels={"app": "x"}), config_map("4", labels={"app": "x"}))
    bed.wrote("delete", None)
    bed.wrote("create", config_map("8", "made", "two", labels={"app": "x"}))
    bed.wrote("patch", config_map("9", "stays", labels={"app": "y"}))
    assert {value.name for value in bed.reader.list()} == {"stays", "made"}
    assert {value.name for value in bed.reader.list("default", label_selector="app=x")} == {"made"}
    assert bed.reader.list("elsewhere") == []
    assert [value.name for value in bed.reader.by_index("app", "x")] == ["made"]
    assert [value.name for value in bed.reader.by_index("app", "y")] == ["stays"]


@pytest.mark.parity("2.9/delete-and-recreate", "2.2/mutation-of-a-deleted")
def test_what_was_deleted_is_not_read_again_not_even_when_the_watch_first_tells_that_it_came() -> None:
    bed = Bed()
    bed.wrote("create", config_map("8"))
    bed.wrote("delete", None)
    assert bed.read() is None
    bed.event("ADDED", config_map("8"))
    assert bed.read() is None, "the watch is where the object still was"
    bed.event("DELETED", config_map("9"))
    assert (bed.read(), len(bed.overlay)) == (None, 0)


@pytest.mark.parity("2.9/delete-and-recreate", "2.2/mutation-recreated")
def test_an_object_made_anew_by_somebody_else_is_seen_at_once() -> None:
    bed = Bed(config_map("3"))
    bed.wrote("delete", None)
    bed.event("DELETED", config_map("8"))
    bed.event("ADDED", config_map("9", uid="two"))
    assert (bed.read(), len(bed.overlay)) == ("9", 0)


@pytest.mark.parity("2.9/delete-known-before", "2.2/mutation-recreated")
def test_a_namesake_that_is_cached_before_a_deletion_is_answered_is_not_hidden() -> None:
    bed = Bed(config_map("3"))
    begun = bed.begin("delete")
    bed.event("DELETED", config_map("8"))
    bed.event("ADDED", config_map("9", uid="two"))
    bed.overlay.after(begun, None, None)
    assert bed.read() == "9"


def test_what_this_process_made_anew_before_a_deletion_was_answered_is_not_hidden() -> None:
    bed = Bed(config_map("3"))
    begun = bed.begin("delete")
    bed.wrote("create", config_map("9", uid="two"))
    bed.overlay.after(begun, None, None)
    assert bed.read() == "9"


@pytest.mark.parity("2.9/answers-in-other-order")
def test_of_two_answers_in_the_wrong_order_the_newer_write_stays() -> None:
    bed = Bed(config_map("3"))
    bed.wrote("update", config_map("9"))
    bed.wrote("update", config_map("8"))
    assert bed.read() == "9"
    bed.wrote("delete", None)
    bed.wrote("update", config_map("10"))
    assert bed.read() is None, "the answer of an update that came before the deletion"


@pytest.mark.parity("2.9/clear")
@pytest.mark.parametrize("verb", ["update", "delete"])
def test_an_answer_that_the_watch_was_faster_than_is_not_kept(verb: str) -> None:
    bed = Bed(config_map("3"))
    begun = bed.begin(verb)
    bed.event("DELETED" if verb == "delete" else "MODIFIED", config_map("8"))
    bed.overlay.after(begun, None if verb == "delete" else config_map("8"), None)
    assert (bed.read(), len(bed.overlay)) == (None if verb == "delete" else "8", 0)


def test_a_deletion_that_finalizers_delay_is_read_as_the_object_that_is_going() -> None:
    bed = Bed(config_map("3"))
    bed.wrote("delete", config_map("8", deletionTimestamp="2026-01-01T00:00:00Z"))
    found = bed.reader.get(A)
    assert found is not None
    assert found.deleting


def test_a_deletion_of_what_is_gone_already_hides_it() -> None:
    bed = Bed(config_map("3"))
    bed.wrote("delete", None, NotFound("gone"))
    assert bed.read() is None


@pytest.mark.parity("2.9/opaque-versions")
def test_where_versions_are_no_numbers_the_cache_is_believed() -> None:
    bed = Bed(config_map("x3"), version="x5")
    bed.wrote("update", config_map("x8"))
    assert bed.read() == "x3"


@pytest.mark.parity("2.9/no-op-write")
def test_a_write_that_changed_nothing_hides_no_concurrent_change() -> None:
    bed = Bed(config_map("3"))
    begun = bed.begin("patch")
    bed.event("MODIFIED", config_map("8"))
    bed.overlay.after(begun, config_map("3"), None)
    assert bed.read() == "8"


@pytest.mark.parity("2.9/ghost")
def test_a_write_that_a_living_cache_never_passes_is_given_up() -> None:
    bed = Bed(config_map("3"))
    bed.wrote("update", config_map("900"))
    bed.now = SHADOW_AGE_MAX_S - 1.0
    bed.bookmark("6")
    assert bed.read() == "900"
    bed.now = SHADOW_AGE_MAX_S
    bed.bookmark("7")
    assert (bed.read(), len(bed.overlay)) == ("3", 0)


@pytest.mark.parity("2.9/refused-write")
@pytest.mark.parametrize(
    ("error", "write"),
    [
        (Conflict("no"), {}),
        (NotLeading("no"), {}),
        (None, {"dry_run": True}),
        (None, {"kind": kinds.SECRET}),
    ],
    ids=["refused", "not sent", "dry run", "a kind that is not cached"],
)
def test_what_was_not_written_here_changes_nothing(error: Exception | None, write: dict[str, Any]) -> None:
    bed = Bed(config_map("3"))
    with bed.overlay.collecting() as unsettled:
        bed.wrote("update", None if error else config_map("8"), error, **write)
    assert (bed.read(), len(bed.overlay), unsettled) == ("3", 0, [])


@pytest.mark.parity("2.9/clear", "2.2/mutation-cleared-when-stale")
def test_nothing_is_remembered_of_a_kind_that_is_no_longer_cached() -> None:
    bed = Bed()
    bed.wrote("create", config_map("8"))
    bed.overlay.forget(bed.store)
    assert (len(bed.overlay), bed.read()) == (0, None)


# -- writes that leave no object -----------------------------------------------------------------------------------

OUTCOMES = [
    (None, False),
    (Conflict("409"), False),
    (AlreadyExists("409"), False),
    (BadRequest("400"), False),
    (TooManyRequests("429"), False),
    (ConnectError("refused", refused=True), False),
    (NotLeading("the gate"), False),
    (DeadlineExceeded("no answer"), True),
    (ServerTimeout("504", code=504), True),
    (InternalError("etcdserver: request timed out"), True),
    (MalformedObject("half an answer"), True),
    (asyncio.CancelledError(), True),
]


@pytest.mark.parametrize(("error", "unknown"), OUTCOMES, ids=[type(error).__name__ for error, _ in OUTCOMES])
def test_which_writes_may_have_been_done_all_the_same(error: BaseException | None, unknown: bool) -> None:
    assert outcome_unknown(error) is unknown
    bed = Bed(config_map("3"))
    with bed.overlay.collecting() as unsettled:
        bed.wrote("update", None, error)
    assert unsettled == ([Unsettled(kinds.CONFIG_MAP, A)] if unknown else [])
    assert bed.read() == "3"


@pytest.mark.parametrize(
    ("subresource", "answer", "left"),
    [
        ("scale", config_map("8", kind="Scale"), ["8"]),
        ("eviction", Object.from_dict({"kind": "Status", "metadata": {}}), [""]),
        ("status", config_map("8"), []),
        ("resize", config_map("8"), []),
        ("token", config_map("", kind="TokenRequest"), []),
    ],
)
def test_an_answer_that_is_not_the_object_leaves_the_write_unsettled(
    subresource: str, answer: Object, left: list[str]
) -> None:
    bed = Bed(config_map("3"))
    with bed.overlay.collecting() as unsettled:
        bed.wrote("update", answer, subresource=subresource)
    assert [each.version for each in unsettled] == left
    assert bed.read() == ("8" if subresource in ("status", "resize") else "3")


async def test_each_collects_what_it_and_its_tasks_wrote() -> None:
    bed, other = Bed(), Bed()

    async def writing(name: str) -> list[str]:
        with bed.overlay.collecting() as unsettled:
            await asyncio.sleep(0)

            async def inner() -> None:
                bed.overlay.after(bed.begin("create", Key("default", name)), None, DeadlineExceeded("late"))

            await asyncio.create_task(inner())
            other.wrote("create", None, DeadlineExceeded("another cluster's"))
        return [each.key.name for each in unsettled]

    assert await asyncio.gather(writing("x"), writing("y")) == [["x"], ["y"]]


def test_a_read_from_the_server_settles_what_is_there_and_what_is_gone() -> None:
    bed = Bed(config_map("3"))
    bed.overlay.learned(kinds.CONFIG_MAP, A, bed.reader.get(A), config_map("8"))
    assert bed.read() == "8"
    known = bed.reader.get(A)
    bed.event("ADDED", config_map("9", uid="two"))
    bed.overlay.learned(kinds.CONFIG_MAP, A, known, None)
    assert bed.read() == "9", "what came after the read is not what it missed"
    bed.overlay.learned(kinds.CONFIG_MAP, A, bed.reader.get(A), None)
    assert bed.read() is None


@pytest.mark.parametrize("passing", ["event", "bookmark", "removal"])
async def test_waiting_for_the_cache_ends_with_whatever_takes_it_past_the_write(passing: str) -> None:
    bed = Bed(config_map("3"))
    waiting = asyncio.create_task(bed.overlay.wait_seen(Unsettled(kinds.CONFIG_MAP, A, "8")))
    bed.event("MODIFIED", config_map("7"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    match passing:
        case "event":
            bed.event("MODIFIED", config_map("8"))
        case "bookmark":
            bed.bookmark("9")
        case "removal":
            bed.overlay.forget(bed.store)
    await waiting
    await bed.overlay.wait_seen(Unsettled(kinds.SECRET, A, "99"))  # not cached
    await bed.overlay.wait_seen(Unsettled(kinds.CONFIG_MAP, A, "x99"))  # no number
    assert bed.overlay._waiters.get(bed.store, []) == []


# -- against a server that is only a history -----------------------------------------------------------------------

Version = int
NAMES = ("a", "b")


class AgainstAHistory(RuleBasedStateMachine):
    """A server with every version of everything, a watch that lags, own writes whose answers lag too.

    Whatever is read under a key must be a state that the server had at some time since the last own write of the key
    that this process has the answer of. The watch may drop behind as far as it likes, nothing may be invented.
    """

    def __init__(self) -> None:
        super().__init__()
        self.version: Version = 5
        self.uids = 0
        self.states: dict[str, list[tuple[Version, Object | None]]] = {name: [(5, None)] for name in NAMES}
        self.log: list[tuple[str, Object]] = []
        self.told = 0
        self.answered: dict[str, Version] = dict.fromkeys(NAMES, 0)
        self.pending: list[tuple[Write, Object | None, Version]] = []
        self.bed = Bed()

    # the server

    def now(self, name: str) -> Object | None:
        return self.states[name][-1][1]

    def commit(self, name: str, *, gone: bool = False, anew: bool = False) -> Object:
        self.version += 1
        self.uids += anew
        current = self.now(name)
        uid = f"uid-{self.uids}" if anew or current is None else current.uid
        value = config_map(str(self.version), name, uid, labels={"app": str(self.version % 2)})
        self.states[name].append((self.version, None if gone else value))
        self.log.append(("DELETED" if gone else "ADDED" if anew else "MODIFIED", value))
        return value

    @rule(name=st.sampled_from(NAMES), gone=st.booleans())
    def somebody_else_writes(self, name: str, gone: bool) -> None:
        there = self.now(name) is not None
        self.commit(name, gone=gone and there, anew=not there)

    @rule(name=st.sampled_from(NAMES))
    def an_own_write_is_sent(self, name: str) -> None:
        there = self.now(name) is not None
        begun = self.bed.begin("update" if there else "create", Key("default", name))
        value = self.commit(name, anew=not there)
        self.pending.append((begun, value, self.version))

    @rule(name=st.sampled_from(NAMES))
    def an_own_deletion_is_sent(self, name: str) -> None:
        current, seen = self.now(name), self.bed.reader.get(Key("default", name))
        if current is None or seen is None or seen.uid != current.uid:
            return  # a deletion of what was never seen promises nothing
        begun = self.bed.begin("delete", Key("default", name))
        self.commit(name, gone=True)
        self.pending.append((begun, None, self.version))

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def an_answer_comes(self, data: st.DataObject) -> None:
        begun, answer, version = self.pending.pop(data.draw(st.integers(0, len(self.pending) - 1)))
        self.bed.overlay.after(begun, answer, None)
        name = begun.key.name
        self.answered[name] = max(self.answered[name], version)

    # the watch

    @precondition(lambda self: self.told < len(self.log))
    @rule()
    def the_watch_tells(self) -> None:
        kind, value = self.log[self.told]
        self.told += 1
        self.bed.event(kind, value)

    @precondition(lambda self: self.told == len(self.log))
    @rule()
    def a_bookmark_comes(self) -> None:
        self.bed.bookmark(str(self.version))

    # what must hold

    @invariant()
    def reads_are_states_since_the_last_answered_own_write(self) -> None:
        for name in NAMES:
            read = self.bed.reader.get(Key("default", name))
            states = self.states[name]
            newest_before = max(i for i, (at, _) in enumerate(states) if at <= max(self.answered[name], 5))
            assert read in [state for _, state in states[newest_before:]], (name, read, states, self.answered[name])

    @invariant()
    def lists_and_indexes_agree_with_single_reads(self) -> None:
        one_by_one = [v for name in NAMES if (v := self.bed.reader.get(Key("default", name))) is not None]
        assert sorted(self.bed.reader.list(), key=lambda value: value.key) == one_by_one
        for label in ("0", "1"):
            assert self.bed.reader.by_index("app", label) == [v for v in one_by_one if v.labels["app"] == label]

    @invariant()
    def nothing_is_kept_once_all_is_told(self) -> None:
        if self.told == len(self.log) and not self.pending:
            self.bed.bookmark(str(self.version))
            assert len(self.bed.overlay) == 0
            assert [self.bed.reader.get(Key("default", name)) for name in NAMES] == [self.now(name) for name in NAMES]


TestAgainstAHistory = AgainstAHistory.TestCase
TestAgainstAHistory.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
