"""ScrapeConfigs: one job of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.config import http, jobs
from operators.prometheus.config.classes import check_class_name, scrape_class
from operators.prometheus.config.discovery import discovery
from operators.prometheus.config.discovery_checks import check_discovery
from operators.prometheus.config.durations import check_timeout
from operators.prometheus.config.enforcement import enforced
from operators.prometheus.config.references import References, inside
from operators.prometheus.config.relabel import JOB_NAME, check_relabel_configs, relabel_configs
from operators.prometheus.config.sharding import is_hashed, sharding, shards
from operators.prometheus.tables import OMIT, Field, Inline, Scope, Table
from operators.prometheus.tables.makes import by_name, given, lowered
from operators.prometheus.tables.reading import entries, mapping, text

__all__ = ["check_scrape_config", "scrape_config"]


def scrape_config(obj: Mapping[str, Any], prometheus: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The job of a ScrapeConfig.

    Raises:
        Rejected: a Secret that a cloud is asked with cannot be read, or a quantity is none.
    """
    spec, namespace = mapping(obj.get("spec")), text(mapping(obj.get("metadata")).get("namespace"))
    return _JOB.of(jobs.view_of("ScrapeConfig", obj, spec, prometheus), scope.within(namespace=namespace))


def check_scrape_config(obj: Mapping[str, Any], prometheus: Mapping[str, Any], scope: Scope) -> dict[str, str]:
    """The files of certificates that its job needs.

    Raises:
        Rejected: the first thing that is wrong of it, for this Prometheus.
    """
    spec, cr_spec = mapping(obj.get("spec")), mapping(prometheus.get("spec"))
    references = References(scope.within(namespace=text(mapping(obj.get("metadata")).get("namespace"))))
    inside("spec", _check, spec, cr_spec, references)
    return references.files


def _check(spec: Mapping[str, Any], cr_spec: Mapping[str, Any], references: References) -> None:
    scope = references.scope
    check_class_name(spec, cr_spec)
    for name in ("relabelings", "metricRelabelings"):
        inside(name, check_relabel_configs, spec.get(name), scope.version)
    authorizes = scope.compat or scrape_class(spec, cr_spec).get("authorization") is not None
    references.http(spec, class_authorizes=authorizes, alone=not scope.compat)
    check_timeout(spec, cr_spec, "scrapeInterval")
    check_discovery(spec, references)


def _name(view: Any, scope: Scope) -> Any:
    metadata = view["metadata"]
    return f"scrapeConfig/{text(metadata.get('namespace'))}/{text(metadata.get('name'))}"


def _if_set(row: Field, field: str) -> Field:
    """A row that other kinds always have, and this one only where its field is set."""
    return Field(
        row.key,
        row.source,
        lambda view, scope: OMIT if view["spec"].get(field) is None else row.make(view, scope),
        row.since,
    )


def _relabelings(view: Any, scope: Scope) -> Any:
    """The user's stand behind the name of the job, before the shards'.

    The original enforces the namespace only where the user has relabelings.
    """
    spec, cr = view["spec"], view["cr"]
    own = entries(spec.get("relabelings"))
    if own or not scope.compat:
        own = enforced(own, view["kind"], view["metadata"], cr)
    found = [
        dict(JOB_NAME),
        *relabel_configs(view["scrape_class"].get("relabelings"), scope),
        *_job_name(spec.get("jobName")),
        *relabel_configs(own, scope),
    ]
    return found if shards(cr) == 1 or is_hashed(found) else [*found, *sharding("__address__", cr, scope)]


def _job_name(name: Any) -> list[dict[str, Any]]:
    return [] if name is None else [{"target_label": "job", "action": "replace", "replacement": name}]


_ESCAPING: Final = {"AllowUTF8": "allow-utf-8", "Underscores": "underscores", "Dots": "dots", "Values": "values"}


def _escaping(value: Any, scope: Scope) -> Any:
    return _ESCAPING.get(str(value), OMIT)


_JOB: Final = Table(
    Field("job_name", ".", _name),
    _if_set(jobs.HONOR_TIMESTAMPS, "honorTimestamps"),
    jobs.STALENESS,
    _if_set(jobs.HONOR_LABELS, "honorLabels"),
    Field("metrics_path", "spec.metricsPath", given),
    Field("params", "spec.params", by_name),
    Field("enable_compression", "spec.enableCompression", given, since="2.49.0"),
    Field("enable_http2", "spec.enableHTTP2", given, since="2.35.0"),
    Field("scrape_interval", "spec.scrapeInterval", given),
    Field("scrape_timeout", "spec.scrapeTimeout", given),
    jobs.SCRAPE_PROTOCOLS,
    jobs.FALLBACK_PROTOCOL,
    Field("scheme", "spec.scheme", lowered),
    Inline(Table(http.PROXY, http.BASIC_AUTH).of, "endpoint"),
    jobs.AUTHORIZATION,
    Inline(Table(http.OAUTH2, http.TLS).of, "endpoint"),
    jobs.LIMITS,
    jobs.HISTOGRAMS,
    jobs.BODY_SIZE_LIMIT,
    Inline(discovery, "spec"),
    Field("relabel_configs", ".", _relabelings),
    jobs.METRIC_RELABELINGS,
    Field("metric_name_validation_scheme", "spec.nameValidationScheme", lowered, since="3.0.0"),
    Field("metric_name_escaping_scheme", "spec.nameEscapingScheme", _escaping, since="3.4.0"),
)
