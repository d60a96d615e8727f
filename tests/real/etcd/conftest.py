"""One development cluster and one operator for all scenarios of a bed."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from controllerkit.devcluster import Bed, open_bed
from controllerkit.devcluster.binaries import ETCD_VERSIONS
from operators.etcd.demo.newest import NEWEST_MINOR
from operators.etcd.demo.stage import OperatorProcess, Stage

VERSION = ETCD_VERSIONS[NEWEST_MINOR]
_numbers: Iterator[int] = itertools.count()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "bed" in metafunc.fixturenames:
        beds = metafunc.config.getoption("--bed") or ["embedded", "real"]
        marks = {"cluster": [pytest.mark.cluster, pytest.mark.real]}
        params = [pytest.param(bed, marks=marks.get(bed, [pytest.mark.real])) for bed in beds]
        metafunc.parametrize("bed", params, indirect=True, scope="session")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bed]:
    folder = tmp_path_factory.mktemp(f"bed-{request.param}")
    async with open_bed(request.param, data_dir=folder) as running:
        await Stage(running, "any").install_crd()
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def operator(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OperatorProcess]:
    log: Path = tmp_path_factory.mktemp("operator") / "operator.log"
    process = OperatorProcess(bed.kubeconfig, log, "--map-version", f"3.2.*={VERSION}")
    process.start()
    try:
        yield process
    finally:
        await process.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(bed: Bed, operator: OperatorProcess) -> AsyncIterator[Stage]:
    operator.check()
    one = Stage(bed, f"c{next(_numbers)}")
    yield one
    await one.delete()
