"""The client against a scripted server: what it sends, what it makes of every kind of answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from controllerkit.client import Client, PatchType, WatchStream, Write
from controllerkit.errors import (
    BadRequest,
    ConfigError,
    Conflict,
    ConnectError,
    DeadlineExceeded,
    Expired,
    Forbidden,
    InternalError,
    MalformedObject,
    NotFound,
    NotLeading,
    TooManyRequests,
    TransportError,
)
from controllerkit.objects import GVK, Object, kinds
from controllerkit.testing import VirtualClock
from controllerkit.wire import Credentials, HttpTransport

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
POD = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "default", "resourceVersion": "7"}}


def status(code: int, reason: str, message: str = "no", **details: Any) -> web.Response:
    body = {
        "kind": "Status",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
        "details": details,
    }
    return web.json_response(body, status=code)


class Scripted:
    """Answers requests from a list, in order, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes, str]] = []

    def then(self, answer: Answer | web.Response) -> Scripted:
        async def fixed(_: web.Request) -> web.StreamResponse:
            assert isinstance(answer, web.Response)
            return answer

        self.answers.append(fixed if isinstance(answer, web.Response) else answer)
        return self

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        content_type = request.headers.get("Content-Type", "")
        self.asked.append((request.method, request.path, dict(request.query), body, content_type))
        return await self.answers.pop(0)(request)


@pytest.fixture
def script() -> Scripted:
    return Scripted()


@pytest.fixture
async def address(script: Scripted) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def client(address: str, clock: VirtualClock) -> AsyncIterator[Client]:
    async with Client(HttpTransport(Credentials(server=address, token="t")), clock=clock, timeout_s=5.0) as connected:
        yield connected


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (403, "Forbidden", Forbidden),
        (410, "Expired", Expired),
    ],
)
async def test_a_refusal_is_typed_by_its_reason_and_names_the_request(
    client: Client, script: Scripted, code: int, reason: str, kind: type[Exception]
) -> None:
    script.then(status(code, reason, "because"))
    with pytest.raises(kind, match=f"GET /api/v1/namespaces/default/pods/a: {code} {reason}: because"):
        await client.get(kinds.POD, "a")


async def test_an_answer_that_is_no_status_keeps_its_text(client: Client, script: Scripted) -> None:
    script.then(web.Response(status=500, text="<html>proxy error</html>"))
    with pytest.raises(InternalError, match="proxy error"):
        await client.get(kinds.POD, "a")


@pytest.mark.parity("1f/transport-retries")
async def test_a_server_that_says_when_is_asked_again_then(
    client: Client, script: Scripted, clock: VirtualClock
) -> None:
    script.then(web.Response(status=429, headers={"Retry-After": "3"})).then(web.json_response(POD))
    task = asyncio.create_task(client.get(kinds.POD, "a"))
    while len(script.asked) < 1:
        await asyncio.sleep(0.001)
    while not clock._sleepers:
        await asyncio.sleep(0.001)
    await clock.advance(3.0)
    assert (await task).name == "a"
    assert clock.monotonic() == 3.0


@pytest.mark.parity("1f/transport-retries")
async def test_a_429_that_does_not_say_when_is_the_callers(client: Client, script: Scripted) -> None:
    script.then(status(429, "TooManyRequests"))
    with pytest.raises(TooManyRequests) as caught:
        await client.get(kinds.POD, "a")
    assert caught.value.retry_after_s is None


async def test_the_token_is_sent_and_never_shown_in_an_error(client: Client, script: Scripted) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return status(401, "Unauthorized")

    script.then(answer)
    with pytest.raises(Exception, match="Unauthorized") as caught:
        await client.get(kinds.POD, "a")
    assert seen == ["Bearer t"]
    assert "Bearer" not in str(caught.value)


async def test_a_list_is_fetched_in_pages_of_one_snapshot(client: Client, script: Scripted) -> None:
    def page(names: str, token: str) -> web.Response:
        items = [{"metadata": {"name": name, "resourceVersion": "1"}} for name in names]
        return web.json_response(
            {
                "kind": "PodList",
                "apiVersion": "v1",
                "metadata": {"resourceVersion": "9", "continue": token},
                "items": items,
            }
        )

    script.then(page("ab", "more")).then(page("c", ""))
    found = await client.list_all(kinds.POD, "default")
    assert ([value.name for value in found.items], found.resource_version) == (["a", "b", "c"], "9")
    assert found.items[0].kind == "Pod"
    assert script.asked[1][2] == {"limit": "500", "continue": "more"}


