"""A world for the operator: an API server, a node, etcd, an enemy. No clock, no sockets, one seed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec

from controllerkit.client import ObjectList
from controllerkit.errors import AlreadyExists, Conflict, NotFound, ServiceUnavailable
from controllerkit.objects import Key, LabelSelector, Object
from operators.etcd.api import EtcdCluster
from operators.etcd.cluster.act import act
from operators.etcd.cluster.analyze import analyze
from operators.etcd.cluster.model import MoveLeader, Refused, RemoveMember, quorum
from operators.etcd.cluster.observe import observe
from operators.etcd.versions import Version, VersionMap
from tests.unit.etcd.raft import Cluster, Disk, Etcd, FakeClient, Process, Violation

NAME = "db"
KEY = Key("default", NAME)
START = datetime(2026, 1, 1, tzinfo=UTC)


class Crash(BaseException):
    """The operator's process ends here. No handler of its own catches it."""


class FakeApi:
    """The verbs the operator uses. Every write can be the operator's last, before or after its effect."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.version = 0

    async def get(self, kind: Any, name: Any, namespace: str | None = None) -> Object:
        self.world.fail_at_times()
        wanted = getattr(kind, "kind", None) or kind.resource_kind().kind
        return self._object(self._find(wanted, name.name if isinstance(name, Key) else name))

    async def list(self, kind: Any, namespace: str | None = None, *, label_selector: str = "") -> ObjectList:
        self.world.fail_at_times()
        selector = LabelSelector.parse(label_selector)
        found = [
            self._object(value)
            for (of, _), value in self.objects.items()
            if of == kind.kind and selector.matches(value["metadata"].get("labels") or {})
        ]
        return ObjectList(items=found, resource_version=str(self.version))

    async def create(self, value: Any) -> Object:
        self.world.interrupt()
        key = (value["kind"], value["metadata"]["name"])
        if key in self.objects:
            raise AlreadyExists(f"{key} exists")
        made = msgspec.json.decode(msgspec.json.encode(value))
        self.objects[key] = made
        self.touch(made)
        made["metadata"]["uid"] = f"uid-{self.version}"
        self.world.interrupt()
        return self._object(made)

    async def update(self, value: Any, **_: Any) -> Object:
        self.world.interrupt()
        key = (value["kind"], value["metadata"]["name"])
        if self._find(*key)["metadata"]["resourceVersion"] != value["metadata"]["resourceVersion"]:
            raise Conflict("changed")
        self.objects[key] = msgspec.json.decode(msgspec.json.encode(value))
        self.touch(self.objects[key])
        return self._object(self.objects[key])

    async def update_status(self, value: Any) -> Object:
        self.world.interrupt()
        found = self._find(value["kind"], value["metadata"]["name"])
        if found["metadata"]["resourceVersion"] != value["metadata"]["resourceVersion"]:
            raise Conflict("changed")
        found["status"] = msgspec.json.decode(msgspec.json.encode(value["status"]))
        self.touch(found)
        self.world.etcd.announced |= bool(found["status"].get("clusterID"))
        self.world.interrupt()
        return self._object(found)

    async def patch(self, kind: Any, name: str, patch: Mapping[str, Any], namespace: str | None = None) -> Object:
        self.world.interrupt()
        found = self._find(kind.kind, name)
        _merge(found, patch)
        self.touch(found)
        return self._object(found)

    async def delete(self, kind: Any, name: str, namespace: str | None = None, *, uid: str = "") -> None:
        self.world.interrupt()
        found = self._find(kind.kind, name)
        if uid and found["metadata"]["uid"] != uid:
            raise Conflict("another uid")
        self.world.check_deletion(kind.kind, name)
        self.remove(kind.kind, name)
        self.world.interrupt()

    def remove(self, kind: str, name: str) -> None:
        """Pods end in their own time, claims when no Pod uses them."""
        value = self.objects[kind, name]
        if kind in ("Pod", "PersistentVolumeClaim"):
            value["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:00:00Z")
            self.touch(value)
        else:
            del self.objects[kind, name]

    def touch(self, value: dict[str, Any]) -> None:
        self.version += 1
        value["metadata"]["resourceVersion"] = str(self.version)

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        return {name: value for (of, name), value in self.objects.items() if of == kind}

    def _find(self, kind: str, name: str) -> dict[str, Any]:
        if (kind, name) not in self.objects:
            raise NotFound(f"{kind} {name} not found")
        return self.objects[kind, name]

    def _object(self, value: Mapping[str, Any]) -> Object:
        return Object.from_dict(value)


def _merge(into: dict[str, Any], patch: Mapping[str, Any]) -> None:
    for name, value in patch.items():
        if isinstance(value, Mapping):
            _merge(into.setdefault(name, {}), value)
        else:
            into[name] = value


class World:
    """All of it. ``step`` is one beat: the enemy, the node, etcd, the operator."""

    def __init__(self, seed: int, spec: Mapping[str, Any], *, hostile: bool = True) -> None:
        self.rng = Random(seed)
        self.api = FakeApi(self)
        self.etcd = Etcd(self.rng)
        self.disks: dict[str, Disk] = {}
        self.hostile = hostile
        self.crashes_in = 0
        self.now = START
        self.refused: Refused | None = None
        self.acknowledged = 0
        self.trace: list[str] = []
        self.addresses = 0
        self.passes = 0
        metadata = {"name": NAME, "namespace": "default", "uid": "uid-cr", "generation": 1, "resourceVersion": "0"}
        cr = {"apiVersion": "etcd.database.coreos.com/v1beta2", "kind": "EtcdCluster", "metadata": metadata}
        self.api.objects["EtcdCluster", NAME] = {**cr, "spec": dict(spec)}

    # -- views -----------------------------------------------------------------------------------------------------

    @property
    def lived_s(self) -> float:
        return (self.now - START).total_seconds()

    @property
    def cr(self) -> dict[str, Any]:
        return self.api.objects["EtcdCluster", NAME]

    @property
    def status(self) -> dict[str, Any]:
        return self.cr.get("status") or {}

    @property
    def cluster(self) -> Cluster | None:
        return next(reversed(list(self.etcd.clusters.values())), None)

    def set_spec(self, **fields: Any) -> None:
        self.cr["spec"].update(fields)
        self.cr["metadata"]["generation"] += 1
        self.api.touch(self.cr)

    # -- the operator ----------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Called around every write of the operator."""
        if self.crashes_in:
            self.crashes_in -= 1
            if not self.crashes_in:
                raise Crash

    def fail_at_times(self) -> None:
        if self.hostile and self.rng.random() < 0.02:
            raise ServiceUnavailable("not now")

    def dial(self, endpoints: Sequence[str], version: Version | None) -> Any:
        return FakeClient(self.etcd, list(endpoints), self.interrupt)

    async def reconcile(self) -> float | None:
        """One pass as `PlanningReconciler` makes it; None where it was cut short."""
        self.passes += 1
        if self.hostile and self.rng.random() < 0.15:
            self.crashes_in = self.rng.randint(1, 4)
        try:
            refused, self.refused = self.refused, None
            observed = await observe(self.api, self.dial, KEY, VersionMap(), refused=refused)  # type: ignore[arg-type]
            assert observed is not None
            plan = analyze(observed, self.now)
            if plan.status != observed.cluster.source.status:
                await self.api.update_status({**observed.cluster.source.to_dict(), "status": plan.status})
            changes = [a for a in plan.actions if isinstance(a, RemoveMember | MoveLeader)]
            assert len(changes) <= 1, plan.actions
            for action in plan.actions:
                self.trace.append(f"   {action}")
                self.refused = await act(self.api, self.dial, observed, action) or self.refused  # type: ignore[arg-type]
        except Crash:
            self.trace.append("   operator killed")
            self.refused = None
            return None
        except (ServiceUnavailable, Conflict, NotFound) as error:
            self.trace.append(f"   {error}")
            return None
        finally:
            self.crashes_in = 0
        return plan.requeue_after_s

    def check_deletion(self, kind: str, name: str) -> None:
        """The operator deletes something: is it allowed to?"""
        cluster = self.cluster
        if cluster is None or not self.etcd.announced:
            return
        members = {member.name or _host(member.peer_urls[0]): member for member in cluster.members}
        if kind == "PersistentVolumeClaim" and name in members:
            raise Violation(f"the volume of member {name} is deleted")
        if kind == "Pod" and name in members and not members[name].learner:
            alive = self.etcd.alive(cluster)
            rest = [m for n, m in members.items() if n != name and not m.learner]
            ending = {n for n, pod in self.api.of("Pod").items() if pod["metadata"].get("deletionTimestamp")}
            down = [m.name for m in rest if m.id not in alive or m.name in ending]
            if members[name].id in alive and down:
                raise Violation(f"Pod {name} is stopped while {down} are down or going")

    # -- the node --------------------------------------------------------------------------------------------------

    def node(self) -> None:
        """Pods start on their claims and end; claims go when nothing holds them."""
        for name, pod in self.api.of("Pod").items():
            if pod["metadata"].get("deletionTimestamp"):
                if self.rng.random() < 0.6:
                    self.stop(pod)
                    del self.api.objects["Pod", name]
            elif "podIP" not in (pod.get("status") or {}) and self.rng.random() < 0.6:
                self._start(pod)
        for name, claim in self.api.of("PersistentVolumeClaim").items():
            if claim["metadata"].get("deletionTimestamp") and name not in self.api.of("Pod"):
                self.disks.pop(claim["metadata"]["uid"], None)
                del self.api.objects["PersistentVolumeClaim", name]
        for address, process in self.etcd.processes.items():
            if process.stopped and self.rng.random() < 0.6:
                process.stopped = False
            self._report(address, process)

    def _start(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        claim = self.api.of("PersistentVolumeClaim").get(name)
        if claim is None or claim["metadata"].get("deletionTimestamp"):
            return
        self.addresses += 1
        address = f"127.0.0.{self.addresses}"
        command = pod["spec"]["containers"][0]["command"]
        flags = dict(flag.removeprefix("--").split("=", 1) for flag in command[1:])
        self.etcd.processes[address] = Process(
            pod_uid=pod["metadata"]["uid"],
            name=name,
            peer_url=flags["initial-advertise-peer-urls"],
            disk=self.disks.setdefault(claim["metadata"]["uid"], Disk()),
            version=pod["spec"]["containers"][0]["image"].rpartition(":v")[2],
            founds=flags["initial-cluster-state"] == "new",
            token=flags["initial-cluster-token"],
        )
        self._check_flags(flags)
        pod["status"] = {"phase": "Running", "podIP": address, "conditions": []}
        self.api.touch(pod)

    def _check_flags(self, flags: Mapping[str, str]) -> None:
        listed = dict(entry.split("=", 1) for entry in flags["initial-cluster"].split(","))
        if listed.get(flags["name"]) != flags["initial-advertise-peer-urls"]:
            raise Violation(f"--initial-cluster {listed} does not name {flags['name']}")

    def _report(self, address: str, process: Process) -> None:
        for pod in self.api.of("Pod").values():
            if pod["metadata"]["uid"] == process.pod_uid:
                cluster = self.etcd.clusters.get(process.disk.cluster_id)
                ready = not process.stopped and cluster is not None and self.etcd.has_quorum(cluster)
                conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
                if pod["status"].get("conditions") != conditions:
                    pod["status"]["conditions"] = conditions
                    self.api.touch(pod)

    def stop(self, pod: dict[str, Any]) -> None:
        for address, process in list(self.etcd.processes.items()):
            if process.pod_uid == pod["metadata"]["uid"]:
                del self.etcd.processes[address]

    # -- the enemy -------------------------------------------------------------------------------------------------

    def survivable(self, name: str) -> bool:
        """Whether the volume of ``name`` may be lost: a majority keeps theirs. Before the founding, any may."""
        cluster = self.cluster
        if cluster is None or not self.etcd.announced:
            return True
        voters = {member.name: member for member in cluster.voters}
        if name not in voters:
            return True
        intact = [
            claim
            for other, claim in self.api.of("PersistentVolumeClaim").items()
            if other in voters
            and other != name
            and not claim["metadata"].get("deletionTimestamp")
            and self.disks.get(claim["metadata"]["uid"], Disk()).cluster_id == cluster.id
        ]
        return len(intact) >= quorum(len(voters)) and self._holds_all(cluster, intact)

    def _holds_all(self, cluster: Cluster, claims: Sequence[Mapping[str, Any]]) -> bool:
        """A majority of the disks that stay holds every acknowledged write, even if one more is slow."""
        full = sum(self.disks[claim["metadata"]["uid"]].length == len(cluster.log) for claim in claims)
        return full >= quorum(len(cluster.voters))

    def attack(self) -> None:
        pods = list(self.api.of("Pod").values())
        claims = list(self.api.of("PersistentVolumeClaim"))
        match self.rng.randrange(8):
            case 0 if self.etcd.processes:
                process = self.rng.choice(list(self.etcd.processes.values()))
                process.stopped = True
                self.trace.append(f"enemy: etcd {process.name} stops")
            case 1 | 2 if pods:
                pod = self.rng.choice(pods)
                self.trace.append(f"enemy: Pod {pod['metadata']['name']} is deleted")
                self.api.remove("Pod", pod["metadata"]["name"])
            case 3 if pods:
                pod = self.rng.choice(pods)
                self.trace.append(f"enemy: Pod {pod['metadata']['name']} is gone at once")
                self.stop(pod)
                del self.api.objects["Pod", pod["metadata"]["name"]]
            case 4 | 5 if claims:
                self._attack_volume(self.rng.choice(claims))
            case 6:
                self._change_spec()
            case 7:
                for pod in pods:
                    self.api.remove("Pod", pod["metadata"]["name"])
                self.trace.append("enemy: every Pod is deleted")
            case _:
                pass

    def _attack_volume(self, name: str) -> None:
        if not self.survivable(name):
            return
        if self.rng.random() < 0.5:
            self.trace.append(f"enemy: volume {name} is deleted")
            self.api.remove("PersistentVolumeClaim", name)
            return
        self.trace.append(f"enemy: volume {name} and its Pod are gone at once")
        claim = self.api.objects.pop(("PersistentVolumeClaim", name))
        self.disks.pop(claim["metadata"]["uid"], None)
        if pod := self.api.objects.pop(("Pod", name), None):
            self.stop(pod)
        if self.rng.random() < 0.5:
            self.trace.append(f"enemy: an empty volume takes the name {name}")
            self.api.touch(claim)
            claim["metadata"]["uid"] = f"uid-{self.api.version}"
            claim["metadata"].pop("deletionTimestamp", None)
            self.api.objects["PersistentVolumeClaim", name] = claim

    def _change_spec(self) -> None:
        change: dict[str, Any] = self.rng.choice(
            [{"size": n} for n in (0, 1, 2, 3, 3, 4, 5, 5, 99)]
            + [{"version": v} for v in ("3.7.3", "3.6.16", "3.5.26", "9.9.9")]
            + [{"pod": {"labels": {"x": "1"}}}, {"paused": True}, {"paused": False}]
        )
        self.trace.append(f"user: {change}")
        self.set_spec(**change)

    # -- the whole -------------------------------------------------------------------------------------------------

    async def step(self) -> float | None:
        self.now += timedelta(seconds=1)
        if self.hostile and self.rng.random() < 0.25:
            self.attack()
        self.node()
        self.etcd.settle()
        if self.etcd.announced and self.etcd.write():
            self.acknowledged += 1
        poll = await self.reconcile()
        self.etcd.settle()
        return poll

    def problems(self) -> list[str]:
        """What is not as the spec says; empty when the cluster has converged."""
        cluster, size = self.cluster, self.cr["spec"]["size"]
        if cluster is None:
            return ["no cluster was founded"]
        names = {member.name for member in cluster.members}
        found = []
        if len(cluster.voters) != size or len(cluster.members) != size:
            found.append(f"{len(cluster.voters)} voters of {len(cluster.members)} members, {size} wanted")
        found += [
            f"{kind}s {sorted(self.api.of(kind))}, members {sorted(names)}"
            for kind in ("Pod", "PersistentVolumeClaim")
            if set(self.api.of(kind)) != names
        ]
        if len(self.etcd.alive(cluster)) != size:
            found.append("not every member runs")
        roles = {pod["metadata"]["labels"]["etcd_role"] for pod in self.api.of("Pod").values()}
        if roles - {"voter"}:
            found.append(f"roles {roles}")
        versions = {process.version for process in self.etcd.alive(cluster).values()}
        if versions != {self.cr["spec"]["version"]}:
            found.append(f"versions {versions}")
        if self.status.get("clusterID") != f"{cluster.id:x}" or self.status.get("plan"):
            found.append(f"status {self.status.get('clusterID')} plan {self.status.get('plan')}")
        return found


def _host(url: str) -> str:
    found = re.match(r"http://([^.:]+)", url)
    return found[1] if found else ""


__all__ = ["KEY", "NAME", "EtcdCluster", "World"]
