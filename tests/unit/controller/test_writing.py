"""Finalizers, owner references, create or update, retry on conflict, desired children: with a server in the process."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from controllerkit import Reconciler, Request
from controllerkit.client import Client, Write
from controllerkit.controller import (
    Finalizers,
    OperationResult,
    add_finalizer,
    create_or_patch,
    create_or_update,
    has_finalizer,
    remove_finalizer,
    retry_on_conflict,
)
from controllerkit.errors import AlreadyExists, BadRequest, ConfigError, Conflict, NotFound
from controllerkit.objects import (
    Condition,
    Key,
    Object,
    kinds,
    owner_reference,
    remove_owner_reference,
    set_controller_reference,
    set_owner_reference,
)
from controllerkit.schema import ApiModel, Resource
from controllerkit.testing import VirtualClock
from tests.unit.conftest import Website

F = "example.dev/bucket"


class Counting:
    """A hook that notes every write that was sent."""

    def __init__(self) -> None:
        self.writes: list[str] = []

    def before(self, write: Write) -> None:
        self.writes.append(
            f"{write.verb} {write.kind.kind} {write.key.name}{'/' * bool(write.subresource)}{write.subresource}"
        )

    def after(self, write: Write, answer: Object | None, error: BaseException | None) -> None: ...


def config_map(name: str = "c", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


# -- finalizers ----------------------------------------------------------------------------------------------------


@pytest.mark.parity("2.5/finalizer-booleans", "1d/finalizers")
def test_adding_and_removing_a_finalizer_says_whether_anything_changed() -> None:
    value: dict[str, Any] = {"metadata": {"name": "a"}}
    assert (add_finalizer(value, F), add_finalizer(value, F), has_finalizer(value, F)) == (True, False, True)
    value["metadata"]["finalizers"].append(F)  # somebody doubled it
    assert (remove_finalizer(value, F), remove_finalizer(value, F), has_finalizer(value, F)) == (True, False, False)
    assert remove_finalizer({}, F) is False


def test_a_finalizer_that_api_servers_refuse_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="domain/name"):
        Finalizers({"bucket": None})  # type: ignore[dict-item]


@pytest.mark.parity("2.5/finalizer-registry")
async def test_finalizers_are_added_cleaned_up_once_and_the_failing_one_keeps_its_object(websites: Client) -> None:
    cleaned: list[str] = []
    broken = True

    async def good(value: Object) -> None:
        cleaned.append(value.name)

    async def bad(value: Object) -> None:
        if broken:
            raise OSError("the bucket is busy")

    finalizers = Finalizers({F: good, "example.dev/bad": bad})
    await websites.create({"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": "a"}})
    assert await finalizers.finalize(websites, await websites.get(Website, "a")) is False
    found = await websites.get(Website, "a")
    assert list(found.finalizers) == [F, "example.dev/bad"]
    assert await finalizers.finalize(websites, found) is False
    assert (await websites.get(Website, "a")).resource_version == found.resource_version, "nothing left to add"

    await websites.delete(Website, "a")
    with pytest.raises(ExceptionGroup, match="clean-up of Website default/a is not done") as raised:
        await finalizers.finalize(websites, await websites.get(Website, "a"))
    assert raised.value.exceptions[0].__notes__ == ["finalizer example.dev/bad of Website default/a"]
    assert list((await websites.get(Website, "a")).finalizers) == ["example.dev/bad"]
    broken = False
    assert await finalizers.finalize(websites, await websites.get(Website, "a")) is True
    assert cleaned == ["a"], "cleaned up once"
    with pytest.raises(NotFound):
        await websites.get(Website, "a")


# -- owner references ----------------------------------------------------------------------------------------------


def site(name: str = "a", namespace: str = "default", uid: str = "u1", version: str = "v1") -> Object:
    metadata = {"name": name, "uid": uid, **({"namespace": namespace} if namespace else {})}
    return Object.from_dict({"apiVersion": f"example.dev/{version}", "kind": "Website", "metadata": metadata})


@pytest.mark.parity(
    "2.5/owner-controller-add", "2.5/owner-other-version", "2.5/owner-cross-namespace", "2.5/owner-taken"
)
def test_a_controller_reference_is_added_replaced_and_refused() -> None:
    child = config_map()
    set_controller_reference(site(), child)
    assert child["metadata"]["ownerReferences"] == [owner_reference(site())]
    set_controller_reference(site(version="v2"), child)
    assert [r["apiVersion"] for r in child["metadata"]["ownerReferences"]] == ["example.dev/v2"]
    with pytest.raises(ConfigError, match="is controlled by Website a already"):
        set_controller_reference(site("b", uid="u2"), child)
    with pytest.raises(ConfigError, match="owns only objects of that namespace"):
        set_controller_reference(site(namespace="other"), config_map())
    set_controller_reference(site(namespace="", uid="u3"), fresh := config_map())
    assert fresh["metadata"]["ownerReferences"][0]["uid"] == "u3", "a cluster-scoped owner may own anything"


@pytest.mark.parity("2.5/owner-add", "2.5/owner-update", "2.5/owner-cross-namespace", "2.5/owner-remove")
def test_an_owner_is_added_beside_others_replaced_when_made_anew_and_removed() -> None:
    child = config_map()
    set_controller_reference(site("boss", uid="b"), child)
    set_owner_reference(site(), child)
    set_owner_reference(site(), child)
    assert [(r["name"], r["controller"]) for r in child["metadata"]["ownerReferences"]] == [
        ("boss", True),
        ("a", False),
    ]
    set_owner_reference(site(uid="u2", version="v2"), child)
    assert child["metadata"]["ownerReferences"][1:] == [
        owner_reference(site(uid="u2", version="v2"), controller=False, block_owner_deletion=False)
    ]
    with pytest.raises(ConfigError, match="cannot own"):
        set_owner_reference(site(namespace="other"), child)
    assert remove_owner_reference(site(uid="u2"), child) is True
    assert remove_owner_reference(site(uid="u2"), child) is False
    assert remove_owner_reference(site("boss", uid="b"), child) is True
    assert (child["metadata"]["ownerReferences"], remove_owner_reference(site(), {})) == ([], False)


# -- create or update ----------------------------------------------------------------------------------------------


@pytest.mark.parity(
    "2.5/create-or-update-creates",
    "2.5/create-or-update-changes",
    "2.5/create-or-update-no-op",
    "1d/create-or-update",
)
async def test_create_or_update_writes_what_differs_and_says_what_it_did(client: Client) -> None:
    counting = Counting()
    client.hooks.append(counting)

    def set_x(value: str) -> Any:
        return lambda each: each.setdefault("data", {}).update(x=value)

    created, first = await create_or_update(client, config_map(), set_x("1"))
    _, second = await create_or_update(client, config_map(), set_x("1"))
    changed, third = await create_or_update(client, config_map(), set_x("2"))
    assert [first, second, third] == [OperationResult.CREATED, OperationResult.UNCHANGED, OperationResult.UPDATED]
    assert (created.get("data", "x"), changed.get("data", "x")) == ("1", "2")
    assert counting.writes == ["create ConfigMap c", "update ConfigMap c"]


@pytest.mark.parity("2.5/create-or-update-status-only")
async def test_a_changed_status_goes_to_the_subresource_alone(websites: Client) -> None:
    counting = Counting()
    website = {"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": "a"}, "spec": {"x": 1}}
    await websites.create(website)
    websites.hooks.append(counting)

    def to(phase: str, x: int) -> Any:
        return lambda each: each.update(status={"phase": phase}, spec={"x": x})

    _, only = await create_or_update(websites, website, to("Up", 1))
    both, result = await create_or_update(websites, website, to("Down", 2))
    assert (only, result) == (OperationResult.STATUS_UPDATED, OperationResult.BOTH_UPDATED)
    assert (both.status, both.spec) == ({"phase": "Down"}, {"x": 2})
    assert counting.writes == ["update Website a/status", "update Website a", "update Website a/status"]


@pytest.mark.parity("2.5/create-or-update-get-error", "2.5/create-or-patch-get-error")
@pytest.mark.parametrize("write", [create_or_update, create_or_patch])
async def test_where_it_cannot_be_read_nothing_is_written(client: Client, write: Any) -> None:
    counting = Counting()
    client.hooks.append(counting)
    with pytest.raises(ConfigError):
        await write(client, {"apiVersion": "nobody.dev/v1", "kind": "Nothing", "metadata": {"name": "a"}}, _keep)
    unnamed = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default"}}
    with pytest.raises(BadRequest):
        await write(client, unnamed, _keep)
    assert counting.writes == []


def _keep(_: dict[str, Any]) -> None:
    """Changes nothing."""


@pytest.mark.parity(
    "2.5/create-or-patch-creates",
    "2.5/create-or-patch-changes",
    "2.5/create-or-patch-no-op",
    "2.5/create-or-patch-status-only",
    "1d/create-or-update",
)
async def test_create_or_patch_sends_what_differs_and_overwrites_nobody(websites: Client) -> None:
    counting = Counting()
    websites.hooks.append(counting)
    site = {"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": "a"}, "spec": {"x": 1}}
    _, created = await create_or_patch(websites, site, _keep)
    _, same = await create_or_patch(websites, site, _keep)
    meanwhile = websites.without(counting)

    async def with_another_writer(mutate: Any, field: str) -> tuple[Object, OperationResult]:
        stale = await websites.get(Website, "a")
        await meanwhile.patch(Website, "a", {"spec": {field: 7}})

        class Stale(Client):
            async def get(self, *_: Any, **__: Any) -> Object:
                return stale

        reader = websites.without()
        reader.__class__ = Stale
        return await create_or_patch(reader, site, mutate)

    changed, updated = await with_another_writer(lambda each: each["spec"].update(x=2), "theirs")
    assert changed.spec == {"x": 2, "theirs": 7}
    _, only = await create_or_patch(websites, site, lambda each: each.update(status={"phase": "Up"}))
    both, result = await create_or_patch(
        websites, site, lambda each: (each["spec"].pop("theirs"), each.update(status={"phase": "Down"}))
    )
    assert (both.spec, both.status) == ({"x": 2}, {"phase": "Down"})
    assert [each.value for each in (created, same, updated, only, result)] == [
        "created",
        "unchanged",
        "updated",
        "updatedStatusOnly",
        "updatedStatus",
    ]
    assert counting.writes == [
        "create Website a",
        "patch Website a",
        "patch Website a/status",
        "patch Website a",
        "patch Website a/status",
    ]


@pytest.mark.parity(
    "2.5/create-or-update-rename",
    "2.5/create-or-update-errors",
    "2.5/create-or-patch-rename",
    "2.5/create-or-patch-errors",
)
@pytest.mark.parametrize("write", [create_or_update, create_or_patch])
async def test_a_mutation_that_renames_and_one_that_raises_write_nothing(client: Client, write: Any) -> None:
    def rename(each: dict[str, Any]) -> None:
        each["metadata"]["name"] = "other"

    def fail(each: dict[str, Any]) -> None:
        raise ValueError("no")

    with pytest.raises(ConfigError, match="mutate changed namespace and name"):
        await write(client, config_map(), rename)
    with pytest.raises(ValueError, match="no"):
        await write(client, config_map(), fail)
    assert (await client.list(kinds.CONFIG_MAP, "default")).items == []
    await client.create(config_map())
    with pytest.raises(ConfigError, match="mutate changed namespace and name"):
        await write(client, config_map(), rename)
    assert [each.name for each in (await client.list(kinds.CONFIG_MAP, "default")).items] == ["c"]


# -- status --------------------------------------------------------------------------------------------------------


class SiteStatus(ApiModel):
    phase: str = ""
    conditions: tuple[dict[str, Any], ...] = ()


class Observing(SiteStatus):
    observed_generation: int = 0


class Plain(Resource, group="example.dev", version="v1", kind="Website"):
    status: SiteStatus = SiteStatus()


class Observed(Resource, group="example.dev", version="v1", kind="Website"):
    status: Observing = Observing()


@pytest.mark.parity("1d/conditions")
@pytest.mark.parametrize(("model", "observes"), [(Website, True), (Observed, True), (Plain, False)])
async def test_a_status_is_written_once_where_it_differs_and_says_what_it_is_of(
    websites: Client, model: Any, observes: bool
) -> None:
    class Telling(Reconciler[model]):  # type: ignore[valid-type]
        name = "telling"

        async def reconcile(self, request: Request) -> None: ...

    counting, clock, telling = Counting(), VirtualClock(), Telling()
    telling.bind(client=websites, clock=clock, log=None, recorder=None, informers=None)  # type: ignore[arg-type]
    site = {"apiVersion": "example.dev/v1", "kind": "Website", "metadata": {"name": "a"}, "spec": {"x": 1}}
    await websites.create(site)
    await websites.patch(Website, "a", {"status": {"theirs": "kept"}}, subresource="status")
    websites.hooks.append(counting)

    async def told(status: bool, reason: str, phase: str) -> dict[str, Any]:
        await clock.advance(60.0)
        found = await websites.get(Website, "a")
        owner = found if model is Website else model.from_object(found)
        answer = await telling.write_status(owner, {"phase": phase}, conditions=[Condition("Ready", status, reason)])
        return dict(answer.status)

    first = await told(False, "Starting", "Up")
    assert first == {
        "theirs": "kept",
        "phase": "Up",
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "Starting",
                "message": "",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:01:00Z",
            }
        ],
        **({"observedGeneration": 1} if observes else {}),
    }
    assert await told(False, "Starting", "Up") == first
    assert counting.writes == ["update Website a/status"], "the second time there was nothing to say"
    waiting = await told(False, "Waiting", "Up")
    assert waiting["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:01:00Z"
    ready = await told(True, "Ready", "Up")
    assert ready["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:04:00Z"
    stale = await websites.get(Website, "a")
    await websites.patch(Website, "a", {"spec": {"x": 2}})
    with pytest.raises(Conflict):
        await telling.write_status(stale, {"phase": "Down"})


# -- retry on conflict ---------------------------------------------------------------------------------------------


@pytest.mark.parity("1d/retry-on-conflict")
@pytest.mark.parametrize(
    ("error", "failures", "tries", "answer"),
    [
        (Conflict("x"), 4, 5, "done"),
        (Conflict("x"), 9, 5, "raised"),
        (AlreadyExists("x"), 9, 1, "raised"),
    ],
)
async def test_a_conflict_is_tried_five_times_and_nothing_else_is(
    error: Conflict, failures: int, tries: int, answer: str
) -> None:
    tried: list[float] = []
    clock = VirtualClock()

    async def attempt() -> str:
        tried.append(clock.monotonic())
        if len(tried) <= failures:
            raise error
        return "done"

    async def told() -> str:
        try:
            return await retry_on_conflict(attempt, clock=clock, rng=Random(1))
        except Conflict:
            return "raised"

    task = asyncio.create_task(told())
    await clock.advance(1.0)
    assert (await task, len(tried)) == (answer, tries)
    assert all(0.01 <= after - before < 0.0111 for before, after in pairwise(tried))


async def test_retry_on_conflict_needs_a_try() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        await retry_on_conflict(lambda: None, tries=0)  # type: ignore[arg-type,return-value]


async def test_two_who_change_the_same_object_both_get_through(client: Client) -> None:
    await client.create(config_map(x="0"))
    stale = [await client.get(kinds.CONFIG_MAP, Key("default", "c"))]

    async def add_one() -> Object:
        found = stale.pop() if stale else await client.get(kinds.CONFIG_MAP, Key("default", "c"))
        value = found.to_dict()
        value["data"]["x"] = str(int(value["data"]["x"]) + 1)
        return await client.update(value)

    await client.patch(kinds.CONFIG_MAP, Key("default", "c"), {"data": {"x": "7"}})
    assert (await retry_on_conflict(add_one)).get("data", "x") == "8"
