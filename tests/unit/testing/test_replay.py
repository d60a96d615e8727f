"""What was recorded is replayed: the same code writes the same, other code differs exactly where it does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from controllerkit import ApiModel, Client, Reconciler, Request, Resource, Result, kinds
from controllerkit.apiserver import ApiServer
from controllerkit.controller import Owns, Watch
from controllerkit.errors import ApiError, NotFound, RecordingError, SimulationError
from controllerkit.manager import LeaderElection
from controllerkit.objects import Key, Kind
from controllerkit.runtime import wait_until
from controllerkit.testing import connected, running
from controllerkit.testing.replay import ObjectReport, ReplayReport, replay
from controllerkit.testing.replay.likeness import aligned, alike, comparable
from controllerkit.testing.replay.pace import NEVER_S, pace_of
from controllerkit.testing.replay.story import Story
from controllerkit.wire.recording import Recording, RecordOptions, entries, read_recording

ROOT = Path(__file__).parents[3]
INGRESS = Kind("networking.k8s.io", "v1", "Ingress", "ingresses")


class SiteSpec(ApiModel):
    text: str = ""
    token: str = ""


class SiteStatus(ApiModel):
    page: str = ""
    length: int = 0


class Site(Resource, group="example.dev", version="v1"):
    spec: SiteSpec = SiteSpec()
    status: SiteStatus = SiteStatus()


def site(name: str, text: str, **spec: str) -> dict[str, Any]:
    return {
        "apiVersion": "example.dev/v1",
        "kind": "Site",
        "metadata": {"name": name},
        "spec": {"text": text, **spec},
    }


class Sites(Reconciler[Site]):
    """A page in a ConfigMap, its password in a Secret; says so in the status and by an Event."""

    owns = (kinds.CONFIG_MAP, kinds.SECRET)

    def page(self, found: Site) -> dict[str, Any]:
        metadata = {"name": f"{found.key.name}-page"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"html": found.spec.text}}

    def secret(self, found: Site) -> dict[str, Any]:
        metadata = {"name": f"{found.key.name}-password"}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"p": f"hush {found.key}"}}

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is None:
            return None
        before = self.read(kinds.CONFIG_MAP, Key("default", f"{found.key.name}-page"))
        await self.apply(found, [self.page(found), self.secret(found)])
        if before is None:
            self.recorder.record(
                found.to_object(), "Normal", "Published", f"the page of {found.key} is there", action="Publish"
            )
        await self.write_status(found, {"page": f"{found.key.name}-page", "length": len(found.spec.text)})
        return None


class Louder(Sites):
    """One site gets another page."""

    def page(self, found: Site) -> dict[str, Any]:
        value = super().page(found)
        if found.key.name == "s3":
            value["data"]["html"] += "!"
        return value


class WithoutStatus(Sites):
    async def write_status(self, *_: Any, **__: Any) -> Any:
        return None


class WithOneMore(Sites):
    """Every site gets another ConfigMap."""

    async def apply(self, owner: Any, desired: Any, **options: Any) -> Any:
        more = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{owner.key.name}-more"}, "data": {}}
        return await super().apply(owner, [*desired, more], **options)


class Broken(Sites):
    async def reconcile(self, request: Request) -> None:
        raise ValueError(f"cannot do {request.key}")


Act = Callable[[Client], Coroutine[Any, Any, None]]


async def recorded(path: Path, act: Act, *reconcilers: Reconciler[Any], **options: Any) -> Recording:
    """A recording of what ``reconcilers`` (by default `Sites`) do while ``act`` goes on."""
    made = reconcilers or (Sites(),)
    async with (
        ApiServer(rng=Random(1)) as server,
        connected(server, [Site]) as client,
        running(client, *made, record=RecordOptions(path=path), **options),
    ):
        await act(client)
        await quiet(client)
    return read_recording(path)


async def quiet(client: Client) -> None:
    """Every site's status says what its spec does."""

    async def so() -> bool:
        found = [Site.from_object(each) for each in (await client.list(Site)).items]
        return all(each.status.length == len(each.spec.text) and each.status.page for each in found)

    await wait_until(so, what="every status is right", timeout_s=8.0)


