"""Scheduling, binding of volumes and endpoints: the decisions by table, the rest against the embedded server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controllerkit.client import Client
from controllerkit.devcluster.controllers import embedded_controllers
from controllerkit.devcluster.controllers.binder import chosen_volume, is_for
from controllerkit.devcluster.controllers.endpoints import endpoints_of, slices_of
from controllerkit.devcluster.controllers.scheduler import choose_node
from controllerkit.errors import NotFound
from controllerkit.manager import Manager
from controllerkit.objects import Key, Object, find_condition, kinds
from controllerkit.runtime import cancel_and_wait, wait_until
from tests.unit.devcluster.pods import pod
from tests.unit.devcluster.test_hosts import member

pytestmark = pytest.mark.embedded("they are the controllers of the embedded bed, beside its garbage collector")


def node(name: str, *, ready: bool = True, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    metadata = {"name": name, "labels": labels or {}}
    return Object.from_dict({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": status})


def affinity(operator: str, *values: str) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": "disk", "operator": operator, "values": list(values)}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}


TAINT = {"key": "only", "value": "x", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("spec", "nodes", "chosen"),
    [
        ({}, [node("a"), node("b")], "a"),
        ({}, [node("a", ready=False), node("b")], "b"),
        ({}, [node("a", unschedulable=True), node("b")], "b"),
        ({"nodeSelector": {"disk": "ssd"}}, [node("a"), node("b", labels={"disk": "ssd"})], "b"),
        (affinity("In", "ssd"), [node("a"), node("b", labels={"disk": "ssd"})], "b"),
        (affinity("NotIn", "ssd"), [node("a", labels={"disk": "ssd"}), node("b")], "b"),
        ({}, [node("a", taints=[TAINT]), node("b")], "b"),
        ({}, [node("a", taints=[{**TAINT, "effect": "PreferNoSchedule"}])], "a"),
        ({"tolerations": [{"key": "only", "value": "x"}]}, [node("a", taints=[TAINT])], "a"),
        ({"tolerations": [{"operator": "Exists"}]}, [node("a", taints=[TAINT])], "a"),
    ],
)
def test_the_scheduler_takes_the_first_node_that_fits(spec: dict[str, Any], nodes: list[Object], chosen: str) -> None:
    assert choose_node(pod(**spec), nodes, {}) == (chosen, "")


def test_of_several_the_emptiest_is_taken() -> None:
    assert choose_node(pod(), [node("a"), node("b")], {"a": 2, "b": 1}) == ("b", "")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "no nodes available to schedule pods"),
        (
            [node("a", ready=False), node("b", taints=[TAINT])],
            "0/2 nodes are available: 1 node(s) had untolerated taint {only: x}, 1 node(s) were not ready.",
        ),
    ],
)
def test_where_none_fits_the_reasons_are_counted(nodes: list[Object], message: str) -> None:
    assert choose_node(pod(), nodes, {}) == ("", message)


def claim(**spec: Any) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}, **spec}
    metadata = {"name": "c", "namespace": "default", "uid": "u1"}
    return Object.from_dict({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})


def volume(name: str, storage: str = "2Gi", **spec: Any) -> Object:
    spec = {"capacity": {"storage": storage}, "accessModes": ["ReadWriteOnce"], **spec}
    return Object.from_dict({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec})


def reference(uid: str = "u1") -> dict[str, Any]:
    return {"claimRef": {"namespace": "default", "name": "c", "uid": uid}}


@pytest.mark.parametrize(
    ("volumes", "chosen"),
    [
        ([], None),
        ([volume("small", "1Gi")], None),
        ([volume("big", "9Gi"), volume("fits", "3Gi")], "fits"),
        ([volume("other", storageClassName="fast")], None),
        ([volume("shared", accessModes=["ReadWriteMany"])], None),
        ([volume("fits"), volume("made", **reference())], "made"),
        ([volume("reserved", **reference(uid=""))], "reserved"),
        ([volume("of-an-older-claim", **reference("u0"))], None),
    ],
)
def test_a_claim_gets_the_volume_made_for_it_or_the_smallest_that_fits(
    volumes: list[Object], chosen: str | None
) -> None:
    found = chosen_volume(claim(), volumes)
    assert (found.name if found else None) == chosen


def test_a_claim_of_the_same_name_is_not_the_same_claim() -> None:
    assert not is_for(volume("v", **reference("u0")), claim())


def service(**spec: Any) -> Object:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "web"}], **spec}
    metadata = {"name": "web", "namespace": "default", "uid": "u"}
    return Object.from_dict({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def serving(number: int, port: int = 8080, **fields: Any) -> Object:
    containers = [{"name": "app", "ports": [{"name": "web", "containerPort": port}]}]
    return member(number, containers=containers, **fields)


def test_a_slice_holds_every_pod_with_its_conditions() -> None:
    [found] = slices_of(service(clusterIP="None"), [serving(1, ready=False), serving(0)])
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert [(e["addresses"], e["conditions"]["ready"], e["hostname"]) for e in found["endpoints"]] == [
        (["127.64.0.2"], True, "web-0"),
        (["127.64.0.3"], False, "web-1"),
    ]
    assert found["metadata"]["labels"]["service.kubernetes.io/headless"] == ""


def test_pods_with_other_port_numbers_are_in_another_slice() -> None:
    found = slices_of(service(), [serving(0), serving(1, 9090)])
    assert sorted(part["ports"][0]["port"] for part in found) == [8080, 9090]
    assert len({part["metadata"]["name"] for part in found}) == 2


def test_a_service_without_pods_has_an_empty_slice_and_empty_endpoints() -> None:
    [found] = slices_of(service(), [])
    assert found["endpoints"] == []
    assert endpoints_of(service(), [found])["subsets"] == []


def test_endpoints_tell_ready_from_not_ready() -> None:
    slices = slices_of(service(), [serving(0), serving(1, ready=False)])
    [subset] = endpoints_of(service(), slices)["subsets"]
    assert [a["ip"] for a in subset["addresses"]] == ["127.64.0.2"]
    assert [a["ip"] for a in subset["notReadyAddresses"]] == ["127.64.0.3"]


@pytest.fixture
async def cluster(client: Client) -> AsyncIterator[Client]:
    """The embedded server with the controllers, no node and no provisioner."""
    manager = Manager(client)
    for reconciler in embedded_controllers():
        manager.add(reconciler)
    task = asyncio.create_task(manager.run())
    await manager.ready.wait()
    yield client
    await cancel_and_wait(task)


async def until(client: Client, kind: Any, key: Key, holds: Any, what: str) -> Object:
    async def probe() -> Object | None:
        try:
            found = await client.get(kind, key)
        except NotFound:
            return None
        return found if holds(found) else None

    found = await wait_until(probe, what=what, timeout_s=10, interval_s=0.01)
    assert found is not None
    return found


async def test_a_pod_waits_for_its_claim_and_for_a_node(cluster: Client) -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    body = pod(volumes=volumes, automountServiceAccountToken=False).to_dict()
    body["metadata"].pop("uid")

    async def accounted() -> bool:
        try:
            await cluster.get(kinds.SERVICE_ACCOUNT, "default", "default")
        except NotFound:
            return False
        return True

    await wait_until(accounted, what="the default ServiceAccount", timeout_s=5, interval_s=0.01)
    created = await cluster.create(body)

    def says(text: str) -> Any:
        def holds(found: Object) -> bool:
            condition = find_condition(found.status.get("conditions"), "PodScheduled")
            return condition is not None and text in condition.get("message", "")

        return holds

    await until(cluster, kinds.POD, created.key, says('persistentvolumeclaim "c" not found'), "the claim is missing")
    wanted = claim(storageClassName="").to_dict()
    wanted["metadata"].pop("uid")
    await cluster.create(wanted)
    await until(cluster, kinds.POD, created.key, says("unbound immediate"), "the claim is unbound")
    await cluster.create(volume("v1", hostPath={"path": "/none"}))
    await cluster.patch(kinds.PERSISTENT_VOLUME_CLAIM, Key("default", "c"), {"metadata": {"labels": {"look": "again"}}})
    bound = await until(
        cluster,
        kinds.PERSISTENT_VOLUME_CLAIM,
        Key("default", "c"),
        lambda found: found.status.get("phase") == "Bound",
        "the claim is bound",
    )
    assert bound.spec["volumeName"] == "v1"
    await until(cluster, kinds.PERSISTENT_VOLUME, Key("", "v1"), lambda v: v.status.get("phase") == "Bound", "bound")
    await until(cluster, kinds.POD, created.key, says("no nodes available"), "there is no node")
    ready = node("a").to_dict()
    await cluster.create({k: v for k, v in ready.items() if k != "status"})
    await cluster.patch(kinds.NODE, "a", {"status": ready["status"]}, subresource="status")
    await until(cluster, kinds.POD, created.key, lambda found: found.spec.get("nodeName") == "a", "the Pod is bound")


async def test_a_volume_is_released_when_its_claim_goes(cluster: Client) -> None:
    wanted = claim(storageClassName="").to_dict()
    wanted["metadata"].pop("uid")
    await cluster.create(volume("v1", hostPath={"path": "/none"}, persistentVolumeReclaimPolicy="Retain"))
    await cluster.create(wanted)
    key = Key("", "v1")
    await until(cluster, kinds.PERSISTENT_VOLUME, key, lambda v: v.status.get("phase") == "Bound", "bound")
    await cluster.delete(kinds.PERSISTENT_VOLUME_CLAIM, Key("default", "c"))
    await until(cluster, kinds.PERSISTENT_VOLUME, key, lambda v: v.status.get("phase") == "Released", "released")


async def test_endpoints_follow_the_service(cluster: Client) -> None:
    body = service().to_dict()
    body["metadata"].pop("uid")
    created = await cluster.create(body)
    found = await until(cluster, kinds.ENDPOINTS, created.key, lambda _: True, "endpoints are there")
    assert (found.get("subsets") or []) == []
    await cluster.delete(kinds.SERVICE, created.key)

    async def gone() -> bool:
        return not (await cluster.list(kinds.ENDPOINT_SLICE, "default")).items

    await wait_until(gone, what="the slices go with their Service", timeout_s=10, interval_s=0.01)
