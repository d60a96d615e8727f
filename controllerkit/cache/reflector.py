"""The reflector's driver: does what the machine says, and tells it what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from controllerkit.cache import machine
from controllerkit.cache.machine import ReflectorOptions
from controllerkit.client import Client, KindLike, WatchEvent
from controllerkit.errors import ControllerkitError, MalformedObject
from controllerkit.objects import Kind, Object
from controllerkit.runtime import Clock, cancel_and_wait

__all__ = ["Reflector", "Sink"]

LATE_S: Final = 10.0
"""client-go ``reflector.go``: how often it is said that the end of the initial events has not come."""

_CHANGES: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
_PARTIAL: Final = ("PartialObjectMetadata", "meta.k8s.io/v1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """Where a collection is kept. Everything is synchronous: one change is whole before the next is read.

    Attributes:
        keep: what of an object is kept.
        known: the kept object of this uid and resourceVersion, so that a new sync needs no second copy of it.
        replace: the collection is exactly this.
        apply: ADDED, MODIFIED and DELETED, in order.
        publish: what is kept is that of this resourceVersion.
        failed: something failed and is tried again, or was skipped.
        late: the initial events have been coming in for so many seconds, and their end has not.
    """

    keep: Callable[[Object], Object]
    known: Callable[[Object], Object | None]
    replace: Callable[[list[Object]], None]
    apply: Callable[[list[WatchEvent]], None]
    publish: Callable[[str], None]
    failed: Callable[[str, Exception], None]
    late: Callable[[float], None]


class Reflector:
    """Follows one collection of the server into a `Sink`.

    Guarantees:
        ``run`` ends only when cancelled, and closes its connection then; run again, it goes on from the version it
        had. A watch is asked of the server for ``watch_timeout_min_s`` to twice that; one on which nothing comes
        for ``watch_idle_s``, or which goes on past its time, is taken for dead and replaced.

        What cannot be read is never taken for a deletion. An object of another kind than was asked for (a Table, say)
        or one that is no object is not stored; in a watch, the events beside it are, and a new sync begins; a list
        with one in it is asked for again, and what is cached stays meanwhile. An event of an unknown type is skipped.
    """

    def __init__(
        self,
        client: Client,
        kind: KindLike,
        namespace: str | None,
        sink: Sink,
        *,
        label_selector: str,
        field_selector: str,
        metadata_only: bool,
        options: ReflectorOptions,
        clock: Clock,
        rng: Random,
    ) -> None:
        self.options = options
        self.state: machine.State = machine.Empty(machine.Memory(options=options))
        self._client = client
        self._kind = kind
        self._namespace = namespace
        self._sink = sink
        self._asked: dict[str, Any] = {
            "label_selector": label_selector,
            "field_selector": field_selector,
            "metadata_only": metadata_only,
        }
        self._clock = clock
        self._rng = rng
        self._resolved: Kind | None = None
        self._named = ("", "")  # its kind and apiVersion
        self._streams = AsyncExitStack()
        self._foreign: MalformedObject | None = None
        self._batches: AsyncGenerator[list[WatchEvent], None] | None = None
        self._warning: asyncio.Task[None] | None = None

    def forget(self) -> None:
        """Begins from nothing at the next run."""
        self.state = machine.Empty(machine.Memory(options=self.options))

    async def run(self) -> None:
        """Lists and watches until cancelled."""
        self.state = machine.Empty(self.state.memory)
        try:
            # Neither event nor effects are kept in a variable: they would hold a whole list while nothing happens.
            waiting = self._advance(machine.Started())
            while True:
                waiting = self._advance(await self._await(waiting))
        finally:
            await self._close_stream()

    def _advance(self, event: machine.Event) -> machine.Effect:
        """One step: does all of its effects but the last, which it returns."""
        self.state, effects = machine.step(self.state, event, self._clock.monotonic())
        try:
            for effect in effects[:-1]:
                self._do(effect)
        except Exception as error:  # a bug in who is told, which must not end the watch for ever: synced anew, later
            return self._advance(machine.Failed(error))
        return effects[-1]

    def _do(self, effect: machine.Effect) -> None:
        match effect:
            case machine.Replace(objects):
                self._sink.replace(objects)
            case machine.Apply(events):
                self._sink.apply(events)
            case machine.Publish(version):
                self._sink.publish(version)
            case machine.Log(what, error):
                self._sink.failed(what, error)
            case _:
                raise AssertionError(f"{effect!r} waits, so it must be the last effect of a step")

    async def _await(self, effect: machine.Effect) -> machine.Event:
        try:
            match effect:
                case machine.Wait(base_s, jitter):
                    await self._close_stream()
                    await self._clock.sleep(base_s * (1.0 + jitter * self._rng.random()))
                    return machine.Woke()
                case machine.ListPage():
                    await self._close_stream()
                    return await self._list(effect)
                case machine.OpenWatch():
                    await self._close_stream()
                    await self._open(effect)
                    return machine.Opened()
                case machine.Read():
                    return await self._read()
                case _:
                    raise AssertionError(f"{effect!r} does not wait, so it cannot be the last effect of a step")
        except ControllerkitError as error:
            return machine.Failed(error)

    # -- asking the server -----------------------------------------------------------------------------------------

    async def _list(self, effect: machine.ListPage) -> machine.PageListed:
        page = await self._client.list(
            await self._kind_of(),
            self._namespace,
            resource_version=effect.version,
            limit=effect.limit,
            continue_token=effect.continue_token,
            **self._asked,
        )
        objects, values = [], page.items
        values.reverse()
        while values:  # taken out one by one, so that no two copies of a page are held
            value = values.pop()
            self._check_kind(value)
            objects.append(self._kept_again(value))
        return machine.PageListed(objects, page.resource_version, page.continue_token)

    async def _open(self, effect: machine.OpenWatch) -> None:
        watch = self._client.watch(
            await self._kind_of(),
            self._namespace,
            resource_version=effect.version,
            send_initial_events=effect.initial,
            timeout_s=self.options.watch_timeout_min_s * (1.0 + self._rng.random()),
            idle_timeout_s=self.options.watch_idle_s,
            **self._asked,
        )
        stream = await self._streams.enter_async_context(watch)
        self._batches = stream.batches()
        if effect.initial:
            self._warning = asyncio.create_task(self._warn(), name=f"end of the initial events of {self._kind}")

    async def _kind_of(self) -> Kind:
        if self._resolved is None:
            self._resolved = await self._client.kind_of(self._kind)
            self._named = (self._resolved.kind, self._resolved.api_version)
        return self._resolved

    async def _read(self) -> machine.Event:
        assert self._batches is not None  # noqa: S101 - the machine reads only what it opened
        if self._foreign is not None:
            raise self._foreign
        batch = await anext(self._batches, None)
        if batch is None:
            return machine.Closed()
        events = []
        again = isinstance(self.state, machine.Streaming) and self.state.memory.version
        keep = self._kept_again if again else self._sink.keep
        kind, api_version = self._named
        for event in batch:
            value = event.object
            if event.type not in _CHANGES:
                if event.type == "BOOKMARK":
                    events.append(event)
                else:
                    error = MalformedObject(f"an event of unknown type {event.type!r} about {value!r}")
                    self._sink.failed("event_skipped", error)
                continue
            if value.kind != kind or value.api_version != api_version:
                try:
                    self._check_kind(value)
                except MalformedObject as error:
                    self._foreign = error  # told at the next read: what else is here goes on
                    continue
            kept = keep(value)
            events.append(event if kept is value else WatchEvent(event.type, kept))
        return machine.Received(events)

    def _kept_again(self, value: Object) -> Object:
        return self._sink.known(value) or self._sink.keep(value)

    def _check_kind(self, value: Object) -> None:
        """Raises MalformedObject for one of another kind than was asked for, such as a Table."""
        if (value.kind, value.api_version) == _PARTIAL and self._asked["metadata_only"]:
            value.kind, value.api_version = self._named  # metadata alone calls itself so
        kind, api_version = self._named
        if value.kind != kind or value.api_version != api_version:
            raise MalformedObject(f"expected {kind} of {api_version}, got {value!r} of {value.api_version!r}")

    async def _warn(self) -> None:
        began = self._clock.monotonic()
        while True:
            await self._clock.sleep(LATE_S)
            if not isinstance(self.state, machine.Streaming):
                return
            self._sink.late(self._clock.monotonic() - began)

    async def _close_stream(self) -> None:
        batches, self._batches, self._foreign = self._batches, None, None
        warning, self._warning = self._warning, None
        streams, self._streams = self._streams, AsyncExitStack()
        try:
            if warning is not None:
                await cancel_and_wait(warning)
            if batches is not None:
                await batches.aclose()
        finally:
            await streams.aclose()  # also where this is cancelled a second time: the connection must not stay
