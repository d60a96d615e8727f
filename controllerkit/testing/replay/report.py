"""What differs between the recorded writes and those of the new code: as data, as text."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from controllerkit.controller.differences import ABSENT, FieldChange, field_changes
from controllerkit.testing.replay.likeness import aligned, alike, comparable
from controllerkit.testing.replay.story import RecordedWrite
from controllerkit.testing.replay.transport import NewWrite, same_write

__all__ = ["ObjectReport", "ReplayReport", "Step", "compared", "compared_events"]

Outcome = Literal["same", "different", "missing", "new"]

_LEASES: Final = ("coordination.k8s.io", "leases")
FIELDS_MAX: Final = 20
"""Of one write in the text; JSON has them all."""

VALUE_MAX: Final = 100
_SIGNS: Final = {"different": "~", "missing": "-", "new": "+"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One write of an object, in the recorded run, in the new one, or in both.

    Attributes:
        recorded, new: verb and subresource as ``update status``; "" where that run did not write.
        at_s: when, in seconds of the recording; of the new run where only that wrote.
        changes: what differs: between what was sent where both sent in the same way, else between what came of it. Of a
            write that is missing or new: what was sent.
        refused: what the replay answered to the new write, where that was no success.
    """

    outcome: Outcome
    recorded: str
    new: str
    at_s: float
    changes: tuple[FieldChange, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectReport:
    """All writes of one object, in their order."""

    resource: str
    key: str
    steps: tuple[Step, ...]

    @property
    def differs(self) -> bool:
        """Whether any write does."""
        return any(each.outcome != "same" for each in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """The outcome of a replay.

    Attributes:
        objects: that either run wrote to, by resource and key.
        events: Kubernetes Events that only one of the runs told, each with ``missing`` or ``new``.
        failing: keys whose last reconcile failed when the replay ended, by ``controller: key``, with the error.
        unwatched: what was recorded as a collection and the new code declares no interest in.
        duration_s: of the recording.
        partial: the recording broke off.
    """

    objects: tuple[ObjectReport, ...]
    events: tuple[tuple[Outcome, str], ...] = ()
    failing: Mapping[str, str] = field(default_factory=dict)
    unwatched: tuple[str, ...] = ()
    duration_s: float = 0.0
    partial: bool = False

    @property
    def differs(self) -> bool:
        """Whether the new code does anything else than the recorded one did."""
        return bool(self.events) or any(each.differs for each in self.objects)

    def lines(self) -> Iterator[tuple[str, str]]:
        """For people: each line with ``same``, ``different``, ``missing``, ``new`` or "" for its colour."""
        for each in self.objects:
            if each.differs:
                yield from _object_lines(each)
        for outcome, text in self.events:
            yield outcome, f"{_SIGNS[outcome]} Event {text}"
        for key, error in self.failing.items():
            yield "missing", f"x {key} keeps failing: {error}"
        if self.unwatched:
            yield "", f"recorded, and not watched by the new code: {', '.join(self.unwatched)}"
        yield ("different" if self.differs else "same"), self._sums()

    def _sums(self) -> str:
        steps = Counter(step.outcome for each in self.objects for step in each.steps)
        counts = [f"{steps[each]} {each}" for each in ("different", "missing", "new") if steps[each]]
        differing = sum(each.differs for each in self.objects)
        told = f"; {len(self.events)} Events differ" if self.events else ""
        part = " (its whole part)" if self.partial else ""
        return (
            f"{self.duration_s:.1f} s of recording{part} replayed: {steps['same']} writes the same, "
            f"{', '.join(counts) or 'none different'}; {differing} of {len(self.objects)} objects differ{told}."
        )

    def __str__(self) -> str:
        return "\n".join(text for _, text in self.lines())

    def data(self) -> dict[str, Any]:
        """For programs: everything, as plain data for JSON."""
        return {
            "differs": self.differs,
            "duration_s": self.duration_s,
            "partial": self.partial,
            "objects": [
                {
                    "resource": each.resource,
                    "object": each.key,
                    "differs": each.differs,
                    "writes": [_step_data(step) for step in each.steps],
                }
                for each in self.objects
            ],
            "events": [{"outcome": outcome, "event": text} for outcome, text in self.events],
            "failing": dict(self.failing),
            "unwatched": list(self.unwatched),
        }


def compared(recorded: Sequence[RecordedWrite], new: Sequence[NewWrite]) -> tuple[ObjectReport, ...]:
    """By object, each in the order of its writes. Leases are left out: who holds one is nobody's decision here."""
    old_of: dict[tuple[str, str], list[RecordedWrite]] = defaultdict(list)
    new_of: dict[tuple[str, str], list[NewWrite]] = defaultdict(list)
    for one in recorded:
        if (one.place.group, one.place.plural) != _LEASES:
            old_of[_name(one)].append(one)
    for other in new:
        if (other.place.group, other.place.plural) != _LEASES:
            new_of[_name(other)].append(other)
    reports = []
    for resource, key in sorted({*old_of, *new_of}):
        pairs = aligned(old_of[resource, key], new_of[resource, key], _same)
        steps = tuple(_step(old, fresh, same=same) for old, fresh, same in pairs)
        reports.append(ObjectReport(resource=resource, key=key, steps=steps))
    return tuple(reports)


def compared_events(
    recorded: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]
) -> tuple[tuple[Outcome, str], ...]:
    """By what they say of which object; how often and when is left out, and so are those about Leases."""
    old, fresh = ({_event_text(each) for each in events if not _about_lease(each)} for events in (recorded, new))
    missing: list[tuple[Outcome, str]] = [("missing", text) for text in sorted(old - fresh)]
    return (*missing, *(("new", text) for text in sorted(fresh - old)))


def _name(write: RecordedWrite | NewWrite) -> tuple[str, str]:
    place = write.place
    return (f"{place.plural}.{place.group}" if place.group else place.plural, str(place.key))


def _same(recorded: RecordedWrite, new: NewWrite) -> bool:
    return recorded.subresource == new.subresource and same_write(recorded, new)


def _step(recorded: RecordedWrite | None, new: NewWrite | None, *, same: bool) -> Step:
    at_s = recorded.at if recorded is not None else new.at if new is not None else 0.0
    names: dict[str, Any] = {"recorded": _verb(recorded), "new": _verb(new), "at_s": round(at_s, 3)}
    if same:
        return Step(outcome="same", **names)
    refused = _refusal(new) if new is not None else ""
    if recorded is None or new is None:
        sent = recorded.body if recorded is not None else new.body if new is not None else None
        changes = _sent(sent)
        return Step(outcome="new" if recorded is None else "missing", changes=changes, refused=refused, **names)
    if names["recorded"] == names["new"]:
        changes = _differences(recorded.body, new.body)
    else:
        changes = _differences(recorded.exchange.answer, new.answer) if not refused else ()
    return Step(outcome="different", changes=changes, refused=refused, **names)


def _verb(write: RecordedWrite | NewWrite | None) -> str:
    return "" if write is None else f"{write.verb} {write.subresource}".strip()


def _refusal(new: NewWrite) -> str:
    if new.status < 300:
        return ""
    answer = new.answer if isinstance(new.answer, Mapping) else {}
    return f"{new.status} {answer.get('reason', '')}: {answer.get('message', '')}"


def _sent(body: Any) -> tuple[FieldChange, ...]:
    if not isinstance(body, Mapping):
        return () if body is None else (FieldChange("", ABSENT, body),)
    plain = comparable(body)
    metadata = {k: v for k, v in (plain.get("metadata") or {}).items() if k not in ("name", "namespace")}
    rest = {k: v for k, v in plain.items() if k not in ("apiVersion", "kind", "metadata")}
    return field_changes({}, {**rest, "metadata": metadata})


def _differences(one: Any, other: Any) -> tuple[FieldChange, ...]:
    one, other = comparable(one), comparable(other)
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return () if alike(one, other) else (FieldChange("", one, other),)
    return tuple(each for each in field_changes(one, other) if not alike(each.before, each.after))


def _about_lease(body: Mapping[str, Any]) -> bool:
    return bool((body.get("regarding") or body.get("involvedObject") or {}).get("kind") == "Lease")


def _event_text(body: Mapping[str, Any]) -> str:
    of = body.get("regarding") or body.get("involvedObject") or {}
    note = body.get("note") or body.get("message") or ""
    where = "/".join(filter(None, (of.get("namespace"), of.get("name"))))
    return f"{body.get('type')} {body.get('reason')} about {of.get('kind')} {where}: {note}"


def _object_lines(report: ObjectReport) -> Iterator[tuple[str, str]]:
    same = sum(each.outcome == "same" for each in report.steps)
    yield "", f"{report.resource} {report.key}  ({same} of {len(report.steps)} writes the same)"
    for step in report.steps:
        if step.outcome == "same":
            continue
        verb = step.recorded if step.new in ("", step.recorded) else f"{step.recorded or ''} -> {step.new}"
        verb = step.new if not step.recorded else verb
        yield step.outcome, f"  {_SIGNS[step.outcome]} {verb}  at {step.at_s:.3f} s, {step.outcome}"
        for change in step.changes[:FIELDS_MAX]:
            yield step.outcome, f"      {change.path}: {_change_text(step.outcome, change)}"
        if len(step.changes) > FIELDS_MAX:
            yield step.outcome, f"      and {len(step.changes) - FIELDS_MAX} more fields"
        if step.refused:
            yield "missing", f"      refused: {step.refused}"


def _change_text(outcome: str, change: FieldChange) -> str:
    if outcome != "different":
        return _value_text(change.after)
    return f"{_value_text(change.before)} -> {_value_text(change.after)}"


def _value_text(value: Any) -> str:
    if value is ABSENT:
        return "(absent)"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_MAX else f"{text[:VALUE_MAX]}..."


def _step_data(step: Step) -> dict[str, Any]:
    return {
        "outcome": step.outcome,
        "recorded": step.recorded,
        "new": step.new,
        "at_s": step.at_s,
        "changes": [
            {
                "path": each.path,
                **{
                    name: value
                    for name, value in (("recorded", each.before), ("new", each.after))
                    if value is not ABSENT
                },
            }
            for each in step.changes
        ],
        **({"refused": step.refused} if step.refused else {}),
    }
