"""The operator against an enemy that deletes Pods and volumes, kills it between any two writes, and edits the spec.

Safety is checked at every step, inside `raft` and `world`; liveness at the end: when the enemy rests, the cluster
becomes what its spec says, with every acknowledged write.
"""

from __future__ import annotations

import os

import pytest

from tests.unit.etcd.raft import Violation
from tests.unit.etcd.world import World

SEEDS = int(os.environ.get("ETCD_SEEDS", "300"))
BATCH = 25
HOSTILE_STEPS = 60
CALM_STEPS = 250


REACHABLE = {"": ("3.7.3",), "3.5": ("3.5.26", "3.6.16"), "3.6": ("3.6.16", "3.7.3"), "3.7": ("3.7.3",)}
"""Versions a cluster may be asked for, by a minor in it; of two minors, what both allow."""


def reachable(world: World) -> tuple[str, ...]:
    """What may be asked for now, whichever way an upgrade under way goes on."""
    entries = world.status.get("memberStatuses", ())
    seen = [version for entry in entries for version in (entry["version"], entry["runVersion"]) if version]
    seen += [process.version for process in world.etcd.processes.values()]
    minors = [version.rpartition(".")[0] for version in (min(seen, default=""), max(seen, default=""))]
    return tuple(version for version in REACHABLE[minors[0]] if version in REACHABLE[minors[1]])


async def live(seed: int) -> World:
    world = World(seed, {"size": (1, 3, 3, 5)[seed % 4], "version": ("3.6.16", "3.7.3")[seed % 2]})
    try:
        for _ in range(HOSTILE_STEPS):
            await world.step()
        world.hostile = False
        version = world.rng.choice(reachable(world))
        world.set_spec(size=world.rng.choice((1, 3, 5)), version=version, paused=False)
        for _ in range(CALM_STEPS):
            await world.step()
            if not world.problems() and world.acknowledged:
                return world
    except Violation as violation:
        raise AssertionError(f"seed {seed}: {violation}\n" + "\n".join(world.trace[-40:])) from violation
    told = "\n".join([*world.trace[-40:], *world.problems(), str(world.status.get("plan"))])
    raise AssertionError(f"seed {seed}: not converged in {CALM_STEPS} steps\n{told}")


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
async def test_whatever_the_enemy_does_nothing_is_lost_and_the_cluster_becomes_what_the_spec_says(first: int) -> None:
    for seed in range(first, min(first + BATCH, SEEDS)):
        await live(seed)


async def test_an_undisturbed_cluster_of_three_takes_few_passes() -> None:
    world = World(0, {"size": 3, "version": "3.7.3"}, hostile=False)
    passes = 0
    while world.problems() and passes < 100:
        await world.step()
        passes += 1
    assert passes < 60
    before = world.api.version
    for _ in range(10):
        assert await world.reconcile() == 10.0
    assert world.api.version == before, "a settled cluster is not written to"
