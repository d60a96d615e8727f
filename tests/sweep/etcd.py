"""The etcd operator in its own world (``tests/unit/etcd/world.py``), where an enemy takes Pods and volumes away.

Safety is looked at in every step, liveness when the enemy rests: see ``tests/unit/etcd/test_simulation.py``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from controllerkit.errors import SimulationFailed
from controllerkit.objects import Object
from controllerkit.testing import Report
from operators.etcd.api import EtcdCluster
from operators.etcd.cluster import decide
from operators.etcd.cluster.intent import Intent
from operators.etcd.cluster.model import Observed
from tests.unit.etcd.test_simulation import live

Bug = Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class EtcdSubject:
    """As `Subject`; a mistake replaces one function of the operator."""

    name: str
    bugs: Mapping[Bug, Mapping[str, Any]] = field(default_factory=dict)

    def sweep(self, seeds: Iterable[int]) -> Report:
        total = Report(0, 0, 0, 0, 0.0)
        with asyncio.Runner() as runner:
            for seed in seeds:
                total += self._live(runner, seed)
        return total

    def find(self, bug: Bug, seeds: int) -> SimulationFailed | None:
        with bug():
            try:
                self.sweep(range(seeds))
            except SimulationFailed as failed:
                return failed
        return None

    def _live(self, runner: asyncio.Runner, seed: int) -> Report:
        try:
            world = runner.run(live(seed))
        except AssertionError as error:
            problem, *trace = re.sub(r"^seed \d+: ", "", str(error)).splitlines()
            raise SimulationFailed(seed=seed, problem=problem, steps=(), steps_drawn=0, trace=trace) from error
        deeds = [line for line in world.trace if line.startswith(("enemy", "user"))]
        kills = world.trace.count("   operator killed")
        faults = {"Deed": len(deeds), "Crash": kills}
        return Report(1, world.passes, world.api.version, 1 + kills, world.lived_s, faults)


@contextmanager
def no_majority_is_asked_for() -> Iterator[None]:
    """A member whose volume is lost leaves although the others are no majority."""
    with mock.patch.object(decide, "majority_without", return_value=True):
        yield


@contextmanager
def rolls_while_another_is_down() -> Iterator[None]:
    """The next Pod is made anew before the last one is back."""

    def roll(step: Any, observed: Observed, _: Intent, version: Any, base: decide.Decision) -> None:
        for seat in base.seats:
            if seat.name in decide._outdated(observed, version, base) and seat.pod and not seat.pod.terminating:
                step.rolling = seat.name
                step.actions.append(decide.DeletePod(seat.name, seat.pod.uid))
                return

    with mock.patch.object(decide, "_roll", roll):
        yield


@contextmanager
def adds_before_the_last_has_started() -> Iterator[None]:
    """Members are added one after the other, and none is waited for."""

    def resize(step: Any, observed: Observed, intent: Intent, version: Any, base: decide.Decision) -> None:
        have, want = len(base.seats), intent.size or 0
        if have < want:
            decide._join(step, observed, version, f"{have} of {want} members")
        elif have > want:
            decide._shrink(step, observed, version, base, want)

    not_waiting = (mock.patch.object(decide, name) for name in ("_await_joining", "_promote"))
    with ExitStack() as patched:
        for each in (*not_waiting, mock.patch.object(decide, "_resize", resize)):
            patched.enter_context(each)
        yield


@contextmanager
def founds_where_nobody_answers() -> Iterator[None]:
    """A cluster without members is taken for one that was never there."""
    right = decide.decide

    def wrong(observed: Observed, intent: Intent) -> decide.Decision:
        if decide.identity(observed) and observed.membership is None and not observed.pods:
            before = observed.cluster.source.status
            new = [entry for entry in before.get("memberStatuses", ()) if not entry.get("id")]
            status = {"highestOrdinal": observed.cluster.status.highest_ordinal, "memberStatuses": new}
            forgotten = Object.from_dict({**observed.cluster.source.to_dict(), "status": status})
            volumes = {name: volume for name, volume in observed.volumes.items() if not volume.cluster_id}
            observed = replace(observed, cluster=EtcdCluster.from_object(forgotten), volumes=volumes)
        return right(observed, intent)

    with mock.patch("operators.etcd.cluster.analyze.decide", wrong):
        yield


@contextmanager
def forgets_who_is_on_which_volume() -> Iterator[None]:
    """A volume that was swapped for an empty one is taken for the member's own."""
    with mock.patch("operators.etcd.cluster.seats.Seat.volume_lost", property(lambda seat: False)):
        yield


ETCD = EtcdSubject(
    name="etcd",
    bugs={
        no_majority_is_asked_for: {},
        rolls_while_another_is_down: {},
        adds_before_the_last_has_started: {},
        founds_where_nobody_answers: {},
        forgets_who_is_on_which_volume: {},
    },
)
