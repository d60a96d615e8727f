"""``python -m operators.etcd run --dry-run`` on the embedded server: a plan is printed, nothing is written."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from controllerkit import Client, kinds
from controllerkit.errors import ApiError, ConfigError
from controllerkit.runtime import wait_until
from operators.etcd.api import EtcdCluster

ROOT = Path(__file__).parents[3]


async def operator(*arguments: str, kubeconfig: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "operators.etcd",
        "run",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60.0)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parity("1d/plan")
async def test_the_plan_of_a_new_cluster_is_printed_and_nothing_is_made(client: Client, tmp_path: Path) -> None:
    await client.create(yaml.safe_load((ROOT / "crds" / "etcdclusters.yaml").read_text()))
    cluster: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "etcd-cluster.yaml").read_text())

    async def created() -> bool:
        try:
            await client.create({**cluster, "metadata": {"name": "db", "namespace": "default"}})
        except (ApiError, ConfigError):
            return False
        return True

    await wait_until(created, what="the CRD is served", timeout_s=10.0)
    before = await client.get(EtcdCluster, "db", "default")
    status, page, _ = await operator("--dry-run", kubeconfig=tmp_path / "kubeconfig")
    assert status == 0
    assert page.startswith(
        "EtcdCluster default/db  (controller etcdcluster)\n  > create Service db\n  > create volume db-0\n"
    )
    assert "  ~ update status of EtcdCluster default/db\n" in page
    assert page.rstrip().endswith("Nothing was written.")
    status, text, _ = await operator("--dry-run", "--json", kubeconfig=tmp_path / "kubeconfig")
    data = json.loads(text)
    assert (status, data["changes"], data["errors"]) == (0, True, False)
    assert [each["action"] for each in data["objects"][0]["actions"]] == ["CreateService", "CreateVolume"]
    assert (await client.get(EtcdCluster, "db", "default")).resource_version == before.resource_version
    for kind in (kinds.POD, kinds.SERVICE, kinds.PERSISTENT_VOLUME_CLAIM, kinds.EVENT):
        found = [each.name for each in (await client.list(kind, "default")).items if each.name != "kubernetes"]
        assert found == []


async def test_json_without_a_dry_run_is_refused(tmp_path: Path) -> None:
    status, _, told = await operator("--json", kubeconfig=tmp_path / "kubeconfig")
    assert (status, told) == (2, "etcd operator: --json is for a dry run; add --dry-run\n")
