"""Versions of custom resources: converted by a webhook, or only renamed; deprecated ones are warned of."""

from __future__ import annotations

import copy
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.conformance.conftest import CRDS, JSON_PATCH, Custom, Server, establish
from tests.conformance.hooks import Webhook, configured, listening

SPEC = {
    "v1": {"hours": {"type": "integer"}, "color": {"type": "string", "default": "white"}},
    "v2": {"minutes": {"type": "integer", "maximum": 9000}, "lamp": {"type": "string"}},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def webhook(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Webhook]:
    async with listening(tmp_path_factory.mktemp("webhook")) as found:
        yield found


def versions(storage: str = "v2") -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "served": True,
            "storage": name == storage,
            "subresources": {"status": {}},
            "schema": {
                "openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": {"type": "object", "properties": properties},
                        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    },
                }
            },
            **({"deprecated": True} if name == "v1" else {}),
        }
        for name, properties in SPEC.items()
    ]


def definition(group: str, conversion: Any, storage: str = "v2") -> dict[str, Any]:
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"plural": "alarms", "kind": "Alarm"},
        "versions": versions(storage),
        "conversion": conversion,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"alarms.{group}"},
        "spec": spec,
    }


def converted(value: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Hours and minutes; the lamp and the color are the same."""
    one = copy.deepcopy(value)
    one["apiVersion"] = wanted
    spec = one.pop("spec", None) or {}
    if wanted.endswith("v1"):
        one["spec"] = {"hours": spec.get("minutes", 0) // 60, "color": spec.get("lamp", "none")}
    else:
        one["spec"] = {"minutes": spec.get("hours", 0) * 60, "lamp": spec.get("color", "none")}
    return one


def converts(change: Callable[[dict[str, Any]], Any] | None = None, **result: Any) -> Any:
    def say(request: dict[str, Any]) -> Any:
        objects = [converted(one, request["desiredAPIVersion"]) for one in request["objects"]]
        changed = [one if change is None else change(one) for one in objects]
        return {"convertedObjects": changed, "result": {"status": "Success", **result}}

    return say


@asynccontextmanager
async def alarms(server: Server, webhook: Webhook | None, ns: str, storage: str = "v2") -> AsyncIterator[Custom]:
    group = f"a{uuid.uuid4().hex[:8]}.example.dev"
    conversion: dict[str, Any] = {"strategy": "None"}
    if webhook is not None:
        path = f"convert-{group}"
        webhook.says[path] = converts()
        client = webhook.client(path)
        conversion = {"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]}}
    body = definition(group, conversion, storage)
    await establish(server, body)
    yield Custom(group, "alarms", "Alarm", ns, body)
    if webhook is not None:
        webhook.says[f"convert-{group}"] = converts()
    await server.delete(f"{CRDS}/{body['metadata']['name']}")


def new(custom: Custom, name: str, spec: Any, version: str = "v2") -> dict[str, Any]:
    return {**custom.new(name, spec), "apiVersion": f"{custom.group}/{version}"}


async def test_each_version_is_read_and_written_through_the_webhook(server: Server, webhook: Webhook, ns: str) -> None:
    async with alarms(server, webhook, ns) as custom:
        made = await server.make(custom.path(version="v1"), new(custom, "a", {"hours": 2, "color": "red"}, "v1"))
        assert (made["apiVersion"], made["spec"]) == (f"{custom.group}/v1", {"hours": 2, "color": "red"})
        hub = (await server.get(custom.path("a", version="v2"))).value
        assert (hub["apiVersion"], hub["spec"]) == (f"{custom.group}/v2", {"minutes": 120, "lamp": "red"})
        assert {**hub["metadata"], "managedFields": None} == {**made["metadata"], "managedFields": None}
        answer = await server.patch(custom.path("a", version="v1"), {"spec": {"hours": 3}})
        assert (answer.code, answer["spec"]) == (200, {"hours": 3, "color": "red"})
        assert answer["metadata"]["generation"] == 2
        assert (await server.get(custom.path("a", version="v2")))["spec"] == {"minutes": 180, "lamp": "red"}
        answer = await server.patch(custom.path("a", "status", "v1"), {"status": {"on": True}})
        # The status is unknown to this conversion and stays where it was.
        assert (answer["status"], answer["spec"]) == ({"on": True}, {"hours": 3, "color": "red"})
        answer = await server.put(custom.path("a", version="v1"), {**answer.value, "spec": {"hours": 200}})
        assert answer.code == 200, "the limit is that of the other version"
        assert answer["spec"] == {"hours": 200, "color": "white"}
        assert (await server.delete(custom.path("a", version="v1"))).code == 200


async def test_lists_and_watches_hold_one_version(server: Server, webhook: Webhook, ns: str) -> None:
    async with alarms(server, webhook, ns) as custom:
        for index, version in enumerate(("v1", "v2")):
            spec = {"hours": 1} if version == "v1" else {"minutes": 120, "lamp": "blue"}
            await server.make(custom.path(version=version), new(custom, f"a{index}", spec, version))
        for version, wanted in (
            ("v1", [{"hours": 1, "color": "white"}, {"hours": 2, "color": "blue"}]),
            ("v2", [{"minutes": 60, "lamp": "white"}, {"minutes": 120, "lamp": "blue"}]),
        ):
            listed = (await server.get(custom.path(version=version))).value
            assert listed["apiVersion"] == f"{custom.group}/{version}"
            assert {one["apiVersion"] for one in listed["items"]} == {f"{custom.group}/{version}"}
            assert [one["spec"] for one in listed["items"]] == wanted
            path = custom.path(version=version)
            async with server.watch(path) as watcher:
                events = await watcher.take(2)
                shown = {one["object"]["metadata"]["name"]: one["object"]["spec"] for one in events}
                assert shown == {"a0": wanted[0], "a1": wanted[1]}
                await server.patch(custom.path("a0", version="v2"), {"metadata": {"labels": {"seen": version}}})
                event = (await watcher.take(1))[0]
                assert (event["type"], event["object"]["spec"]) == ("MODIFIED", wanted[0])
                assert event["object"]["apiVersion"] == f"{custom.group}/{version}"


def broken(**change: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda value: {**value, **change}


def renamed(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "metadata": {**value["metadata"], "name": "other"}}


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (converts(status="Failure", message="no idea"), "failed: no idea"),
        (converts(status="Failure"), "failed: response.result.status was 'Failure', not 'Success'"),
        (converts(broken(kind="Other")), "returned invalid object at index 0: invalid kind (expected Alarm, received "),
        (converts(broken(apiVersion="x/v1")), "returned invalid object at index 0: invalid groupVersion (expected "),
        (converts(renamed), "returned invalid object: must have the same name: a != other"),
        (lambda _: {"convertedObjects": [], "result": {"status": "Success"}}, "returned 0 objects, expected 1"),
        (lambda _: {"review": {"response": {"uid": "x", "result": {"status": "Success"}}}},
         "failed: expected response.uid="),
        (lambda _: {"review": {}}, "failed: no response provided"),
    ],
    ids=["failure", "bare", "kind", "version", "name", "none", "uid", "absent"],
)  # fmt: skip
async def test_an_answer_that_is_none_fails_the_request(
    server: Server, webhook: Webhook, ns: str, say: Any, why: str
) -> None:
    async with alarms(server, webhook, ns) as custom:
        webhook.says[f"convert-{custom.group}"] = say
        answer = await server.post(custom.path(version="v1"), new(custom, "a", {"hours": 2}, "v1"))
        assert answer.code == 500, answer.text
        assert f"conversion webhook for {custom.group}/v1, Kind=Alarm {why}" in answer["message"]


async def test_metadata_but_for_labels_and_annotations_is_not_the_webhooks(
    server: Server, webhook: Webhook, ns: str
) -> None:
    def marked(value: dict[str, Any]) -> dict[str, Any]:
        metadata = {**value["metadata"], "labels": {"by": "webhook"}, "finalizers": ["a.example.dev/b"]}
        return {**value, "metadata": metadata}

    async with alarms(server, webhook, ns) as custom:
        await server.make(custom.path(version="v2"), new(custom, "a", {"minutes": 60}))
        webhook.says[f"convert-{custom.group}"] = converts(marked)
        read = (await server.get(custom.path("a", version="v1"))).value
        assert read["metadata"]["labels"] == {"by": "webhook"}
        assert "finalizers" not in read["metadata"]


async def test_objects_stay_in_their_version_until_they_are_written(server: Server, webhook: Webhook, ns: str) -> None:
    async with alarms(server, webhook, ns, storage="v1") as custom:
        await server.make(custom.path(version="v1"), new(custom, "a", {"hours": 1}, "v1"))
        crd = f"{CRDS}/alarms.{custom.group}"
        changed = [
            {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
            {"op": "replace", "path": "/spec/versions/1/storage", "value": True},
        ]
        answer = await server.patch(crd, changed, JSON_PATCH)
        assert answer["status"]["storedVersions"] == ["v1", "v2"]
        assert (await server.get(custom.path("a", version="v2")))["spec"] == {"minutes": 60, "lamp": "white"}
        assert (await server.get(custom.path("a", version="v1")))["spec"] == {"hours": 1, "color": "white"}
        answer = await server.patch(custom.path("a", version="v2"), {"spec": {"minutes": 90}})
        assert answer["spec"] == {"minutes": 90, "lamp": "white"}
        assert (await server.get(custom.path("a", version="v2")))["spec"] == {"minutes": 90, "lamp": "white"}


async def test_without_a_webhook_only_the_version_is_another(server: Server, ns: str) -> None:
    async with alarms(server, None, ns) as custom:
        await server.make(custom.path(version="v2"), new(custom, "a", {"minutes": 60, "lamp": "red"}))
        read = (await server.get(custom.path("a", version="v1"))).value
        assert (read["apiVersion"], read["spec"]) == (f"{custom.group}/v1", {})
        listed = (await server.get(custom.path(version="v1"))).value
        assert [one["spec"] for one in listed["items"]] == [{}]
        made = await server.make(custom.path(version="v1"), new(custom, "b", {"hours": 1}, "v1"))
        assert made["spec"] == {}, "what the stored version does not know is lost"


async def test_a_deprecated_version_is_warned_of_whatever_is_asked(server: Server, ns: str) -> None:
    async with alarms(server, None, ns) as custom:
        told = [f'299 - "{custom.group}/v1 Alarm is deprecated; use {custom.group}/v2 Alarm"']
        answers = [
            await server.post(custom.path(version="v1"), new(custom, "a", {}, "v1")),
            await server.get(custom.path("a", version="v1")),
            await server.get(custom.path(version="v1")),
            await server.patch(custom.path("a", version="v1"), {"metadata": {"labels": {"a": "b"}}}),
            await server.get(custom.path("nobody", version="v1")),
        ]
        async with server.watch(custom.path(version="v1")) as watcher:
            assert watcher.response.headers.getall("Warning") == told
        answers.append(await server.delete(custom.path("a", version="v1")))
        assert [answer.warnings for answer in answers] == [told] * 6
        assert (await server.get(custom.path(version="v2"))).warnings == []


@pytest.mark.parametrize(("policy", "asked"), [("Equivalent", ["see"]), ("Exact", [])])
async def test_an_admission_webhook_of_one_version_is_asked_of_others_where_it_says_so(
    server: Server, webhook: Webhook, ns: str, policy: str, asked: list[str]
) -> None:
    async with alarms(server, webhook, ns) as custom:
        rule = {"operations": ["*"], "apiGroups": [custom.group], "apiVersions": ["v2"], "resources": ["alarms"]}
        hook = webhook.hook("see", rules=[rule], matchPolicy=policy)
        async with configured(server, webhook, ns, validating=[hook]):
            await server.make(custom.path(version="v1"), new(custom, "a", {"hours": 1}, "v1"))
        assert webhook.names() == asked
        for request in webhook.of("see"):
            assert (request["kind"]["version"], request["requestKind"]["version"]) == ("v2", "v1")
            assert request["object"]["spec"] == {"minutes": 60, "lamp": "white"}
