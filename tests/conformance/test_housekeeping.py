"""What happens in the background: garbage collection, namespaces, protection."""

from __future__ import annotations

import uuid
from typing import Any

from tests.conformance.conftest import Server, config_map, pod


def owned(name: str, *owners: Any, block: bool = False) -> dict[str, Any]:
    references = [
        {
            "apiVersion": owner.get("apiVersion", "v1"),
            "kind": owner.get("kind", "ConfigMap"),
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            **({"blockOwnerDeletion": True, "controller": True} if block else {}),
        }
        for owner in owners
    ]
    return config_map(name, ownerReferences=references)


async def test_dependents_go_with_their_owner(server: Server, maps: str) -> None:
    owner = await server.make(maps, config_map("owner"))
    await server.make(maps, owned("child", owner))
    answer = await server.delete(f"{maps}/owner")
    assert (answer.code, answer["status"]) == (200, "Success")
    await server.gone(f"{maps}/child")


async def test_dependents_of_dependents_go_too(server: Server, maps: str) -> None:
    owner = await server.make(maps, config_map("owner"))
    child = await server.make(maps, owned("child", owner))
    await server.make(maps, owned("grandchild", child))
    await server.delete(f"{maps}/owner")
    await server.gone(f"{maps}/child")
    await server.gone(f"{maps}/grandchild")


async def test_an_owner_that_never_was_takes_its_dependent_along(server: Server, maps: str) -> None:
    ghost = {"metadata": {"name": "ghost", "uid": str(uuid.uuid4())}}
    await server.make(maps, owned("child", ghost))
    await server.gone(f"{maps}/child")


async def test_one_living_owner_is_enough(server: Server, maps: str) -> None:
    one = await server.make(maps, config_map("one"))
    two = await server.make(maps, config_map("two"))
    await server.make(maps, owned("child", one, two))
    await server.delete(f"{maps}/one")
    answer = await server.until(f"{maps}/child", lambda found: len(found.meta["ownerReferences"]) == 1)
    assert answer.meta["ownerReferences"][0]["name"] == "two"
    await server.delete(f"{maps}/two")
    await server.gone(f"{maps}/child")


async def test_orphans_stay_and_lose_their_reference(server: Server, maps: str) -> None:
    owner = await server.make(maps, config_map("owner"))
    await server.make(maps, owned("child", owner))
    answer = await server.delete(f"{maps}/owner", {"propagationPolicy": "Orphan"})
    assert answer.code == 200
    assert answer.meta["finalizers"] == ["orphan"]
    await server.gone(f"{maps}/owner")
    assert "ownerReferences" not in (await server.get(f"{maps}/child")).meta


async def test_a_foreground_deletion_waits_for_dependents(server: Server, maps: str) -> None:
    owner = await server.make(maps, config_map("owner"))
    child = owned("child", owner, block=True)
    child["metadata"]["finalizers"] = ["example.dev/hold"]
    await server.make(maps, child)
    answer = await server.delete(f"{maps}/owner", {"propagationPolicy": "Foreground"})
    assert answer.code == 200
    assert answer.meta["finalizers"] == ["foregroundDeletion"]
    assert answer.meta["deletionTimestamp"]
    await server.until(f"{maps}/child", lambda found: found.meta.get("deletionTimestamp"))
    assert (await server.get(f"{maps}/owner")).code == 200
    # The collector adds foregroundDeletion to dependents too: only the one of this test is taken away.
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.dev/hold"]}}
    await server.patch(f"{maps}/child", change, "application/strategic-merge-patch+json")
    await server.gone(f"{maps}/child")
    await server.gone(f"{maps}/owner")


async def test_a_foreground_deletion_without_dependents_ends(server: Server, maps: str) -> None:
    await server.make(maps, config_map("owner"))
    await server.delete(f"{maps}/owner", {"propagationPolicy": "Foreground"})
    await server.gone(f"{maps}/owner")


async def test_a_deleted_namespace_empties_itself(server: Server) -> None:
    name = f"d-{uuid.uuid4().hex[:8]}"
    path = f"/api/v1/namespaces/{name}"
    await server.make("/api/v1/namespaces", {"metadata": {"name": name}})
    await server.until(f"{path}/serviceaccounts/default", lambda answer: answer.code == 200)
    await server.make(f"{path}/configmaps", config_map("a"))
    await server.make(f"{path}/pods", pod("p", schedulerName="nobody"))
    answer = await server.delete(path)
    assert (answer.code, answer["kind"]) == (200, "Namespace")
    assert answer["status"]["phase"] == "Terminating"
    assert answer.meta["deletionTimestamp"]
    await server.gone(path)
    assert (await server.get(f"{path}/configmaps")).value["items"] == []


async def test_a_namespace_waits_for_finalizers_and_takes_nothing_new(server: Server) -> None:
    name = f"d-{uuid.uuid4().hex[:8]}"
    path = f"/api/v1/namespaces/{name}"
    await server.make("/api/v1/namespaces", {"metadata": {"name": name}})
    await server.make(f"{path}/configmaps", config_map("a", finalizers=["example.dev/hold"]))
    await server.delete(path)
    await server.until(f"{path}/configmaps/a", lambda found: found.meta.get("deletionTimestamp"))
    answer = await server.post(f"{path}/configmaps", config_map("b"))
    assert (answer.code, answer["reason"]) == (403, "Forbidden")
    assert answer["message"] == (
        f'configmaps "b" is forbidden: unable to create new content in namespace {name} because it is being terminated'
    )
    assert answer["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert (await server.get(path))["status"]["phase"] == "Terminating"
    await server.patch(f"{path}/configmaps/a", {"metadata": {"finalizers": None}})
    await server.gone(path)


async def test_a_new_namespace_has_a_service_account(server: Server, ns: str) -> None:
    answer = await server.get(f"/api/v1/namespaces/{ns}/serviceaccounts")
    assert [item["metadata"]["name"] for item in answer["items"]] == ["default"]


async def test_a_deleted_service_account_default_comes_back(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/serviceaccounts/default"
    before = await server.get(path)
    await server.delete(path)
    await server.until(path, lambda found: found.code == 200 and found.meta["uid"] != before.meta["uid"])


def claim(name: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": name}, "spec": spec}


async def test_an_unused_claim_goes_at_once(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/persistentvolumeclaims"
    await server.make(path, claim("a"))
    answer = await server.delete(f"{path}/a")
    assert answer.meta["deletionTimestamp"]
    await server.gone(f"{path}/a")


async def test_a_claim_waits_for_the_pod_that_uses_it(server: Server, ns: str) -> None:
    path, pods = f"/api/v1/namespaces/{ns}/persistentvolumeclaims", f"/api/v1/namespaces/{ns}/pods"
    await server.make(path, claim("a"))
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "a"}}]
    await server.make(pods, pod("p", nodeName="nobody", volumes=volumes))
    await server.delete(f"{path}/a")
    # Another claim goes meanwhile: the controller has had its turn.
    await server.make(path, claim("b"))
    await server.delete(f"{path}/b")
    await server.gone(f"{path}/b")
    assert (await server.get(f"{path}/a")).meta["finalizers"] == ["kubernetes.io/pvc-protection"]
    await server.delete(f"{pods}/p", gracePeriodSeconds=0)
    await server.gone(f"{path}/a")


async def test_an_unbound_volume_goes_at_once(server: Server, ns: str) -> None:
    name = f"pv-{ns}"
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    made = await server.make("/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": spec})
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert made["status"]["phase"] == "Pending"
    await server.delete(f"/api/v1/persistentvolumes/{name}")
    await server.gone(f"/api/v1/persistentvolumes/{name}")
