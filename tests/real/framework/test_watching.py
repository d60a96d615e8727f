"""What informers count on, from servers as they are: streamed lists, bookmarks, one snapshot per list, 410, 401."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controllerkit import Manager, Object, Reconciler, Request
from controllerkit.cache import Handler, Informer
from controllerkit.cache.machine import INITIAL_EVENTS_END
from controllerkit.client import Client
from controllerkit.errors import Expired, Unauthorized
from controllerkit.objects import GVK, Key, kinds
from controllerkit.runtime import wait_until
from tests.real.framework.conftest import Link, Linked
from tests.servers import Server, compact
from tests.unit.cache.test_informer import config_map, running, until
from tests.unit.controller.running import running as managed

QUIET = "metadata.name!=kube-root-ca.crt"
LARGE = 1100
"""Three pages of 500."""


@pytest.mark.parity("1a/watch-list", "1a/resume")
async def test_a_first_sync_is_one_stream_that_becomes_the_watch(linked: Linked) -> None:
    async with linked() as link:
        for name in "abc":
            await link.client.create(config_map(name))
        async with running(Informer(link.client, kinds.CONFIG_MAP, "default", field_selector=QUIET)) as informer:
            assert sorted(value.name for value in informer.store) == ["a", "b", "c"]
            assert informer.store.version == (await link.client.list(kinds.CONFIG_MAP, "default")).resource_version
            await link.client.create(config_map("d"))
            await until(lambda: Key("default", "d") in informer.store, "the event")
        watches = [path for verb, path in link.transport.requests if verb == "watch"]
        assert len(watches) == 1
        assert "sendInitialEvents=true" in watches[0]
        assert (informer.failures, link.asked("get", QUIET.partition("!")[0])) == (0, 0)


@pytest.mark.parity("1a/watch-list")
async def test_the_initial_events_end_with_one_annotated_bookmark_at_the_version_of_the_list(client: Client) -> None:
    await client.create(config_map("a"))
    async with client.watch(kinds.CONFIG_MAP, "default", field_selector=QUIET, send_initial_events=True) as stream:
        events = aiter(stream)
        first, end = await anext(events), await anext(events)
        made = await client.create(config_map("b"))
        after = await anext(events)
    assert (first.type, first.object.name) == ("ADDED", "a")
    assert (end.type, end.object.annotations.get(INITIAL_EVENTS_END)) == ("BOOKMARK", "true")
    assert int(first.object.resource_version) <= int(end.object.resource_version) < int(made.resource_version)
    assert (after.type, after.object.name) == ("ADDED", "b")


@pytest.mark.parity("1a/bookmarks")
async def test_a_watch_on_which_nothing_happens_gets_a_bookmark_of_what_happened_elsewhere(client: Client) -> None:
    start = (await client.list(kinds.SECRET, "default")).resource_version
    async with client.watch(kinds.SECRET, "default", resource_version=start, timeout_s=4.0) as stream:
        async with client.watch(kinds.SECRET, "kube-public", resource_version=start, timeout_s=4.0):
            elsewhere = await client.create({**config_map("x"), "kind": "Secret", "data": {}} | _in("kube-public"))
        seen = [event async for event in stream]
    await client.delete(kinds.SECRET, elsewhere.key)
    assert {event.type for event in seen} == {"BOOKMARK"}
    assert int(seen[-1].object.resource_version) >= int(elsewhere.resource_version)


def _in(namespace: str) -> dict[str, Any]:
    return {"metadata": {"name": "x", "namespace": namespace}}


@pytest.mark.parity("1a/paged-list", "1a/list-from-watch-cache")
async def test_the_pages_of_a_large_list_are_one_snapshot_whatever_happens_between_them(client: Client) -> None:
    names = [f"m{number:04}" for number in range(LARGE)]
    limit = asyncio.Semaphore(16)

    async def create(name: str) -> None:
        async with limit:
            await client.create({**config_map(name), "metadata": {"name": name, "labels": {"large": "yes"}}})

    async def delete(name: str) -> None:
        async with limit:
            await client.delete(kinds.CONFIG_MAP, name, "default")

    await asyncio.gather(*map(create, names))
    found: list[str] = []
    versions, token = set(), ""
    while True:
        page = await client.list(
            kinds.CONFIG_MAP, "default", label_selector="large=yes", limit=500, continue_token=token
        )
        found += [value.name for value in page.items]
        versions.add(page.resource_version)
        token = page.continue_token
        if not token:
            break
        await create(f"a{len(found)}")
        await create(f"z{len(found)}")
        await delete(names[-len(found) // 500])
    assert (found, len(versions)) == (names, 1)
    async with running(Informer(client, kinds.CONFIG_MAP, "default", label_selector="large=yes")) as informer:
        assert await informer.differences() == []
    left = (await client.list_all(kinds.CONFIG_MAP, "default", label_selector="large=yes")).items
    assert len(left) == LARGE + 2
    await asyncio.gather(*(delete(value.name) for value in left))


@pytest.mark.parity("1a/expired-relist")
async def test_what_happened_while_history_was_lost_surfaces_after_a_410(
    server: Server, client: Client, linked: Linked
) -> None:
    heard: list[str] = []
    async with linked() as link:
        for name in ("stays", "goes", "changes"):
            await client.create(config_map(name))
        informer = Informer(link.client, kinds.CONFIG_MAP, "default", field_selector=QUIET)
        async with running(informer):
            informer.add_handler(
                Handler(
                    on_update=lambda old, new: heard.append(f"update {new.name}"),
                    on_delete=lambda value: heard.append(f"delete {value.name}"),
                    on_add=lambda value, initial: None if initial else heard.append(f"add {value.name}"),
                )
            )
            link.proxy.half_open(new=True)
            await client.delete(kinds.CONFIG_MAP, "goes", "default")
            await client.patch(kinds.CONFIG_MAP, "changes", {"data": {"x": "1"}}, "default")
            await client.create(config_map("comes"))
            await compact(server)
            link.proxy.drop()
            await link.proxy.heal()
            await until(lambda: len(heard) == 3, "what was missed")
            await until(lambda: link.asked("watch", "sendInitialEvents") == 2, "the second sync")
            assert isinstance(informer.last_error, Expired)
            assert await informer.differences() == []
    assert heard == ["delete goes", "update changes", "add comes"]


# -- credentials ---------------------------------------------------------------------------------------------------

ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "watcher", "namespace": "default"}}
MAY_READ = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "watcher"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "ServiceAccount", "name": "watcher", "namespace": "default"}],
}
TOKEN_CACHE_S = 10.0
"""kube-apiserver ``TokenSuccessCacheTTL``: so long a token that was good is not looked at again."""


class Maps(Reconciler[Object]):
    """Needs a cache of ConfigMaps, and nothing more."""

    kind = kinds.CONFIG_MAP

    async def reconcile(self, request: Request) -> None: ...


async def token_of(client: Client) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = "/api/v1/namespaces/default/serviceaccounts/watcher/token"
    token: str = (await client.request_json("POST", path, request))["status"]["token"]
    return token


@pytest.mark.real
@pytest.mark.parity("1e/ready-is-fresh")
async def test_a_revoked_token_is_told_and_the_cache_stays_until_a_new_one_comes(
    client: Client, linked: Linked
) -> None:
    await client.create(ACCOUNT)
    await client.create(MAY_READ)
    await client.create(config_map("kept"))
    token = await token_of(client)
    async with linked(token=token) as link, managed(link.client, Maps(), ready_staleness_s=1.0) as manager:
        informer = manager.informers.get(kinds.CONFIG_MAP)
        await client.delete(kinds.SERVICE_ACCOUNT, "watcher", "default")
        await _refused(link, informer, manager)
        await client.create(ACCOUNT)
        link.credentials.token = await token_of(client)
        await client.create(config_map("new"))
        await wait_until(
            _true(lambda: Key("default", "new") in informer.store and manager.checks_ready["caches"]() is None),
            what="the cache follows again",
            timeout_s=60.0,
        )
    await client.delete(kinds.SERVICE_ACCOUNT, "watcher", "default")
    await client.delete(GVK("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"), "watcher")


async def _refused(link: Link, informer: Any, manager: Manager) -> None:
    async def refused() -> bool:
        try:
            await link.client.get(kinds.CONFIG_MAP, "kept", "default")
        except Unauthorized:
            return True
        return False

    await wait_until(refused, what="the token is refused", timeout_s=TOKEN_CACHE_S + 10.0, interval_s=0.2)
    link.proxy.drop()  # an open watch outlives its token
    await until(lambda: isinstance(informer.last_error, Unauthorized), "401 is told")
    await until(lambda: manager.checks_ready["caches"]() is not None, "the cache is no longer to be trusted")
    assert "nothing heard of ConfigMap.v1" in str(manager.checks_ready["caches"]())
    assert Key("default", "kept") in informer.store


def _true(probe: Any) -> Any:
    async def probed() -> bool:
        return bool(probe())

    return probed