async def busy(client: Client) -> None:
    """Users create, change and delete sites and their pages, faster than they are reconciled."""
    rng = Random(7)
    for number in range(150):
        name = f"s{rng.randrange(12)}"
        try:
            match rng.randrange(8):
                case 0:
                    await client.delete(Site, name)
                case 1:
                    await client.delete(kinds.CONFIG_MAP, f"{name}-page")
                case 2:
                    await asyncio.sleep(0.005)
                case _:
                    await client.apply(site(name, "x" * (number % 40)), field_manager="user")
        except ApiError:
            continue
    await client.apply(site("s3", "the last"), field_manager="user")


async def three(client: Client) -> None:
    for name in ("s1", "s2", "s3"):
        await client.create(site(name, f"text of {name}"))


def outcomes(report: ReplayReport) -> dict[str, list[str]]:
    """By object that differs, what became of each write that does."""
    return {
        f"{each.resource} {each.key}": [step.outcome for step in each.steps if step.outcome != "same"]
        for each in report.objects
        if each.differs
    }


def reported(report: ReplayReport, resource: str, key: str) -> ObjectReport:
    return next(each for each in report.objects if (each.resource, each.key) == (resource, key))


# -- the scenario --------------------------------------------------------------------------------------------------


async def test_the_same_code_under_load_writes_the_same_with_any_seed(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r", busy)
    for seed in range(3):
        report = await asyncio.to_thread(replay, recording, [Sites], seed=seed)
        assert not report.differs, str(report)
    writes = [step for each in report.objects for step in each.steps]
    assert len(writes) > 60
    assert {each.recorded for each in writes} >= {"apply", "update status"}
    assert report.failing == {}


class Troubled(Sites):
    """Four at a time, every third pass fails and is tried again after a random delay, and a timer follows each."""

    max_concurrent_reconciles = 4

    def __init__(self) -> None:
        super().__init__()
        self.passes: Counter[Key] = Counter()

    async def reconcile(self, request: Request) -> Result | None:
        self.passes[request.key] += 1
        if self.passes[request.key] % 3 == 1:
            raise ValueError("not now")
        await super().reconcile(request)
        return Result(requeue_after_s=0.07)


async def test_workers_failures_timers_and_an_election_make_no_difference(tmp_path: Path) -> None:
    election = LeaderElection(name="sites", namespace="default")
    recording = await recorded(tmp_path / "r", busy, Troubled(), leader_election=election)
    report = await asyncio.to_thread(replay, recording, [Troubled])
    assert not report.differs, str(report)
    assert sum(len(each.steps) for each in report.objects) > 60


async def test_changed_code_differs_exactly_where_it_was_changed(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r", busy)
    report = await asyncio.to_thread(replay, recording, [Louder])
    found = outcomes(report)
    assert list(found) == ["configmaps default/s3-page"]
    assert set(found["configmaps default/s3-page"]) == {"different"}
    for step in reported(report, "configmaps", "default/s3-page").steps:
        (change,) = step.changes
        assert (change.path, change.after) == ("data.html", f"{change.before}!")
    assert 'data.html: "the last" -> "the last!"' in str(report)


async def test_writes_that_are_gone_and_writes_that_are_new_are_told(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r", three)
    without = await asyncio.to_thread(replay, recording, [WithoutStatus])
    assert outcomes(without) == {f"sites.example.dev default/s{n}": ["missing"] for n in (1, 2, 3)}
    more = await asyncio.to_thread(replay, recording, [WithOneMore])
    assert outcomes(more) == {f"configmaps default/s{n}-more": ["new"] for n in (1, 2, 3)}
    data = without.data()
    assert data["differs"]
    (write,) = next(each["writes"] for each in data["objects"] if each["object"] == "default/s1")
    assert (write["outcome"], write["recorded"], write["new"]) == ("missing", "update status", "")
    assert {"path": "status.length", "new": 10} in write["changes"]


async def test_what_fails_is_told_with_what_is_missing(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r", three)
    report = await asyncio.to_thread(replay, recording, [Broken])
    assert report.failing["broken: default/s1"] == "ValueError: cannot do default/s1"
    assert {each for steps in outcomes(report).values() for each in steps} <= {"missing", "new"}
    assert len(report.events) >= 3  # that it was published is no longer told
    assert ("missing", "Normal Published about Site default/s1: the page of default/s1 is there") in report.events


async def test_data_of_secrets_is_not_in_the_file_and_makes_no_difference(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r", three)
    assert not any(b"hush" in msgspec.json.encode(each) for each in recording.entries)
    report = await asyncio.to_thread(replay, recording, [Sites])
    assert [step.outcome for step in reported(report, "secrets", "default/s1-password").steps] == ["same"]

    class OtherKeys(Sites):
        def secret(self, found: Site) -> dict[str, Any]:
            return {**super().secret(found), "stringData": {"q": "hush"}}

    other = await asyncio.to_thread(replay, recording, [OtherKeys])
    assert {each.path for step in reported(other, "secrets", "default/s1-password").steps for each in step.changes} == {
        "stringData.p",
        "stringData.q",
    }


# -- an object whose future is another -----------------------------------------------------------------------------


class Labels(Reconciler[Site]):
    """Labels the ConfigMap ``shared`` and tells of what others write there."""

    owns = (kinds.CONFIG_MAP,)
    value = "old"

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is None:
            return None
        shared = self.read(kinds.CONFIG_MAP, Key("default", "shared"))
        if shared is not None and not shared.labels:
            patch = {"metadata": {"labels": {"by": self.value}}}
            shared = await self.client.patch(kinds.CONFIG_MAP, shared.key, patch)
        said = "" if shared is None else f"{shared.labels.get('by')} {(shared.get('data') or {}).get('n')}"
        if found.status.page != said:
            await self.write_status(found, {"page": said, "length": len(found.spec.text)})
        return Result(requeue_after_s=0.05)


class NewLabels(Labels):
    value = "new"


async def test_what_others_do_to_an_object_that_has_become_another_is_carried_over(tmp_path: Path) -> None:
    async def act(client: Client) -> None:
        await client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {}})
        await client.create(site("a", "x"))

        async def says(text: str) -> None:
            async def so() -> bool:
                return Site.from_object(await client.get(Site, "a")).status.page == text

            await wait_until(so, what=text, timeout_s=20.0)

        await says("old None")
        await client.patch(kinds.CONFIG_MAP, "shared", {"data": {"n": "5"}})
        await says("old 5")

    recording = await recorded(tmp_path / "r", act, Labels())
    assert not (await asyncio.to_thread(replay, recording, [Labels])).differs
    report = await asyncio.to_thread(replay, recording, [NewLabels])
    (step,) = reported(report, "configmaps", "default/shared").steps
    assert [(each.path, each.before, each.after) for each in step.changes] == [("metadata.labels.by", "old", "new")]
    said = [
        (change.before, change.after)
        for step in reported(report, "sites.example.dev", "default/a").steps
        for change in step.changes
        if change.path == "status.page"
    ]
    assert said == [("old None", "new None"), ("old 5", "new 5")]


class Reader(Reconciler[Site]):
    """Reads a Secret that nothing watches, and writes by create, update and delete."""

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is None:
            return None
        try:
            secret = await self.client.get(kinds.SECRET, "outside")
            keys = sorted(secret.get("data") or {})
        except NotFound:
            keys = []
        if found.spec.text == "make":
            metadata = {"generateName": "made-"}
            made = await self.client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
            await self.client.update({**made.to_dict(), "data": {"keys": ",".join(keys)}})
            await self.client.delete(kinds.CONFIG_MAP, made.key)
        await self.write_status(found, {"page": ",".join(keys) or "none", "length": len(found.spec.text)})
        return None


async def test_live_reads_generated_names_and_deletes_are_replayed(tmp_path: Path) -> None:
    async def act(client: Client) -> None:
        await client.create(site("a", "first"))
        await quiet(client)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "outside"}, "stringData": {"k": "v"}}
        await client.create(secret)
        await client.apply(site("a", "make"), field_manager="user")

    recording = await recorded(tmp_path / "r", act, Reader())
    report = await asyncio.to_thread(replay, recording, [Reader])
    assert not report.differs, str(report)
    made = [each for each in report.objects if each.key.startswith("default/made-")]
    generated, *each = [[step.recorded for step in one.steps] for one in made]
    assert set(generated) == {"create"}
    assert each == [["update", "delete"]] * len(generated)
    status = reported(report, "sites.example.dev", "default/a").steps
    assert [step.recorded for step in status] == ["update status", "update status"]


CERTIFICATE = Kind("cert.example.dev", "v1", "Certificate", "certificates")


class Heads(Reconciler[Site]):
    """Counts what of another kind there is, by its metadata alone."""

    owns = (Owns(kinds.CONFIG_MAP, metadata_only=True, label_selector="count=yes"),)
    watches = (Watch(CERTIFICATE, lambda value: [Key("default", "a")], metadata_only=True),)

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is None:
            return None
        text = f"{len(self.list(kinds.CONFIG_MAP))} {len(self.list(CERTIFICATE))}"
        if found.status.page != text:
            await self.write_status(found, {"page": text, "length": len(found.spec.text)})
        return None


class AllHeads(Heads):
    owns = (kinds.CONFIG_MAP,)


async def test_metadata_alone_is_enough_for_code_that_asks_for_no_more(tmp_path: Path) -> None:
    class Certificate(Resource, group="cert.example.dev", version="v1"):
        spec: dict[str, Any] = {}  # noqa: RUF012

    path = tmp_path / "r"
    async with (
        ApiServer(rng=Random(1)) as server,
        connected(server, [Site, Certificate]) as client,
        running(client, Heads(), record=RecordOptions(path=path)),
    ):
        await client.create(site("a", "x"))
        await quiet(client)
        metadata = {"name": "one", "labels": {"count": "yes"}}
        await client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        await client.create({"apiVersion": "cert.example.dev/v1", "kind": "Certificate", "metadata": {"name": "c"}})

        async def counted() -> bool:
            return Site.from_object(await client.get(Site, "a")).status.page == "1 1"

        await wait_until(counted, what="both are counted", timeout_s=20.0)
    recording = read_recording(path)
    report = await asyncio.to_thread(replay, recording, [Heads])
    assert not report.differs, str(report)
    with pytest.raises(
        RecordingError, match="configmaps, which was not recorded; there is only configmaps with labels"
    ):
        await asyncio.to_thread(replay, recording, [AllHeads])


# -- what does not fit ---------------------------------------------------------------------------------------------


class Ingresses(Sites):
    owns = (kinds.CONFIG_MAP, kinds.SECRET, INGRESS)


class AsksForNodes(Sites):
    async def reconcile(self, request: Request) -> None:
        await self.client.list(kinds.NODE)


class AsksForADeployment(Sites):
    async def reconcile(self, request: Request) -> None:
        await self.client.get(kinds.DEPLOYMENT, "web")


class Threaded(Reconciler[Site]):
    def reconcile(self, request: Request) -> None:  # type: ignore[override]
        return None


async def test_code_that_asks_for_what_was_not_recorded_is_told_what_and_how_to_record_it(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r", three)
    for code, sentence in {
        Ingresses: r"the new code watches Ingress.v1.networking.k8s.io, which was not recorded; it is a recording of "
        r"sites of Site.v1.example.dev with configmaps, secrets, sites.example.dev: record again",
        AsksForNodes: "the new code lists nodes, which was not recorded; record again with code that watches it",
        AsksForADeployment: "the new code reads deployments.apps default/web, which was not recorded",
    }.items():
        with pytest.raises(RecordingError, match=sentence):
            await asyncio.to_thread(replay, recording, [code])


async def test_what_was_recorded_and_is_not_watched_any_more_is_said(tmp_path: Path) -> None:
    class Fewer(Sites):
        owns = (kinds.CONFIG_MAP,)

        def secret(self, found: Site) -> dict[str, Any]:
            return {}

        async def reconcile(self, request: Request) -> None:
            return None

    report = await asyncio.to_thread(replay, await recorded(tmp_path / "r", three), [Fewer])
    assert report.unwatched == ("secrets",)
    assert "recorded, and not watched by the new code: secrets" in str(report)


async def test_a_reconciler_that_wants_a_thread_is_refused(tmp_path: Path) -> None:
    recording = await recorded(tmp_path / "r", three)
    with pytest.raises(SimulationError, match=r"Threaded.reconcile runs in a thread, and a replay has none"):
        await asyncio.to_thread(replay, recording, [Threaded])


async def test_a_replay_is_the_same_in_every_process(tmp_path: Path) -> None:
    await recorded(tmp_path / "r", busy)
    code = (
        "import sys, json; from pathlib import Path; "
        "from tests.unit.testing.test_replay import Louder; "
        "from controllerkit.testing.replay import replay; "
        "from controllerkit.wire.recording import read_recording; "
        "print(json.dumps(replay(read_recording(Path(sys.argv[1])), [Louder]).data()))"
    )
    told = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code, str(tmp_path / "r")]
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=50
        )
        told.add(done.stdout)
    assert len(told) == 1
    assert '"differs": true' in told.pop()


