"""``python -m operators.etcd run``: the operator as a process."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from controllerkit.client import Client
from controllerkit.errors import ConfigError, ControllerkitError
from controllerkit.manager import Manager
from controllerkit.runtime import configure_logging
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
    run.add_argument("--log-level", default="INFO", help="DEBUG, INFO, WARNING or ERROR")
    return parser


async def _run(arguments: argparse.Namespace) -> None:
    mapping = VersionMap.parse(arguments.map_version)
    client = await Client.connect(
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        field_manager=FIELD_MANAGER,
        user_agent=FIELD_MANAGER,
    )
    reconciler = EtcdClusterReconciler(mapping=mapping)
    try:
        manager = Manager(client, namespace=arguments.namespace, metrics_address=arguments.metrics_address)
        manager.add(reconciler)
        await manager.run_until_signal()
    finally:
        await reconciler.aclose()
        await client.aclose()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit code is 0, 1 where the operator failed, 2 where it was called wrongly."""
    arguments = _parser().parse_args(argv)
    try:
        configure_logging(level=arguments.log_level)
        asyncio.run(_run(arguments))
    except ConfigError as error:
        print(f"etcd operator: {error}", file=sys.stderr)  # noqa: T201 - logging is what may be misconfigured
        return 2
    except ControllerkitError as error:
        print(f"etcd operator: {error}", file=sys.stderr)  # noqa: T201 - the last word of a process
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
