"""Strategic merge and server-side apply."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.conftest import APPLY, STRATEGIC, Answer, Custom, Server, config_map, deployment


@pytest.fixture
def deployments(ns: str) -> str:
    return f"/apis/apps/v1/namespaces/{ns}/deployments"


def container(answer: Answer, name: str = "main") -> Any:
    found = answer["spec"]["template"]["spec"]["containers"]
    return next(one for one in found if one["name"] == name)


def template(spec: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


async def test_containers_are_merged_by_name(server: Server, deployments: str) -> None:
    await server.make(deployments, deployment("a"))
    change = template(
        {"containers": [{"name": "main", "image": "example.test/app:2"}, {"name": "side", "image": "s:1"}]}
    )
    answer = await server.patch(f"{deployments}/a", change, STRATEGIC)
    assert answer.code == 200
    assert {one["name"]: one["image"] for one in answer["spec"]["template"]["spec"]["containers"]} == {
        "main": "example.test/app:2",
        "side": "s:1",
    }
    assert container(answer)["terminationMessagePath"] == "/dev/termination-log"


async def test_environment_is_merged_by_name(server: Server, deployments: str) -> None:
    await server.make(deployments, deployment("a", env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]))
    env = [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]
    answer = await server.patch(f"{deployments}/a", template({"containers": [{"name": "main", "env": env}]}), STRATEGIC)
    assert {one["name"]: one["value"] for one in container(answer)["env"]} == {"A": "1", "B": "3", "C": "4"}


async def test_items_are_deleted_by_directive(server: Server, deployments: str) -> None:
    await server.make(deployments, deployment("a", env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]))
    env = [{"$patch": "delete", "name": "A"}]
    answer = await server.patch(f"{deployments}/a", template({"containers": [{"name": "main", "env": env}]}), STRATEGIC)
    assert container(answer)["env"] == [{"name": "B", "value": "2"}]


async def test_lists_are_replaced_by_directive(server: Server, deployments: str) -> None:
    await server.make(deployments, deployment("a", env=[{"name": "A", "value": "1"}]))
    env = [{"$patch": "replace"}, {"name": "Z", "value": "9"}]
    answer = await server.patch(f"{deployments}/a", template({"containers": [{"name": "main", "env": env}]}), STRATEGIC)
    assert container(answer)["env"] == [{"name": "Z", "value": "9"}]


async def test_lists_without_a_merge_key_are_replaced(server: Server, deployments: str) -> None:
    await server.make(deployments, deployment("a", args=["a", "b"]))
    change = template({"containers": [{"name": "main", "args": ["c"]}]})
    answer = await server.patch(f"{deployments}/a", change, STRATEGIC)
    assert container(answer)["args"] == ["c"]


async def test_tolerations_are_replaced_and_volumes_merged(server: Server, deployments: str) -> None:
    body = deployment("a")
    spec = body["spec"]["template"]["spec"]
    spec["tolerations"] = [{"key": "a", "operator": "Exists"}]
    spec["volumes"] = [{"name": "x", "emptyDir": {}}]
    await server.make(deployments, body)
    change = template(
        {"tolerations": [{"key": "b", "operator": "Exists"}], "volumes": [{"name": "y", "configMap": {"name": "c"}}]}
    )
    answer = await server.patch(f"{deployments}/a", change, STRATEGIC)
    found = answer["spec"]["template"]["spec"]
    assert found["tolerations"] == [{"key": "b", "operator": "Exists"}]
    assert sorted(one["name"] for one in found["volumes"]) == ["x", "y"]


async def test_a_volume_changes_its_kind_with_retain_keys(server: Server, deployments: str) -> None:
    body = deployment("a")
    body["spec"]["template"]["spec"]["volumes"] = [{"name": "x", "emptyDir": {}}]
    await server.make(deployments, body)
    volume = {"name": "x", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}
    answer = await server.patch(f"{deployments}/a", template({"volumes": [volume]}), STRATEGIC)
    (found,) = answer["spec"]["template"]["spec"]["volumes"]
    assert found == {"name": "x", "configMap": {"name": "c", "defaultMode": 420}}


async def test_retain_keys_of_the_strategy(server: Server, deployments: str) -> None:
    await server.make(deployments, deployment("a"))
    change = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    answer = await server.patch(f"{deployments}/a", change, STRATEGIC)
    assert (answer.code, answer["spec"]["strategy"]) == (200, {"type": "Recreate"})


async def test_element_order_is_set(server: Server, deployments: str) -> None:
    env = [{"name": name, "value": "1"} for name in "ABC"]
    await server.make(deployments, deployment("a", env=env))
    change = {"name": "main", "$setElementOrder/env": [{"name": "C"}, {"name": "A"}, {"name": "B"}]}
    ordered = {"$setElementOrder/containers": [{"name": "main"}], "containers": [change]}
    answer = await server.patch(f"{deployments}/a", template(ordered), STRATEGIC)
    assert [one["name"] for one in container(answer)["env"]] == ["C", "A", "B"]


async def test_null_removes_in_a_strategic_merge(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", {"k": "v", "l": "w"}, labels={"a": "b"}))
    answer = await server.patch(f"{maps}/a", {"data": {"k": None}, "metadata": {"labels": None}}, STRATEGIC)
    assert answer["data"] == {"l": "w"}
    assert "labels" not in answer.meta


async def test_finalizers_are_united_and_taken_from_the_list(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", finalizers=["example.dev/a"]))
    answer = await server.patch(f"{maps}/a", {"metadata": {"finalizers": ["example.dev/b"]}}, STRATEGIC)
    assert sorted(answer.meta["finalizers"]) == ["example.dev/a", "example.dev/b"]
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.dev/a"]}}
    answer = await server.patch(f"{maps}/a", change, STRATEGIC)
    assert answer.meta["finalizers"] == ["example.dev/b"]
    await server.patch(f"{maps}/a", {"metadata": {"finalizers": None}}, STRATEGIC)


async def test_owner_references_are_merged_by_uid(server: Server, maps: str) -> None:
    owner = await server.make(maps, config_map("owner"))
    second = await server.make(maps, config_map("second"))

    def reference(one: Any) -> dict[str, Any]:
        meta = one["metadata"]
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"]}

    await server.make(maps, config_map("a", ownerReferences=[reference(owner)]))
    answer = await server.patch(f"{maps}/a", {"metadata": {"ownerReferences": [reference(second)]}}, STRATEGIC)
    assert {one["name"] for one in answer.meta["ownerReferences"]} == {"owner", "second"}


async def test_service_ports_are_merged_by_number(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/services"
    await server.make(path, {"metadata": {"name": "a"}, "spec": {"ports": [{"name": "x", "port": 80}]}})
    change = {"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"name": "y", "port": 81}]}}
    answer = await server.patch(f"{path}/a", change, STRATEGIC)
    ports = {one["port"]: (one["name"], one["targetPort"]) for one in answer["spec"]["ports"]}
    assert ports == {80: ("x", 8080), 81: ("y", 81)}


async def test_an_unknown_directive_is_refused(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.patch(f"{maps}/a", {"metadata": {"$patch": "bogus"}}, STRATEGIC)
    assert answer.code >= 400


def applied(name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return config_map(name, data, **metadata)


async def apply(server: Server, path: str, body: dict[str, Any], manager: str, **query: Any) -> Answer:
    return await server.patch(f"{path}/{body['metadata']['name']}", body, APPLY, fieldManager=manager, **query)


async def test_an_apply_creates_and_owns_fields(server: Server, maps: str) -> None:
    answer = await apply(server, maps, applied("a", {"k": "v"}, labels={"x": "y"}), "one")
    assert answer.code == 201
    (entry,) = answer.meta["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("one", "Apply", "v1")
    assert entry["fieldsType"] == "FieldsV1"
    assert entry["fieldsV1"] == {"f:data": {"f:k": {}}, "f:metadata": {"f:labels": {"f:x": {}}}}


async def test_an_apply_of_the_same_changes_nothing(server: Server, maps: str) -> None:
    first = await apply(server, maps, applied("a", {"k": "v"}), "one")
    second = await apply(server, maps, applied("a", {"k": "v"}), "one")
    assert (second.code, second.rv) == (200, first.rv)


async def test_another_value_of_the_same_manager_stays_applied_by_it(server: Server, maps: str) -> None:
    await apply(server, maps, applied("a", {"k": "v"}), "one")
    second = await apply(server, maps, applied("a", {"k": "w"}), "one")
    assert [(entry["manager"], entry["operation"]) for entry in second.meta["managedFields"]] == [("one", "Apply")]
    third = await apply(server, maps, applied("a", {"k": "w"}), "one")
    assert (third.rv, third.meta["managedFields"]) == (second.rv, second.meta["managedFields"])


async def test_fields_no_longer_applied_are_removed(server: Server, maps: str) -> None:
    await apply(server, maps, applied("a", {"k": "v", "l": "w"}, labels={"x": "y"}), "one")
    answer = await apply(server, maps, applied("a", {"k": "v"}), "one")
    assert answer.code == 200
    assert answer["data"] == {"k": "v"}
    assert "labels" not in answer.meta


async def test_fields_of_others_stay(server: Server, maps: str) -> None:
    await apply(server, maps, applied("a", {"k": "v"}), "one")
    await apply(server, maps, applied("a", {"l": "w"}), "two")
    answer = await apply(server, maps, applied("a", {"m": "x"}), "one")
    assert answer["data"] == {"l": "w", "m": "x"}


async def test_shared_fields_stay_until_the_last_owner_lets_go(server: Server, maps: str) -> None:
    await apply(server, maps, applied("a", {"k": "v"}), "one")
    assert (await apply(server, maps, applied("a", {"k": "v"}), "two")).code == 200
    answer = await apply(server, maps, applied("a"), "one")
    assert answer["data"] == {"k": "v"}
    answer = await apply(server, maps, applied("a"), "two")
    assert not answer.value.get("data")


async def test_another_value_for_an_applied_field_conflicts(server: Server, maps: str) -> None:
    await apply(server, maps, applied("a", {"k": "v"}), "one")
    answer = await apply(server, maps, applied("a", {"k": "x"}), "two")
    assert (answer.code, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.k'
    assert answer["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.k"}
    ]
    assert (await server.get(f"{maps}/a"))["data"] == {"k": "v"}


async def test_several_conflicts_are_listed(server: Server, maps: str) -> None:
    await apply(server, maps, applied("a", {"k": "v", "l": "w"}), "one")
    answer = await apply(server, maps, applied("a", {"k": "x", "l": "y"}), "two")
    assert answer["message"] == 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.k\n- .data.l'
    assert len(answer["details"]["causes"]) == 2


async def test_force_takes_the_field_over(server: Server, maps: str) -> None:
    await apply(server, maps, applied("a", {"k": "v"}), "one")
    answer = await apply(server, maps, applied("a", {"k": "x"}), "two", force="true")
    assert (answer.code, answer["data"]) == (200, {"k": "x"})
    owners = {entry["manager"]: entry["fieldsV1"] for entry in answer.meta["managedFields"]}
    assert owners == {"two": {"f:data": {"f:k": {}}}}


async def test_an_update_takes_a_field_over_and_an_apply_then_conflicts(server: Server, maps: str) -> None:
    await apply(server, maps, applied("a", {"k": "v", "l": "w"}), "one")
    answer = await server.patch(f"{maps}/a", {"data": {"k": "x"}}, fieldManager="hand")
    owners = {(entry["manager"], entry["operation"]) for entry in answer.meta["managedFields"]}
    assert owners == {("one", "Apply"), ("hand", "Update")}
    answer = await apply(server, maps, applied("a", {"k": "v", "l": "w"}), "one")
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "hand" using v1: .data.k'
    answer = await apply(server, maps, applied("a", {"k": "x", "l": "w"}), "one")
    assert answer.code == 200


async def test_an_apply_over_a_created_object_adds_to_it(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", {"k": "v"}))
    answer = await apply(server, maps, applied("a", {"l": "w"}), "one")
    assert (answer.code, answer["data"]) == (200, {"k": "v", "l": "w"})
    assert ("one", "Apply") in {(entry["manager"], entry["operation"]) for entry in answer.meta["managedFields"]}
    answer = await apply(server, maps, applied("a", {"k": "x"}), "one")
    assert (answer.code, answer["reason"]) == (409, "Conflict")


async def test_an_apply_in_yaml(server: Server, maps: str) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: v\n"
    answer = await server.patch(f"{maps}/a", text, APPLY, fieldManager="one")
    assert (answer.code, answer["data"]) == (201, {"k": "v"})


async def test_dry_run_applies_nothing(server: Server, maps: str) -> None:
    answer = await apply(server, maps, applied("a", {"k": "v"}), "one", dryRun="All")
    assert answer.code == 201
    assert (await server.get(f"{maps}/a")).code == 404


async def test_an_apply_must_say_what_it_is(server: Server, maps: str) -> None:
    answer = await server.patch(
        f"{maps}/a", {"kind": "ConfigMap", "metadata": {"name": "a"}}, APPLY, fieldManager="one"
    )
    assert (answer.code, answer["message"]) == (400, "invalid object type: /, Kind=ConfigMap")


async def test_an_apply_may_not_bring_managed_fields(server: Server, maps: str) -> None:
    answer = await apply(server, maps, applied("a", managedFields=[{"manager": "x"}]), "one")
    assert answer.code == 400
    assert "metadata.managedFields must be nil" in answer["message"]


async def test_an_unknown_field_in_an_apply_is_an_error(server: Server, maps: str) -> None:
    answer = await apply(server, maps, {**applied("a"), "bogus": 1}, "one")
    assert answer.code == 500
    assert answer["message"].endswith(": .bogus: field not declared in schema")


async def test_map_lists_are_applied_by_key(server: Server, deployments: str) -> None:
    body = deployment("a", env=[{"name": "A", "value": "1"}], ports=[{"containerPort": 80}])
    assert (await apply(server, deployments, body, "one")).code == 201
    other = deployment("a")
    other["spec"] = template({"containers": [{"name": "main", "env": [{"name": "B", "value": "2"}]}]})["spec"]
    answer = await apply(server, deployments, other, "two")
    assert answer.code == 200
    assert {one["name"] for one in container(answer)["env"]} == {"A", "B"}
    body["spec"]["template"]["spec"]["containers"][0].pop("env")
    answer = await apply(server, deployments, body, "one")
    assert container(answer)["env"] == [{"name": "B", "value": "2"}]
    mine = next(entry for entry in answer.meta["managedFields"] if entry["manager"] == "two")
    assert mine["fieldsV1"] == {
        "f:spec": {
            "f:template": {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"main"}': {
                            ".": {},
                            "f:env": {'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}},
                            "f:name": {},
                        }
                    }
                }
            }
        }
    }


async def test_custom_resources_are_applied_by_their_schema(server: Server, widgets: Custom) -> None:
    one = widgets.new("a", {"size": 1, "members": [{"name": "x", "weight": 2}], "tags": ["p"], "plain": ["a"]})
    assert (await apply(server, widgets.path(), one, "one")).code == 201
    two = widgets.new("a", {"members": [{"name": "y", "weight": 3}], "tags": ["q"]})
    answer = await apply(server, widgets.path(), two, "two")
    assert answer.code == 200, answer.text
    assert {member["name"]: member["weight"] for member in answer["spec"]["members"]} == {"x": 2, "y": 3}
    assert sorted(answer["spec"]["tags"]) == ["p", "q"]
    one["spec"]["members"], one["spec"]["tags"] = [], []
    answer = await apply(server, widgets.path(), one, "one")
    assert answer["spec"]["members"] == [{"name": "y", "weight": 3}]
    assert answer["spec"]["tags"] == ["q"]
    conflict = await apply(server, widgets.path(), widgets.new("a", {"plain": ["b"]}), "two")
    assert conflict["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.plain'


async def test_the_status_is_applied_by_its_own_manager(server: Server, widgets: Custom) -> None:
    await apply(server, widgets.path(), widgets.new("a", {"size": 1}), "one")
    body = {"apiVersion": widgets.api_version, "kind": "Widget", "metadata": {"name": "a"}, "status": {"size": 4}}
    answer = await server.patch(widgets.path("a", "status"), body, APPLY, fieldManager="one")
    assert (answer.code, answer["status"]) == (200, {"size": 4})
    entries = {(entry["manager"], entry.get("subresource", "")) for entry in answer.meta["managedFields"]}
    assert entries == {("one", ""), ("one", "status")}
    answer = await apply(server, widgets.path(), widgets.new("a", {"size": 2}), "one")
    assert (answer["status"], answer["spec"]["size"]) == ({"size": 4}, 2)
