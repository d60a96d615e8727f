"""Child processes: their errors hold the log and the cure, and none of them outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controllerkit.devcluster.process import ChildProcess, process_stamp, run_program, tail_of
from controllerkit.errors import ConnectError, DevClusterError


def child(tmp_path: Path, script: str, **more: str) -> ChildProcess:
    return ChildProcess("thing", ["sh", "-c", script], log=tmp_path / "logs" / "thing.log", **more)


async def never() -> bool:
    return False


async def test_a_component_that_ends_is_named_with_its_status_cure_and_log(tmp_path: Path) -> None:
    process = child(tmp_path, "echo first; echo the reason >&2; exit 3", cure="try again")
    process.start()
    with pytest.raises(DevClusterError) as caught:
        await process.wait_ready(never, what="it listens", timeout_s=5)
    message = str(caught.value)
    assert message.startswith("thing ended with status 3; try again; the end of ")
    assert message.endswith("first\nthe reason")


async def test_a_component_that_is_never_ready_says_what_was_waited_for_and_why(tmp_path: Path) -> None:
    async def refused() -> bool:
        raise ConnectError("connection refused")

    process = child(tmp_path, "exec sleep 30")
    process.start()
    with pytest.raises(
        DevClusterError, match=r"it listens did not happen in 0.1 s \(connection refused\); .* is empty"
    ):
        await process.wait_ready(refused, what="it listens", timeout_s=0.1)
    await process.stop()


async def test_stopping_asks_first_and_insists_then(tmp_path: Path) -> None:
    polite = child(tmp_path, "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done")
    stubborn = child(tmp_path / "b", "trap '' TERM; echo up; while :; do sleep 0.01; done")
    for process in (polite, stubborn):
        process.start()

        async def has_said_up(process: ChildProcess = process) -> bool:
            return "up" in tail_of(process.log)

        await process.wait_ready(has_said_up, what="the trap is set", timeout_s=10)
        await process.stop(0.3)
        await process.stop(0.3)
        assert process.pid == 0
        assert not process.running
    assert tail_of(polite.log) == "up\nbye"


async def test_a_program_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    process = ChildProcess("thing", ["/nowhere/thing"], log=tmp_path / "log", cure="build it")
    with pytest.raises(DevClusterError, match=r"thing cannot be started: .*No such file.*; build it"):
        process.start()
    assert not process.running


async def test_starting_twice_is_refused(tmp_path: Path) -> None:
    process = child(tmp_path, "exec sleep 30")
    process.start()
    with pytest.raises(DevClusterError, match="running already"):
        process.start()
    await process.stop()


def test_a_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from controllerkit.devcluster.process import ChildProcess
process = ChildProcess("thing", ["sleep", "60"], log=Path({str(tmp_path)!r}) / "log")
process.start()
print(process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        stamp = process_stamp(pid)
        assert stamp
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while process_stamp(pid) == stamp and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process_stamp(pid) != stamp


def test_a_command_returns_its_output_and_fails_with_it() -> None:
    assert run_program(["cat"], stdin="hello") == "hello"
    with pytest.raises(DevClusterError, match=r"status 2; do this: oh no"):
        run_program(["sh", "-c", "echo oh no; exit 2"], cure="do this")
    with pytest.raises(DevClusterError, match=r"did not end in 0.05 s"):
        run_program(["sleep", "5"], timeout_s=0.05)
    with pytest.raises(DevClusterError, match="cannot be run"):
        run_program(["/nowhere/thing"])


def test_only_the_end_of_a_long_log_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"{n}\n" for n in range(100)))
    assert tail_of(log, 2) == "98\n99"
    assert tail_of(tmp_path / "absent") == ""


def test_a_process_is_known_by_its_start_not_its_number_alone() -> None:
    assert process_stamp(os.getpid()) == process_stamp(os.getpid())
    assert process_stamp(2**22 + 1) == ""
