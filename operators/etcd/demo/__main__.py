"""``python -m operators.etcd.demo``: a real etcd cluster, created and healed, in under a minute.

Exit status: 0 every acknowledged write is there, 1 one is lost or an act did not come to its end, 2 it cannot
run here (one sentence says what to do), 130 interrupted. Whatever happens, no process is left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from controllerkit.devcluster import BedKind, BinaryCache, ImageTable, open_bed
from controllerkit.errors import ConfigError, ControllerkitError, DevClusterError
from controllerkit.runtime import SystemClock, configure_logging
from operators.etcd.api import DEFAULT_REPOSITORY
from operators.etcd.demo.acts import SIZE, Performance, Report
from operators.etcd.demo.newest import find_etcd
from operators.etcd.demo.screen import make_screen
from operators.etcd.demo.stage import OperatorProcess, Stage

NAME: Final = "example-etcd-cluster"


async def demonstrate(api: BedKind, folder: Path) -> int:
    """Plays the demonstration and writes ``folder/demo.json``; returns the exit status."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "demo-cluster.log").open("w") as log:
        configure_logging(stream=log)
        return await _demonstrate(api, folder)


async def _demonstrate(api: BedKind, folder: Path) -> int:
    cache = BinaryCache(progress=_tell)
    etcd = find_etcd(cache, _tell, static=api is BedKind.CLUSTER)
    _tell(f"etcd {etcd.version}, {etcd.source}: {etcd.binary}")
    images = ImageTable.default(cache)
    images.register(
        f"{DEFAULT_REPOSITORY}:v{etcd.version}",
        files={"/usr/local/bin/etcd": etcd.binary},
        entrypoint=("/usr/local/bin/etcd",),
    )
    _tell(f"starting the development cluster ({api.value})")
    async with open_bed(api, cache=cache, images=images, progress=_tell) as bed:
        stage = Stage(bed, NAME)
        await stage.install_crd()
        operator = OperatorProcess(bed.kubeconfig, folder / "demo-operator.log")
        operator.log_file.unlink(missing_ok=True)
        screen = make_screen()
        try:
            operator.start()
            performance = Performance(stage, screen, Report(etcd.version, api.value), clock=SystemClock())
            report = await performance.play({"size": SIZE, "version": etcd.version})
        except ControllerkitError:
            _tell(f"the end of the operator's log ({operator.log_file}):\n{operator.last_lines()}")
            raise
        finally:
            screen.close()
            await operator.stop()
    path = folder / "demo.json"
    path.write_text(json.dumps(asdict(report), indent=2) + "\n")
    print(path.read_text(), end="")  # noqa: T201
    return 1 if report.lost_writes or not report.acknowledged_writes else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def main() -> int:
    """Parses the command line, runs, turns errors into a sentence and a status."""
    parser = argparse.ArgumentParser(prog="python -m operators.etcd.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--api", type=BedKind, choices=list(BedKind), default=BedKind.EMBEDDED, help="which cluster")
    parser.add_argument("--build", type=Path, default=Path("build"), help="folder for demo.json and the log")
    arguments = parser.parse_args()
    try:
        return asyncio.run(_until_interrupted(demonstrate(arguments.api, arguments.build)))
    except (DevClusterError, ConfigError) as error:
        _tell(f"demo: {error}")
        return 2
    except ControllerkitError as error:
        _tell(f"demo: {error}")
        return 1
    except asyncio.CancelledError:
        return 130


async def _until_interrupted(demonstration: Coroutine[Any, Any, int]) -> int:
    """Ends it, and all it started, at the first SIGINT or SIGTERM; a second one does not cut the ending short."""
    task = asyncio.create_task(demonstration)
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        _tell("interrupted; stopping what was started")
        if not task.cancelling():
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    return await task


if __name__ == "__main__":
    raise SystemExit(main())
