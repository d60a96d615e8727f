"""A dry run on the embedded server: it says what would be done, and every object is as it was before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from controllerkit import (
    Action,
    Client,
    EventNote,
    Key,
    Manager,
    Plan,
    PlanningReconciler,
    Reconciler,
    Request,
    Result,
    kinds,
)
from controllerkit.client import Write
from controllerkit.controller import FieldChange, Finalizers, PlannedWrite, Preview, Rehearsal, as_data, as_text
from controllerkit.controller.differences import ABSENT
from controllerkit.errors import ConfigError, MethodNotAllowed, NotFound
from controllerkit.manager import LeaderElection, Serving
from controllerkit.objects import set_controller_reference
from tests.unit.conftest import Website
from tests.unit.controller.running import website


async def everything(client: Client) -> dict[str, str]:
    """The resourceVersion of every object of every kind that the server lists where the reconcilers work."""
    found = {}
    for group in ("", "apps", "events.k8s.io", "coordination.k8s.io", "example.dev"):
        for resource in await client.mapper.resources(group, "v1"):
            with suppress(MethodNotAllowed, NotFound):  # reviews and the like are only made
                for each in (await client.list(resource)).items:
                    if each.namespace == "default":
                        found[f"{resource.kind} {each.key}"] = each.resource_version
    return found


def of(kind: str, name: str, namespace: str = "", **body: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **body}


async def planned(client: Client, *reconcilers: Reconciler[Any]) -> tuple[Preview, ...]:
    """The plan, after which nothing may be different."""
    manager = Manager(client, dry_run=True)
    for each in reconcilers:
        manager.add(each)
    before = await everything(client)
    assert any(name.startswith("Website") for name in before)
    previews = await manager.plan()
    assert await everything(client) == before, "nothing was written"
    assert (client.dry_run, client.hooks) == (False, []), "and the client it was given is as before"
    return previews


def told(write: PlannedWrite) -> tuple[str, str, dict[str, Any]]:
    changes = {each.path: (repr(each.before), each.after) for each in write.changes}
    return (f"{write.verb} {write.kind.kind} {write.key}/{write.subresource}".removesuffix("/"), write.refused, changes)


class Page(Reconciler[Website]):
    """Every kind of write there is."""

    name = "page"
    owns = (kinds.CONFIG_MAP, kinds.SECRET)

    async def reconcile(self, request: Request) -> Result | None:
        site = await self.get(request.key)
        assert site is not None
        page = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "page"},
            "data": {"html": site.spec["text"]},
        }
        await self.apply(site, [page], prune=[kinds.CONFIG_MAP])
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "token"},
            "stringData": {"token": "hunter2"},
        }
        await self.apply(site, [secret])
        generated = {"metadata": {"generateName": "run-"}, "data": {"x": "1"}}
        await self.client.create({"apiVersion": "v1", "kind": "ConfigMap", **generated})
        await self.client.patch(Website, site.key, {"status": {"phase": "Up"}}, subresource="status")
        self.recorder.record(site.source, "Normal", "Published", "the page is up")
        return Result(requeue_after_s=60.0)


@pytest.mark.parity("1d/plan", "1f/dry-run", "1f/hooks")
async def test_writes_of_a_plain_reconciler_are_told_with_the_fields_they_would_change(websites: Client) -> None:
    site = await websites.create(website(text="new"))
    for name, data in (("page", {"html": "old"}), ("stale", {})):
        child = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "default"},
            "data": data,
        }
        set_controller_reference(site, child)
        await websites.apply(child, field_manager="page")
    (preview,) = await planned(websites, Page())
    assert [told(each) for each in preview.writes] == [
        ("apply ConfigMap default/page", "", {"data.html": ("'old'", "new")}),
        ("delete ConfigMap default/stale", "", {}),
        (
            "create Secret default/token",
            "",
            {
                "metadata.ownerReferences[a].apiVersion": ("absent", "example.dev/v1"),
                "metadata.ownerReferences[a].kind": ("absent", "Website"),
                "metadata.ownerReferences[a].name": ("absent", "a"),
                "metadata.ownerReferences[a].uid": ("absent", site.uid),
                "metadata.ownerReferences[a].controller": ("absent", True),
                "metadata.ownerReferences[a].blockOwnerDeletion": ("absent", True),
                "data.token": ("absent", "(hidden)"),
                "type": ("absent", "Opaque"),
            },
        ),
        ("create ConfigMap default/", "", {"metadata.generateName": ("absent", "run-"), "data.x": ("absent", "1")}),
        ("patch Website default/a/status", "", {"status.phase": ("absent", "Up")}),
    ]
    assert (preview.events, preview.error) == ((EventNote("Normal", "Published", "the page is up"),), "")
    assert (preview.requeue_after_s, preview.changes_anything) == (60.0, True)
    page, data = as_text([preview]), json.dumps(as_data([preview]))
    for text in (page, data):
        assert "hunter2" not in text
        assert "aHVudGVyMg" not in text, "nor as the API encodes it"
    assert 'data.html: "old" -> "new"' in page
    assert "+ create ConfigMap default/run-(generated)" in page
    assert page.endswith(
        "Plan: 1 to apply, 2 to create, 1 to delete, 1 to patch; 0 of 1 objects are as they should be. "
        "Nothing was written."
    )


class Keeps(Reconciler[Website]):
    """Writes what is there already."""

    name = "keeps"

    async def reconcile(self, request: Request) -> None:
        found = await self.client.get(Website, request.key)
        await self.client.update(found)
        await self.client.patch(Website, request.key, {"spec": {"text": found.spec["text"]}})


async def test_what_is_as_it_should_be_is_counted_and_not_shown(websites: Client) -> None:
    for name in ("a", "b"):
        await websites.create(website(name, text="x"))
    previews = await planned(websites, Keeps())
    assert [each.changes_anything for each in previews] == [False, False]
    assert as_text(previews) == "Plan: nothing to do; 2 of 2 objects are as they should be. Nothing was written."
    assert as_data(previews)["changes"] is False


class Refused(Reconciler[Website]):
    """One object is fine, one write is refused, one reconciler has a bug."""

    name = "refused"

    async def reconcile(self, request: Request) -> None:
        if request.key.name == "bug":
            raise KeyError("password=hunter2")
        if request.key.name == "bad":
            await self.client.create(of("Secret", "Not_A_Name", stringData={"x": "hunter2"}))
        await self.client.create(of("ConfigMap", "c", "nowhere"))


async def test_a_refused_write_and_a_bug_are_told_and_the_other_objects_are_planned(websites: Client) -> None:
    for name in ("bad", "bug", "fine"):
        await websites.create(website(name))
    bad, bug, fine = await planned(websites, Refused())
    assert (bad.error, [each.refused for each in bad.writes]) == ("Invalid", ["Invalid"]), "it may quote the Secret"
    assert bug.error == "KeyError; the operator's log says where"
    assert fine.error.startswith("NotFound: ")
    assert "nowhere" in fine.writes[0].refused
    page = as_text([bad, bug, fine])
    assert "hunter2" not in page
    assert "x ended early: Invalid" in page
    assert "3 ended early. Nothing was written." in page
    assert as_data([bad, bug, fine])["errors"] is True


@dataclass(frozen=True)
class Publish(Action):
    page: str


class Planner(PlanningReconciler[Website, Website, Publish]):
    name = "planner"
    acted = 0

    async def observe(self, request: Request) -> Website | None:
        return await self.get(request.key)

    def analyze(self, observed: Website, now: datetime) -> Plan[Publish]:
        if observed.spec.get("published"):
            return Plan()
        status = {"phase": "Publishing"}
        return Plan(
            actions=(Publish("one", why="there is none"), Publish("two")),
            status=status,
            events=(EventNote("Normal", "Publishing", "two pages"),),
        )

    async def act(self, observed: Website, action: Publish) -> None:
        type(self).acted += 1


@pytest.mark.parity("1d/plan")
async def test_the_actions_of_a_plan_are_told_with_their_reasons_and_not_begun(websites: Client) -> None:
    await websites.create(website("a"))
    await websites.create(website("b", published=True))
    a, b = await planned(websites, Planner())
    assert (Planner.acted, [str(each) for each in a.actions]) == (
        0,
        ["Publish(page=one): there is none", "Publish(page=two)"],
    )
    assert [told(each) for each in a.writes] == [
        ("update Website default/a/status", "", {"status.phase": ("absent", "Publishing")})
    ]
    assert b == Preview(controller="planner", kind=Website.resource_kind(), key=Key("default", "b"))
    assert as_text([a, b]) == (
        "Website default/a  (controller planner)\n"
        "  > Publish(page=one)\n"
        "      because there is none\n"
        "  > Publish(page=two)\n"
        "  ~ update status of Website default/a\n"
        '      status.phase: "Publishing"\n'
        "  ! Event Normal Publishing: two pages\n"
        "\n"
        "Plan: 2 actions, 1 to update; 1 of 2 objects are as they should be. Nothing was written."
    )
    assert as_data([a])["objects"][0]["actions"][0] == {
        "action": "Publish",
        "what": "Publish(page=one): there is none",
        "why": "there is none",
    }


class Threaded(Reconciler[Website]):
    """In a thread, with a finalizer, and past the verbs."""

    name = "threaded"

    def reconcile(self, request: Request) -> Result | None:  # type: ignore[override]
        async def cleanup(_: object) -> None:
            return None

        found = self.read(Website.resource_kind(), request.key)
        assert found is not None
        self.wait(Finalizers({"example.dev/x": cleanup}).finalize(self.client, found))
        path = kinds.CONFIG_MAP.path("default")
        body: Mapping[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "raw"}}
        self.wait(self.client.request_json("POST", path, body))
        self.wait(
            self.client.request_json("DELETE", kinds.CONFIG_MAP.path("default", "kept"), {"kind": "DeleteOptions"})
        )
        self.wait(self.client.request_json("DELETE", kinds.CONFIG_MAP.path("default", "kept")))
        return None


async def test_threads_finalizers_and_raw_requests_write_nothing_either(websites: Client) -> None:
    await websites.create(of("ConfigMap", "kept", "default"))
    await websites.create(website())
    (preview,) = await planned(websites, Threaded())
    assert preview.error == ""
    assert [told(each) for each in preview.writes] == [
        ("patch Website default/a", "", {"metadata.finalizers[0]": ("absent", "example.dev/x")})
    ]


async def test_a_dry_run_has_no_election_and_no_endpoints_and_ends(websites: Client) -> None:
    election = LeaderElection(name="op", namespace="default")
    manager = Manager(websites, dry_run=True, leader_election=election, serving=Serving(address="127.0.0.1:0"))
    assert (manager.elector, manager.endpoints) == (None, None)
    with pytest.raises(ConfigError, match=r"await manager\.plan\(\)"):
        await manager.run()
    assert await manager.plan() == ()
    with pytest.raises(ConfigError, match="a plan came after the manager was started"):
        await manager.plan()
    with pytest.raises(ConfigError, match="dry_run=True"):
        await Manager(websites).plan()


def test_a_write_that_is_no_dry_run_is_refused() -> None:
    with pytest.raises(ConfigError, match="it was not sent"):
        Rehearsal().before(Write("create", kinds.POD, Key("n", "p")))


def test_long_values_and_many_fields_are_cut_in_the_page_and_whole_in_the_data() -> None:
    changes = tuple(FieldChange(f"data.k{number:02}", ABSENT, "x" * 200) for number in range(25))
    write = PlannedWrite(verb="create", kind=kinds.CONFIG_MAP, key=Key("n", "c"), changes=changes)
    preview = Preview(controller="c", kind=kinds.CONFIG_MAP, key=Key("n", "c"), writes=(write,))
    page = as_text([preview])
    assert page.count("data.k") == 20
    assert "and 5 more fields" in page
    assert max(map(len, page.splitlines())) < 130
    assert len(as_data([preview])["objects"][0]["writes"][0]["changes"]) == 25
