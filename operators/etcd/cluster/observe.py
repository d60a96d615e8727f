"""Gathers an `Observed`: the objects from the API server, then the members' answers.

Everything is read from its source in this pass. A cache may be behind, and what follows from a Pod, a volume or
a status that is not there any more can be the removal of a member.

The order matters: objects first, then the member list. A member is added to etcd before its objects are made,
so an object that was listed has its member in a list read later, or has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from controllerkit.client import Client
from controllerkit.errors import NotFound
from controllerkit.objects import Key, Object, controller_of, kinds
from operators.etcd import render
from operators.etcd.api import EtcdCluster
from operators.etcd.cluster.model import Membership, Observed, PodView, Probe, Refused, VolumeView
from operators.etcd.versions import Version, VersionMap
from operators.etcd.wire import EtcdApi, EtcdError, EtcdRefused, MemberList, NotForLearners, Status

__all__ = ["Dial", "observe"]

Dial = Callable[[Sequence[str], Version | None], EtcdApi]
"""Makes a client for these endpoints; the version where it is known."""

HEALTH_KEY: Final = "health"
"""Read, never written: etcd's own health check asks for the same."""


async def observe(
    client: Client, dial: Dial, key: Key, mapping: VersionMap, *, refused: Refused | None = None
) -> Observed | None:
    """One look at the cluster ``key``; None where it is gone or going, when its objects go with it.

    Raises:
        ApiError, TransportError: something could not be read. Nothing is concluded from that.
        BadRequest: the object does not fit the model.
    """
    try:
        cluster = EtcdCluster.from_object(await client.get(EtcdCluster, key))
    except NotFound:
        return None
    if cluster.source.deleting:
        return None
    selector = render.selector(cluster)
    pods, volumes, services = await asyncio.gather(
        client.list(kinds.POD, key.namespace, label_selector=selector),
        client.list(kinds.PERSISTENT_VOLUME_CLAIM, key.namespace, label_selector=selector),
        client.list(kinds.SERVICE, key.namespace, label_selector=selector),
    )
    own_pods = {pod.name: pod_view(pod) for pod in _own(cluster, pods.items)}
    probes = await _probe_all(dial, own_pods.values())
    return Observed(
        cluster=cluster,
        pods=own_pods,
        volumes={volume.name: volume_view(volume) for volume in _own(cluster, volumes.items)},
        services={service.name: service for service in _own(cluster, services.items)},
        foreign=_foreign(cluster, [*pods.items, *volumes.items, *services.items]),
        membership=await _membership(dial, cluster, own_pods, probes),
        probes=probes,
        mapping=mapping,
        refused=refused,
    )


# -- objects ---------------------------------------------------------------------------------------------------


def _own(cluster: EtcdCluster, found: Iterable[Object]) -> list[Object]:
    return [value for value in found if _is_own(cluster, value)]


def _is_own(cluster: EtcdCluster, value: Object) -> bool:
    reference = controller_of(value)
    return reference is not None and reference.uid == cluster.metadata.uid


def _foreign(cluster: EtcdCluster, found: Iterable[Object]) -> tuple[str, ...]:
    """Objects with names of ours and another owner: what a deleted cluster of the same name has left, mostly."""
    services = (cluster.metadata.name, render.client_service_name(cluster))
    return tuple(
        f"{value.kind} {value.name}"
        for value in found
        if not _is_own(cluster, value)
        and (value.name in services if value.kind == "Service" else render.ordinal_of(cluster, value.name) is not None)
    )


def pod_view(pod: Object) -> PodView:
    """What counts of a Pod."""
    status = pod.status
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
    return PodView(
        name=pod.name,
        uid=pod.uid,
        ip=str(status.get("podIP") or ""),
        role=pod.labels.get(render.ROLE_LABEL, ""),
        version=pod.annotations.get(render.VERSION_ANNOTATION, ""),
        template=pod.annotations.get(render.TEMPLATE_ANNOTATION, ""),
        ready=ready,
        terminating=pod.deleting,
        finished=status.get("phase") in ("Succeeded", "Failed"),
        problem=_pod_problem(status),
    )


