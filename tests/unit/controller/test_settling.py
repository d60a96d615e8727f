"""Keys whose own writes are not settled: the server is real, the watch is the test, time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controllerkit import Client, Key, Object, Request, Result, kinds
from controllerkit.client import WatchEvent
from controllerkit.controller.settling import LOOK_AGAIN_S, OWN_WRITE_WAIT_S, WAITING_REASON
from controllerkit.objects import set_controller_reference
from controllerkit.testing import FaultyTransport, LostAnswer, LostRequest, Refusal, Rule, internal_error, settle
from controllerkit.wire import HttpTransport, Transport, WireRequest, WireResponse, load_credentials
from tests.servers import Server
from tests.unit.conftest import Website
from tests.unit.controller.looping import Loop, looped
from tests.unit.controller.running import A, Recording, running, until, website

B = Key("default", "b")


@pytest.fixture
async def faulty(websites: Client, server: Server, tmp_path: Path) -> FaultyTransport:
    server.write_kubeconfig(tmp_path / "kubeconfig-faulty")
    return FaultyTransport(HttpTransport(await load_credentials(kubeconfig=tmp_path / "kubeconfig-faulty")))


@pytest.fixture
async def shaky(faulty: FaultyTransport) -> AsyncIterator[Client]:
    async with Client(faulty) as connected:
        yield connected


def child(**metadata: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default", **metadata}}


class Bed:
    """A controller of websites that makes a ConfigMap for each where it sees none."""

    def __init__(self, loop: Loop, client: Client) -> None:
        self.loop = loop
        self.maps = loop.informers.get(kinds.CONFIG_MAP)
        self.requests: list[Request] = loop.controller.reconciler.requests  # type: ignore[attr-defined]
        self.client = client

    @property
    def waiting(self) -> set[str]:
        return {key.name for key in self.loop.controller.waiting_for_own_write}

    @property
    def skips(self) -> float | None:
        labels = {"controller": "recording"}
        return self.loop.registry.get_sample_value("controllerkit_stale_sync_skips_total", labels)

    def tell(self, value: Object) -> None:
        (informer,) = self.maps.parts
        informer._apply([WatchEvent("ADDED", value)])
        informer._publish(value.resource_version)

    def bookmark(self, version: str) -> None:
        (informer,) = self.maps.parts
        informer._publish(version)

    async def made(self) -> list[Object]:
        found = await self.client.list(kinds.CONFIG_MAP, "default", label_selector="made=yes")
        return found.items


async def bed(client: Client, *keys: Key, **metadata: str) -> Bed:
    """``metadata`` names the child."""

    async def answer(request: Request) -> Result | None:
        reconciler = loop.controller.reconciler
        if request.key == A and not reconciler.list(kinds.CONFIG_MAP, label_selector="made=yes"):
            body = child(**metadata)
            body["metadata"]["labels"] = {"made": "yes"}
            await reconciler.client.create(body)
        return None

    loop = await looped(client, answer)
    made = Bed(loop, client)
    (informer,) = made.maps.parts
    informer._replace([])
    informer._publish("1")
    for key in keys:
        loop.queue.add(key, "put")
    return made


@pytest.mark.parity(
    "2.9/unknown-name", "2.9/wrote-at", "2.9/pause-per-object", "2.9/skips-counted", "1f/read-your-writes"
)
async def test_a_create_of_unknown_name_and_outcome_is_not_done_twice_and_holds_up_no_other_key(
    faulty: FaultyTransport, shaky: Client
) -> None:
    faulty.rules.append(Rule(LostAnswer(), verb="create", path="/configmaps"))
    it = await bed(shaky, A, generateName="child-")
    await until(lambda: it.waiting == {"a"}, "the outcome is unknown")
    await it.loop.clock.advance(0.01)
    it.loop.queue.add(A, "spec.x changed")
    it.loop.queue.add(B, "put")
    await until(lambda: [each.key for each in it.requests] == [A, B], "the other key")
    await settle()
    assert (it.skips, len(it.requests)) == (2.0, 2), "the key that wrote is held back, its retry and the change"
    (made,) = await it.made()
    it.tell(made)
    await until(lambda: len(it.requests) == 3, "the key that wrote")
    assert it.requests[2].reasons == {"retry 1", "spec.x changed", WAITING_REASON}
    await until(lambda: it.loop.results() == {"error": 1.0, "success": 2.0}, "its end")
    assert len(await it.made()) == 1
    assert it.waiting == set()
    await it.loop.stopped()


@pytest.mark.parity("2.9/unknown-outcome")
@pytest.mark.parametrize("fault", [LostAnswer(), LostRequest()], ids=["done", "not done"])
async def test_a_named_write_of_unknown_outcome_is_read_from_the_server_and_the_watch_is_not_needed(
    faulty: FaultyTransport, shaky: Client, fault: Any
) -> None:
    faulty.rules.append(Rule(fault, verb="create", path="/configmaps"))
    it = await bed(shaky, A, name="child")
    await until(lambda: ("get", "/api/v1/namespaces/default/configmaps/child") in faulty.requests, "the look")
    await until(lambda: it.waiting == set(), "it is settled")
    await it.loop.clock.advance(0.01)
    await until(lambda: it.loop.results() == {"error": 1.0, "success": 1.0}, "the retry")
    creates = [path for verb, path in faulty.requests if verb == "create"]
    assert (len(await it.made()), len(creates)) == (1, 1 if fault == LostAnswer() else 2)
    await it.loop.stopped()


@pytest.mark.parity("2.9/unknown-outcome")
async def test_a_cancelled_write_is_settled_before_its_key_is_reconciled_again(websites: Client) -> None:
    """The write is done by the server, and its reconcile cancelled by its time limit before the answer is here."""
    held = asyncio.Event()
    send = websites._transport.send

    class Slow:
        def send(self, request: Any) -> Any:
            return _Unanswered(send(request), held) if request.method == "POST" else send(request)

    slow = Client(Slow())  # type: ignore[arg-type]

    async def answer(request: Request) -> Result | None:
        if not loop.controller.reconciler.list(kinds.CONFIG_MAP):
            await slow.create(child(name="child"))
        return None

    loop = await looped(slow, answer, reconcile_timeout_s=5.0)
    (informer,) = loop.informers.get(kinds.CONFIG_MAP).parts
    informer._replace([])
    informer._publish("1")
    loop.queue.add(A, "put")
    await asyncio.wait_for(held.wait(), 10.0)
    await loop.clock.advance(5.0)
    await until(lambda: loop.results() == {"error": 1.0}, "the time limit")
    await until(lambda: not loop.controller.waiting_for_own_write, "it is settled")
    await loop.clock.advance(0.1)
    await until(lambda: loop.results() == {"error": 1.0, "success": 1.0}, "the retry, which has nothing to create")
    await loop.stopped()


@pytest.mark.parity("2.9/unknown-outcome")
async def test_a_plain_reconcile_in_a_thread_is_held_back_by_its_own_writes_too(
    faulty: FaultyTransport, shaky: Client
) -> None:
    class Plain(Recording):
        name = "recording"

        def reconcile(self, request: Request) -> Result | None:  # type: ignore[override]
            if not self.list(kinds.CONFIG_MAP):
                self.wait(self.client.create(child(generateName="child-")))
            return None

    faulty.rules.append(Rule(LostAnswer(), verb="create", path="/configmaps"))
    loop = await Loop(Plain(), shaky).declared()
    loop.start()
    (informer,) = loop.informers.get(kinds.CONFIG_MAP).parts
    informer._replace([])
    informer._publish("1")
    loop.queue.add(A, "put")
    await until(lambda: loop.results() == {"error": 1.0}, "the lost answer")
    assert loop.controller.waiting_for_own_write == {A}
    await loop.stopped()


class _Unanswered:
    """An exchange whose answer is never given to the caller."""

    def __init__(self, exchange: Any, held: asyncio.Event) -> None:
        self._exchange = exchange
        self._held = held

    async def __aenter__(self) -> Any:
        async with self._exchange as response:
            await response.read()
        self._held.set()
        await asyncio.Event().wait()

    async def __aexit__(self, *error: object) -> None:
        """It is never entered."""


@pytest.mark.parity("2.9/bounded-wait")
async def test_waiting_for_an_own_write_ends_in_time_whatever_the_cache_does(
    faulty: FaultyTransport, shaky: Client
) -> None:
    faulty.rules.append(Rule(LostAnswer(), verb="create", path="/configmaps"))
    it = await bed(shaky, A, generateName="child-")
    await until(lambda: it.waiting == {"a"}, "the outcome is unknown")
    await it.loop.clock.advance(0.01)
    await until(lambda: it.skips == 1.0, "it is held back")
    await it.loop.clock.advance(OWN_WRITE_WAIT_S - 0.02)
    assert len(it.requests) == 1
    await it.loop.clock.advance(0.02)
    await until(lambda: len(it.requests) == 2, "the time is over")
    assert it.loop.log.of("own_write_not_seen")[0]["key"] == "default/a"
    await it.loop.stopped()


async def test_a_server_that_cannot_be_asked_now_is_asked_again_and_one_that_refuses_is_not(
    faulty: FaultyTransport, shaky: Client
) -> None:
    look = "/configmaps/child$"
    faulty.rules += [
        Rule(LostAnswer(), verb="create", path="/configmaps"),
        Rule(internal_error(), verb="get", path=look),
        Rule(Refusal(code=403, reason="Forbidden"), verb="get", path=look),
    ]
    it = await bed(shaky, A, name="child")
    await until(lambda: it.loop.log.of("own_write_unknown"), "the first look")
    await settle()
    assert it.waiting == {"a"}
    await it.loop.clock.advance(LOOK_AGAIN_S)
    await until(lambda: it.waiting == set(), "the second look is refused")
    assert [verb for verb, path in faulty.requests if path.endswith("/child")] == ["get", "get"]
    await it.loop.stopped()


@pytest.mark.parity("2.9/answer-without-object", "2.9/ready-when-seen")
async def test_a_scale_is_waited_for_by_the_version_it_was_answered_with(websites: Client, shaky: Client) -> None:
    made = await shaky.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]},
                },
            },
        }
    )

    async def answer(request: Request) -> Result | None:
        seen = loop.controller.reconciler.read(kinds.DEPLOYMENT, made.key)
        replicas.append(seen and seen.spec["replicas"])
        if seen is not None and seen.spec["replicas"] < 3:
            scale = {"spec": {"replicas": seen.spec["replicas"] + 1}}
            await shaky.patch(kinds.DEPLOYMENT, made.key, scale, subresource="scale")
        return None

    replicas: list[int | None] = []
    loop = await looped(shaky, answer, owns=(kinds.DEPLOYMENT,))
    (informer,) = loop.informers.get(kinds.DEPLOYMENT).parts
    informer._replace([made])
    informer._publish(made.resource_version)
    loop.queue.add(A, "put")
    await until(lambda: loop.results() == {"success": 1.0}, "the scale")
    loop.queue.add(A, "again")
    await settle()
    assert replicas == [1], "not once more from what it was"
    scaled = await shaky.get(kinds.DEPLOYMENT, made.key)
    informer._apply([WatchEvent("MODIFIED", scaled)])
    informer._publish(scaled.resource_version)
    await until(lambda: replicas == [1, 2], "the event")
    await loop.stopped()


@pytest.mark.parity("2.9/answer-without-object")
async def test_an_evicted_pod_is_read_as_gone_before_the_watch_tells_so(websites: Client, shaky: Client) -> None:
    pod = await websites.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 0},
        }
    )
    seen: list[bool] = []

    async def answer(request: Request) -> Result | None:
        found = loop.controller.reconciler.read(kinds.POD, pod.key)
        seen.append(found is not None and not found.deleting)
        if seen[-1]:
            eviction = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": "p", "namespace": "default"},
            }
            await loop.controller.reconciler.client.create_subresource(kinds.POD, pod.key, "eviction", eviction)
        return None

    loop = await looped(shaky, answer, owns=(kinds.POD,))
    (informer,) = loop.informers.get(kinds.POD).parts
    informer._replace([pod])
    informer._publish(pod.resource_version)
    loop.queue.add(A, "put")
    await until(lambda: loop.results() == {"success": 1.0}, "the eviction")
    loop.queue.add(A, "again")
    await until(lambda: loop.results() == {"success": 2.0}, "the next pass")
    assert seen == [True, False]
    assert informer.store.get(pod.key) is not None, "the cache itself has not heard of it"
    await loop.stopped()


@pytest.mark.parity("2.9/fresh-read")
async def test_a_fresh_read_is_the_servers_and_leaves_the_cache_as_it_is(websites: Client, shaky: Client) -> None:
    seen: list[Any] = []
    await websites.create(child(name="c"))
    await websites.create(
        {
            "apiVersion": "example.dev/v1",
            "kind": "Website",
            "metadata": {"name": "a", "namespace": "default"},
            "spec": {"x": 1},
        }
    )

    async def answer(request: Request) -> Result | None:
        reconciler = loop.controller.reconciler
        fresh = await reconciler.get(request.key, fresh=True)
        assert isinstance(fresh, Website)
        missing = await reconciler.get(B, fresh=True)
        other = await reconciler.read_fresh(kinds.CONFIG_MAP, Key("default", "c"))
        cached = await reconciler.get(request.key), reconciler.read(kinds.CONFIG_MAP, Key("default", "c"))
        seen.append((fresh.spec, missing, other and other.name, *cached))
        return None

    loop = await looped(shaky, answer)
    loop.queue.add(A, "put")
    await until(lambda: loop.results(), "the reconcile")
    assert seen == [({"x": 1}, None, "c", None, None)]
    await loop.stopped()


class Lagging:
    """A transport on which watches tell nothing while ``flows`` is not set."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.flows = asyncio.Event()
        self.flows.set()

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        async with self._inner.send(request) as response:
            yield _Held(response, self.flows) if "watch=true" in request.path else response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Held:
    def __init__(self, inner: WireResponse, flows: asyncio.Event) -> None:
        self._inner = inner
        self._flows = flows
        self.status, self.headers = inner.status, inner.headers

    async def read(self) -> bytes:
        return await self._inner.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks():
            await self._flows.wait()
            yield chunk


