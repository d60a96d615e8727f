"""Honesty about the event loop: how late it is, and where it is stuck, told from a thread of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from typing import Any, Final

from controllerkit.runtime.logs import get_logger

__all__ = ["LoopWatch"]

BEAT_S: Final = 0.25
BLOCKED_S: Final = 1.0
_FRAMES_TOLD: Final = 8


class LoopWatch:
    """Watches one event loop from outside.

    Guarantees:
        A loop that did nothing for ``blocked_s`` is logged once, with the stack it is stuck in and the name of the
        task, and once more when it goes on. ``blocked_for_s`` can be asked from any thread. The thread ends with
        ``stop``, and with the process.

    A reconciler that calls something blocking stops every other one and the watches too, and no coroutine can tell.
    """

    def __init__(self, *, blocked_s: float = BLOCKED_S, log: Any = None) -> None:
        self.blocked_s = blocked_s
        self.incidents = 0
        self.lag_s = 0.0
        self._log = log or get_logger()
        self._beat_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._handle: asyncio.TimerHandle | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to watch the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._stopped.clear()
        self._due_at = self._beat_at = time.monotonic()
        self._beat()
        self._thread = threading.Thread(target=self._watch, name="event loop watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the watch."""
        self._stopped.set()
        if self._handle is not None:
            self._handle.cancel()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def blocked_for_s(self) -> float:
        """Seconds since the loop should have run and did not; 0 while it does."""
        late_s = time.monotonic() - self._beat_at - BEAT_S
        return late_s if self._thread is not None and late_s > self.blocked_s else 0.0

    def where(self) -> str:
        """The innermost frames of the loop's thread, and the task it runs."""
        frame = sys._current_frames().get(self._loop_thread)
        stack = traceback.extract_stack(frame)[-_FRAMES_TOLD:] if frame is not None else []
        task = asyncio.current_task(self._loop) if self._loop is not None else None
        places = " > ".join(f"{each.name} ({each.filename.rpartition('/')[2]}:{each.lineno})" for each in stack)
        return f"{task.get_name() if task is not None else 'no task'}: {places}"

    def _beat(self) -> None:
        now = time.monotonic()
        self.lag_s = max(now - self._due_at, 0.0)
        self._beat_at = now
        self._due_at = now + BEAT_S
        assert self._loop is not None  # noqa: S101 - set by start
        self._handle = self._loop.call_later(BEAT_S, self._beat)

    def _watch(self) -> None:
        told = False
        while not self._stopped.wait(min(BEAT_S, self.blocked_s / 2)):
            blocked_s = self.blocked_for_s()
            if blocked_s and not told:
                told = True
                self.incidents += 1
                self._log.error("event_loop_blocked", for_s=round(blocked_s, 2), where=self.where())
            elif told and not blocked_s:
                told = False
                self._log.warning("event_loop_goes_on")
