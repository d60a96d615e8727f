"""What is written is read by Prometheus itself: by promtool of both majors, and by a Prometheus that starts with it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import pytest_asyncio
import yaml

from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.process import ChildProcess
from operators.prometheus import Rejected, render_case
from operators.prometheus.config.fragments import CHECKS, JOBS, instance_scope, jobs_of
from operators.prometheus.config.options import Options
from operators.prometheus.config.own_checks import check_own_sections
from operators.prometheus.config.server import Additional, server_configuration
from operators.prometheus.tables import Assets, to_yaml
from tests.unit.prometheus.goldens import Loader, case, names

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

NEWEST: Final = "v3.13.2"
DEBIAN: Final = "v2.42.0"
SERVER, AGENT = "GenerateServerConfiguration", "GenerateAgentConfiguration"

UNBUILT: Final = frozenset(("kubernetes_sd_configs", "consul_sd_configs", "nomad_sd_configs", "kuma_sd_configs"))
"""Kinds of discovery that Debian leaves out of its Prometheus; they go to the other promtool only."""

DEFAULTS: Final = {"scrapeInterval": "30s", "evaluationInterval": "30s"}
"""Of the definitions, which the inputs of the cases lack."""


def debian() -> str:
    """Debian's promtool; skips where there is none of 2.42."""
    found = shutil.which("promtool")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False) if found else None
    if found is None or told is None or "version 2.42" not in told.stdout + told.stderr:
        pytest.skip("no promtool 2.42; python testbed/system.py --prometheus installs Debian's")
    return found


def built(binary: str) -> str:
    """Of Prometheus 3; skips where it is not built."""
    found = BinaryCache().cached("prometheus-3", binary)
    if found is None:
        pytest.skip("Prometheus 3 is not built; run python -m controllerkit.devcluster.binaries prometheus-3")
    return str(found)


def written(function: str, version: str, folder: Path, *, without: Iterable[str] = ()) -> list[Path]:
    """The configurations of all cases of a function, for one version."""
    files = []
    for name in [*names("prometheus", function), *names("prometheus-extra", function)]:
        try:
            text = render_case(defaulted(name), version)
        except Rejected:
            continue
        file = folder / name.replace("/", "+").replace(".json", ".yaml")
        file.write_text(to_yaml(pruned(yaml.load(text, Loader), frozenset(without))) if without else text)
        files.append(file)
    return files


def defaulted(name: str) -> dict[str, Any]:
    of = case(name)
    return {**of, "cr": {**of["cr"], "spec": {**DEFAULTS, **of["cr"]["spec"]}}}


def checked(file: Path, version: str) -> bool:
    """Whether the product would take the inputs that the file was written of."""
    of = defaulted(file.name.replace("+", "/").replace(".yaml", ".json"))
    cr = {**of["cr"], "spec": {**of["cr"]["spec"], "version": version}}
    scope = instance_scope(cr, Assets.of(of["secrets"], of["configmaps"]), Options())
    try:
        check_own_sections(cr, scope)
        for target in of["objects"]:
            CHECKS[target["kind"]](target, cr, scope)
    except Rejected:
        return False
    return True


def pruned(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: pruned(each, keys) for key, each in value.items() if key not in keys}
    return [pruned(each, keys) for each in value] if isinstance(value, list) else value


