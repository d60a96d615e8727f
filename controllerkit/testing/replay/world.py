"""The recorded cluster, as the new code changes it: a mirror that the recording feeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, Final

from controllerkit.apiserver.mirror import Mirror
from controllerkit.controller.differences import merge_patch
from controllerkit.objects import Key, Kind, kinds
from controllerkit.runtime import Clock
from controllerkit.testing.replay.likeness import alike, comparable
from controllerkit.testing.replay.story import Change, Place, RecordedWrite, Story, resource_version

__all__ = ["ReplayedWorld"]

Value = dict[str, Any]

_UNMERGED: Final = ("resourceVersion", "managedFields", "generation")


class ReplayedWorld:
    """Two clusters: the recorded one as it was (``was``), and the mirror, which is what the new code sees.

    Guarantees:
        What others did happens in both, at its time. What the recorded operator did happens in the recorded cluster
        only, until the new code does the same. Where the two hold the same object, the mirror gets the very object that
        was recorded; where they do not, the change that others made is made to what is there (as a merge patch).
    """

    def __init__(self, story: Story, *, clock: Clock, rng: Random) -> None:
        self.mirror = Mirror(clock=clock, rng=rng)
        self._story = story
        self._was: dict[Place, Value | None] = {}
        self._kinds: dict[tuple[str, str], Kind] = {}

    def serve(self, known: Iterable[Kind], definitions: Iterable[Mapping[str, Any]]) -> None:
        """Serves what was recorded, by what is known of it."""
        for each in known:
            self._kinds[each.group, each.plural] = each
        for definition in definitions:
            self.mirror.define(definition)
        for where, kind in {**self._story.kinds, **self._kinds}.items():
            self._kinds[where] = kind
            if not self.mirror.serves(*where):
                self.mirror.serve(kind, status=where in self._story.with_status)

    def kind_at(self, place: Place) -> Kind | None:
        """The kind of what lies there, where it is served."""
        return self._kinds.get((place.group, place.plural))

    def get(self, place: Place) -> Value | None:
        """What the new code finds there."""
        kind = self.kind_at(place)
        return self.mirror.get(kind, place.key) if kind is not None else None

    def diverged(self, place: Place) -> bool:
        """Whether what lies there is not what lay there in the recorded run."""
        return not _same(self.get(place), self._was.get(place))

    def prepare(self, place: Place, body: Any) -> None:
        """What a new object needs to be there, where the recording does not say whether it is."""
        if self.kind_at(place) is None or not place.key.namespace:
            return
        self._assume(kinds.NAMESPACE, Key("", place.key.namespace))
        if place.plural == "pods" and not place.group and isinstance(body, dict):
            account = (body.get("spec") or {}).get("serviceAccountName") or "default"
            self._assume(kinds.SERVICE_ACCOUNT, Key(place.key.namespace, account))

    def _assume(self, kind: Kind, key: Key) -> None:
        looked_at = any((scope.group, scope.plural) == (kind.group, kind.plural) for scope in self._story.synced)
        if not looked_at and self.mirror.get(kind, key) is None:
            metadata = {"name": key.name, **({"namespace": key.namespace} if key.namespace else {})}
            self.mirror.put(kind, {"metadata": metadata})

    # -- what happens ----------------------------------------------------------------------------------------------

    def happens(self, change: Change) -> None:
        """Its time has come."""
        if change.done:
            return
        if change.by is None or change.by.matched:
            change.done = True
            change.seen = self._carry(change.place, *self._moved(change))
        else:
            change.before, _ = self._moved(change)
            change.passed = True

    def repeat(self, write: RecordedWrite) -> None:
        """The new code has done the same: so the mirror changes as the recorded cluster did."""
        for effect in write.effects:
            if not effect.done:
                effect.done = True
                before, after = (effect.before, effect.value) if effect.passed else self._moved(effect)
                effect.seen = self._carry(effect.place, before, after)

    def answer_of(self, write: RecordedWrite, place: Place) -> Value | None:
        """The object that a repeated write answers, with the resourceVersion that the new code knows it by."""
        seen = [each.seen for each in write.effects if each.seen is not None]
        return seen[-1] if seen else self.get(place)

    def _moved(self, change: Change) -> tuple[Value | None, Value | None]:
        """What the object was in the recorded cluster, and is now."""
        before = self._was.get(change.place)
        if before is not None and change.value is not None and _older(change.value, before):
            return before, before  # it is part of an answer that was given already
        self._was[change.place] = change.value
        return before, change.value

    def _carry(self, place: Place, before: Value | None, after: Value | None) -> Value | None:
        """Does to the mirror what made ``after`` of ``before``; what is there then."""
        kind = self.kind_at(place)
        if kind is None:
            return None
        found = self.mirror.get(kind, place.key)
        if before is after:
            return found
        if after is None:
            asked_for = _deleting(before) and not _deleting(found)  # by the recorded operator, and not by the new code
            if found is not None and not asked_for:
                self.mirror.remove(kind, place.key)
            return None
        if found is None:
            return self.mirror.put(kind, after) if before is None else None
        if before is None:
            return found
        if _same(found, before):
            changed = resource_version(before) != resource_version(after)
            return self.mirror.put(kind, after) if changed else found
        merged = _merged(found, merge_patch(_mergeable(before), _mergeable(after)))
        return self.mirror.put(kind, merged) if merged != found else found


def _deleting(value: Value | None) -> bool:
    return value is not None and bool(value["metadata"].get("deletionTimestamp"))


def _older(one: Value, other: Value) -> bool:
    same = one["metadata"].get("uid") == other["metadata"].get("uid")
    return same and resource_version(one) <= resource_version(other)


def _same(one: Value | None, other: Value | None) -> bool:
    if one is None or other is None:
        return one is other
    return alike(comparable(one), comparable(other))


def _mergeable(value: Value) -> Value:
    return {**value, "metadata": {k: v for k, v in value["metadata"].items() if k not in _UNMERGED}}


def _merged(value: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, each in patch.items():
        if each is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), each)
    return merged
