"""A Fleet of Pods that is rolled one at a time, with a stand-in for the kubelet."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from controllerkit import Plan, Reconciler, Request, Result, kinds
from controllerkit.errors import NotFound
from controllerkit.testing import Faults, Limits, World
from examples.fleet import Fleet, FleetReconciler, Observed, Start, Stop, is_owned, is_ready, stop, version_of
from tests.sweep.subject import Subject

READY_AFTER_S = 3.0


class Kubelet(Reconciler[Any]):
    """Pods become ready a little after they are made."""

    kind = kinds.POD
    name = "kubelet"

    async def reconcile(self, request: Request) -> Result | None:
        pod = self.read(kinds.POD, request.key)
        if pod is None or is_ready(pod):
            return None
        age_s = (self.clock.utcnow() - datetime.fromisoformat(pod.creation_timestamp)).total_seconds()
        if age_s < READY_AFTER_S:
            return Result(requeue_after_s=READY_AFTER_S - age_s)
        ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        try:
            await self.client.patch(kinds.POD, request.key, ready, subresource="status")
        except NotFound:
            return None
        return None


def fleet(name: str, size: int, version: str) -> dict[str, Any]:
    spec = {"size": size, "version": version}
    return {"apiVersion": "example.dev/v1", "kind": "Fleet", "metadata": {"name": name}, "spec": spec}


def every_fleet_is_as_asked(world: World) -> None:
    for each in world.list(Fleet):
        pods = world.owned(each.source, kinds.POD)
        names = [f"{each.key.name}-{number}" for number in range(each.spec.size)]
        assert [pod.name for pod in pods] == names, f"{each.key} has {[pod.name for pod in pods]}"
        assert {version_of(pod) for pod in pods} <= {each.spec.version}, f"{each.key} runs an old version"
        status = (each.status.ready, each.status.updated, each.status.plan)
        assert status == (each.spec.size, each.spec.size, []), f"{each.key} says {status}"


def one_pod_at_most_is_missing(world: World) -> None:
    """Of a Fleet that was whole once and whose size is what it was; nobody else deletes Pods here."""
    whole = world.memory.setdefault("whole", set())
    for each in world.list(Fleet):
        pods = [pod for pod in world.list(kinds.POD) if is_owned(pod, each)]
        ready = sum(map(is_ready, pods))
        if ready == each.spec.size:
            whole.add((each.metadata.uid, each.spec.size))
        elif (each.metadata.uid, each.spec.size) in whole:
            assert ready >= each.spec.size - 1, f"{ready} of {each.spec.size} Pods of {each.key} serve"


class RollsAllAtOnce(FleetReconciler):
    def analyze(self, observed: Observed, now: datetime) -> Plan[Start | Stop]:
        plan = super().analyze(observed, now)
        old = [pod for pod in observed.pods.values() if version_of(pod) != observed.fleet.spec.version]
        return replace(plan, actions=tuple(stop(pod, "old") for pod in old) or plan.actions)


class TrustsItsCache(FleetReconciler):
    """What the cache has not heard of yet may be the Pod that is missing."""

    async def observe(self, request: Request) -> Observed | None:
        fleet = await self.get(request.key)
        if fleet is None or fleet.source.deleting:
            return None
        return Observed(fleet, {pod.name: pod for pod in self.owned(fleet, kinds.POD)})


class StopsWhatWasIdle(FleetReconciler):
    """A Pod that did not serve when it was looked at may serve when it is stopped."""

    async def act(self, observed: Observed, action: Start | Stop) -> None:
        await super().act(observed, replace(action, seen="") if isinstance(action, Stop) else action)


class TellsTheTime(FleetReconciler):
    """A status that is another in every pass leads to the next pass."""

    def analyze(self, observed: Observed, now: datetime) -> Plan[Start | Stop]:
        plan = super().analyze(observed, now)
        conditions = [{**each, "lastTransitionTime": now.isoformat()} for each in (plan.status or {})["conditions"]]
        return replace(plan, status={**(plan.status or {}), "conditions": conditions})


SIZES = [fleet("a", 3, "1.0"), fleet("a", 3, "1.1"), fleet("a", 1, "1.0"), fleet("b", 2, "1.0"), fleet("b", 0, "1.1")]
VERSIONS = [fleet("a", 3, version) for version in ("1.0", "1.1", "1.2")]
ROLLING = {
    "primaries": VERSIONS,
    "invariants": [one_pod_at_most_is_missing],
    "faults": Faults(children=0, crashes=3, calls=10),
}

FLEET = Subject(
    name="fleet",
    make=FleetReconciler,
    given={
        "primaries": SIZES,
        "world": [Kubelet],
        "converged": every_fleet_is_as_asked,
        "limits": Limits(faults_s=60.0),
    },
    bugs={TellsTheTime: {}},
)
FLEET_ROLLED = Subject(
    name="fleet, rolled",
    make=FleetReconciler,
    given={**FLEET.given, **ROLLING},
    bugs={RollsAllAtOnce: {}, TrustsItsCache: {}, StopsWhatWasIdle: {}},
)
