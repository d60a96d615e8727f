"""``controllerkit dev``: a cluster on this machine."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from controllerkit.devcluster import Bed, BedKind, BinaryCache, ImageTable, open_bed
from controllerkit.errors import ConfigError
from controllerkit.runtime import configure_logging

app = typer.Typer(help="A development cluster on this machine.", no_args_is_help=True)

UP_HELP = """Start a cluster and keep it until Ctrl-C.

Without options the API server is controllerkit's own, and Pods run as sandboxed processes: nothing but
bubblewrap is needed. --real takes the real kube-apiserver, controller manager and scheduler; --cluster adds
kubelet, containerd, kube-proxy and CoreDNS (root only).

Examples:

  controllerkit dev up

  controllerkit dev up --real --data-dir /tmp/dev

  export KUBECONFIG=/tmp/dev/kubeconfig; kubectl get pods -A
"""


@app.command(help=UP_HELP)
def up(
    real: Annotated[bool, typer.Option("--real", help="the real control plane, Pods as processes")] = False,
    cluster: Annotated[bool, typer.Option("--cluster", help="the full real cluster, Pods as containers; root")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="keep the state here; a temporary folder otherwise")] = None,
    images: Annotated[Path | None, typer.Option(help="YAML file with further image references and binaries")] = None,
    log_level: Annotated[
        str, typer.Option(help="how much the cluster's own controllers say, on standard error")
    ] = "WARNING",
    as_json: Annotated[bool, typer.Option("--json", help="say what runs as one JSON line")] = False,
) -> None:
    """See ``UP_HELP``."""
    if real and cluster:
        raise ConfigError("--real and --cluster are two different clusters; choose one")
    configure_logging(level=log_level)
    kind = BedKind.CLUSTER if cluster else BedKind.REAL if real else BedKind.EMBEDDED
    asyncio.run(_up(kind, data_dir, images, as_json=as_json))


async def _up(kind: BedKind, data_dir: Path | None, images_file: Path | None, *, as_json: bool) -> None:
    cache = BinaryCache(progress=_tell)
    images = ImageTable.default(cache)
    if images_file is not None:
        images.extend(images_file)
    stop = asyncio.Event()
    starting = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _interrupt, stop, starting)
    async with open_bed(kind, data_dir=data_dir, images=images, cache=cache, progress=_tell) as bed:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _interrupt, stop, None)
        _say_what_runs(bed, as_json=as_json)
        await stop.wait()
        _tell("stopping")


def _interrupt(stop: asyncio.Event, starting: asyncio.Task[Any] | None) -> None:
    """Once up: ends the waiting. Before that: cancels the start, which undoes itself; a second time changes nothing."""
    stop.set()
    if starting is not None and not starting.cancelling():
        starting.cancel()


def _say_what_runs(bed: Bed, *, as_json: bool) -> None:
    if as_json:
        facts = {"api_server": bed.kind.value, "kubeconfig": str(bed.kubeconfig), "enter": list(bed.shell_prefix)}
        print(json.dumps(facts), flush=True)
        return
    kubectl = shlex.join([*bed.shell_prefix, "kubectl", "get", "pods", "-A"])
    print(f"The cluster is up ({bed.kind.value}).\n\n  export KUBECONFIG={bed.kubeconfig}\n  {kubectl}\n")
    print("Pods can run:", ", ".join(bed.images.known()))
    print("Ctrl-C ends it.", flush=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
