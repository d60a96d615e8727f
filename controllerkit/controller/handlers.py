"""From a change to the keys it concerns: the object itself, its owners, or what a function says (``pkg/handler``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from controllerkit.controller.predicates import ChangeEvent
from controllerkit.errors import ConfigError
from controllerkit.objects import GVK, Key, Kind, Object, OwnerReference

__all__ = ["EventHandler", "enqueue_mapped", "enqueue_owner", "enqueue_self"]

EventHandler = Callable[[ChangeEvent], Iterable[Key]]
"""The keys to reconcile for a change, each once. For an update it has both sides."""


def enqueue_self(event: ChangeEvent) -> tuple[Key, ...]:
    """The object's own key."""
    return (event.new.key,)


def enqueue_owner(primary: Kind, *, every_owner: bool = False) -> EventHandler:
    """The owners of kind ``primary``, in whatever version the reference names it.

    Args:
        every_owner: all owner references count, not only the controller's.
    """

    def owners(event: ChangeEvent) -> Iterable[Key]:
        if event.old is None or event.old.owner_references == event.new.owner_references:
            return [_owner_key(event.new, each, primary) for each in _references(event.new, primary, every_owner)]
        both = (event.old, event.new)
        return dict.fromkeys(
            _owner_key(value, each, primary) for value in both for each in _references(value, primary, every_owner)
        )

    return owners


def enqueue_mapped(mapping: Callable[[Object], Iterable[Key]]) -> EventHandler:
    """The keys that ``mapping`` gives for the object, and for what it was before an update.

    Where it raises for one of the two sides, the keys of the other are still given before that is raised.
    """

    def mapped(event: ChangeEvent) -> Iterator[Key]:
        sides = (event.new,) if event.old is None or event.unchanged else (event.old, event.new)
        given: set[Key] = set()
        failure: Exception | None = None
        for side in sides:
            try:
                for key in mapping(side):
                    if key not in given:
                        given.add(key)
                        yield key
            except Exception as error:  # raised below
                failure = error
        if failure is not None:
            raise failure

    return mapped


def _references(value: Object, primary: Kind, every_owner: bool) -> Iterable[OwnerReference]:
    for reference in value.owner_references:
        if (every_owner or reference.controller) and reference.kind == primary.kind:
            try:
                group = GVK.of(reference.api_version, reference.kind).group
            except (ConfigError, ValueError):
                continue  # somebody's malformed apiVersion owns nothing of ours
            if group == primary.group:
                yield reference


def _owner_key(value: Object, reference: OwnerReference, primary: Kind) -> Key:
    return Key(value.namespace if primary.namespaced else "", reference.name)
