"""Series of Events, the spam filter, and what follows a failed write: pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllerkit.errors import (
    AlreadyExists,
    ConnectError,
    Forbidden,
    Invalid,
    MalformedObject,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
    TransportError,
)
from controllerkit.events import Event, EventMachine, Reference, Series, SpamFilter, Verdict, Write, verdict
from controllerkit.events.machine import FINISH_S, REMEMBERED_MAX, SPAM_BURST, SPAM_REFILL_S

START = datetime(2026, 1, 1, tzinfo=UTC)
POD = Reference("v1", "Pod", "ns", "web", "uid-1", "7")


def event(at_s: float = 0.0, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "name": f"web.{int(at_s * 1e6):x}",
        "at": START + timedelta(seconds=at_s),
        "type": "Normal",
        "reason": "Started",
        "action": "Start",
        "note": "started",
        "controller": "example.dev/c",
        "instance": "c-host",
        "regarding": POD,
    }
    return Event(**{**fields, **changes})


@pytest.mark.parity("2.7/one-event", "2.7/legacy-single")
def test_the_first_event_is_created_as_it_is() -> None:
    first = event()
    assert EventMachine().record(first, 0.0) == (Write(first),)


@pytest.mark.parity(
    "2.7/isomorphic", "2.7/legacy-same-counts", "2.7/legacy-same-above-limit", "2.7/legacy-aggregate-counts"
)
def test_the_second_makes_a_series_of_the_first_and_later_ones_only_count() -> None:
    machine, first = EventMachine(), event()
    machine.record(first, 0.0)
    (write,) = machine.record(event(1.0), 1.0)
    assert write == Write(first, Series(2, START + timedelta(seconds=1)))
    assert write.patch() == {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}
    for at_s in range(2, 40):
        assert machine.record(event(float(at_s)), float(at_s)) == ()
    assert machine.refresh() == (Write(first, Series(40, START + timedelta(seconds=39))),)


OTHERS: list[dict[str, Any]] = [
    {"type": "Warning"},
    {"action": "Stop"},
    {"reason": "Stopped"},
    {"controller": "example.dev/d"},
    {"instance": "c-other"},
    {"regarding": POD._replace(name="db")},
    {"regarding": POD._replace(uid="uid-2")},
    {"related": POD._replace(name="db")},
]


@pytest.mark.parity("2.7/series-or-not", "2.7/legacy-many-unique")
@pytest.mark.parametrize("other", OTHERS, ids=lambda other: ",".join(other))
def test_an_event_that_differs_in_its_identity_is_one_of_its_own(other: dict[str, Any]) -> None:
    machine = EventMachine()
    machine.record(event(), 0.0)
    different = event(1.0, **other)
    assert machine.record(different, 1.0) == (Write(different),)


@pytest.mark.parity("2.7/legacy-field-paths")
def test_events_about_two_parts_of_an_object_are_two() -> None:
    machine = EventMachine()
    writes = [machine.record(event(regarding=POD._replace(field_path=part)), 0.0) for part in ("a", "b", "a")]
    assert [[each.series is None for each in some] for some in writes] == [[True], [True], [False]]


@pytest.mark.parity("2.7/legacy-similar", "2.7/series-or-not")
def test_a_different_note_and_another_version_of_the_object_make_no_other_event() -> None:
    machine, first = EventMachine(), event()
    machine.record(first, 0.0)
    (write,) = machine.record(event(1.0, note="again", regarding=POD._replace(resource_version="8")), 1.0)
    assert (write.event, write.series and write.series.count) == (first, 2)


def series_of(machine: EventMachine, count: int) -> Event:
    first = event()
    for at_s in range(count):
        machine.record(replace(first, at=START + timedelta(seconds=at_s)), float(at_s))
    return first


@pytest.mark.parity("2.7/finish-idle", "2.7/legacy-interval")
def test_a_series_that_was_not_seen_for_long_is_written_for_the_last_time_and_forgotten() -> None:
    machine = EventMachine()
    first = series_of(machine, 3)
    assert machine.finish(2.0 + FINISH_S) == ()
    (last,) = machine.finish(2.1 + FINISH_S)
    assert (last.ends, last.series) == (True, Series(3, START + timedelta(seconds=2)))
    assert machine.finish(3.0 + FINISH_S) == (), "it is under way"
    machine.settled(last, given_up=False)
    assert len(machine) == 0
    again = replace(first, name="web.later")
    assert machine.record(again, 1000.0) == (Write(again),)


def test_a_last_write_that_did_not_get_through_is_tried_again_at_the_next_look() -> None:
    machine = EventMachine()
    series_of(machine, 3)
    (last,) = machine.finish(1000.0)
    machine.settled(last, given_up=True)
    assert machine.finish(2000.0) == (last,)


@pytest.mark.parity("2.7/finish-active")
def test_a_series_that_is_seen_goes_on_even_while_it_is_being_ended() -> None:
    machine = EventMachine()
    first = series_of(machine, 3)
    assert machine.finish(10.0) == ()
    (last,) = machine.finish(1000.0)
    machine.record(event(1000.5), 1000.5)
    machine.settled(last, given_up=False)
    assert machine.refresh() == (Write(first, Series(4, START + timedelta(seconds=1000.5))),)


@pytest.mark.parity("2.7/finish-singleton")
def test_a_single_event_is_forgotten_without_a_write() -> None:
    machine = EventMachine()
    machine.record(event(), 0.0)
    assert machine.finish(FINISH_S) == ()
    assert len(machine) == 1
    assert machine.finish(FINISH_S + 1) == ()
    assert len(machine) == 0


@pytest.mark.parity("2.7/refresh-keeps-counts")
def test_what_is_counted_while_a_series_is_refreshed_is_kept() -> None:
    machine = EventMachine()
    first = series_of(machine, 3)
    (write,) = machine.refresh()
    machine.record(event(5.0), 5.0)
    machine.settled(write, given_up=False)
    assert machine.refresh() == (Write(first, Series(4, START + timedelta(seconds=5))),)


@pytest.mark.parity("2.7/legacy-spam")
def test_an_object_has_a_burst_of_new_events_and_then_one_every_five_minutes() -> None:
    machine = EventMachine()
    sent = [machine.record(event(reason=f"R{n}"), 0.0) for n in range(SPAM_BURST + 5)]
    assert [len(each) for each in sent] == [1] * SPAM_BURST + [0] * 5
    assert machine.refused == 5
    assert machine.record(event(reason="Late"), SPAM_REFILL_S - 1) == ()
    assert len(machine.record(event(reason="Late"), SPAM_REFILL_S + 1)) == 1
    assert machine.record(event(reason="Later"), SPAM_REFILL_S + 2) == ()
    assert len(machine.record(event(reason="R0"), SPAM_REFILL_S + 3)) == 1, "a series costs nothing"


@pytest.mark.parity("2.7/legacy-spam-key")
@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({"reason": "Other"}, True),
        ({"action": "Other"}, True),
        ({"note": "Other"}, True),
        ({"regarding": POD._replace(resource_version="9", field_path="x")}, True),
        ({"type": "Warning"}, False),
        ({"controller": "other"}, False),
        ({"instance": "other"}, False),
        ({"regarding": POD._replace(uid="other")}, False),
        ({"regarding": POD._replace(name="other")}, False),
        ({"regarding": POD._replace(namespace="other")}, False),
    ],
)
def test_a_bucket_is_an_objects_and_a_types_and_a_sources(change: dict[str, Any], shared: bool) -> None:
    spam = SpamFilter()
    assert all(spam.lets(event(), 0.0) for _ in range(SPAM_BURST))
    assert spam.lets(event(**change), 0.0) is not shared


def test_a_bucket_never_holds_more_than_the_burst() -> None:
    spam = SpamFilter()
    assert [spam.lets(event(), 1e9) for _ in range(SPAM_BURST + 1)] == [True] * SPAM_BURST + [False]
    assert [spam.lets(event(), 2e9) for _ in range(SPAM_BURST + 1)] == [True] * SPAM_BURST + [False]


def test_what_is_remembered_is_bounded_and_a_series_that_is_pushed_out_is_written() -> None:
    machine = EventMachine()
    first = series_of(machine, 3)
    others = [event(regarding=POD._replace(name=f"p{n}")) for n in range(REMEMBERED_MAX)]
    writes = [each for other in others for each in machine.record(other, 9.0)]
    assert len(machine) == REMEMBERED_MAX
    assert [each for each in writes if each.ends] == [Write(first, Series(3, START + timedelta(seconds=2)), ends=True)]


SINGLE, MANY = Write(event()), Write(event(), Series(2, START))


@pytest.mark.parity("2.7/legacy-retry-matrix", "2.7/legacy-namespace-terminating")
@pytest.mark.parametrize(
    ("write", "creating", "error", "expected"),
    [
        (SINGLE, True, AlreadyExists("there"), Verdict.DROP),
        (MANY, True, AlreadyExists("there"), Verdict.RETRY),
        (MANY, False, NotFound("gone"), Verdict.CREATE),
        (MANY, True, NotFound("no namespace"), Verdict.DROP),
        (SINGLE, True, Forbidden("may not"), Verdict.DROP),
        (SINGLE, True, Forbidden("no", details={"causes": [{"reason": "NamespaceTerminating"}]}), Verdict.DROP),
        (MANY, False, Invalid("malformed"), Verdict.DROP),
        (MANY, False, TooManyRequests("slow down"), Verdict.DROP),
        (SINGLE, True, ServiceUnavailable("starting"), Verdict.DROP),
        (SINGLE, True, ConnectError("refused"), Verdict.RETRY),
        (MANY, False, TransportError("cut"), Verdict.RETRY),
        (SINGLE, True, MalformedObject("odd answer"), Verdict.DROP),
    ],
)
def test_what_a_server_refuses_is_given_up_and_what_did_not_reach_it_is_not(
    write: Write, creating: bool, error: Exception, expected: Verdict
) -> None:
    assert verdict(write, error, creating=creating) is expected


def test_a_note_is_cut_at_a_kilobyte_and_not_within_a_letter() -> None:
    note = Write(event(note="x" + "ü" * 600)).body()["note"]
    assert (len(note.encode()), note[-1]) == (1023, "ü")
