"""The shared informer: one watch, one store, any number of handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from controllerkit.cache.machine import ReflectorOptions, State
from controllerkit.cache.reflector import Reflector, Sink
from controllerkit.cache.store import Change, IndexFunction, Store
from controllerkit.client import Client, KindLike, WatchEvent
from controllerkit.errors import ConfigError, DeadlineExceeded, Gone
from controllerkit.objects import Object
from controllerkit.runtime import Clock, SystemClock, cancel_and_wait, get_logger

__all__ = ["Handler", "Informer", "Registration", "Transform"]

Transform = Callable[[Object], Object]

RESYNC_MIN_S: Final = 1.0
"""client-go ``minimumResyncPeriod``."""


def _ignore(*_: object) -> None:
    """Does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """What to call, synchronously and in order. Handlers must be quick: they run on the path of every event.

    ``on_add(object, is_in_initial_list)``, ``on_update(old, new)``, ``on_delete(last_known)``. A changed uid
    without a delete in between arrives as an update. What a handler raises is logged, and the event goes on to
    the others.

    ``on_missed(last_seen)`` is a deletion that nobody told of: the watch was away, and the next list did not have
    the object any more, so what it was like in the end is not known. None: such a one goes to ``on_delete`` too.

    As nothing is queued between the watch and its handlers, a slow one holds up the watch, and memory does not grow.
    """

    on_add: Callable[[Any, bool], None] = _ignore
    on_update: Callable[[Any, Any], None] = _ignore
    on_delete: Callable[[Any], None] = _ignore
    on_missed: Callable[[Any], None] | None = None


class Registration:
    """A handler on an informer. Calling it removes the handler, as ``remove`` does."""

    def __init__(self, informer: Informer, handler: Handler, resync_s: float) -> None:
        self._informer = informer
        self.handler = handler
        self.resync_s = resync_s
        self.active = True

    @property
    def has_synced(self) -> bool:
        """Whether this handler was given every object of the first list."""
        return self._informer.has_synced

    async def wait_synced(self, *, timeout_s: float | None = None) -> None:
        """Returns when ``has_synced``; raises as `Informer.wait_synced`."""
        await self._informer.wait_synced(timeout_s=timeout_s)

    def remove(self) -> None:
        """The handler is not called again. Twice is once."""
        self._informer.remove_handler(self)

    __call__ = remove


