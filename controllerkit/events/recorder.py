"""Kubernetes Events for people: what a controller did to an object, and why. The driver around `machine`."""

from __future__ import annotations

import asyncio
import re
import socket
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, Protocol

from controllerkit.client import KindLike, ObjectLike, PatchType
from controllerkit.errors import ControllerkitError
from controllerkit.events.machine import (
    FINISH_S,
    REFRESH_S,
    TYPES,
    Event,
    EventMachine,
    Reference,
    Verdict,
    Write,
    verdict,
)
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import Clock, Deadline, SystemClock, cancel_and_wait, get_logger

__all__ = ["EventRecorder", "EventSink"]

QUEUE_MAX: Final = 1000
"""client-go ``maxQueuedEvents``: writes beyond this many are dropped rather than slow a controller down."""

WORKERS: Final = 8
TRIES_MAX: Final = 12
RETRY_S: Final = 10.0
RETRY_JITTER: Final = 0.25
"""client-go ``maxTriesPerEvent``, ``defaultSleepDuration`` and its jitter."""

INSTANCE_MAX: Final = 128
NAME_MAX: Final = 253
FLUSH_S: Final = 2.0
"""What was recorded just before the end is still sent, for so long."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class EventSink(Protocol):
    """What a recorder needs of a client."""

    async def create(self, value: ObjectLike) -> Object:
        """As `Client.create`."""

    async def patch(self, kind: KindLike, name: str | Key, patch: dict[str, Any], *, patch_type: PatchType) -> Object:
        """As `Client.patch`."""


class EventRecorder:
    """Sends ``events.k8s.io/v1`` Events in the background.

    Guarantees:
        ``record`` never waits and never raises. The same event about the same object again becomes a series of the
        first one, which is kept up to date in the server at its second time, every 30 minutes, and once it has
        ended; its note stays the first one's. An object's 25 first different events are sent at once, then one
        every five minutes. What the server refuses is logged and dropped; what does not reach it is tried
        ``TRIES_MAX`` times.
    """

    def __init__(
        self,
        client: EventSink,
        *,
        controller: str,
        clock: Clock | None = None,
        rng: Random | None = None,
        log: Any = None,
    ) -> None:
        self._client = client
        self._controller = controller
        self._instance = f"{controller}-{socket.gethostname()}"[:INSTANCE_MAX]
        self._clock = clock or SystemClock()
        self._rng = rng or Random()
        self._log = (log or get_logger()).bind(controller=controller)
        self._queue: asyncio.Queue[Write] = asyncio.Queue(QUEUE_MAX)
        self._machine = EventMachine()
        self._last_nanos = 0
        self._next: dict[str, Write | None] = {}

    def record(
        self,
        regarding: Object,
        kind: str,
        reason: str,
        note: str,
        *,
        action: str = "",
        related: Object | None = None,
        field_path: str = "",
    ) -> None:
        """``kind`` is Normal or Warning; ``reason`` and ``action`` are CamelCase words.

        Args:
            related: another object that the action was about, such as the Pod that was created.
            field_path: the part of ``regarding`` that is meant, such as ``spec.containers{web}``; events about
                different parts make no series together.
        """
        if kind not in TYPES:
            self._log.error("event_malformed", type=kind, reason=reason, cure=f"the type is one of {', '.join(TYPES)}")
            return
        now = self._clock.utcnow()
        event = Event(
            name=self._name(regarding.name, now),
            at=now,
            type=kind,
            reason=reason,
            action=action or reason,
            note=note,
            controller=self._controller,
            instance=self._instance,
            regarding=Reference.to(regarding, field_path),
            related=Reference.to(related) if related is not None else None,
        )
        refused = self._machine.refused
        self._put(self._machine.record(event, self._clock.monotonic()))
        if self._machine.refused > refused:
            self._log.debug("event_one_too_many", reason=reason, object=str(regarding.key))

    def _name(self, of: str, now: datetime) -> str:
        """``<object>.<hex nanoseconds>``, no two the same; what would be no name of an object becomes a UUID."""
        nanos = (now - _EPOCH) // timedelta(microseconds=1) * 1000 + self._rng.randrange(1000)
        self._last_nanos = max(nanos, self._last_nanos + 1)
        name = f"{of}.{self._last_nanos:x}"
        return name if len(name) <= NAME_MAX and _SUBDOMAIN.fullmatch(name) else str(uuid.uuid4())

    def _put(self, writes: Iterable[Write]) -> None:
        for write in writes:
            try:
                self._queue.put_nowait(write)
            except asyncio.QueueFull:
                self._machine.settled(write, given_up=True)
                self._log.warning("event_dropped", **_about(write), queued=QUEUE_MAX)

    async def run(self) -> None:
        """Sends until cancelled; then what is queued, for at most ``FLUSH_S`` or until cancelled again."""
        tasks = [asyncio.create_task(self._work(), name=f"events of {self._controller} {n}") for n in range(WORKERS)]
        tasks.append(asyncio.create_task(self._every(REFRESH_S, self._machine.refresh)))
        tasks.append(asyncio.create_task(self._every(FINISH_S, self._finish)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        except asyncio.CancelledError:
            await self._flush()
            raise
        finally:
            await cancel_and_wait(*tasks)

    def _finish(self) -> tuple[Write, ...]:
        return self._machine.finish(self._clock.monotonic())

    async def _every(self, period_s: float, look: Callable[[], Iterable[Write]]) -> None:
        while True:
            await self._clock.sleep(period_s)
            self._put(look())

    async def _work(self) -> None:
        while True:
            write = await self._queue.get()
            try:
                await self._in_turn(write)
            finally:
                self._queue.task_done()

    async def _in_turn(self, write: Write) -> None:
        """Writes of one event follow each other; of those that wait, the last says everything."""
        name = write.event.name
        if name in self._next:
            if (waiting := self._next[name]) is not None:
                self._machine.settled(waiting, given_up=True)
            self._next[name] = write
            return
        self._next[name] = None
        following: Write | None = write
        try:
            while following is not None:
                await self._send(following)
                following, self._next[name] = self._next[name], None
        finally:
            del self._next[name]

    async def _send(self, write: Write) -> None:
        for attempt in range(TRIES_MAX):
            if attempt:
                await self._clock.sleep(RETRY_S * (1.0 + self._rng.random() * RETRY_JITTER))
            if await self._try(write):
                self._machine.settled(write, given_up=False)
                return
        self._machine.settled(write, given_up=True)
        self._log.warning("event_lost", **_about(write), tries=TRIES_MAX)

    async def _try(self, write: Write) -> bool:
        """Whether there is nothing more to do for it."""
        creating = write.series is None
        while True:
            try:
                if creating:
                    await self._client.create(write.body())
                else:
                    key = Key(write.event.namespace, write.event.name)
                    await self._client.patch(kinds.EVENT, key, write.patch(), patch_type=PatchType.STRATEGIC)
            except ControllerkitError as error:
                match verdict(write, error, creating=creating):
                    case Verdict.CREATE:
                        creating = True
                        continue
                    case Verdict.RETRY:
                        self._log.debug("event_not_sent", **_about(write), error=str(error))
                        return False
                    case Verdict.DROP:
                        self._log.warning("event_refused", **_about(write), error=str(error))
            return True

    async def _flush(self) -> None:
        try:
            async with Deadline(self._clock, FLUSH_S):
                await self._queue.join()
        except TimeoutError:
            self._log.warning("events_unsent", queued=self._queue.qsize())


def _about(write: Write) -> dict[str, str]:
    of = write.event.regarding
    return {"reason": write.event.reason, "object": str(Key(of.namespace, of.name))}
