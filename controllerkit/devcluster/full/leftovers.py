"""What a run leaves when it is killed, written down so that the next one can clean up.

The kernel ends every process and drops every mount of the node by itself (see `nodespace`). What stays is the
network namespace's name, empty control groups and this record.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controllerkit.devcluster.full.cgroups import remove_groups
from controllerkit.devcluster.full.netns import forget_namespace
from controllerkit.devcluster.process import process_stamp

__all__ = ["RECORDS", "RunRecord", "sweep"]

RECORDS: Final = Path("/run/controllerkit")
END_TIMEOUT_S: Final = 10.0


@dataclass(slots=True)
class RunRecord:
    """One cluster's entry: who started it, and which processes it has.

    Processes are pairs of number and start time, so that a number which the kernel has given to another process
    since is never taken for ours.
    """

    name: str
    folder: Path = RECORDS
    owner: tuple[int, str] = field(default_factory=lambda: (os.getpid(), process_stamp(os.getpid())))
    processes: list[tuple[int, str]] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The entry's file."""
        return self.folder / f"{self.name}.json"

    def add(self, *pids: int) -> None:
        """Writes processes down."""
        self.processes += [(pid, process_stamp(pid)) for pid in pids]
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps({"owner": self.owner, "processes": self.processes}))
        partial.rename(self.path)

    def forget(self) -> None:
        """Removes the entry, and the folder with the last one."""
        self.path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    @classmethod
    def load(cls, path: Path) -> RunRecord | None:
        """The entry in this file; None where it is no entry."""
        try:
            content = json.loads(path.read_text())
            return cls(
                name=path.stem,
                folder=path.parent,
                owner=(int(content["owner"][0]), str(content["owner"][1])),
                processes=[(int(pid), str(stamp)) for pid, stamp in content["processes"]],
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None


def sweep(folder: Path = RECORDS) -> list[str]:
    """Removes what clusters left whose owner is gone; returns their names. Those that still run are not touched.

    Blocks for as long as the last processes need to end.
    """
    swept: list[str] = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        record = RunRecord.load(path)
        if record is None or _alive(record.owner):
            continue
        _end([process for process in record.processes if _alive(process)])
        remove_groups(record.name)
        forget_namespace(record.name)
        record.forget()
        swept.append(record.name)
    return swept


def _alive(process: tuple[int, str]) -> bool:
    pid, stamp = process
    return bool(stamp) and process_stamp(pid) == stamp


def _end(processes: list[tuple[int, str]]) -> None:
    for pid, _ in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + END_TIMEOUT_S
    while any(_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
