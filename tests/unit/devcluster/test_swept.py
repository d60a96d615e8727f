"""The cluster's small controllers, through many seeds of what can befall them."""

from __future__ import annotations

import asyncio
from typing import Any

from controllerkit import Client, Manager
from controllerkit.apiserver import ApiServer
from controllerkit.devcluster.controllers.binder import BIND_COMPLETED, ClaimBinder, VolumePhases
from controllerkit.devcluster.controllers.endpoints import EndpointsReconciler
from controllerkit.objects import kinds
from controllerkit.runtime import wait_until
from controllerkit.testing import FaultyTransport, Rule, World, conflict, simulate

SERVICE_NAME = "kubernetes.io/service-name"


def service(name: str, app: str, port: int) -> dict[str, Any]:
    spec = {"selector": {"app": app}, "ports": [{"port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def pod(name: str, app: str) -> dict[str, Any]:
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": spec}


def every_service_has_slices_and_no_slice_is_of_no_service(world: World) -> None:
    served = {each.labels.get(SERVICE_NAME) for each in world.list(kinds.ENDPOINT_SLICE)}
    assert served == {each.name for each in world.list(kinds.SERVICE)}


def test_endpoints_follow_services() -> None:
    report = simulate(
        EndpointsReconciler,
        primaries=[service(name, app, port) for name in "ab" for app in "xy" for port in (80, 81)],
        objects=[pod("p", "x"), pod("q", "y")],
        seeds=40,
        converged=every_service_has_slices_and_no_slice_is_of_no_service,
    )
    assert report.seeds == 40


STORED = {"storageClassName": "", "accessModes": ["ReadWriteOnce"]}


def claim(name: str) -> dict[str, Any]:
    spec = {**STORED, "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def volume(name: str) -> dict[str, Any]:
    spec = {**STORED, "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}
    spec["persistentVolumeReclaimPolicy"] = "Retain"
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def no_volume_is_given_twice(world: World) -> None:
    given = [each.get("spec", "volumeName") for each in world.list(kinds.PERSISTENT_VOLUME_CLAIM)]
    given = [each for each in given if each]
    assert len(given) == len(set(given)), f"given: {given}"


def who_has_a_volume_says_so(world: World) -> None:
    for each in world.list(kinds.PERSISTENT_VOLUME_CLAIM):
        bound = each.status.get("phase") == "Bound"
        assert bound == bool(each.get("spec", "volumeName")), f"{each.key} is {each.status.get('phase')}"


def test_claims_are_bound_each_to_a_volume_of_its_own() -> None:
    report = simulate(
        ClaimBinder,
        primaries=[claim(name) for name in "abc"],
        objects=[volume("v"), volume("w"), volume("x"), volume("y")],
        world=[VolumePhases],
        seeds=40,
        invariants=[no_volume_is_given_twice],
        converged=who_has_a_volume_says_so,
    )
    assert report.seeds == 40


async def test_a_claim_whose_status_met_a_conflict_is_tried_again() -> None:
    """Found by seed 374: no event follows a refused write, so who swallows the refusal waits for ever."""
    refused = Rule(conflict(), verb="patch", path="persistentvolumeclaims/a/status")
    async with ApiServer(port=None) as server, Client(FaultyTransport(server.transport(), refused)) as client:
        half = claim("a")  # as a process leaves it that dies before it writes the status
        half["metadata"]["annotations"] = {BIND_COMPLETED: "yes"}
        half["spec"]["volumeName"] = "v"
        made, taken = await client.create(half), volume("v")
        taken["spec"]["claimRef"] = {"namespace": "default", "name": "a", "uid": made.uid}
        await client.create(taken)
        manager = Manager(client)
        manager.add(ClaimBinder())
        stop = asyncio.Event()
        running = asyncio.create_task(manager.run(stop))

        async def bound() -> bool:
            found = await client.get(kinds.PERSISTENT_VOLUME_CLAIM, "a")
            return found.status.get("phase") == "Bound"

        await wait_until(bound, what="the claim is bound", timeout_s=10.0, interval_s=0.01)
        assert refused.times == 0
        stop.set()
        await running
