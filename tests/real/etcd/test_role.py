"""The operator under its own Role and nothing else, in this process, so that every request is seen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from controllerkit.client import Client
from controllerkit.controller import Permission, RbacTrace
from controllerkit.devcluster import Bed
from controllerkit.manager import Manager
from controllerkit.objects import kinds
from controllerkit.runtime import wait_until
from operators.etcd.cluster import EtcdClusterReconciler
from operators.etcd.demo.stage import Stage
from operators.etcd.versions import VersionMap
from tests.real.etcd.conftest import DEPLOY_FILE, NAMESPACE, VERSION, least_privileged

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

NOT_MET = {
    *(f"get {what}" for what in ("pods", "persistentvolumeclaims", "services")),
    *(f"list {what}" for what in ("etcdclusters.etcd.database.coreos.com",)),
    "patch etcdclusters/status.etcd.database.coreos.com",
    "update etcdclusters/finalizers.etcd.database.coreos.com",
    "patch persistentvolumeclaims",
    "delete services",
    "patch events.events.k8s.io",
}
"""Of the Role, what this day of a cluster need not meet.

Answers that are lost (get), servers that do not stream (list), keys that keep failing (patch of the status), owner
references as they are enforced elsewhere, volumes that were made before the cluster had an identity, Services whose
address is wrong, and Events that come twice. ``tests/unit/etcd/test_role.py`` has an action for each that is an
action, and ``tests/real/rbac`` shows that the loop needs the others.
"""


async def test_a_day_of_a_cluster_is_allowed_and_meets_all_but_its_accidents(bed: Bed, tmp_path: Path) -> None:
    role = next(each for each in yaml.safe_load_all(DEPLOY_FILE.read_text()) if each["kind"] == "Role")
    allowed = {
        str(Permission(group, resource, verb))
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    stage, trace, stop = Stage(bed, "traced", NAMESPACE), RbacTrace(), asyncio.Event()
    async with await Client.connect(kubeconfig=await least_privileged(bed, tmp_path / "kubeconfig")) as client:
        trace.follow(client)
        reconciler = EtcdClusterReconciler(mapping=VersionMap.parse([]))
        manager = Manager(client, namespace=NAMESPACE, preflight=True)
        manager.add(reconciler)
        running = asyncio.create_task(manager.run(stop))
        try:
            await stage.create({"size": 3, "version": VERSION})
            await stage.wait_healthy(3)
            lost = str((await stage.member("follower"))["name"])
            await stage.destroy_volume(lost)
            await stage.destroy_pod(lost)
            await stage.wait_healthy(3)
            await stage.client.patch(kinds.SERVICE, f"{stage.name}-client", {"spec": {"ports": [PORT]}}, NAMESPACE)
            await wait_until(lambda: asked(trace, "update services"), what="the Service is repaired", timeout_s=30.0)
            await stage.resize(1)
            await stage.wait_healthy(1)
            what = "the volumes of those that left are deleted"
            await wait_until(lambda: asked(trace, "delete persistentvolumeclaims"), what=what, timeout_s=30.0)
            assert not running.done()
        finally:
            await stage.delete()
            stop.set()
            await asyncio.wait([running])
            await reconciler.aclose()
    seen = {str(each) for each in trace.permissions}
    assert trace.refused == set()
    assert seen - {"create selfsubjectaccessreviews.authorization.k8s.io"} <= allowed
    assert allowed - seen <= NOT_MET


PORT = {"name": "client", "port": 1, "protocol": "TCP", "targetPort": 2379}


async def asked(trace: RbacTrace, permission: str) -> bool:
    return permission in {str(each) for each in trace.permissions}
