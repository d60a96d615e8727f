"""Waiting for conditions without sleeping on a guess."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from controllerkit.errors import DeadlineExceeded

__all__ = ["awaited_place", "cancel_and_wait", "wait_until"]

T = TypeVar("T")


async def wait_until(probe: Callable[[], Awaitable[T]], *, what: str, timeout_s: float, interval_s: float = 0.05) -> T:
    """Calls ``probe`` until it returns something true, and returns that.

    For conditions that live in another process, where nothing can be awaited.

    Raises:
        DeadlineExceeded: ``timeout_s`` passed; the message holds ``what`` and the last value.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        value = await probe()
        if value:
            return value
        if loop.time() >= deadline:
            raise DeadlineExceeded(f"{what}: not within {timeout_s:g} s; last seen: {value!r}")
        await asyncio.sleep(interval_s)


async def cancel_and_wait(*tasks: asyncio.Task[object]) -> None:
    """Cancels the tasks and returns when all have ended; what they raise is dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def awaited_place(task: asyncio.Task[Any]) -> str:
    """``function (file:line)`` of the innermost coroutine that ``task`` waits in."""
    place = ""
    step: Any = task.get_coro()
    while step is not None:
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None)
        if frame is not None:
            code = frame.f_code
            place = f"{code.co_qualname} ({code.co_filename.rpartition('/')[2]}:{frame.f_lineno})"
        step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None)
    return place
