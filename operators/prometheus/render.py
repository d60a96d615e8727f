"""From custom resources to everything that is made of them: the pure core, whole.

The controller calls this with what its caches hold, the command line with what it read from files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from operators.prometheus.alertmanager import options as alertmanager_options
from operators.prometheus.alertmanager import provision
from operators.prometheus.config.configuration import configuration
from operators.prometheus.config.options import Options
from operators.prometheus.config.remote import ruler_configuration
from operators.prometheus.rules import MOUNTED_MIN, RuleFiles, packed, rule_files
from operators.prometheus.tables import Assets, Rejected, Scope, Version, to_yaml
from operators.prometheus.tables.reading import mapping, text
from operators.prometheus.tables.versions import DEFAULT_THANOS
from operators.prometheus.workload import alertmanager as alertmanagers
from operators.prometheus.workload import prometheus as prometheuses
from operators.prometheus.workload import thanos
from operators.prometheus.workload.objects import rule_maps, secret, tls_asset_secrets, zipped
from operators.prometheus.workload.settings import Settings
from operators.prometheus.workload.tls import Mounted, cluster_tls, web_config

__all__ = ["INSTANCES", "Cluster", "Made", "render", "render_one", "subject_of"]

INSTANCES: Final = ("Prometheus", "PrometheusAgent", "Alertmanager", "ThanosRuler")
"""Kinds that something runs for."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is there.

    Attributes:
        objects: of all kinds of ``monitoring.coreos.com``, defaults filled in.
        namespaces: their labels, by name. Where a namespace of an object is missing, it has its name alone.
        assets: Secrets and ConfigMaps that objects may refer to.
    """

    objects: Sequence[Mapping[str, Any]]
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    assets: Assets = field(default_factory=Assets)

    @classmethod
    def of(cls, objects: Iterable[Mapping[str, Any]]) -> Cluster:
        """Of objects of every kind; those that say nothing of Prometheus are passed over.

        Raises:
            Rejected: a Secret whose ``data`` is no base64.
        """
        kept, secrets, maps = [], [], []
        namespaces: dict[str, dict[str, str]] = {}
        for each in objects:
            metadata, kind = mapping(each.get("metadata")), each.get("kind")
            if text(each.get("apiVersion")).startswith("monitoring.coreos.com/"):
                kept.append(each)
                namespaces.setdefault(text(metadata.get("namespace")), {})
            elif kind == "Secret":
                secrets.append(each)
            elif kind == "ConfigMap":
                maps.append(each)
            elif kind == "Namespace":
                namespaces[text(metadata.get("name"))] = dict(mapping(metadata.get("labels")))
        named = {name: {"kubernetes.io/metadata.name": name, **labels} for name, labels in namespaces.items()}
        return cls(kept, named, Assets.of(secrets, maps))


@dataclass(frozen=True, slots=True)
class Made:
    """What is made for one custom resource.

    Attributes:
        subject: the custom resource, as ``Prometheus monitoring/k8s``.
        configuration: the text that the program reads; "" where there is none. It holds what is in Secrets.
        objects: to be in the cluster, in the order in which they are needed: what is mounted before what mounts it.
        rejected: selected objects that are not in it, and why.
        dropped: what was set and is not written, since the version does not know it.
        refused: why nothing could be made at all.
    """

    subject: str
    configuration: str = field(default="", repr=False)
    objects: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    rejected: Mapping[str, Rejected] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    refused: Rejected | None = None


def subject_of(value: Mapping[str, Any]) -> str:
    """``Kind namespace/name``."""
    metadata = mapping(value.get("metadata"))
    return f"{text(value.get('kind'))} {text(metadata.get('namespace'))}/{text(metadata.get('name'))}"


def render(cluster: Cluster, options: Options, settings: Settings | None = None) -> list[Made]:
    """What is made for each Prometheus, PrometheusAgent, Alertmanager and ThanosRuler, sorted by kind and name.

    Guarantees: the same for the same cluster in whatever order its objects come. The governing Service of a namespace
    comes with the first that needs it, and is owned by all that do.
    """
    settings = settings or Settings()
    parents = sorted((each for each in cluster.objects if each.get("kind") in INSTANCES), key=_place)
    made = [render_one(each, cluster, options, settings) for each in parents]
    for at, group in _governed(parents):
        if made[at].refused is None:
            service = _SERVICES[group[0]["kind"]](group, settings)
            made[at] = replace(made[at], objects=(service, *made[at].objects))
    return made


def render_one(parent: Mapping[str, Any], cluster: Cluster, options: Options, settings: Settings) -> Made:
    """What is made for one custom resource, but for the Service that it shares with others."""
    try:
        return _MAKERS[parent["kind"]](parent, cluster, options, settings)
    except Rejected as refused:
        return Made(subject_of(parent), refused=refused.of(subject_of(parent)))


def _place(value: Mapping[str, Any]) -> tuple[int, str]:
    return INSTANCES.index(value["kind"]), subject_of(value)


def _governed(parents: Sequence[Mapping[str, Any]]) -> Iterable[tuple[int, list[Mapping[str, Any]]]]:
    """The place of the first of each kind in a namespace, and all of them; without those that name a Service."""
    groups: dict[tuple[str, str], list[int]] = {}
    for at, each in enumerate(parents):
        spec = mapping(each.get("spec"))
        if not spec.get("serviceName") and spec.get("mode") != "DaemonSet":
            groups.setdefault((each["kind"], text(mapping(each.get("metadata")).get("namespace"))), []).append(at)
    for places in groups.values():
        yield places[0], [parents[at] for at in places]


def _prometheus(parent: Mapping[str, Any], cluster: Cluster, options: Options, settings: Settings) -> Made:
    prefix, agent = prometheuses.prefix(parent), parent["kind"] == "PrometheusAgent"
    rules = RuleFiles() if agent else rule_files(parent, _of_kind(cluster, "PrometheusRule"), cluster.namespaces)
    maps = [] if agent else rule_maps(parent, prefix, "prometheus-name", packed(rules.files), settings)
    names = [] if agent else _map_names(prefix, maps)
    written = configuration(
        parent, cluster.objects, cluster.namespaces, cluster.assets, options, rule_config_maps=names
    )
    files = {name: value.encode() for name, value in written.tls_assets.items()}
    assets = tls_asset_secrets(parent, prefix, files, settings)
    dropped = [*written.dropped, *(f"{subject}: {line}" for subject, lines in rules.dropped.items() for line in lines)]
    workloads = prometheuses.workloads(
        parent, settings, rule_map_names=names, tls_secret_names=_names(assets), dropped=dropped
    )
    secrets = [secret(parent, prefix, {prometheuses.CONFIG_KEY: zipped(written.text)}, settings), *assets]
    web = web_config(
        mapping(parent.get("spec")).get("web"), f"{prometheuses.FOLDER}/web_config", f"{prefix}-web-config"
    )
    secrets.append(_file_secret(parent, web, settings))
    if not agent:
        client = {thanos.CLIENT_FILE: thanos.client_file().encode()}
        secrets.append(secret(parent, f"{prefix}-thanos-prometheus-http-client-file", client, settings))
    rejected = {key.replace("/", " ", 1): refused for key, refused in written.rejected.items()} | rules.rejected
    return Made(
        subject_of(parent), written.text, (*maps, *secrets, *workloads), rejected, tuple(dict.fromkeys(dropped))
    )


def _alertmanager(parent: Mapping[str, Any], cluster: Cluster, options: Options, settings: Settings) -> Made:
    prefix = alertmanagers.prefix(parent)
    told = alertmanager_options.Options(compat=options.compat)
    configs = _of_kind(cluster, "AlertmanagerConfig")
    written = provision.configuration(parent, configs, cluster.namespaces, cluster.assets, told)
    data = provision.generated_data(parent, written.text, cluster.assets)
    assets = tls_asset_secrets(parent, prefix, {}, settings)
    dropped = list(written.dropped)
    workload = alertmanagers.alertmanager(parent, settings, tls_secret_names=_names(assets), dropped=dropped)
    web = web_config(
        mapping(parent.get("spec")).get("web"), f"{alertmanagers.FOLDER}/web_config", f"{prefix}-web-config"
    )
    cluster_file = cluster_tls(parent, f"{alertmanagers.FOLDER}/cluster_tls_config")
    secrets = [
        secret(parent, f"{prefix}-generated", data, settings),
        *assets,
        _file_secret(parent, web, settings),
        _file_secret(parent, cluster_file, settings),
    ]
    rejected = {f"AlertmanagerConfig {key}": refused for key, refused in written.rejected.items()}
    return Made(subject_of(parent), written.text, (*secrets, workload), rejected, tuple(dict.fromkeys(dropped)))


def _ruler(parent: Mapping[str, Any], cluster: Cluster, options: Options, settings: Settings) -> Made:
    prefix, spec = thanos.ruler_prefix(parent), mapping(parent.get("spec"))
    rules = rule_files(parent, _of_kind(cluster, "PrometheusRule"), cluster.namespaces)
    maps = rule_maps(parent, prefix, "thanos-ruler-name", packed(rules.files), settings)
    names = _map_names(prefix, maps)
    namespace = text(mapping(parent.get("metadata")).get("namespace"))
    scope = Scope(Version.parse(text(spec.get("version")) or DEFAULT_THANOS), namespace, cluster.assets, options)
    remote = ruler_configuration(parent, scope)
    written = to_yaml(remote) if remote else ""
    assets = tls_asset_secrets(parent, prefix, {}, settings)
    dropped = [*scope.dropped, *(f"{subject}: {line}" for subject, lines in rules.dropped.items() for line in lines)]
    workload = thanos.ruler(parent, settings, rule_map_names=names, tls_secret_names=_names(assets), dropped=dropped)
    web = web_config(spec.get("web"), f"{thanos.FOLDER}/web_config", f"{prefix}-web-config")
    secrets = [
        secret(parent, f"{prefix}-config", {"remote-write.yaml": written.encode()}, settings),
        *assets,
        _file_secret(parent, web, settings),
    ]
    rejected = dict(rules.rejected)
    return Made(subject_of(parent), written, (*maps, *secrets, workload), rejected, tuple(dict.fromkeys(dropped)))


_MAKERS: Final[Mapping[str, Callable[[Mapping[str, Any], Cluster, Options, Settings], Made]]] = {
    "Prometheus": _prometheus,
    "PrometheusAgent": _prometheus,
    "Alertmanager": _alertmanager,
    "ThanosRuler": _ruler,
}
_SERVICES: Final[Mapping[str, Callable[[Sequence[Mapping[str, Any]], Settings], dict[str, Any]]]] = {
    "Prometheus": prometheuses.service,
    "PrometheusAgent": prometheuses.service,
    "Alertmanager": alertmanagers.service,
    "ThanosRuler": thanos.ruler_service,
}


def _of_kind(cluster: Cluster, kind: str) -> list[Mapping[str, Any]]:
    return [each for each in cluster.objects if each.get("kind") == kind]


def _names(objects: Iterable[Mapping[str, Any]]) -> list[str]:
    return [each["metadata"]["name"] for each in objects]


def _map_names(prefix: str, maps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those that are mounted: some more than there are, so that a new one needs no new Pod."""
    return [f"{prefix}-rulefiles-{at}" for at in range(max(MOUNTED_MIN, len(maps)))]


def _file_secret(parent: Mapping[str, Any], mounted: Mounted, settings: Settings) -> dict[str, Any]:
    return secret(parent, mounted.secret_name, {mounted.key: mounted.text.encode()}, settings)
