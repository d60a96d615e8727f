"""Faults for tests: Pods that cannot talk, containers that stand still."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

from controllerkit.devcluster.process import run_program
from controllerkit.errors import DevClusterError

__all__ = ["partition_rules", "set_partition", "signal_processes"]


def partition_rules(pod_ip: str, *, node_too: bool) -> Iterator[tuple[str, ...]]:
    """The rules that cut a Pod off, each as chain and match.

    FORWARD holds what passes between Pods; INPUT and OUTPUT what passes between the Pod and the node.
    """
    yield "FORWARD", "--source", pod_ip
    yield "FORWARD", "--destination", pod_ip
    if node_too:
        yield "INPUT", "--source", pod_ip
        yield "OUTPUT", "--destination", pod_ip


def set_partition(pod_ip: str, *, cut: bool, node_too: bool) -> None:
    """Adds or removes the rules. Runs iptables in the calling thread's network namespace.

    Adding first removes, so that a Pod is never cut off twice and healed once.
    """
    for chain, *match in partition_rules(pod_ip, node_too=node_too):
        rule = [chain, *match, "--jump", "DROP"]
        with suppress(DevClusterError):  # there was none
            run_program(["iptables", "--wait", "--delete", *rule])
        if cut:
            run_program(["iptables", "--wait", "--insert", *rule])


def signal_processes(pids: set[int], number: signal.Signals) -> None:
    """Sends a signal to each that still is."""
    for pid in sorted(pids):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
