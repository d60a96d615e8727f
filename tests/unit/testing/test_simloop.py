"""The loop whose time jumps and whose tasks take turns by a seed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest

from controllerkit.errors import SimulationError
from controllerkit.testing import SimClock, SimLoop, simloop


def run(main: Coroutine[Any, Any, Any], seed: int | None = None) -> Any:
    with asyncio.Runner(loop_factory=lambda: SimLoop(None if seed is None else Random(seed))) as runner:
        return runner.run(main)


async def racing() -> tuple[str, ...]:
    trace: list[str] = []
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def one(name: str) -> None:
        for step in range(3):
            await asyncio.sleep(0 if step else 5)
            trace.append(f"{name}{step}")
            queue.put_nowait(name)

    async def reads() -> None:
        while len(trace) < 18:
            got = await queue.get()
            trace.append(got)

    await asyncio.gather(one("a"), one("b"), one("c"), reads())
    return tuple(trace)


def test_a_seed_is_one_order_and_many_seeds_are_many() -> None:
    assert len({run(racing(), 7) for _ in range(10)}) == 1
    assert len({run(racing(), seed) for seed in range(50)}) > 40


async def lost_update() -> int:
    """Two tasks read, let others run, and write; first in, first out, the second reads just after the first wrote."""
    value = 0

    async def adds(turns_before: int) -> None:
        nonlocal value
        for _ in range(turns_before):
            await asyncio.sleep(0)
        seen = value
        await asyncio.sleep(0)
        value = seen + 1

    await asyncio.gather(adds(0), adds(1))
    return value


def test_shuffling_finds_the_lost_update_that_first_in_first_out_never_shows() -> None:
    assert {run(lost_update()) for _ in range(50)} == {2}
    assert {run(lost_update(), seed) for seed in range(50)} == {1, 2}


def test_time_jumps_and_is_exact() -> None:
    async def day() -> tuple[float, str]:
        clock = SimClock(asyncio.get_running_loop())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600.1):
                await clock.sleep(86_400)
        await clock.sleep(86_400 - 3600.1)
        return clock.monotonic(), clock.utcnow().isoformat()

    began = time.monotonic()
    assert run(day(), 1) == (86_400.0, "2026-01-02T00:00:00+00:00")
    assert time.monotonic() - began < 5.0


def test_a_dead_wait_is_an_error_that_names_who_waits_and_where() -> None:
    async def forever() -> None:
        await asyncio.create_task(waits_for_nobody(), name="lonely")

    with pytest.raises(SimulationError, match=r"waiting: .*lonely in .*Event\.wait \(locks\.py:\d+\)"):
        run(forever(), 1)


async def waits_for_nobody() -> None:
    await asyncio.Event().wait()


def test_a_loop_that_spins_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def spins() -> None:
        while True:
            await asyncio.sleep(0)

    monkeypatch.setattr(simloop, "ROUNDS_MAX", 1000)
    with pytest.raises(SimulationError, match="1000 rounds passed at 0 s"):
        run(spins(), 1)


def test_a_thread_is_an_error() -> None:
    with pytest.raises(SimulationError, match="wants a thread"):
        run(asyncio.to_thread(time.monotonic), 1)
