"""Kubernetes Events for people: what a controller did to an object, and why."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import OrderedDict
from typing import Any, Final

from controllerkit.client import Client
from controllerkit.errors import ApiError, ControllerkitError
from controllerkit.objects import Object
from controllerkit.runtime import Clock, SystemClock, get_logger

__all__ = ["EventRecorder"]

QUEUE_MAX: Final = 1000
"""client-go ``tools/events``: events beyond this many are dropped rather than slow a controller down."""

REPEAT_AFTER_S: Final = 360.0
"""client-go ``finishTime``: an equal event within six minutes belongs to the same series."""

REMEMBERED_MAX: Final = 4096
NOTE_BYTES_MAX: Final = 1024
"""``events.k8s.io/v1`` allows a note of 1 kB."""


class EventRecorder:
    """Sends ``events.k8s.io/v1`` Events in the background.

    Guarantees:
        ``record`` never waits and never raises; equal events about the same object are sent once in
        ``REPEAT_AFTER_S``; an event that cannot be sent is logged and dropped.
    """

    def __init__(self, client: Client, *, controller: str, clock: Clock | None = None, log: Any = None) -> None:
        self._client = client
        self._controller = controller
        self._instance = f"{controller}-{socket.gethostname()}"[:128]
        self._clock = clock or SystemClock()
        self._log = (log or get_logger()).bind(controller=controller)
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE_MAX)
        self._seen: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def record(self, regarding: Object, kind: str, reason: str, note: str, *, action: str = "") -> None:
        """``kind`` is Normal or Warning; ``reason`` and ``action`` are CamelCase words."""
        identity = (regarding.uid, kind, reason, note)
        now = self._clock.monotonic()
        if now - self._seen.get(identity, float("-inf")) < REPEAT_AFTER_S:
            return
        self._seen[identity] = now
        self._seen.move_to_end(identity)
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
        try:
            self._queue.put_nowait(self._event(regarding, kind, reason, note, action))
        except asyncio.QueueFull:
            self._log.warning("event_dropped", reason=reason, object=str(regarding.key), queued=QUEUE_MAX)

    def _event(self, regarding: Object, kind: str, reason: str, note: str, action: str) -> dict[str, Any]:
        namespace = regarding.namespace or "default"
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{regarding.name[:200]}.{os.urandom(8).hex()}", "namespace": namespace},
            "eventTime": self._clock.utcnow().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": kind,
            "reason": reason,
            "action": action or reason,
            "note": note.encode()[:NOTE_BYTES_MAX].decode(errors="ignore"),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": regarding.api_version,
                "kind": regarding.kind,
                "name": regarding.name,
                "namespace": regarding.namespace,
                "uid": regarding.uid,
                "resourceVersion": regarding.resource_version,
            },
        }

    async def run(self) -> None:
        """Sends until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                await self._client.create(event)
            except ApiError as error:
                self._log.warning("event_refused", error=str(error), reason=event["reason"])
            except ControllerkitError as error:
                self._log.warning("event_lost", error=str(error), reason=event["reason"])