def refused(promtool: str, files: Sequence[Path], *flags: str) -> dict[Path, str]:
    """What promtool says against those that it does not take."""
    count = max(1, (os.cpu_count() or 1))
    parts = [files[start::count] for start in range(count) if files[start::count]]

    def check(part: Sequence[Path]) -> str:
        command = [promtool, "check", "config", "--syntax-only", *flags, *map(str, part)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.count("Checking ") == len(part), done.stderr
        return done.stderr

    with ThreadPoolExecutor(count) as pool:
        told = "".join(pool.map(check, parts))
    found = re.findall(r"FAILED: parsing YAML file (\S+): (.*?)(?=\n *FAILED:|\Z)", told, re.DOTALL)
    return {Path(file): rule for file, rule in found}


@pytest.mark.parametrize(("function", "flags"), [(SERVER, ()), (AGENT, ("--agent",))])
def test_prometheus_3_takes_what_passes_the_checks(function: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    promtool = built("promtool")
    files = written(function, NEWEST, tmp_path)
    found = refused(promtool, files, *flags)
    assert {file.name: rule for file, rule in found.items() if checked(file, NEWEST)} == {}
    assert len(files) > 5 * len(found)


@pytest.mark.parametrize(("function", "flags"), [(SERVER, ()), (AGENT, ("--agent",))])
def test_prometheus_2_takes_what_passes_the_checks(function: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    promtool = debian()
    files = written(function, DEBIAN, tmp_path, without=UNBUILT)
    found = refused(promtool, files, *flags)
    assert {file.name: rule for file, rule in found.items() if checked(file, DEBIAN)} == {}
    assert len(files) > 5 * len(found)


def ref(key: str) -> dict[str, str]:
    return {"name": "s", "key": key}


ASSETS: Final = Assets(secrets={("monitoring", "s"): {"user": b"u", "password": b"p"}})
BASIC: Final = {"username": ref("user"), "password": ref("password")}
RICH: Final[dict[str, Any]] = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "Prometheus",
    "metadata": {"namespace": "monitoring", "name": "rich"},
    "spec": {
        "scrapeInterval": "15s",
        "scrapeTimeout": "10s",
        "evaluationInterval": "30s",
        "shards": 2,
        "externalLabels": {"cluster": "a"},
        "enforcedNamespaceLabel": "namespace",
        "enforcedSampleLimit": 1000,
        "apiserverConfig": {"host": "http://127.0.0.1:9", "basicAuth": BASIC},
        "scrapeClasses": [
            {"name": "all", "default": True, "metricRelabelings": [{"regex": "go_.*", "action": "drop"}]}
        ],
        "remoteWrite": [
            {
                "url": "http://127.0.0.1:9/write",
                "messageVersion": "V2.0",
                "basicAuth": BASIC,
                "queueConfig": {"capacity": 100, "maxShards": 2, "sampleAgeLimit": "1h"},
                "writeRelabelConfigs": [{"sourceLabels": ["__name__"], "regex": "up", "action": "Keep"}],
                "headers": {"X-Scope": "a"},
                "roundRobinDNS": True,
            }
        ],
        "remoteRead": [
            {"url": "http://127.0.0.1:9/read", "requiredMatchers": {"a": "b"}, "filterExternalLabels": False}
        ],
        "alerting": {"alertmanagers": [{"name": "am", "port": "web", "basicAuth": BASIC, "timeout": "5s"}]},
        "otlp": {"promoteResourceAttributes": ["service.name"], "translationStrategy": "NoTranslation"},
        "tracingConfig": {
            "endpoint": "127.0.0.1:9",
            "clientType": "grpc",
            "insecure": True,
            "samplingFraction": "250m",
        },
    },
}
OBJECTS: Final[list[dict[str, Any]]] = [
    {
        "kind": "ServiceMonitor",
        "metadata": {"namespace": "monitoring", "name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]},
            "endpoints": [
                {"port": "metrics", "basicAuth": BASIC, "relabelings": [{"targetLabel": "a", "replacement": "b"}]}
            ],
        },
    },
    {
        "kind": "PodMonitor",
        "metadata": {"namespace": "monitoring", "name": "pods"},
        "spec": {"selector": {}, "podMetricsEndpoints": [{"port": "metrics", "interval": "1m"}]},
    },
    {
        "kind": "Probe",
        "metadata": {"namespace": "monitoring", "name": "site"},
        "spec": {
            "module": "http_2xx",
            "prober": {"url": "127.0.0.1:9", "path": "/probe"},
            "targets": {"staticConfig": {"static": ["example.invalid"], "labels": {"a": "b"}}},
        },
    },
    {
        "kind": "ScrapeConfig",
        "metadata": {"namespace": "monitoring", "name": "found"},
        "spec": {
            "jobName": "named",
            "staticConfigs": [{"targets": ["127.0.0.1:9"], "labels": {"a": "b"}}],
            "fileSDConfigs": [{"files": ["/nonexistent/*.json"]}],
            "httpSDConfigs": [{"url": "http://127.0.0.1:9/sd", "basicAuth": BASIC, "refreshInterval": "1m"}],
            "dnsSDConfigs": [{"names": ["_a._tcp.example.invalid"], "refreshInterval": "10m"}],
            "consulSDConfigs": [{"server": "127.0.0.1:9", "services": ["a"]}],
            "kubernetesSDConfigs": [{"role": "Pod", "apiServer": "http://127.0.0.1:9", "namespaces": {"names": ["a"]}}],
            "metricsPath": "/m",
            "params": {"a": ["b"]},
            "nameEscapingScheme": "Underscores",
        },
    },
]


def rich(version: str) -> dict[str, Any]:
    """A configuration with something of each section that the version knows, after its checks."""
    spec = {**RICH["spec"], "version": version}
    if version == DEBIAN:
        del spec["otlp"]
    cr = {**RICH, "spec": spec}
    scope = instance_scope(cr, ASSETS, Options(topology_sharding=True, shard_retention=True))
    check_own_sections(cr, scope)
    jobs = []
    for kind in JOBS:
        for target in (each for each in OBJECTS if each["kind"] == kind):
            CHECKS[kind](target, cr, scope)
            jobs += jobs_of(kind, target, cr, scope)
    more = Additional(scrape_configs="- job_name: own\n  static_configs: [{targets: ['127.0.0.1:9']}]\n")
    return server_configuration(cr, jobs, scope, additional=more)


@pytest_asyncio.fixture(params=[NEWEST, DEBIAN])
async def running(request: pytest.FixtureRequest, tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[str]:
    """The address of a Prometheus that has the rich configuration: of the third major, and Debian's."""
    version = str(request.param)
    program = built("prometheus") if version == NEWEST else str(Path(debian()).with_name("prometheus"))
    made = rich(version)
    config, address = tmp_path / "prometheus.yaml", f"127.0.0.1:{unused_tcp_port}"
    config.write_text(to_yaml(pruned(made, UNBUILT) if version == DEBIAN else made))
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
    ]
    child = ChildProcess("Prometheus", command, log=tmp_path / "log")
    child.start()

    async def ready() -> bool:
        return await asyncio.to_thread(get, f"http://{address}/-/ready") is not None

    try:
        await child.wait_ready(ready, what="/-/ready answers", timeout_s=120.0)
        yield f"http://{address}"
    finally:
        await child.stop(20.0)


def get(url: str) -> bytes | None:
    try:
        with urlopen(url, timeout=5) as answer:
            body: bytes = answer.read()
            return body
    except (URLError, OSError):
        return None


async def test_a_prometheus_starts_with_something_of_every_section(running: str) -> None:
    told = json.loads(get(f"{running}/api/v1/status/config") or b"{}")["data"]["yaml"]
    loaded = yaml.safe_load(told)
    assert [job["job_name"] for job in loaded["scrape_configs"]] == [
        "serviceMonitor/monitoring/web/0",
        "podMonitor/monitoring/pods/0",
        "probe/monitoring/site",
        "scrapeConfig/monitoring/found",
        "own",
    ]
    assert {"alerting", "remote_write", "remote_read", "tracing"} <= set(loaded)
