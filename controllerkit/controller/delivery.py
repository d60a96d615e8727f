"""From what informers tell to keys in the queue: predicates, handlers, reasons, priorities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from prometheus_client import Counter

from controllerkit.cache import Handler
from controllerkit.controller.failing import named
from controllerkit.controller.handlers import EventHandler
from controllerkit.controller.predicates import ChangeEvent, Predicate, what_changed
from controllerkit.objects import Key, Object
from controllerkit.workqueue import LOW_PRIORITY, WorkQueue

__all__ = ["Delivery"]

_WORDS: Final = {"create": "added", "update": "changed", "delete": "deleted", "generic": "told"}


def told_of_primary(event: ChangeEvent) -> str:
    """The reason to look at an object that has changed itself."""
    if event.old is not None:
        return what_changed(event.old, event.new)
    return "listed" if event.initial else _WORDS[event.type]


def told_of_other(prefix: str, event: ChangeEvent) -> str:
    """The reason to look at an object that another one leads to."""
    word = "listed" if event.initial else "resync" if event.unchanged else _WORDS[event.type]
    return f"{prefix}{event.new.kind} {event.new.name} {word}"


class Delivery:
    """Puts what concerns primaries into one queue.

    Guarantees:
        A first list and a resync wait behind whatever has changed (controller-runtime's priorities). Code of the
        operator that raises loses nothing: the change passes a predicate that failed on it, the keys that a
        function gave before it failed are queued, those of the other side of an update too; it is counted, and
        logged with the object.
    """

    def __init__(self, queue: WorkQueue[Key], log: Any, errors: Counter) -> None:
        self._queue = queue
        self._log = log
        self._errors = errors

    def handler(
        self,
        enqueue: EventHandler,
        predicates: tuple[Predicate, ...],
        tell: Callable[[ChangeEvent], str],
        *,
        first: Callable[[ChangeEvent], None] | None = None,
        on_gone: Callable[[Object], None] | None = None,
    ) -> Handler:
        """What to register at an informer.

        Args:
            first: called for what has passed the predicates, before it is queued.
            on_gone: called for every object that is gone, predicates or not.
        """
        deliver = partial(self._deliver, enqueue, predicates, tell, first)

        def on_delete(value: Object) -> None:
            if on_gone is not None:
                on_gone(value)
            deliver(ChangeEvent("delete", value))

        return Handler(
            on_add=lambda value, initial: deliver(ChangeEvent("create", value, None, initial)),
            on_update=lambda old, new: deliver(ChangeEvent("update", new, old)),
            on_delete=on_delete,
        )

    def _deliver(
        self,
        enqueue: EventHandler,
        predicates: tuple[Predicate, ...],
        tell: Callable[[ChangeEvent], str],
        first: Callable[[ChangeEvent], None] | None,
        event: ChangeEvent,
    ) -> None:
        for predicate in predicates:
            try:
                if not predicate(event):
                    return
            except Exception as error:  # of the operator's; to reconcile once too often is harmless
                self._failed(predicate, event, error)
        if first is not None:
            first(event)
        try:
            reason = tell(event)
        except Exception as error:  # an object that no schema holds can have any shape
            self._failed(tell, event, error)
            reason = _WORDS[event.type]
        priority = LOW_PRIORITY if event.initial or event.unchanged else 0
        try:
            for key in enqueue(event):
                self._queue.add(key, reason, priority=priority)
        except Exception as error:  # of the operator's; what it gave before that is queued
            self._failed(enqueue, event, error)

    def _failed(self, function: Any, event: ChangeEvent, error: Exception) -> None:
        self._errors.inc()
        self._log.error(
            "handler_failed",
            handler=getattr(function, "__qualname__", repr(function)),
            object=f"{event.new.kind} {event.new.key}",
            change=event.type,
            error=named(error),
            exc_info=error,
        )
