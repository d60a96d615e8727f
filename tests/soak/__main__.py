"""``python -m tests.soak --seconds 600``: exit status 0 only if every cache was right in the end."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.control_plane import ControlPlane
from controllerkit.runtime import configure_logging
from tests.soak.soak import soak


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is a program


async def main(seconds: float, seed: int, out: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="controllerkit-soak-") as folder:
        async with ControlPlane(
            cache=BinaryCache(progress=say), data_dir=Path(folder) / "plane", with_controllers=False
        ) as plane:
            report = await soak(plane, seconds=seconds, seed=seed, say=say)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report.to_dict(), indent=2) + "\n")
    say(f"{'all is equal' if not report.problems else 'NOT EQUAL'}; {out}")
    for problem in report.problems[:20]:
        say(f"  {problem}")
    return 1 if report.problems else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/soak.json"))
    chosen = parser.parse_args()
    configure_logging()
    sys.exit(asyncio.run(main(chosen.seconds, chosen.seed, chosen.out)))