class Informer:
    """Keeps ``store`` equal to a collection of the server and tells handlers of each change.

    Guarantees:
        The store has changed before a handler is called, and no await lies between. A handler added late, and be
        it from within another one, gets every cached object once as an add with ``is_in_initial_list``. Readers see
        the old objects until a new list is whole. What such a list shows to be unchanged is an update whose both
        sides are the same object for handlers with a resync period, and nothing for others. ``run`` ends only when
        cancelled: every failure is logged, counted and retried.

        ``metadata.managedFields`` are cut off before an object is stored, unless ``keep_managed_fields``: few read
        them, and they are often a third of the bytes. An update without them leaves them to the server as they are.
        ``on_progress`` is called whenever ``store.version`` was set.

    Args:
        metadata_only: only kind, apiVersion and metadata are fetched.
        transform: changes each object before it is stored, such as by dropping what nobody reads; it must give the
            same for its own result. An object it raises on, or whose name, namespace, uid or resourceVersion it
            changes, is logged and stored as it came: losing it would be worse.
        on_error: called for everything that failed and is tried again, and for each event that was skipped; None: it
            is logged. Either way ``failures`` counts it and ``last_error`` keeps it.
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
        metadata_only: bool = False,
        transform: Transform | None = None,
        on_error: Callable[[Exception], None] | None = None,
        options: ReflectorOptions | None = None,
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.label_selector = label_selector
        self.field_selector = field_selector
        self.store = Store()
        self.store.on_index_error = self._index_failed
        self.on_progress: Callable[[], None] = _ignore
        self.metadata_only = metadata_only
        self._keep_managed_fields = keep_managed_fields
        self.transform = transform
        self.failures = 0
        self.last_error: Exception | None = None
        self._client = client
        self._clock = clock or SystemClock()
        self._log = (log or get_logger()).bind(informer=self.name)
        self._registrations: list[Registration] = []
        self._resyncs: dict[Registration, asyncio.Task[None]] = {}
        self._running = False
        self._heard_at: float | None = None
        self._synced = asyncio.Event()
        self._on_error = on_error
        sink = Sink(
            keep=self.kept,
            known=self._known,
            replace=self._replace,
            apply=self._apply,
            publish=self._publish,
            failed=self._failed,
            late=self._late,
        )
        self._reflector = Reflector(
            client,
            kind,
            namespace,
            sink,
            label_selector=label_selector,
            field_selector=field_selector,
            metadata_only=metadata_only,
            options=options or ReflectorOptions(),
            clock=self._clock,
            rng=rng or Random(),
        )

    @property
    def name(self) -> str:
        """The kind, and the namespace if it is of one only."""
        kind = self.kind.resource_kind() if isinstance(self.kind, type) else self.kind
        return f"{kind} in {self.namespace}" if self.namespace else str(kind)

    @property
    def parts(self) -> tuple[Informer, ...]:
        """The informers it is made of: itself; see `UnionInformer`."""
        return (self,)

    @property
    def has_synced(self) -> bool:
        """Whether the first list is whole and its objects were given to the handlers."""
        return self._synced.is_set()

    @property
    def state(self) -> State:
        """Where the reflector stands."""
        return self._reflector.state

    def staleness_s(self, now: float) -> float:
        """Seconds since the server last proved that the cache is current, by a list, an event or a bookmark.

        A healthy server sends a bookmark about once a minute. Infinite before the first list.
        """
        return float("inf") if self._heard_at is None else now - self._heard_at

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
            raise DeadlineExceeded(f"the cache of {self.name} did not sync within {timeout_s:g} s{cause}") from error

    def add_handler(self, handler: Handler, *, resync_s: float = 0.0) -> Registration:
        """Adds ``handler``, at any time, and calls it for all that is cached.

        Args:
            resync_s: every so many seconds all that is cached is given to this handler again, as updates whose both
                sides are the same object; nothing is asked of the server. 0: never.
        Raises:
            ConfigError: ``resync_s`` is below client-go's least, one second.
        """
        if 0 < resync_s < RESYNC_MIN_S or resync_s < 0:
            raise ConfigError(f"resync_s must be 0 or at least {RESYNC_MIN_S:g} s, got {resync_s:g}")
        registration = Registration(self, handler, resync_s)
        self._registrations.append(registration)
        for value in self.store.list():
            self._call(registration, handler.on_add, value, True)
        if self._running:
            self._start_resync(registration)
        return registration

    def remove_handler(self, registration: Registration) -> None:
        """See `Registration.remove`. One of another informer is left alone."""
        if registration in self._registrations:
            registration.active = False
            self._registrations.remove(registration)
            resync = self._resyncs.pop(registration, None)
            if resync is not None:
                resync.cancel()

    @property
    def handlers(self) -> int:
        """How many are registered."""
        return len(self._registrations)

    def _start_resync(self, registration: Registration) -> None:
        if registration.resync_s and registration not in self._resyncs:
            work = self._resync(registration)
            self._resyncs[registration] = asyncio.create_task(work, name=f"resync of {self.kind}")

    async def _resync(self, registration: Registration) -> None:
        while True:
            await self._clock.sleep(registration.resync_s)
            for value in self.store.list():
                self._call(registration, registration.handler.on_update, value, value)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """See `Store.add_index`; at any time."""
        self.store.add_index(name, function)

    async def run(self) -> None:
        """Lists and watches until cancelled. Run again, it goes on from what it has."""
        self._running = True
        for registration in self._registrations:
            self._start_resync(registration)
        try:
            await self._reflector.run()
        finally:
            self._running = False
            resyncs, self._resyncs = list(self._resyncs.values()), {}
            await cancel_and_wait(*resyncs)

    def clear(self) -> None:
        """Forgets everything, telling handlers of a deletion for each object; for one that is not running."""
        registrations = tuple(self._registrations)
        for change in self.store.replace(()):
            self._dispatch(change, registrations)
        self.store.version = ""
        self._synced.clear()
        self._heard_at = None
        self._reflector.forget()

    async def differences(self) -> list[str]:
        """Holds the cache against a list of its very version, as client-go's consistency detector does.

        A line for each difference; none means equal. Writes meanwhile do no harm. Costs a whole list.

        Raises:
            ApiError, TransportError: the list failed. Expired is tried again, at the version of that moment.
        """
        while True:
            version = self.store.version
            cached = {value.key: value.resource_version for value in self.store.list()}
            try:
                page = await self._client.list_all(
                    self.kind,
                    self.namespace,
                    label_selector=self.label_selector,
                    field_selector=self.field_selector,
                    resource_version=version,
                    resource_version_match="Exact",
                    metadata_only=True,
                )
                break
            except Gone:
                if self.store.version == version:
                    raise
        fresh = {value.key: value.resource_version for value in page.items}
        return [
            f"{self.kind} {key}: cached at {cached.get(key, 'nothing')}, the server has {fresh.get(key, 'nothing')}"
            for key in sorted(fresh.keys() | cached.keys())
            if fresh.get(key) != cached.get(key)
        ]

    # -- what the reflector tells ----------------------------------------------------------------------------------

    def _replace(self, objects: list[Object]) -> None:
        registrations = tuple(self._registrations)  # who comes from now on is given all that is cached
        initial = not self.has_synced
        changes = self.store.replace(objects)
        for change in changes:
            self._dispatch(change, registrations, initial=initial)
        if not initial:
            self._resync_unchanged(changes, registrations)
        self._synced.set()

    def _resync_unchanged(self, changes: Sequence[Change], registrations: Sequence[Registration]) -> None:
        wanting = [each for each in registrations if each.resync_s]
        if wanting:
            changed = {change.new.key for change in changes if change.new is not None}
            for value in self.store.list():
                if value.key not in changed:
                    self._dispatch(Change(value, value), wanting)

    def _apply(self, events: list[WatchEvent]) -> None:
        for event in events:
            change = self.store.apply(event)
            if change is not None:
                self._dispatch(change, tuple(self._registrations))

    def _publish(self, version: str) -> None:
        self.store.version = version
        self._heard_at = self._clock.monotonic()
        self.on_progress()

    def _failed(self, what: str, error: Exception) -> None:
        self.failures += 1
        self.last_error = error
        if self._on_error is None:
            self._log.warning(what, error=f"{type(error).__name__}: {error}")
        else:
            self._guarded(self._on_error, error)

    def _late(self, waited_s: float) -> None:
        self._log.warning("initial_events_not_ended", waited_s=waited_s)

    def _dispatch(self, change: Change, registrations: Sequence[Registration], *, initial: bool = False) -> None:
        for registration in registrations:
            handler = registration.handler
            if change.new is None:
                gone = handler.on_missed if change.missed and handler.on_missed is not None else handler.on_delete
                self._call(registration, gone, change.old)
            elif change.old is None:
                self._call(registration, handler.on_add, change.new, initial)
            else:
                self._call(registration, handler.on_update, change.old, change.new)

    def _call(self, registration: Registration, function: Callable[..., None], *arguments: object) -> None:
        if registration.active:
            self._guarded(function, *arguments)

    def _guarded(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception:  # a handler's bug must not stop the others
            self._log.exception("handler_failed", handler=getattr(function, "__qualname__", repr(function)))

    def _index_failed(self, index: str, value: Object, error: Exception) -> None:
        self._log.error("index_failed", index=index, object=str(value.key), exc_info=error)

    # -- what is kept ----------------------------------------------------------------------------------------------

    def _known(self, value: Object) -> Object | None:
        old = self.store.get(value.key)
        same = old is not None and old.resource_version == value.resource_version and old.uid == value.uid
        return old if same else None

    def kept(self, value: Object) -> Object:
        """What is stored where the server has ``value``."""
        if not self._keep_managed_fields:
            value = value.without_managed_fields()
        return value if self.transform is None else self._transformed(value, self.transform)

    def _transformed(self, value: Object, transform: Transform) -> Object:
        try:
            changed = transform(value)
            if (changed.key, changed.uid, changed.resource_version) != (value.key, value.uid, value.resource_version):
                raise ConfigError(f"a transform must leave name, namespace, uid and resourceVersion of {value!r}")
            return changed
        except Exception:  # whatever it is, the object itself is still the truth
            self._log.exception("transform_failed", object=str(value.key))
            return value
