"""Lists: selectors, revisions, pages, and the forms they come in."""

from __future__ import annotations

import json

import pytest

from tests.conformance.conftest import Answer, Custom, Server, config_map, pod

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
MINE = "suite=lists"


def names(answer: Answer) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


async def fill(server: Server, maps: str, *wanted: str, **labels: str) -> None:
    for name in wanted:
        await server.make(maps, config_map(name, {"k": name}, labels={"suite": "lists", **labels}))


async def test_a_list_is_sorted_and_has_a_resource_version(server: Server, maps: str) -> None:
    await fill(server, maps, "c", "a", "b")
    answer = await server.get(maps, labelSelector=MINE)
    assert answer.code == 200
    assert (answer["kind"], answer["apiVersion"]) == ("ConfigMapList", "v1")
    assert names(answer) == ["a", "b", "c"]
    newest = max(int(item["metadata"]["resourceVersion"]) for item in answer["items"])
    assert int(answer.rv) >= newest


async def test_items_of_builtin_lists_have_no_kind(server: Server, maps: str) -> None:
    await fill(server, maps, "a")
    (item,) = (await server.get(maps, labelSelector=MINE))["items"]
    assert "kind" not in item
    assert "apiVersion" not in item


async def test_an_empty_list_has_items(server: Server, ns: str) -> None:
    answer = await server.get(f"/api/v1/namespaces/{ns}/secrets")
    assert (answer.code, answer["items"]) == (200, [])


async def test_a_list_of_a_missing_namespace_is_empty(server: Server) -> None:
    answer = await server.get("/api/v1/namespaces/never-made/pods")
    assert (answer.code, answer["items"]) == (200, [])


async def test_a_list_over_all_namespaces_holds_them_in_order(server: Server, maps: str, ns: str) -> None:
    await fill(server, maps, "a")
    answer = await server.get("/api/v1/configmaps")
    keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in answer["items"]]
    assert (ns, "a") in keys
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("tier=x", ["a"]),
        ("tier==x", ["a"]),
        ("tier!=x", ["b", "c"]),
        ("tier in (x,y)", ["a", "b"]),
        ("tier notin (x)", ["b", "c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        ("tier,tier!=y", ["a"]),
        ("tier=z", []),
    ],
)
async def test_label_selectors_choose(server: Server, maps: str, selector: str, expected: list[str]) -> None:
    await fill(server, maps, "a", tier="x")
    await fill(server, maps, "b", tier="y")
    await fill(server, maps, "c")
    assert names(await server.get(maps, labelSelector=f"{MINE},{selector}")) == expected


async def test_a_broken_label_selector_is_a_bad_request(server: Server, maps: str) -> None:
    for selector in ("a in b", "a===b", "=x"):
        answer = await server.get(maps, labelSelector=selector)
        assert (answer.code, answer["reason"]) == (400, "BadRequest"), selector


async def test_field_selectors_choose_by_name(server: Server, maps: str) -> None:
    await fill(server, maps, "a", "b")
    assert names(await server.get(maps, fieldSelector="metadata.name=a")) == ["a"]
    assert names(await server.get(maps, fieldSelector="metadata.name!=a", labelSelector=MINE)) == ["b"]


async def test_unknown_fields_in_selectors_are_bad_requests(server: Server, maps: str) -> None:
    answer = await server.get(maps, fieldSelector="spec.foo=b")
    assert (answer.code, answer["reason"]) == (400, "BadRequest")
    assert answer["message"] == ('"spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace"')


async def test_a_broken_field_selector_is_a_bad_request(server: Server, maps: str) -> None:
    answer = await server.get(maps, fieldSelector="spec.foo")
    assert answer.code == 400
    assert answer["message"] == "invalid selector: 'spec.foo'; can't understand 'spec.foo'"