@pytest.mark.parity("1f/read-your-writes", "2.9/wrote-at", "2.9/no-worker-waits")
async def test_a_whole_operator_on_a_watch_that_tells_nothing_makes_its_child_once_and_again_once_it_was_deleted(
    websites: Client,
) -> None:
    """Children have names that the server chooses, so that every one too many is there to be seen."""
    lagging = Lagging(websites._transport)
    client = Client(lagging)
    counts: list[int] = []

    class Makes(Recording):
        name = "makes"

        async def reconcile(self, request: Request) -> Result | None:
            site = await self.get(request.key)
            assert site is not None
            owned = self.owned(site, kinds.CONFIG_MAP)
            counts.append(len(owned))
            if request.reasons == {"delete"}:
                await self.client.delete(kinds.CONFIG_MAP, owned[0].key)
            elif not owned:
                body = child(generateName="child-")
                set_controller_reference(site.source, body)
                await self.client.create(body)
            return None

    await websites.create(website("a"))
    async with running(client, Makes()) as manager:
        lagging.flows.clear()
        queue = manager._controllers["makes"].queue

        async def passed(reason: str, times: int = 1) -> None:
            for _ in range(times):
                before = len(counts)
                queue.add(A, reason)
                await until(lambda: len(counts) > before, reason)  # noqa: B023 - it ends here

        await passed("again", 3)
        await passed("delete")
        await passed("again", 3)
        assert counts[-4:] == [1, 0, 1, 1], "deleted, made anew, and left alone"
        lagging.flows.set()
        await until(lambda: not len(manager.informers.overlay), "the watch catches up")
        await passed("again", 2)
        assert counts[-2:] == [1, 1]
    found = await websites.list(kinds.CONFIG_MAP, "default")
    assert len([each for each in found.items if each.name.startswith("child-")]) == 1
    assert counts.count(0) == 2, "one child at first, one after the deletion"


async def test_a_stop_wakes_nothing(faulty: FaultyTransport, shaky: Client) -> None:
    faulty.rules.append(Rule(LostAnswer(), verb="create", path="/configmaps"))
    it = await bed(shaky, A, generateName="child-")
    await until(lambda: it.waiting == {"a"}, "the outcome is unknown")
    await it.loop.stopped()
    assert (it.waiting, len(it.requests)) == (set(), 1)
