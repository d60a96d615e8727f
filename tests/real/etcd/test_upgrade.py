"""A real upgrade, 3.6 to 3.7 under writes: one member at a time, the leader last, nothing lost."""

from __future__ import annotations

import pytest

from controllerkit.devcluster.binaries import ETCD_VERSIONS
from controllerkit.objects import Object, find_condition, kinds
from controllerkit.runtime import wait_until
from operators.etcd.api import EtcdCluster
from operators.etcd.demo.stage import OperatorProcess, Stage
from tests.real.etcd.test_scenarios import writing

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

OLD, NEW = ETCD_VERSIONS["3.6"], ETCD_VERSIONS["3.7"]


async def upgraded(stage: Stage) -> bool:
    status = await stage.status()
    return status.get("currentVersion") == NEW and not status.get("plan")


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "operator killed"])
async def test_a_cluster_is_upgraded_while_it_serves(stage: Stage, operator: OperatorProcess, killed: bool) -> None:
    await stage.create({"size": 3, "version": OLD})
    await stage.wait_healthy(3)
    before = {member["name"]: member["id"] for member in (await stage.status())["memberStatuses"]}
    async with writing(stage):
        await stage.client.patch(EtcdCluster, stage.name, {"spec": {"version": NEW}}, stage.namespace)
        if killed:

            async def begun() -> bool:
                return bool((await stage.status()).get("targetVersion"))

            await wait_until(begun, what="the upgrade begins", timeout_s=30.0, interval_s=0.02)
            await operator.kill()
            operator.start()
        await wait_until(lambda: upgraded(stage), what="every member runs the new version", timeout_s=120.0)
    status = await stage.status()
    assert {member["name"]: member["id"] for member in status["memberStatuses"]} == before, "the same members"
    assert {member["version"] for member in status["memberStatuses"]} == {NEW}
    pods = (await stage.client.list(kinds.POD, stage.namespace, label_selector=stage.selector)).items
    assert {pod.annotations["etcd.version"] for pod in pods} == {NEW}
    assert _upgrading(status) == "False"


def _upgrading(status: dict[str, object]) -> object:
    conditions = Object.from_dict({"metadata": {}, "status": status}).status["conditions"]
    return (find_condition(conditions, "Upgrading") or {}).get("status")
