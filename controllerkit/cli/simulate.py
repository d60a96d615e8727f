"""``controllerkit simulate``: a reconciler through many lives, by seed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from controllerkit.cli.run import maker
from controllerkit.errors import ConfigError, SimulationFailed

if TYPE_CHECKING:
    from controllerkit.objects import Kind
    from controllerkit.testing import Report

__all__ = ["SIMULATE_HELP", "simulate"]

SIMULATE_HELP = """Sweep a reconciler by seeds, without a cluster.

In each seed a user creates, changes and deletes the objects of --primaries, calls are lost or refused, watches end and
lag, and the process crashes between two calls and starts again. Then the faults stop, and everything must become quiet
and stay so over a restart. What should hold then is asserted by a test: see docs/testing.md.

TARGET is what `controllerkit run` takes. In the files of --primaries, objects of the reconciler's kind are what the
user wants (those of one name are variants of one object); others are there from the start.

Exit status: 0 every seed passed, 1 one failed and is told, 2 called wrongly, 130 interrupted.

Examples:

  controllerkit simulate examples/website.py --primaries examples/website.yaml --seeds 1000

  controllerkit simulate examples/website.py --primaries examples/website.yaml --seed 17
"""

BATCH: Final = 25
"""Progress is told after so many seeds."""


def simulate(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="what to sweep, as MODULE:NAME")],
    primaries: Annotated[list[Path], typer.Option(metavar="FILE", help="YAML of what a user writes; repeatable")],
    seeds: Annotated[int, typer.Option(min=1, help="how many")] = 100,
    seed: Annotated[int | None, typer.Option(help="this one alone, to replay it")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the outcome as JSON")] = False,
) -> None:
    """See ``SIMULATE_HELP``."""
    from controllerkit import testing
    from controllerkit.runtime import configure_logging

    configure_logging(level="CRITICAL")  # failures are what it makes; the one that counts is told whole
    make = maker(target)
    wanted, before = _sorted_out(make().primary_kind(), primaries)
    chosen = range(seeds) if seed is None else range(seed, seed + 1)
    done: list[Report] = []
    try:
        for begin in range(0, len(chosen), BATCH):
            batch = chosen[begin : begin + BATCH]
            done.append(testing.simulate(make, primaries=wanted, objects=before, seeds=batch))
            _progress(f"{begin + len(batch)} of {len(chosen)} seeds passed")
    except SimulationFailed as failed:
        if not as_json:
            raise
        told = {"seed": failed.seed, "problem": failed.problem, "steps": failed.steps, "trace": failed.trace}
        print(json.dumps({"passed": False, **told}, indent=2))
        raise typer.Exit(1) from failed
    finally:
        _progress("")
    report = sum(done[1:], start=done[0])
    print(json.dumps({"passed": True, **asdict(report)}, indent=2) if as_json else report)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _sorted_out(kind: Kind, files: Sequence[Path]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """The primaries, and what is there before; definitions come from the models."""
    values = [value for file in files for value in _read(file)]
    mine = [each for each in values if (each.get("apiVersion"), each.get("kind")) == (kind.api_version, kind.kind)]
    if not mine:
        raise ConfigError(f"no {kind.kind} of {kind.api_version} in {', '.join(map(str, files))}")
    others = [each for each in values if each not in mine and each.get("kind") != "CustomResourceDefinition"]
    return mine, others


def _read(file: Path) -> list[Mapping[str, Any]]:
    import yaml

    try:
        values = [each for each in yaml.safe_load_all(file.read_text()) if each is not None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    if wrong := [each for each in values if not isinstance(each, Mapping)]:
        raise ConfigError(f"{file} holds a {type(wrong[0]).__name__}, which is no object")
    return values
