"""``make demo`` as a person runs it: to its end, and interrupted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(150)]


async def demo(folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "operators.etcd.demo", "--api", "embedded", "--build", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(folder)},  # so that everything it starts names this folder
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def processes_that_name(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in command:
                found.append(command)
    return found


async def test_it_ends_by_itself_with_nothing_lost_and_says_so(tmp_path: Path) -> None:
    process = await demo(tmp_path)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-2000:]
    report = json.loads((tmp_path / "demo.json").read_text())
    assert (report["lost_writes"], report["members"], report["api_server"]) == (0, 3, "embedded")
    assert report["acknowledged_writes"] > 500
    assert len(report["heal_seconds"]) == 2
    assert processes_that_name(tmp_path) == []


@pytest.mark.parametrize("line", ["starting the development cluster", "three members", "destroying the leader"])
async def test_an_interrupt_at_any_moment_leaves_no_process(tmp_path: Path, line: str) -> None:
    process = await demo(tmp_path)
    assert process.stdout is not None
    async for printed in process.stdout:
        if line in printed.decode():
            break
    process.send_signal(signal.SIGINT)
    rest = await process.stdout.read()
    assert await process.wait() == 130, rest.decode()[-2000:]
    assert processes_that_name(tmp_path) == []
    assert [path for path in tmp_path.iterdir() if path.name.startswith("controllerkit-")] == []
