"""``controllerkit simulate``: seeds that pass, one that fails and is replayed, files that do not fit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from controllerkit.cli.__main__ import app
from controllerkit.errors import ConfigError, SimulationFailed

ROOT = Path(__file__).parents[3]
WEBSITE = ["simulate", str(ROOT / "examples" / "website.py"), "--primaries", str(ROOT / "examples" / "website.yaml")]
FORGETFUL = """
import itertools
from controllerkit import Reconciler, Request, Resource, kinds

class Site(Resource, group="example.dev", version="v1"):
    spec: dict = {}

class Forgetful(Reconciler[Site]):
    owns = (kinds.CONFIG_MAP,)
    numbers = itertools.count()

    async def reconcile(self, request: Request) -> None:
        site = await self.get(request.key)
        if site is not None:
            metadata = {"name": "page-of-" + site.key.name}
            value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            await self.apply(site, [{**value, "data": {"n": str(next(self.numbers))}}])
"""
SITE = "apiVersion: example.dev/v1\nkind: Site\nmetadata: {name: a, namespace: default}\n"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command sets the logs of its process up, which here is that of all tests."""
    before, configured = structlog.get_config(), structlog.is_configured()
    yield
    structlog.reset_defaults()
    if configured:
        structlog.configure(**before)


def test_seeds_that_pass_are_counted_in_words_and_as_json() -> None:
    shown = CliRunner().invoke(app, [*WEBSITE, "--seeds", "30"])
    assert (shown.exit_code, shown.stdout.partition(":")[0]) == (0, "30 seeds passed")
    data = json.loads(CliRunner().invoke(app, [*WEBSITE, "--seeds", "30", "--json"]).stdout)
    assert (data["passed"], data["seeds"]) == (True, 30)
    assert data["faults"]
    assert f"{data['calls']} calls, {data['writes']} writes" in shown.stdout


def test_a_seed_that_fails_is_told_and_replayed(tmp_path: Path) -> None:
    (tmp_path / "forgetful.py").write_text(FORGETFUL)
    (tmp_path / "site.yaml").write_text(SITE)
    command = ["simulate", str(tmp_path / "forgetful.py"), "--primaries", str(tmp_path / "site.yaml")]
    failed = CliRunner().invoke(app, command)
    assert isinstance(failed.exception, SimulationFailed)
    again = CliRunner().invoke(app, [*command, "--seed", str(failed.exception.seed), "--json"])
    told = json.loads(again.stdout)
    assert (again.exit_code, told["passed"], told["seed"]) == (1, False, failed.exception.seed)
    assert told["problem"] in str(failed.exception)
    assert told["steps"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kind: Pod\n", "no Website of example.dev/v1 in "),
        ("- a list\n", "holds a list, which is no object"),
        ("a: [\n", "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    refused = CliRunner().invoke(app, [*WEBSITE[:3], str(tmp_path / "wrong.yaml")])
    assert isinstance(refused.exception, ConfigError)
    assert sentence in str(refused.exception)
    assert "wrong.yaml" in str(refused.exception)
