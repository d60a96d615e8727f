"""Built-in kinds: defaults, what updates may change, subresources."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conformance.conftest import (
    DEADLINE_S,
    MERGE,
    STRATEGIC,
    Answer,
    Server,
    config_map,
    deployment,
    pod,
    stateful_set,
)


@pytest.fixture
def pods(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/pods"


@pytest.fixture
def services(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/services"


def causes(answer: Answer) -> dict[str, str]:
    return {one["field"]: one["message"] for one in answer["details"]["causes"]}


async def test_a_pod_has_its_defaults(server: Server, pods: str) -> None:
    body = pod("a", schedulerName="nobody", volumes=[{"name": "v", "configMap": {"name": "x"}}, {"name": "e"}])
    body["spec"]["containers"][0] |= {
        "ports": [{"containerPort": 80}],
        "readinessProbe": {"httpGet": {"port": 80}},
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    }
    made = await server.make(pods, body)
    spec, container = made["spec"], made["spec"]["containers"][0]
    expected = {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "terminationGracePeriodSeconds": 30,
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "securityContext": {},
        "schedulerName": "nobody",
        "enableServiceLinks": True,
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    assert {name: spec.get(name) for name in expected} == expected
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["readinessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert (container["imagePullPolicy"], container["resources"]) == ("IfNotPresent", {})
    assert spec["volumes"][:2] == [
        {"name": "v", "configMap": {"name": "x", "defaultMode": 420}},
        {"name": "e", "emptyDir": {}},
    ]
    assert [(one["key"], one["tolerationSeconds"]) for one in spec["tolerations"]] == [
        ("node.kubernetes.io/not-ready", 300),
        ("node.kubernetes.io/unreachable", 300),
    ]
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["metadata"]["generation"] == 1


async def test_a_pod_gets_its_service_accounts_token(server: Server, pods: str) -> None:
    made = await server.make(pods, pod("a", schedulerName="nobody"))
    (volume,) = made["spec"]["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    sources = volume["projected"]["sources"]
    assert [next(iter(source)) for source in sources] == ["serviceAccountToken", "configMap", "downwardAPI"]
    assert sources[0]["serviceAccountToken"] == {"expirationSeconds": 3607, "path": "token"}
    (mount,) = made["spec"]["containers"][0]["volumeMounts"]
    assert mount == {
        "name": volume["name"],
        "readOnly": True,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    }


async def test_a_pod_may_go_without_a_token(server: Server, pods: str) -> None:
    made = await server.make(pods, pod("a", schedulerName="nobody", automountServiceAccountToken=False))
    assert "volumes" not in made["spec"]


async def test_a_pod_needs_its_service_account(server: Server, pods: str, ns: str) -> None:
    answer = await server.post(pods, pod("a", serviceAccountName="nope"))
    assert (answer.code, answer["reason"]) == (403, "Forbidden")
    assert answer["message"] == (
        f'pods "a" is forbidden: error looking up service account {ns}/nope: serviceaccount "nope" not found'
    )


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a:1", "IfNotPresent"),
        ("a", "Always"),
        ("a:latest", "Always"),
        ("host:5000/a", "Always"),
        ("a@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
async def test_the_pull_policy_follows_the_tag(server: Server, pods: str, image: str, policy: str) -> None:
    made = await server.make(pods, pod("a", schedulerName="nobody", containers=[{"name": "c", "image": image}]))
    assert made["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
    ],
)
async def test_the_quality_of_service_follows_resources(
    server: Server, pods: str, resources: dict[str, Any], expected: str
) -> None:
    body = pod("a", schedulerName="nobody", containers=[{"name": "c", "image": "i:1", "resources": resources}])
    made = await server.make(pods, body)
    assert made["status"]["qosClass"] == expected
    if "limits" in resources:
        assert made["spec"]["containers"][0]["resources"]["requests"] == resources["limits"]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1000m", "1"),
        ("1.5Gi", "1536Mi"),
        ("1e3", "1e3"),
        (2, "2"),
        ("100000", "100k"),
    ],
)
async def test_quantities_are_written_in_one_form(server: Server, pods: str, sent: Any, stored: str) -> None:
    container = {"name": "c", "image": "i:1", "resources": {"requests": {"memory": sent}}}
    made = await server.make(pods, pod("a", schedulerName="nobody", containers=[container]))
    assert made["spec"]["containers"][0]["resources"]["requests"]["memory"] == stored


async def test_a_broken_quantity_is_refused(server: Server, pods: str) -> None:
    container = {"name": "c", "image": "i:1", "resources": {"requests": {"memory": "lots"}}}
    answer = await server.post(pods, pod("a", containers=[container]))
    assert answer.code == 400
    assert "quantities must match the regular expression" in answer["message"]


async def test_a_pod_needs_containers_with_image_and_name(server: Server, pods: str) -> None:
    answer = await server.post(pods, {"metadata": {"name": "a"}, "spec": {}})
    assert causes(answer) == {"spec.containers": "Required value"}
    answer = await server.post(pods, pod("a", containers=[{"name": "C"}]))
    assert answer.code == 422
    assert set(causes(answer)) == {"spec.containers[0].name", "spec.containers[0].image"}


async def test_a_mount_needs_its_volume(server: Server, pods: str) -> None:
    container = {"name": "c", "image": "i:1", "volumeMounts": [{"name": "nope", "mountPath": "/x"}]}
    answer = await server.post(pods, pod("a", containers=[container]))
    assert causes(answer) == {"spec.containers[0].volumeMounts[0].name": 'Not found: "nope"'}


async def test_the_spec_of_a_pod_is_mostly_fixed(server: Server, pods: str) -> None:
    await server.make(pods, pod("a", schedulerName="nobody"))
    answer = await server.patch(f"{pods}/a", {"spec": {"restartPolicy": "Never"}})
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert (
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`" in answer["message"]
    )


async def test_the_image_of_a_pod_can_change(server: Server, pods: str) -> None:
    await server.make(pods, pod("a", schedulerName="nobody"))
    change = [{"op": "replace", "path": "/spec/containers/0/image", "value": "b:2"}]
    answer = await server.patch(f"{pods}/a", change, "application/json-patch+json")
    assert (answer.code, answer.meta["generation"]) == (200, 2)


async def test_the_status_of_a_pod_is_written_by_its_node(server: Server, pods: str) -> None:
    await server.make(pods, pod("a", nodeName="n"))
    status = {"phase": "Running", "podIP": "127.1.2.3", "conditions": [{"type": "Ready", "status": "True"}]}
    answer = await server.patch(f"{pods}/a/status", {"status": status}, "application/strategic-merge-patch+json")
    assert answer.code == 200
    assert (answer["status"]["phase"], answer["status"]["podIP"]) == ("Running", "127.1.2.3")
    assert answer["status"]["qosClass"] == "BestEffort"
    assert answer.meta["generation"] == 1
    again = {"conditions": [{"type": "Other", "status": "True"}]}
    answer = await server.patch(f"{pods}/a/status", {"status": again}, "application/strategic-merge-patch+json")
    assert {one["type"] for one in answer["status"]["conditions"]} == {"Ready", "Other"}


async def test_a_pod_is_bound_once(server: Server, pods: str) -> None:
    await server.make(pods, pod("a", schedulerName="nobody"))
    binding = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n1"}}
    answer = await server.post(f"{pods}/a/binding", binding)
    assert (answer.code, answer["status"]) == (201, "Success")
    bound = await server.get(f"{pods}/a")
    assert bound["spec"]["nodeName"] == "n1"
    (condition,) = (one for one in bound["status"]["conditions"] if one["type"] == "PodScheduled")
    assert condition["status"] == "True"
    binding["target"]["name"] = "n2"
    answer = await server.post(f"{pods}/a/binding", binding)
    assert (answer.code, answer["reason"]) == (409, "Conflict")
    assert answer["message"].endswith('pod a is already assigned to node "n1"')


async def test_an_unbound_pod_is_deleted_at_once(server: Server, pods: str) -> None:
    await server.make(pods, pod("a", schedulerName="nobody"))
    answer = await server.delete(f"{pods}/a")
    assert (answer.code, answer["kind"]) == (200, "Pod")
    assert (await server.get(f"{pods}/a")).code == 404


async def test_a_bound_pod_waits_for_its_node(server: Server, pods: str) -> None:
    await server.make(pods, pod("a", nodeName="nobody"))
    answer = await server.delete(f"{pods}/a")
    assert (answer.code, answer["kind"]) == (200, "Pod")
    assert answer.meta["deletionGracePeriodSeconds"] == 30
    assert answer.meta["deletionTimestamp"] > answer.meta["creationTimestamp"]
    assert answer.meta["generation"] == 2
    assert (await server.get(f"{pods}/a")).code == 200
    shorter = await server.delete(f"{pods}/a", gracePeriodSeconds=5)
    assert shorter.meta["deletionGracePeriodSeconds"] == 5
    longer = await server.delete(f"{pods}/a", {"gracePeriodSeconds": 60})
    assert longer.meta["deletionGracePeriodSeconds"] == 5
    last = await server.delete(f"{pods}/a", gracePeriodSeconds=0)
    assert last.code == 200
    assert (await server.get(f"{pods}/a")).code == 404


async def test_a_finished_pod_is_deleted_at_once(server: Server, pods: str) -> None:
    await server.make(pods, pod("a", nodeName="nobody"))
    await server.patch(f"{pods}/a/status", {"status": {"phase": "Succeeded"}})
    assert (await server.delete(f"{pods}/a")).code == 200
    assert (await server.get(f"{pods}/a")).code == 404


async def test_an_eviction_deletes_a_pod(server: Server, pods: str) -> None:
    await server.make(pods, pod("a", schedulerName="nobody"))
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    answer = await server.post(f"{pods}/a/eviction", body)
    assert (answer.code, answer["status"]) == (201, "Success")
    assert (await server.get(f"{pods}/a")).code == 404


async def test_a_budget_holds_an_eviction_back(server: Server, pods: str, ns: str) -> None:
    budgets = f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets"
    body = pod("a", nodeName="nobody")
    body["metadata"]["labels"] = {"app": "x"}
    await server.make(pods, body)
    await server.patch(
        f"{pods}/a/status", {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    )
    await server.make(
        budgets, {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}}
    )
    if server.real:
        await server.until(f"{budgets}/b", lambda one: one["status"].get("observedGeneration"))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    answer = await server.post(f"{pods}/a/eviction", eviction)
    assert (answer.code, answer["reason"]) == (429, "TooManyRequests")
    assert answer["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    await server.delete(f"{pods}/a", gracePeriodSeconds=0)


async def test_logs_of_an_unscheduled_pod_are_empty(server: Server, pods: str) -> None:
    await server.make(pods, pod("a", schedulerName="nobody"))
    answer = await server.get(f"{pods}/a/log")
    assert (answer.code, answer.text) == (204, "")


async def test_logs_of_a_pod_on_an_unknown_node_are_not_found(server: Server, pods: str) -> None:
    await server.make(pods, pod("a", nodeName="nobody"))
    answer = await server.get(f"{pods}/a/log")
    assert (answer.code, answer["reason"], answer["message"]) == (404, "NotFound", 'pods "nobody" not found')


async def test_logs_need_a_known_container(server: Server, pods: str) -> None:
    two = [{"name": "x", "image": "i:1"}, {"name": "y", "image": "i:1"}]
    await server.make(pods, pod("a", schedulerName="nobody", containers=two))
    answer = await server.get(f"{pods}/a/log")
    assert answer.code == 400
    assert answer["message"] == "a container name must be specified for pod a, choose one of: [x y]"
    answer = await server.get(f"{pods}/a/log", container="z")
    assert (answer.code, answer["message"]) == (400, "container z is not valid for pod a")


async def test_a_service_gets_an_address_and_defaults(server: Server, services: str) -> None:
    made = await server.make(
        services, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}
    )
    spec = made["spec"]
    assert spec["clusterIP"].startswith("10.0.0.")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["ports"] == [{"protocol": "TCP", "port": 80, "targetPort": 80}]
    expected = {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    }
    assert {name: spec[name] for name in expected} == expected
    assert made["status"] == {"loadBalancer": {}}
    assert "generation" not in made["metadata"]


async def test_services_get_different_addresses(server: Server, services: str) -> None:
    bodies = [{"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}} for name in "abc"]
    addresses = {(await server.make(services, body))["spec"]["clusterIP"] for body in bodies}
    assert len(addresses) == 3


async def test_a_headless_service_keeps_none(server: Server, services: str) -> None:
    made = await server.make(
        services, {"metadata": {"name": "a"}, "spec": {"clusterIP": "None", "selector": {"a": "b"}}}
    )
    assert (made["spec"]["clusterIP"], made["spec"]["clusterIPs"]) == ("None", ["None"])


async def test_a_taken_address_is_refused(server: Server, services: str) -> None:
    first = await server.make(services, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})
    address = first["spec"]["clusterIP"]
    answer = await server.post(
        services, {"metadata": {"name": "b"}, "spec": {"clusterIP": address, "ports": [{"port": 80}]}}
    )
    assert answer.code == 422
    assert "provided IP is already allocated" in answer["message"]


async def test_an_address_outside_the_range_is_refused(server: Server, services: str) -> None:
    answer = await server.post(
        services, {"metadata": {"name": "b"}, "spec": {"clusterIP": "10.9.9.9", "ports": [{"port": 80}]}}
    )
    assert answer.code == 422
    assert "the provided network does not match the current range" in answer["message"]


async def test_the_address_of_a_service_stays(server: Server, services: str) -> None:
    made = await server.make(services, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})
    answer = await server.patch(f"{services}/a", {"spec": {"clusterIP": "10.0.0.77"}})
    assert answer.code == 422
    assert causes(answer) == {"spec.clusterIPs[0]": 'Invalid value: ["10.0.0.77"]: may not change once set'}
    answer = await server.put(f"{services}/a", {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 81}]}})
    assert (answer.code, answer["spec"]["clusterIP"]) == (200, made["spec"]["clusterIP"])


async def test_ports_of_a_service_need_names_when_there_are_several(server: Server, services: str) -> None:
    answer = await server.post(
        services, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80, "name": "x"}, {"port": 81}]}}
    )
    assert causes(answer) == {"spec.ports[1].name": "Required value"}


async def test_a_service_needs_ports(server: Server, services: str) -> None:
    answer = await server.post(services, {"metadata": {"name": "a"}, "spec": {"selector": {"a": "b"}}})
    assert causes(answer) == {"spec.ports": "Required value"}


async def test_node_ports_are_allocated(server: Server, services: str) -> None:
    made = await server.make(
        services, {"metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    )
    assert 30000 <= made["spec"]["ports"][0]["nodePort"] < 32768


async def test_a_deployment_has_its_defaults(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    body = deployment("a")
    del body["spec"]["replicas"]
    made = await server.make(path, body, dryRun="All")
    spec = made["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert made["metadata"]["generation"] == 1


async def test_the_selector_of_a_deployment_matches_its_template_and_stays(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    body = deployment("a")
    body["spec"]["template"]["metadata"]["labels"] = {"other": "x"}
    answer = await server.post(path, body)
    assert answer.code == 422
    assert "`selector` does not match template `labels`" in causes(answer)["spec.template.metadata.labels"]
    await server.make(path, deployment("a"))
    change = {"spec": {"selector": {"matchLabels": {"b": "c"}}, "template": {"metadata": {"labels": {"b": "c"}}}}}
    answer = await server.patch(f"{path}/a", change)
    assert answer.code == 422
    assert "field is immutable" in causes(answer)["spec.selector"]


async def test_deployments_are_scaled(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    await server.make(path, deployment("a"))
    scale = await server.get(f"{path}/a/scale")
    assert (scale["spec"], scale["status"]["selector"]) == ({}, "app=a") or scale["spec"] == {"replicas": 0}
    answer = await server.patch(f"{path}/a/scale", {"spec": {"replicas": 2}})
    assert (answer.code, answer["spec"]["replicas"]) == (200, 2)
    changed = await server.get(f"{path}/a")
    assert changed["spec"]["replicas"] == 2
    answer = await server.patch(f"{path}/a/scale", {"spec": {"replicas": -1}})
    assert (answer.code, causes(answer)) == (
        422,
        {"spec.replicas": "Invalid value: -1: must be greater than or equal to 0"},
    )
    await server.patch(f"{path}/a/scale", {"spec": {"replicas": 0}})


async def test_a_stateful_set_has_its_defaults(server: Server, ns: str) -> None:
    made = await server.make(f"/apis/apps/v1/namespaces/{ns}/statefulsets", stateful_set("a"))
    spec = made["spec"]
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["revisionHistoryLimit"] == 10
    (claim,) = spec["volumeClaimTemplates"]
    assert (claim["kind"], claim["spec"]["volumeMode"], claim["status"]) == (
        "PersistentVolumeClaim",
        "Filesystem",
        {"phase": "Pending"},
    )


async def test_a_stateful_set_may_mount_its_claims_and_nothing_else(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/statefulsets"
    body = stateful_set("a")
    (container,) = body["spec"]["template"]["spec"]["containers"]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    await server.make(path, body)
    container["volumeMounts"].append({"name": "other", "mountPath": "/other"})
    answer = await server.post(path, {**body, "metadata": {"name": "b"}})
    assert answer.code == 422
    assert causes(answer) == {"spec.template.spec.containers[0].volumeMounts[1].name": 'Not found: "other"'}


async def test_most_of_a_stateful_set_stays(server: Server, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/statefulsets"
    await server.make(path, stateful_set("a"))
    answer = await server.patch(f"{path}/a", {"spec": {"serviceName": "other"}})
    assert answer.code == 422
    assert causes(answer) == {"spec.serviceName": 'Invalid value: "other": field is immutable'}
    change = {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}
    answer = await server.patch(f"{path}/a", change)
    assert (answer.code, answer.meta["generation"]) == (200, 2)


async def test_a_job_restarts_never_or_on_failure(server: Server, ns: str) -> None:
    path = f"/apis/batch/v1/namespaces/{ns}/jobs"
    template = {"spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    answer = await server.post(path, {"metadata": {"name": "a"}, "spec": {"template": template}})
    assert causes(answer) == {"spec.template.spec.restartPolicy": 'Required value: valid values: "OnFailure", "Never"'}


async def test_a_claim_is_protected_and_pending(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    made = await server.make(path, {"metadata": {"name": "a"}, "spec": spec})
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert made["spec"]["volumeMode"] == "Filesystem"
    assert made["status"] == {"phase": "Pending"}


async def test_a_claim_needs_access_modes_and_a_size(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/persistentvolumeclaims"
    answer = await server.post(path, {"metadata": {"name": "a"}, "spec": {}})
    assert set(causes(answer)) == {"spec.accessModes", "spec.resources[storage]"}


async def test_the_default_storage_class_is_assigned(server: Server, ns: str) -> None:
    classes = "/apis/storage.k8s.io/v1/storageclasses"
    name = f"class-{ns}"
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    made = await server.make(
        classes, {"metadata": {"name": name, "annotations": annotations}, "provisioner": "example.dev/none"}
    )
    assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Delete", "Immediate")
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    path = f"/api/v1/namespaces/{ns}/persistentvolumeclaims"
    try:
        await server.until(classes, lambda one: one["items"], resourceVersion=0)
        claim = await server.make(path, {"metadata": {"name": "a"}, "spec": spec})
        none = await server.make(path, {"metadata": {"name": "b"}, "spec": {**spec, "storageClassName": ""}})
    finally:
        await server.delete(f"{classes}/{name}")
    assert claim["spec"]["storageClassName"] == name
    assert none["spec"]["storageClassName"] == ""


async def test_the_spec_of_a_claim_stays(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await server.make(path, {"metadata": {"name": "a"}, "spec": spec})
    answer = await server.patch(f"{path}/a", {"spec": {"accessModes": ["ReadWriteMany"]}})
    assert answer.code == 422
    assert "spec is immutable after creation" in answer["message"]


async def test_a_node_keeps_the_status_it_is_made_with(server: Server, ns: str) -> None:
    name = f"node-{ns}"
    status = {"capacity": {"cpu": "1"}, "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}
    made = await server.make("/api/v1/nodes", {"metadata": {"name": name}, "status": status})
    try:
        assert made["status"]["capacity"] == made["status"]["allocatable"] == {"cpu": "1"}
        assert made["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 0}}
        change = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        answer = await server.patch(f"/api/v1/nodes/{name}/status", change)
        assert answer.code == 200
    finally:
        answer = await server.delete(f"/api/v1/nodes/{name}")
    assert (answer["kind"], answer["status"]) == ("Status", "Success")


async def test_a_namespace_is_active_and_labelled(server: Server, ns: str) -> None:
    answer = await server.get(f"/api/v1/namespaces/{ns}")
    assert answer.meta["labels"] == {"kubernetes.io/metadata.name": ns}
    assert (answer["spec"], answer["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})


async def test_namespace_names_have_no_dots(server: Server) -> None:
    answer = await server.post("/api/v1/namespaces", {"metadata": {"name": "x.y"}})
    assert causes(answer) == {"metadata.name": 'Invalid value: "x.y": must not contain dots'}


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_the_first_namespaces_stay(server: Server, name: str) -> None:
    answer = await server.delete(f"/api/v1/namespaces/{name}")
    assert (answer.code, answer["reason"]) == (403, "Forbidden")
    assert answer["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


async def test_every_cluster_has_the_first_namespaces(server: Server) -> None:
    answer = await server.get("/api/v1/namespaces")
    names = {item["metadata"]["name"] for item in answer["items"]}
    assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= names


def core_event(name: str, ns: str, **more: Any) -> dict[str, Any]:
    involved = {"kind": "Pod", "name": "a", "namespace": ns}
    body = {"metadata": {"name": name}, "involvedObject": involved, "reason": "R", "message": "m", "type": "Normal"}
    return {**body, **more}


async def test_events_of_one_api_are_seen_in_the_other(server: Server, ns: str) -> None:
    core, new = f"/api/v1/namespaces/{ns}/events", f"/apis/events.k8s.io/v1/namespaces/{ns}/events"
    at = "2026-01-01T00:00:00Z"
    await server.make(
        core, core_event("e", ns, source={"component": "c"}, firstTimestamp=at, lastTimestamp=at, count=2)
    )
    shown = await server.get(f"{new}/e")
    assert shown["apiVersion"] == "events.k8s.io/v1"
    assert shown["regarding"]["name"] == "a"
    assert (shown["note"], shown["deprecatedCount"], shown["deprecatedSource"]) == ("m", 2, {"component": "c"})
    assert shown["deprecatedFirstTimestamp"] == at
    assert "involvedObject" not in shown.value
    body = {
        "metadata": {"name": "f"},
        "regarding": {"kind": "Pod", "name": "b", "namespace": ns},
        "reason": "S",
        "note": "n",
        "type": "Warning",
        "action": "Do",
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.dev/c",
        "reportingInstance": "i",
    }
    made = await server.make(new, body)
    assert (made["apiVersion"], made["note"]) == ("events.k8s.io/v1", "n")
    stored = await server.get(f"{core}/f")
    assert (stored["apiVersion"], stored["message"]) == ("v1", "n")
    assert (stored["involvedObject"]["name"], stored["reportingComponent"]) == ("b", "example.dev/c")
    assert stored["action"] == "Do"


def new_event(name: str, ns: str, **more: Any) -> dict[str, Any]:
    body = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name},
        "regarding": {"kind": "Pod", "name": "a", "namespace": ns},
        "reason": "R",
        "note": "n",
        "type": "Normal",
        "action": "Do",
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.dev/c",
        "reportingInstance": "i",
    }
    return {**body, **more}


@pytest.mark.parametrize("content_type", [STRATEGIC, MERGE])
async def test_a_series_of_events_is_patched(server: Server, ns: str, content_type: str) -> None:
    core, new = f"/api/v1/namespaces/{ns}/events", f"/apis/events.k8s.io/v1/namespaces/{ns}/events"
    await server.make(new, new_event("e", ns))
    for count in (2, 7):
        series = {"count": count, "lastObservedTime": f"2026-01-01T00:00:0{count}.000000Z"}
        answer = await server.patch(f"{new}/e", {"series": series}, content_type)
        assert (answer.code, answer["series"]) == (200, series)
        assert (await server.get(f"{core}/e"))["series"] == series
    answer = await server.patch(f"{new}/gone", {"series": series}, content_type)
    assert answer.code == 404


async def test_nothing_of_a_newer_event_changes_but_its_series(server: Server, ns: str) -> None:
    core, new = f"/api/v1/namespaces/{ns}/events", f"/apis/events.k8s.io/v1/namespaces/{ns}/events"
    await server.make(new, new_event("e", ns))
    fixed = {"note": "x", "reason": "X", "type": "Warning", "action": "Other", "reportingInstance": "j"}
    answer = await server.patch(f"{new}/e", fixed)
    assert answer.code == 422
    assert causes(answer) == {
        "message": 'Invalid value: "x": field is immutable',
        "reason": 'Invalid value: "X": field is immutable',
        "type": 'Invalid value: "Warning": field is immutable',
        "action": 'Invalid value: "Other": field is immutable',
        "reportingInstance": 'Invalid value: "j": field is immutable',
    }
    answer = await server.patch(f"{new}/e", {"series": {"count": 1, "lastObservedTime": None}})
    assert causes(answer) == {
        "series.count": 'Invalid value: "": should be at least 2',
        "series.lastObservedTime": "Required value",
    }
    assert (await server.patch(f"{core}/e", {"message": "x"})).code == 200, "the older API lets it"


async def test_a_newer_event_says_who_reports_and_what_was_done(server: Server, ns: str) -> None:
    new = f"/apis/events.k8s.io/v1/namespaces/{ns}/events"
    answer = await server.post(
        new, new_event("e", ns, type="Odd", deprecatedCount=1, note="n" * 1025, reportingInstance="", action="")
    )
    assert answer.code == 422
    assert causes(answer) == {
        "reportingInstance": "Required value",
        "action": "Required value",
        "message": 'Invalid value: "": can have at most 1024 characters',
        "type": 'Invalid value: "": has invalid value: Odd',
        "count": 'Invalid value: "": needs to be unset',
    }
    answer = await server.post(new, new_event("e", ns, reportingController="a b"))
    assert list(causes(answer)) == ["reportingController"]


async def test_events_are_watched_in_both_apis(server: Server, ns: str) -> None:
    core, new = f"/api/v1/namespaces/{ns}/events", f"/apis/events.k8s.io/v1/namespaces/{ns}/events"
    rv = (await server.get(core)).rv
    async with server.watch(new, resourceVersion=rv) as watch:
        await server.make(core, core_event("e", ns))
        (event,) = await watch.take(1)
    assert (event["object"]["apiVersion"], event["object"]["note"]) == ("events.k8s.io/v1", "m")


async def test_events_are_chosen_by_what_they_are_about(server: Server, ns: str) -> None:
    core, new = f"/api/v1/namespaces/{ns}/events", f"/apis/events.k8s.io/v1/namespaces/{ns}/events"
    await server.make(core, core_event("e", ns))
    other = core_event("f", ns)
    other["involvedObject"]["name"] = "z"
    await server.make(core, other)
    for path, field in ((core, "involvedObject.name"), (new, "regarding.name")):
        answer = await server.get(path, fieldSelector=f"{field}=z,reason=R")
        assert [item["metadata"]["name"] for item in answer["items"]] == ["f"], field


async def test_an_event_lives_where_its_object_does(server: Server, ns: str) -> None:
    answer = await server.post(f"/api/v1/namespaces/{ns}/events", core_event("e", "elsewhere"))
    assert answer.code == 422
    assert causes(answer) == {"involvedObject.namespace": 'Invalid value: "elsewhere": does not match event.namespace'}


async def test_tokens_of_service_accounts_are_known(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/serviceaccounts/default/token"
    answer = await server.post(path, {"spec": {"expirationSeconds": 600}})
    assert (answer.code, answer["kind"]) == (201, "TokenRequest")
    assert answer["status"]["expirationTimestamp"]
    token = answer["status"]["token"]
    review = await server.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}})
    assert review.code == 201
    assert review["status"]["authenticated"] is True
    user = review["status"]["user"]
    assert user["username"] == f"system:serviceaccount:{ns}:default"
    assert f"system:serviceaccounts:{ns}" in user["groups"]


async def test_with_a_service_account_its_tokens_go(server: Server, ns: str) -> None:
    accounts = f"/api/v1/namespaces/{ns}/serviceaccounts"
    await server.make(accounts, {"metadata": {"name": "a"}})
    token = (await server.post(f"{accounts}/a/token", {"spec": {}}))["status"]["token"]
    await server.delete(f"{accounts}/a")
    await server.make(accounts, {"metadata": {"name": "a"}})  # another of the same name

    async with asyncio.timeout(DEADLINE_S):  # the real server hears of accounts through a cache
        while True:
            review = await server.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}})
            if not review["status"].get("authenticated"):
                break


async def test_unknown_tokens_are_not_authenticated(server: Server) -> None:
    review = await server.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x.y.z"}})
    assert review.code == 201
    assert not review["status"].get("authenticated")


async def test_the_administrator_may_do_everything(server: Server) -> None:
    spec = {"resourceAttributes": {"verb": "delete", "resource": "pods"}}
    answer = await server.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": spec})
    assert (answer.code, answer["status"]["allowed"]) == (201, True)


async def test_requests_without_a_known_token_are_unauthorized(server: Server) -> None:
    answer = await server.get("/api/v1/pods", headers={"Authorization": "Bearer wrong"})
    assert (answer.code, answer["reason"], answer["message"]) == (401, "Unauthorized", "Unauthorized")


async def test_a_role_binding_keeps_its_role(server: Server, ns: str) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings"
    role = {"kind": "ClusterRole", "name": "view"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": ns}
    made = await server.make(path, {"metadata": {"name": "a"}, "roleRef": role, "subjects": [subject]})
    assert made["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    answer = await server.patch(f"{path}/a", {"roleRef": {"name": "edit"}})
    assert answer.code == 422
    assert "field is immutable" in causes(answer)["roleRef"]


async def test_immutable_secrets_stay_and_types_too(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/secrets"
    await server.make(path, {"metadata": {"name": "a"}, "data": {"k": "dg=="}, "immutable": True})
    answer = await server.patch(f"{path}/a", {"data": {"k": "dw=="}})
    assert answer.code == 422
    await server.make(path, {"metadata": {"name": "b"}})
    answer = await server.patch(f"{path}/b", {"type": "other"})
    assert "field is immutable" in causes(answer)["type"]


@pytest.mark.parametrize(
    ("kind", "ready"), [("deployments", "readyReplicas"), ("statefulsets", "status.readyReplicas")]
)
async def test_no_more_replicas_are_ready_than_there_are(server: Server, ns: str, kind: str, ready: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/{kind}"
    await server.make(path, {"deployments": deployment, "statefulsets": stateful_set}[kind]("a"))
    answer = await server.patch(
        f"{path}/a/status", {"status": {"replicas": 1, "readyReplicas": 2, "availableReplicas": 3}}
    )
    assert answer.code == 422
    over = "cannot be greater than status.replicas"
    messages = {(cause["field"], cause["message"]) for cause in answer["details"]["causes"]}
    assert messages == {
        ("status.readyReplicas", f"Invalid value: 2: {over}"),
        ("status.availableReplicas", f"Invalid value: 3: {over}"),
        ("status.availableReplicas", f"Invalid value: 3: cannot be greater than {ready}"),
    }


async def test_a_subresource_a_kind_does_not_have_is_not_found(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.get(f"{maps}/a/status")
    assert (answer.code, answer["message"]) == (404, "the server could not find the requested resource")


async def test_methods_a_path_does_not_have_are_not_allowed(server: Server, maps: str) -> None:
    for method, path in (("DELETE", "/api/v1/configmaps"), ("POST", "/api/v1/configmaps"), ("PUT", maps)):
        answer = await server.call(method, path, config_map("a"))
        assert (answer.code, answer["reason"]) == (405, "MethodNotAllowed"), (method, path)
        assert answer["message"] == "the server does not allow this method on the requested resource"


@pytest.mark.parametrize("path", ["/api/v1/bindings", "/apis/authorization.k8s.io/v1/localsubjectaccessreviews"])
async def test_what_cannot_be_listed_has_no_path_across_namespaces(server: Server, path: str) -> None:
    answer = await server.get(path)
    assert (answer.code, answer["message"]) == (404, "the server could not find the requested resource")


async def test_unknown_resources_of_known_groups_have_a_status(server: Server) -> None:
    for path in ("/api/v1/foos", "/apis/apps/v1/foos"):
        answer = await server.get(path)
        assert (answer.code, answer["reason"]) == (404, "NotFound")
        assert answer["message"] == "the server could not find the requested resource"
