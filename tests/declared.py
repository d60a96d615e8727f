"""Every Resource class that this repository declares: what holds for each is tested for all of them.

A new one is one line here.
"""

from __future__ import annotations

import importlib
from typing import Final

from controllerkit.schema import Resource

__all__ = ["DECLARED", "resource"]

DECLARED: Final = (
    "operators.etcd.api:EtcdCluster",
    "operators.prometheus.api:Prometheus",
    "operators.prometheus.api:PrometheusAgent",
    "operators.prometheus.api:Alertmanager",
    "operators.prometheus.api:ThanosRuler",
    "operators.prometheus.api:ServiceMonitor",
    "operators.prometheus.api:PodMonitor",
    "operators.prometheus.api:Probe",
    "operators.prometheus.api:ScrapeConfig",
    "operators.prometheus.api:PrometheusRule",
    "operators.prometheus.api:AlertmanagerConfig",
    "examples.website:Website",
    "examples.alarms:Alarm",
    "examples.alarms:AlarmV1",
    "tests.conformance.test_generated:Every",
    "tests.unit.schema.ruled:Ruled",
    "tests.unit.schema.formatted:Formatted",
)


def resource(name: str) -> type[Resource]:
    """The class of ``module:Class``."""
    module, _, attribute = name.partition(":")
    found: type[Resource] = getattr(importlib.import_module(module), attribute)
    return found
