"""CustomResourceDefinitions and the resources they make."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.conformance.conftest import (
    CRDS,
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    Answer,
    Custom,
    Server,
    config_map,
    definition,
    establish,
    is_established,
)

Fresh = Callable[..., Awaitable[dict[str, Any]]]


def causes(answer: Answer) -> set[tuple[str, str]]:
    return {(one["field"], one["message"]) for one in answer["details"]["causes"]}


async def test_a_definition_is_established(server: Server, fresh_definition: Fresh) -> None:
    body = await fresh_definition()
    answer = await server.get(f"{CRDS}/{body['metadata']['name']}")
    conditions = {one["type"]: (one["status"], one["reason"]) for one in answer["status"]["conditions"]}
    assert conditions["NamesAccepted"] == ("True", "NoConflicts")
    assert conditions["Established"] == ("True", "InitialNamesAccepted")
    names = answer["status"]["acceptedNames"]
    assert (names["kind"], names["singular"], names["listKind"]) == ("Widget", "widget", "WidgetList")
    assert answer["status"]["storedVersions"] == ["v1"]
    assert answer["spec"]["conversion"] == {"strategy": "None"}
    assert answer.meta["generation"] == 1


async def test_a_definition_must_be_named_after_its_resource(server: Server) -> None:
    body = definition("named.example.dev")
    body["metadata"]["name"] = "other"
    answer = await server.post(CRDS, body)
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert 'metadata.name: Invalid value: "other": must be spec.names.plural+"."+spec.group' in answer["message"]


async def test_a_definition_needs_one_storage_version(server: Server) -> None:
    body = definition("storage.example.dev")
    body["spec"]["versions"][0]["storage"] = False
    answer = await server.post(CRDS, body)
    assert answer.code == 422
    assert "must have exactly one version marked as storage version" in answer["message"]


async def test_a_definition_needs_a_structural_schema(server: Server) -> None:
    body = definition("structural.example.dev")
    schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["status"] = {"properties": {"untyped": {}}}
    answer = await server.post(CRDS, body)
    assert answer.code == 422
    assert "properties[status].type: Required value: must not be empty for specified object fields" in answer["message"]


async def test_names_that_are_taken_are_not_accepted(server: Server, fresh_definition: Fresh) -> None:
    first = await fresh_definition()
    group = first["spec"]["group"]
    names = {"plural": "gadgets", "kind": "Gadget", "shortNames": ["wd"]}
    second = definition(group, names=names)
    await server.make(CRDS, second)
    path = f"{CRDS}/gadgets.{group}"
    try:
        answer = await server.until(path, lambda one: one["status"].get("conditions"))
        accepted = next(one for one in answer["status"]["conditions"] if one["type"] == "NamesAccepted")
        assert (accepted["status"], accepted["reason"]) == ("False", "ShortNamesConflict")
        assert accepted["message"] == '"wd" is already in use'
        assert not is_established(answer)
    finally:
        await server.delete(path)


async def test_a_custom_resource_is_created_with_generation_one(server: Server, widgets: Custom) -> None:
    answer = await server.post(widgets.path(), widgets.new("a", {"size": 2}))
    assert answer.code == 201
    assert answer.meta["generation"] == 1
    assert answer["spec"] == {"size": 2, "color": "red"}
    assert answer["kind"] == "Widget"


async def test_values_are_validated_by_the_schema(server: Server, widgets: Custom) -> None:
    spec = {
        "size": 0,
        "color": "green",
        "name": "A",
        "tags": ["a", "b", "c", "d"],
        "port": 1.5,
        "nest": {"at": "x"},
        "numbers": {"q": "z"},
    }
    answer = await server.post(widgets.path(), widgets.new("a", spec))
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert answer["message"].startswith(f'Widget.{widgets.group} "a" is invalid: [')
    assert answer["details"]["group"] == widgets.group
    assert causes(answer) == {
        ("spec.numbers.q", 'Invalid value: "string": spec.numbers.q in body must be of type integer: "string"'),
        ("spec.name", 'Invalid value: "A": spec.name in body should be at least 2 chars long'),
        ("spec.nest.at", 'Invalid value: "x": spec.nest.at in body must be of type date-time: "x"'),
        ("spec.port", 'Invalid value: "number": spec.port in body must be of type integer,string: "number"'),
        ("spec.size", "Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ("spec.tags", "Too many: 4: must have at most 3 items"),
        ("spec.color", 'Unsupported value: "green": supported values: "red", "blue"'),
    }


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"size": 10}, "spec.size", "Invalid value: 10: spec.size in body should be less than or equal to 9"),
        ({"size": "x"}, "spec.size", 'Invalid value: "string": spec.size in body must be of type integer: "string"'),
        ({"size": 1, "name": "abcde"}, "spec.name", "Too long: may not be more than 4 bytes"),
        ({"size": 1, "name": "AB"}, "spec.name", "Invalid value: \"AB\": spec.name in body should match '^[a-z]+$'"),
        ({}, "spec.size", "Required value"),
        ({"size": 1, "tags": ["a", "a"]}, "spec.tags[1]", 'Duplicate value: "a"'),
        ({"size": 1, "members": [{"name": "a"}, {"name": "a"}]}, "spec.members[1]", 'Duplicate value: {"name":"a"}'),
        ({"size": 1, "members": [{}]}, "spec.members[0].name", "Required value"),
        (
            {"size": 1, "tags": "a"},
            "spec.tags",
            'Invalid value: "string": spec.tags in body must be of type array: "string"',
        ),
        (
            {"size": 1, "nest": []},
            "spec.nest",
            'Invalid value: "array": spec.nest in body must be of type object: "array"',
        ),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_one_finding_is_one_sentence(
    server: Server, widgets: Custom, spec: dict[str, Any], field: str, message: str
) -> None:
    answer = await server.post(widgets.path(), widgets.new("a", spec))
    assert answer.code == 422
    assert (field, message) in causes(answer)


async def test_a_message_with_one_cause_has_no_brackets(server: Server, widgets: Custom) -> None:
    answer = await server.post(widgets.path(), widgets.new("a", {}))
    assert answer["message"] == f'Widget.{widgets.group} "a" is invalid: spec.size: Required value'
    answer = await server.post(
        widgets.path(), {"apiVersion": widgets.api_version, "kind": "Widget", "metadata": {"name": "a"}}
    )
    assert answer["message"] == f'Widget.{widgets.group} "a" is invalid: spec: Required value'


async def test_unknown_fields_are_pruned_with_warnings(server: Server, widgets: Custom) -> None:
    spec = {"size": 2, "bogus": 1, "free": {"x": {"y": 1}}, "nest": {"count": None, "zz": 2}}
    answer = await server.post(widgets.path(), widgets.new("a", spec, foo=1))
    assert answer.code == 201
    assert answer["spec"] == {"size": 2, "color": "red", "free": {"x": {"y": 1}}, "nest": {"count": None, "level": 5}}
    assert "foo" not in answer.value
    assert sorted(answer.warnings) == [
        '299 - "unknown field \\"foo\\""',
        '299 - "unknown field \\"spec.bogus\\""',
        '299 - "unknown field \\"spec.nest.zz\\""',
    ]


async def test_unknown_fields_of_custom_resources_are_refused_when_strict(server: Server, widgets: Custom) -> None:
    answer = await server.post(widgets.path(), widgets.new("a", {"size": 2, "bogus": 1}), fieldValidation="Strict")
    assert answer.code == 400
    assert answer["message"] == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.bogus"'
    )


async def test_defaults_reach_into_lists(server: Server, widgets: Custom) -> None:
    made = await server.make(widgets.path(), widgets.new("a", {"size": 1, "members": [{"name": "x"}], "nest": {}}))
    assert made["spec"]["members"] == [{"name": "x", "weight": 1}]
    assert made["spec"]["nest"] == {"level": 5}


async def test_null_gives_way_to_a_default(server: Server, widgets: Custom) -> None:
    made = await server.make(widgets.path(), widgets.new("a", {"size": 1, "color": None}))
    assert made["spec"]["color"] == "red"


async def test_null_where_it_is_not_allowed_gives_way_to_a_default_or_is_dropped_at_every_depth(
    server: Server, fresh_definition: Fresh
) -> None:
    text = {"type": "string"}
    filled = {"type": "string", "default": "x"}
    spec = {
        "type": "object",
        "properties": {
            "plain": text,
            "kept": {"type": "string", "nullable": True},
            "map": {"type": "object", "additionalProperties": text},
            "filledMap": {"type": "object", "additionalProperties": filled},
            "filledList": {"type": "array", "items": filled},
            "objects": {"type": "array", "items": {"type": "object", "properties": {"plain": text, "filled": filled}}},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"plain": text}},
            "needed": {"type": "object", "required": ["plain"], "properties": {"plain": text}},
        },
    }
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    body = await fresh_definition(versions=[{"name": "v1", "served": True, "storage": True, "schema": schema}])
    group, plural, kind = body["spec"]["group"], body["spec"]["names"]["plural"], body["spec"]["names"]["kind"]

    def new(name: str, spec: Any) -> dict[str, Any]:
        return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}

    path = f"/apis/{group}/v1/namespaces/default/{plural}"
    given = {
        "plain": None,
        "kept": None,
        "map": {"a": None, "b": "b"},
        "filledMap": {"a": None},
        "filledList": [None, "y"],
        "objects": [{"plain": None, "filled": None}],
        "open": {"plain": None, "other": None},
    }
    made = await server.make(path, new("a", given))
    assert made["spec"] == {
        "kept": None,
        "map": {"b": "b"},
        "filledMap": {"a": "x"},
        "filledList": ["x", "y"],
        "objects": [{"filled": "x"}],
        "open": {"other": None},
    }
    answer = await server.post(path, new("b", {"needed": {"plain": None}}))
    assert (answer.code, causes(answer)) == (422, {("spec.needed.plain", "Required value")})


async def test_int_or_string_takes_both(server: Server, widgets: Custom) -> None:
    for name, port in (("a", 80), ("b", "http")):
        made = await server.make(widgets.path(), widgets.new(name, {"size": 1, "port": port}))
        assert made["spec"]["port"] == port


async def test_embedded_resources_keep_what_they_hold(server: Server, widgets: Custom) -> None:
    template = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x", "labels": {"a": "b"}},
        "data": {"k": "v"},
    }
    made = await server.make(widgets.path(), widgets.new("a", {"size": 1, "template": template}))
    assert made["spec"]["template"] == template
    answer = await server.post(widgets.path(), widgets.new("b", {"size": 1, "template": {"data": {}}}))
    assert answer.code == 422
    assert {"spec.template.apiVersion", "spec.template.kind"} <= {field for field, _ in causes(answer)}


async def test_the_kind_must_be_the_defined_one(server: Server, widgets: Custom) -> None:
    answer = await server.post(widgets.path(), {**widgets.new("a", {"size": 1}), "kind": "Other"})
    assert answer.code == 422
    assert answer["message"] == f'Other.{widgets.group} "a" is invalid: kind: Invalid value: "Other": must be Widget'


async def test_the_version_must_be_that_of_the_path(server: Server, widgets: Custom) -> None:
    answer = await server.post(widgets.path(), {**widgets.new("a", {"size": 1}), "apiVersion": f"{widgets.group}/v9"})
    assert answer.code == 400
    assert answer["message"] == (
        f"the API version in the data ({widgets.group}/v9) does not match the expected API version ({widgets.group}/v1)"
    )


async def test_a_custom_resource_must_say_what_it_is(server: Server, widgets: Custom) -> None:
    answer = await server.post(widgets.path(), {"metadata": {"name": "a"}, "spec": {"size": 1}})
    assert (answer.code, answer["reason"]) == (400, "BadRequest")
    assert "Object 'Kind' is missing" in answer["message"]


async def test_generation_counts_changes_of_the_spec_only(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 1}))
    steps: list[tuple[str, dict[str, Any], int]] = [
        ("", {"spec": {"size": 2}}, 2),
        ("", {"metadata": {"labels": {"a": "b"}}}, 2),
        ("", {"metadata": {"annotations": {"a": "b"}}}, 2),
        ("", {"spec": {"size": 2}}, 2),
        ("status", {"status": {"size": 2}}, 2),
        ("", {"spec": {"size": 3}}, 3),
    ]
    for sub, change, expected in steps:
        answer = await server.patch(widgets.path("a", sub), change)
        assert (answer.code, answer.meta["generation"]) == (200, expected), change


async def test_status_at_creation_is_dropped(server: Server, widgets: Custom) -> None:
    made = await server.make(widgets.path(), widgets.new("a", {"size": 1}, status={"size": 1}))
    assert "status" not in made


async def test_an_update_leaves_the_status_alone(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 1}))
    before = await server.patch(widgets.path("a", "status"), {"status": {"size": 7}})
    answer = await server.put(widgets.path("a"), {**before.value, "status": {"size": 9}, "spec": {"size": 2}})
    assert (answer.code, answer["status"], answer["spec"]["size"]) == (200, {"size": 7}, 2)


async def test_a_status_update_leaves_everything_else_alone(server: Server, widgets: Custom) -> None:
    made = await server.make(widgets.path(), widgets.new("a", {"size": 1}))
    body = {**made, "spec": {"size": 5}, "status": {"size": 7}}
    body["metadata"] = {**made["metadata"], "labels": {"x": "y"}}
    answer = await server.put(widgets.path("a", "status"), body)
    assert (answer.code, answer["status"], answer["spec"]["size"]) == (200, {"size": 7}, 1)
    assert "labels" not in answer.meta
    assert answer.meta["generation"] == 1


async def test_the_status_is_validated_too(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 1}))
    answer = await server.patch(widgets.path("a", "status"), {"status": {"size": "x"}})
    assert answer.code == 422


async def test_the_status_can_be_read_alone(server: Server, widgets: Custom) -> None:
    made = await server.make(widgets.path(), widgets.new("a", {"size": 1}))
    answer = await server.get(widgets.path("a", "status"))
    assert answer.value == made


async def test_an_update_needs_a_resource_version(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 1}))
    answer = await server.put(widgets.path("a"), widgets.new("a", {"size": 2}))
    assert answer.code == 422
    assert answer["message"] == (
        f'widgets.{widgets.group} "a" is invalid: metadata.resourceVersion: Invalid value: 0: '
        "must be specified for an update"
    )


async def test_an_invalid_patch_is_refused(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 1}))
    answer = await server.patch(widgets.path("a"), {"spec": {"size": 30}})
    assert answer.code == 422
    answer = await server.patch(widgets.path("a"), [{"op": "remove", "path": "/spec/size"}], JSON_PATCH)
    assert answer.code == 422
    assert causes(answer) == {("spec.size", "Required value")}


async def test_strategic_merge_is_for_builtin_kinds(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 1}))
    answer = await server.patch(widgets.path("a"), {"spec": {"size": 2}}, STRATEGIC)
    assert (answer.code, answer["reason"]) == (415, "UnsupportedMediaType")
    assert answer["message"] == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )


async def test_lists_are_replaced_by_a_merge_patch(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 1, "plain": ["a", "b"]}))
    answer = await server.patch(widgets.path("a"), {"spec": {"plain": ["c"]}}, MERGE)
    assert answer["spec"]["plain"] == ["c"]


async def test_deleting_a_held_custom_resource_counts_a_generation(server: Server, widgets: Custom) -> None:
    body = widgets.new("a", {"size": 1})
    body["metadata"]["finalizers"] = ["example.dev/x"]
    await server.make(widgets.path(), body)
    answer = await server.delete(widgets.path("a"))
    assert answer.meta["generation"] == 2
    assert answer.meta["deletionGracePeriodSeconds"] == 0
    last = await server.patch(widgets.path("a"), {"metadata": {"finalizers": []}})
    assert last.code == 200
    assert (await server.get(widgets.path("a"))).code == 404


async def test_scale_reads_and_writes_replicas(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 3}))
    await server.patch(widgets.path("a", "status"), {"status": {"size": 7, "selector": "x=y"}})
    answer = await server.get(widgets.path("a", "scale"))
    assert (answer["kind"], answer["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (answer["spec"], answer["status"]) == ({"replicas": 3}, {"replicas": 7, "selector": "x=y"})
    changed = await server.put(widgets.path("a", "scale"), {**answer.value, "spec": {"replicas": 4}})
    assert (changed.code, changed["spec"]) == (200, {"replicas": 4})
    patched = await server.patch(widgets.path("a", "scale"), {"spec": {"replicas": 5}})
    assert (patched.code, patched["spec"]) == (200, {"replicas": 5})
    assert (await server.get(widgets.path("a")))["spec"]["size"] == 5


async def test_scale_beyond_the_schema_is_invalid(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 3}))
    answer = await server.patch(widgets.path("a", "scale"), {"spec": {"replicas": 50}})
    assert answer.code == 422


async def test_a_negative_count_of_replicas_is_invalid_without_a_minimum_in_the_schema(
    server: Server, widgets: Custom, fresh_definition: Callable[..., Awaitable[dict[str, Any]]]
) -> None:
    version = copy.deepcopy(widgets.definition["spec"]["versions"][0])
    open_schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version["schema"]["openAPIV3Schema"]["properties"]["spec"] = open_schema
    version.pop("selectableFields")
    body = await fresh_definition(versions=[version])
    free = Custom(body["spec"]["group"], widgets.plural, widgets.kind, widgets.ns, body)
    answer = await server.post(free.path(), free.new("a", {"size": -3}))
    assert (answer.code, answer["reason"]) == (422, "Invalid")
    assert answer["message"].endswith("is invalid: .spec.size: Invalid value: -3: should be a non-negative integer")


async def test_scale_from_an_old_revision_conflicts(server: Server, widgets: Custom) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 3}))
    scale = await server.get(widgets.path("a", "scale"))
    await server.patch(widgets.path("a"), {"spec": {"size": 4}})
    answer = await server.put(widgets.path("a", "scale"), {**scale.value, "spec": {"replicas": 5}})
    assert answer.code == 409


async def test_an_undeclared_subresource_is_not_found(server: Server, fresh_definition: Fresh, ns: str) -> None:
    body = definition("x.example.dev")
    version = copy.deepcopy(body["spec"]["versions"][0])
    del version["subresources"]
    made = await fresh_definition(versions=[version])
    custom = Custom(made["spec"]["group"], "widgets", "Widget", ns, made)
    await server.make(custom.path(), custom.new("a", {"size": 1}, status={"size": 5}))
    assert (await server.get(custom.path("a")))["status"] == {"size": 5}
    assert (await server.get(custom.path("a", "status"))).code == 404
    assert (await server.get(custom.path("a", "scale"))).code == 404
    answer = await server.patch(custom.path("a"), {"status": {"size": 6}})
    assert answer["status"] == {"size": 6}
    assert answer.meta["generation"] == 2


async def test_versions_show_the_same_object(server: Server, fresh_definition: Fresh, ns: str) -> None:
    first = definition("x.example.dev")["spec"]["versions"][0]
    second = {**copy.deepcopy(first), "name": "v1beta1", "storage": False, "deprecated": True}
    made = await fresh_definition(versions=[first, second])
    custom = Custom(made["spec"]["group"], "widgets", "Widget", ns, made)
    await server.make(custom.path(), custom.new("a", {"size": 1}))
    answer = await server.get(custom.path("a", version="v1beta1"))
    assert (answer["apiVersion"], answer["spec"]["size"]) == (f"{custom.group}/v1beta1", 1)
    listed = await server.get(custom.path(version="v1beta1"))
    assert listed["apiVersion"] == f"{custom.group}/v1beta1"
    assert listed["items"][0]["apiVersion"] == f"{custom.group}/v1beta1"
    beta = {**custom.new("b", {"size": 2}), "apiVersion": f"{custom.group}/v1beta1"}
    written = await server.post(custom.path(version="v1beta1"), beta)
    assert (written.code, written["apiVersion"]) == (201, f"{custom.group}/v1beta1")
    assert any(f"{custom.group}/v1beta1 Widget is deprecated" in warning for warning in written.warnings)
    assert (await server.get(custom.path("b")))["apiVersion"] == custom.api_version
    async with server.watch(custom.path(version="v1beta1"), resourceVersion=written.rv) as watch:
        await server.patch(custom.path("b"), {"spec": {"size": 3}})
        (event,) = await watch.take(1)
    assert event["object"]["apiVersion"] == f"{custom.group}/v1beta1"


async def test_a_version_that_is_not_served_is_not_found(server: Server, fresh_definition: Fresh, ns: str) -> None:
    first = definition("x.example.dev")["spec"]["versions"][0]
    second = {**copy.deepcopy(first), "name": "v2", "storage": False, "served": False}
    made = await fresh_definition(versions=[first, second])
    answer = await server.get(f"/apis/{made['spec']['group']}/v2/namespaces/{ns}/widgets")
    assert (answer.code, answer.text) == (404, "404 page not found\n")


async def test_cluster_scoped_custom_resources(server: Server, fresh_definition: Fresh) -> None:
    made = await fresh_definition(scope="Cluster")
    group = made["spec"]["group"]
    path = f"/apis/{group}/v1/widgets"
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 1}}
    stored = await server.make(path, body)
    assert "namespace" not in stored["metadata"]
    assert (await server.get(f"{path}/a")).value == stored
    assert (await server.get(f"/apis/{group}/v1/namespaces/default/widgets")).code == 404


async def test_a_changed_schema_counts_for_the_next_write(server: Server, fresh_definition: Fresh, ns: str) -> None:
    made = await fresh_definition()
    custom = Custom(made["spec"]["group"], "widgets", "Widget", ns, made)
    await server.make(custom.path(), custom.new("a", {"size": 1}))
    where = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/maximum"
    name = f"{CRDS}/{made['metadata']['name']}"
    assert (await server.patch(name, [{"op": "replace", "path": where, "value": 20}], JSON_PATCH)).code == 200

    async def accepted() -> Answer:
        return await server.patch(custom.path("a"), {"spec": {"size": 15}})

    answer = await accepted()
    for _ in range(200):
        if answer.code == 200:
            break
        await server.get(name)
        answer = await accepted()
    assert (answer.code, answer["spec"]["size"]) == (200, 15)


async def test_deleting_a_definition_deletes_its_objects_and_its_path(server: Server, ns: str) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.dev"
    body = definition(group)
    await establish(server, body)
    custom = Custom(group, "widgets", "Widget", ns, body)
    stored = await server.make(custom.path(), custom.new("a", {"size": 1}))
    async with server.watch(custom.path(), resourceVersion=stored["metadata"]["resourceVersion"]) as watch:
        answer = await server.delete(f"{CRDS}/{body['metadata']['name']}")
        assert answer.code == 200
        assert await watch.shapes(1) == [("DELETED", "a")]
        await watch.rest()
    await server.gone(f"{CRDS}/{body['metadata']['name']}")
    answer = await server.until(custom.path(), lambda one: one.code == 404)
    assert answer.text == "404 page not found\n"


async def test_a_definition_waits_for_objects_with_finalizers(server: Server, ns: str) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.dev"
    body = definition(group)
    await establish(server, body)
    custom = Custom(group, "widgets", "Widget", ns, body)
    held = custom.new("a", {"size": 1})
    held["metadata"]["finalizers"] = ["example.dev/x"]
    await server.make(custom.path(), held)
    path = f"{CRDS}/{body['metadata']['name']}"
    await server.delete(path)
    await server.until(custom.path("a"), lambda one: one.meta.get("deletionTimestamp"))
    answer = await server.get(path)
    assert answer.meta["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert any(one["type"] == "Terminating" and one["status"] == "True" for one in answer["status"]["conditions"])
    await server.patch(custom.path("a"), {"metadata": {"finalizers": None}})
    await server.gone(path)


async def test_a_definition_made_again_serves_again(server: Server, ns: str) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.dev"
    body = definition(group)
    path = f"{CRDS}/{body['metadata']['name']}"
    for _ in range(2):
        await establish(server, copy.deepcopy(body))
        custom = Custom(group, "widgets", "Widget", ns, body)
        await server.until(custom.path(), lambda one: one.code == 200 and one["items"] == [])
        await server.delete(path)
        await server.gone(path)


async def test_unknown_paths_of_a_defined_group_are_plain_not_found(server: Server, widgets: Custom) -> None:
    for path in (f"/apis/{widgets.group}/v3/widgets", f"/apis/{widgets.group}/v1/others", "/apis/nope.dev/v1/foos"):
        answer = await server.get(path)
        assert (answer.code, answer.text) == (404, "404 page not found\n"), path


async def test_builtin_objects_and_custom_ones_do_not_mix(server: Server, widgets: Custom, maps: str) -> None:
    await server.make(widgets.path(), widgets.new("a", {"size": 1}))
    await server.make(maps, config_map("a"))
    assert (await server.get(widgets.path("a")))["kind"] == "Widget"
    assert (await server.get(f"{maps}/a"))["kind"] == "ConfigMap"
