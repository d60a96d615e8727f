"""Container logs: kept, bounded, selected."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from controllerkit.devcluster.node import logs
from controllerkit.devcluster.node.logs import ContainerLog, LogLine, LogOptions, select
from controllerkit.devcluster.node.server import parse_options
from tests.unit.devcluster.pods import EPOCH


def ticking() -> Iterator[datetime]:
    at = EPOCH
    while True:
        yield at
        at += timedelta(seconds=1)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ContainerLog]:
    times = ticking()
    container = ContainerLog(tmp_path / "app", lambda: next(times))
    yield container
    container.close()


def texts(lines: list[LogLine] | None) -> list[str]:
    assert lines is not None
    return [line.text.decode() for line in lines]


def test_a_line_comes_back_as_it_was_written() -> None:
    line = LogLine("2026-01-01T00:00:00.000000Z", "stderr", False, b" a  b ")
    assert LogLine.decode(line.encode()) == line
    assert LogLine.decode(b"cut") is None


def test_the_current_and_the_previous_run_are_kept_and_no_more(log: ContainerLog) -> None:
    for run in range(4):
        log.begin(run).write("stdout", f"run {run}".encode())
    assert log.runs() == [2, 3]
    assert texts(log.read(previous=False)) == ["run 3"]
    assert texts(log.read(previous=True)) == ["run 2"]


def test_a_container_that_never_ran_has_no_log(log: ContainerLog) -> None:
    assert log.read(previous=False) is None
    log.begin(0)
    assert log.read(previous=False) == []
    assert log.read(previous=True) is None


def test_a_run_keeps_at_most_twice_the_bound(
    log: ContainerLog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(logs, "RUN_BYTES_MAX", 1000)
    run = log.begin(0)
    for number in range(200):
        run.write("stdout", f"line {number}".encode())
    kept = texts(log.read(previous=False))
    assert kept[-1] == "line 199"
    assert kept == [f"line {number}" for number in range(200 - len(kept), 200)], "the newest, without a hole"
    assert sum(path.stat().st_size for path in (tmp_path / "app").iterdir()) <= 2000


async def test_a_follower_gets_what_comes_and_the_end(log: ContainerLog) -> None:
    run = log.begin(0)
    queue = run.subscribe()
    run.write("stdout", b"one")
    run.close()
    assert [await queue.get(), await queue.get()][1] is None
    late = run.subscribe()
    assert await late.get() is None


async def test_a_follower_that_falls_far_behind_is_cut_off(log: ContainerLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FOLLOW_LINES_MAX", 3)
    run = log.begin(0)
    queue = run.subscribe()
    for _ in range(10):
        run.write("stdout", b"x")
    assert queue.qsize() == 4


def test_selection() -> None:
    lines = [LogLine(f"2026-01-01T00:00:0{n}.000000Z", "stdout", True, str(n).encode()) for n in range(6)]
    assert texts(select(lines, LogOptions(tail_lines=2))) == ["4", "5"]
    assert texts(select(lines, LogOptions(tail_lines=0))) == []
    assert texts(select(lines, LogOptions(tail_lines=99))) == ["0", "1", "2", "3", "4", "5"]
    since = EPOCH + timedelta(seconds=4)
    assert texts(select(lines, LogOptions(since=since))) == ["4", "5"]


def test_options_are_read_from_the_query() -> None:
    query = {"follow": "true", "tailLines": "5", "sinceSeconds": "10", "limitBytes": "7", "timestamps": "true"}
    options = parse_options(query, EPOCH)
    assert options == LogOptions(
        follow=True, tail_lines=5, since=EPOCH - timedelta(seconds=10), limit_bytes=7, timestamps=True
    )
    assert parse_options({}, EPOCH) == LogOptions()
    with pytest.raises(ValueError, match="tailLines must be a number"):
        parse_options({"tailLines": "x"}, EPOCH)
