"""The Role that is made of code is enough, and without any permission of it a scenario meets a refusal.

On a real API server, where owner references that block a deletion are enforced, as clusters do that care.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from controllerkit import Client, Key, Manager, Metadata, kinds
from controllerkit.controller import Permission, RbacTrace, declared_permissions, policy_rules, preflight
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.control_plane import ControlPlane
from controllerkit.errors import ConfigError, NotFound
from controllerkit.runtime import cancel_and_wait, wait_until
from controllerkit.testing import FaultyTransport, LostAnswer, Refusal, Rule, served
from controllerkit.wire import Credentials, HttpTransport, Transport, WireRequest, WireResponse, load_credentials
from examples.website import Website, WebsiteReconciler, WebsiteSpec

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "website.yaml"
ACCOUNT = Key("default", "website-operator")
_numbers = itertools.count()
ENFORCED = "--enable-admission-plugins=OwnerReferencesPermissionEnforcement"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("plane")
    cache = BinaryCache()
    async with ControlPlane(cache=cache, data_dir=folder, with_controllers=False, api_server_flags=[ENFORCED]) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def admin(plane: ControlPlane) -> AsyncIterator[Client]:
    async with await Client.connect(kubeconfig=plane.kubeconfig) as client:
        await client.create(next(yaml.safe_load_all(EXAMPLE.read_text())))
        await served(client, Website, timeout_s=15.0)
        account = {"name": ACCOUNT.name, "namespace": ACCOUNT.namespace}
        await client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        yield client


# -- what was refused ------------------------------------------------------------------------------------------------


class Refusals:
    """A transport that keeps which permissions the server found missing, by its own words."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.missing: set[str] = set()

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        async with self._inner.send(request) as response:
            if response.status != 403:
                yield response
                return
            body = await response.read()
            self.missing.add(missing_in(json.loads(body)["message"]))
            yield Read(response, body)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Read:
    """An answer whose body was read already."""

    def __init__(self, response: WireResponse, body: bytes) -> None:
        self.status, self.headers, self._body = response.status, response.headers, body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body


def missing_in(message: str) -> str:
    """The permission that a refusal is about, as `Permission` is written."""
    found = re.search(r'cannot (\w+) resource "([^"]+)" in API group "([^"]*)"', message)
    if found is not None:
        return str(Permission(found[3], found[2], found[1]))
    assert "cannot set blockOwnerDeletion" in message, message
    return "update websites/finalizers.example.dev"


# -- the operator and what happens to it -----------------------------------------------------------------------------


class Bed:
    """The operator's own client, whose Role is given by the test, and an administrator beside it."""

    def __init__(self, admin: Client, credentials: Credentials) -> None:
        self.admin = admin
        self.transport = FaultyTransport(HttpTransport(credentials))
        self.refusals = Refusals(self.transport)
        self.own = Client(self.refusals, timeout_s=5.0)
        self.trace = RbacTrace()
        self.trace.follow(self.own)

    @asynccontextmanager
    async def operating(self, **options: Any) -> AsyncIterator[asyncio.Task[None]]:
        """The operator, as long as the context is; how it ends is the caller's to look at."""
        manager = Manager(self.own, namespace=ACCOUNT.namespace, grace_period_s=1.0, **options)
        manager.add(WebsiteReconciler())
        stop = asyncio.Event()
        running = asyncio.create_task(manager.run(stop))
        try:
            yield running
        finally:
            stop.set()
            await asyncio.wait([running])

    async def site(self, name: str, text: str) -> None:
        """A new one, with nothing left of an old one."""
        for kind, old in ((Website, name), (kinds.CONFIG_MAP, f"{name}-page")):
            with suppress(NotFound):
                await self.admin.delete(kind, old)
        await self.admin.create(Website(metadata=Metadata(name=name), spec=WebsiteSpec(text=text)))

    async def page(self, name: str, text: str) -> None:
        """Returns when the page is as it is to be, and the status says so."""

        async def right() -> bool:
            try:
                page = await self.admin.get(kinds.CONFIG_MAP, f"{name}-page")
            except NotFound:
                return False
            site = await self.admin.get(Website, name)
            return bool(page.get("data", "html") == text and site.status.get("page") == page.name)

        await wait_until(right, what=f"the page of {name}", timeout_s=20.0, interval_s=0.02)

    async def told(self, name: str, *, again: bool) -> None:
        """Returns when an Event says that the site fails; with ``again``, that it did so before."""

        async def said() -> bool:
            events = (await self.admin.list(kinds.EVENT, "default")).items
            own = [each for each in events if each.get("regarding", "name") == name]
            return any(each.get("reason") == "ReconcileFailing" and bool(each.get("series")) == again for each in own)

        await wait_until(said, what=f"an Event of {name}", timeout_s=30.0, interval_s=0.05)


async def created_changed_and_healed(bed: Bed) -> None:
    await bed.site("a", "one")
    await bed.page("a", "one")
    await bed.admin.patch(Website, "a", {"spec": {"text": "two"}})
    await bed.page("a", "two")
    await bed.admin.delete(kinds.CONFIG_MAP, "a-page")
    await bed.page("a", "two")


async def answers_are_lost(bed: Bed) -> None:
    """What became of a write is looked up."""
    bed.transport.rules += [Rule(LostAnswer(), verb="update", path="websites/b/status")]
    bed.transport.rules += [Rule(LostAnswer(), verb="patch", path="configmaps/b-page")]
    await bed.site("b", "one")
    await bed.page("b", "one")


