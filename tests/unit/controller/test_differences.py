"""Merge patches and field changes: pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllerkit.apiserver.patch import merge_patch as apply_merge_patch
from controllerkit.controller.differences import ABSENT, field_changes, merge_patch

LEAF = st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x"])
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@given(OBJECT, OBJECT)
def test_a_merge_patch_makes_the_one_of_the_other_as_a_server_applies_it(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    made = apply_merge_patch(before, merge_patch(before, after))
    assert repr(sorted_deep(made)) == repr(sorted_deep(after)), "True is not 1"
    assert merge_patch(after, after) == {}


def sorted_deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: sorted_deep(value[name]) for name in sorted(value)}
    return [sorted_deep(each) for each in value] if isinstance(value, list) else value


@given(OBJECT, OBJECT)
def test_fields_differ_exactly_where_objects_do(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert bool(field_changes({"spec": before}, {"spec": after})) == bool(merge_patch(before, after))
    assert field_changes({"spec": after}, {"spec": after}) == ()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", 1, 2)]),
        ({}, {"a": {"b": 1, "c": {}}}, [("a.b", ABSENT, 1), ("a.c", ABSENT, {})]),
        ({"a": {"b": 1}}, {}, [("a.b", 1, ABSENT)]),
        ({"a": 1}, {"a": {"b": 1}}, [("a", 1, {"b": 1})]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({"a": True}, {"a": 1}, [("a", True, 1)]),
        ({"a": [1, 2]}, {"a": [1]}, [("a[1]", 2, ABSENT)]),
        ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "y"}, {"name": "x", "v": 2}]}, [
            ("a[x].v", 1, 2), ("a[y].name", ABSENT, "y"),
        ]),
        ({"a": [{"name": "x"}, {"name": "x"}]}, {"a": [{"name": "x"}]}, [("a[1].name", "x", ABSENT)]),
        ({"a": {"k8s.io/x": "1"}}, {"a": {"k8s.io/x": "2"}}, [("a[k8s.io/x]", "1", "2")]),
        ({"metadata": {"uid": "1", "a": "x"}}, {"metadata": {"uid": "2", "a": "y"}}, [("metadata.a", "x", "y")]),
    ],
)  # fmt: skip
def test_a_change_is_told_by_the_path_of_its_leaf(
    before: dict[str, Any], after: dict[str, Any], told: list[tuple[str, Any, Any]]
) -> None:
    assert [(each.path, each.before, each.after) for each in field_changes(before, after)] == told
