"""``python -m operators.etcd run --record``: what it does without members to ask is the same in a replay."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import yaml

from controllerkit import Client, kinds
from controllerkit.client import wait_for
from controllerkit.testing import served
from controllerkit.testing.replay import replay
from controllerkit.wire.recording import read_recording
from operators.etcd.api import EtcdCluster
from operators.etcd.cluster import EtcdClusterReconciler
from tests.unit.etcd.test_dry_run import ROOT, operator


async def test_the_operator_is_recorded_until_sigterm_and_does_the_same_in_a_replay(
    client: Client, tmp_path: Path
) -> None:
    await client.create(yaml.safe_load((ROOT / "crds" / "etcdclusters.yaml").read_text()))
    await served(client, EtcdCluster)
    cluster: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "etcd-cluster.yaml").read_text())
    await client.create({**cluster, "metadata": {"name": "db", "namespace": "default"}})
    out = tmp_path / "run.ckrec"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "operators.etcd", "run", "--record", str(out)),
        cwd=ROOT,
        env={**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "PYTHONPATH": str(ROOT)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await wait_for(client, kinds.POD, "db-0", lambda pod: pod is not None, timeout_s=30.0)
        process.send_signal(signal.SIGTERM)
        _, told = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, told.decode()
    report = await asyncio.to_thread(replay, read_recording(out), [EtcdClusterReconciler])
    assert not report.differs, str(report)
    written = {each.resource for each in report.objects}
    assert written >= {"pods", "services", "persistentvolumeclaims", "etcdclusters.etcd.database.coreos.com"}


async def test_a_dry_run_is_not_recorded(client: Client, tmp_path: Path) -> None:
    status, _, told = await operator("--dry-run", "--record", str(tmp_path / "r"), kubeconfig=tmp_path / "kubeconfig")
    assert (status, told) == (2, "etcd operator: a dry run is not recorded: say either record=… or dry_run=True\n")
    assert not (tmp_path / "r").exists()
