"""`simulate`: a reconciler against an API server, a user and much bad luck, in one process and no time."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from controllerkit.client import ObjectLike
from controllerkit.controller import Owns, Reconciler, Watch
from controllerkit.errors import ConfigError, SimulationError, SimulationFailed
from controllerkit.objects import Kind, Object
from controllerkit.schema import Resource, custom_resource_definition
from controllerkit.testing.life import Broken, Check, Life, Limits, Outcome, Setting
from controllerkit.testing.process import Outside
from controllerkit.testing.schedule import Faults, Step, draw_schedule
from controllerkit.testing.shrink import shrunk, simplified
from controllerkit.testing.simloop import SimLoop

__all__ = ["Report", "simulate"]

SHRINK_RUNS_MAX: Final = 80
SIMPLIFY_RUNS_MAX: Final = 40

Maker = Callable[..., Reconciler[Any]]
Primaries = Sequence[ObjectLike] | Callable[[Random], ObjectLike]


@dataclass(frozen=True, slots=True)
class Report:
    """What was tried.

    Attributes:
        faults: how often each kind of fault happened.
        virtual_s: the time that passed in all simulations together.
    """

    seeds: int
    calls: int
    writes: int
    starts: int
    virtual_s: float
    faults: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Report) -> Report:
        """Both together."""
        return Report(
            self.seeds + other.seeds,
            self.calls + other.calls,
            self.writes + other.writes,
            self.starts + other.starts,
            self.virtual_s + other.virtual_s,
            dict(Counter(self.faults) + Counter(other.faults)),
        )

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items())) or "none"
        return (
            f"{self.seeds} seeds passed: {self.calls} calls, {self.writes} writes, {self.starts} starts, "
            f"{self.virtual_s / 3600:.1f} virtual hours; faults: {faults}"
        )


def simulate(
    make: Maker,
    *,
    primaries: Primaries,
    seeds: int | Iterable[int] = 100,
    seed: int | None = None,
    invariants: Iterable[Check] = (),
    converged: Check | None = None,
    world: Iterable[Maker] = (),
    outside: Callable[[Outside], Any] | None = None,
    objects: Iterable[ObjectLike] = (),
    crds: Iterable[type[Resource]] = (),
    replicas: int = 1,
    faults: Faults | None = None,
    limits: Limits | None = None,
) -> Report:
    """Runs a reconciler through ``seeds`` different lives, and finds the one in which it fails.

    In each a user creates, changes and deletes primaries while calls are lost or refused, watches end and lag, owned
    objects are deleted by others, and the whole process crashes between two calls and starts again. Then the faults
    stop, and the world must become and stay what it should be.

    Guarantees:
        A seed is one run: whatever it finds, it finds again (`SimLoop` says what a reconciler must not do for that).
        No socket, thread, file or real waiting; a small reconciler takes some hundredths of a second a seed.
        It fails when

        - an invariant is broken, which are looked at after every write;
        - after the faults ``converged`` does not hold within ``limits.converge_s``, a key keeps failing (other than
          with TerminalError), or a deleted primary stays;
        - a replica writes that does not hold the lease;
        - it is never quiet: more than ``limits.writes_max`` writes follow;
        - a restart with nothing changed writes something.

    Args:
        make: a new reconciler, as a new process would make it; called at every start of the process.
        primaries: what the user wants: examples, of which those of one name are variants of one object; or a
            function that draws one.
        seeds: how many, or which; ``seed`` one only, to replay it.
        invariants, converged: called with the `World`; they raise AssertionError, or return False, where it is not
            as it should be.
        world: reconcilers of what else acts in the cluster, such as a kubelet's stand-in; they do not fail.
        outside: makes, anew for each seed, what the reconciler acts on outside of the cluster, such as a cloud. Its
            methods go through `Outside.call`, so that they can be lost. ``make`` and those of ``world`` are then
            called with it, and checks find it as ``world.outside``.
        objects: what is there before.
        crds: `Resource` classes to be served, besides those that the reconciler names.
        replicas: so many processes run it with leader election; one may stand still or be cut off for longer than
            its lease.
    Raises:
        SimulationFailed: with the seed, what went wrong, the few steps it needs, and what happened.
        ConfigError: there is nothing to simulate.
    """
    checks = (tuple(invariants), converged)
    acting = (make, tuple(world), outside)
    setting = _setting(acting, primaries, checks, objects, crds, replicas, faults or Faults(), limits or Limits())
    chosen = (seed,) if seed is not None else range(seeds) if isinstance(seeds, int) else tuple(seeds)
    outcomes = []
    for each in chosen:
        steps = _schedule(setting, each)
        outcome = _run(setting, each, steps)
        if outcome.broken is not None:
            raise _failed(setting, each, steps, outcome)
        outcomes.append(outcome)
    return Report(
        len(outcomes),
        sum(each.calls for each in outcomes),
        sum(each.writes for each in outcomes),
        sum(each.starts for each in outcomes),
        sum(each.virtual_s for each in outcomes),
        dict(sum((each.faults for each in outcomes), Counter())),
    )


def _setting(
    acting: tuple[Maker, tuple[Maker, ...], Callable[[Outside], Any] | None],
    primaries: Primaries,
    checks: tuple[tuple[Check, ...], Check | None],
    objects: Iterable[ObjectLike],
    crds: Iterable[type[Resource]],
    replicas: int,
    faults: Faults,
    limits: Limits,
) -> Setting:
    makers, outside = (acting[0], *acting[1]), acting[2] or (lambda _: None)
    if replicas < 1:
        raise ConfigError(f"simulate() needs one replica or more, got {replicas}")
    made = [each if acting[2] is not None else _alone(each) for each in makers]
    reconcilers = [each(outside(Outside(Random(0)))) for each in made]
    kinds = [_declared(each) for one in reconcilers for each in (*one.owns, *one.watches)]
    named = [one.resource for one in reconcilers if one.resource] + [each for each in kinds if isinstance(each, type)]
    definitions = [custom_resource_definition(each) for each in dict.fromkeys([*crds, *named])]
    kind = reconcilers[0].primary_kind()
    if callable(primaries):
        drawn = primaries

        def draw(rng: Random) -> Mapping[str, Any]:
            return _plain(drawn(rng), kind)
    else:
        examples = [_plain(each, kind) for each in primaries]
        if not examples:
            raise ConfigError("simulate() needs primaries: examples of what a user writes, or a function of a Random")

        def draw(rng: Random) -> Mapping[str, Any]:
            return rng.choice(examples)

    owned = tuple(_kind(_declared(each)) for each in reconcilers[0].owns)
    before = (*definitions, *(_plain(each) for each in objects))
    return Setting(
        make=made[0],
        draw=draw,
        kind=kind,
        owned=owned,
        world=tuple(made[1:]),
        outside=outside,
        replicas=replicas,
        before=before,
        invariants=checks[0],
        converged=checks[1],
        faults=faults,
        limits=limits,
    )


def _alone(make: Maker) -> Callable[[Any], Reconciler[Any]]:
    """For a simulation in which nothing lies outside."""
    return lambda _: make()


def _declared(each: Any) -> Any:
    """The kind that an entry of ``owns`` or ``watches`` names."""
    return each.kind if isinstance(each, Owns | Watch) else each


def _kind(kind: Any) -> Kind:
    return kind if isinstance(kind, Kind) else kind.resource_kind()


def _plain(value: ObjectLike, kind: Kind | None = None) -> Mapping[str, Any]:
    """As a dict; one of a namespaced ``kind`` lies in "default" unless it says another namespace."""
    if isinstance(value, Resource):
        value = value.to_object()
    plain = value.to_dict() if isinstance(value, Object) else dict(value)
    place = {"namespace": "default"} if kind is not None and kind.namespaced else {}
    return {**plain, "metadata": {**place, **plain["metadata"]}}


def _schedule(setting: Setting, seed: int) -> tuple[Step, ...]:
    limits = setting.limits
    return draw_schedule(
        Random(f"{seed} schedule"),
        setting.draw,
        actions=limits.actions,
        duration_s=limits.faults_s,
        faults=setting.faults,
        replicas=setting.replicas,
    )


def _run(setting: Setting, seed: int, steps: Sequence[Step]) -> Outcome:
    """One life. The cyclic collector is off: when it runs depends on what ran before, and it ends generators."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        loop = SimLoop(Random(f"{seed} loop"))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            life = Life(setting, seed, steps, loop)
            broken = None
            try:
                runner.run(life.go())
            except Broken as error:
                broken = error
            except SimulationError as error:
                broken = Broken("stuck", str(error))
            network = life.network
            return Outcome(broken, life.trace, network.calls, life.writes, life.starts, loop.time(), network.happened)
    finally:
        if collecting:
            gc.enable()


def _failed(setting: Setting, seed: int, steps: Sequence[Step], outcome: Outcome) -> SimulationFailed:
    """Makes the schedule smaller and simpler as long as it fails in the same way."""
    broken, trace = outcome.broken, outcome.trace

    def fails(fewer: Sequence[Step]) -> bool:
        nonlocal broken, trace
        again = _run(setting, seed, fewer)
        if again.broken is None or broken is None or again.broken.what != broken.what:
            return False
        broken, trace = again.broken, again.trace
        return True

    needed = shrunk(steps, fails, runs_max=SHRINK_RUNS_MAX)
    needed = simplified(needed, fails, runs_max=SIMPLIFY_RUNS_MAX)
    needed = tuple(sorted(needed, key=lambda each: getattr(each, "at_s", setting.limits.faults_s)))
    return SimulationFailed(
        seed=seed, problem=str(broken), steps=[str(each) for each in needed], steps_drawn=len(steps), trace=trace.shown
    )