async def test_an_answer_that_is_no_list_says_so(client: Client, script: Scripted) -> None:
    script.then(web.json_response(POD))
    with pytest.raises(MalformedObject, match="expected a list of pods, the server sent Pod"):
        await client.list(kinds.POD)


async def test_apply_sends_its_manager_and_force(client: Client, script: Scripted) -> None:
    script.then(web.json_response(POD))
    await client.apply(POD, field_manager="me")
    method, path, query, body, content_type = script.asked[0]
    assert (method, path) == ("PATCH", "/api/v1/namespaces/default/pods/a")
    assert query == {"fieldManager": "me", "force": "true"}
    assert content_type == PatchType.APPLY.value
    assert json.loads(body) == POD


async def test_delete_sends_preconditions_and_tells_gone_from_going(client: Client, script: Scripted) -> None:
    script.then(web.json_response({"kind": "Status", "status": "Success"})).then(web.json_response(POD))
    assert await client.delete(kinds.POD, "a", uid="u", grace_period_s=0) is None
    going = await client.delete(kinds.POD, "a")
    assert going is not None
    assert json.loads(script.asked[0][3]) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
    }


async def test_a_name_is_quoted_and_an_empty_one_refused(client: Client, script: Scripted) -> None:
    script.then(status(404, "NotFound"))
    with pytest.raises(NotFound):
        await client.get(kinds.POD, "../../secrets")
    assert script.asked[0][1] == "/api/v1/namespaces/default/pods/../../secrets"  # one segment, decoded by the server
    with pytest.raises(BadRequest, match="a Pod was asked for without a name"):
        await client.get(kinds.POD, "")


async def test_an_unknown_kind_is_looked_up_once_and_its_absence_explained(client: Client, script: Scripted) -> None:
    resources = [{"name": "webs", "kind": "Web", "namespaced": True}, {"name": "webs/status", "kind": "Web"}]
    script.then(web.json_response({"kind": "APIResourceList", "resources": resources}))
    script.then(status(404, "NotFound"))
    assert (await client.kind_of(GVK("example.dev", "v1", "Web"))).plural == "webs"
    assert (await client.kind_of(GVK("example.dev", "v1", "Web"))).namespaced
    with pytest.raises(ConfigError, match=r"does not serve kind 'Other' in 'example\.dev/v2'"):
        await client.kind_of(GVK("example.dev", "v2", "Other"))


async def test_nobody_listening_is_a_refused_connection() -> None:
    async with Client(HttpTransport(Credentials(server="http://127.0.0.1:1"))) as nobody:
        with pytest.raises(ConnectError) as caught:
            await nobody.get(kinds.POD, "a")
    assert caught.value.refused


def streaming(*parts: bytes, hold: bool = False) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if hold:
            await asyncio.Event().wait()
        return response

    return answer


async def read(stream: WatchStream, seen: list[str]) -> None:
    async for event in stream:
        seen.append(event.type)  # noqa: PERF401 - what was seen before an error is the point


