"""Configurations of Prometheus, server and agent, and the checks of what is selected for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from operators.prometheus.config.agent import agent_configuration
from operators.prometheus.config.fragments import CHECKS, JOBS, instance_scope, jobs_of
from operators.prometheus.config.kubernetes_sd import kubernetes_sd_config
from operators.prometheus.config.options import Options
from operators.prometheus.config.selection import name_of
from operators.prometheus.config.server import Additional, server_configuration
from operators.prometheus.tables import Assets, Scope, to_yaml
from operators.prometheus.tables.reading import mapping, text

__all__ = ["FUNCTIONS", "options_of"]

_OPTIONS: Mapping[str, str] = {
    "endpointSliceSupported": "endpoint_slices",
    "daemonSet": "daemon_set",
    "prometheusTopologySharding": "topology_sharding",
    "prometheusRetentionPolicies": "shard_retention",
    "podTopologyLabelsSupported": "pod_topology_labels",
    "inlineTLSConfig": "inline_tls",
}


def options_of(given: Mapping[str, Any]) -> Options:
    """The gates of a case, by the names it has for them."""
    return Options(compat=True, **{ours: True for theirs, ours in _OPTIONS.items() if given.get(theirs) is True})


def _scope(case: Mapping[str, Any]) -> Scope:
    assets = Assets.of(case.get("secrets") or (), case.get("configmaps") or ())
    extra = mapping(case.get("extra"))
    cr = mapping(case.get("cr"))
    if not text(mapping(cr.get("spec")).get("version")) and text(extra.get("version")):
        cr = {**cr, "spec": {**mapping(cr.get("spec")), "version": extra["version"]}}
    return instance_scope(cr, assets, options_of(mapping(extra.get("options"))))


def _additional(case: Mapping[str, Any]) -> Additional:
    extra = mapping(case.get("extra"))
    return Additional(
        scrape_configs=extra.get("additional_scrape_configs"),
        alert_relabel_configs=extra.get("additional_alert_relabel_configs"),
        alertmanager_configs=extra.get("additional_alertmanager_configs"),
    )


def _jobs(case: Mapping[str, Any], kind: str, scope: Scope) -> list[dict[str, Any]]:
    found = [each for each in case.get("objects") or () if each.get("kind") == kind]
    return [job for each in sorted(found, key=name_of) for job in jobs_of(kind, each, case["cr"], scope)]


def _server(case: Mapping[str, Any]) -> str:
    scope = _scope(case)
    jobs = [job for kind in JOBS for job in _jobs(case, kind, scope)]
    names = mapping(case.get("extra")).get("rule_configmap_names") or ()
    return to_yaml(server_configuration(case["cr"], jobs, scope, rule_config_maps=names, additional=_additional(case)))


def _agent(case: Mapping[str, Any]) -> str:
    scope = _scope(case)
    others = [job for kind in JOBS if kind != "PodMonitor" for job in _jobs(case, kind, scope)]
    pods = _jobs(case, "PodMonitor", scope)
    return to_yaml(agent_configuration(case["cr"], pods, others, scope, additional=_additional(case)))


def _kubernetes_sd(case: Mapping[str, Any]) -> str:
    extra, target = mapping(case.get("extra")), case["objects"][0]
    spec = {**mapping(case["cr"].get("spec")), "apiserverConfig": extra.get("apiserver_config")}
    attach = mapping(target.get("spec")).get("attachMetadata")
    entry = kubernetes_sd_config(
        text(extra.get("role")),
        mapping(target.get("spec")),
        {**case["cr"], "spec": spec},
        _scope(case).within(namespace=target["metadata"].get("namespace") or ""),
        attach=attach,
        attach_since=text(extra.get("attach_metadata_minimum_version")),
    )
    return to_yaml({"scrape_configs": [{"job_name": "k8s-sd-test", "kubernetes_sd_configs": [entry]}]})


def _check(kind: str) -> Callable[[Mapping[str, Any]], str]:
    def check(case: Mapping[str, Any]) -> str:
        for target in case.get("objects") or ():
            CHECKS[kind](target, case["cr"], _scope(case))
        return "accepted"

    return check


FUNCTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "GenerateServerConfiguration": _server,
    "GenerateAgentConfiguration": _agent,
    "generateK8SSDConfig": _kubernetes_sd,
    **{f"check{kind}": _check(kind) for kind in CHECKS},
}
