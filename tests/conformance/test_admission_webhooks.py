"""Admission webhooks: who is asked of what, and what becomes of the answers."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.conformance.conftest import APPLY, Answer, Custom, Server, config_map
from tests.conformance.hooks import HOOKS, Webhook, allow, configured, deny, listening, patch

SEEN = {"kind", "resource", "requestKind", "requestResource", "name", "namespace", "operation", "userInfo", "object",
        "oldObject", "dryRun", "options", "uid"}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def webhook(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Webhook]:
    async with listening(tmp_path_factory.mktemp("webhook")) as found:
        yield found


async def test_a_review_says_what_is_asked_by_whom_and_how(
    server: Server, webhook: Webhook, ns: str, maps: str
) -> None:
    async with configured(server, webhook, ns, validating=[webhook.hook("see")]):
        made = await server.make(maps, config_map("a", {"k": "1"}), fieldManager="me", dryRun="All")
        await server.make(maps, config_map("a", {"k": "1"}))
        await server.patch(f"{maps}/a", {"data": {"k": "2"}})
        await server.delete(f"{maps}/a")
    dry, created, updated, deleted = webhook.of("see")
    assert set(created) == SEEN
    assert created["kind"] == created["requestKind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert created["resource"] == created["requestResource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (dry["dryRun"], created["dryRun"]) == (True, False)
    assert dry["options"] == {
        "kind": "CreateOptions",
        "apiVersion": "meta.k8s.io/v1",
        "dryRun": ["All"],
        "fieldManager": "me",
    }
    assert [one["operation"] for one in (created, updated, deleted)] == ["CREATE", "UPDATE", "DELETE"]
    assert created["object"]["data"] == {"k": "1"}
    assert created["object"]["metadata"]["uid"] != made["metadata"]["uid"]
    assert created["oldObject"] is None
    assert (updated["object"]["data"], updated["oldObject"]["data"]) == ({"k": "2"}, {"k": "1"})
    assert deleted["object"] is None
    assert deleted["oldObject"]["data"] == {"k": "2"}
    assert deleted["options"]["kind"] == "DeleteOptions"
    assert "system:masters" in created["userInfo"]["groups"]
    assert webhook.queries[0] == "timeout=10s"


@pytest.mark.parametrize(
    ("say", "code", "reason", "message"),
    [
        (deny(), 400, None, "denied the request without explanation"),
        (deny(message="no"), 400, None, "denied the request: no"),
        (deny(code=403, reason="Forbidden", message="no"), 403, "Forbidden", "denied the request: no"),
        (deny(code=200, reason="Nope"), 400, "Nope", "denied the request: Nope"),
        (deny(code=422, reason="Invalid", message="b", details={"causes": [{"field": "f", "message": "m"}]}), 422,
         "Invalid", "denied the request: b"),
    ],
    ids=["bare", "message", "status", "reason", "details"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["mutating", "validating"])
async def test_a_denial_is_told_in_the_words_of_the_webhook(
    server: Server, webhook: Webhook, ns: str, maps: str, kind: str, say: Any, code: int, reason: Any, message: str
) -> None:
    async with configured(server, webhook, ns, **{kind: [webhook.hook("no", say)]}):
        answer = await server.post(maps, config_map("a"))
    assert answer.code == code, answer.text
    assert answer["message"] == f'admission webhook "no.hooks.example.dev" {message}'
    assert answer.value.get("reason") == reason
    assert answer["status"] == "Failure"
    assert (await server.get(f"{maps}/a")).code == 404


async def test_a_denied_update_or_delete_leaves_the_object(
    server: Server, webhook: Webhook, ns: str, maps: str
) -> None:
    made = await server.make(maps, config_map("a", {"k": "1"}))
    async with configured(server, webhook, ns, validating=[webhook.hook("no", deny(code=403, message="stays"))]):
        answers = [
            await server.put(f"{maps}/a", {**made, "data": {"k": "2"}}),
            await server.patch(f"{maps}/a", config_map("a", {"k": "2"}), APPLY, fieldManager="me", force="true"),
            await server.delete(f"{maps}/a"),
            await server.delete(maps),
        ]
    assert [answer.code for answer in answers] == [403] * 4
    assert (await server.get(f"{maps}/a")).value == made


async def test_patches_are_applied_in_turn_and_seen_by_those_who_come_later(
    server: Server, webhook: Webhook, ns: str, maps: str
) -> None:
    first = webhook.hook("first", patch({"op": "add", "path": "/data", "value": {"a": "1"}}))
    second = webhook.hook("second", patch({"op": "add", "path": "/data/b", "value": "2"}))
    async with configured(server, webhook, ns, [first, second], [webhook.hook("see")]):
        made = await server.make(maps, config_map("a"))
    assert made["data"] == {"a": "1", "b": "2"}
    assert webhook.of("second")[0]["object"]["data"] == {"a": "1"}
    assert webhook.of("see")[0]["object"]["data"] == {"a": "1", "b": "2"}
    assert webhook.names() == ["first", "second", "see"]
    assert (await server.get(f"{maps}/a")).value["data"] == {"a": "1", "b": "2"}


async def test_a_webhook_that_wants_to_is_asked_again_after_a_later_change(
    server: Server, webhook: Webhook, ns: str, maps: str
) -> None:
    hooks = [
        webhook.hook("again", reinvocationPolicy="IfNeeded"),
        webhook.hook("once"),
        webhook.hook("change", patch({"op": "add", "path": "/data", "value": {"a": "1"}})),
    ]
    async with configured(server, webhook, ns, hooks):
        await server.make(maps, config_map("a"))
    assert webhook.names() == ["again", "once", "change", "again"]
    assert webhook.of("again")[1]["object"]["data"] == {"a": "1"}


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        ({}, True),
        ({"objectSelector": {"matchLabels": {"l": "1"}}}, True),
        ({"objectSelector": {"matchLabels": {"l": "2"}}}, False),
        ({"namespaceSelector": {"matchLabels": {"no": "1"}}}, False),
        ({"rules": [{"operations": ["UPDATE"], "apiGroups": [""], "apiVersions": ["v1"],
                     "resources": ["configmaps"]}]}, False),
        ({"rules": [{"operations": ["CREATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]}, True),
        ({"rules": [{"operations": ["CREATE"], "apiGroups": ["*"], "apiVersions": ["*"],
                     "resources": ["*/status"]}]}, False),
        ({"rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
                     "scope": "Cluster"}]}, False),
        ({"rules": [{"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["v1"],
                     "resources": ["configmaps"]}]}, False),
        ({"matchConditions": [{"name": "a", "expression": "object.metadata.name == 'a'"}]}, True),
        ({"matchConditions": [{"name": "a", "expression": "request.operation == 'CREATE'"},
                              {"name": "b", "expression": "has(object.data)"}]}, False),
        ({"matchConditions": [{"name": "a", "expression": "request.userInfo.username == ''"}]}, False),
    ],
    ids=range(12),
)  # fmt: skip
async def test_only_those_are_asked_whom_it_concerns(
    server: Server, webhook: Webhook, ns: str, maps: str, spec: Any, asked: bool
) -> None:
    async with configured(server, webhook, ns, [webhook.hook("one", **spec)], [webhook.hook("two", **spec)]):
        await server.make(maps, config_map("a", labels={"l": "1"}))
    assert webhook.names() == (["one", "two"] if asked else [])


def invalid(**review: Any) -> Any:
    return lambda request: {
        "review": {key: value(request) if callable(value) else value for key, value in review.items()}
    }


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
@pytest.mark.parametrize(
    ("say", "why"),
    [
        (invalid(response={"uid": "x", "allowed": True}), 'received invalid webhook response: expected response.uid="'),
        (invalid(), "received invalid webhook response: webhook response was absent"),
        (invalid(kind="Other", response=lambda one: {"uid": one["uid"], "allowed": True}), ""),
        (allow(patch="e30="), "received invalid webhook response: webhook returned response.patch but not"),
        (allow(patch="e30=", patchType="JSONPatch"), "received undecodable patch in webhook response: "),
        (lambda _: web.Response(status=500, text="broken"),
         'failed to call webhook: an error on the server ("broken") has prevented the request from succeeding'),
        (lambda _: web.Response(status=404),
         "failed to call webhook: the server could not find the requested resource"),
        (lambda _: web.Response(text="{"), "failed to call webhook: "),
    ],
    ids=["uid", "absent", "kind", "patch type", "patch", "500", "404", "text"],
)  # fmt: skip
async def test_an_answer_that_is_none_is_what_the_failure_policy_says(
    server: Server, webhook: Webhook, ns: str, maps: str, policy: str, say: Any, why: str
) -> None:
    async with configured(server, webhook, ns, [webhook.hook("bad", say, failurePolicy=policy)]):
        answer = await server.post(maps, config_map("a"))
    told_of_failure(answer, policy, "bad", why)


def told_of_failure(answer: Answer, policy: str, name: str, why: str) -> None:
    if policy == "Ignore":
        assert answer.code == 201, answer.text
        return
    assert (answer.code, answer["reason"]) == (500, "InternalError"), answer.text
    head = f'Internal error occurred: failed calling webhook "{name}.hooks.example.dev": '
    assert answer["message"].startswith(head + why), answer["message"]


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
@pytest.mark.parametrize("what", ["refuses", "is slow", "is a stranger", "is a service"])
async def test_who_cannot_be_asked_is_what_the_failure_policy_says(
    server: Server, webhook: Webhook, ns: str, maps: str, policy: str, what: str
) -> None:
    why = 'failed to call webhook: Post "'
    never = asyncio.Event()

    async def wait() -> dict[str, Any]:
        await never.wait()
        return {"allowed": True}

    hook = webhook.hook("bad", lambda _: wait(), failurePolicy=policy, timeoutSeconds=1)
    match what:
        case "refuses":
            hook["clientConfig"] = {"url": "https://127.0.0.1:1/x"}
            why += 'https://127.0.0.1:1/x?timeout=1s": dial tcp 127.0.0.1:1: connect: connection refused'
        case "is slow":
            why += f'{webhook.url}/bad?timeout=1s": context deadline exceeded'
        case "is a stranger":
            never.set()
            hook["clientConfig"] = {"url": f"{webhook.url}/bad"}
            why += f'{webhook.url}/bad?timeout=1s": tls: failed to verify certificate'
        case _:
            hook["clientConfig"] = {"service": {"name": "nobody", "namespace": ns, "path": "/x"}}
            why += f'https://nobody.{ns}.svc:443/x?timeout=1s": '
    async with configured(server, webhook, ns, validating=[hook]):
        answer = await server.post(maps, config_map("a"))
    never.set()
    told_of_failure(answer, policy, "bad", why)


async def test_warnings_of_webhooks_are_passed_on_with_either_answer(
    server: Server, webhook: Webhook, ns: str, maps: str
) -> None:
    hooks = [webhook.hook("warn", allow(warnings=['a "quoted" one']))]
    no = webhook.hook("no", lambda _: {"allowed": False, "warnings": ["two"]},
                      objectSelector={"matchLabels": {"no": "1"}})  # fmt: skip
    async with configured(server, webhook, ns, hooks, [no]):
        taken = await server.post(maps, config_map("a"))
        refused = await server.post(maps, config_map("b", labels={"no": "1"}))
    assert taken.warnings == ['299 - "a \\"quoted\\" one"']
    assert refused.warnings == ['299 - "a \\"quoted\\" one"', '299 - "two"']


async def test_a_validating_webhook_may_not_patch(server: Server, webhook: Webhook, ns: str, maps: str) -> None:
    async with configured(server, webhook, ns, validating=[webhook.hook("bad", patch({"op": "add"}))]):
        answer = await server.post(maps, config_map("a"))
    told_of_failure(
        answer, "Fail", "bad", "received invalid webhook response: validating webhook may not return response.patch"
    )


async def test_a_patch_of_a_custom_resource_is_defaulted_and_validated(
    server: Server, webhook: Webhook, ns: str, widgets: Custom
) -> None:
    rule = {"operations": ["CREATE"], "apiGroups": [widgets.group], "apiVersions": ["v1"], "resources": ["widgets"]}
    grown = webhook.hook("grow", patch({"op": "replace", "path": "/spec/size", "value": 12}), rules=[rule])
    nested = webhook.hook("nest", patch({"op": "add", "path": "/spec/nest", "value": {}}), rules=[rule])
    async with configured(server, webhook, ns, [nested]):
        made = await server.make(widgets.path(), widgets.new("a", {"size": 3}))
    assert made["spec"] == {"size": 3, "color": "red", "nest": {"level": 5}}
    async with configured(server, webhook, ns, [grown], [webhook.hook("see", rules=[rule])]):
        answer = await server.post(widgets.path(), widgets.new("b", {"size": 3}))
    assert answer.code == 422
    assert webhook.of("see") == [], "what is invalid is shown to no validating webhook"


async def test_a_status_is_a_resource_of_its_own(server: Server, webhook: Webhook, ns: str, widgets: Custom) -> None:
    rule = {"operations": ["*"], "apiGroups": [widgets.group], "apiVersions": ["v1"]}
    hooks = [
        webhook.hook("main", rules=[{**rule, "resources": ["widgets"]}]),
        webhook.hook("status", rules=[{**rule, "resources": ["widgets/status"]}]),
        webhook.hook("both", rules=[{**rule, "resources": ["widgets/*"]}]),
    ]
    async with configured(server, webhook, ns, validating=hooks):
        await server.make(widgets.path(), widgets.new("a", {"size": 3}))
        await server.patch(widgets.path("a", "status"), {"status": {"size": 1}})
    assert sorted(webhook.names()) == ["both", "both", "main", "status"]
    asked = webhook.of("status")[0]
    assert (asked["subResource"], asked["requestSubResource"]) == ("status", "status")
    assert asked["object"]["status"] == {"size": 1}


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_what_a_configuration_leaves_out_is_filled_in(server: Server, webhook: Webhook, kind: str) -> None:
    hook = webhook.hook("one")
    hook["clientConfig"] = {"service": {"name": "a", "namespace": "b"}}
    body = {"metadata": {"name": "defaults"}, "webhooks": [hook]}
    made = (await server.post(f"{HOOKS}/{kind.lower()}webhookconfigurations", body, dryRun="All")).value
    assert made["metadata"]["generation"] == 1
    expected = {
        **hook,
        "rules": [{**hook["rules"][0], "scope": "*"}],
        "clientConfig": {"service": {"name": "a", "namespace": "b", "port": 443}},
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "timeoutSeconds": 10,
    }
    if kind == "Mutating":
        expected["reinvocationPolicy"] = "Never"
    assert made["webhooks"] == [expected]


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"name": "short"}, "FieldValueInvalid", "name"),
        ({"sideEffects": None}, "FieldValueRequired", "sideEffects"),
        ({"sideEffects": "Some"}, "FieldValueNotSupported", "sideEffects"),
        ({"failurePolicy": "Maybe"}, "FieldValueNotSupported", "failurePolicy"),
        ({"matchPolicy": "Maybe"}, "FieldValueNotSupported", "matchPolicy"),
        ({"timeoutSeconds": 31}, "FieldValueInvalid", "timeoutSeconds"),
        ({"clientConfig": {}}, "FieldValueRequired", "clientConfig"),
        ({"clientConfig": {"url": "http://a/b"}}, "FieldValueInvalid", "clientConfig.url"),
        ({"clientConfig": {"url": "https://a/b?c=d"}}, "FieldValueInvalid", "clientConfig.url"),
        ({"admissionReviewVersions": ["v9"]}, "FieldValueInvalid", "admissionReviewVersions"),
        ({"rules": [{"operations": ["READ"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]},
         "FieldValueNotSupported", "rules[0].operations[0]"),
        ({"rules": [{"operations": ["*"], "apiGroups": ["", "*"], "apiVersions": ["v1"], "resources": ["pods"]}]},
         "FieldValueInvalid", "rules[0].apiGroups"),
        ({"matchConditions": [{"name": "a", "expression": "object +"}]}, "FieldValueInvalid",
         "matchConditions[0].expression"),
        ({"matchConditions": [{"name": "", "expression": "true"}]}, "FieldValueRequired", "matchConditions[0].name"),
    ],
    ids=range(14),
)  # fmt: skip
async def test_a_configuration_that_is_none_is_refused(
    server: Server, webhook: Webhook, change: Any, reason: str, field: str
) -> None:
    hook = {key: value for key, value in {**webhook.hook("one"), **change}.items() if value is not None}
    body = {"metadata": {"name": "wrong"}, "webhooks": [hook]}
    answer = await server.post(f"{HOOKS}/validatingwebhookconfigurations", body, dryRun="All")
    assert answer.code == 422, answer.text
    found = {(one["reason"], one["field"]) for one in answer["details"]["causes"]}
    assert (reason, f"webhooks[0].{field}") in found, answer["message"]


def test_the_empty_patch_of_these_tests_is_no_list() -> None:
    assert base64.b64decode("e30=") == b"{}"