def line(kind: str, value: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": value}).encode() + b"\n"


async def test_events_are_split_wherever_the_chunks_are(client: Client, script: Scripted) -> None:
    whole = line("ADDED", POD) + line("MODIFIED", POD) + line("DELETED", POD)
    script.then(streaming(whole[:5], whole[5:90], whole[90:]))
    async with client.watch(kinds.POD, resource_version="7", timeout_s=300) as stream:
        assert [event.type async for event in stream] == ["ADDED", "MODIFIED", "DELETED"]
    query = script.asked[0][2]
    assert query == {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "7", "timeoutSeconds": "300"}


async def test_an_error_event_is_raised_by_its_status(client: Client, script: Scripted) -> None:
    gone = {"kind": "Status", "reason": "Expired", "code": 410, "message": "too old resource version: 1 (5)"}
    script.then(streaming(line("ADDED", POD), line("ERROR", gone)))
    seen: list[str] = []
    async with client.watch(kinds.POD) as stream:
        with pytest.raises(Expired, match="too old"):
            await read(stream, seen)
    assert seen == ["ADDED"]


@pytest.mark.parametrize("bad", [b"not json\n", b'{"type":"ADDED"}\n', b'{"type":"ADDED","object":[]}\n'])
async def test_a_line_that_is_no_event_is_shown(client: Client, script: Scripted, bad: bytes) -> None:
    script.then(streaming(bad))
    async with client.watch(kinds.POD) as stream:
        with pytest.raises(MalformedObject, match=r"WATCH /api/v1/pods|not a Kubernetes object"):
            await read(stream, [])


async def test_a_silent_watch_ends_with_an_error_and_not_never(client: Client, script: Scripted) -> None:
    script.then(streaming(line("ADDED", POD), hold=True))
    async with client.watch(kinds.POD, idle_timeout_s=0.05) as stream:
        with pytest.raises(DeadlineExceeded):
            await read(stream, [])


async def test_a_watch_that_is_not_answered_at_all_is_given_up_as_soon_as_any_request(
    address: str, script: Scripted
) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    script.then(never)
    async with Client(HttpTransport(Credentials(server=address)), timeout_s=0.05) as hurried:
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.05 s"):
            await hurried.watch(kinds.POD, idle_timeout_s=60.0).__aenter__()


async def test_a_connection_cut_in_the_middle_is_a_transport_error(client: Client, script: Scripted) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(line("ADDED", POD)[:20])
        assert request.transport is not None
        request.transport.abort()
        return response

    script.then(cut)
    async with client.watch(kinds.POD) as stream:
        with pytest.raises(TransportError):
            await read(stream, [])


class Seen:
    """A hook that keeps what it saw, and refuses if told to."""

    def __init__(self, log: list[str], name: str, *, refuse: bool = False) -> None:
        self.log, self.name, self.refuse = log, name, refuse

    def before(self, write: Write) -> None:
        self.log.append(f"{self.name} before {write.verb} {write.kind.kind} {write.key} dry_run={write.dry_run}")
        if self.refuse:
            raise NotLeading("not the leader")

    def after(self, write: Write, answer: Object | None, error: BaseException | None) -> None:
        outcome = type(error).__name__ if error else answer.resource_version if answer else "gone"
        self.log.append(f"{self.name} after {write.verb}: {outcome}")


async def test_hooks_see_every_write_and_its_outcome_in_reverse(script: Scripted, client: Client) -> None:
    log: list[str] = []
    client.hooks += [Seen(log, "a"), Seen(log, "b")]
    script.then(web.json_response(POD)).then(status(409, "Conflict")).then(web.json_response({"kind": "Status"}))
    await client.apply(POD)
    with pytest.raises(Conflict):
        await client.update_status(POD)
    await client.delete(kinds.POD, "a")
    assert log == [
        "a before apply Pod default/a dry_run=False",
        "b before apply Pod default/a dry_run=False",
        "b after apply: 7",
        "a after apply: 7",
        "a before update Pod default/a dry_run=False",
        "b before update Pod default/a dry_run=False",
        "b after update: Conflict",
        "a after update: Conflict",
        "a before delete Pod default/a dry_run=False",
        "b before delete Pod default/a dry_run=False",
        "b after delete: gone",
        "a after delete: gone",
    ]


async def test_a_hook_that_refuses_keeps_the_write_back_and_those_before_it_learn_so(
    script: Scripted, client: Client
) -> None:
    log: list[str] = []
    client.hooks += [Seen(log, "first"), Seen(log, "gate", refuse=True), Seen(log, "never asked")]
    with pytest.raises(NotLeading):
        await client.create(POD)
    assert script.asked == []
    assert log == [
        "first before create Pod default/a dry_run=False",
        "gate before create Pod default/a dry_run=False",
        "first after create: NotLeading",
    ]


async def test_a_client_that_only_pretends_sends_every_write_as_a_dry_run(script: Scripted, client: Client) -> None:
    client.dry_run = True
    script.then(web.json_response(POD)).then(web.json_response({"kind": "Status"}))
    await client.create(POD)
    await client.delete(kinds.POD, "a")
    (_, _, created, _, _), (_, _, _, deleted, _) = script.asked
    assert created["dryRun"] == "All"
    assert json.loads(deleted)["dryRun"] == ["All"]


@pytest.mark.parity("1f/metadata-client")
async def test_metadata_alone_is_asked_for_by_its_media_type(script: Scripted, client: Client) -> None:
    script.then(web.json_response({"kind": "PartialObjectMetadataList", "items": [{"metadata": {"name": "a"}}]}))
    found = await client.list(kinds.POD, metadata_only=True)
    assert [str(each.key) for each in found.items] == ["a"]
