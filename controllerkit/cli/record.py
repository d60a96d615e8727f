"""``controllerkit record`` and ``controllerkit replay``: what an operator did, and what other code would have done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from controllerkit.cli.run import (
    Context,
    Kubeconfig,
    LeaderElect,
    MetricsAddress,
    Namespace,
    Shard,
    Targets,
    maker,
    operate,
)
from controllerkit.errors import ConfigError

__all__ = ["RECORD_HELP", "REPLAY_HELP", "record", "replay"]

RECORD_HELP = """Run reconcilers as `controllerkit run` does, and keep what they see and do in a file.

The file holds every call to the API server with its answer, and every event of the watches with its time. Of Secrets
data and stringData are replaced by a keyed hash before anything is written, as are the tokens of TokenReview and
TokenRequest; credentials are never in it. Everything else is in it as it is, ConfigMaps too: hide what must not be read
by --redact. The file is readable by its owner alone. At --max-size or --max-time the recording ends, which is said; the
operator goes on.

Examples:

  controllerkit record examples/website.py --out run.ckrec

  controllerkit record shop.operator --out run.ckrec --max-time 600 --redact ConfigMap:data.password
"""

REPLAY_HELP = """Run reconcilers on a recorded cluster, and show the writes in which they differ from the recorded ones.

Nothing is sent anywhere, and nothing waits: time is virtual. Per object every write is the same, different (by field),
missing, or new. What differs between any two runs is not compared: docs/recording.md has the list.

Exit status: 0 no difference, 1 there are differences, 2 the recording cannot be read or lacks what the code asks for.

Examples:

  controllerkit replay run.ckrec examples/website.py

  controllerkit replay run.ckrec shop.operator --json | jq '.objects[] | select(.differs)'
"""

_UNITS: Final = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_COLOURS: Final = {"same": "green", "different": "yellow", "missing": "red", "new": "cyan", "": ""}


def record(
    targets: Targets,
    out: Annotated[Path, typer.Option(metavar="FILE", help="where to; must not exist yet")],
    max_size: Annotated[str, typer.Option(metavar="BYTES", help="of the file, as 16Mi")] = "64Mi",
    max_time: Annotated[float | None, typer.Option(metavar="SECONDS", help="end after so long; else never")] = None,
    redact: Annotated[
        list[str] | None, typer.Option(metavar="[KIND:]PATH", help="hide this too; repeatable; * is any field or item")
    ] = None,
    namespace: Namespace = None,
    metrics_address: MetricsAddress = None,
    leader_elect: LeaderElect = None,
    shard: Shard = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR")] = "INFO",
) -> None:
    """See ``RECORD_HELP``."""
    from controllerkit.wire.recording import RecordOptions

    options = RecordOptions(path=out, redact=tuple(redact or ()), size_max_bytes=_bytes(max_size), time_max_s=max_time)
    operate(
        targets,
        kubeconfig=kubeconfig,
        context=context,
        leader_elect=leader_elect,
        shard=shard,
        log_level=log_level,
        namespace=namespace,
        metrics_address=metrics_address,
        record=options,
    )


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+)(Ki|Mi|Gi)?", text)
    if found is None:
        raise ConfigError(f"--max-size is a number of bytes such as 64Mi, got {text!r}")
    return int(found[1]) * _UNITS[found[2] or ""]


def replay(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="a file of `controllerkit record`")],
    targets: Targets,
    seed: Annotated[int, typer.Option(help="of the order in which tasks take turns")] = 0,
    partial: Annotated[
        bool, typer.Option("--partial", help="what is whole of a file that breaks off is enough")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="everything as JSON, writes that are the same too")] = False,
) -> None:
    """See ``REPLAY_HELP``."""
    from controllerkit.runtime import configure_logging
    from controllerkit.testing.replay import replay as replayed
    from controllerkit.wire.recording import read_recording

    configure_logging(level="CRITICAL")  # what the new code meets is in the report
    report = replayed(read_recording(recording, partial=partial), [maker(each) for each in targets], seed=seed)
    if as_json:
        print(json.dumps(report.data(), indent=2))
    else:
        console = Console(soft_wrap=True, highlight=False)
        for colour, line in report.lines():
            console.print(Text(line, style=_COLOURS[colour]))
    if report.differs:
        raise typer.Exit(1)
