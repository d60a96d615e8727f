"""Pure pieces: patches, ownership, schemas, selections, tables, protobuf."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controllerkit.apiserver.apply import apply, merge
from controllerkit.apiserver.cells import CELLS, human_duration
from controllerkit.apiserver.fieldsets import decode_fields, encode_fields, fields_of
from controllerkit.apiserver.jsonpath import evaluate
from controllerkit.apiserver.patch import merge_patch
from controllerkit.apiserver.paths import parse_path
from controllerkit.apiserver.protobuf import decode_protobuf
from controllerkit.apiserver.quantities import canonical_quantity
from controllerkit.apiserver.reading import Selection
from controllerkit.apiserver.shapes import Shape, builtin_shape
from controllerkit.apiserver.storage import LogEvent, make_item
from controllerkit.apiserver.strategic import strategic_merge
from controllerkit.apiserver.structural import apply_defaults, prune, validate
from controllerkit.apiserver.table import COLUMNS
from controllerkit.apiserver.typed import TypeMismatch, conform
from controllerkit.errors import BadRequest, Conflict
from controllerkit.objects import LabelSelector

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEPLOYMENT = builtin_shape("apps/v1", "Deployment")


@pytest.mark.parametrize(
    ("value", "patch", "expected"),
    [
        ({"a": 1}, {"a": None}, {}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": None}}, {"a": {}}),
        ({}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({"a": {"b": 1}}, {"a": 2}, {"a": 2}),
    ],
)
def test_merge_patches_follow_the_standard(value: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(value, patch) == expected


def test_a_strategic_merge_changes_neither_argument() -> None:
    value = {"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "1"}]}}}}
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "2"}]}}}}
    before = repr((value, patch))
    merged = strategic_merge(DEPLOYMENT, value, patch)
    assert merged["spec"]["template"]["spec"]["containers"] == [{"name": "a", "image": "2"}]
    assert repr((value, patch)) == before


def test_a_strategic_merge_needs_the_merge_key() -> None:
    with pytest.raises(BadRequest, match="does not contain declared merge key: name"):
        strategic_merge(DEPLOYMENT, {}, {"spec": {"template": {"spec": {"containers": [{"image": "1"}]}}}})


def deployment(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}


def applied(
    live: dict[str, Any] | None, config: dict[str, Any], manager: str, *, force: bool = False
) -> dict[str, Any]:
    return apply(live, config, DEPLOYMENT, manager=manager, api_version="apps/v1", subresource="", force=force, now=NOW)


def test_fields_survive_their_encoding() -> None:
    container = {"name": "c", "ports": [{"containerPort": 80}], "args": ["a"]}
    value = deployment(
        replicas=1, template={"spec": {"containers": [container]}, "metadata": {"labels": {"a.b/c": "d"}}}
    )
    paths = set(fields_of(DEPLOYMENT, value, containers=True))
    assert set(decode_fields(encode_fields(paths))) == paths
    keys = [step for path in paths for step in path if step[0] == "k"]
    assert ("k", '{"containerPort":80,"protocol":"TCP"}') in keys


def test_applying_the_same_again_is_the_same() -> None:
    config = deployment(replicas=2, template={"spec": {"containers": [{"name": "c", "image": "1"}]}})
    first = applied(None, dict(config, metadata={"name": "a"}), "one")
    second = applied(first, dict(config, metadata={"name": "a"}), "one")
    assert second == first


def test_apply_does_not_touch_the_live_object() -> None:
    live = applied(None, deployment(replicas=2, paused=True), "one")
    before = repr(live)
    after = applied(live, deployment(replicas=2), "one")
    assert "paused" not in after["spec"]
    assert repr(live) == before


def test_an_item_goes_with_its_last_owner() -> None:
    def env(*names: str) -> dict[str, Any]:
        items = [{"name": name, "value": "1"} for name in names]
        return deployment(template={"spec": {"containers": [{"name": "c", "env": items}]}})

    live = applied(None, env("A", "B"), "one")
    live = applied(live, env("B", "C"), "two")
    live = applied(live, env("A"), "one")
    (container,) = live["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in container["env"]] == ["A", "B", "C"]
    live = applied(live, env("C"), "two")
    (container,) = live["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in container["env"]] == ["A", "C"]


def test_conflicts_name_manager_and_field() -> None:
    live = applied(None, deployment(replicas=2), "one")
    with pytest.raises(Conflict, match=r'Apply failed with 1 conflict: conflict with "one": \.spec\.replicas'):
        applied(live, deployment(replicas=3), "two")
    forced = applied(live, deployment(replicas=3), "two", force=True)
    assert [entry["manager"] for entry in forced["metadata"]["managedFields"]] == ["two"]


def test_objects_that_were_never_applied_belong_to_the_time_before() -> None:
    live = {**deployment(replicas=2), "status": {"replicas": 2}}
    with pytest.raises(Conflict, match='conflict with "before-first-apply" using apps/v1'):
        applied(live, deployment(replicas=3), "one")


def test_sets_are_united_and_atomic_lists_replaced() -> None:
    shape = Shape({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"})
    assert merge(shape, ["a", "b"], ["b", "c"], root=False) == ["a", "b", "c"]
    assert merge(Shape({"type": "array"}), ["a"], ["b"], root=False) == ["b"]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "a": {"type": "integer", "default": 1},
                "n": {"type": "integer", "nullable": True, "default": 7},
                "list": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"x": {"type": "string", "default": "y"}}},
                },
                "map": {
                    "type": "object",
                    "additionalProperties": {"type": "object", "properties": {"z": {"type": "string"}}},
                },
                "either": {"type": "string", "oneOf": [{"pattern": "^a"}, {"pattern": "b$"}]},
                "ratio": {"type": "number", "multipleOf": 0.5},
                "host": {"type": "string", "format": "ipv4"},
                "small": {"type": "integer", "format": "int32"},
                "open": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"k": {"type": "object"}},
                },
            },
        }
    },
}


def test_pruning_keeps_what_is_declared_and_what_is_preserved() -> None:
    value = {
        "apiVersion": "v",
        "kind": "K",
        "metadata": {"anything": 1},
        "extra": 1,
        "spec": {
            "b": 1,
            "list": [{"x": "1", "q": 2}],
            "map": {"m": {"z": "1", "q": 2}},
            "open": {"u": {"v": 1}, "k": {"w": 1}},
        },
    }
    assert sorted(prune(Shape(SCHEMA), value)) == ["extra", "spec.b", "spec.list[0].q", "spec.map.m.q", "spec.open.k.w"]
    assert value["spec"] == {"list": [{"x": "1"}], "map": {"m": {"z": "1"}}, "open": {"u": {"v": 1}, "k": {}}}


def test_defaults_are_copies_and_null_counts_only_where_it_may() -> None:
    value: dict[str, Any] = {"spec": {"a": None, "n": None, "list": [{}]}}
    apply_defaults(SCHEMA, value)
    assert value["spec"] == {"a": 1, "n": None, "list": [{"x": "y"}]}
    absent: dict[str, Any] = {}
    apply_defaults(SCHEMA, absent)
    assert absent == {}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"either": "ab"},
            (
                '<nil>: Invalid value: "": "spec.either" must validate one and only one schema (oneOf). '
                "Found 2 valid alternatives"
            ),
        ),
        ({"ratio": 0.7}, "spec.ratio: Invalid value: 0.7: spec.ratio in body should be a multiple of 0.5"),
        ({"host": "x"}, 'spec.host: Invalid value: "x": spec.host in body must be of type ipv4: "x"'),
        (
            {"small": 1 << 40},
            '<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.small',
        ),
        ({"a": True}, 'spec.a: Invalid value: "boolean": spec.a in body must be of type integer: "boolean"'),
    ],
    ids=["oneOf", "multipleOf", "format", "int32", "boolean"],
)
def test_findings_are_sentences(spec: dict[str, Any], expected: str) -> None:
    assert [str(one) for one in validate(SCHEMA, {"spec": spec})] == [expected]


def test_valid_values_have_no_findings() -> None:
    spec = {"either": "ax", "ratio": 1.5, "host": "127.0.0.1", "small": 3, "a": 2.0}
    assert list(validate(SCHEMA, {"spec": spec})) == []


def test_typed_decoding_drops_null_empty_and_unknown() -> None:
    value = deployment(replicas=None, template={"spec": {"containers": [], "volumes": []}}, bogus=1)
    assert conform(DEPLOYMENT, value, "Deployment") == ["spec.bogus"]
    assert value["spec"] == {"template": {"spec": {"containers": []}}}


def test_typed_decoding_refuses_other_types() -> None:
    with pytest.raises(
        TypeMismatch, match=r"unmarshal string into Go struct field Deployment\.spec\.replicas of type int32"
    ):
        conform(DEPLOYMENT, deployment(replicas="3"), "Deployment")


def event(name: str, labels: dict[str, str] | None, before: dict[str, str] | None, kind: Any) -> LogEvent:
    def item(found: dict[str, str], rv: int) -> Any:
        metadata = {"name": name, "namespace": "n", "labels": found, "resourceVersion": str(rv)}
        return make_item({"apiVersion": "v1", "kind": "X", "metadata": metadata}, rv, {})

    previous = None if before is None else item(before, 1)
    return LogEvent(2, kind, item(labels or {}, 2), previous)


YES, NO = {"on": "yes"}, {"on": "no"}


@pytest.mark.parametrize(
    ("kind", "before", "after", "seen"),
    [
        ("ADDED", None, YES, "ADDED"),
        ("ADDED", None, NO, None),
        ("MODIFIED", NO, YES, "ADDED"),
        ("MODIFIED", YES, YES, "MODIFIED"),
        ("MODIFIED", YES, NO, "DELETED"),
        ("MODIFIED", NO, NO, None),
        ("DELETED", YES, YES, "DELETED"),
        ("DELETED", NO, NO, None),
    ],
)
def test_what_an_event_is_to_a_selection(kind: str, before: Any, after: Any, seen: str | None) -> None:
    selection = Selection(namespace="n", labels=LabelSelector.parse("on=yes"))
    found = selection.transition(event("a", after, before, kind))
    assert (found[0] if found else None) == seen


def test_an_object_that_leaves_a_selection_is_shown_as_it_was() -> None:
    found = Selection(labels=LabelSelector.parse("on=yes")).transition(event("a", NO, YES, "MODIFIED"))
    assert found is not None
    assert found[1].labels == YES


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ("", "v1", "pods", None, "", "")),
        ("/api/v1/namespaces", ("", "v1", "namespaces", None, "", "")),
        ("/api/v1/namespaces/a/pods", ("", "v1", "pods", "a", "", "")),
        ("/api/v1/namespaces/a/pods/b/log", ("", "v1", "pods", "a", "b", "log")),
        ("/api/v1/namespaces/a/finalize", ("", "v1", "namespaces", None, "a", "finalize")),
        ("/apis/g.d/v2/namespaces/a/status", ("g.d", "v2", "status", "a", "", "")),
        ("/apis/g.d/v2", ("g.d", "v2", "", None, "", "")),
    ],
)
def test_paths_name_things(path: str, expected: tuple[Any, ...]) -> None:
    found = parse_path(path)
    assert found is not None
    assert (found.group, found.version, found.plural, found.namespace, found.name, found.subresource) == expected


@pytest.mark.parametrize("path", ["/", "/api", "/apis/g", "/other/v1", "/api/v1/namespaces/a/pods/b/c/d"])
def test_other_paths_name_nothing(path: str) -> None:
    assert parse_path(path) is None


def test_json_paths_of_printer_columns() -> None:
    value = {"a": {"b": [1, 2]}, "c": [{"t": "x", "v": 1}, {"t": "y", "v": 2}]}
    assert evaluate(".a.b[1]", value) == [2]
    assert evaluate(".a.b[*]", value) == [1, 2]
    assert evaluate('.c[?(@.t=="y")].v', value) == [2]
    assert evaluate("{.a.b}", value) == [[1, 2]]
    assert evaluate(".a.zzz", value) == []
    assert evaluate(".a[", value) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (3600, "60m"),
        (3 * 3600, "3h"),
        (3 * 86400, "3d"),
        (800 * 86400, "2y70d"),
    ],
)
def test_ages_get_coarser(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def test_every_table_has_cells_for_its_columns() -> None:
    assert set(COLUMNS) == set(CELLS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"),
        ("-0.5", "-500m"),
        ("1024", "1024"),
        ("1Ki", "1Ki"),
        ("1000Ki", "1000Ki"),
        ("0.5Ki", "512"),
        ("1E", "1E"),
        ("5e-3", "5e-3"),
        ("", None),
        ("1KB", None),
    ],
)
def test_quantities_have_one_form(text: str, expected: str | None) -> None:
    assert canonical_quantity(text) == expected


def field(number: int, value: bytes | int | str) -> bytes:
    def varint(found: int) -> bytes:
        out = bytearray()
        while found >= 0x80:
            out.append(found & 0x7F | 0x80)
            found >>= 7
        return bytes([*out, found])

    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def sealed(api_version: str, kind: str, message: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, message)


def test_protobuf_bodies_become_objects() -> None:
    metadata = field(1, "a") + field(2, "") + field(11, field(1, "k") + field(2, "v")) + field(8, b"")
    port = (
        field(1, "x")
        + field(2, "TCP")
        + field(3, 80)
        + field(4, field(1, 1) + field(2, 0) + field(3, "http"))
        + field(5, 0)
    )
    spec = field(1, port) + field(3, "None") + field(13, 1)
    value = decode_protobuf(sealed("v1", "Service", field(1, metadata) + field(2, spec) + field(3, field(1, b""))))
    assert value["metadata"] == {"name": "a", "labels": {"k": "v"}}
    assert value["spec"]["ports"] == [{"name": "x", "protocol": "TCP", "port": 80, "targetPort": "http"}]
    assert value["spec"]["publishNotReadyAddresses"] is True
    assert (value["apiVersion"], value["kind"]) == ("v1", "Service")


def test_zero_counts_in_protobuf_where_go_has_a_pointer() -> None:
    value = decode_protobuf(sealed("apps/v1", "Deployment", field(2, field(1, 0) + field(5, 0))))
    assert value["spec"] == {"replicas": 0}


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"k8s\x00\xff", sealed("v1", "Nonsense", b""), sealed("v1", "Pod", b"\x0a\x7f")]
)
def test_broken_protobuf_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode_protobuf(body)
