"""``python -m benchmarks.configuration``: CPU for the configuration of a Prometheus that selects many ServiceMonitors.

The whole of it, then again with one monitor changed; beside them PyYAML, writing alone what is in the same file.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import yaml

from operators.prometheus.config.configuration import configuration
from operators.prometheus.config.fragments import Fragments
from operators.prometheus.config.options import Options
from operators.prometheus.tables import Assets

PROMETHEUS: dict[str, Any] = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "Prometheus",
    "metadata": {"name": "main", "namespace": "monitoring"},
    "spec": {
        "scrapeInterval": "30s",
        "evaluationInterval": "30s",
        "shards": 2,
        "serviceMonitorSelector": {"matchLabels": {"team": "shop"}},
        "serviceMonitorNamespaceSelector": {},
        "podMonitorSelector": {},
        "enforcedNamespaceLabel": "namespace",
    },
}
NAMESPACES = {f"shop-{number}": {"team": "shop"} for number in range(40)}
TEAMS = 7


def monitor(number: int, generation: int = 1) -> dict[str, Any]:
    """As large as those of kube-prometheus: two endpoints, some relabelings, a token."""
    endpoint = {
        "interval": "30s",
        "scheme": "https",
        "bearerTokenSecret": {"name": "token", "key": "token"},
        "tlsConfig": {"insecureSkipVerify": True, "serverName": f"web-{number}"},
        "relabelings": [
            {"action": "replace", "sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}
        ],
        "metricRelabelings": [
            {"action": "drop", "sourceLabels": ["__name__"], "regex": f"web_{number}_(debug|trace)_.*"},
            {"action": "labeldrop", "regex": "instance_id|generation"},
        ],
    }
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {
            "name": f"web-{number}",
            "namespace": f"shop-{number % len(NAMESPACES)}",
            "uid": f"{number:032x}",
            "generation": generation,
            "labels": {"team": "shop"},
        },
        "spec": {
            "jobLabel": "app.kubernetes.io/name",
            "sampleLimit": 1000 + generation,
            "selector": {"matchLabels": {"app.kubernetes.io/name": f"web-{number}", "team": f"team-{number % TEAMS}"}},
            "endpoints": [{**endpoint, "port": "web"}, {**endpoint, "port": "metrics"}],
        },
    }


def measure(count: int, repeats: int) -> dict[str, float]:
    """CPU milliseconds: first, with nothing changed, and with one monitor changed; the median of ``repeats``."""
    assets = Assets({(name, "token"): {"token": b"secret"} for name in NAMESPACES})
    objects = [monitor(number) for number in range(count)]
    options = Options(endpoint_slices=True, topology_sharding=True, shard_retention=True)
    took: dict[str, list[float]] = {"first": [], "unchanged": [], "one_changed": []}
    size = 0
    for round_ in range(repeats):
        fragments = Fragments()
        for name, changed in (("first", ()), ("unchanged", ()), ("one_changed", (round_ % count,))):
            for number in changed:
                objects[number] = monitor(number, round_ + 2)
            began = time.process_time()
            got = configuration(PROMETHEUS, objects, NAMESPACES, assets, options, fragments=fragments)
            took[name].append((time.process_time() - began) * 1000)
            size = len(got.text)
    written = yaml.load(got.text, yaml.CSafeLoader)
    began = time.process_time()
    yaml.safe_dump(written, sort_keys=False)
    pyyaml_ms = (time.process_time() - began) * 1000
    medians = {f"{name}_ms": statistics.median(each) for name, each in took.items()}
    return {**medians, "pyyaml_ms": pyyaml_ms, "mb": size / 1e6}


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--monitors", type=int, default=1200)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    for name, value in measure(given.monitors, given.repeats).items():
        print(f"{name:16} {value:10.1f}")


if __name__ == "__main__":
    main()
