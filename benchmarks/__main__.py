"""What controllerkit costs, beside client-go and controller-runtime in the same run.

    python -m benchmarks                         every benchmark; some minutes
    python -m benchmarks --only queue --rounds 5

Writes ``benchmarks/results/<name>.json`` and the table in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import cases, harness, table


def main() -> int:
    """Measures, writes, prints; the exit code is 1 where a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--only", action="append", choices=sorted(cases.BENCHMARKS), help="repeatable")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    arguments = parser.parse_args()
    missed = False
    for name in arguments.only or cases.BENCHMARKS:
        rows = cases.BENCHMARKS[name](arguments.rounds, lambda line: print(line, file=sys.stderr, flush=True))
        harness.write(name, rows)
        sys.stdout.writelines(f"{row}\n" for row in rows)
        missed = missed or any(row.reached is False for row in rows)
    table.write()
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
