"""The ten kinds by name, and what the API server does with their objects, done here: defaults and judgement."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from controllerkit.errors import ConfigError
from controllerkit.schema import (
    Judgement,
    Resource,
    custom_resource_definition,
    judge_resource,
    structural_schema,
)
from controllerkit.schema import with_defaults as _with_defaults
from operators.prometheus.api.alertmanager import Alertmanager
from operators.prometheus.api.alertmanagerconfig.v1alpha1 import AlertmanagerConfig
from operators.prometheus.api.pod_monitor import PodMonitor
from operators.prometheus.api.probe import Probe
from operators.prometheus.api.prometheus import Prometheus
from operators.prometheus.api.prometheus_agent import PrometheusAgent
from operators.prometheus.api.prometheus_rule import PrometheusRule
from operators.prometheus.api.scrape_config import ScrapeConfig
from operators.prometheus.api.service_monitor import ServiceMonitor
from operators.prometheus.api.thanos_ruler import ThanosRuler

__all__ = ["KINDS", "definitions", "judge", "with_defaults"]

_MODELS: Final[tuple[type[Resource], ...]] = (
    Prometheus,
    PrometheusAgent,
    Alertmanager,
    ThanosRuler,
    ServiceMonitor,
    PodMonitor,
    Probe,
    ScrapeConfig,
    PrometheusRule,
    AlertmanagerConfig,
)
KINDS: Final[Mapping[str, type[Resource]]] = {model.resource_kind().kind: model for model in _MODELS}
"""Each kind in the version that is stored."""


def with_defaults(kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an object in which what the server would fill in is filled in.

    The version is that of the object's apiVersion, where it names one.

    Raises:
        ConfigError: there is no such kind, or not in that version.
    """
    filled: dict[str, Any] = _with_defaults(_schema(_model(kind, value)), value)
    return filled


def judge(kind: str, value: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> Judgement:
    """What the server would say of an object that is created or, with ``old``, updated: by its schema and its rules.

    Raises:
        ConfigError: as `with_defaults`; there are rules to ask and the extra ``cel`` is not installed.
    """
    return judge_resource(_model(kind, value), value, old)


def definitions(conversion: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The CustomResourceDefinitions of all kinds.

    Args:
        conversion: ``spec.conversion`` of AlertmanagerConfig, which names a webhook. With it v1beta1 is served too;
            without, one version would lose what only the other has.
    """
    made = [custom_resource_definition(model) for model in _MODELS if model is not AlertmanagerConfig]
    versions = [AlertmanagerConfig] if conversion is None else [AlertmanagerConfig, _v1beta1()]
    return [*made, custom_resource_definition(*versions, conversion=conversion)]


def _v1beta1() -> type[Resource]:
    # Imported where it is asked for: most clusters do not serve it.
    from operators.prometheus.api.alertmanagerconfig import v1beta1

    return v1beta1.AlertmanagerConfig


def _model(kind: str, value: Mapping[str, Any]) -> type[Resource]:
    version = value.get("apiVersion")
    model = KINDS.get(kind)
    if model is None:
        raise ConfigError(f"{kind} is no kind of monitoring.coreos.com; there are {', '.join(KINDS)}")
    if version and model is AlertmanagerConfig and version == _v1beta1().resource_kind().api_version:
        return _v1beta1()
    if version and version != model.resource_kind().api_version:
        raise ConfigError(f"{kind} is not in {version}; write apiVersion: {model.resource_kind().api_version}")
    return model


@lru_cache
def _schema(model: type[Resource]) -> Mapping[str, Any]:
    return structural_schema(model)
