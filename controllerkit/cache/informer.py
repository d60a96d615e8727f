"""The shared informer: one watch, one store, any number of handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from controllerkit.cache import machine
from controllerkit.cache.store import Change, IndexFunction, Store
from controllerkit.client import WATCH_IDLE_S, Client, KindLike, WatchEvent
from controllerkit.errors import ControllerkitError, DeadlineExceeded
from controllerkit.runtime import Clock, SystemClock, get_logger

__all__ = ["Handler", "Informer"]

WATCH_TIMEOUT_MIN_S: Final = 300.0
"""client-go ``minWatchTimeout``: the server is asked to end a watch after one to two times this."""


def _ignore(*_: object) -> None:
    """Does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """What to call, synchronously and in order. Handlers must be quick: they run on the path of every event.

    ``on_add(object, is_in_initial_list)``, ``on_update(old, new)``, ``on_delete(last_known)``. A changed uid
    without a delete in between arrives as an update. What a handler raises is logged, and the event goes on to
    the others.
    """

    on_add: Callable[[Any, bool], None] = _ignore
    on_update: Callable[[Any, Any], None] = _ignore
    on_delete: Callable[[Any], None] = _ignore


class Informer:
    """Keeps ``store`` equal to a collection of the server and tells handlers of each change.

    Guarantees:
        The store has changed before a handler is called, and no await lies between. A handler added late gets
        every cached object as an add with ``is_in_initial_list``. Readers see the old objects until a new list
        is whole. ``run`` ends only when cancelled: every failure is logged, counted and retried.

        ``metadata.managedFields`` are cut off before an object is stored, unless ``keep_managed_fields``: few read
        them, and they are often a third of the bytes. An update without them leaves them to the server as they are.
        ``on_progress`` is called whenever ``store.version`` was set.
    """

    def __init__(
        self,
        client: Client,
        kind: KindLike,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        clock: Clock | None = None,
        rng: Random | None = None,
        log: Any = None,
        keep_managed_fields: bool = False,
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.label_selector = label_selector
        self.field_selector = field_selector
        self.store = Store()
        self.on_progress: Callable[[], None] = _ignore
        self._keep_managed_fields = keep_managed_fields
        self.failures = 0
        self.last_error: Exception | None = None
        self._client = client
        self._clock = clock or SystemClock()
        self._rng = rng or Random()
        self._log = (log or get_logger()).bind(informer=str(kind if not isinstance(kind, type) else kind.__name__))
        self._handlers: list[Handler] = []
        self._synced = asyncio.Event()
        self._state: machine.State = machine.Empty()
        self._streams = AsyncExitStack()
        self._batches: Any = None

    @property
    def has_synced(self) -> bool:
        """Whether the first list is whole and its objects were given to the handlers."""
        return self._synced.is_set()

    @property
    def state(self) -> machine.State:
        """Where the reflector stands."""
        return self._state

    async def wait_synced(self, *, timeout_s: float | None = None) -> None:
        """Returns when ``has_synced``.

        Raises:
            DeadlineExceeded: not within ``timeout_s``; the message holds the last error of the reflector.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._synced.wait()
        except TimeoutError as error:
            cause = f"; last error: {self.last_error}" if self.last_error else ""
            raise DeadlineExceeded(f"the cache of {self.kind} did not sync within {timeout_s:g} s{cause}") from error

    def add_handler(self, handler: Handler) -> Callable[[], None]:
        """Adds ``handler``, calls it for all that is cached, and returns what removes it."""
        self._handlers.append(handler)
        for value in self.store.list():
            self._call(handler.on_add, value, True)
        return lambda: self._handlers.remove(handler) if handler in self._handlers else None

    def add_index(self, name: str, function: IndexFunction) -> None:
        """See `Store.add_index`; at any time."""
        self.store.add_index(name, function)

    async def run(self) -> None:
        """Lists and watches until cancelled. Run again, it goes on from what it has."""
        event: machine.Event = machine.Started()
        self._state = machine.Empty(self._state.memory)
        try:
            while True:
                self._state, effects = machine.step(self._state, event, self._clock.monotonic())
                for effect in effects[:-1]:
                    self._do(effect)
                event = await self._await(effects[-1])
        finally:
            await self._close_stream()

    # -- effects that do not wait ---------------------------------------------------------------------------------

    def _do(self, effect: machine.Effect) -> None:
        match effect:
            case machine.Replace(objects):
                for change in self.store.replace(objects):
                    self._dispatch(change, initial=not self.has_synced)
                self._synced.set()
            case machine.Apply(events):
                self._apply(events)
            case machine.Publish(version):
                self.store.version = version
                self.on_progress()
            case machine.Log(name, error):
                self.failures += 1
                self.last_error = error or self.last_error
                self._log.warning(name, error=str(error) if error else None)
            case _:
                raise AssertionError(f"{effect!r} waits, so it must be the last effect of a step")

    def _apply(self, events: list[WatchEvent]) -> None:
        for event in events:
            change = self.store.apply(event)
            if change is not None:
                self._dispatch(change, initial=False)
            elif event.type != "DELETED":
                self._log.warning("unknown_event_type", type=event.type, object=str(event.object.key))

    def _dispatch(self, change: Change, *, initial: bool) -> None:
        for handler in self._handlers:
            if change.new is None:
                self._call(handler.on_delete, change.old)
            elif change.old is None:
                self._call(handler.on_add, change.new, initial)
            else:
                self._call(handler.on_update, change.old, change.new)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception:  # a handler's bug must not stop the others
            self._log.exception("handler_failed", handler=getattr(function, "__qualname__", repr(function)))

    # -- effects that wait ----------------------------------------------------------------------------------------

    async def _await(self, effect: machine.Effect) -> machine.Event:
        try:
            match effect:
                case machine.Wait(base_s):
                    await self._close_stream()
                    await self._clock.sleep(base_s + self._rng.random() * base_s)
                    return machine.Woke()
                case machine.ListPage():
                    await self._close_stream()
                    return await self._list(effect)
                case machine.OpenWatch():
                    await self._close_stream()
                    await self._open(effect)
                    return machine.Opened()
                case machine.Read():
                    batch = await anext(self._batches, None)
                    return machine.Closed() if batch is None else machine.Received(self._trimmed(batch))
                case _:
                    raise AssertionError(f"{effect!r} does not wait, so it cannot be the last effect of a step")
        except ControllerkitError as error:
            return machine.Failed(error)

    async def _list(self, effect: machine.ListPage) -> machine.PageListed:
        page = await self._client.list(
            self.kind,
            self.namespace,
            label_selector=self.label_selector,
            field_selector=self.field_selector,
            resource_version=effect.version,
            limit=effect.limit,
            continue_token=effect.continue_token,
        )
        items = page.items if self._keep_managed_fields else [each.without_managed_fields() for each in page.items]
        return machine.PageListed(items, page.resource_version, page.continue_token)

    def _trimmed(self, batch: list[WatchEvent]) -> list[WatchEvent]:
        if self._keep_managed_fields:
            return batch
        return [WatchEvent(each.type, each.object.without_managed_fields()) for each in batch]

    async def _open(self, effect: machine.OpenWatch) -> None:
        stream = await self._streams.enter_async_context(
            self._client.watch(
                self.kind,
                self.namespace,
                resource_version=effect.version,
                label_selector=self.label_selector,
                field_selector=self.field_selector,
                send_initial_events=effect.initial,
                timeout_s=WATCH_TIMEOUT_MIN_S * (1.0 + self._rng.random()),
                idle_timeout_s=WATCH_IDLE_S,
            )
        )
        self._batches = stream.batches()

    async def _close_stream(self) -> None:
        batches, self._batches = self._batches, None
        if batches is not None:
            await batches.aclose()
        await self._streams.aclose()
        self._streams = AsyncExitStack()
