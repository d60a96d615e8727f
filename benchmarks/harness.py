"""Runs ours and the peer in turn, several rounds in one run, and keeps the medians.

A time alone says little on a machine that others use; a ratio against a peer measured a moment before and after does.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from controllerkit.devcluster.binaries import BinaryCache, Component

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results"
PEER: Final = "client-go, controller-runtime"
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. ``ratio`` is ours to the peer's; ``target`` is what it, or ours where there is no peer, must reach.

    ``spread`` is the width of ours over the rounds, as a part of its median.
    """

    name: str
    case: str
    unit: str
    ours: float
    peer: float | None
    peer_name: str
    peer_version: str
    ratio: float | None
    rounds: int
    spread: float
    target: str
    reached: bool | None

    def __str__(self) -> str:
        peer = "-" if self.peer is None else f"{self.peer:,.3g}"
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        word = {None: "", True: "reached", False: "MISSED"}[self.reached]
        return f"{self.case:<44} {self.ours:>10,.3g} {peer:>10} {self.unit:<6} {ratio:>6}  {self.target:<12} {word}"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must reach: a bound of the ratio to the peer's, or of ours alone."""

    bound: float
    of: str = "ratio"
    at_least: bool = False

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.bound:.3g}x" if self.of == "ratio" else f"{sign} {self.bound:g}"

    def reached(self, ours: float, ratio: float | None) -> bool | None:
        value = ratio if self.of == "ratio" else ours
        if value is None:
            return None
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a case: its key in what the processes print, its unit, and what it must reach."""

    key: str
    unit: str
    target: Target | None = None

    @property
    def label(self) -> str:
        """The key in words, without its unit."""
        suffix = {"/s": "_per_s", "": ""}.get(self.unit, f"_{self.unit.lower()}")
        return self.key.removesuffix(suffix).replace("_", " ")


def peer_binary(progress: Callable[[str], None]) -> Path:
    """The Go peer, built once into the cache."""
    components = {"peer": Component(folder="go", packages={"peer": "benchmarks/peer"})}
    return BinaryCache(testbed=HERE / "peers", progress=progress, components=components).ensure("peer", "peer")


def peer_version() -> str:
    """What go.mod pins."""
    wanted = ("k8s.io/client-go", "sigs.k8s.io/controller-runtime")
    lines = (HERE / "peers" / "go" / "go.mod").read_text().split("\n")
    return ", ".join(line.split()[1] for name in wanted for line in lines if line.strip().startswith(name))


OURS: Final = (sys.executable, "-m", "benchmarks.ours")


@contextmanager
def process(command: Sequence[str]) -> Any:
    """A measured process and its pipes; killed where the benchmark fails."""
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
    try:
        yield child
        if child.wait(timeout=60) != 0:
            raise SystemExit(f"{' '.join(command)} ended with status {child.returncode}")
    finally:
        child.kill()
        child.wait()


def line_of(child: subprocess.Popen[str]) -> str:
    """The next line a measured process prints."""
    stdout: IO[str] | None = child.stdout
    line = stdout.readline() if stdout else ""
    if not line:
        raise SystemExit(f"{child.args!r} said nothing more")
    return line.strip()


def go_on(child: subprocess.Popen[str]) -> None:
    """Lets a measured process that waits go on."""
    if child.stdin:
        child.stdin.write("go\n")
        child.stdin.flush()


def compare(
    name: str,
    case: str,
    figures: Sequence[Figure],
    ours: Callable[[], Figures],
    peer: Callable[[], Figures] | None,
    *,
    rounds: int,
    say: Callable[[str], None],
) -> list[Row]:
    """Alternates ``ours`` and ``peer`` over ``rounds`` and gives one row per figure."""
    mine: list[Figures] = []
    theirs: list[Figures] = []
    for number in range(rounds):
        say(f"{name} {case}: round {number + 1} of {rounds}")
        mine.append(ours())
        if peer is not None:
            theirs.append(peer())
    rows = []
    for figure in figures:
        values = [each[figure.key] for each in mine]
        middle = statistics.median(values)
        other = statistics.median(each[figure.key] for each in theirs) if theirs else None
        ratio = middle / other if other else None
        rows.append(
            Row(
                name=name,
                case=f"{case}, {figure.label}",
                unit=figure.unit,
                ours=round(middle, 4),
                peer=None if other is None else round(other, 4),
                peer_name=PEER if theirs else "",
                peer_version=peer_version() if theirs else "",
                ratio=None if ratio is None else round(ratio, 4),
                rounds=rounds,
                spread=round((max(values) - min(values)) / middle, 3) if middle else 0.0,
                target=str(figure.target or ""),
                reached=figure.target.reached(middle, ratio) if figure.target else None,
            )
        )
    return rows


def write(name: str, rows: Sequence[Row]) -> None:
    """Keeps the rows of one benchmark in ``results/``."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(
        json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False) + "\n"
    )
