"""A plan, step by step: a Fleet is as many Pods as asked for, made anew one at a time for another version.

Each pass observes, decides, says in the status what it will do, and does it. A Pod that serves is taken away only while
all others serve. Run ``python examples/fleet.py`` on a cluster with the CRD (``controllerkit crds examples/fleet.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from controllerkit import ApiModel, Client, Manager, PlanningReconciler, Request, Resource, kinds
from controllerkit.controller import Action, Plan
from controllerkit.errors import Conflict, NotFound
from controllerkit.objects import Object, controller_of, set_condition
from controllerkit.schema import Column

LABEL = "example.dev/fleet"


class FleetSpec(ApiModel):
    size: int = Field(ge=0, le=20)
    version: str


class FleetStatus(ApiModel):
    ready: int = 0
    updated: int = 0
    plan: list[str] = []  # noqa: RUF012 - pydantic copies defaults
    conditions: list[dict[str, Any]] = []  # noqa: RUF012


COLUMNS = [Column("Ready", ".status.ready", "integer"), Column("Updated", ".status.updated", "integer")]


class Fleet(Resource, group="example.dev", version="v1", columns=COLUMNS):
    spec: FleetSpec
    status: FleetStatus = FleetStatus()


@dataclass(frozen=True)
class Observed:
    """The Pods are those of the server, by name: what a cache has not heard of may be the one Pod that is missing."""

    fleet: Fleet
    pods: Mapping[str, Object]


@dataclass(frozen=True)
class Start(Action):
    """Makes a Pod."""

    pod: str

    def __str__(self) -> str:
        return f"start {self.pod}: {self.why}"


@dataclass(frozen=True)
class Stop(Action):
    """Deletes this Pod as it was observed: no later one of its name, nor one that has begun to serve meanwhile."""

    pod: str
    uid: str
    seen: str

    def __str__(self) -> str:
        return f"stop {self.pod}: {self.why}"


class FleetReconciler(PlanningReconciler[Fleet, Observed, Start | Stop]):
    owns = (kinds.POD,)
    plan_field = "plan"

    async def observe(self, request: Request) -> Observed | None:
        fleet = await self.get(request.key)
        if fleet is None or fleet.source.deleting:
            return None
        found = await self.client.list(kinds.POD, request.key.namespace, label_selector=f"{LABEL}={fleet.key.name}")
        return Observed(fleet, {pod.name: pod for pod in found.items if is_owned(pod, fleet)})

    def analyze(self, observed: Observed, now: datetime) -> Plan[Start | Stop]:
        fleet, pods = observed.fleet, observed.pods
        wanted = [f"{fleet.key.name}-{number}" for number in range(fleet.spec.size)]
        serving = [name for name in wanted if name in pods and is_ready(pods[name])]
        updated = [name for name in serving if version_of(pods[name]) == fleet.spec.version]
        actions = decide(fleet.spec.version, wanted, pods, serving, updated)
        done = len(updated) == len(wanted) and not actions
        conditions = set_condition(
            fleet.source.status.get("conditions"),
            "Available",
            len(serving) >= len(wanted) - 1,
            "Serving" if len(serving) >= len(wanted) - 1 else "TooFew",
            f"{len(serving)} of {len(wanted)} Pods serve",
            now=now,
        )
        conditions = set_condition(
            conditions,
            "Progressing",
            not done,
            "Done" if done else "Rolling",
            f"{len(updated)} of {len(wanted)} Pods serve version {fleet.spec.version}",
            now=now,
        )
        status = {"ready": len(serving), "updated": len(updated), "conditions": conditions}
        return Plan(actions=tuple(actions), status=status)

    async def act(self, observed: Observed, action: Start | Stop) -> None:
        match action:
            case Start(pod=name):
                await self.apply(observed.fleet, [pod_of(observed.fleet, name)])
            case Stop(pod=name, uid=uid, seen=seen):
                try:
                    await self.client.delete(
                        kinds.POD, name, observed.fleet.key.namespace, uid=uid, resource_version=seen
                    )
                except (NotFound, Conflict):
                    return  # it is gone, or another: the next pass sees which


def decide(
    version: str, wanted: list[str], pods: Mapping[str, Object], serving: list[str], updated: list[str]
) -> list[Start | Stop]:
    """What is missing is started and what is too much stopped at once; of the rest, one at a time is made anew."""
    actions: list[Start | Stop] = [Start(name, why="it is missing") for name in wanted if name not in pods]
    actions += [stop(pods[name], "it is too much") for name in sorted(pods) if name not in wanted]
    if any(isinstance(each, Start) for each in actions):
        return actions
    idle = [name for name in wanted if name not in serving and version_of(pods[name]) != version]
    actions += [stop(pods[name], f"to run {version}; it does not serve") for name in idle]
    outdated = [name for name in serving if name not in updated]
    if outdated and len(serving) == len(wanted):
        actions.append(stop(pods[outdated[0]], f"to run {version}"))
    return actions


def stop(pod: Object, why: str) -> Stop:
    return Stop(pod.name, pod.uid, pod.resource_version, why=why)


def pod_of(fleet: Fleet, name: str) -> dict[str, Any]:
    container = {"name": "app", "image": f"registry.example.dev/app:{fleet.spec.version}"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {LABEL: fleet.key.name}},
        "spec": {"containers": [container]},
    }


def version_of(pod: Object) -> str:
    return str(pod.get("spec", "containers")[0]["image"]).rpartition(":")[2]


def is_ready(pod: Object) -> bool:
    conditions = pod.status.get("conditions") or ()
    return not pod.deleting and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def is_owned(pod: Object, fleet: Fleet) -> bool:
    controller = controller_of(pod)
    return controller is not None and controller.uid == fleet.metadata.uid


async def main() -> None:
    async with await Client.connect() as client:
        manager = Manager(client, metrics_address="127.0.0.1:8080")
        manager.add(FleetReconciler())
        await manager.run_until_signal()


if __name__ == "__main__":
    asyncio.run(main())
