"""Observations made by hand: a cluster as it would be seen, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from controllerkit.objects import Object
from operators.etcd import render
from operators.etcd.api import EtcdCluster
from operators.etcd.cluster.analyze import analyze
from operators.etcd.cluster.model import Membership, Observed, PodView, Probe, VolumeView
from operators.etcd.versions import Version
from operators.etcd.wire import Member, Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLUSTER_ID = 0xC1


def cluster(spec: Mapping[str, Any], status: Mapping[str, Any] | None = None, **metadata: Any) -> EtcdCluster:
    meta = {"name": "db", "namespace": "default", "uid": "uid-cr", "generation": 1, "resourceVersion": "7", **metadata}
    value = {"apiVersion": "etcd.database.coreos.com/v1beta2", "kind": "EtcdCluster", "metadata": meta, "spec": spec}
    return EtcdCluster.from_object(Object.from_dict(value | ({"status": status} if status else {})))


def empty(spec: Mapping[str, Any], status: Mapping[str, Any] | None = None, **metadata: Any) -> Observed:
    """Nothing is there but the EtcdCluster."""
    return Observed(cluster=cluster(spec, status, **metadata))


def running(
    size: int = 3,
    *,
    spec: Mapping[str, Any] | None = None,
    version: str = "3.7.3",
    leader: int = 0,
    learners: Sequence[int] = (),
    joining: Sequence[int] = (),
) -> Observed:
    """A healthy cluster of ``size`` members, ordinals 0 on, at rest; ``learners`` and ``joining`` are among them."""
    spec = {"size": size, "version": version, **(spec or {})}
    names = [f"db-{n}" for n in range(size)]
    entries = [_entry(n, version, leader=leader, learners=learners, joining=joining) for n in range(size)]
    status = {
        "phase": "Running",
        "clusterID": f"{CLUSTER_ID:x}",
        "currentVersion": version,
        "acceptedSize": size,
        "highestOrdinal": size - 1,
        "memberStatuses": entries,
        "statisticsTime": "2026-01-01T00:00:00Z",
    }
    made = cluster(spec, status)
    template = render.template_hash(made, Version.parse(version))
    members = tuple(
        Member(
            0x10 + n,
            "" if n in joining else name,
            (render.peer_url(made, name),),
            learner=n in learners or n in joining,
        )
        for n, name in enumerate(names)
    )
    services = [render.headless_service(made), render.client_service(made)]
    return Observed(
        cluster=made,
        pods={
            name: PodView(
                name=name,
                uid=f"pod-{name}",
                ip=f"127.0.0.{n + 1}",
                role="learner" if n in learners or n in joining else "voter",
                version=version,
                template=template,
                ready=n not in joining,
            )
            for n, name in enumerate(names)
        },
        volumes={name: VolumeView(name=name, uid=f"uid-{name}", cluster_id=f"{CLUSTER_ID:x}") for name in names},
        services={service["metadata"]["name"]: Object.from_dict(service) for service in services},
        membership=Membership(cluster_id=f"{CLUSTER_ID:x}", members=members, confirmed=True),
        probes={
            name: answer(n, leader=leader, version=version, learner=n in learners)
            for n, name in enumerate(names)
            if n not in joining
        },
    )


def _entry(n: int, version: str, *, leader: int, learners: Sequence[int], joining: Sequence[int]) -> dict[str, Any]:
    role = "joining" if n in joining else "learner" if n in learners else "leader" if n == leader else "follower"
    return {
        "name": f"db-{n}",
        "id": f"{0x10 + n:x}",
        "ordinal": n,
        "role": role,
        "healthy": n not in joining,
        "version": "" if n in joining else version,
        "runVersion": version,
        "pvcUID": f"uid-db-{n}",
    }


def answer(
    n: int, *, leader: int = 0, version: str = "3.7.3", learner: bool = False, cluster_id: int = CLUSTER_ID
) -> Probe:
    status = Status(cluster_id, 0x10 + n, 0x10 + leader, version, 1, 1, 9, 9, 2, 5, learner)
    return Probe(status=status, healthy=True)


def without(observed: Observed, *, pod: str = "", volume: str = "", probe: str = "", member: str = "") -> Observed:
    """The same without one thing; a Pod goes with its answers."""
    pods = {name: value for name, value in observed.pods.items() if name != pod}
    volumes = {name: value for name, value in observed.volumes.items() if name != volume}
    probes = {name: value for name, value in observed.probes.items() if name not in (pod, probe)}
    membership = observed.membership
    if membership is not None and member:
        kept = tuple(each for each in membership.members if each.name != member)
        membership = replace(membership, members=kept)
    return replace(observed, pods=pods, volumes=volumes, probes=probes, membership=membership)


def unconfirmed(observed: Observed) -> Observed:
    """No majority answers: what answers, answers for itself."""
    probes = {
        name: replace(probe, healthy=False, status=probe.status and replace(probe.status, leader=0))
        for name, probe in observed.probes.items()
    }
    membership = replace(observed.membership, confirmed=False) if observed.membership and probes else None
    return replace(observed, probes=probes, membership=membership)


def steps(observed: Observed) -> list[str]:
    """The plan's actions, as people read them."""
    return [str(action) for action in analyze(observed, NOW).actions]


def status_of(observed: Observed) -> dict[str, Any]:
    """The status the plan writes."""
    status = analyze(observed, NOW).status
    assert status is not None
    return dict(status)


def condition(observed: Observed, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of one condition; all "" where it is not there."""
    found = next((c for c in status_of(observed)["conditions"] if c["type"] == kind), {})
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


def events(observed: Observed) -> list[str]:
    """The reasons of the Events."""
    return [note.reason for note in analyze(observed, NOW).events]
