"""``global``, ``runtime``, ``rule_files`` and ``storage``: what is the same for all jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.config.jobs import as_float, scrape_protocols
from operators.prometheus.config.limits import global_limits
from operators.prometheus.config.sharding import is_zoned
from operators.prometheus.tables import OMIT, Field, Inline, Rejected, Scope, Table
from operators.prometheus.tables.makes import given, lowered
from operators.prometheus.tables.reading import entries, mapping, text

__all__ = [
    "agent_global",
    "agent_storage",
    "external_labels",
    "replica_label",
    "rule_files",
    "runtime",
    "server_global",
    "server_storage",
]

LOG_DIRECTORY: Final = "/var/log/prometheus"
"""Where an empty directory is mounted for files that are named without one."""

RULES_DIRECTORY: Final = "/etc/prometheus/rules"
RETENTION: Final = "24h"
"""How long samples are kept where neither time nor size is said."""

_ESCAPING: Final = {"AllowUTF8": "allow-utf-8", "Underscores": "underscores", "Dots": "dots", "Values": "values"}


def server_global(cr: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The global section of a Prometheus."""
    return _SERVER.of({"spec": mapping(cr.get("spec")), "cr": cr}, scope)


def agent_global(cr: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The global section of a PrometheusAgent, which evaluates no rules and answers no queries."""
    return _AGENT.of({"spec": mapping(cr.get("spec")), "cr": cr}, scope)


def external_labels(cr: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Sorted; the operator's own win over the user's."""
    spec, metadata = mapping(cr.get("spec")), mapping(cr.get("metadata"))
    own = {
        _label(spec, "prometheusExternalLabelName", "prometheus"): (
            f"{text(metadata.get('namespace'))}/{text(metadata.get('name'))}"
        ),
        replica_label(spec): "$(POD_NAME)",
    }
    if is_zoned(spec, scope):
        topology = mapping(mapping(spec.get("shardingStrategy")).get("topology"))
        own[_label(topology, "externalLabelName", "zone")] = "$(TOPOLOGY_ZONE)"
    own.pop("", None)
    labels = mapping(spec.get("externalLabels"))
    scope.dropped += [f"externalLabels.{name} is left out: the operator sets it" for name in labels if name in own]
    return dict(sorted({**labels, **own}.items()))


def replica_label(cr_spec: Mapping[str, Any]) -> str:
    """The name of the label that tells replicas apart; "" for none."""
    return _label(cr_spec, "replicaExternalLabelName", "prometheus_replica")


def runtime(cr_spec: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    """``runtime`` of the file, if there is one."""
    return _RUNTIME.of(cr_spec, scope)


def rule_files(cr_spec: Mapping[str, Any], config_maps: list[str]) -> dict[str, Any]:
    """``rule_files`` of the file: those of each ConfigMap, if the Prometheus selects any rules."""
    if cr_spec.get("ruleSelector") is None:
        return {}
    return {"rule_files": [f"{RULES_DIRECTORY}/{name}/*.yaml" for name in config_maps]}


def server_storage(cr_spec: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    """``storage`` of a Prometheus' file, if there is any."""
    return _STORAGE.of({"in": _SERVER_STORAGE(cr_spec, scope)}, scope)


def agent_storage(cr_spec: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    """``storage`` of an agent's file, if there is any."""
    return _STORAGE.of({"in": _AGENT_STORAGE(cr_spec, scope)}, scope)


def _label(section: Mapping[str, Any], field: str, default: str) -> str:
    return default if section.get(field) is None else text(section.get(field))


def _log_file(value: Any, scope: Scope) -> Any:
    path = text(value)
    return f"{LOG_DIRECTORY}/{path}" if path and "/" not in path else path or OMIT


def _escaping(value: Any, scope: Scope) -> Any:
    return _ESCAPING.get(text(value), OMIT)


def _interval(value: Any, scope: Scope) -> Any:
    return text(value)


def _chunks(spec: Mapping[str, Any], scope: Scope) -> Any:
    floats = text(mapping(mapping(spec.get("tsdb")).get("chunkEncoding")).get("floats"))
    if floats == "Xor" and "st-storage" in entries(spec.get("enableFeatures")):
        raise Rejected(
            "Xor holds no start timestamps, which the feature st-storage needs; use Xor2 or leave the feature out",
            "tsdb.chunkEncoding.floats",
        )
    return {"floats": floats.lower()} if floats else OMIT


def _retention(spec: Mapping[str, Any], scope: Scope) -> Any:
    time, size = text(spec.get("retention")), text(spec.get("retentionSize"))
    if not time and not size:
        time = RETENTION
    return {key: value for key, value in (("time", time), ("size", size)) if value}


_COMMON: Final = (
    Field("scrape_interval", "spec.scrapeInterval", _interval, always=True),
    Field("scrape_timeout", "spec.scrapeTimeout"),
    Field("scrape_protocols", "spec.scrapeProtocols", scrape_protocols, since="2.49.0"),
    Field("external_labels", "cr", external_labels),
    Inline(global_limits, "spec"),
    Field("scrape_failure_log_file", "spec.scrapeFailureLogFile", _log_file, since="2.55.0"),
    Field("metric_name_validation_scheme", "spec.nameValidationScheme", lowered, since="3.0.0"),
    Field("metric_name_escaping_scheme", "spec.nameEscapingScheme", _escaping, since="3.4.0"),
    Field("convert_classic_histograms_to_nhcb", "spec.convertClassicHistogramsToNHCB", given, since="3.4.0"),
    Field("always_scrape_classic_histograms", "spec.scrapeClassicHistograms", given, since="3.5.0"),
    Field("scrape_native_histograms", "spec.scrapeNativeHistograms", given, since="3.8.0"),
)
_AGENT: Final = Table(*_COMMON)
_SERVER: Final = Table(
    *_COMMON,
    Field("evaluation_interval", "spec.evaluationInterval", _interval, always=True),
    Field("rule_query_offset", "spec.ruleQueryOffset", since="2.53.0"),
    Field("query_log_file", "spec.queryLogFile", _log_file, since="2.16.0"),
)

_RUNTIME: Final = Table(
    Field(
        "runtime",
        make=lambda value, scope: Table(Field("gogc", "goGC", given)).of(mapping(value), scope),
        since="2.53.0",
    )
)

_TSDB_COMMON: Final = (
    Field("stale_series_compaction_threshold", "tsdb.staleSeriesCompactionThreshold", as_float, since="3.10.0"),
    Field("chunk_encoding", ".", _chunks, since="3.13.0"),
)
_SERVER_STORAGE: Final = Table(
    Field(
        "exemplars",
        "exemplars.maxSize",
        lambda size, scope: {"max_exemplars": size},
    ),
    Field(
        "tsdb",
        ".",
        Table(
            Field("out_of_order_time_window", "tsdb.outOfOrderTimeWindow", given, since="2.39.0"),
            *_TSDB_COMMON,
            Field("retention", ".", _retention, since="3.11.0"),
        ),
    ),
)
_AGENT_STORAGE: Final = Table(
    Field(
        "tsdb",
        ".",
        Table(Field("out_of_order_time_window", "tsdb.outOfOrderTimeWindow", given, since="2.54.0"), *_TSDB_COMMON),
    ),
)
_STORAGE: Final = Table(Field("storage", "in", lambda value, scope: value, since="2.29.0"))
