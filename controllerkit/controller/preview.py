"""What a pass over one object would do: the outcome of a dry run, as data, as text for people, as JSON for programs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from controllerkit.client import Client, Verb
from controllerkit.controller.differences import ABSENT, FieldChange, field_changes
from controllerkit.controller.failing import named, told_of
from controllerkit.controller.plan import Action, EventNote
from controllerkit.controller.rehearsal import Rehearsal, RehearsedWrite
from controllerkit.errors import NotFound
from controllerkit.objects import Key, Kind

__all__ = ["PlannedWrite", "Preview", "as_data", "as_text", "preview_of"]

HIDDEN: Final = "(hidden)"
_SECRET_FIELDS: Final = ("data", "stringData", "metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]")
_OBJECT_SUBRESOURCES: Final = frozenset({"", "status"})
"""Writes whose answer is the object itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWrite:
    """A write that would be sent, and what it would change.

    Attributes:
        key: the name is "" for an object that the server would name.
        changes: what would differ from what is there; the data of Secrets is not in it.
        refused: what the server said against it, "" where it would take it.
    """

    verb: Verb
    kind: Kind
    key: Key
    subresource: str = ""
    changes: tuple[FieldChange, ...] = ()
    refused: str = ""

    @property
    def changes_anything(self) -> bool:
        """Whether the cluster would be another one after it."""
        if self.refused:
            return False
        return bool(self.changes) or self.verb in ("create", "delete") or self.subresource not in _OBJECT_SUBRESOURCES


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What one pass over ``key`` would do.

    Attributes:
        actions: of a `PlanningReconciler`; they were not begun, so their writes are not among ``writes``.
        writes: in their order. The server was asked about each of them without storing it.
        events: that would be recorded.
        requeue_after_s: when the object would be looked at again by itself.
        error: what ended the pass early, "" for one that went through.
    """

    controller: str
    kind: Kind
    key: Key
    actions: tuple[Action, ...] = ()
    writes: tuple[PlannedWrite, ...] = ()
    events: tuple[EventNote, ...] = ()
    requeue_after_s: float | None = None
    error: str = ""

    @property
    def changes_anything(self) -> bool:
        """Whether anything would be done."""
        return bool(self.actions) or any(write.changes_anything for write in self.writes)


async def preview_of(begun: Preview, rehearsal: Rehearsal, client: Client, failure: Exception | None) -> Preview:
    """``begun`` with what ``rehearsal`` holds, compared with what the server has.

    Raises:
        ApiError: that could not be read.
    """
    error = "" if failure is None else told_of(failure)
    if any(each.error is failure and _secret(each.write.kind) for each in rehearsal.writes):
        error = error and type(failure).__name__
    return replace(
        begun,
        actions=tuple(rehearsal.actions),
        writes=tuple([await _planned(each, client) for each in tuple(rehearsal.writes)]),
        events=tuple(rehearsal.notes),
        error=error,
    )


async def _planned(rehearsed: RehearsedWrite, client: Client) -> PlannedWrite:
    write = rehearsed.write
    planned = PlannedWrite(verb=write.verb, kind=write.kind, key=write.key, subresource=write.subresource)
    if rehearsed.error is not None:
        error = rehearsed.error
        return replace(planned, refused=type(error).__name__ if _secret(write.kind) else named(error))
    if rehearsed.answer is None or write.verb == "delete" or write.subresource not in _OBJECT_SUBRESOURCES:
        return planned
    before: Mapping[str, Any] = {}
    if write.key.name and write.verb != "create":
        try:
            before = (await client.get(write.kind, write.key)).body
        except NotFound:
            planned = replace(planned, verb="create")  # by an apply
    after = rehearsed.answer.body
    if not before:
        after = _without_name(after)
    return replace(planned, changes=tuple(map(_shown_of(write.kind), field_changes(before, after))))


def _without_name(fresh: Mapping[str, Any]) -> dict[str, Any]:
    """What a new object would hold beyond its kind and name, which are told already."""
    metadata = {k: v for k, v in fresh["metadata"].items() if k not in ("name", "namespace")}
    return {**{k: v for k, v in fresh.items() if k not in ("apiVersion", "kind", "status")}, "metadata": metadata}


def _secret(kind: Kind) -> bool:
    return (kind.group, kind.kind) == ("", "Secret")


def _shown_of(kind: Kind) -> Any:
    def shown(change: FieldChange) -> FieldChange:
        if not _secret(kind) or not change.path.startswith(_SECRET_FIELDS):
            return change
        before, after = (value if value is ABSENT else HIDDEN for value in (change.before, change.after))
        return FieldChange(change.path, before, after)

    return shown


# -- for people ----------------------------------------------------------------------------------------------------

FIELDS_MAX: Final = 20
"""Of one write; more are counted. JSON has them all."""

_VALUE_MAX: Final = 100
_SIGNS: Final = {"create": "+", "delete": "-"}
_INDENT: Final = "      "
_OWNER: Final = re.compile(r"(metadata\.ownerReferences\[.+\])\.(\w+)")


def as_text(previews: Iterable[Preview]) -> str:
    """A page: every object that would be touched, then one line of sums."""
    previews = tuple(previews)
    told = [_object_text(each) for each in previews if each.changes_anything or each.error or _refusals(each)]
    return "\n\n".join([*told, _sums(previews)])


def _object_text(preview: Preview) -> str:
    lines = [f"{preview.kind.kind} {preview.key}  (controller {preview.controller})"]
    for action in preview.actions:
        what = str(action).removesuffix(f": {action.why}")
        lines += [f"  > {what}", *([f"{_INDENT}because {action.why}"] if action.why else [])]
    for write in preview.writes:
        if write.changes_anything or write.refused:
            lines += _write_text(write)
    lines += [f"  ! Event {each.type} {each.reason}: {each.note}" for each in preview.events]
    if preview.error:
        lines.append(f"  x ended early: {preview.error}")
        if preview.writes:
            lines.append(f"{_INDENT}(what builds on an earlier write cannot go on: a dry run stores nothing)")
    return "\n".join(lines)


def _write_text(write: PlannedWrite) -> list[str]:
    of = f" {write.subresource} of" if write.subresource else ""
    lines = [f"  {_SIGNS.get(write.verb, '~')} {write.verb}{of} {write.kind.kind} {_key_text(write)}"]
    if write.refused:
        return [*lines, f"{_INDENT}refused: {write.refused}"]
    changes = list(filter(None, map(_line, write.changes)))
    lines += [f"{_INDENT}{line}" for line in changes[:FIELDS_MAX]]
    rest = len(changes) - FIELDS_MAX
    return [*lines, f"{_INDENT}and {rest} more fields"] if rest > 0 else lines


def _line(change: FieldChange) -> str:
    """Of a new owner reference its kind tells enough."""
    owner = _OWNER.fullmatch(change.path) if change.before is ABSENT else None
    if owner is None:
        return f"{change.path}: {_change_text(change)}"
    return f"{owner[1]}: {_value_text(change.after)}" if owner[2] == "kind" else ""


def _key_text(write: PlannedWrite) -> str:
    if write.key.name:
        return str(write.key)
    prefix = next((each.after for each in write.changes if each.path == "metadata.generateName"), "")
    return f"{write.key}{prefix}(generated)"


def _change_text(change: FieldChange) -> str:
    if change.before is ABSENT:
        return _value_text(change.after)
    if change.after is ABSENT:
        return f"{_value_text(change.before)} -> removed"
    return f"{_value_text(change.before)} -> {_value_text(change.after)}"


def _value_text(value: Any) -> str:
    text = HIDDEN if value == HIDDEN else msgspec.json.encode(value).decode()
    return text if len(text) <= _VALUE_MAX else f"{text[:_VALUE_MAX]}..."


def _refusals(preview: Preview) -> bool:
    return any(write.refused for write in preview.writes)


def _sums(previews: tuple[Preview, ...]) -> str:
    verbs = Counter(write.verb for each in previews for write in each.writes if write.changes_anything)
    actions = sum(len(each.actions) for each in previews)
    counted = [f"{actions} actions"] if actions else []
    counted += [f"{count} to {verb}" for verb, count in sorted(verbs.items())]
    failed = sum(bool(each.error) for each in previews)
    kept = sum(not each.changes_anything and not each.error for each in previews)
    sums = [", ".join(counted) or "nothing to do", f"{kept} of {len(previews)} objects are as they should be"]
    if failed:
        sums.append(f"{failed} ended early")
    return f"Plan: {'; '.join(sums)}. Nothing was written."


# -- for programs --------------------------------------------------------------------------------------------------


def as_data(previews: Iterable[Preview]) -> dict[str, Any]:
    """Everything, as plain data for JSON."""
    previews = tuple(previews)
    return {
        "changes": any(each.changes_anything for each in previews),
        "errors": any(each.error or _refusals(each) for each in previews),
        "objects": [_object_data(each) for each in previews],
    }


def _object_data(preview: Preview) -> dict[str, Any]:
    return {
        "controller": preview.controller,
        "kind": preview.kind.kind,
        "object": str(preview.key),
        "actions": [{"action": type(each).__name__, "what": str(each), "why": each.why} for each in preview.actions],
        "writes": [
            {
                "verb": each.verb,
                "kind": each.kind.kind,
                "object": str(each.key),
                "subresource": each.subresource,
                "changes": [_change_data(change) for change in each.changes],
                "refused": each.refused,
            }
            for each in preview.writes
        ],
        "events": [{"type": each.type, "reason": each.reason, "note": each.note} for each in preview.events],
        "requeue_after_s": preview.requeue_after_s,
        "error": preview.error,
    }


def _change_data(change: FieldChange) -> dict[str, Any]:
    """Without ``before`` or ``after`` where the field is not there."""
    values = {"before": change.before, "after": change.after}
    return {"path": change.path, **{name: value for name, value in values.items() if value is not ABSENT}}
