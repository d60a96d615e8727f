"""The store: revisions, the past, compaction, the disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from controllerkit.apiserver.journal import Journal
from controllerkit.apiserver.storage import Store


def put(store: Store, name: str, data: str = "", *, namespace: str = "n", **metadata: Any) -> None:
    body = {"metadata": {"name": name, "namespace": namespace, **metadata}, "data": data}
    store.put("things", {"apiVersion": "v1", "kind": "Thing", **body}, {"data": data})


def keys(store: Store, rv: int | None = None, namespace: str = "") -> list[str]:
    things = store.collection("things")
    found = things.scan(namespace) if rv is None else things.scan_at(rv, namespace)
    return [item.key for item in found]


def test_every_write_has_a_revision_of_its_own() -> None:
    store = Store()
    put(store, "a")
    put(store, "b")
    store.delete("things", store.collection("things").items["n/a"])
    events = store.collection("things").log.since(0)
    assert [(event.rv, event.type) for event in events] == [(2, "ADDED"), (3, "ADDED"), (4, "DELETED")]
    assert events[2].item.decode()["metadata"]["resourceVersion"] == "4"
    assert store.rv == 4


def test_bytes_start_with_version_and_kind_whatever_the_order_was() -> None:
    store = Store()
    store.put("things", {"data": "", "metadata": {"name": "a"}, "kind": "Thing", "apiVersion": "v1"}, {})
    assert store.collection("things").items["a"].raw.startswith(b'{"apiVersion":"v1","kind":"Thing","metadata":{')


def test_scan_keeps_to_its_namespace_and_order() -> None:
    store = Store()
    for namespace, name in (("n-2", "a"), ("n", "b"), ("n", "a"), ("m", "z"), ("n0", "q")):
        put(store, name, namespace=namespace)
    assert keys(store) == ["m/z", "n-2/a", "n/a", "n/b", "n0/q"]
    assert keys(store, namespace="n") == ["n/a", "n/b"]
    assert [item.key for item in store.collection("things").scan("n", after="n/a")] == ["n/b"]


def test_the_past_is_what_it_was_at_every_revision() -> None:
    """The dumb oracle: a copy of everything after every write."""
    store, past = Store(), {}
    script = [("a", 1), ("b", 1), ("a", 2), ("b", 0), ("c", 1), ("a", 0), ("b", 2), ("a", 3), ("c", 4)]
    for name, data in script:
        if data:
            put(store, name, str(data))
        else:
            store.delete("things", store.collection("things").items[f"n/{name}"])
        past[store.rv] = [item.raw for item in store.collection("things").scan()]
    for rv, expected in past.items():
        assert [item.raw for item in store.collection("things").scan_at(rv)] == expected, rv


def test_the_log_forgets_its_oldest_events_and_says_so() -> None:
    store = Store(history_events_max=3)
    for number in range(10):
        put(store, "a", str(number))
    log = store.collection("things").log
    newest = [event.rv for event in log.since(log.oldest_rv)]
    assert newest[-1] == store.rv
    assert len(newest) >= 3
    assert newest[0] == log.oldest_rv + 1


def test_compaction_forgets_everything_and_new_collections_start_there() -> None:
    store = Store()
    put(store, "a")
    store.compact()
    assert store.collection("things").log.since(0) == ()
    assert store.collection("things").log.oldest_rv == store.rv
    assert store.collection("others").log.oldest_rv == store.rv


def test_watchers_are_woken_by_writes_until_they_leave() -> None:
    store, woken = Store(), []
    leave = store.collection("things").watch(lambda: woken.append(store.rv))
    put(store, "a")
    leave()
    put(store, "b")
    assert woken == [2]


def reopened(folder: Path) -> Store:
    rv, objects = Journal(folder).read()
    store = Store()
    store.rv = rv
    for (collection, _), value in objects.items():
        store.load(collection, value, {})
    return store


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "crashed"])
def test_the_disk_holds_what_the_store_held(tmp_path: Path, clean: bool) -> None:
    store, journal = Store(), Journal(tmp_path)
    put(store, "before")
    journal.open(store)
    put(store, "a", "1")
    put(store, "a", "2")
    put(store, "b", "1")
    store.delete("things", store.collection("things").items["n/b"])
    folder = tmp_path
    if not clean:
        folder = tmp_path / "as-it-was"
        shutil.copytree(tmp_path, folder)
    journal.close(store)
    again = reopened(folder)
    assert again.rv == store.rv
    assert [item.raw for item in again.collection("things").scan()] == [
        item.raw for item in store.collection("things").scan()
    ]


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    store, journal = Store(), Journal(tmp_path)
    journal.open(store)
    put(store, "a", "1")
    put(store, "b", "1")
    folder = tmp_path / "as-it-was"
    shutil.copytree(tmp_path, folder)
    journal.close(store)
    path = folder / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert keys(reopened(folder)) == ["n/a"]
