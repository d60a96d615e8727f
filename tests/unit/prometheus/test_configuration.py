"""The whole way: selection, checks, assets, the file; with the outcomes of the original's controller."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from operators.prometheus.cases.server import options_of
from operators.prometheus.config.configuration import Configuration, configuration
from operators.prometheus.config.selection import SELECTORS
from operators.prometheus.config.server import Additional
from operators.prometheus.tables import Assets, Rejected
from tests.unit.prometheus.goldens import case, names

CRDS = Path(__file__).resolve().parents[4] / "shared" / "manifests" / "prometheus-operator" / "crds"
FOLDERS = "prometheus", "prometheus-errors"


def annotated(annotation: str) -> list[str]:
    return [name for folder in FOLDERS for name in names(folder) if annotation in case(name)]


def selecting_all(cr: dict[str, Any]) -> dict[str, Any]:
    everything = {field: {} for fields in SELECTORS.values() for field in fields}
    return {**cr, "spec": {**cr["spec"], **everything}}


def configured(of: dict[str, Any], options: dict[str, Any], cr: dict[str, Any], objects: list[Any]) -> Configuration:
    extra = of["extra"]
    return configuration(
        selecting_all(cr),
        objects,
        {each["metadata"].get("namespace", ""): {} for each in objects},
        Assets.of(of["secrets"], of["configmaps"]),
        options_of(options),
        rule_config_maps=extra.get("rule_configmap_names") or (),
        additional=Additional(
            extra.get("additional_scrape_configs"),
            extra.get("additional_alert_relabel_configs"),
            extra.get("additional_alertmanager_configs"),
        ),
    )


def agrees(told: dict[str, Any], of: dict[str, Any], cr: dict[str, Any], objects: list[Any]) -> None:
    options = told.get("options", of["extra"].get("options") or {})
    if told.get("error"):
        with pytest.raises(Rejected):
            configured(of, options, cr, objects)
        return
    got = configured(of, options, cr, objects)
    assert sorted(got.rejected) == sorted(told.get("rejected") or {})
    expected = (told.get("expected") or of["expected"] or "").strip()
    if any(each["spec"].get("azureSDConfigs") for each in objects):
        # The original never reads the credentials of these; they are compared where the generator is.
        assert without_azure_credentials(got.text) == without_azure_credentials(expected)
        return
    assert got.text.strip() == expected


def without_azure_credentials(text: str) -> Any:
    found = yaml.safe_load(text)
    for job in found["scrape_configs"]:
        for entry in job.get("azure_sd_configs", ()):
            for key in ("basic_auth", "authorization", "oauth2", "proxy_connect_header"):
                entry.pop(key, None)
    return found


@pytest.mark.parametrize("name", annotated("controller"))
def test_the_whole_way_gives_what_the_controller_of_the_original_gives(name: str) -> None:
    of = case(name)
    agrees(of["controller"], of, of["cr"], of["objects"])


@pytest.mark.parametrize("name", annotated("operator_defaults"))
def test_so_it_does_with_the_defaults_of_the_definitions_and_the_gates_of_an_operator(name: str) -> None:
    of = case(name)
    agrees(of["operator_defaults"], of, with_defaults(of["cr"]), [with_defaults(each) for each in of["objects"]])


@cache
def schemas() -> dict[str, Any]:
    found = {}
    for path in CRDS.glob("*.yaml"):
        spec = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"] if "alertmanagerconfig" not in path.name else None
        if spec:
            found[spec["names"]["kind"]] = spec["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def with_defaults(value: dict[str, Any]) -> dict[str, Any]:
    return filled(schemas()[value["kind"]], value)  # type: ignore[no-any-return]


def filled(schema: dict[str, Any], value: Any) -> Any:
    if isinstance(value, dict):
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        full = {**{key: each["default"] for key, each in properties.items() if "default" in each}, **value}
        inner = {key: properties.get(key) or (others if isinstance(others, dict) else {}) for key in full}
        return {key: filled(inner[key], each) for key, each in full.items()}
    if isinstance(value, list):
        return [filled(schema.get("items") or {}, each) for each in value]
    return value
