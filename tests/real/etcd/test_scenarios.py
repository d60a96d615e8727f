"""What the etcd operator must survive, on every bed, with real etcd members and a writer that counts.

Each scenario runs undisturbed, and again with the operator killed (SIGKILL) in the middle of it and started anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from controllerkit.devcluster import Bed
from controllerkit.errors import Invalid
from controllerkit.objects import find_condition, kinds
from controllerkit.runtime import SystemClock, wait_until
from operators.etcd.api import EtcdCluster
from operators.etcd.demo.stage import OperatorProcess, Stage
from operators.etcd.demo.writer import PREFIX, Ledger, Writer
from operators.etcd.wire import EtcdClient
from tests.real.etcd.conftest import NAMESPACE, VERSION

EXAMPLE = Path(__file__).parents[4] / "shared" / "manifests" / "etcd-operator" / "example" / "example-etcd-cluster.yaml"

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

disturbed = pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "operator killed"])


@asynccontextmanager
async def writing(stage: Stage) -> AsyncIterator[Ledger]:
    """Writes throughout; at the end every acknowledged write must be there."""
    client: list[EtcdClient] = []

    async def put(key: str, value: str) -> int:
        if not client:
            client.append(EtcdClient(await stage.addresses(), timeout_s=1.0))
        try:
            return await client[0].put(key, value)
        except BaseException:
            await client.pop().aclose()
            raise

    writer, stop = Writer(put, clock=SystemClock()), asyncio.Event()
    task = asyncio.create_task(writer.run(stop))
    try:
        yield writer.ledger
        done = len(writer.ledger.acknowledged)

        async def goes_on() -> bool:
            return len(writer.ledger.acknowledged) >= done + 20

        await wait_until(goes_on, what="20 more writes after the scenario", timeout_s=30.0)
    finally:
        stop.set()
        await task
        for each in client:
            await each.aclose()
    async with await stage.etcd() as reader:
        found = await reader.range(PREFIX, range_end=PREFIX + "~")
    assert writer.ledger.lost({kv.key.decode(): kv.value.decode() for kv in found.kvs}) == []


async def changed(stage: Stage, before: Mapping[str, Any]) -> None:
    """Returns when the operator has begun: its plan or its members differ."""

    async def differs() -> bool:
        status = await stage.status()
        return any(status.get(part) != before.get(part) for part in ("plan", "phase", "members"))

    await wait_until(differs, what="the operator begins", timeout_s=30.0, interval_s=0.02)


async def through(
    stage: Stage, operator: OperatorProcess, act: Callable[[], Awaitable[object]], *, killed: bool
) -> None:
    """Does ``act``, and if asked kills the operator as soon as it has begun to answer, and starts it again."""
    before = await stage.status()
    await act()
    if killed:
        await changed(stage, before)
        await operator.kill()
        operator.start()


async def cluster_of(stage: Stage, size: int) -> None:
    await stage.create({"size": size, "version": VERSION})
    await stage.wait_healthy(size)


@disturbed
async def test_a_cluster_of_three_is_created(stage: Stage, operator: OperatorProcess, killed: bool) -> None:
    await stage.create({"size": 3, "version": VERSION})
    if killed:
        await changed(stage, {})
        await operator.kill()
        operator.start()
    await stage.wait_healthy(3)
    status = await stage.status()
    assert status["phase"] == "Running"
    assert status["currentVersion"] == VERSION
    assert len({member["id"] for member in status["memberStatuses"]}) == 3
    services = await stage.client.list(kinds.SERVICE, stage.namespace, label_selector=stage.selector)
    assert {service.name for service in services.items} == {stage.name, f"{stage.name}-client"}
    async with await stage.etcd() as etcd:
        assert len((await etcd.member_list()).members) == 3


@disturbed
@pytest.mark.parametrize("role", ["follower", "leader"])
async def test_a_destroyed_pod_comes_back_on_its_volume_as_the_same_member(
    stage: Stage, operator: OperatorProcess, role: str, killed: bool
) -> None:
    await cluster_of(stage, 3)
    member = await stage.member(role)
    pod = await stage.client.get(kinds.POD, str(member["name"]), stage.namespace)
    async with writing(stage):
        await through(stage, operator, lambda: stage.destroy_pod(pod.name), killed=killed)

        async def replaced() -> bool:
            pods = await stage.client.list(kinds.POD, stage.namespace, label_selector=stage.selector)
            return any(p.name == pod.name and p.uid != pod.uid and not p.deleting for p in pods.items)

        await wait_until(replaced, what="a new Pod of the same name", timeout_s=60.0)
        await stage.wait_healthy(3)
    back = next(each for each in await stage.members() if each["name"] == member["name"])
    assert (back["id"], back["pvcUID"]) == (member["id"], member["pvcUID"])


@disturbed
@pytest.mark.parametrize("role", ["follower", "leader"])
async def test_a_member_whose_volume_is_lost_is_replaced(
    stage: Stage, operator: OperatorProcess, role: str, killed: bool
) -> None:
    await cluster_of(stage, 3)
    member = await stage.member(role)

    async def lose() -> None:
        await stage.destroy_volume(str(member["name"]))
        await stage.destroy_pod(str(member["name"]))

    async with writing(stage):
        await through(stage, operator, lose, killed=killed)
        await stage.wait_healthy(3, without=[str(member["id"])])
    names = {each["name"] for each in await stage.members()}
    assert member["name"] not in names


@disturbed
async def test_a_cluster_grows_to_five_and_shrinks_to_three_and_to_one(
    stage: Stage, operator: OperatorProcess, killed: bool
) -> None:
    await cluster_of(stage, 3)
    async with writing(stage):
        for size in (5, 3, 1):
            await through(stage, operator, lambda size=size: stage.resize(size), killed=killed)  # type: ignore[misc]
            await stage.wait_healthy(size)

    async def cleaned() -> bool:
        pods = await stage.client.list(kinds.POD, stage.namespace, label_selector=stage.selector)
        claims = await stage.client.list(kinds.PERSISTENT_VOLUME_CLAIM, stage.namespace, label_selector=stage.selector)
        return len(pods.items) == len(claims.items) == 1

    await wait_until(cleaned, what="one Pod and one volume", timeout_s=60.0)


async def pods_of(stage: Stage) -> dict[str, str]:
    found = await stage.client.list(kinds.POD, stage.namespace, label_selector=stage.selector)
    return {pod.name: pod.uid for pod in found.items}


async def condition_of(stage: Stage, kind: str) -> Mapping[str, Any]:
    async def there() -> Mapping[str, Any] | None:
        found = find_condition((await stage.status()).get("conditions"), kind)
        return found if found and found["status"] == "True" else None

    found = await wait_until(there, what=f"condition {kind}", timeout_s=30.0)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": 0}, "SizeOutOfRange"),
        ({"size": 4000}, "SizeOutOfRange"),
        ({"version": "9.9.9"}, "VersionUnknown"),
        ({"version": "latest"}, "VersionUnknown"),
        ({"version": "3.6.16"}, "DowngradeRefused"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
async def test_a_spec_that_cannot_be_met_is_told_in_a_condition_and_an_event_and_nothing_is_touched(
    stage: Stage, operator: OperatorProcess, change: Mapping[str, Any], reason: str
) -> None:
    await cluster_of(stage, 1)
    before = await pods_of(stage)
    await stage.client.patch(EtcdCluster, stage.name, {"spec": change}, stage.namespace)
    condition = await condition_of(stage, "SpecInvalid")
    assert condition["reason"] == reason, condition

    async def event() -> bool:
        found = await stage.client.list(kinds.EVENT, stage.namespace)
        return any(
            e.get("regarding", "name") == stage.name and e.get("type") == "Warning" and e.get("reason") == reason
            for e in found.items
        )

    await wait_until(event, what="the Event", timeout_s=30.0)
    assert await pods_of(stage) == before


@pytest.mark.parametrize("size", ["three", -3], ids=["a word", "negative"])
async def test_a_size_that_is_no_natural_number_is_refused_by_the_server_with_its_path(stage: Stage, size: Any) -> None:
    with pytest.raises(Invalid, match=r"spec\.size"):
        await stage.create({"size": size})


async def test_a_version_that_cannot_be_had_is_mapped_and_the_status_says_so(stage: Stage) -> None:
    await stage.create({"size": 1, "version": "3.2.13"})
    await stage.wait_healthy(1)
    condition = await condition_of(stage, "VersionMapped")
    assert "3.2.13" in condition["message"]
    assert VERSION in condition["message"]


@pytest.mark.skipif(not EXAMPLE.is_file(), reason="the first etcd operator's manifests are not beside this checkout")
async def test_the_first_operators_example_runs_as_it_was_written(bed: Bed, operator: OperatorProcess) -> None:
    value = yaml.safe_load(EXAMPLE.read_text())
    stage = Stage(bed, value["metadata"]["name"], NAMESPACE)
    value["metadata"]["namespace"] = NAMESPACE
    await stage.client.create(value)
    try:
        await stage.wait_healthy(3)
    finally:
        await stage.delete()


async def test_a_missing_image_leaves_the_pod_waiting_with_the_reason(stage: Stage) -> None:
    await stage.create({"size": 1, "version": "3.6.1"})

    async def waiting() -> str:
        pods = await stage.client.list(kinds.POD, stage.namespace, label_selector=stage.selector)
        for pod in pods.items:
            for status in pod.status.get("containerStatuses") or ():
                return str((status.get("state") or {}).get("waiting", {}).get("reason") or "")
        return ""

    reason = await wait_until(waiting, what="a waiting container", timeout_s=30.0)
    while reason == "ContainerCreating":
        reason = await wait_until(waiting, what="a waiting container", timeout_s=30.0)
    assert reason in ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull")
