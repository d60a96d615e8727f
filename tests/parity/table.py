"""Makes ``docs/parity.md``: what the best frameworks have and test, and which test here shows that this one does too.

    python -m tests.parity.table

A row claims nothing by itself: it is the marks ``@pytest.mark.parity(id, ...)`` in ``tests/`` that fill it, and in
transcripts the comments ``# parity: id ...``.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent.parent
TRANSCRIPT_MARK: Final = "# parity: "
PAGE: Final = TESTS.parent / "docs" / "parity.md"
PEERS: Final = ("client-go, controller-runtime", "kube-rs", "JOSDK", "kopf")
FEATURES: Final = {
    "1a": "Reflector",
    "1b": "Store, informer, cache",
    "1c": "Queue",
    "1d": "Controller, handlers, sources",
    "1e": "Manager",
    "1f": "Client, events, tests",
}
SCENARIOS: Final = {
    "2.1": "Reflector",
    "2.2": "Store and shared informer",
    "2.3": "Workqueue",
    "2.4": "Priority queue",
    "2.5": "Controller",
    "2.6": "Leader election",
    "2.7": "Events",
    "2.8": "Manager",
    "2.9": "Read your writes",
}
INTRODUCTION: Final = """\
# Parity

What client-go with controller-runtime, kube-rs, JOSDK and kopf have, and what is shown here by a test. This page is
made by `python -m tests.parity.table` from the tables in `tests/parity/` and the marks `@pytest.mark.parity(...)` on
the tests; a test fails when it is out of date, and a row without a marked test claims nothing.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A feature (``peers``: Y, part, N, ? or - for each of PEERS) or a scenario (``source``: the peer's test file)."""

    id: str
    what: str
    peers: tuple[str, ...] = ()
    source: str = ""
    not_applicable: str = ""

    @property
    def section(self) -> str:
        """``2.3`` of ``2.3/add-while-processing``."""
        return self.id.partition("/")[0]


@dataclass(slots=True)
class Parity:
    """The rows, and the tests that name each id."""

    rows: list[Row]
    shown: dict[str, list[str]] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Marks of unknown ids, ids that are twice there, rows both shown and said not to apply."""
        known = [row.id for row in self.rows]
        told = [f"{each} is in two rows" for each in sorted({each for each in known if known.count(each) > 1})]
        for mark in sorted(self.shown.keys() - known):
            told += [f"{test} marks {mark}, which is no row" for test in self.shown[mark]]
        for row in self.rows:
            if row.section not in FEATURES | SCENARIOS:
                told.append(f"{row.id} is of no known section")
            if row.not_applicable and row.id in self.shown:
                told.append(f"{row.id} does not apply, yet {self.shown[row.id]} show it")
        return told

    def missing(self) -> list[Row]:
        """Scenarios without a test and without a reason."""
        return [row for row in self.rows if not row.peers and not row.not_applicable and row.id not in self.shown]


def read() -> Parity:
    """The tables and marks of this checkout."""
    tables = [tomllib.loads(file.read_text()) for file in sorted((TESTS / "parity").glob("*.toml"))]
    entries = [each for table in tables for each in (*table.get("feature", ()), *table.get("scenario", ()))]
    rows = [Row(**{**each, "peers": tuple(each.get("peers", ()))}) for each in entries]
    shown: dict[str, list[str]] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        for mark, test in _marks(ast.parse(file.read_text())):
            shown.setdefault(mark, []).append(f"{file.relative_to(TESTS)}::{test}")
    for file in sorted((TESTS / "scenarios").rglob("*.txt")):
        for line in file.read_text().splitlines():
            for mark in line.removeprefix(TRANSCRIPT_MARK).split() if line.startswith(TRANSCRIPT_MARK) else ():
                shown.setdefault(mark, []).append(f"{file.relative_to(TESTS)}::{file.stem}.txt")
    return Parity(rows, shown)


def _marks(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.parity":
                    for argument in decorator.args:
                        yield ast.literal_eval(argument), node.name


def render(parity: Parity) -> str:
    """The page."""
    scenarios = [row for row in parity.rows if not row.peers]
    missing = parity.missing()
    not_applicable = [row for row in scenarios if row.not_applicable]
    lines = [INTRODUCTION]
    lines.append(
        f"{len(scenarios)} scenarios of their tests: {len(scenarios) - len(missing) - len(not_applicable)} shown by"
        f" tests here, {len(not_applicable)} do not apply, {len(missing)} are missing.\n"
    )
    lines.append("## Features\n")
    for section, title in FEATURES.items():
        lines += [f"### {title}\n", f"| feature | here | {' | '.join(PEERS)} |", "|---" * 6 + "|"]
        lines += [_feature(row, parity) for row in parity.rows if row.section == section]
        lines.append("")
    lines.append("## Scenarios\n")
    for section, title in SCENARIOS.items():
        lines += [f"### {title}\n", "| scenario | its test file there | here |", "|---|---|---|"]
        lines += [_scenario(row, parity) for row in parity.rows if row.section == section]
        lines.append("")
    return "\n".join(lines)


def _feature(row: Row, parity: Parity) -> str:
    here = f"Y ({_tests(parity.shown[row.id])})" if row.id in parity.shown else row.not_applicable or "N"
    return f"| {row.what} | {here} | {' | '.join(row.peers)} |"


def _scenario(row: Row, parity: Parity) -> str:
    if row.id in parity.shown:
        here = _tests(parity.shown[row.id])
    else:
        here = f"does not apply: {row.not_applicable}" if row.not_applicable else "**missing**"
    return f"| {row.what} | {row.source} | {here} |"


def _tests(names: list[str]) -> str:
    first = names[0].partition("::")
    link = f"[{first[2]}](../tests/{first[0]})"
    return link if len(names) == 1 else f"{link} and {len(names) - 1} more"


if __name__ == "__main__":
    PAGE.write_text(render(read()))