def _pod_problem(status: Mapping[str, Any]) -> str:
    for container in status.get("containerStatuses") or ():
        reason = ((container.get("state") or {}).get("waiting") or {}).get("reason")
        if reason and reason not in ("ContainerCreating", "PodInitializing"):
            return str(reason)
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("reason") or "Unschedulable")
    return ""


def volume_view(volume: Object) -> VolumeView:
    """What counts of a volume claim. A claim whose volume is gone (phase Lost) is gone."""
    return VolumeView(
        name=volume.name,
        uid=volume.uid,
        terminating=volume.deleting or volume.status.get("phase") == "Lost",
        cluster_id=volume.annotations.get(render.CLUSTER_ID_ANNOTATION, ""),
    )


# -- etcd ------------------------------------------------------------------------------------------------------


def endpoint_of(pod: PodView) -> str:
    """Where a member is dialled: by address, so that the operator needs no DNS of the cluster's."""
    host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    return f"http://{host}:{render.CLIENT_PORT}"


async def _probe_all(dial: Dial, pods: Iterable[PodView]) -> dict[str, Probe]:
    asked = [pod for pod in pods if pod.ip and not pod.finished]
    answers = await asyncio.gather(*(_probe(dial, pod) for pod in asked))
    return {pod.name: probe for pod, probe in zip(asked, answers, strict=True)}


async def _probe(dial: Dial, pod: PodView) -> Probe:
    etcd = dial([endpoint_of(pod)], _version_of(pod))
    try:
        status, healthy = await asyncio.gather(_status_of(etcd), _reads(etcd))
    finally:
        await etcd.aclose()
    if status is None:
        return Probe(problem="etcd does not answer")
    if status.learner:
        return Probe(status=status, healthy=bool(status.leader))
    return Probe(status=status, healthy=healthy, problem="" if healthy else "etcd does not answer a quorum read")


async def _status_of(etcd: EtcdApi) -> Status | None:
    try:
        return await etcd.status()
    except EtcdError:
        return None


async def _reads(etcd: EtcdApi) -> bool:
    """Whether a quorum read is answered; a refusal that is not about the quorum (such as of auth) is an answer."""
    try:
        await etcd.get(HEALTH_KEY)
    except NotForLearners:
        return False
    except EtcdRefused as error:
        return "permission denied" in error.message or "user name is empty" in error.message
    except EtcdError:
        return False
    return True


async def _membership(
    dial: Dial, cluster: EtcdCluster, pods: Mapping[str, PodView], probes: Mapping[str, Probe]
) -> Membership | None:
    """The member list from a healthy voter, else from any that answers; only from members of the latched cluster."""
    known = cluster.status.cluster_id
    answering = [
        (name, probe)
        for name, probe in probes.items()
        if probe.status is not None and (not known or f"{probe.status.cluster_id:x}" == known)
    ]
    for name, probe in sorted(answering, key=lambda each: not each[1].healthy):
        assert probe.status is not None  # noqa: S101 - selected above
        if probe.status.learner:
            continue
        for linearizable in (True, False) if probe.healthy else (False,):
            found = await _list(dial, pods[name], linearizable=linearizable)
            if found is not None and found.cluster_id == probe.status.cluster_id:
                return Membership(cluster_id=f"{found.cluster_id:x}", members=found.members, confirmed=linearizable)
    return None


async def _list(dial: Dial, pod: PodView, *, linearizable: bool) -> MemberList | None:
    etcd = dial([endpoint_of(pod)], _version_of(pod))
    try:
        return await etcd.member_list(linearizable=linearizable)
    except EtcdError:
        return None
    finally:
        await etcd.aclose()


def _version_of(pod: PodView) -> Version | None:
    """What the Pod was made with, its image and this annotation in one object; None has the member asked."""
    return Version.parse(pod.version) if pod.version else None