async def failures_are_told(bed: Bed) -> None:
    """An Event tells of a key that keeps failing; a second one of the same makes a series of it."""
    name = f"c{next(_numbers)}"
    await bed.site(name, "0")
    await bed.page(name, "0")
    for text in ("1", "2"):
        failing = Rule(Refusal(code=500, reason="InternalError"), verb="patch", path="configmaps", times=None)
        bed.transport.rules.append(failing)
        await bed.admin.patch(Website, name, {"spec": {"text": text}})
        await bed.told(name, again=text == "2")
        bed.transport.rules.remove(failing)
        await bed.page(name, text)


async def nothing_is_streamed(bed: Bed) -> None:
    """A server that does not stream what is there is asked for lists."""
    bed.transport.rules.append(
        Rule(Refusal(code=422, reason="Invalid"), verb="watch", path="sendInitialEvents", times=None)
    )
    await bed.site("d", "one")
    await bed.page("d", "one")


Scenario = Callable[[Bed], Awaitable[None]]
SCENARIOS: tuple[Scenario, ...] = (created_changed_and_healed, answers_are_lost, failures_are_told, nothing_is_streamed)

BROKEN: dict[str, Scenario] = {
    "get websites.example.dev": answers_are_lost,
    "list websites.example.dev": nothing_is_streamed,
    "watch websites.example.dev": created_changed_and_healed,
    "update websites/status.example.dev": created_changed_and_healed,
    "patch websites/status.example.dev": failures_are_told,
    "update websites/finalizers.example.dev": created_changed_and_healed,
    "get configmaps": answers_are_lost,
    "list configmaps": nothing_is_streamed,
    "watch configmaps": created_changed_and_healed,
    "create configmaps": created_changed_and_healed,
    "patch configmaps": created_changed_and_healed,
    "create events.events.k8s.io": failures_are_told,
    "patch events.events.k8s.io": failures_are_told,
}
"""The scenario in which each permission is missed."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def generated(admin: Client, plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What ``controllerkit rbac`` writes of the reconciler, and of what it was seen to write."""
    trace = tmp_path_factory.mktemp("generated") / "trace.json"
    bed = Bed(admin, await load_credentials(kubeconfig=plane.kubeconfig))
    seen = RbacTrace()
    bed.own.hooks.append(seen)
    async with bed.own, bed.operating():
        await created_changed_and_healed(bed)
    seen.save(trace)
    script = [sys.executable, "-m", "controllerkit.cli"]
    target = f"{ROOT / 'examples' / 'website.py'}:WebsiteReconciler"
    account = f"{ACCOUNT.namespace}/{ACCOUNT.name}"
    options = ["--namespace", "default", "--service-account", account, "--name", "website-operator", "--traced", trace]
    made = await asyncio.to_thread(
        subprocess.run, [*script, "rbac", target, *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return list(yaml.safe_load_all(made.stdout))


@asynccontextmanager
async def under(admin: Client, plane: ControlPlane, documents: list[Any], rules: list[Any]) -> AsyncIterator[Bed]:
    """A bed whose operator is the ServiceAccount, bound to the Role with those rules, once the server knows."""
    for document in documents:
        await admin.apply({**document, "rules": rules} if document["kind"] == "Role" else document)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = await admin.request_json("POST", kinds.SERVICE_ACCOUNT.path(*ACCOUNT, "token"), request)
    credentials = await load_credentials(kubeconfig=plane.kubeconfig)
    credentials.token = answer["status"]["token"]
    bed = Bed(admin, credentials)
    whole = permissions_of(documents[0]["rules"])
    async with bed.own:

        async def known() -> bool:
            missing = await preflight(bed.own, whole, ["default"])
            return {replace(each.permission, namespace="") for each in missing} == whole - permissions_of(rules)

        await wait_until(known, what="the server knows the Role", timeout_s=20.0, interval_s=0.02)
        yield bed


def permissions_of(rules: list[Any]) -> set[Permission]:
    return {
        Permission(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


# -- enough, and least -----------------------------------------------------------------------------------------------


async def test_the_role_is_enough_for_every_scenario_and_each_permission_of_it_is_used(
    admin: Client, plane: ControlPlane, generated: list[Any]
) -> None:
    assert [each["kind"] for each in generated] == ["Role", "RoleBinding"]
    rules = generated[0]["rules"]
    async with under(admin, plane, generated, rules) as bed:
        for scenario in SCENARIOS:
            async with bed.operating(preflight=True) as running:
                await scenario(bed)
                assert not running.done()
    assert bed.refusals.missing == set()
    reviews = {"create selfsubjectaccessreviews.authorization.k8s.io"}  # which everybody may
    implied = {"update websites/finalizers.example.dev"}  # asked for within another request
    assert (told(bed.trace.permissions) - reviews) | implied == told(permissions_of(rules)) == set(BROKEN)


def told(permissions: set[Permission]) -> set[str]:
    return set(map(str, permissions))


@pytest.mark.parametrize("name", BROKEN)
async def test_without_one_permission_a_scenario_meets_its_refusal(
    admin: Client, plane: ControlPlane, generated: list[Any], name: str
) -> None:
    rules = policy_rules({each for each in permissions_of(generated[0]["rules"]) if str(each) != name})
    async with under(admin, plane, generated, rules) as bed:
        async with bed.operating():
            acting = asyncio.create_task(BROKEN[name](bed))

            async def refused() -> bool:
                return name in bed.refusals.missing

            await wait_until(refused, what=f"{name} is refused", timeout_s=30.0, interval_s=0.02)
            await cancel_and_wait(acting)
        assert bed.refusals.missing == {name}
        if name in told(set(declared_permissions(WebsiteReconciler))):
            async with bed.operating(preflight=True) as running:
                with pytest.raises(ConfigError, match=f"{re.escape(name)} in namespace default"):
                    await running
