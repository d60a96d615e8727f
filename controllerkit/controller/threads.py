"""Threads for a plain ``def reconcile``, which must not keep a process from ending."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Threads"]

_FRAMES_TOLD: Final = 4

_Call = tuple[Callable[[], Any], contextvars.Context, asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Threads:
    """At most ``count`` daemon threads that make blocking calls for an event loop.

    Guarantees:
        A call sees the context variables of the task that made it. A call that never returns keeps its thread and
        nothing else: those of ``concurrent.futures`` would be waited for when the interpreter ends, for ever.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._running: dict[asyncio.Future[Any], int] = {}

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Calls ``function`` in a thread; the future is its result. Cancelling the future does not end the call."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._busy += 1
        if self._busy > len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._calls.put((function, contextvars.copy_context(), loop, future))
        return future

    def where(self, future: asyncio.Future[Any]) -> str:
        """The innermost places of the thread that works for ``future``; "" where none does."""
        frame = sys._current_frames().get(self._running.get(future, 0))
        stack = traceback.extract_stack(frame)[-_FRAMES_TOLD:] if frame is not None else []
        return " > ".join(f"{each.name} ({each.filename.rpartition('/')[2]}:{each.lineno})" for each in stack)

    def close(self) -> None:
        """Ends the threads that have nothing to do, and the others after their call."""
        for _ in self._threads:
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            function, context, loop, future = call
            self._running[future] = threading.get_ident()
            result: Any = None
            error: BaseException | None = None
            try:
                result = context.run(function)
            except StopIteration as stop:  # which a future cannot hold
                error = RuntimeError(f"StopIteration out of {function!r}")
                error.__cause__ = stop
            except BaseException as raised:
                error = raised
            self._running.pop(future, None)
            try:
                loop.call_soon_threadsafe(self._settle, future, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more

    def _settle(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._busy -= 1
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
