"""Predicates, handlers and the words for a change: pure, in tables."""

from __future__ import annotations

from typing import Any

import pytest

from controllerkit.controller import (
    ChangeEvent,
    all_of,
    annotations_changed,
    any_of,
    enqueue_mapped,
    enqueue_owner,
    enqueue_self,
    generation_changed,
    labels_changed,
    matches_labels,
    not_,
    on,
    resource_version_changed,
    what_changed,
)
from controllerkit.errors import BadRequest, ConfigError
from controllerkit.objects import Key, Kind, Object, kinds

SITE = Kind("example.dev", "v1", "Website", "websites", namespaced=True)
REALM = Kind("example.dev", "v1", "Realm", "realms", namespaced=False)


def made(name: str = "a", *, rv: str = "1", generation: int = 1, spec: Any = None, **metadata: Any) -> Object:
    meta = {"name": name, "namespace": "n", "resourceVersion": rv, "generation": generation, "uid": "u", **metadata}
    return Object.from_dict({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec or {}})


def update(old: dict[str, Any], new: dict[str, Any]) -> ChangeEvent:
    return ChangeEvent("update", made(**new), made(**old))


CREATE, DELETE = ChangeEvent("create", made()), ChangeEvent("delete", made())
SAME = update({}, {})
SPEC = update({}, {"rv": "2", "generation": 2})
STATUS = update({}, {"rv": "2"})
LABELS = update({}, {"rv": "2", "labels": {"app": "web"}})
NOTES = update({}, {"rv": "2", "annotations": {"x": "y"}})


@pytest.mark.parity("2.5/predicates", "1d/predicates")
@pytest.mark.parametrize(
    ("predicate", "passes"),
    [
        (generation_changed, [CREATE, DELETE, SPEC]),
        (resource_version_changed, [CREATE, DELETE, SPEC, STATUS, LABELS, NOTES]),
        (labels_changed, [CREATE, DELETE, LABELS]),
        (annotations_changed, [CREATE, DELETE, NOTES]),
        (matches_labels("app=web"), [LABELS]),
        (on("create"), [CREATE]),
        (not_(generation_changed), [SAME, STATUS, LABELS, NOTES]),
        (all_of(on("update"), generation_changed), [SPEC]),
        (any_of(on("delete"), annotations_changed), [CREATE, DELETE, NOTES]),
        (all_of(), [CREATE, DELETE, SAME, SPEC, STATUS, LABELS, NOTES]),
        (any_of(), []),
    ],
)
def test_a_predicate_lets_through_what_it_says_and_nothing_else(predicate: Any, passes: list[ChangeEvent]) -> None:
    every = [CREATE, DELETE, SAME, SPEC, STATUS, LABELS, NOTES]
    assert [every.index(e) for e in every if predicate(e)] == [every.index(e) for e in passes]


def test_a_selector_counts_what_an_object_was_before_so_that_leaving_is_seen() -> None:
    assert matches_labels("app=web")(update({"labels": {"app": "web"}}, {"rv": "2"}))


def test_predicates_that_could_never_be_meant_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one of create"):
        on()
    with pytest.raises(BadRequest):
        matches_labels("a in (")


@pytest.mark.parity("1c/reasons")
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"spec": {"replicas": 3}}, {"spec": {"replicas": 5}, "generation": 2, "rv": "2"}, "spec.replicas changed"),
        ({"spec": {"a": 1}}, {"spec": {"b": 1}, "generation": 2, "rv": "2"}, "spec.a, spec.b changed"),
        (
            {"spec": {}},
            {"spec": dict.fromkeys("vwxyz", 1), "generation": 2, "rv": "2"},
            "spec.v, spec.w, spec.x and 2 more changed",
        ),
        ({}, {"generation": 2, "rv": "2"}, "spec changed"),
        ({}, {"rv": "2", "labels": {"a": "b"}}, "labels changed"),
        ({}, {"rv": "2", "annotations": {"a": "b"}}, "annotations changed"),
        ({}, {"rv": "2"}, "status changed"),
        ({"generation": 0}, {"generation": 0, "rv": "2"}, "changed"),
        ({}, {}, "resync"),
        ({}, {"rv": "2", "uid": "other"}, "made anew"),
        ({}, {"rv": "2", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "deletion asked for"),
    ],
)
def test_a_change_is_told_in_a_few_words(old: dict[str, Any], new: dict[str, Any], told: str) -> None:
    assert what_changed(made(**old), made(**new)) == told


