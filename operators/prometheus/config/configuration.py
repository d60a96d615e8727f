"""The whole way from a Prometheus and what is in its cluster to the file that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from operators.prometheus.config.agent import agent_configuration
from operators.prometheus.config.fragments import Fragment, Fragments, instance_scope
from operators.prometheus.config.options import Options
from operators.prometheus.config.own_checks import check_own_sections
from operators.prometheus.config.references import References, inside
from operators.prometheus.config.selection import SELECTORS, select
from operators.prometheus.config.server import Additional, check_instance, server_configuration
from operators.prometheus.tables import Assets, Rejected, Scope, Text, to_yaml
from operators.prometheus.tables.reading import mapping
from operators.prometheus.tables.selecting import Namespaces

__all__ = ["Configuration", "configuration"]

AGENT: Final = "PrometheusAgent"


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a Prometheus or PrometheusAgent is given.

    Attributes:
        text: the file. It holds what is in Secrets.
        selected: the objects that were selected, as ``Kind/namespace/name``, in the order of the file.
        rejected: those of them that have no jobs, and why.
        dropped: what was set and is not written, since the version does not know it; a line each.
        tls_assets: certificates and keys that the file refers to, by the names of their files.
    """

    text: str = field(repr=False)
    selected: tuple[str, ...]
    rejected: Mapping[str, Rejected]
    dropped: tuple[str, ...]
    tls_assets: Mapping[str, str] = field(repr=False)


def configuration(
    cr: Mapping[str, Any],
    objects: Iterable[Mapping[str, Any]],
    namespaces: Namespaces,
    assets: Assets,
    options: Options,
    *,
    rule_config_maps: Sequence[str] = (),
    additional: Additional | None = None,
    fragments: Fragments | None = None,
) -> Configuration:
    """Selects, checks, and writes. An object that is wrong loses its own jobs only.

    Guarantees: the same for the same input in whatever order; nothing that is given is changed.

    Args:
        cr: a Prometheus or a PrometheusAgent, told apart by its ``kind``.
        objects: of the four kinds that jobs are made of, with their ``kind``; others are passed over.
        namespaces: labels of namespaces by their names.
        assets: what the selected objects refer to. What is missing counts as not there.
        rule_config_maps: names of the ConfigMaps with its rules.
        additional: instead of what the fields ``additional…`` refer to.
        fragments: kept from the last time for this Prometheus, so that only what has changed is made anew.

    Raises:
        Rejected: something of the Prometheus itself, so that there is no file.
    """
    scope = instance_scope(cr, assets, _options(cr, options))
    check_instance(cr, scope)
    files = check_own_sections(cr, scope)
    more = _additional(cr, scope) if additional is None else additional
    chosen = select(cr, objects, namespaces)
    if scope.options.daemon_set:
        chosen = {"PodMonitor": chosen["PodMonitor"]}
    made = (fragments if fragments is not None else Fragments()).of(chosen, cr, scope)
    written = to_yaml(_file(cr, made, scope, rule_config_maps, more))
    for each in made.values():
        files.update(each.files)
    return Configuration(
        written,
        tuple("/".join(key) for key in made),
        {"/".join(key): each.refused for key, each in made.items() if each.refused is not None},
        (*scope.dropped, *(line for each in made.values() for line in each.dropped)),
        dict(sorted(files.items())),
    )


def _options(cr: Mapping[str, Any], options: Options) -> Options:
    """An agent stores nothing that a shard would be kept for, and may run on every node."""
    if cr.get("kind") != AGENT:
        return options
    on_nodes = mapping(cr.get("spec")).get("mode") == "DaemonSet"
    return replace(options, shard_retention=False, daemon_set=options.daemon_set or on_nodes)


def _file(
    cr: Mapping[str, Any],
    made: Mapping[tuple[str, str], Fragment],
    scope: Scope,
    rule_config_maps: Sequence[str],
    additional: Additional,
) -> dict[str, Any]:
    jobs = {
        kind: [Text(each.lines) for (of, _), each in made.items() if of == kind and each.lines] for kind in SELECTORS
    }
    if cr.get("kind") == AGENT:
        pods = jobs.pop("PodMonitor")
        others = [each for found in jobs.values() for each in found]
        return agent_configuration(cr, pods, others, scope, additional=additional)
    everything = [each for found in jobs.values() for each in found]
    return server_configuration(cr, everything, scope, rule_config_maps=rule_config_maps, additional=additional)


def _additional(cr: Mapping[str, Any], scope: Scope) -> Additional:
    spec, references = mapping(cr.get("spec")), References(scope)

    def read(name: str) -> str | None:
        reference = spec.get(name)
        if reference is None:
            return None
        try:
            return str(inside(f"spec.{name}", references.secret, reference))
        except Rejected:
            if mapping(reference).get("optional") is True:
                return None
            raise

    return Additional(
        scrape_configs=read("additionalScrapeConfigs"),
        alert_relabel_configs=read("additionalAlertRelabelConfigs"),
        alertmanager_configs=read("additionalAlertManagerConfigs"),
    )
