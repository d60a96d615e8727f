"""The definitions made of the models say what the original's say, point by point."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from controllerkit.errors import ConfigError
from controllerkit.schema import Resource, custom_resource_definition
from operators.prometheus.api import KINDS, definitions, judge, with_defaults
from tests.parity.prometheus.page import PAGE, render
from tests.parity.prometheus.points import points
from tests.unit.prometheus.goldens import ROOT as GOLDENS
from tests.unit.prometheus.goldens import case, compare, names

HERE = Path(__file__).resolve().parents[3]
ORIGINALS = GOLDENS.parent / "manifests" / "prometheus-operator" / "crds"
DIFFERENCES = tomllib.loads((HERE / "tests/parity/prometheus/schema.toml").read_text())["difference"]

CONVERSION = {
    "strategy": "Webhook",
    "webhook": {
        "clientConfig": {"service": {"name": "a", "namespace": "b", "path": "/convert"}},
        "conversionReviewVersions": ["v1"],
    },
}

V1BETA1_POINTS = 3183
V1BETA1_SHA256 = "2eb692b431b0ca34558966df42523920409e0b0758f529f64eb257884df4c019"
"""Of the points of v1beta1's schema that may not differ, in order, as controller-gen 0.21.0 makes it of the
types of the original's 0.93.0 (its module pkg/apis/monitoring)."""


class Loader(yaml.CSafeLoader):
    """Reads ``=`` as the text it is in Alertmanager's matchers, and large files soon."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


@cache
def original(plural: str) -> dict[str, str]:
    text = (ORIGINALS / f"monitoring.coreos.com_{plural}.yaml").read_text()
    return points(yaml.load(text, Loader))


def allowed(point: str) -> bool:
    return any(fnmatchcase(point, difference["at"]) for difference in DIFFERENCES)


def differing(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[str]:
    for point in sorted(ours.keys() | theirs.keys()):
        if ours.get(point) != theirs.get(point):
            yield point


@pytest.mark.parametrize("kind", KINDS)
def test_every_point_of_a_definition_is_the_originals(kind: str) -> None:
    ours = points(custom_resource_definition(KINDS[kind]))
    theirs = original(KINDS[kind].resource_kind().plural)
    told = [f"{p}: {ours.get(p)} here, {theirs.get(p)} there" for p in differing(ours, theirs) if not allowed(p)]
    assert told == [], "\n" + "\n".join(told)


def test_every_difference_that_is_allowed_is_there() -> None:
    found = set()
    for model in KINDS.values():
        ours, theirs = points(custom_resource_definition(model)), original(model.resource_kind().plural)
        found |= {
            each["at"] for each in DIFFERENCES for point in differing(ours, theirs) if fnmatchcase(point, each["at"])
        }
    assert found == {each["at"] for each in DIFFERENCES}


def test_v1beta1_of_alertmanagerconfig_is_the_originals_too() -> None:
    (definition,) = (each for each in definitions(CONVERSION) if each["metadata"]["name"].startswith("alertmanagerc"))
    assert definition["spec"]["conversion"] == CONVERSION
    assert [(each["name"], each["storage"]) for each in definition["spec"]["versions"]] == [
        ("v1beta1", False),
        ("v1alpha1", True),
    ]
    schema = points(definition["spec"]["versions"][0]["schema"])
    told = sorted(f"{point} {value}" for point, value in schema.items() if not allowed(point))
    assert len(told) == V1BETA1_POINTS
    assert hashlib.sha256("\n".join(told).encode()).hexdigest() == V1BETA1_SHA256


def test_without_a_webhook_that_converts_only_the_stored_version_is_served() -> None:
    assert all(len(each["spec"]["versions"]) == 1 for each in definitions())
    assert {each["metadata"]["name"] for each in definitions()} == {
        each["metadata"]["name"] for each in definitions(CONVERSION)
    }


# -- objects ---------------------------------------------------------------------------------------------------------


def judged_cases() -> list[str]:
    folders = [path.name for path in sorted(GOLDENS.iterdir()) if path.is_dir()]
    return [name for folder in folders for name in names(folder) if "crd" in case(name)]


def objects(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What of a case goes through the API server, by the name that its annotation gives it."""
    of = case(name)
    if of.get("cr"):
        yield "cr", of["cr"]
    for index, each in enumerate(of.get("objects") or ()):
        yield f"objects[{index}]", each


@pytest.mark.parametrize("name", judged_cases())
def test_an_object_of_the_corpus_is_judged_as_the_originals_definitions_judge_it(name: str) -> None:
    crd = case(name)["crd"]
    refused: dict[str, list[str]] = {}
    for place, value in objects(name):
        judgement = judge(value["kind"], value)
        assert judgement.left_to_server == (), "every rule of these kinds can be asked here"
        if judgement.violations:
            refused[place] = sorted(one.path for one in judgement.violations)
    expected = {
        place: sorted(text.partition(":")[0].removeprefix("[].") for text in told)
        for place, told in crd.get("errors", {}).items()
    }
    assert refused == expected
    assert crd["valid"] == (not refused)


