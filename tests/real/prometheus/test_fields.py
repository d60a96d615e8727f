"""Prometheus 3 knows every field that is written: each section with all its fields set is read by promtool."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from controllerkit.devcluster.binaries import BinaryCache
from operators.prometheus.config.alerting import alerting_section
from operators.prometheus.config.otlp import otlp_section
from operators.prometheus.config.remote import remote_read_section, remote_write_section
from operators.prometheus.config.scrapeconfig import scrape_config
from operators.prometheus.config.tracing import tracing_section
from operators.prometheus.tables import Scope, to_yaml
from tests.unit.prometheus.config.test_every_field import ASSETS, CRDS, properties, schema, scope, whole

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CRDS.is_dir(), reason="the definitions of the original are not there"),
]

NEWEST: Final = "3.13.2"
METHODS: Final = ("basicAuth", "authorization", "oauth2", "sigv4", "azureAd", "bearerToken", "bearerTokenFile")
"""Of which a section may have one, so each of them gets a turn."""

UUID: Final = "11111111-1111-1111-1111-111111111111"
VALID: Final[dict[str, Any]] = {
    "proxyFromEnvironment": False,
    "ownNamespace": False,
    "credentialsFile": "",
    "files": ["a.json"],
    "bodySizeLimit": "1MB",
    "action": "replace",
    "projectID": UUID,
    "zone": "fr-par-1",
    "label": "a=b",
    "field": "metadata.name=a",
}
"""Where what is made of the schema alone would be refused for its value."""


def section(value: Any, method: str, name: str = "") -> Any:
    """The value with one way to authenticate, and others that go together."""
    if name in VALID:
        return VALID[name]
    if isinstance(value, list):
        return [section(each, method, name) for each in value]
    if not isinstance(value, dict):
        return value
    if name == "azureAd":
        return {"managedIdentity": {"clientId": UUID}, "cloud": value["cloud"], "scope": value["scope"]}
    kept = {
        field: section(each, method, field) for field, each in value.items() if field not in METHODS or field == method
    }
    if "tagsFilter" in kept:
        kept["accessKey"] = "SCWXXXXXXXXXXXXXXXXX"
    if method in ("authorization", "oauth2"):
        kept.pop("tokenRef", None)
    return kept


def within() -> Scope:
    secrets = {("shop", "s"): {"k": UUID.encode()}}
    return scope(NEWEST).within(assets=replace(ASSETS, secrets=secrets))


def documents(method: str, second: bool) -> Iterator[dict[str, Any]]:
    """One for each kind of discovery and each section."""
    metadata = {"namespace": "shop", "name": "a"}
    found = schema("scrapeconfigs")["properties"]
    own = {field: each for field, each in found.items() if not field.endswith("Configs")}
    for fields in (own, *({field: found[field]} for field in found if field not in own)):
        spec = section({field: whole(each, second) for field, each in fields.items()}, method)
        yield {"scrape_configs": [scrape_config({"metadata": metadata, "spec": spec}, {"spec": {}}, within())]}
    of = properties("prometheuses", "remoteWrite", "remoteRead", "alerting", "tracingConfig", "otlp")
    spec = section({field: whole(each, second) for field, each in of.items()}, method)
    del spec["otlp"]["promoteResourceAttributes"]
    yield alerting_section({"metadata": metadata, "spec": spec}, within())
    for write in (remote_write_section, remote_read_section, tracing_section, otlp_section):
        yield write(spec, within())


@pytest.mark.parametrize("method", METHODS)
def test_prometheus_3_knows_every_field(method: str, tmp_path: Path) -> None:
    promtool = BinaryCache().cached("prometheus-3", "promtool")
    if promtool is None:
        pytest.skip("Prometheus 3 is not built; run python -m controllerkit.devcluster.binaries prometheus-3")
    files: list[Path] = []
    for second in (False, True):
        for document in documents(method, second):
            files.append(tmp_path / f"{len(files)}-{'-'.join(document)}.yaml")
            files[-1].write_text(to_yaml(document))
    done = subprocess.run(
        [promtool, "check", "config", "--syntax-only", *files], capture_output=True, text=True, check=False
    )
    assert done.stdout.count("SUCCESS") == len(files), done.stderr