# -- the parts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"metadata": {"uid": "1", "name": "a"}}, {"metadata": {"uid": "2", "name": "a"}}, True),
        ({"spec": {"uid": "1"}}, {"spec": {"uid": "2"}}, False),
        ({"metadata": {"ownerReferences": [{"uid": "1"}]}}, {"metadata": {"ownerReferences": [{"uid": "2"}]}}, True),
        ({"status": {"at": "2026-01-01T00:00:00Z"}}, {"status": {"at": "2026-01-01T00:00:02Z"}}, True),
        ({"status": {"at": "2026-01-01T00:00:00Z"}}, {"status": {"at": "2026-01-01T00:00:03Z"}}, False),
        ({"status": {"lastTransitionTime": "a"}}, {"status": {"lastTransitionTime": "b"}}, True),
        ({"data": {"p": "redacted-0"}}, {"data": {"p": "anything"}}, True),
        ({"data": {"p": "redacted-0"}}, {"data": {"p": 5}}, True),
        ({"data": {"p": "redacted-0"}}, {"data": {"p": {"q": "r"}}}, False),
        ({"data": {"p": "cmVkYWN0ZWQtYWJj"}}, {"data": {"p": "YW55"}}, True),
        (
            [{"op": "test", "path": "/metadata/uid", "value": 1}],
            [{"op": "test", "path": "/metadata/uid", "value": 2}],
            True,
        ),
    ],
)
def test_what_differs_between_any_two_runs_is_no_difference_and_everything_else_is(
    one: Any, other: Any, same: bool
) -> None:
    assert alike(comparable(one), comparable(other)) is same


