"""The kinds of ``monitoring.coreos.com`` as models: ``controllerkit crds operators.prometheus.api`` writes ``crds/``.

A class is named as the original's type in Go, whose facts it holds: names, types, limits, defaults, rules. A file is
about one kind, or about what several share; ``core`` has Kubernetes' own types. What decides (``config`` and the like)
reads plain objects and does not need these.
"""

from operators.prometheus.api.alertmanager import Alertmanager
from operators.prometheus.api.alertmanagerconfig.v1alpha1 import AlertmanagerConfig
from operators.prometheus.api.kinds import KINDS, definitions, judge, with_defaults
from operators.prometheus.api.pod_monitor import PodMonitor
from operators.prometheus.api.probe import Probe
from operators.prometheus.api.prometheus import Prometheus
from operators.prometheus.api.prometheus_agent import PrometheusAgent
from operators.prometheus.api.prometheus_rule import PrometheusRule
from operators.prometheus.api.scrape_config import ScrapeConfig
from operators.prometheus.api.service_monitor import ServiceMonitor
from operators.prometheus.api.thanos_ruler import ThanosRuler

__all__ = [
    "KINDS",
    "Alertmanager",
    "AlertmanagerConfig",
    "PodMonitor",
    "Probe",
    "Prometheus",
    "PrometheusAgent",
    "PrometheusRule",
    "ScrapeConfig",
    "ServiceMonitor",
    "ThanosRuler",
    "definitions",
    "judge",
    "with_defaults",
]
