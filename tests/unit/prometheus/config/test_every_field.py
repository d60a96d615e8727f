"""Every field of the definitions is in a table: without it the configuration is another one.

An object with all its fields set is made of the schema; then each field is left out by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from operators.prometheus.config.alerting import alerting_section
from operators.prometheus.config.discovery import KINDS
from operators.prometheus.config.options import Options
from operators.prometheus.config.otlp import otlp_section
from operators.prometheus.config.remote import remote_read_section, remote_write_section
from operators.prometheus.config.scrapeconfig import scrape_config
from operators.prometheus.config.tracing import tracing_section
from operators.prometheus.tables import Assets, Rejected, Scope, Version
from tests.unit.prometheus.goldens import ROOT, Loader

CRDS = Path(ROOT).parent / "manifests" / "prometheus-operator" / "crds"
ASSETS = Assets(secrets={("shop", "s"): {"k": b"of a secret"}}, config_maps={("shop", "s"): {"k": b"of a config map"}})
REFERENCE = {"name": "s", "key": "k"}
VERSIONS = "3.13.2", "2.55.1", "2.10.0"
"""Each field is known to one of them."""

Path_ = tuple[str | int, ...]


@cache
def schema(plural: str) -> dict[str, Any]:
    found = yaml.load((CRDS / f"monitoring.coreos.com_{plural}.yaml").read_text(), Loader)
    return found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]  # type: ignore[no-any-return]


ONE_OF = ({"secret"}, {"configMap"}), ({"ca", "cert", "keySecret"}, {"caFile", "certFile", "keyFile"})
"""Fields that exclude each other: one side is in the first value that is made, the other in the second."""


def whole(of: dict[str, Any], second: bool = False) -> Any:
    """A value with everything in it."""
    fields = dict(of.get("properties", {}))
    for first, other in ONE_OF:
        if first < set(fields) and other < set(fields):
            fields = {name: each for name, each in fields.items() if name not in (first if second else other)}
    if {"key", "name", "optional"} == set(fields):
        return dict(REFERENCE)
    if of.get("type") == "object" and fields:
        return {name: whole(each, second) for name, each in fields.items()}
    if of.get("type") == "object":
        return {"of": whole(of["additionalProperties"], second)}
    if of.get("type") == "array":
        return [whole(of["items"], second)]
    if "enum" in of:
        return of["enum"][0 if second else -1]
    pattern = of.get("pattern", "")
    samples = {
        "boolean": True,
        "integer": 7,
        "string": "7s" if "ms" in pattern else "http://a/b" if "://" in pattern else "a",
    }
    return samples.get(of.get("type", ""), "500m" if pattern else 7)


def fields(value: Any, at: Path_ = ()) -> Iterator[Path_]:
    """Where something can be left out."""
    if isinstance(value, dict) and value != REFERENCE:
        for name, each in value.items():
            yield (*at, name)
            yield from fields(each, (*at, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from fields(value[0], (*at, 0))


def without(value: Any, path: Path_) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for part in path[:-1]:
        inner = inner[part]
    del inner[path[-1]]
    return changed


def scope(version: str) -> Scope:
    return Scope(Version.parse(version), "shop", ASSETS, Options())


def job(spec: dict[str, Any], version: str) -> Any:
    metadata = {"namespace": "shop", "name": "a"}
    return scrape_config({"metadata": metadata, "spec": spec}, {"spec": {}}, scope(version))


def own(section: Callable[[dict[str, Any], Scope], Any]) -> Callable[[dict[str, Any], str], Any]:
    return lambda spec, version: section(spec, scope(version))


def attempt(make: Callable[[dict[str, Any], str], Any], spec: dict[str, Any], version: str) -> str:
    """As text, since the order counts too; what is refused is one more way to be another."""
    try:
        return str(make(spec, version))
    except Rejected as refused:
        return f"refused: {refused}"


def unread(make: Callable[[dict[str, Any], str], Any], of: dict[str, dict[str, Any]]) -> set[Path_]:
    """Fields without which nothing is different, in no version."""
    specs = [{name: whole(each, second) for name, each in of.items()} for second in (False, True)]
    return {path for spec in specs for path in fields(spec)} - {path for spec in specs for path in read(make, spec)}


def read(make: Callable[[dict[str, Any], str], Any], spec: dict[str, Any]) -> Iterator[Path_]:
    before = {version: attempt(make, spec, version) for version in VERSIONS}
    assert not before[VERSIONS[0]].startswith("refused"), before
    for path in fields(spec):
        if any(attempt(make, without(spec, path), version) != before[version] for version in VERSIONS):
            yield path


def properties(plural: str, *names: str) -> dict[str, Any]:
    found = schema(plural)["properties"]
    return {name: found[name] for name in names}


pytestmark = pytest.mark.skipif(not CRDS.is_dir(), reason="the definitions of the original are not there")


@pytest.mark.parametrize("source", [kind.source for kind in KINDS])
def test_every_field_of_service_discovery_is_written(source: str) -> None:
    assert unread(job, properties("scrapeconfigs", source)) == set()


def test_every_kind_of_service_discovery_is_known() -> None:
    known = {kind.source for kind in KINDS}
    assert {name for name in schema("scrapeconfigs")["properties"] if name.endswith("Configs")} == known


def test_every_field_of_a_scrapeconfig_is_written() -> None:
    names = [name for name in schema("scrapeconfigs")["properties"] if not name.endswith("Configs")]
    assert unread(job, properties("scrapeconfigs", *names)) == {("scrapeClass",)}, "it chooses what is merged"


@pytest.mark.parametrize("plural", ["prometheuses", "prometheusagents", "thanosrulers"])
def test_every_field_of_remote_write_is_written(plural: str) -> None:
    assert unread(own(remote_write_section), properties(plural, "remoteWrite")) == set()


def test_every_field_of_remote_read_is_written() -> None:
    assert unread(own(remote_read_section), properties("prometheuses", "remoteRead")) == set()


def test_every_field_of_an_alertmanager_is_written() -> None:
    def make(spec: dict[str, Any], version: str) -> Any:
        return alerting_section({"metadata": {"namespace": "shop"}, "spec": spec}, scope(version))

    assert unread(make, properties("prometheuses", "alerting")) == set()


def test_every_field_of_tracing_is_written() -> None:
    assert unread(own(tracing_section), properties("prometheuses", "tracingConfig")) == set()


def test_every_field_of_otlp_is_written() -> None:
    [found] = properties("prometheuses", "otlp").values()
    for left_out in ({"promoteResourceAttributes"}, {"promoteAllResourceAttributes", "ignoreResourceAttributes"}):
        kept = {name: each for name, each in found["properties"].items() if name not in left_out}
        assert unread(own(otlp_section), {"otlp": {**found, "properties": kept}}) == set()
