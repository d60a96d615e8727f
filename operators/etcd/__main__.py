"""``python -m operators.etcd run``: the operator as a process."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from controllerkit.client import Client
from controllerkit.controller import as_data, as_text
from controllerkit.errors import ConfigError, ControllerkitError
from controllerkit.manager import Manager
from controllerkit.runtime import configure_logging
from controllerkit.wire.recording import RecordOptions
from operators.etcd.cluster import EtcdClusterReconciler
from operators.etcd.versions import VersionMap

__all__ = ["main"]

FIELD_MANAGER = "etcd-operator"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m operators.etcd", description="The etcd operator.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="keep EtcdClusters as their specs say, until SIGTERM")
    run.add_argument("--kubeconfig", help="the file; else $KUBECONFIG, the ServiceAccount of a Pod, ~/.kube/config")
    run.add_argument("--context", help="the kubeconfig's context, where it is not the current one")
    run.add_argument("--namespace", help="serve this namespace alone; else all")
    run.add_argument(
        "--map-version",
        action="append",
        default=[],
        metavar="REQUESTED=RUN",
        help="run another version than was asked for, as 3.2.*=3.7.3; repeatable, the first match counts",
    )
    run.add_argument("--metrics-address", metavar="HOST:PORT", help="serve /metrics, /healthz and /readyz there")
    run.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="keep what it sees of the cluster and asks of the API server, for `controllerkit replay`; calls to etcd "
        "members are not in it",
    )
    run.add_argument("--log-level", default="INFO", help="DEBUG, INFO, WARNING or ERROR")
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would be done now and why, and end; nothing is written, the API server only judges the writes",
    )
    run.add_argument("--json", action="store_true", help="the dry run as JSON")
    return parser


async def _run(arguments: argparse.Namespace) -> int:
    if arguments.json and not arguments.dry_run:
        raise ConfigError("--json is for a dry run; add --dry-run")
    mapping = VersionMap.parse(arguments.map_version)
    client = await Client.connect(
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        field_manager=FIELD_MANAGER,
        user_agent=FIELD_MANAGER,
    )
    reconciler = EtcdClusterReconciler(mapping=mapping)
    try:
        manager = Manager(
            client,
            namespace=arguments.namespace,
            metrics_address=arguments.metrics_address,
            preflight=True,
            record=None if arguments.record is None else RecordOptions(path=arguments.record),
            dry_run=arguments.dry_run,
        )
        manager.add(reconciler)
        if arguments.dry_run:
            return await _show_plan(manager, as_json=arguments.json)
        await manager.run_until_signal()
        return 0
    finally:
        await reconciler.aclose()
        await client.aclose()


async def _show_plan(manager: Manager, *, as_json: bool) -> int:
    previews = await manager.plan()
    data = as_data(previews)
    print(json.dumps(data, indent=2) if as_json else as_text(previews))  # noqa: T201 - what was asked for
    return int(data["errors"])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit code is 0, 1 where it failed, 2 where it was called wrongly, 130 interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        configure_logging(level=arguments.log_level)
        return asyncio.run(_run(arguments))
    except ConfigError as error:
        print(f"etcd operator: {error}", file=sys.stderr)  # noqa: T201 - logging is what may be misconfigured
        return 2
    except ControllerkitError as error:
        print(f"etcd operator: {error}", file=sys.stderr)  # noqa: T201 - the last word of a process
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
