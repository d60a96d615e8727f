"""The store and its indexes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllerkit.cache import BY_CONTROLLER, Store, UnionStore, by_controller
from controllerkit.client import WatchEvent
from controllerkit.errors import ConfigError
from controllerkit.objects import Key, Object


def obj(
    name: str,
    version: int = 1,
    *,
    labels: dict[str, str] | None = None,
    owner: str = "",
    uid: str = "",
    finalizers: list[str] | None = None,
    namespace: str = "default",
) -> Object:
    owners = [{"apiVersion": "v1", "kind": "Web", "name": "w", "uid": owner, "controller": True}] if owner else []
    return Object.from_dict(
        {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": uid or f"uid-{name}",
                "resourceVersion": str(version),
                "labels": labels or {},
                "ownerReferences": owners,
                "finalizers": finalizers or [],
            }
        }
    )


def app(value: Object) -> list[str]:
    return [value.labels["app"]] if "app" in value.labels else []


@pytest.mark.parity("2.2/replace-deletes-first")
def test_replace_yields_deletes_first_then_adds_and_updates_and_nothing_for_the_unchanged() -> None:
    store = Store()
    store.replace([obj("gone"), obj("same"), obj("newer")])
    changes = store.replace([obj("same"), obj("newer", 2), obj("fresh", 3)])
    told = [(c.old and c.old.name, c.new and c.new.name) for c in changes]
    assert told == [("gone", None), ("newer", "newer"), (None, "fresh")]


def test_an_object_made_again_under_its_name_is_an_update_even_at_the_same_version() -> None:
    store = Store()
    store.replace([obj("a", uid="one")])
    (change,) = store.replace([obj("a", uid="two")])
    assert (change.old and change.old.uid, change.new and change.new.uid) == ("one", "two")


def test_a_deletion_carries_the_last_state_the_server_sent() -> None:
    store = Store()
    store.replace([obj("a", 1)])
    change = store.apply(WatchEvent("DELETED", obj("a", 9)))
    assert change is not None
    assert change.old is not None
    assert change.old.resource_version == "9"
    assert store.apply(WatchEvent("DELETED", obj("a", 9))) is None


@pytest.mark.parity("2.2/late-index", "2.5/cache-index-added-late", "1b/named-indexes")
def test_an_index_added_late_finds_what_is_there() -> None:
    store = Store()
    store.replace([obj("a", labels={"app": "x"}), obj("b", labels={"app": "y"})])
    store.add_index("app", app)
    assert [value.name for value in store.by_index("app", "x")] == ["a"]


@pytest.mark.parity("2.2/no-empty-index-sets")
def test_an_empty_index_entry_is_removed() -> None:
    store = Store({"app": app})
    store.replace([obj("a", labels={"app": "x"})])
    store.apply(WatchEvent("MODIFIED", obj("a", 2, labels={"app": "y"})))
    assert set(store._indexes["app"]) == {"y"}


def test_children_are_found_by_the_uid_of_their_controller() -> None:
    store = Store({BY_CONTROLLER: by_controller})
    store.replace([obj("a", owner="u1"), obj("b", owner="u2"), obj("c")])
    assert [value.name for value in store.by_index(BY_CONTROLLER, "u1")] == ["a"]


@pytest.mark.parity("2.2/unknown-index")
def test_asking_an_index_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"no index 'app'; there are \['controller-uid'\]"):
        Store({BY_CONTROLLER: by_controller}).by_index("app", "x")


@pytest.mark.parity("2.2/index-conflict")
def test_a_second_function_under_an_index_name_is_refused() -> None:
    store = Store({"app": app})
    store.add_index("app", app)
    with pytest.raises(ConfigError, match="exists already"):
        store.add_index("app", by_controller)


@pytest.mark.parity("2.2/multi-value-index", "2.2/non-empty-index-sets", "2.5/cache-multi-index")
def test_an_object_is_found_under_each_of_its_values_and_others_stay_under_theirs() -> None:
    store = Store({"finalizer": lambda value: value.finalizers, "app": app})
    store.replace([obj("a", labels={"app": "x"}, finalizers=["one", "two"]), obj("b", finalizers=["two"])])
    assert [value.name for value in store.by_index("finalizer", "two")] == ["a", "b"]
    store.apply(WatchEvent("MODIFIED", obj("a", 2, finalizers=["three"])))
    assert {each: [v.name for v in store.by_index("finalizer", each)] for each in ("one", "two", "three")} == {
        "one": [],
        "two": ["b"],
        "three": ["a"],
    }
    assert store.by_index("app", "x") == []


@pytest.mark.parity("2.2/index-errors")
def test_an_index_that_raises_is_told_and_neither_the_object_nor_other_indexes_suffer() -> None:
    told: list[str] = []

    def broken(value: Object) -> list[str]:
        return [value.labels["site"]]

    store = Store({"site": broken, "app": app})
    store.on_index_error = lambda name, value, error: told.append(f"{name} {value.name} {error}")
    store.replace([obj("a", labels={"app": "x"}), obj("b", labels={"site": "s"})])
    assert told == ["site a 'site'"]
    assert ([v.name for v in store.by_index("app", "x")], [v.name for v in store.by_index("site", "s")]) == (
        ["a"],
        ["b"],
    )
    store.apply(WatchEvent("MODIFIED", obj("a", 2, labels={"site": "s"})))
    assert [v.name for v in store.by_index("site", "s")] == ["a", "b"]


def test_the_bytes_are_those_of_what_is_kept() -> None:
    store = Store()
    store.replace([obj("a"), obj("b")])
    store.apply(WatchEvent("MODIFIED", obj("a", 2, labels={"app": "x"})))
    store.apply(WatchEvent("DELETED", obj("b", 3)))
    assert store.bytes == sum(len(value.raw) for value in store) > 0


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ADDED", "MODIFIED", "DELETED"]), st.sampled_from("abc"), st.sampled_from(["", "x", "y"])
    ),
    max_size=30,
)


@given(EVENTS)
def test_store_and_indexes_equal_a_fold_over_the_events(events: list[tuple[str, str, str]]) -> None:
    store = Store({"app": app})
    expected: dict[Key, Object] = {}
    for version, (kind, name, label) in enumerate(events):
        value = obj(name, version, labels={"app": label} if label else {})
        store.apply(WatchEvent(kind, value))
        if kind == "DELETED":
            expected.pop(value.key, None)
        else:
            expected[value.key] = value
    assert {value.key: value for value in store} == expected
    for label in ("x", "y"):
        held = [v for k, v in sorted(expected.items()) if v.labels.get("app") == label]
        assert list(store.by_index("app", label)) == held


PLACED = st.lists(
    st.tuples(st.sampled_from(["ADDED", "DELETED"]), st.sampled_from(["one", "two", "three"]), st.sampled_from("ab")),
    max_size=20,
)


@pytest.mark.parity("2.5/cache-namespaces")
@given(PLACED, st.sampled_from([("one", "two", "three"), ("one", ""), ("",)]))
def test_stores_by_namespace_read_as_one_are_that_one(
    events: list[tuple[str, str, str]], names: tuple[str, ...]
) -> None:
    whole = Store({"app": app})
    parts = {name: Store({"app": app}) for name in names}
    union = UnionStore(parts)
    for version, (kind, namespace, name) in enumerate(events):
        value = obj(name, version, labels={"app": str(version % 2)}, namespace=namespace)
        whole.apply(WatchEvent(kind, value))
        part = union.part(namespace)
        assert part is parts.get(namespace, parts.get(""))
        assert part is not None
        part.apply(WatchEvent(kind, value))
    assert (len(union), union.bytes, sorted(union.keys())) == (len(whole), whole.bytes, sorted(whole.keys()))
    for label in ("0", "1"):
        assert union.by_index("app", label) == whole.by_index("app", label)
    for namespace in (None, "one", "two", "three"):
        assert sorted(v.key for v in union.list(namespace)) == sorted(v.key for v in whole.list(namespace))
    for key in whole.keys():  # noqa: SIM118 - a store iterates over its objects
        assert union.get(key) is not None
        assert key in union


def test_what_lies_in_no_part_is_not_there() -> None:
    union = UnionStore({"one": Store({"app": app})})
    assert (union.get(Key("two", "a")), union.list("two"), union.part("two")) == (None, [], None)
    with pytest.raises(ConfigError, match="no index 'site'"):
        union.by_index("site", "x")
