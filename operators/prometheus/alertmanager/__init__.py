"""Alertmanager's configuration: a base, and the AlertmanagerConfigs that are selected for it.

An AlertmanagerConfig is checked (`check`), its receivers (`receivers`), routes, rules and times (`routes`) take the
names of the file, and the whole becomes what one version takes (`sanitize`, with `notifiers` and `client`).
"""

from operators.prometheus.alertmanager.check import check
from operators.prometheus.alertmanager.generate import Configuration
from operators.prometheus.alertmanager.options import Options
from operators.prometheus.alertmanager.provision import config_secret_name, configuration, generated_data
from operators.prometheus.alertmanager.versions import as_v1alpha1, as_v1beta1

__all__ = [
    "Configuration",
    "Options",
    "as_v1alpha1",
    "as_v1beta1",
    "check",
    "config_secret_name",
    "configuration",
    "generated_data",
]
