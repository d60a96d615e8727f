"""Objects, selectors, owners, conditions, quantities."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controllerkit.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    ConfigError,
    Conflict,
    Expired,
    Gone,
    MalformedObject,
    api_error,
)
from controllerkit.objects import (
    FieldSelector,
    LabelSelector,
    Object,
    controller_of,
    parse_quantity,
    set_condition,
    set_controller_reference,
)
from controllerkit.objects.object import _recently_decoded


def owner(namespace: str = "default", uid: str = "u1", name: str = "w") -> Object:
    return Object.from_dict(
        {
            "apiVersion": "example.dev/v1",
            "kind": "Website",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
        }
    )


def test_the_body_is_decoded_once_and_copies_are_independent() -> None:
    value = Object.from_bytes(b'{"metadata":{"name":"a"},"spec":{"x":[1]}}')
    assert value.body is value.body
    copy = value.to_dict()
    copy["spec"]["x"].append(2)
    assert value.spec["x"] == [1]


def big(name: str, size: int) -> Object:
    return Object.from_dict(
        {"metadata": {"name": name, "labels": {"a": "1"}, "finalizers": ["x"]}, "data": {"x": "y" * size}}
    )


@pytest.mark.parity("1b/bounded-bodies")
def test_of_decoded_bodies_only_so_many_bytes_worth_are_kept() -> None:
    values = [big(str(number), 64 * 2**10) for number in range(200)]
    for each in values:
        assert each.body["metadata"]["name"] == each.name
    last, first = values[-1], values[0]
    assert last.body is last.body, "what is read again and again is decoded once"
    kept = [value for value, _ in _recently_decoded._entries.values()]
    assert first not in kept
    assert 3 * 2**20 < sum(len(value.raw) for value in kept) == _recently_decoded._bytes <= 4 * 2**20
    assert first.body["metadata"]["name"] == "0", "what is no longer here is decoded again"


@pytest.mark.parity("2.2/mutation-detector")
@pytest.mark.parametrize("part", ["body", "finalizers"])
def test_whoever_changes_a_shared_object_is_found_out_and_the_bytes_stay(part: str) -> None:
    value = big("a", 10)
    copy = value.to_dict()
    copy["data"]["x"] = "changed"
    assert value.body["data"]["x"] == "y" * 10
    assert value.intact
    if part == "body":
        value.body["data"]["x"] = "changed"
    else:
        value.finalizers.append("y")  # type: ignore[attr-defined]  # what mypy refuses
    assert not value.intact
    assert value.raw == big("a", 10).raw
    assert value.to_dict()["data"]["x"] == "y" * 10


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"metadata":[]}', b'{"metadata":{"name":1}}', b"\xff"])
def test_bytes_that_are_no_object_say_so_and_show_their_start(raw: bytes) -> None:
    with pytest.raises(MalformedObject, match="not a Kubernetes object"):
        Object.from_bytes(raw)


SELECTORS = [
    ("", {}, True),
    ("a=1", {"a": "1"}, True),
    ("a==1", {"a": "2"}, False),
    ("a!=1", {}, True),
    ("a in (1, 2)", {"a": "2"}, True),
    ("a notin (1,2)", {"a": "2"}, False),
    ("a notin (1,2)", {}, True),
    ("a", {"a": ""}, True),
    ("!a", {"a": ""}, False),
    ("a>3", {"a": "4"}, True),
    ("a<3", {"a": "x"}, False),
    ("a=1,b in (x,y),!c", {"a": "1", "b": "y"}, True),
    ("example.dev/app=web", {"example.dev/app": "web"}, True),
]


@pytest.mark.parametrize(("text", "labels", "expected"), SELECTORS, ids=[f"{t} on {on}" for t, on, _ in SELECTORS])
def test_label_selectors(text: str, labels: dict[str, str], expected: bool) -> None:
    selector = LabelSelector.parse(text)
    assert selector.matches(labels) is expected
    assert LabelSelector.parse(str(selector)).matches(labels) is expected


@pytest.mark.parametrize("text", ["a b", "a in 1", "=x", "a=b=c", "a in (1", "a>x", "/a=1", "a=" + "x" * 64])
def test_bad_label_selectors_are_refused_with_the_term(text: str) -> None:
    with pytest.raises(BadRequest, match="unable to parse requirement"):
        LabelSelector.parse(text)


def test_field_selectors_take_a_missing_field_as_empty() -> None:
    selector = FieldSelector.parse("status.phase!=Running,spec.nodeName=")
    assert selector.matches({"status.phase": "Pending"})
    assert not selector.matches({"status.phase": "Running"})


def test_an_owner_in_another_namespace_is_refused() -> None:
    child = {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "other"}}
    with pytest.raises(ConfigError, match="cannot own"):
        set_controller_reference(owner(), child)


def test_a_namespaced_owner_of_a_cluster_scoped_child_is_refused() -> None:
    child = {"kind": "PersistentVolume", "metadata": {"name": "c"}}
    with pytest.raises(ConfigError, match="cannot own"):
        set_controller_reference(owner(), child)


def test_a_second_controller_is_refused_and_the_first_named() -> None:
    child = {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
    set_controller_reference(owner(uid="u1"), child)
    set_controller_reference(owner(uid="u1"), child)
    assert len(child["metadata"]["ownerReferences"]) == 1  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="controlled by Website w already"):
        set_controller_reference(owner(name="x", uid="u2"), child)
    reference = controller_of(Object.from_dict(child))
    assert reference is not None
    assert reference.uid == "u1"


@pytest.mark.parity("1d/conditions")
def test_a_condition_moves_its_transition_time_only_when_its_status_changes() -> None:
    first, later = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    conditions = set_condition([{"type": "Other", "status": "True"}], "Ready", False, "A", "", now=first)
    conditions = set_condition(conditions, "Ready", True, "B", "", now=later, observed_generation=4)
    assert [c["type"] for c in conditions] == ["Other", "Ready"]
    assert conditions[1] == {
        "type": "Ready",
        "status": "True",
        "reason": "B",
        "message": "",
        "observedGeneration": 4,
        "lastTransitionTime": "2026-01-02T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("1k", 1000), ("1.5Gi", 1.5 * 2**30), ("100m", 0.1), ("2e3", 2000)]
)
def test_quantities(text: str, value: float) -> None:
    assert float(parse_quantity(text)) == value


@pytest.mark.parametrize("text", ["", "x", "1KB", "--1", "1 Gi"])
def test_bad_quantities_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_quantity(text)


def test_errors_are_typed_by_reason_and_a_subtype_is_caught_by_its_parent() -> None:
    assert isinstance(api_error({"reason": "AlreadyExists", "code": 409}), AlreadyExists | Conflict)
    assert isinstance(api_error({"reason": "Expired", "code": 410}), Gone)
    assert type(api_error({"reason": "Expired", "code": 410})) is Expired
    assert type(api_error({"code": 418, "message": "teapot"})) is ApiError


def test_the_server_s_wish_to_wait_is_kept() -> None:
    error = api_error({"reason": "TooManyRequests", "code": 429, "details": {"retryAfterSeconds": 7}}, request="GET /x")
    assert error.retry_after_s == 7.0
    assert str(error).startswith("GET /x: 429 TooManyRequests")