@pytest.mark.parametrize(
    ("one", "other", "pairs"),
    [
        ("", "", []),
        ("abc", "abc", ["aa", "bb", "cc"]),
        ("abc", "ac", ["aa", "b-", "cc"]),
        ("ac", "abc", ["aa", "-b", "cc"]),
        ("abcd", "xd", ["ax", "b-", "c-", "dd"]),
        ("ab", "ba", ["a-", "bb", "-a"]),
    ],
)
def test_writes_are_paired_in_order(one: str, other: str, pairs: list[str]) -> None:
    found = aligned(one, other, lambda a, b: a == b)
    assert [f"{a or '-'}{b or '-'}" for a, b, _ in found] == pairs
    assert all(same == (a == b) for a, b, same in found)


def story_of(*happened: entries.Entry) -> Story:
    header = entries.Header(ckrec=1, controllerkit="1", at="2026-01-01T00:00:00+00:00")
    return Story(Recording(header, (*happened, entries.LastEntry(100.0, "over", len(happened) + 1))))


@pytest.mark.parametrize(
    ("due", "now", "ready_at"),
    [
        (10.0, 10.0, 20.0),  # it waited for a worker then, and does so now
        (3.0, 3.0, 3.0),  # nothing was done about it then: now it is
        (20.0, 20.0, 20.0),  # that pass has begun
        (70.0, 40.0, 66.0),  # a timer: its pass came a little earlier
        (90.5, 40.0, 90.5),  # that pass was made for something else
        (90.0, 90.0, NEVER_S),  # it waited still when the operator stopped
    ],
)
def test_a_key_is_taken_up_when_it_was(due: float, now: float, ready_at: float) -> None:
    story = story_of(
        entries.Passed(20.0, "c", "default/a", waited_s=9.5),
        entries.Passed(66.0, "c", "default/a", waited_s=0.0),
        entries.Stopping(95.0, [("c", "default/a")] if due == 90.0 else []),
    )
    assert pace_of(story, "c", sharded=False)(Key("default", "a"), due, now) == ready_at


def test_keys_of_other_replicas_are_left_to_them() -> None:
    story = story_of(entries.Passed(20.0, "c", "default/a"))
    mine, other = Key("default", "a"), Key("default", "b")
    assert pace_of(story, "c", sharded=True)(other, 1.0, 1.0) == NEVER_S
    assert pace_of(story, "c", sharded=False)(other, 1.0, 1.0) == 1.0
    assert pace_of(story, "c", sharded=True)(mine, 19.0, 19.0) == 20.0
