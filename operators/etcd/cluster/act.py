"""Carries out one action. Every one is right to do twice, and says "not now" where etcd does."""

from __future__ import annotations

from typing import assert_never, cast

from controllerkit.client import Client
from controllerkit.errors import AlreadyExists, Conflict, NotFound
from controllerkit.objects import Kind, Object, kinds
from operators.etcd import render
from operators.etcd.cluster.model import (
    AddMember,
    ClusterAction,
    CreatePod,
    CreateService,
    CreateVolume,
    DeletePod,
    DeleteVolume,
    MarkVolume,
    MoveLeader,
    Observed,
    PromoteMember,
    Refused,
    RemoveMember,
    RepairService,
    SetRole,
)
from operators.etcd.cluster.observe import Dial, endpoint_of
from operators.etcd.wire import (
    EtcdApi,
    EtcdError,
    MemberExists,
    MemberNotFound,
    NotLeader,
    NotLearner,
    TooManyLearners,
    UnhealthyCluster,
)

__all__ = ["act"]

KubernetesAction = (
    CreateService | RepairService | CreateVolume | MarkVolume | CreatePod | DeletePod | DeleteVolume | SetRole
)
EtcdAction = AddMember | PromoteMember | RemoveMember | MoveLeader


async def act(client: Client, dial: Dial, observed: Observed, action: ClusterAction) -> Refused | None:
    """Does it. Returns what etcd said where it would not, None where all is done.

    Raises:
        ApiError, TransportError: the API server did not do it.
    """
    if isinstance(action, EtcdAction):
        try:
            await _act_on_etcd(dial, observed, action)
        except EtcdError as error:
            message = str(getattr(error, "message", "")) or "no member answers"
            never_proposed = isinstance(error, UnhealthyCluster | TooManyLearners)
            return Refused(message, action.member if isinstance(action, AddMember) and never_proposed else "")
        return None
    await _act_on_kubernetes(client, observed, cast("KubernetesAction", action))
    return None


async def _act_on_kubernetes(client: Client, observed: Observed, action: KubernetesAction) -> None:
    cluster, namespace = observed.cluster, observed.cluster.metadata.namespace
    match action:
        case CreateService(name=name):
            await _create(client, _service(observed, name))
        case RepairService(name=name):
            await _repair(client, observed, name)
        case CreateVolume(member=member, cluster_id=cluster_id):
            await _create(client, render.volume(cluster, member, cluster_id=cluster_id))
        case MarkVolume(member=member, cluster_id=cluster_id):
            patch = {"metadata": {"annotations": {render.CLUSTER_ID_ANNOTATION: cluster_id}}}
            await client.patch(kinds.PERSISTENT_VOLUME_CLAIM, member, patch, namespace)
        case CreatePod(order=order):
            await _create(client, render.pod(cluster, order))
        case SetRole(member=member, role=role):
            patch = {"metadata": {"labels": {render.ROLE_LABEL: role}}}
            await client.patch(kinds.POD, member, patch, namespace)
        case DeletePod(member=member, uid=uid):
            await _delete(client, kinds.POD, member, namespace, uid)
        case DeleteVolume(member=member, uid=uid):
            await _delete(client, kinds.PERSISTENT_VOLUME_CLAIM, member, namespace, uid)
        case _:
            assert_never(action)


async def _act_on_etcd(dial: Dial, observed: Observed, action: EtcdAction) -> None:
    # Leadership is handed over by the leader itself; all else any healthy voter passes on.
    asked = [action.leader] if isinstance(action, MoveLeader) else _healthy_voters(observed, action.member)
    endpoints = [endpoint_of(observed.pods[name]) for name in asked if name in observed.pods]
    etcd: EtcdApi = dial(endpoints, None)
    try:
        match action:
            case AddMember(peer_url=peer_url, learner=learner):
                await etcd.member_add(peer_url, learner=learner)
            case PromoteMember(id=member_id):
                await etcd.member_promote(member_id)
            case RemoveMember(id=member_id):
                await etcd.member_remove(member_id)
            case MoveLeader(target_id=target_id):
                await etcd.move_leader(target_id)
            case _:
                assert_never(action)
    except (MemberExists, MemberNotFound, NotLearner, NotLeader):
        # Done before by a pass that did not live to see it, or the world has moved on: the next look tells.
        return
    finally:
        await etcd.aclose()


def _healthy_voters(observed: Observed, about: str) -> list[str]:
    """Whom to ask: not the member it is about, and the leader first, since it need not pass the request on."""
    names = [
        name
        for name, probe in observed.probes.items()
        if probe.healthy and probe.status is not None and not probe.status.learner and name != about
    ]
    return sorted(names, key=lambda name: name != observed.leader)


def _service(observed: Observed, name: str) -> dict[str, object]:
    cluster = observed.cluster
    return (
        render.client_service(cluster)
        if name == render.client_service_name(cluster)
        else render.headless_service(cluster)
    )


async def _create(client: Client, value: dict[str, object]) -> None:
    try:
        await client.create(value)
    except AlreadyExists:
        return  # made by a pass that did not live to see it; whose it is, the next look tells


async def _repair(client: Client, observed: Observed, name: str) -> None:
    """Replaces the fields that are ours and leaves those the server and others have set."""
    found: Object = observed.services[name]
    wanted, value = _service(observed, name), found.to_dict()
    value.setdefault("spec", {}).update(cast("dict[str, object]", wanted["spec"]))
    labels = cast("dict[str, dict[str, str]]", wanted["metadata"])["labels"]
    value["metadata"].setdefault("labels", {}).update(labels)
    if value["spec"].get("clusterIP") != found.get("spec", "clusterIP", default=""):
        # The address of a Service cannot be changed in place.
        await _delete(client, kinds.SERVICE, name, found.namespace, found.uid)
        return
    await client.update(value)


async def _delete(client: Client, kind: Kind, name: str, namespace: str, uid: str) -> None:
    try:
        await client.delete(kind, name, namespace, uid=uid)
    except (NotFound, Conflict):
        return  # gone, or another of its name has taken its place, which was not meant
