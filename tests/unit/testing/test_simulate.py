"""`simulate` passes what is right, and finds each planted bug within a few seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from controllerkit import ApiModel, Reconciler, Request, Resource, Result, kinds
from controllerkit.errors import ConfigError, SimulationFailed
from controllerkit.objects import Key, set_controller_reference
from controllerkit.testing import Faults, Limits, Outside, World, simulate
from controllerkit.testing.schedule import Crash, Cut, Pause, Put, Trouble, draw_schedule, fault_for
from controllerkit.testing.shrink import shrunk, simplified
from controllerkit.testing.transport import Delayed, LostAnswer, Stale

ROOT = Path(__file__).parents[3]


class PageSpec(ApiModel):
    text: str


class PageStatus(ApiModel):
    map: str = ""
    at: str = ""


class Page(Resource, group="example.dev", version="v1"):
    spec: PageSpec
    status: PageStatus = PageStatus()


def page(name: str, text: str) -> dict[str, Any]:
    return {"apiVersion": "example.dev/v1", "kind": "Page", "metadata": {"name": name}, "spec": {"text": text}}


SHORT = Limits(faults_s=10.0, writes_max=100)
PAGES = [page(name, text) for name in "ab" for text in ("one", "two")]


def config_map(name: str, text: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"html": text}}


def each_page_has_its_one_map(world: World) -> None:
    for each in world.list(Page):
        texts = [found.get("data", "html") for found in world.owned(each, kinds.CONFIG_MAP)]
        assert texts == [each.spec.text], f"{each.key}: maps say {texts}"


def a_status_tells_of_a_map_that_is_there(world: World) -> None:
    for each in world.list(Page):
        assert not each.status.map or world.owned(each, kinds.CONFIG_MAP), f"{each.key} tells of a map there is not"


class Right(Reconciler[Page]):
    owns = (kinds.CONFIG_MAP,)

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is None:
            return None
        await self.apply(found, [config_map(found.key.name, found.spec.text)])
        await self.write_status(found, {"map": found.key.name})
        return None


class CreatesWithoutAName(Right):
    """The server names the child, and the name is written down after that: what dies in between makes another."""

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is None:
            return None
        if not found.status.map:
            child = config_map("", found.spec.text)
            child["metadata"] = {"generateName": f"{found.key.name}-", "namespace": found.key.namespace}
            set_controller_reference(found.source, child)
            await self.write_status(found, {"map": (await self.client.create(child)).name})
        else:
            await self.apply(found, [config_map(found.status.map, found.spec.text)])
        return None


class TellsBeforeItDoes(Right):
    """The status is written before what it tells of."""

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is None:
            return None
        if found.status.map != found.key.name:
            await self.write_status(found, {"map": found.key.name})
        await self.apply(found, [config_map(found.key.name, found.spec.text)])
        return None


class RemembersWhatIsToDo(Right):
    """The second half of the work is known to this process only."""

    def __init__(self) -> None:
        self.unfinished: set[Key] = set()

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is None:
            return None
        if self.read(kinds.CONFIG_MAP, request.key) is None:
            self.unfinished.add(request.key)
            await self.apply(found, [config_map(found.key.name, "")])
            return Result(requeue_after_s=2.0)
        if request.key in self.unfinished or found.status.map:
            await super().reconcile(request)
            self.unfinished.discard(request.key)
        return None


class SeesNoDeletion(Right):
    """What was done once is not looked at again."""

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is None or (found.status.map and found.status.at == found.spec.text):
            return None
        await self.apply(found, [config_map(found.key.name, found.spec.text)])
        await self.write_status(found, {"map": found.key.name, "at": found.spec.text})
        return None


class WritesInEveryPass(Right):
    """The time in the status wakes the reconciler, which writes the time."""

    async def reconcile(self, request: Request) -> Result | None:
        await super().reconcile(request)
        found = await self.get(request.key)
        if found is not None:
            await self.write_status(found, {"map": found.key.name, "at": self.clock.utcnow().isoformat()})
        return None


class CreatesInEveryPass(Right):
    """What was made once is there, and making it again is refused for ever."""

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is not None:
            child = config_map(found.key.name, found.spec.text)
            child["metadata"]["namespace"] = found.key.namespace
            set_controller_reference(found.source, child)
            await self.client.create(child)
        return None


class CannotDeleteTwice(Right):
    """Cleaning up fails where it was done already."""

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is None:
            return None
        mine = "example.dev/clean-up"
        if not found.source.deleting:
            if mine not in found.source.finalizers:
                await self.client.patch(Page, found.key, {"metadata": {"finalizers": [mine]}})
            return await super().reconcile(request)
        await self.client.delete(kinds.CONFIG_MAP, found.key)
        await self.client.patch(Page, found.key, {"metadata": {"finalizers": []}})
        return None


def test_a_right_reconciler_passes_and_the_report_says_what_it_went_through() -> None:
    report = simulate(Right, primaries=PAGES, seeds=40, converged=each_page_has_its_one_map)
    assert (report.seeds, report.starts > 80, report.writes > 200, report.calls > 400) == (40, True, True, True)
    assert {"Crash", "Cut", "LostAnswer", "LostRequest", "Refusal", "Delayed"} <= set(report.faults)
    assert str(report).startswith("40 seeds passed: ")
    held = simulate(
        Right,
        primaries=PAGES,
        seeds=20,
        invariants=[a_status_tells_of_a_map_that_is_there],
        faults=Faults(children=0),
    )
    assert held.seeds == 20


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (CreatesWithoutAName, "not converged: default/.: maps say"),
        (RemembersWhatIsToDo, "not converged: default/.: maps say"),
        (SeesNoDeletion, r"not converged: default/.: maps say \[\]"),
        (WritesInEveryPass, r"never quiet: 1\d\d writes in \d+ s without a fault, the last: MODIFIED Page default/."),
        (CreatesInEveryPass, "not converged: default/. keeps failing: AlreadyExists"),
        (CannotDeleteTwice, "not converged: default/. keeps failing: NotFound"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_bug_is_found_within_a_few_seeds(make: Callable[[], Reconciler[Page]], problem: str) -> None:
    with pytest.raises(SimulationFailed, match=problem) as caught:
        simulate(make, primaries=PAGES, seeds=100, converged=each_page_has_its_one_map, limits=SHORT)
    failed = caught.value
    assert failed.seed < 50
    assert len(failed.steps) <= min(failed.steps_drawn, 8)
    with pytest.raises(SimulationFailed) as again:
        simulate(make, primaries=PAGES, seed=failed.seed, converged=each_page_has_its_one_map, limits=SHORT)
    assert str(again.value) == str(failed)


def test_an_invariant_is_looked_at_after_every_write() -> None:
    with pytest.raises(SimulationFailed, match=r"an invariant is broken: default/. tells of a map there is not"):
        simulate(
            TellsBeforeItDoes,
            primaries=PAGES,
            seeds=5,
            invariants=[a_status_tells_of_a_map_that_is_there],
            faults=Faults.none(),
        )


class WritesPastTheGate(Right):
    """Its client is one that nobody asks whether this process leads."""

    async def reconcile(self, request: Request) -> Result | None:
        self.client = self.client.without(*self.client.hooks)
        return await super().reconcile(request)


def test_of_two_replicas_one_leads_and_none_writes_without_the_lease() -> None:
    report = simulate(Right, primaries=PAGES, seeds=25, replicas=2, converged=each_page_has_its_one_map)
    assert {"Pause", "CutOff", "Crash"} <= set(report.faults)
    problem = r"a write without the lease: \w+ /.* by replica . start \d, while .* holds the lease"
    with pytest.raises(SimulationFailed, match=problem) as e:
        simulate(WritesPastTheGate, primaries=PAGES, seeds=200, replicas=2, converged=each_page_has_its_one_map)
    assert any("stands still" in step for step in e.value.steps), "that is what finds it"
    with pytest.raises(SimulationFailed) as again:
        simulate(WritesPastTheGate, primaries=PAGES, seed=e.value.seed, replicas=2)
    assert str(again.value) == str(e.value)
    with pytest.raises(ConfigError, match="one replica or more, got 0"):
        simulate(Right, primaries=PAGES, replicas=0)


class Letters:
    """A letter box outside: who writes to it twice has sent two letters."""

    def __init__(self, line: Outside) -> None:
        self._line = line
        self.letters: dict[str, int] = {}

    async def send(self, to: str) -> None:
        await self._line.call(f"send {to}", lambda: self.letters.update({to: self.letters.get(to, 0) + 1}))

    async def read(self) -> dict[str, int]:
        return await self._line.call("read", lambda: dict(self.letters))


class SendsALetter(Right):
    owns = ()

    def __init__(self, box: Letters) -> None:
        self.box = box

    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is not None and not (await self.box.read()).get(found.key.name):
            await self.box.send(found.key.name)
        return None


class SendsWithoutLooking(SendsALetter):
    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is not None and not found.status.map:
            await self.box.send(found.key.name)
            await self.write_status(found, {"map": "sent"})
        return None


def each_page_has_one_letter(world: World) -> None:
    sent = {each.key.name: world.outside.letters.get(each.key.name) for each in world.list(Page)}
    assert set(sent.values()) <= {1}, f"letters sent: {sent}"


def test_what_lies_outside_is_new_for_each_seed_and_calls_to_it_are_lost_like_others() -> None:
    report = simulate(SendsALetter, primaries=PAGES, outside=Letters, seeds=40, converged=each_page_has_one_letter)
    assert report.faults["LostAnswer"] > 0
    once = Limits(actions=1)
    with pytest.raises(SimulationFailed, match=r"letters sent: {'.': 2}") as caught:
        simulate(
            SendsWithoutLooking,
            primaries=PAGES,
            outside=Letters,
            seeds=100,
            converged=each_page_has_one_letter,
            limits=once,
        )
    assert any("is troubled" in each or "crashes" in each for each in caught.value.steps)


class Stamps(Reconciler[Page]):
    """Writes once for each pass, and nothing of it wakes it."""

    owns = ()

    async def reconcile(self, request: Request) -> Result | None:
        child = config_map(request.key.name, self.clock.utcnow().isoformat())
        child["metadata"]["namespace"] = "default"
        await self.client.apply(child, force=True)
        return None


def test_a_restart_with_nothing_changed_must_write_nothing() -> None:
    with pytest.raises(SimulationFailed, match=r"not idempotent: . writes after a restart with nothing changed"):
        simulate(Stamps, primaries=PAGES, seeds=5, faults=Faults.none())
    assert simulate(Stamps, primaries=PAGES, seeds=5, limits=Limits(restart_writes=2)).seeds == 5


class Fills(Reconciler[Any]):
    """The rest of the world: it fills in what a Page asks for."""

    kind = kinds.CONFIG_MAP
    name = "fills"

    async def reconcile(self, request: Request) -> Result | None:
        found = self.read(kinds.CONFIG_MAP, request.key)
        if found is not None and found.get("data", "wanted") and not found.get("data", "html"):
            await self.client.patch(kinds.CONFIG_MAP, request.key, {"data": {"html": found.get("data", "wanted")}})
        return None


class Asks(Right):
    async def reconcile(self, request: Request) -> Result | None:
        found = await self.get(request.key)
        if found is not None:
            child = {**config_map(found.key.name, ""), "data": {"wanted": "filled"}}
            await self.apply(found, [child])
        return None


def filled(world: World) -> bool:
    return all(each.get("data", "html") == "filled" for each in world.list(kinds.CONFIG_MAP) if each.owner_references)


def test_the_rest_of_the_world_acts_too() -> None:
    with pytest.raises(SimulationFailed, match="not converged: filled does not hold"):
        simulate(Asks, primaries=PAGES, seeds=3, converged=filled)
    assert simulate(Asks, primaries=PAGES, seeds=10, converged=filled, world=[Fills]).seeds == 10


def test_primaries_can_be_drawn() -> None:
    drawn = set()

    def draw(rng: Random) -> dict[str, Any]:
        value = page(rng.choice("abc"), str(rng.random()))
        drawn.add(value["spec"]["text"])
        return value

    simulate(Right, primaries=draw, seeds=5, converged=each_page_has_its_one_map)
    assert len(drawn) > 5
    with pytest.raises(ConfigError, match="needs primaries"):
        simulate(Right, primaries=[])


SAME = """
from tests.unit.testing.test_simulate import *
passes = []