# -- handlers ------------------------------------------------------------------------------------------------------


def owner(name: str, *, controller: bool = True, api: str = "example.dev/v1", kind: str = "Website") -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "name": name, "uid": f"uid-{name}", "controller": controller}


def owned(*references: dict[str, Any]) -> dict[str, Any]:
    return {"ownerReferences": list(references)}


@pytest.mark.parity("2.5/handler-object", "1d/handlers")
def test_an_object_is_enqueued_by_its_own_key() -> None:
    assert enqueue_self(ChangeEvent("create", made("web"))) == (Key("n", "web"),)


@pytest.mark.parity(
    "2.5/handler-owner-group-any-version",
    "2.5/handler-owner-controller-only",
    "2.5/handler-owner-all",
    "2.5/handler-owner-dedup",
    "2.5/handler-owner-bad-api-version",
    "2.5/handler-owner-cluster-scoped",
)
@pytest.mark.parametrize(
    ("references", "every", "primary", "keys"),
    [
        ([owner("x")], False, SITE, [("n", "x")]),
        ([owner("x", api="example.dev/v2beta1")], False, SITE, [("n", "x")]),
        ([owner("x", api="other.dev/v1")], False, SITE, []),
        ([owner("x", kind="Shop")], False, SITE, []),
        ([owner("x", controller=False)], False, SITE, []),
        ([owner("x"), owner("y", controller=False)], True, SITE, [("n", "x"), ("n", "y")]),
        ([owner("x", api="a/b/c")], False, SITE, []),
        ([owner("x", kind="Realm")], False, REALM, [("", "x")]),
        ([], True, SITE, []),
    ],
)
def test_owners_are_those_of_the_primarys_group_and_kind(
    references: list[dict[str, Any]], every: bool, primary: Kind, keys: list[tuple[str, str]]
) -> None:
    event = ChangeEvent("create", made(**owned(*references)))
    assert list(enqueue_owner(primary, every_owner=every)(event)) == [Key(*key) for key in keys]


@pytest.mark.parity("2.5/handler-owner-dedup")
def test_an_update_that_moves_a_child_enqueues_both_owners_and_one_that_does_not_only_one() -> None:
    moved = update(owned(owner("x")), owned(owner("y")))
    kept = update({"labels": {"a": "b"}, **owned(owner("x"))}, owned(owner("x")))
    assert list(enqueue_owner(SITE)(moved)) == [Key("n", "x"), Key("n", "y")]
    assert list(enqueue_owner(SITE)(kept)) == [Key("n", "x")]


@pytest.mark.parity("2.5/handler-map")
def test_a_mapping_is_asked_about_both_sides_of_an_update_and_gives_each_key_once() -> None:
    def of_label(value: Object) -> list[Key]:
        return [Key("n", each) for each in value.labels.get("sites", "").split(".") if each]

    moved = update({"labels": {"sites": "a.b"}}, {"labels": {"sites": "b.c"}, "rv": "2"})
    assert list(enqueue_mapped(of_label)(moved)) == [Key("n", "a"), Key("n", "b"), Key("n", "c")]
    asked: list[Object] = []
    list(enqueue_mapped(lambda value: asked.append(value) or [])(SAME))  # type: ignore[func-returns-value]
    assert len(asked) == 1, "a resync has one side"


def test_kinds_have_what_the_handlers_need() -> None:
    assert kinds.POD.group == ""
