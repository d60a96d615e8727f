"""Create, get, update, delete: codes, sentences and metadata."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conformance.conftest import APPLY, JSON_PATCH, MERGE, STRATEGIC, Server, config_map, pod


@pytest.mark.parity("1f/fake-api", "1f/real-api-in-test")
async def test_a_created_object_has_uid_time_and_resource_version(server: Server, maps: str) -> None:
    answer = await server.post(maps, config_map("a", {"k": "v"}))
    assert answer.code == 201
    meta = answer.meta
    assert re.fullmatch(r"[0-9a-f-]{36}", meta["uid"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", meta["creationTimestamp"])
    assert int(meta["resourceVersion"]) > 0
    assert answer["kind"] == "ConfigMap"
    assert answer["apiVersion"] == "v1"
    assert answer["data"] == {"k": "v"}
    assert (await server.get(f"{maps}/a")).value == answer.value


async def test_resource_versions_grow_over_all_resources(server: Server, maps: str, ns: str) -> None:
    first = await server.make(maps, config_map("a"))
    secret = {"metadata": {"name": "s"}}
    second = await server.make(f"/api/v1/namespaces/{ns}/secrets", secret)
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])


async def test_creating_a_name_twice_is_already_exists(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.post(maps, config_map("a"))
    assert (answer.code, answer["reason"]) == (409, "AlreadyExists")
    assert answer["message"] == 'configmaps "a" already exists'
    assert answer["details"] == {"name": "a", "kind": "configmaps"}
    assert answer["status"] == "Failure"


async def test_already_exists_names_the_group_of_other_groups(server: Server, ns: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
    body = {"metadata": {"name": "a"}}
    await server.make(path, body)
    answer = await server.post(path, body)
    assert answer["message"] == 'leases.coordination.k8s.io "a" already exists'
    assert answer["details"] == {"name": "a", "group": "coordination.k8s.io", "kind": "leases"}


async def test_generate_name_appends_five_characters(server: Server, maps: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}}
    names = {(await server.make(maps, body))["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(re.fullmatch(r"made-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)


async def test_generate_name_is_cut_to_a_label(server: Server, maps: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x" * 70}}
    made = await server.make(maps, body)
    assert len(made["metadata"]["name"]) == 63


async def test_an_object_without_a_name_is_invalid(server: Server, maps: str) -> None:
    answer = await server.post(maps, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}})
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert answer["message"] == (
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    )
    assert answer["details"]["causes"] == [
        {
            "reason": "FieldValueRequired",
            "message": "Required value: name or generateName is required",
            "field": "metadata.name",
        }
    ]


async def test_names_are_dns_subdomains(server: Server, maps: str) -> None:
    answer = await server.post(maps, config_map("Bad_Name"))
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert "a lowercase RFC 1123 subdomain must consist of" in answer["message"]
    assert answer["details"]["causes"][0]["field"] == "metadata.name"


async def test_labels_are_checked(server: Server, maps: str) -> None:
    answer = await server.post(maps, config_map("a", labels={"a b": "c d"}))
    assert answer.code == 422
    assert [cause["field"] for cause in answer["details"]["causes"]] == ["metadata.labels", "metadata.labels"]


async def test_finalizers_without_domain_are_refused(server: Server, maps: str) -> None:
    answer = await server.post(maps, config_map("a", finalizers=["mine"]))
    assert answer.code == 422
    assert "metadata.finalizers[0]" in answer["message"]


async def test_an_owner_reference_needs_a_uid(server: Server, maps: str) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": ""}
    answer = await server.post(maps, config_map("a", ownerReferences=[owner]))
    assert answer.code == 422
    assert [cause["field"] for cause in answer["details"]["causes"]] == ["metadata.ownerReferences[0].uid"]


async def test_a_namespace_in_the_body_must_be_that_of_the_path(server: Server, maps: str) -> None:
    answer = await server.post(maps, config_map("a", namespace="other"))
    assert (answer.code, answer["reason"]) == (400, "BadRequest")
    assert answer["message"] == "the namespace of the provided object does not match the namespace sent on the request"


async def test_a_resource_version_at_creation_is_refused(server: Server, maps: str) -> None:
    answer = await server.post(maps, config_map("a", resourceVersion="12"))
    assert answer.code == 500
    assert answer["message"] == "resourceVersion should not be set on objects to be created"


async def test_creating_in_a_missing_namespace_is_not_found(server: Server) -> None:
    answer = await server.post("/api/v1/namespaces/never-made/configmaps", config_map("a"))
    assert (answer.code, answer["reason"]) == (404, "NotFound")
    assert answer["message"] == 'namespaces "never-made" not found'
    assert answer["details"] == {"name": "never-made", "kind": "namespaces"}


async def test_what_the_server_owns_is_ignored_at_creation(server: Server, maps: str) -> None:
    sent = config_map(
        "a",
        uid="mine",
        creationTimestamp="2001-01-01T00:00:00Z",
        deletionTimestamp="2001-01-01T00:00:00Z",
        generation=7,
    )
    made = (await server.make(maps, sent))["metadata"]
    assert made["uid"] != "mine"
    assert not made["creationTimestamp"].startswith("2001")
    assert "deletionTimestamp" not in made


async def test_a_body_may_leave_out_the_kind_of_a_builtin(server: Server, maps: str) -> None:
    made = await server.make(maps, {"metadata": {"name": "a"}})
    assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")


async def test_another_kind_is_a_bad_request(server: Server, maps: str) -> None:
    answer = await server.post(maps, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}})
    assert (answer.code, answer["reason"]) == (400, "BadRequest")
    assert answer["message"].startswith('Secret in version "v1" cannot be handled as a ConfigMap')


async def test_broken_json_is_a_bad_request(server: Server, maps: str) -> None:
    for body in (b"{bad", b"", b"[]", b'{"metadata":'):
        answer = await server.post(maps, body)
        assert (answer.code, answer["reason"]) == (400, "BadRequest"), body
        assert answer["message"].startswith("the object provided is unrecognized (must be of type ConfigMap)")


async def test_a_value_of_the_wrong_type_is_a_bad_request(server: Server, maps: str) -> None:
    answer = await server.post(maps, {**config_map("a"), "data": {"k": 1}})
    assert answer.code == 400
    assert answer["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct '
        "field ConfigMap.data of type string"
    )
    answer = await server.post(maps, {**config_map("a"), "data": "text"})
    assert answer["message"].endswith(
        "cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string"
    )


async def test_yaml_bodies_are_read(server: Server, maps: str) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: v\n"
    answer = await server.post(maps, text, content_type="application/yaml")
    assert answer.code == 201
    assert answer["data"] == {"k": "v"}


async def test_unknown_fields_are_dropped_with_a_warning(server: Server, maps: str) -> None:
    body = {**config_map("a", bar=1), "foo": 1}
    answer = await server.post(maps, body)
    assert answer.code == 201
    assert "foo" not in answer.value
    assert "bar" not in answer.meta
    assert answer.warnings == ['299 - "unknown field \\"metadata.bar\\""', '299 - "unknown field \\"foo\\""']


async def test_unknown_fields_are_refused_when_strict(server: Server, maps: str) -> None:
    answer = await server.post(maps, {**config_map("a", bar=1), "foo": 1}, fieldValidation="Strict")
    assert answer.code == 400
    assert answer["message"].endswith('strict decoding error: unknown field "metadata.bar", unknown field "foo"')
    assert (await server.get(f"{maps}/a")).code == 404


async def test_unknown_fields_are_dropped_in_silence_when_ignored(server: Server, maps: str) -> None:
    answer = await server.post(maps, {**config_map("a"), "foo": 1}, fieldValidation="Ignore")
    assert (answer.code, answer.warnings) == (201, [])


async def test_an_unknown_field_validation_is_invalid(server: Server, maps: str) -> None:
    answer = await server.post(maps, config_map("a"), fieldValidation="Bogus")
    assert answer.code == 422
    assert answer["message"] == (
        'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Bogus": '
        'supported values: "", "Ignore", "Strict", "Warn"'
    )


async def test_null_and_empty_optional_fields_disappear(server: Server, maps: str) -> None:
    body = {
        "metadata": {"name": "a", "labels": {}, "annotations": None, "finalizers": []},
        "data": {},
        "binaryData": None,
    }
    made = await server.make(maps, body)
    assert set(made) <= {"kind", "apiVersion", "metadata"}
    assert not {"labels", "annotations", "finalizers"} & set(made["metadata"])


async def test_string_data_of_secrets_becomes_data(server: Server, ns: str) -> None:
    made = await server.make(f"/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "a"}, "stringData": {"k": "v"}})
    assert made["data"] == {"k": "dg=="}
    assert made["type"] == "Opaque"
    assert "stringData" not in made


async def test_dry_run_creates_nothing(server: Server, maps: str) -> None:
    answer = await server.post(maps, config_map("a", {"k": "v"}), dryRun="All")
    assert answer.code == 201
    assert answer["data"] == {"k": "v"}
    assert answer.meta["uid"]
    assert "resourceVersion" not in answer.meta
    assert (await server.get(f"{maps}/a")).code == 404


async def test_a_missing_object_is_not_found(server: Server, maps: str) -> None:
    answer = await server.get(f"{maps}/zzz")
    assert (answer.code, answer["reason"]) == (404, "NotFound")
    assert answer["message"] == 'configmaps "zzz" not found'
    assert answer["details"] == {"name": "zzz", "kind": "configmaps"}


async def test_update_replaces_and_moves_the_resource_version(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a", {"k": "v", "l": "w"}))
    answer = await server.put(f"{maps}/a", {**made, "data": {"k": "x"}})
    assert answer.code == 200
    assert answer["data"] == {"k": "x"}
    assert int(answer.rv) > int(made["metadata"]["resourceVersion"])
    assert answer.meta["uid"] == made["metadata"]["uid"]


async def test_an_update_that_changes_nothing_keeps_the_resource_version(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a", {"k": "v"}))
    answer = await server.put(f"{maps}/a", made)
    assert (answer.code, answer.rv) == (200, made["metadata"]["resourceVersion"])


async def test_update_from_an_old_resource_version_conflicts(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a", {"k": "v"}))
    assert (await server.put(f"{maps}/a", {**made, "data": {"k": "1"}})).code == 200
    answer = await server.put(f"{maps}/a", {**made, "data": {"k": "2"}})
    assert (answer.code, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes '
        "to the latest version and try again"
    )
    assert answer["details"] == {"name": "a", "kind": "configmaps"}


async def test_update_without_resource_version_overwrites_a_config_map(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", {"k": "v"}))
    answer = await server.put(f"{maps}/a", config_map("a", {"k": "x"}))
    assert (answer.code, answer["data"]) == (200, {"k": "x"})


async def test_update_of_a_lease_needs_a_resource_version(server: Server, ns: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
    await server.make(path, {"metadata": {"name": "a"}})
    answer = await server.put(f"{path}/a", {"metadata": {"name": "a"}})
    assert answer.code == 422
    assert answer["message"].endswith("metadata.resourceVersion: Invalid value: 0: must be specified for an update")


async def test_update_of_a_missing_config_map_is_not_found(server: Server, maps: str) -> None:
    assert (await server.put(f"{maps}/zzz", config_map("zzz"))).code == 404


async def test_update_of_a_missing_lease_creates_it(server: Server, ns: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{ns}/leases/a"
    answer = await server.put(path, {"metadata": {"name": "a"}, "spec": {"holderIdentity": "me"}})
    assert answer.code == 201
    assert answer.meta["uid"]


async def test_the_name_in_the_body_must_be_that_of_the_path(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.put(f"{maps}/a", config_map("b"))
    assert (answer.code, answer["reason"]) == (400, "BadRequest")
    assert answer["message"] == "the name of the object (b) does not match the name on the URL (a)"


async def test_another_uid_in_an_update_conflicts(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.put(f"{maps}/a", config_map("a", uid="other"))
    assert (answer.code, answer["reason"]) == (409, "Conflict")
    assert "UID in precondition: other, UID in object meta:" in answer["message"]


async def test_metadata_the_server_owns_does_not_change_with_an_update(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a"))
    sent = config_map("a", creationTimestamp="2001-01-01T00:00:00Z", labels={"x": "y"})
    answer = await server.put(f"{maps}/a", sent)
    assert answer.code == 200
    assert answer.meta["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert answer.meta["labels"] == {"x": "y"}


async def test_a_deletion_timestamp_cannot_be_set_by_an_update(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.put(f"{maps}/a", config_map("a", deletionTimestamp="2030-01-01T00:00:00Z"))
    assert answer.code == 422
    assert "metadata.deletionTimestamp: Invalid value" in answer["message"]
    assert "field is immutable" in answer["message"]


async def test_dry_run_updates_nothing(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a", {"k": "v"}))
    answer = await server.put(f"{maps}/a", config_map("a", {"k": "x"}), dryRun="All")
    assert (answer.code, answer["data"]) == (200, {"k": "x"})
    assert (await server.get(f"{maps}/a")).value == made


async def test_immutable_config_maps_stay(server: Server, maps: str) -> None:
    await server.make(maps, {**config_map("a", {"k": "v"}), "immutable": True})
    answer = await server.patch(f"{maps}/a", {"data": {"k": "x"}})
    assert answer.code == 422
    assert "field is immutable when `immutable` is set" in answer["message"]


async def test_merge_patch_merges_and_null_removes(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", {"k": "v", "l": "w"}, labels={"x": "y"}))
    answer = await server.patch(f"{maps}/a", {"data": {"k": None, "m": "n"}, "metadata": {"labels": None}})
    assert answer.code == 200
    assert answer["data"] == {"l": "w", "m": "n"}
    assert "labels" not in answer.meta


async def test_a_patch_that_changes_nothing_keeps_the_resource_version(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a", {"k": "v"}))
    answer = await server.patch(f"{maps}/a", {"data": {"k": "v"}})
    assert (answer.code, answer.rv) == (200, made["metadata"]["resourceVersion"])


async def test_a_patch_with_an_old_resource_version_conflicts(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a"))
    await server.patch(f"{maps}/a", {"data": {"k": "1"}})
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"k": "2"}}
    answer = await server.patch(f"{maps}/a", stale)
    assert (answer.code, answer["reason"]) == (409, "Conflict")


async def test_a_patch_cannot_change_the_uid(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.patch(f"{maps}/a", {"metadata": {"uid": "other"}, "data": {"k": "2"}})
    assert answer.code == 422
    assert answer["message"] == 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "other": field is immutable'


async def test_json_patch_adds_replaces_removes_and_tests(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", {"k": "v", "l": "w"}))
    operations = [
        {"op": "test", "path": "/data/k", "value": "v"},
        {"op": "replace", "path": "/data/k", "value": "x"},
        {"op": "remove", "path": "/data/l"},
        {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
    ]
    answer = await server.patch(f"{maps}/a", operations, JSON_PATCH)
    assert answer.code == 200
    assert (answer["data"], answer.meta["labels"]) == ({"k": "x"}, {"a": "b"})


async def test_a_json_patch_that_does_not_apply_is_invalid(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a", {"k": "v"}))
    for operation in (
        {"op": "test", "path": "/data/k", "value": "other"},
        {"op": "replace", "path": "/nothing/here", "value": 1},
        {"op": "remove", "path": "/data/zzz"},
    ):
        answer = await server.patch(f"{maps}/a", [operation], JSON_PATCH)
        assert (answer.code, answer["reason"]) == (422, "Invalid"), operation
        assert answer["message"] == "the server rejected our request due to an error in our request"
    assert (await server.get(f"{maps}/a")).rv == made["metadata"]["resourceVersion"]


async def test_patches_of_the_wrong_json_type_are_bad_requests(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.patch(f"{maps}/a", b"{}", JSON_PATCH)
    assert (answer.code, answer["reason"]) == (400, "BadRequest")
    answer = await server.patch(f"{maps}/a", b"[]", MERGE)
    assert (answer.code, answer["reason"]) == (400, "BadRequest")


async def test_other_patch_types_are_unsupported(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    for content_type in ("application/json", "text/plain"):
        answer = await server.patch(f"{maps}/a", b"{}", content_type)
        assert (answer.code, answer["reason"]) == (415, "UnsupportedMediaType")


async def test_a_patch_of_a_missing_object_is_not_found(server: Server, maps: str) -> None:
    for content_type in (MERGE, STRATEGIC):
        assert (await server.patch(f"{maps}/zzz", b"{}", content_type)).code == 404
    assert (await server.patch(f"{maps}/zzz", b"[]", JSON_PATCH)).code == 404


async def test_a_patch_cannot_rename(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.patch(f"{maps}/a", {"metadata": {"name": "b"}})
    assert answer.code == 400
    assert answer["message"] == "the name of the object (b) does not match the name on the URL (a)"


async def test_delete_answers_with_a_status_that_names_the_object(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a"))
    answer = await server.delete(f"{maps}/a")
    assert (answer.code, answer["status"]) == (200, "Success")
    assert answer["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert (await server.get(f"{maps}/a")).code == 404
    assert (await server.delete(f"{maps}/a")).code == 404


async def test_dry_run_deletes_nothing(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    assert (await server.delete(f"{maps}/a", dryRun="All")).code == 200
    assert (await server.get(f"{maps}/a")).code == 200


async def test_delete_preconditions_are_held(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a"))
    uid, rv = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
    answer = await server.delete(f"{maps}/a", {"preconditions": {"uid": "other"}})
    assert (answer.code, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == (
        f'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (other) does not match the UID '
        f"in record ({uid}). The object might have been deleted and then recreated"
    )
    answer = await server.delete(f"{maps}/a", {"preconditions": {"resourceVersion": "1"}})
    assert answer.code == 409
    assert f"does not match the ResourceVersion in record ({rv})" in answer["message"]
    answer = await server.delete(f"{maps}/a", {"preconditions": {"uid": uid, "resourceVersion": rv}})
    assert answer.code == 200


async def test_unknown_propagation_is_invalid(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.delete(f"{maps}/a", {"propagationPolicy": "Bogus"})
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    answer = await server.delete(f"{maps}/a", {"propagationPolicy": "Orphan", "orphanDependents": True})
    assert answer.code == 422


async def test_a_finalizer_holds_the_object_back(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", finalizers=["example.dev/hold"]))
    answer = await server.delete(f"{maps}/a")
    assert answer.code == 200
    assert answer["kind"] == "ConfigMap"
    assert answer.meta["deletionTimestamp"]
    assert answer.meta["deletionGracePeriodSeconds"] == 0
    assert (await server.get(f"{maps}/a")).value == answer.value


async def test_a_second_delete_of_a_held_object_changes_nothing(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", finalizers=["example.dev/hold"]))
    first = await server.delete(f"{maps}/a")
    second = await server.delete(f"{maps}/a")
    assert (second.code, second.value) == (200, first.value)


async def test_removing_the_last_finalizer_of_a_deleted_object_deletes_it(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", finalizers=["example.dev/a", "example.dev/b"]))
    await server.delete(f"{maps}/a")
    assert (await server.patch(f"{maps}/a", {"metadata": {"finalizers": ["example.dev/b"]}})).code == 200
    assert (await server.get(f"{maps}/a")).code == 200
    answer = await server.patch(f"{maps}/a", {"metadata": {"finalizers": None}})
    assert answer.code == 200
    assert (await server.get(f"{maps}/a")).code == 404


async def test_a_deleted_object_takes_no_new_finalizers(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", finalizers=["example.dev/a"]))
    await server.delete(f"{maps}/a")
    answer = await server.patch(f"{maps}/a", {"metadata": {"finalizers": ["example.dev/a", "example.dev/b"]}})
    assert answer.code == 422
    assert (
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
        'finalizers []string{"example.dev/b"}'
    ) in answer["message"]


async def test_a_deleted_object_can_still_be_changed(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", finalizers=["example.dev/a"]))
    await server.delete(f"{maps}/a")
    answer = await server.patch(f"{maps}/a", {"data": {"k": "v"}})
    assert (answer.code, answer["data"]) == (200, {"k": "v"})
    assert answer.meta["deletionTimestamp"]


async def test_delete_collection_deletes_what_the_selector_matches(server: Server, maps: str) -> None:
    for name, tier in (("a", "x"), ("b", "x"), ("c", "y")):
        await server.make(maps, config_map(name, labels={"tier": tier}))
    answer = await server.delete(maps, labelSelector="tier=x")
    assert answer.code == 200
    assert answer["kind"] == "ConfigMapList"
    assert sorted(item["metadata"]["name"] for item in answer["items"]) == ["a", "b"]
    left = await server.get(maps, labelSelector="tier")
    assert [item["metadata"]["name"] for item in left["items"]] == ["c"]


async def test_kinds_differ_in_what_a_delete_answers(server: Server, ns: str) -> None:
    base = f"/api/v1/namespaces/{ns}"
    bodies: dict[str, Any] = {
        "pods": pod("x", nodeName=""),
        "services": {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 1}]}},
        "serviceaccounts": {"metadata": {"name": "x"}},
        "secrets": {"metadata": {"name": "x"}},
        "endpoints": {"metadata": {"name": "x"}},
    }
    answers = {}
    for plural, body in bodies.items():
        await server.make(f"{base}/{plural}", body)
        answers[plural] = (await server.delete(f"{base}/{plural}/x", gracePeriodSeconds=0))["kind"]
    assert answers == {
        "pods": "Pod",
        "services": "Service",
        "serviceaccounts": "ServiceAccount",
        "secrets": "Status",
        "endpoints": "Status",
    }


async def test_too_large_bodies_are_refused(server: Server, maps: str) -> None:
    answer = await server.post(maps, config_map("a", {"k": "x" * (3 * 1024 * 1024 + 10)}))
    assert (answer.code, answer["reason"]) == (413, "RequestEntityTooLarge")


async def test_apply_needs_a_manager(server: Server, maps: str) -> None:
    answer = await server.patch(f"{maps}/a", config_map("a"), APPLY)
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert "fieldManager: Required value: is required for apply patch" in answer["message"]


async def test_only_an_apply_may_force(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a"))
    answer = await server.patch(f"{maps}/a", {"data": {}}, force="true")
    assert answer.code == 422
    assert "force: Forbidden: may not be specified for non-apply patch" in answer["message"]
