"""One development cluster and one operator for all scenarios of a bed."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from controllerkit.devcluster import Bed, open_bed
from controllerkit.devcluster.binaries import ETCD_VERSIONS
from controllerkit.objects import kinds
from operators.etcd.demo.newest import NEWEST_MINOR
from operators.etcd.demo.stage import OperatorProcess, Stage

DEPLOY_FILE = Path(__file__).parents[3] / "deploy" / "etcd-operator.yaml"
NAMESPACE = "default"
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


async def least_privileged(bed: Bed, path: Path) -> Path:
    """A kubeconfig that may do what ``deploy/etcd-operator.yaml`` grants, and nothing else where RBAC is enforced."""
    for value in yaml.safe_load_all(DEPLOY_FILE.read_text()):
        await bed.client.apply(value)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    account = kinds.SERVICE_ACCOUNT.path(NAMESPACE, "etcd-operator", "token")
    token = (await bed.client.request_json("POST", account, request))["status"]["token"]
    config = yaml.safe_load(bed.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def operator(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OperatorProcess]:
    folder: Path = tmp_path_factory.mktemp("operator")
    kubeconfig = await least_privileged(bed, folder / "kubeconfig")
    arguments = ("--namespace", NAMESPACE, "--map-version", f"3.2.*={VERSION}")
    process = OperatorProcess(kubeconfig, folder / "operator.log", *arguments)
    process.start()
    try:
        yield process
    finally:
        await process.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(bed: Bed, operator: OperatorProcess) -> AsyncIterator[Stage]:
    operator.check()
    one = Stage(bed, f"c{next(_numbers)}", NAMESPACE)
    yield one
    await one.delete()