@pytest.mark.parametrize("name", judged_cases())
def test_an_object_read_by_its_model_is_written_as_it_was(name: str) -> None:
    for place, value in objects(name):
        if place in case(name)["crd"].get("errors", {}):
            continue
        model: type[Resource] = KINDS[value["kind"]]
        assert model.model_validate(value).to_dict() == value


@pytest.mark.parametrize(
    ("kind", "value", "path", "default"),
    [
        ("Prometheus", {"spec": {}}, ["spec", "scrapeInterval"], "30s"),
        ("Prometheus", {"spec": {}}, ["spec", "portName"], "web"),
        ("Alertmanager", {"spec": {}}, ["spec", "retention"], "120h"),
        ("ThanosRuler", {"spec": {}}, ["spec", "evaluationInterval"], "15s"),
        (
            "ServiceMonitor",
            {"spec": {"selector": {}, "endpoints": [{"relabelings": [{"targetLabel": "a"}]}]}},
            ["spec", "endpoints", 0, "relabelings", 0, "action"],
            "replace",
        ),
        (
            "AlertmanagerConfig",
            {"spec": {"receivers": [{"name": "a", "discordConfigs": [{"apiURL": {"key": "url"}}]}]}},
            ["spec", "receivers", 0, "discordConfigs", 0, "apiURL", "name"],
            "",
        ),
    ],
)
def test_what_the_server_fills_in_is_filled_in_here(kind: str, value: Any, path: list[Any], default: Any) -> None:
    filled: Any = with_defaults(kind, value)
    for step in path:
        filled = filled[step]
    assert filled == default


def filled_in_cases() -> list[str]:
    """Cases whose text is known for objects that went through the server."""
    found = [name for folder in ("prometheus", "prometheus-extra", "alertmanager") for name in names(folder)]
    annotated = [(name, case(name).get("crd", {})) for name in found]
    return [name for name, crd in annotated if "with_defaults" in crd or crd.get("end_to_end")]


@pytest.mark.parametrize("name", filled_in_cases())
def test_objects_with_defaults_give_the_configuration_that_is_known_for_them(name: str) -> None:
    of = dict(case(name))
    if of["cr"]:
        of["cr"] = with_defaults(of["cr"]["kind"], of["cr"])
    of["objects"] = [with_defaults(each["kind"], each) for each in of["objects"]]
    told = of["crd"].get("with_defaults", of)
    compare(of, None, told["expected"], refused=bool(told.get("error")))


def test_the_version_of_an_object_chooses_the_schema() -> None:
    receiver = {"name": "a", "discordConfigs": [{"apiURL": {"key": "url"}}]}
    stored = {"spec": {"receivers": [receiver]}}
    later = {"apiVersion": "monitoring.coreos.com/v1beta1", **stored}
    assert judge("AlertmanagerConfig", stored).violations == ()
    assert judge("AlertmanagerConfig", {"apiVersion": "monitoring.coreos.com/v1alpha1", **stored}).violations == ()
    (violation,) = judge("AlertmanagerConfig", later | {"spec": {"timeIntervals": [{}]}}).violations
    assert violation.path == "spec.timeIntervals[0].name", "there are none of these in v1alpha1"


@pytest.mark.parametrize(
    ("kind", "version", "message"),
    [
        ("Silence", "v1", "Silence is no kind of monitoring.coreos.com; there are Prometheus, "),
        ("Probe", "v1beta1", "Probe is not in monitoring.coreos.com/v1beta1; write apiVersion: monitoring.coreos"),
    ],
)
def test_a_kind_that_is_not_there_is_named(kind: str, version: str, message: str) -> None:
    for ask in (judge, with_defaults):
        with pytest.raises(ConfigError, match=re.escape(message)):
            ask(kind, {"apiVersion": f"monitoring.coreos.com/{version}"})


# -- the page, the weight --------------------------------------------------------------------------------------------


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render(), "make docs writes it anew"


def fresh(code: str) -> int:
    """The exit status of a program in an interpreter of its own."""
    return subprocess.run([sys.executable, "-c", code], cwd=HERE, check=False).returncode


def test_a_validator_is_built_when_something_is_read_and_not_before() -> None:
    code = """
import operators.prometheus.api as api
from operators.prometheus.api.types import Model

def parts(model):
    return [model, *(part for child in model.__subclasses__() for part in parts(child))]

models = [*api.KINDS.values(), *parts(Model)]
assert len(models) > 250
api.definitions()
assert not [model.__name__ for model in models if model.__pydantic_complete__ and model is not Model]
api.Probe.model_validate({"spec": {}})
assert api.Probe.__pydantic_complete__
"""
    assert fresh(code) == 0


def test_what_decides_does_not_import_the_models() -> None:
    code = (
        "import sys, operators.prometheus.cases, operators.prometheus.tables;"
        "sys.exit(any(name.startswith('operators.prometheus.api') for name in sys.modules))"
    )
    assert fresh(code) == 0
