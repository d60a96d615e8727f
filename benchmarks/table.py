"""``docs/benchmarks.md``, made from ``benchmarks/results/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from benchmarks.harness import HERE, RESULTS

PAGE: Final = HERE.parent / "docs" / "benchmarks.md"
INTRODUCTION: Final = """\
# Benchmarks

`make bench` runs controllerkit and a small Go program on client-go and controller-runtime in turn, several rounds in
one run, each process accounting for itself, and writes `benchmarks/results/` and this page. What counts is the ratio
of the medians; the times are those of one shared two-core machine. "-" has no peer.

"""
TITLES: Final = {
    "cold_sync": "An informer syncs 20,000 custom resources of 3.3 kB, and takes 20,000 updates, from a static server",
    "real_sync": "The same on the real kube-apiserver",
    "queue": "100,000 keys through the queue",
    "reconcile_throughput": "1,000 custom resources, a ConfigMap and a status for each, on the real kube-apiserver",
    "latency": "1,000 updates a second: from the line on the socket to the reconciler's first line",
    "memory": "What is kept",
}


def render(results: Path = RESULTS) -> str:
    """The page."""
    parts = [INTRODUCTION]
    for name, title in TITLES.items():
        file = results / f"{name}.json"
        if not file.is_file():
            continue
        lines = [f"## {title}\n", "| case | ours | peer | ratio | target | |", "|---|---:|---:|---:|---|---|"]
        for row in json.loads(file.read_text()):
            peer = "-" if row["peer"] is None else f"{row['peer']:,.3g} {row['unit']}"
            ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
            word = {None: "", True: "reached", False: "**missed**"}[row["reached"]]
            ours = f"{row['ours']:,.3g} {row['unit']}"
            lines.append(f"| {row['case']} | {ours} | {peer} | {ratio} | {row['target']} | {word} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def write() -> None:
    """Replaces the page."""
    PAGE.write_text(render())


if __name__ == "__main__":
    write()
