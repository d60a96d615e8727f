"""The fixtures for pytest, as the page about testing shows them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from controllerkit import Manager, Reconciler, Request, Resource
from controllerkit.apiserver import ApiServer
from controllerkit.errors import ManagerError
from controllerkit.runtime import wait_until
from controllerkit.testing import connected, running
from tests.unit.conftest import Website

ROOT = Path(__file__).parents[3]


async def test_the_page_about_testing_shows_fixtures_that_work(tmp_path: Path) -> None:
    section = (ROOT / "docs" / "testing.md").read_text().partition("## A server for each test")[2]
    conftest, test = (each.partition("```")[0] for each in section.split("```python\n")[1:3])
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_page.py").write_text(test)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'examples'}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert b"1 passed" in told, told.decode()


class Left(Resource, group="pair.dev", version="v1", storage=True):
    spec: dict[str, int] = {}  # noqa: RUF012 - pydantic copies defaults


class LeftOld(Resource, group="pair.dev", version="v1alpha1", kind="Left", storage=False):
    spec: dict[str, int] = {}  # noqa: RUF012


async def test_versions_of_one_kind_are_one_definition_and_others_stand_beside_it() -> None:
    async with ApiServer(port=None) as server, connected(server, [LeftOld, Website, Left]) as client:
        await client.create({"apiVersion": "pair.dev/v1", "kind": "Left", "metadata": {"name": "a"}, "spec": {"x": 1}})
        old = (await client.list(LeftOld)).items
        assert [(each.name, each.api_version) for each in old] == [("a", "pair.dev/v1alpha1")]
        assert (await client.list(Website)).items == []


class Broken(Reconciler[Website]):
    name = "broken"
    recover_bugs = False

    async def reconcile(self, request: Request) -> None:
        raise AttributeError(request.key.name)


async def test_what_fails_while_a_manager_runs_fails_the_test() -> None:
    async with ApiServer(port=None) as server, connected(server, [Website]) as client:

        async def failing() -> None:
            async with running(client, Broken()) as manager:
                await client.create(Website.model_validate({"metadata": {"name": "a", "namespace": "default"}}))
                await wait_until(stopped(manager), what="the manager stops", timeout_s=10.0, interval_s=0.005)

        with pytest.raises(ManagerError, match="broken"):
            await failing()


def stopped(manager: Manager) -> Callable[[], Awaitable[bool]]:
    async def probed() -> bool:
        return not manager.ready.is_set()

    return probed
