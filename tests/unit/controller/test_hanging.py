"""Reconcilers that never return, or return what they may not: what tells of them, and that all the rest goes on."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from controllerkit import Client, Key, Request, Result, TerminalError
from controllerkit.controller.threads import Threads
from controllerkit.runtime import LoopWatch
from controllerkit.testing import settle
from tests.unit.conftest import Website
from tests.unit.controller.looping import Lines, Loop, looped
from tests.unit.controller.running import A, Recording, running, until, website

ROOT = Path(__file__).parents[3]

HANGING = """
import threading
from controllerkit import Object, Reconciler, kinds

class HangsReconciler(Reconciler[Object]):
    kind = kinds.CONFIG_MAP
    tell_failing = False

    def reconcile(self, request):
        print("hangs", flush=True)
        threading.Event().wait()
"""


async def test_calls_in_threads_have_their_context_and_give_results_and_errors() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    threads = Threads(2, "test")
    variable.set("of the task")
    assert await threads.run(variable.get) == "of the task"

    def fails(error: BaseException) -> Any:
        raise error

    with pytest.raises(KeyError, match="x"):
        await threads.run(lambda: fails(KeyError("x")))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.run(lambda: fails(StopIteration()))
    threads.close()


async def test_there_are_no_more_threads_than_asked_for_and_idle_ones_are_used_again() -> None:
    threads, held, names = Threads(2, "test"), threading.Event(), []

    def work() -> None:
        names.append(threading.current_thread().name)
        held.wait()

    calls = [threads.run(work) for _ in range(4)]
    await until(lambda: len(names) == 2, "two at once")
    assert "work (test_hanging.py" in threads.where(calls[0])
    assert threads.where(calls[3]) == "", "it waits for its turn"
    held.set()
    await asyncio.gather(*calls)
    await threads.run(work)
    assert set(names) == {"test-0", "test-1"}
    threads.close()


async def test_a_thread_that_outlives_its_time_limit_is_told_with_its_place_and_keeps_its_key(websites: Client) -> None:
    held, entered = threading.Event(), threading.Event()

    class Plain(Recording):
        name = "recording"
        reconcile_timeout_s = 5.0

        def reconcile(self, request: Request) -> Result | None:  # type: ignore[override]
            self.requests.append(request)
            entered.set()
            held.wait()
            return None

    plain = Plain()
    loop = await Loop(plain, websites).declared()
    loop.start()
    loop.queue.add(A)
    await until(entered.is_set, "the thread")
    await loop.clock.advance(5.0)
    line = loop.log.of("thread_goes_on")[0]
    assert (line["object"], "reconcile (test_hanging.py" in line["where"]) == ("default/a", True)
    loop.queue.add(A)
    await loop.clock.advance(60.0)
    assert len(plain.requests) == 1, "nobody works on the key beside it"
    held.set()
    await until(lambda: loop.told("reconcile_timeouts_total") == 1.0, "the timeout")
    await loop.stopped()


@pytest.mark.parity("1e/loop-honesty")
async def test_a_reconcile_that_blocks_the_loop_is_told_with_the_controller_and_the_place(websites: Client) -> None:
    released = threading.Event()

    async def blocks(_: Request) -> Result | None:
        released.wait(10.0)
        return None

    lines = Lines()
    watch = LoopWatch(blocked_s=0.1, log=lines)
    loop = await Loop(Recording(blocks), websites).declared()
    loop.start()
    await settle()

    def release_when_told() -> None:
        while not lines.of("event_loop_blocked"):
            released.wait(0.01)
        released.set()

    watch.start()
    threading.Thread(target=release_when_told, daemon=True).start()
    loop.queue.add(Key("ns", "b"))
    await until(lambda: loop.results() == {"success": 1.0}, "the pass")
    watch.stop()
    where = lines.of("event_loop_blocked")[0]["where"]
    assert where.startswith("recording worker 0: ")
    assert "blocks (test_hanging.py" in where
    await loop.stopped()


async def test_a_process_ends_although_a_thread_hangs_and_says_which_controller_it_was(
    client: Client, tmp_path: Path
) -> None:
    metadata = {"name": "c", "namespace": "default"}
    await client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    code = (
        "import asyncio\n"
        "from controllerkit import Client, Manager\n"
        "from hanging import HangsReconciler\n"
        "async def main():\n"
        "    async with await Client.connect() as client:\n"
        "        manager = Manager(client, grace_period_s=0.2)\n"
        "        manager.add(HangsReconciler())\n"
        "        await manager.run_until_signal()\n"
        "asyncio.run(main())\n"
    )
    (tmp_path / "hanging.py").write_text(HANGING)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        cwd=tmp_path,
        env={**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30.0) == b"hangs\n"
    process.send_signal(signal.SIGTERM)
    _, told = await asyncio.wait_for(process.communicate(), 20.0)
    assert process.returncode == 1
    assert b"did not stop within 0.2 s: controller hangs" in told


async def test_an_answer_that_is_none_is_a_failure_of_its_key_alone(websites: Client) -> None:
    async def answer(request: Request) -> Any:
        return True if request.key == A else None

    loop = await looped(websites, answer, A, Key("ns", "b"))
    assert loop.results() == {"error": 1.0, "success": 1.0}
    assert loop.told("reconcile_panics_total") == 1.0
    (line,) = loop.log.of("reconcile_failed")
    assert line["error"] == "TypeError: Recording.reconcile returned a bool; it must return a Result or None"
    await loop.stopped()


async def test_an_object_whose_conditions_have_an_odd_shape_ends_no_worker(websites: Client) -> None:
    async def answer(request: Request) -> Result | None:
        if request.key == A:
            raise TerminalError("no")
        return None

    await websites.create(website())
    await websites.patch(Website, "a", {"status": {"conditions": ["odd"]}}, subresource="status")
    reconciler = Recording(answer)
    async with running(websites, reconciler):
        await until(lambda: bool(reconciler.requests), "the failure")
        await websites.create(website("b"))
        await until(lambda: Key("default", "b") in {each.key for each in reconciler.requests}, "the next key")
        await websites.patch(Website, "a", {"spec": {"x": 1}})
        await until(lambda: sum(each.key == A for each in reconciler.requests) >= 2, "and the same one again")
