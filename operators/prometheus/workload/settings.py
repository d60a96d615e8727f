"""What the operator was told, as far as the objects it makes depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Options of the operator; the defaults are prometheus-operator's.

    Attributes:
        labels, annotations: put on every object. A label that is in a selector cannot be changed later.
        localhost: by which containers of a Pod reach each other.
        cluster_domain: the end of Alertmanager's peers' names; "" for relative ones.
        reloader_cpu, reloader_memory: request and limit of the reloader; "0" for none.
    """

    prometheus_image: str = "quay.io/prometheus/prometheus"
    alertmanager_image: str = "quay.io/prometheus/alertmanager"
    thanos_image: str = "quay.io/thanos/thanos"
    reloader_image: str = "quay.io/prometheus-operator/prometheus-config-reloader:v0.93.0"
    reloader_cpu: tuple[str, str] = ("10m", "10m")
    reloader_memory: tuple[str, str] = ("50Mi", "50Mi")
    reloader_probes: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    localhost: str = "localhost"
    cluster_domain: str = ""
