"""Container logs: one file for each run, bounded, in the format of the container runtimes.

A line is ``2026-01-02T03:04:05.678901Z stdout F text``; P instead of F marks a part of a longer line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["ContainerLog", "LogLine", "LogOptions", "RunLog", "select"]

RUN_BYTES_MAX: Final = 10 * 2**20
"""kubelet ``containerLogMaxSize``; a full file is moved aside once, so a run keeps at most twice this."""

RUNS_KEPT: Final = 2
FOLLOW_LINES_MAX: Final = 10_000
"""A follower this far behind is cut off rather than held in memory."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line, without its newline; ``at`` is RFC 3339 in UTC."""

    at: str
    stream: str
    whole: bool
    text: bytes

    def encode(self) -> bytes:
        """As it stands in the file."""
        return f"{self.at} {self.stream} {'F' if self.whole else 'P'} ".encode() + self.text + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> LogLine | None:
        """The inverse; None for a line that was cut off."""
        parts = line.rstrip(b"\n").split(b" ", 3)
        if len(parts) != 4:
            return None
        return cls(parts[0].decode(), parts[1].decode(), parts[2] == b"F", parts[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """``core/v1 PodLogOptions``, as far as they are served."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None


class RunLog:
    """The log of one run: written here, read by anyone.

    Guarantees:
        ``subscribe`` right after ``lines`` misses nothing and repeats nothing, if no await lies between.
    """

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._path = path
        self._now = now
        self._file: BinaryIO | None = path.open("ab")
        self._size = path.stat().st_size
        self._followers: set[asyncio.Queue[LogLine | None]] = set()

    @property
    def closed(self) -> bool:
        """Whether the run is over."""
        return self._file is None

    def write(self, stream: str, text: bytes, *, whole: bool = True) -> None:
        """Appends one line, moving the file aside first where it is full."""
        if self._file is None:
            return
        line = LogLine(self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"), stream, whole, text)
        data = line.encode()
        if self._size + len(data) > RUN_BYTES_MAX:
            self._file.close()
            self._path.rename(_aside(self._path))
            self._file, self._size = self._path.open("ab"), 0
        self._file.write(data)
        self._file.flush()
        self._size += len(data)
        for queue in list(self._followers):
            self._tell(queue, line)

    def _tell(self, queue: asyncio.Queue[LogLine | None], line: LogLine | None) -> None:
        if line is not None and queue.qsize() < FOLLOW_LINES_MAX:
            queue.put_nowait(line)
        else:
            queue.put_nowait(None)
            self._followers.discard(queue)

    def close(self) -> None:
        """Ends the file and every follower."""
        if self._file is not None:
            self._file.close()
            self._file = None
        for queue in list(self._followers):
            self._tell(queue, None)

    def lines(self) -> Iterator[LogLine]:
        """What is on disk, oldest first."""
        return read_run(self._path)

    def subscribe(self) -> asyncio.Queue[LogLine | None]:
        """Gets every later line, and None at the end."""
        queue: asyncio.Queue[LogLine | None] = asyncio.Queue()
        if self.closed:
            queue.put_nowait(None)
        else:
            self._followers.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[LogLine | None]) -> None:
        """The inverse."""
        self._followers.discard(queue)


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def read_run(path: Path) -> Iterator[LogLine]:
    """The lines of one run, the part moved aside first."""
    for part in (_aside(path), path):
        if part.is_file():
            with part.open("rb") as file:
                yield from filter(None, map(LogLine.decode, file))


class ContainerLog:
    """The runs of one container in one folder; the newest `RUNS_KEPT` stay."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._now = now
        self._open: tuple[int, RunLog] | None = None

    def begin(self, run: int) -> RunLog:
        """A new run; the one before is closed."""
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        log = RunLog(self._path(run), self._now)
        self._open = (run, log)
        for old in self.runs()[:-RUNS_KEPT]:
            self._path(old).unlink(missing_ok=True)
            _aside(self._path(old)).unlink(missing_ok=True)
        return log

    def close(self) -> None:
        """Ends the current run's log."""
        if self._open is not None:
            self._open[1].close()

    def runs(self) -> list[int]:
        """The numbers of the runs on disk, oldest first."""
        return sorted(int(p.stem) for p in self._folder.glob("*.log") if p.stem.isdigit())

    def current(self) -> RunLog | None:
        """The newest run of this node's life, open or closed."""
        return self._open[1] if self._open else None

    def read(self, *, previous: bool) -> list[LogLine] | None:
        """The lines of the newest run, or the one before; None if there is none."""
        runs = self.runs()
        if len(runs) < (2 if previous else 1):
            return None
        return list(read_run(self._path(runs[-2 if previous else -1])))

    def _path(self, run: int) -> Path:
        return self._folder / f"{run}.log"


def select(lines: list[LogLine], options: LogOptions) -> list[LogLine]:
    """The lines asked for: those since a time, of them the last ``tail_lines``."""
    if options.since is not None:
        lines = [line for line in lines if datetime.fromisoformat(line.at) >= options.since]
    if options.tail_lines is not None:
        lines = lines[max(len(lines) - options.tail_lines, 0) :]
    return lines
