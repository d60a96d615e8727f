"""Managers that share out the keys of one embedded API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from controllerkit import Client, Key, Manager, Request, Result, kinds
from controllerkit.apiserver import ApiServer
from controllerkit.cli.top import _headline
from controllerkit.election import ElectionOptions, owner, token_of
from controllerkit.errors import ConfigError, ManagerError, NotLeading
from controllerkit.manager import LeaderElection, Sharding
from controllerkit.manager.debugging import show
from tests.unit.conftest import Website
from tests.unit.controller.running import Recording, running, until, website

FAST = ElectionOptions(lease_duration_s=3, renew_deadline_s=2.0, retry_period_s=0.05)
NAMES = [f"w{n}" for n in range(24)]
KEYS = {Key("default", name) for name in NAMES}


class Site:
    """Who works on what; two at once on one key are noted."""

    def __init__(self) -> None:
        self.at_work: dict[Key, str] = {}
        self.twice: list[str] = []
        self.hold: dict[Key, asyncio.Event] = {}


class Replica(Recording):
    max_concurrent_reconciles = 4

    def __init__(self, site: Site, identity: str) -> None:
        super().__init__()
        self.site = site
        self.identity = identity

    async def reconcile(self, request: Request) -> Result | None:
        if request.key in self.site.at_work:
            self.site.twice.append(f"{request.key}: {self.identity} and {self.site.at_work[request.key]}")
        self.site.at_work[request.key] = self.identity
        try:
            await super().reconcile(request)
            if request.key in self.site.hold:
                await self.site.hold[request.key].wait()
            else:
                await asyncio.sleep(0)
        finally:
            self.site.at_work.pop(request.key, None)
        return Result(requeue_after_s=0.02)

    def worked_on(self) -> set[Key]:
        return {each.key for each in self.requests}


@asynccontextmanager
async def replica(server: ApiServer, folder: Path, site: Site, identity: str) -> AsyncIterator[tuple[Manager, Replica]]:
    server.write_kubeconfig(folder / identity)
    async with await Client.connect(kubeconfig=folder / identity) as client:
        reconciler = Replica(site, identity)
        sharding = Sharding(name="sites", namespace="default", identity=identity, options=FAST)
        async with running(client, reconciler, sharding=sharding) as manager:
            await until(lambda: manager.shards is not None and manager.shards.active, f"{identity} is in the ring")
            yield manager, reconciler


def share_of(name: str, *view: str) -> set[Key]:
    kind = Website.resource_kind()
    return {key for key in KEYS if owner(token_of(kind, key), view) == name}


@pytest.mark.parity("1e/sharding")
async def test_two_managers_share_the_keys_and_hand_over_what_is_in_work_when_it_is_done(
    server: ApiServer, websites: Client, tmp_path: Path
) -> None:
    site = Site()
    for name in NAMES:
        await websites.create(website(name))
    async with AsyncExitStack() as second, replica(server, tmp_path, site, "a") as (_, a):
        await until(lambda: a.worked_on() == KEYS, "a alone works on everything")
        held = min(share_of("b", "a", "b"))
        site.hold[held] = asyncio.Event()
        await until(lambda: site.at_work.get(held) == "a", "a works on a key that b will have")
        manager, b = await second.enter_async_context(replica(server, tmp_path, site, "b"))
        theirs = share_of("b", "a", "b")
        await until(lambda: b.worked_on() == theirs - {held}, "b has its share, but for what a is still working on")
        assert all("shard moved" in each.reasons for each in b.requests[:3])
        a.requests.clear()
        await until(lambda: a.worked_on() == share_of("a", "a", "b"), "a goes on with its own")
        assert site.at_work[held] == "a"
        site.hold.pop(held).set()
        await until(lambda: held in b.worked_on(), "b gets the last one")
        assert manager.shards is not None
        assert manager.shards.ring.grant is not None
        assert manager.shards.ring.grant.view == ("a", "b")
        await second.aclose()
        a.requests.clear()
        await until(lambda: a.worked_on() == KEYS, "a has everything again")
        leases = (await websites.list(kinds.LEASE, "default")).items
        assert [each.name for each in leases] == ["a"]
    assert site.twice == []
    assert (await websites.list(kinds.LEASE, "default")).items == []


async def test_a_manager_whose_lease_is_taken_away_ends_and_writes_no_more(
    server: ApiServer, websites: Client, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with replica(server, tmp_path, Site(), "a") as (manager, a):
            await until(a.worked_on, "it works")
            await websites.delete(kinds.LEASE, "a")
            await until(lambda: manager.shards is not None and not manager.shards.active, "it has noticed")
            with pytest.raises(NotLeading):
                await manager.client.create(website("late"))

    await websites.create(website("w0"))
    with pytest.raises(ManagerError, match="place in the ring lost: the lease default/a"):
        await scenario()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sharding": Sharding(name="x")}, r"sharding outside a Pod needs a namespace: Sharding\(name"),
        (
            {
                "sharding": Sharding(name="x", namespace="y"),
                "leader_election": LeaderElection(name="x", namespace="y"),
            },
            "say either",
        ),
        ({"sharding": Sharding(name="", namespace="y")}, "sharding needs a name"),
    ],
)
async def test_sharding_that_cannot_work_is_refused(client: Client, options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Manager(client, **options)  # type: ignore[arg-type]


async def test_with_sharding_there_is_no_leader_to_need(client: Client) -> None:
    async def work() -> None: ...

    manager = Manager(client, sharding=Sharding(name="x", namespace="y"))
    with pytest.raises(ConfigError, match="backup needs a leader, and with sharding there is none"):
        manager.add_runnable("backup", work, needs_leader=True)


@pytest.mark.parity("1e/console")
async def test_the_console_shows_who_shares(server: ApiServer, websites: Client, tmp_path: Path) -> None:
    async with replica(server, tmp_path, Site(), "a") as (manager, _):
        page = show({}, manager.informers, None, manager.clock, manager.shards)
    assert page["shard"] == {
        "lease": "default/a",
        "ring": "sites",
        "active": True,
        "members": ["a"],
        "in_work": [],
    }
    assert _headline(page) == "lease default/a: one of a"
