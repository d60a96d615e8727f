"""Discovery, OpenAPI, health, version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import Custom, Server

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
GROUP_VERSIONS = (
    "v1",
    "apps/v1",
    "batch/v1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "events.k8s.io/v1",
    "policy/v1",
    "storage.k8s.io/v1",
    "rbac.authorization.k8s.io/v1",
    "apiextensions.k8s.io/v1",
)
EXPECTED: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "v1/pods": ("Pod", True, ("po",)),
    "v1/nodes": ("Node", False, ("no",)),
    "v1/namespaces": ("Namespace", False, ("ns",)),
    "v1/services": ("Service", True, ("svc",)),
    "v1/endpoints": ("Endpoints", True, ("ep",)),
    "v1/persistentvolumes": ("PersistentVolume", False, ("pv",)),
    "v1/persistentvolumeclaims": ("PersistentVolumeClaim", True, ("pvc",)),
    "v1/configmaps": ("ConfigMap", True, ("cm",)),
    "v1/secrets": ("Secret", True, ()),
    "v1/serviceaccounts": ("ServiceAccount", True, ("sa",)),
    "v1/events": ("Event", True, ("ev",)),
    "apps/v1/deployments": ("Deployment", True, ("deploy",)),
    "apps/v1/statefulsets": ("StatefulSet", True, ("sts",)),
    "apps/v1/replicasets": ("ReplicaSet", True, ("rs",)),
    "apps/v1/daemonsets": ("DaemonSet", True, ("ds",)),
    "apps/v1/controllerrevisions": ("ControllerRevision", True, ()),
    "batch/v1/jobs": ("Job", True, ()),
    "batch/v1/cronjobs": ("CronJob", True, ("cj",)),
    "coordination.k8s.io/v1/leases": ("Lease", True, ()),
    "discovery.k8s.io/v1/endpointslices": ("EndpointSlice", True, ()),
    "events.k8s.io/v1/events": ("Event", True, ("ev",)),
    "policy/v1/poddisruptionbudgets": ("PodDisruptionBudget", True, ("pdb",)),
    "storage.k8s.io/v1/storageclasses": ("StorageClass", False, ("sc",)),
    "rbac.authorization.k8s.io/v1/roles": ("Role", True, ()),
    "rbac.authorization.k8s.io/v1/rolebindings": ("RoleBinding", True, ()),
    "rbac.authorization.k8s.io/v1/clusterroles": ("ClusterRole", False, ()),
    "rbac.authorization.k8s.io/v1/clusterrolebindings": ("ClusterRoleBinding", False, ()),
    "apiextensions.k8s.io/v1/customresourcedefinitions": ("CustomResourceDefinition", False, ("crd", "crds")),
}


def path_of(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


@pytest.mark.parametrize("resource", EXPECTED)
async def test_every_kind_is_discovered(server: Server, resource: str) -> None:
    api_version, _, plural = resource.rpartition("/")
    answer = await server.get(path_of(api_version))
    assert (answer.code, answer["kind"], answer["groupVersion"]) == (200, "APIResourceList", api_version)
    found = next(one for one in answer["resources"] if one["name"] == plural)
    kind, namespaced, short = EXPECTED[resource]
    assert (found["kind"], found["namespaced"]) == (kind, namespaced)
    assert tuple(found.get("shortNames", ())) == short
    assert {"create", "delete", "get", "list", "patch", "update", "watch"} <= set(found["verbs"])
    assert found["singularName"] == ("endpoints" if plural == "endpoints" else kind.lower())


SUBRESOURCES = {
    "v1/pods/status": "Pod",
    "v1/pods/log": "Pod",
    "v1/pods/binding": "Binding",
    "v1/pods/eviction": "Eviction",
    "v1/serviceaccounts/token": "TokenRequest",
    "v1/nodes/status": "Node",
    "v1/namespaces/finalize": "Namespace",
    "apps/v1/deployments/scale": "Scale",
    "apps/v1/statefulsets/scale": "Scale",
    "apps/v1/deployments/status": "Deployment",
    "batch/v1/jobs/status": "Job",
}


@pytest.mark.parametrize("resource", SUBRESOURCES)
async def test_subresources_are_discovered(server: Server, resource: str) -> None:
    head, _, sub = resource.rpartition("/")
    api_version, _, plural = head.rpartition("/")
    answer = await server.get(path_of(api_version))
    found = next(one for one in answer["resources"] if one["name"] == f"{plural}/{sub}")
    assert (found["kind"], found["singularName"]) == (SUBRESOURCES[resource], "")
    if found["kind"] == "Scale":
        assert (found["group"], found["version"]) == ("autoscaling", "v1")
        assert sorted(found["verbs"]) == ["get", "patch", "update"]


async def test_the_category_all_holds_workloads(server: Server) -> None:
    for api_version, plurals in (
        ("v1", {"pods", "services"}),
        ("apps/v1", {"deployments", "statefulsets", "replicasets", "daemonsets"}),
    ):
        answer = await server.get(path_of(api_version))
        in_all = {one["name"] for one in answer["resources"] if "all" in one.get("categories", ())}
        assert plurals <= in_all


async def test_groups_are_listed_with_their_versions(server: Server) -> None:
    answer = await server.get("/apis")
    assert (answer["kind"], answer.code) == ("APIGroupList", 200)
    groups = {one["name"]: one for one in answer["groups"]}
    for api_version in GROUP_VERSIONS[1:]:
        group, version = api_version.split("/")
        assert groups[group]["preferredVersion"] == {"groupVersion": api_version, "version": version}


async def test_one_group_is_shown(server: Server) -> None:
    answer = await server.get("/apis/apps")
    assert answer.value == {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": "apps",
        "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
        "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
    }


async def test_the_core_group_has_version_one(server: Server) -> None:
    answer = await server.get("/api")
    assert (answer["kind"], answer["versions"]) == ("APIVersions", ["v1"])


async def test_unknown_groups_are_plain_not_found(server: Server) -> None:
    for path in ("/apis/nope.example.dev", "/apis/nope.example.dev/v1", "/apis/apps/v9", "/nothing"):
        answer = await server.get(path)
        assert answer.code == 404, path


def aggregated(answer: Any) -> dict[str, Any]:
    found = {}
    for group in answer["items"]:
        for version in group["versions"]:
            for resource in version["resources"]:
                name = group["metadata"].get("name", "")
                found["/".join(filter(None, (name, version["version"], resource["resource"])))] = resource
    return found


async def test_aggregated_discovery_says_the_same(server: Server) -> None:
    found: dict[str, Any] = {}
    for path in ("/api", "/apis"):
        answer = await server.get(path, accept=AGGREGATED)
        assert answer.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        assert (answer["kind"], answer["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
        found |= aggregated(answer)
    for resource, (kind, namespaced, short) in EXPECTED.items():
        one = found[resource]
        assert one["responseKind"]["kind"] == kind
        assert one["scope"] == ("Namespaced" if namespaced else "Cluster")
        assert tuple(one.get("shortNames", ())) == short
    scale = next(one for one in found["apps/v1/deployments"]["subresources"] if one["subresource"] == "scale")
    assert scale["responseKind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}


async def test_custom_resources_are_discovered_in_both_forms(server: Server, widgets: Custom) -> None:
    answer = await server.get(f"/apis/{widgets.group}/v1")
    found = {one["name"]: one for one in answer["resources"]}
    assert set(found) == {"widgets", "widgets/status", "widgets/scale"}
    assert (found["widgets"]["shortNames"], found["widgets"]["categories"]) == (["wd"], ["all"])
    whole = await server.until("/apis", lambda one: f"{widgets.group}/v1/widgets" in aggregated(one), accept=AGGREGATED)
    one = aggregated(whole)[f"{widgets.group}/v1/widgets"]
    assert (one["singularResource"], one["responseKind"]["kind"]) == ("widget", "Widget")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_health_is_ok(server: Server, path: str) -> None:
    answer = await server.get(path)
    assert (answer.code, answer.text) == (200, "ok")


async def test_the_version_is_told(server: Server) -> None:
    answer = await server.get("/version")
    assert (answer["major"], answer["minor"]) == ("1", "37")
    assert answer["gitVersion"].startswith("v1.37.")


async def test_openapi_lists_every_group_version(server: Server, widgets: Custom) -> None:
    answer = await server.until("/openapi/v3", lambda one: f"apis/{widgets.group}/v1" in one["paths"])
    assert {"api/v1", "apis/apps/v1"} <= set(answer["paths"])
    assert answer["paths"]["api/v1"]["serverRelativeURL"].startswith("/openapi/v3/api/v1?hash=")


async def test_openapi_says_that_fields_are_validated(server: Server) -> None:
    answer = await server.get("/openapi/v3/apis/apps/v1")
    operation = answer["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "fieldValidation" in {one["name"] for one in operation["parameters"]}
    assert operation["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}


async def test_openapi_says_how_lists_are_merged(server: Server) -> None:
    schemas = (await server.get("/openapi/v3/apis/apps/v1"))["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (containers["x-kubernetes-patch-merge-key"], containers["x-kubernetes-patch-strategy"]) == ("name", "merge")
    assert containers["x-kubernetes-list-map-keys"] == ["name"]


async def test_openapi_holds_custom_resources(server: Server, widgets: Custom) -> None:
    path = f"/openapi/v3/apis/{widgets.group}/v1"
    answer = await server.until(path, lambda one: one.code == 200)
    (schema,) = (
        one
        for one in answer["components"]["schemas"].values()
        if {"group": widgets.group, "version": "v1", "kind": "Widget"} in one.get("x-kubernetes-group-version-kind", ())
    )
    assert schema["properties"]["spec"]["properties"]["size"]["maximum"] == 9
