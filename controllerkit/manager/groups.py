"""A group of runnables that start and stop together, controller-runtime's ``runnable_group``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from controllerkit.errors import ConfigError, ManagerError

__all__ = ["Runnable", "RunnableGroup"]

Runnable = Callable[[], Awaitable[None]]

_LAST_WORD_S: Final = 1.0
"""A task that was cancelled for the second time is waited for so long, and then left behind."""


class RunnableGroup:
    """Named runnables.

    Guarantees:
        What is added before the start runs from it, what is added later runs at once, and what is added while the
        group stops, or after, is refused. One that raises is told to ``on_failure`` with its name; one that returns
        is done.
    """

    def __init__(self, name: str, on_failure: Callable[[ManagerError], None], log: Any) -> None:
        self.name = name
        self._on_failure = on_failure
        self._log = log
        self._waiting: dict[str, Runnable] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._started = False
        self._stopping = False

    def add(self, name: str, runnable: Runnable) -> None:
        """Adds one under a name of its own.

        Raises:
            ConfigError: the name is taken, or the group stops.
        """
        if self._stopping:
            raise ConfigError(f"{name} came while the manager was stopping")
        if name in self._waiting or name in self._running:
            raise ConfigError(f"two runnables are named {name!r}")
        if self._started:
            self._start(name, runnable)
        else:
            self._waiting[name] = runnable

    def start(self) -> None:
        """Runs what was added."""
        self._started = True
        waiting, self._waiting = self._waiting, {}
        for name, runnable in waiting.items():
            self._start(name, runnable)

    def _start(self, name: str, runnable: Runnable) -> None:
        self._running[name] = asyncio.create_task(self._guarded(name, runnable), name=name)

    async def _guarded(self, name: str, runnable: Runnable) -> None:
        try:
            await runnable()
        except asyncio.CancelledError:
            if self._stopping:
                raise
            self._fail(name, ManagerError(f"{name} failed: it was cancelled by somebody else"))
        except Exception as error:  # any part that fails ends the manager, which says which one
            self._fail(name, error)

    def _fail(self, name: str, error: Exception) -> None:
        failure = error if isinstance(error, ManagerError) else ManagerError(f"{name} failed: {_told(error)}")
        if failure is not error:
            failure.__cause__ = error
        if self._stopping:
            self._log.error("failed_while_stopping", part=name, error=_told(error))
        self._on_failure(failure)

    async def stop(self, timeout_s: float | None) -> list[str]:
        """Cancels all, waits, and names those that had not ended by then (None: waits for ever)."""
        self._stopping = True
        for task in self._running.values():
            task.cancel()
        if not self._running:
            return []
        _, pending = await asyncio.wait(self._running.values(), timeout=timeout_s)
        hanging = [name for name, task in self._running.items() if task in pending]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=_LAST_WORD_S)
        return hanging


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
