"""Watches: what comes, in which order, and how it ends."""

from __future__ import annotations

from typing import Any

from tests.conformance.conftest import Custom, Server, config_map, pod
from tests.conformance.test_lists import PARTIAL_LIST, TABLE


async def revision(server: Server, path: str) -> str:
    return (await server.get(path)).rv


async def test_a_watch_from_a_revision_shows_what_came_after(server: Server, maps: str) -> None:
    await server.make(maps, config_map("before"))
    rv = await revision(server, maps)
    async with server.watch(maps, resourceVersion=rv) as watch:
        assert watch.code == 200
        made = await server.make(maps, config_map("a"))
        changed = await server.patch(f"{maps}/a", {"data": {"k": "v"}})
        await server.delete(f"{maps}/a")
        events = await watch.take(3)
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[0]["object"] == made
    assert events[1]["object"] == changed.value
    assert events[1]["object"]["kind"] == "ConfigMap"


async def test_a_deleted_event_has_the_last_state_at_a_revision_of_its_own(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a", {"k": "v"}))
    rv = made["metadata"]["resourceVersion"]
    async with server.watch(maps, resourceVersion=rv) as watch:
        await server.delete(f"{maps}/a")
        (event,) = await watch.take(1)
    gone = event["object"]
    assert (event["type"], gone["data"]) == ("DELETED", {"k": "v"})
    assert int(gone["metadata"]["resourceVersion"]) > int(rv)


async def test_a_watch_from_the_past_catches_up(server: Server, maps: str) -> None:
    rv = await revision(server, maps)
    await server.make(maps, config_map("a"))
    await server.patch(f"{maps}/a", {"data": {"k": "v"}})
    async with server.watch(maps, resourceVersion=rv) as watch:
        assert await watch.shapes(2) == [("ADDED", "a"), ("MODIFIED", "a")]


async def test_a_watch_without_revision_starts_with_what_is_there(server: Server, maps: str) -> None:
    for name in "ba":
        await server.make(maps, config_map(name, labels={"mine": "yes"}))
    async with server.watch(maps, labelSelector="mine") as watch:
        assert sorted(await watch.shapes(2)) == [("ADDED", "a"), ("ADDED", "b")]
        await server.make(maps, config_map("c", labels={"mine": "yes"}))
        assert await watch.shapes(1) == [("ADDED", "c")]


async def test_a_watch_from_zero_starts_with_what_is_there(server: Server, maps: str) -> None:
    await server.make(maps, config_map("a", labels={"mine": "yes"}))
    await server.until(maps, lambda one: len(one["items"]) == 1, resourceVersion=0, labelSelector="mine")
    async with server.watch(maps, resourceVersion=0, labelSelector="mine") as watch:
        assert await watch.shapes(1) == [("ADDED", "a")]


async def test_a_watch_of_a_namespace_shows_no_other(server: Server, maps: str) -> None:
    rv = await revision(server, maps)
    async with server.watch(maps, resourceVersion=rv) as watch:
        await server.make("/api/v1/namespaces/default/configmaps", config_map("elsewhere"))
        try:
            await server.make(maps, config_map("here"))
            assert await watch.shapes(1) == [("ADDED", "here")]
        finally:
            await server.delete("/api/v1/namespaces/default/configmaps/elsewhere")


async def test_a_watch_over_all_namespaces_shows_every_one(server: Server, maps: str, ns: str) -> None:
    rv = await revision(server, maps)
    async with server.watch("/api/v1/configmaps", resourceVersion=rv, labelSelector=f"from={ns}") as watch:
        await server.make(maps, config_map("a", labels={"from": ns}))
        (event,) = await watch.take(1)
        assert event["object"]["metadata"]["namespace"] == ns


async def test_objects_enter_and_leave_a_label_selector(server: Server, maps: str) -> None:
    rv = await revision(server, maps)
    async with server.watch(maps, resourceVersion=rv, labelSelector="on=yes") as watch:
        await server.make(maps, config_map("a", {"k": "1"}))
        await server.patch(f"{maps}/a", {"metadata": {"labels": {"on": "yes"}}})
        await server.patch(f"{maps}/a", {"data": {"k": "2"}})
        left = await server.patch(f"{maps}/a", {"metadata": {"labels": {"on": "no"}}, "data": {"k": "3"}})
        await server.patch(f"{maps}/a", {"data": {"k": "4"}})
        await server.patch(f"{maps}/a", {"metadata": {"labels": {"on": "yes"}}})
        events = await watch.take(4)
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED"]
    gone = events[2]["object"]
    # The object as the watcher knew it, at the revision of the write that took it away.
    assert gone["metadata"]["labels"] == {"on": "yes"}
    assert gone["data"] == {"k": "2"}
    assert gone["metadata"]["resourceVersion"] == left.rv


async def test_objects_enter_and_leave_a_field_selector(server: Server, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    rv = await revision(server, path)
    async with server.watch(path, resourceVersion=rv, fieldSelector="status.phase=Running") as watch:
        await server.make(path, pod("a", nodeName="n"))
        await server.patch(f"{path}/a/status", {"status": {"phase": "Running"}})
        await server.patch(f"{path}/a/status", {"status": {"phase": "Succeeded"}})
        assert await watch.shapes(2) == [("ADDED", "a"), ("DELETED", "a")]


async def test_one_object_is_watched_by_name(server: Server, maps: str) -> None:
    rv = await revision(server, maps)
    async with server.watch(maps, resourceVersion=rv, fieldSelector="metadata.name=b") as watch:
        await server.make(maps, config_map("a"))
        await server.make(maps, config_map("b"))
        assert await watch.shapes(1) == [("ADDED", "b")]


async def test_a_watch_ends_after_its_timeout(server: Server, maps: str) -> None:
    rv = await revision(server, maps)
    async with server.watch(maps, resourceVersion=rv, timeoutSeconds=1) as watch:
        await server.make(maps, config_map("a"))
        events = await watch.rest()
    assert [event["type"] for event in events] == ["ADDED"]


async def test_bookmarks_say_how_far_a_watch_has_come(server: Server, maps: str) -> None:
    rv = await revision(server, maps)
    # A real server sends its last bookmark shortly before the timeout.
    async with server.watch(maps, resourceVersion=rv, timeoutSeconds=3, allowWatchBookmarks="true") as watch:
        made = await server.make(maps, config_map("a"))
        events = await watch.rest()
    marks = [event["object"] for event in events if event["type"] == "BOOKMARK"]
    assert marks
    assert marks[-1]["kind"] == "ConfigMap"
    assert int(marks[-1]["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
    assert "name" not in marks[-1]["metadata"]


async def test_no_bookmarks_come_unasked(server: Server, maps: str) -> None:
    rv = await revision(server, maps)
    async with server.watch(maps, resourceVersion=rv, timeoutSeconds=2) as watch:
        assert await watch.rest() == []


async def test_initial_events_end_with_a_marked_bookmark(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a", labels={"mine": "yes"}))
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with server.watch(maps, labelSelector="mine", **query) as watch:
        first, second = await watch.next(), await watch.next()
        assert first is not None
        assert second is not None
        assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
        assert second["type"] == "BOOKMARK"
        mark = second["object"]["metadata"]
        assert mark["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(mark["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
        await server.make(maps, config_map("b", labels={"mine": "yes"}))
        assert await watch.shapes(1) == [("ADDED", "b")]


async def test_a_watch_of_a_revision_that_is_no_number_fails(server: Server, maps: str) -> None:
    answer = await server.get(maps, watch="true", resourceVersion="abc")
    assert answer.code == 500
    assert 'Invalid value: "abc"' in answer["message"]


async def test_status_writes_are_seen(server: Server, widgets: Custom) -> None:
    made = await server.make(widgets.path(), widgets.new("a", {"size": 1}))
    async with server.watch(widgets.path(), resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        await server.patch(widgets.path("a", "status"), {"status": {"size": 1}})
        (event,) = await watch.take(1)
    assert event["type"] == "MODIFIED"
    assert event["object"]["status"] == {"size": 1}
    assert event["object"]["apiVersion"] == widgets.api_version


async def test_a_write_that_changes_nothing_is_no_event(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a", {"k": "v"}))
    async with server.watch(maps, resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        await server.put(f"{maps}/a", made)
        await server.patch(f"{maps}/a", {"data": {"k": "v"}})
        await server.make(maps, config_map("b"))
        assert await watch.shapes(1) == [("ADDED", "b")]


async def test_a_delete_held_by_a_finalizer_is_modified_then_deleted(server: Server, maps: str) -> None:
    made = await server.make(maps, config_map("a", finalizers=["example.dev/x"]))
    async with server.watch(maps, resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        await server.delete(f"{maps}/a")
        await server.patch(f"{maps}/a", {"metadata": {"finalizers": None}})
        events = await watch.take(2)
    assert [event["type"] for event in events] == ["MODIFIED", "DELETED"]
    assert events[0]["object"]["metadata"]["finalizers"] == ["example.dev/x"]
    assert events[1]["object"]["metadata"]["deletionTimestamp"]


async def test_rows_can_be_watched(server: Server, maps: str) -> None:
    rv = await revision(server, maps)
    async with server.watch(maps, accept=TABLE, resourceVersion=rv) as watch:
        await server.make(maps, config_map("a", {"k": "v"}))
        event = await watch.next()
    assert event is not None
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "Table")
    assert event["object"]["rows"][0]["cells"][:2] == ["a", 1]


async def test_metadata_can_be_watched(server: Server, maps: str) -> None:
    rv = await revision(server, maps)
    async with server.watch(maps, accept=PARTIAL_LIST.replace("List", ""), resourceVersion=rv) as watch:
        await server.make(maps, config_map("a", {"k": "v"}))
        (event,) = await watch.take(1)
    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert "data" not in event["object"]


async def test_many_watchers_see_the_same(server: Server, maps: str) -> None:
    rv = await revision(server, maps)
    seen: list[list[dict[str, Any]]] = []
    async with (
        server.watch(maps, resourceVersion=rv) as one,
        server.watch(maps, resourceVersion=rv) as two,
        server.watch(maps, resourceVersion=rv) as three,
    ):
        for number in range(20):
            await server.make(maps, config_map(f"a{number:02}"))
        seen = [await watch.take(20) for watch in (one, two, three)]
    assert seen[0] == seen[1] == seen[2]
    assert [event["object"]["metadata"]["name"] for event in seen[0]] == [f"a{number:02}" for number in range(20)]
