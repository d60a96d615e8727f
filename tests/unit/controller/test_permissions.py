"""What a reconciler must be allowed to do, as rules, as seen, and asked of the server before it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controllerkit import Client, Key, Object, Owns, Reconciler, Request, Watch, kinds
from controllerkit.cache import CachedKind, CacheOptions
from controllerkit.controller import (
    Missing,
    Permission,
    RbacTrace,
    declared_permissions,
    election_permissions,
    grants,
    policy_rules,
    preflight,
    read_trace,
    require_permissions,
)
from controllerkit.controller.tracing import permission_of
from controllerkit.errors import ConfigError, Forbidden, NotFound
from controllerkit.manager import LeaderElection, Serving, Sharding
from controllerkit.objects import GVK, Kind
from controllerkit.webhook import MadeCertificates, WebhookServer
from controllerkit.wire import WireRequest
from tests.unit.conftest import Website
from tests.unit.controller.running import running

WIDGET = GVK("example.dev", "v1", "Widget")


class Site(Reconciler[Website]):
    owns = (kinds.CONFIG_MAP, Owns(kinds.DEPLOYMENT))
    watches = (Watch(kinds.NODE, lambda _: [Key("default", "a")]),)

    async def reconcile(self, request: Request) -> None: ...


class Pods(Reconciler[Object]):
    kind = kinds.POD

    async def reconcile(self, request: Request) -> None: ...


class WithUnknown(Pods):
    owns = (WIDGET,)


class WithOptional(Pods):
    owns = (Owns(WIDGET, optional=True),)


def told(permissions: Any) -> set[str]:
    return {str(each) for each in permissions}


EVENTS = {"create events.events.k8s.io", "patch events.events.k8s.io"}


@pytest.mark.parity("1f/rbac")
def test_what_is_declared_is_read_the_status_is_written_and_events_are_told() -> None:
    assert told(declared_permissions(Site)) == EVENTS | {
        "get websites.example.dev",
        "list websites.example.dev",
        "watch websites.example.dev",
        "update websites/status.example.dev",
        "patch websites/status.example.dev",
        "update websites/finalizers.example.dev",
        *(f"{verb} {what}" for verb in ("list", "watch") for what in ("configmaps", "deployments.apps", "nodes")),
        *(f"get {what}" for what in ("configmaps", "deployments.apps")),
    }


def test_one_that_owns_nothing_of_a_kind_of_others_reads_it() -> None:
    assert told(declared_permissions(Pods)) == EVENTS | {"get pods", "list pods", "watch pods"}


def test_a_kind_whose_plural_nobody_knows_is_named() -> None:
    with pytest.raises(ConfigError, match=r"the plural of .*Widget.* is not known here; declare it as Kind"):
        declared_permissions(WithUnknown)
    known = {WIDGET: Kind("example.dev", "v1", "Widget", "widgetry")}
    assert "list widgetry.example.dev" in told(declared_permissions(WithUnknown, known))


def test_the_fewest_rules_in_one_order() -> None:
    permissions = {
        *declared_permissions(Pods),
        *election_permissions("ops", "site"),
        Permission("", "services", "watch"),
        Permission("", "services", "list"),
        Permission("", "services", "get"),
        Permission("", "pods/status", "patch"),
    }
    assert policy_rules(permissions) == [
        {"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": ["site"],
            "verbs": ["get", "update"],
        },
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]
    assert all(grants(policy_rules(permissions), each) for each in permissions)


@pytest.mark.parametrize(
    ("rule", "granted"),
    [
        ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}, True),
        ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, True),
        ({"apiGroups": [""], "resources": ["deployments"], "verbs": ["get"]}, False),
        ({"apiGroups": ["apps"], "resources": ["deployments/status"], "verbs": ["get"]}, False),
        ({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]}, False),
        ({"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["a"], "verbs": ["get"]}, False),
        ({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, False),
    ],
)
def test_a_rule_grants_what_rbac_says_it_does(rule: dict[str, Any], granted: bool) -> None:
    assert grants([rule], Permission("apps", "deployments", "get")) is granted


async def test_writes_are_traced_by_verb_and_resource_even_those_that_fail(client: Client, tmp_path: Path) -> None:
    trace = RbacTrace()
    client.hooks.append(trace)
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    await client.create(value)
    await client.patch(kinds.CONFIG_MAP, "a", {"data": {"x": "y"}}, "default")
    await client.apply({**value, "metadata": {"name": "b", "namespace": "default"}})
    with pytest.raises(NotFound):
        await client.delete(kinds.SECRET, "none", "default")
    expected = {"create configmaps", "patch configmaps", "delete secrets"}
    assert told(trace.permissions) == expected
    path = tmp_path / "trace.json"
    trace.save(path)
    first = path.read_bytes()
    trace.save(path)
    assert path.read_bytes() == first
    assert told(read_trace(path)) == expected


async def test_whatever_a_client_asks_is_traced_where_it_is_followed(client: Client) -> None:
    trace = RbacTrace()
    trace.follow(client)
    twin = client.without()
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    await client.apply(value)
    await client.apply({**value, "data": {"x": "y"}})
    await twin.get(kinds.CONFIG_MAP, "a", "default")
    await client.list(kinds.SECRET, "default")
    async with client.watch(kinds.LEASE, timeout_s=1):
        pass
    await client.request_json("GET", "/apis/apps/v1")
    assert told(trace.permissions) == {
        "create configmaps", "patch configmaps", "get configmaps", "list secrets", "watch leases.coordination.k8s.io"
    }  # fmt: skip
    assert trace.refused == set()


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("POST", "/api/v1/namespaces", "create namespaces"),
        ("GET", "/api/v1/namespaces/a", "get namespaces"),
        ("GET", "/api/v1/namespaces/a/status", "get namespaces/status"),
        ("GET", "/api/v1/namespaces/a/pods", "list pods"),
        ("GET", "/api/v1/pods?watch=true&resourceVersion=1", "watch pods"),
        ("POST", "/api/v1/namespaces/a/pods/b/eviction?dryRun=All", "create pods/eviction"),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments", "deletecollection deployments.apps"),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments/b", "delete deployments.apps"),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b/scale", "patch deployments/scale.apps"),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", "create tokenreviews.authentication.k8s.io"),
        ("GET", "/api", "None"),
        ("GET", "/api/v1", "None"),
        ("GET", "/apis/apps/v1", "None"),
        ("GET", "/version", "None"),
    ],
)
def test_a_request_needs_what_the_api_server_makes_of_its_path(method: str, path: str, needed: str) -> None:
    assert str(permission_of(WireRequest(method=method, path=path))) == needed


@pytest.mark.parametrize("text", ["{", "[1]", '[{"verb": "get"}]'])
def test_a_file_that_is_no_trace_says_so(text: str, tmp_path: Path) -> None:
    (tmp_path / "trace.json").write_text(text)
    with pytest.raises(ConfigError, match="is no trace of writes"):
        read_trace(tmp_path / "trace.json")


# -- asked of the server ---------------------------------------------------------------------------------------------


class Judge:
    """Answers reviews of access on a client, and denies what is listed as ``verb resource namespace``."""

    def __init__(self, client: Client, monkeypatch: pytest.MonkeyPatch, *denied: str) -> None:
        self.asked: list[str] = []
        self._denied, self._ask = denied, client.request_json
        monkeypatch.setattr(client, "request_json", self.request_json)

    async def request_json(self, method: str, path: str, body: Any = None) -> Any:
        if not path.endswith("selfsubjectaccessreviews"):
            return await self._ask(method, path, body)
        wanted = body["spec"]["resourceAttributes"]
        names = [wanted["verb"], wanted["resource"], wanted.get("subresource"), wanted.get("namespace")]
        self.asked.append(" ".join(filter(None, names)))
        denied = self.asked[-1] in self._denied
        return {**body, "status": {"allowed": False, "reason": "no Role"} if denied else {"allowed": True}}


async def test_every_permission_is_asked_in_every_namespace(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge(client, monkeypatch, "list pods b", "update pods status a")
    wanted = [Permission("", "pods", "list"), Permission("", "pods/status", "update"), Permission("", "x", "get", "c")]
    missing = await preflight(client, wanted, ("a", "b"))
    assert sorted(judge.asked) == [
        "get x c",
        "list pods a",
        "list pods b",
        "update pods status a",
        "update pods status b",
    ]
    assert missing == [
        Missing(Permission("", "pods", "list", "b"), "no Role"),
        Missing(Permission("", "pods/status", "update", "a"), "no Role"),
    ]
    assert str(missing[0]) == "list pods in namespace b (no Role)"


async def test_the_server_is_asked_as_it_is_and_an_administrator_lacks_nothing(client: Client) -> None:
    assert await preflight(client, declared_permissions(Site), ("default",)) == []


async def test_a_server_that_answers_no_such_question_denies_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise Forbidden("no")

    monkeypatch.setattr(client, "request_json", refuse)
    assert await preflight(client, declared_permissions(Site)) == []


async def test_each_kind_is_asked_about_where_it_is_cached(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge(client, monkeypatch)
    caches = CacheOptions(namespaces=("a",), kinds={kinds.CONFIG_MAP: CachedKind(namespaces=("b", "c"))})
    await require_permissions(client, [Site()], caches)
    assert {one for one in judge.asked if one.startswith("list")} == {
        "list websites a",
        "list configmaps b",
        "list configmaps c",
        "list deployments a",
        "list nodes",
    }


async def test_an_optional_kind_that_is_not_served_is_not_asked_about(client: Client) -> None:
    await require_permissions(client, [WithOptional()], CacheOptions())
    with pytest.raises(ConfigError, match="Widget"):
        await require_permissions(client, [WithUnknown()], CacheOptions())


@pytest.mark.parity("1f/rbac")
async def test_a_manager_ends_at_once_and_names_what_it_may_not(
    websites: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    Judge(websites, monkeypatch, "watch configmaps default", "patch events default")
    with pytest.raises(ConfigError) as refusal:
        async with running(websites, Site(), namespace="default", preflight=True):
            pass
    assert str(refusal.value) == (
        "this process may not watch configmaps in namespace default (no Role); "
        "patch events.events.k8s.io in namespace default (no Role). "
        "Grant it: `controllerkit rbac` writes the Role that is needed"
    )


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"leader_election": LeaderElection(name="e", namespace="ops")}, {"create", "get", "update"}),
        ({"sharding": Sharding(name="s", namespace="ops")}, {"create", "delete", "list", "update"}),
        ({}, set()),
    ],
)  # fmt: skip
async def test_a_manager_asks_for_its_leases_too(
    websites: Client, monkeypatch: pytest.MonkeyPatch, options: Any, asked: set[str]
) -> None:
    judge = Judge(websites, monkeypatch, "get websites default")
    with pytest.raises(ConfigError, match=r"may not get websites\.example\.dev in namespace default"):
        async with running(websites, Site(), namespace="default", preflight=True, **options):
            pass
    assert {one for one in judge.asked if "leases" in one} == {f"{verb} leases ops" for verb in asked}


async def test_a_manager_asks_for_its_webhooks_and_reviews_too(
    websites: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(websites, monkeypatch, "get websites default")
    secret = Key("ops", "tls")
    webhooks = WebhookServer(MadeCertificates(secret=secret, names=["a.ops.svc"], validating=["a"]), port=0)
    serving = Serving(address="127.0.0.1:0", authorize=True)
    with pytest.raises(ConfigError, match=r"may not get websites\.example\.dev in namespace default"):
        async with running(websites, Site(), namespace="default", preflight=True, webhooks=webhooks, serving=serving):
            pass
    assert {one for one in judge.asked if "secrets" in one or "webhook" in one or "reviews" in one} == {
        *(f"{verb} secrets ops" for verb in ("create", "get", "update")),
        *(f"{verb} validatingwebhookconfigurations" for verb in ("get", "update")),
        "create tokenreviews",
        "create subjectaccessreviews",
    }
