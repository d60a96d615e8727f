"""Every subject through its seeds, and every planted mistake until a seed finds it; results in ``build/sweep.json``.

Exit status: 0 all seeds passed and all mistakes were found, 1 not so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from controllerkit.errors import SimulationFailed
from controllerkit.runtime import configure_logging
from tests.sweep.subject import Subject
from tests.sweep.subjects import SUBJECTS

BUILD = Path(__file__).parents[2] / "build"


@dataclass(frozen=True)
class Row:
    """One line of the table: a subject without a mistake, or with one."""

    subject: str
    mistake: str
    seeds: int
    cpu_s: float
    right: bool
    told: str

    def __str__(self) -> str:
        rate = f"{self.seeds / self.cpu_s:7.1f}" if self.cpu_s else ""
        mark = "ok  " if self.right else "FAIL"
        what = f"{self.subject:14}  {self.mistake or '-':22}"
        return f"{mark}  {what}  {self.seeds:5}  {self.cpu_s:7.1f}  {rate}  {self.told}"


HEAD = f"{'':4}  {'subject':14}  {'planted mistake':22}  {'seeds':>5}  {'CPU s':>7}  {'seeds/s':>7}"


def swept(subject: Subject, seeds: int) -> Row:
    began = time.process_time()
    try:
        report = subject.sweep(range(seeds))
    except SimulationFailed as failed:
        return Row(subject.name, "", failed.seed + 1, time.process_time() - began, False, str(failed))
    told = f"{report.writes} writes, {report.starts} starts, {sum(report.faults.values())} faults"
    return Row(subject.name, "", seeds, time.process_time() - began, True, told)


def searched(subject: Subject, bug: Any, seeds: int) -> Row:
    began = time.process_time()
    failed = subject.find(bug, seeds)
    cpu_s = time.process_time() - began
    if failed is None:
        return Row(subject.name, bug.__name__, seeds, cpu_s, False, "not found")
    return Row(subject.name, bug.__name__, failed.seed + 1, cpu_s, True, f"seed {failed.seed}: {failed.problem}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--only", default="", help="subjects whose name begins so")
    options = parser.parse_args()
    configure_logging(level="CRITICAL")  # failures are what a simulation makes
    say(HEAD)
    rows = []
    for subject in SUBJECTS:
        if subject.name.startswith(options.only):
            jobs = [lambda subject=subject: swept(subject, options.seeds)]
            jobs += [lambda subject=subject, bug=bug: searched(subject, bug, options.seeds) for bug in subject.bugs]
            for job in jobs:
                rows.append(job())
                say(str(rows[-1]))
    BUILD.mkdir(exist_ok=True)
    (BUILD / "sweep.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0 if rows and all(row.right for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
