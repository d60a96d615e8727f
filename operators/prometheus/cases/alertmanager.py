"""Configurations of Alertmanager."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from typing import Any

from operators.prometheus.alertmanager.base import read_base
from operators.prometheus.alertmanager.check import check
from operators.prometheus.alertmanager.generate import add, base_of_object, version_of
from operators.prometheus.alertmanager.options import Options
from operators.prometheus.alertmanager.provision import CONFIGURATION_KEY, configuration, generated_data
from operators.prometheus.alertmanager.reading import read_yaml
from operators.prometheus.alertmanager.receivers import http_config
from operators.prometheus.alertmanager.sanitize import SECTIONS, sanitize
from operators.prometheus.tables import Assets, Scope, Version, to_yaml
from operators.prometheus.tables.versions import DEFAULT_ALERTMANAGER

__all__ = ["FUNCTIONS"]

_OPTIONS = Options(compat=True)


def _scope(case: Mapping[str, Any], namespace: str = "") -> Scope:
    version = (case.get("extra") or {}).get("version") or DEFAULT_ALERTMANAGER
    return Scope(Version.parse(version), namespace, _assets(case), _OPTIONS)


def _assets(case: Mapping[str, Any]) -> Assets:
    return Assets.of(case.get("secrets") or (), case.get("configmaps") or ())


def _sanitize(case: Mapping[str, Any]) -> str:
    extra = case["extra"]
    return to_yaml(sanitize(read_yaml(extra["input"]), _scope(case), SECTIONS[extra["type"]]))


def _http(case: Mapping[str, Any]) -> str:
    scope = _scope(case)
    return to_yaml(sanitize(http_config(case["extra"]["http_config"], scope), scope, SECTIONS["httpClientConfig"]))


def _from_bytes(case: Mapping[str, Any]) -> str:
    return to_yaml(sanitize(read_base(case["extra"]["raw_configuration"]), _scope(case)))


def _add(case: Mapping[str, Any]) -> str:
    base = read_base(case["extra"]["base_configuration"])
    objects = sorted(case.get("objects") or (), key=lambda each: "/".join(_identity(each)))
    made, _ = add(base, case["cr"], objects, _scope(case).within(version=version_of(case["cr"])))
    return to_yaml(made)


def _identity(value: Mapping[str, Any]) -> tuple[str, str]:
    return value["metadata"].get("namespace") or "", value["metadata"]["name"]


def _initialize(case: Mapping[str, Any]) -> str:
    scope = _scope(case).within(version=version_of(case["cr"]))
    return to_yaml(base_of_object(case["objects"][0], case["extra"].get("global"), scope))


def _check(case: Mapping[str, Any]) -> str:
    check(case["objects"][0], _scope(case))
    return "accepted"


def _provision(case: Mapping[str, Any]) -> str:
    namespaces: dict[str, dict[str, str]] = {
        _identity(each)[0]: {} for each in (case["cr"], *(case.get("objects") or ()))
    }
    assets = _assets(case)
    made = configuration(case["cr"], case.get("objects") or (), namespaces, assets, _OPTIONS)
    return gzip.decompress(generated_data(case["cr"], made.text, assets)[CONFIGURATION_KEY]).decode()


FUNCTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "AddAlertmanagerConfigs": _add,
    "alertmanagerConfigFromBytes": _from_bytes,
    "checkAlertmanagerConfigResource": _check,
    "convertHTTPConfig+sanitize": _http,
    "initializeFromAlertmanagerConfig": _initialize,
    "provisionAlertmanagerConfiguration": _provision,
    "sanitize": _sanitize,
}