async def test_pods_are_chosen_by_node_and_phase(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    await server.make(path, pod("a", nodeName="node-x"))
    await server.make(path, pod("b", nodeName="node-y"))
    await server.patch(f"{path}/b/status", {"status": {"phase": "Running"}})
    assert names(await server.get(path, fieldSelector="spec.nodeName=node-x")) == ["a"]
    assert names(await server.get(path, fieldSelector="spec.nodeName!=node-x")) == ["b"]
    assert names(await server.get(path, fieldSelector="status.phase=Running")) == ["b"]
    assert names(await server.get(path, fieldSelector="status.phase!=Running,spec.restartPolicy=Always")) == ["a"]


async def test_secrets_are_chosen_by_type(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/secrets"
    await server.make(path, {"metadata": {"name": "a"}, "type": "example.dev/one"})
    await server.make(path, {"metadata": {"name": "b"}})
    assert names(await server.get(path, fieldSelector="type=example.dev/one")) == ["a"]


async def test_custom_resources_are_chosen_by_selectable_fields(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 1, "color": "blue"}))
    await server.make(widgets.path(), widgets.new("b", {"size": 1}))
    assert names(await server.get(widgets.path(), fieldSelector="spec.color=blue")) == ["a"]
    answer = await server.get(widgets.path(), fieldSelector="spec.size=1")
    assert (answer.code, answer["message"]) == (400, "field label not supported: spec.size")


