"""What happened to an object, and predicates that say which of it concerns a controller (``pkg/predicate``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from controllerkit.errors import ConfigError
from controllerkit.objects import LabelSelector, Object

__all__ = [
    "ChangeEvent",
    "Predicate",
    "all_of",
    "annotations_changed",
    "any_of",
    "generation_changed",
    "labels_changed",
    "matches_labels",
    "not_",
    "on",
    "resource_version_changed",
    "what_changed",
]

EventType = Literal["create", "update", "delete", "generic"]


class ChangeEvent(msgspec.Struct, frozen=True, gc=False):
    """One change of one object, as an informer or another source tells it.

    Attributes:
        type: ``generic`` comes from sources other than informers.
        old: before an update.
        new: the object; the last known one for ``delete``.
        initial: a ``create`` of the first list, so nothing has changed.
    """

    type: EventType
    new: Object
    old: Object | None = None
    initial: bool = False

    @property
    def unchanged(self) -> bool:
        """An update that is a resync: both sides are the same version."""
        return self.old is not None and self.old.resource_version == self.new.resource_version


Predicate = Callable[[ChangeEvent], bool]
"""Whether a change is of interest. It must be quick and depend on nothing else."""


def generation_changed(event: ChangeEvent) -> bool:
    """Updates of the spec; what else happened to the object is let through only where it is no update."""
    return event.old is None or event.old.generation != event.new.generation


def resource_version_changed(event: ChangeEvent) -> bool:
    """Everything but a resync."""
    return not event.unchanged


def labels_changed(event: ChangeEvent) -> bool:
    """Updates that change labels, and whatever is no update."""
    return event.old is None or event.old.labels != event.new.labels


def annotations_changed(event: ChangeEvent) -> bool:
    """Updates that change annotations, and whatever is no update."""
    return event.old is None or event.old.annotations != event.new.annotations


def matches_labels(selector: str) -> Predicate:
    """Objects that a label selector, written as for ``kubectl -l``, selects now or selected before.

    Raises:
        BadRequest: the selector does not parse.
    """
    parsed = LabelSelector.parse(selector)

    def matches(event: ChangeEvent) -> bool:
        return parsed.matches(event.new.labels) or (event.old is not None and parsed.matches(event.old.labels))

    return matches


def on(*types: EventType) -> Predicate:
    """Changes of these types alone."""
    if not types:
        raise ConfigError("on() needs at least one of create, update, delete, generic; without any nothing would pass")
    return lambda event: event.type in types


def all_of(*predicates: Predicate) -> Predicate:
    """What every one lets through; asked in order until one does not."""
    return lambda event: all(each(event) for each in predicates)


def any_of(*predicates: Predicate) -> Predicate:
    """What at least one lets through; asked in order until one does."""
    return lambda event: any(each(event) for each in predicates)


def not_(predicate: Predicate) -> Predicate:
    """What ``predicate`` holds back."""
    return lambda event: not predicate(event)


# -- telling a change ----------------------------------------------------------------------------------------------

_FIELDS_TOLD: Final = 3


def what_changed(old: Object, new: Object) -> str:
    """A change of an object in a few words, the first that applies.

    A spec is looked at only where the generation tells that it has changed, and then field by field as bytes: a field
    that is spelled otherwise counts as changed.

    >>> def made(generation, labels="{}", **spec):
    ...     meta = b'{"name":"a","generation":%d,"labels":%s}' % (generation, labels.encode())
    ...     return Object.from_bytes(b'{"metadata":%s,"spec":%s}' % (meta, msgspec.json.encode(spec)))
    >>> what_changed(made(1, replicas=3), made(2, replicas=5))
    'spec.replicas changed'
    >>> what_changed(made(1, replicas=3), made(1, labels='{"a":"b"}', replicas=3))
    'labels changed'
    """
    if new.deleting and not old.deleting:
        return "deletion asked for"
    if old.uid != new.uid:
        return "made anew"
    if old.resource_version == new.resource_version and old.generation == new.generation and new.resource_version:
        return "resync"
    if old.generation != new.generation:
        return _spec_change(old.spec_fields(), new.spec_fields())
    before, after = old.meta, new.meta
    if before.raw_labels != after.raw_labels and old.labels != new.labels:
        return "labels changed"
    if before.raw_annotations != after.raw_annotations and old.annotations != new.annotations:
        return "annotations changed"
    return "status changed" if new.generation else "changed"


def _spec_change(old: Mapping[str, object], new: Mapping[str, object]) -> str:
    fields = sorted(f"spec.{name}" for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if not fields:
        return "spec changed"
    told = ", ".join(fields[:_FIELDS_TOLD])
    rest = len(fields) - _FIELDS_TOLD
    return f"{told} and {rest} more changed" if rest > 0 else f"{told} changed"
