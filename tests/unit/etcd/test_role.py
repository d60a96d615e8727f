"""``deploy/etcd-operator.yaml`` allows what the operator does, and nothing else: it is what the code says."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import get_args

import yaml

from controllerkit.client import Client
from controllerkit.controller import Permission, RbacTrace, declared_permissions, policy_rules
from controllerkit.errors import ApiError
from controllerkit.objects import Object
from operators.etcd import render
from operators.etcd.cluster import EtcdClusterReconciler
from operators.etcd.cluster.act import KubernetesAction, act
from operators.etcd.cluster.model import (
    CreatePod,
    CreateService,
    CreateVolume,
    DeletePod,
    DeleteVolume,
    MarkVolume,
    RepairService,
    SetRole,
)
from operators.etcd.versions import Version
from tests.unit.etcd.made import running

ROLE = Path(__file__).resolve().parents[3] / "deploy" / "etcd-operator.yaml"
RULES = next(each for each in yaml.safe_load_all(ROLE.read_text()) if each["kind"] == "Role")["rules"]

ACTIONS: list[KubernetesAction] = [
    CreateService("db"),
    RepairService("db-client", ("spec.ports",)),
    RepairService("db", ("spec.clusterIP",)),
    CreateVolume("db-0", ""),
    MarkVolume("db-0", "c1"),
    CreatePod(render.PodOrder(member="db-0", version=Version.parse("3.7.3"), initial_cluster=())),
    SetRole("db-0", "voter"),
    DeletePod("db-0", "uid"),
    DeleteVolume("db-0", "uid"),
]


def nobody_dials(*_: object) -> object:
    raise AssertionError("these actions are Kubernetes' alone")


async def needed(client: Client) -> set[Permission]:
    """What the reconciler declares, and what each of its actions does; whether it succeeds is no matter."""
    trace = RbacTrace()
    client.hooks.append(trace)
    observed = running(1)
    # The client Service as a server made it, which is updated; the headless one with an address, which cannot be.
    values = {name: service.to_dict() for name, service in observed.services.items()}
    services = {
        name: Object.from_dict({**value, "spec": {**value["spec"], "clusterIP": "10.0.0.9"}})
        for name, value in values.items()
    }
    observed = replace(observed, services=services)
    for action in ACTIONS:
        with suppress(ApiError):
            await act(client, nobody_dials, observed, action)  # type: ignore[arg-type]
    return trace.permissions | declared_permissions(EtcdClusterReconciler)


def test_every_action_on_kubernetes_is_among_those_done_here() -> None:
    assert {type(action) for action in ACTIONS} == set(get_args(KubernetesAction))


async def test_the_role_is_what_is_made_of_the_code(client: Client) -> None:
    assert policy_rules(await needed(client)) == RULES