async def test_pages_are_cut_and_continued(server: Server, maps: str, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/secrets"
    for name in "abcde":
        await server.make(path, {"metadata": {"name": name}})
    first = await server.get(path, limit=2)
    assert names(first) == ["a", "b"]
    assert first.meta["remainingItemCount"] == 3
    second = await server.get(path, limit=2, continue_=first.meta["continue"])
    assert names(second) == ["c", "d"]
    assert second.meta["remainingItemCount"] == 1
    assert second.rv == first.rv
    third = await server.get(path, limit=2, continue_=second.meta["continue"])
    assert names(third) == ["e"]
    assert not third.meta.get("continue")
    assert "remainingItemCount" not in third.meta


async def test_pages_are_of_one_revision(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/secrets"
    for name in "acf":
        await server.make(path, {"metadata": {"name": name}})
    first = await server.get(path, limit=1)
    await server.make(path, {"metadata": {"name": "b"}})
    await server.delete(f"{path}/c")
    await server.patch(f"{path}/f", {"metadata": {"labels": {"changed": "yes"}}})
    rest = await server.get(path, limit=10, continue_=first.meta["continue"])
    assert names(rest) == ["c", "f"]
    assert "labels" not in rest["items"][1]["metadata"]
    assert rest.rv == first.rv


async def test_a_page_with_a_selector_counts_no_remaining_items(server: Server, maps: str) -> None:
    await fill(server, maps, "a", "b", "c")
    answer = await server.get(maps, limit=1, labelSelector=MINE)
    assert names(answer) == ["a"]
    assert "remainingItemCount" not in answer.meta
    assert answer.meta["continue"]


async def test_a_broken_continue_token_is_a_bad_request(server: Server, maps: str) -> None:
    answer = await server.get(maps, continue_="abc")
    assert (answer.code, answer["reason"]) == (400, "BadRequest")
    assert answer["message"].startswith("invalid continue token: continue key is not valid:")


async def test_resource_version_zero_lists_anything(server: Server, maps: str) -> None:
    await fill(server, maps, "a", "b")
    answer = await server.until(f"{maps}", lambda one: len(names(one)) >= 2, resourceVersion=0, labelSelector=MINE)
    assert names(answer) == ["a", "b"]


async def test_not_older_than_lists_at_least_that(server: Server, maps: str) -> None:
    await fill(server, maps, "a", "b")
    rv = (await server.get(maps)).rv
    answer = await server.get(maps, resourceVersion=rv, resourceVersionMatch="NotOlderThan", labelSelector=MINE)
    assert names(answer) == ["a", "b"]
    assert int(answer.rv) >= int(rv)


async def test_an_exact_revision_lists_the_past(server: Server, maps: str) -> None:
    await fill(server, maps, "a")
    rv = (await server.get(maps)).rv
    await fill(server, maps, "b")
    answer = await server.get(maps, resourceVersion=rv, resourceVersionMatch="Exact", labelSelector=MINE)
    assert (names(answer), answer.rv) == (["a"], rv)


async def test_a_revision_from_the_future_is_a_timeout(server: Server, maps: str) -> None:
    answer = await server.get(maps, resourceVersion=99999999)
    assert (answer.code, answer["reason"]) == (504, "Timeout")
    assert answer["message"].startswith("Timeout: Too large resource version: 99999999, current: ")
    assert answer["details"]["retryAfterSeconds"] == 1
    assert answer["details"]["causes"] == [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    "query",
    [
        {"resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "Bogus", "resourceVersion": "1"},
        {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
        {"sendInitialEvents": "true"},
        {"watch": "true", "sendInitialEvents": "true"},
        {"watch": "true", "resourceVersionMatch": "Exact", "resourceVersion": "1"},
    ],
    ids=lambda query: ",".join(f"{k}={v}" for k, v in query.items()),
)
async def test_parameters_that_do_not_go_together_are_invalid(server: Server, maps: str, query: dict[str, str]) -> None:
    answer = await server.get(maps, **query)
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert answer["message"].startswith('ListOptions.meta.k8s.io "" is invalid: ')


async def test_numbers_that_are_none_are_refused(server: Server, maps: str) -> None:
    answer = await server.get(maps, limit="x")
    assert (answer.code, answer["message"]) == (400, 'strconv.ParseInt: parsing "x": invalid syntax')
    answer = await server.get(maps, resourceVersion="abc")
    assert answer.code == 400
    assert answer["message"].startswith("invalid resource version")


async def test_get_one_object_at_resource_version_zero(server: Server, maps: str) -> None:
    await fill(server, maps, "a")
    assert (await server.until(f"{maps}/a", lambda one: one.code == 200, resourceVersion=0)).meta["name"] == "a"


async def test_metadata_alone_can_be_listed(server: Server, maps: str) -> None:
    await fill(server, maps, "a")
    answer = await server.get(maps, accept=PARTIAL_LIST, labelSelector=MINE)
    assert (answer["kind"], answer["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    (item,) = answer["items"]
    assert set(item) <= {"kind", "apiVersion", "metadata"}
    assert item["metadata"]["labels"] == {"suite": "lists"}


async def test_metadata_alone_can_be_read(server: Server, maps: str) -> None:
    await fill(server, maps, "a")
    answer = await server.get(f"{maps}/a", accept=PARTIAL)
    assert (answer["kind"], answer["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert "data" not in answer.value


async def test_tables_have_columns_and_rows(server: Server, maps: str) -> None:
    await fill(server, maps, "a")
    answer = await server.get(maps, accept=TABLE, labelSelector=MINE)
    assert (answer["kind"], answer["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    columns = [(one["name"], one["type"], one["format"], one["priority"]) for one in answer["columnDefinitions"]]
    assert columns == [("Name", "string", "name", 0), ("Data", "string", "", 0), ("Age", "string", "", 0)]
    (row,) = answer["rows"]
    assert row["cells"][:2] == ["a", 1]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["metadata"]["name"] == "a"
    assert answer.rv


async def test_tables_may_leave_out_objects(server: Server, maps: str) -> None:
    await fill(server, maps, "a")
    answer = await server.get(maps, accept=TABLE, labelSelector=MINE, includeObject="None")
    assert not answer["rows"][0].get("object")
    answer = await server.get(maps, accept=TABLE, labelSelector=MINE, includeObject="Object")
    assert answer["rows"][0]["object"]["data"] == {"k": "a"}


async def test_custom_resources_have_their_own_columns(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 3}))
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert (await server.patch(widgets.path("a", "status"), status)).code == 200
    answer = await server.get(widgets.path(), accept=TABLE)
    columns = [(one["name"], one["type"], one["priority"]) for one in answer["columnDefinitions"]]
    assert columns == [
        ("Name", "string", 0),
        ("Size", "integer", 0),
        ("Color", "string", 1),
        ("Ready", "string", 0),
        ("Age", "date", 0),
    ]
    assert answer["rows"][0]["cells"][:4] == ["a", 3, "red", "True"]


COLUMNS = (
    "/api/v1/pods",
    "/api/v1/nodes",
    "/api/v1/services",
    "/api/v1/persistentvolumeclaims",
    "/api/v1/persistentvolumes",
    "/api/v1/events",
    "/api/v1/namespaces",
    "/api/v1/secrets",
    "/api/v1/serviceaccounts",
    "/api/v1/endpoints",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/replicasets",
    "/apis/apps/v1/daemonsets",
    "/apis/apps/v1/controllerrevisions",
    "/apis/batch/v1/jobs",
    "/apis/batch/v1/cronjobs",
    "/apis/coordination.k8s.io/v1/leases",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/policy/v1/poddisruptionbudgets",
    "/apis/storage.k8s.io/v1/storageclasses",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
)
EXPECTED: dict[str, str] = {
    "pods": "Name Ready Status Restarts Age IP+ Node+ Nominated Node+ Readiness Gates+",
    "nodes": "Name Status Roles Age Version Internal-IP+ External-IP+ OS-Image+ Kernel-Version+ Container-Runtime+",
    "services": "Name Type Cluster-IP External-IP Port(s) Age Selector+",
    "persistentvolumeclaims": "Name Status Volume Capacity Access Modes StorageClass VolumeAttributesClass Age "
    "VolumeMode+",
    "persistentvolumes": "Name Capacity Access Modes Reclaim Policy Status Claim StorageClass VolumeAttributesClass "
    "Reason Age VolumeMode+",
    "events": "Last Seen Type Reason Object Subobject+ Source+ Message First Seen+ Count+ Name+",
    "namespaces": "Name Status Age",
    "secrets": "Name Type Data Age",
    "serviceaccounts": "Name Age",
    "endpoints": "Name Endpoints Age",
    "deployments": "Name Ready Up-to-date Available Age Containers+ Images+ Selector+",
    "statefulsets": "Name Ready Age Containers+ Images+",
    "replicasets": "Name Desired Current Ready Age Containers+ Images+ Selector+",
    "daemonsets": "Name Desired Current Ready Up-to-date Available Node Selector Age Containers+ Images+ Selector+",
    "controllerrevisions": "Name Controller Revision Age",
    "jobs": "Name Status Completions Duration Age Containers+ Images+ Selector+",
    "cronjobs": "Name Schedule Timezone Suspend Active Last Schedule Age Containers+ Images+ Selector+",
    "leases": "Name Holder Age",
    "endpointslices": "Name AddressType Ports Endpoints Age",
    "poddisruptionbudgets": "Name Min Available Max Unavailable Allowed Disruptions Age",
    "storageclasses": "Name Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion Age",
    "clusterroles": "Name Created At",
    "rolebindings": "Name Role Age Users+ Groups+ ServiceAccounts+",
    "customresourcedefinitions": "Name Scope Versions Created At Group+ Kind+ ShortNames+ Established+",
}


@pytest.mark.parametrize("path", COLUMNS, ids=lambda path: path.rpartition("/")[2])
async def test_every_kind_has_the_columns_of_the_real_server(server: Server, path: str) -> None:
    answer = await server.get(path, accept=TABLE, limit=1)
    shown = " ".join(one["name"] + "+" * one["priority"] for one in answer["columnDefinitions"])
    assert shown == EXPECTED[path.rpartition("/")[2]]


async def test_lists_of_custom_resources_hold_whole_items(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 3}))
    answer = await server.get(widgets.path())
    assert answer["kind"] == "WidgetList"
    (item,) = answer["items"]
    assert (item["kind"], item["apiVersion"]) == ("Widget", widgets.api_version)


async def test_unknown_accept_is_not_acceptable(server: Server, maps: str) -> None:
    answer = await server.get(maps, accept="text/html")
    assert (answer.code, answer["reason"]) == (406, "NotAcceptable")
    assert answer["message"].startswith("406: Not Acceptable")


async def test_the_first_acceptable_type_is_served(server: Server, maps: str) -> None:
    answer = await server.get(maps, accept="text/html, application/json")
    assert answer.code == 200
    assert json.loads(answer.text)["kind"] == "ConfigMapList"


async def test_yaml_is_served(server: Server, maps: str) -> None:
    await fill(server, maps, "a")
    answer = await server.get(f"{maps}/a", accept="application/yaml")
    assert answer.headers["Content-Type"] == "application/yaml"
    assert "kind: ConfigMap\n" in answer.text