class Noted(Right):
    async def reconcile(self, request):
        passes.append((self.clock.monotonic(), str(request.key), sorted(request.reasons)))
        return await super().reconcile(request)

print(simulate(Noted, primaries=PAGES, seeds=20), passes)
"""


def test_a_seed_is_the_same_run_in_every_process_whatever_its_hash_seed() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", SAME],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert "20 seeds passed" in told[0]
    assert told[0] == told[1]


def test_a_schedule_is_drawn_from_its_seed_and_made_of_what_faults_allow() -> None:
    def drawn(seed: int, faults: Faults) -> list[Any]:
        return list(draw_schedule(Random(seed), lambda rng: rng.choice(PAGES), actions=6, duration_s=30, faults=faults))

    assert drawn(1, Faults()) == drawn(1, Faults())
    assert len({repr(drawn(seed, Faults())) for seed in range(20)}) == 20
    kinds_of = {type(step).__name__ for seed in range(50) for step in drawn(seed, Faults())}
    assert kinds_of == {"Put", "Delete", "DeleteChild", "Cut", "Trouble", "Crash"}
    calm = {type(step).__name__ for seed in range(50) for step in drawn(seed, Faults.none())}
    assert calm == {"Put", "Delete"}


def test_shrinking_keeps_what_is_needed_and_asks_no_more_than_it_may() -> None:
    steps: list[Any] = [Trouble(call, 0) for call in range(16)]
    needed = {3, 11}

    def fails(fewer: Any) -> bool:
        asked.append(len(fewer))
        return needed <= {step.call for step in fewer}

    asked: list[int] = []
    assert {step.call for step in shrunk(steps, fails, runs_max=100)} == needed
    assert len(asked) < 40
    asked.clear()
    assert len(shrunk(steps, fails, runs_max=3)) > 2
    assert len(asked) == 3


def test_what_is_left_is_made_as_short_and_as_simple_as_it_may_be() -> None:
    spec = {"text": "abcdefgh", "replicas": 8, "more": ["x", "y", "z"], "unused": {"a": 1}}
    steps: list[Any] = [
        Put(1.0, {"kind": "Page", "metadata": {"name": "a"}, "spec": spec}),
        Crash(7, True, 4.0),
        Pause(2.0, 0, 20.0),
        Cut(3.0, True),
        Trouble(9, 4, 5.0),
    ]

    def fails(fewer: Any) -> bool:
        put, crash, pause, *_ = fewer
        wanted = put.value.get("spec", {})
        big = wanted.get("replicas", 0) >= 3 and "y" in wanted.get("more", [])
        return big and len(wanted.get("text", "")) >= 2 and crash.away_s >= 1.0 and pause.for_s >= 15.0

    made = simplified(steps, fails, runs_max=1000)
    assert made == (
        Put(
            1.0,
            {"kind": "Page", "metadata": {"name": "a"}, "spec": {"text": "ab", "replicas": 4, "more": ["x", "y", "z"]}},
        ),
        Crash(7, True, 1.0),
        Pause(2.0, 0, 20.0),
        Cut(3.0, False),
        Trouble(9, 4, 0.0),
    )
    assert simplified(steps, fails, runs_max=0) == tuple(steps)


def test_a_fault_is_one_that_can_befall_the_verb() -> None:
    reads = {type(fault_for("get", "/api/v1/pods", Trouble(1, draw))) for draw in range(50)}
    assert not reads & {LostAnswer, Stale}
    assert Stale in {type(fault_for("get", "/api/v1/pods?resourceVersion=0", Trouble(1, draw))) for draw in range(50)}
    assert {LostAnswer, Delayed} <= {type(fault_for("create", "/api/v1/pods", Trouble(1, draw))) for draw in range(50)}


def test_steps_say_what_they_are() -> None:
    assert str(Put(1.5, PAGES[0])) == "  1.50 s  the user puts Page a {'spec': {'text': 'one'}}"
    assert (
        str(Crash(7, True, 2.0)) == "  call 7  the process crashes once the server has done it, and is away for 2.00 s"
    )


def test_the_page_about_testing_shows_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    code = (ROOT / "docs" / "testing.md").read_text().partition("```python\n")[2].partition("```")[0]
    shown: dict[str, Any] = {}
    exec(code, shown)
    shown["test_websites_have_pages_whatever_happens"]()
    report = simulate(
        shown["WebsiteReconciler"],
        primaries=shown["SITES"],
        seeds=range(50, 120),
        converged=shown["every_site_has_its_page"],
    )
    assert report.seeds == 70
