"""What all jobs that are made of objects have in common: rows of their tables, and what a row is given.

A row's value is a view of the object: ``endpoint`` (the part that one job is made of), ``spec`` (of the object), ``cr``
(the spec of the Prometheus), ``scrape_class``, ``metadata``, ``kind``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controllerkit.errors import BadRequest
from controllerkit.objects import parse_quantity
from operators.prometheus.config import http
from operators.prometheus.config.classes import scrape_class
from operators.prometheus.config.enforcement import enforced
from operators.prometheus.config.limits import body_size_limit, limits
from operators.prometheus.config.relabel import label_name, relabel_configs
from operators.prometheus.tables import OMIT, Field, Inline, Rejected, Scope, Table, Version
from operators.prometheus.tables.makes import given
from operators.prometheus.tables.reading import entries, mapping, text

__all__ = [
    "AUTHORIZATION",
    "BODY_SIZE_LIMIT",
    "FALLBACK_PROTOCOL",
    "HISTOGRAMS",
    "HONOR_LABELS",
    "HONOR_TIMESTAMPS",
    "LIMITS",
    "METRIC_RELABELINGS",
    "SCRAPE_PROTOCOLS",
    "STALENESS",
    "as_float",
    "copied_labels",
    "keep",
    "rest_of_relabelings",
    "scrape_protocols",
    "selected",
    "view_of",
]

TEXT_1_0: Final = "PrometheusText1.0.0"
TEXT_1_0_SINCE: Final = "3.0.0-rc.0"


def view_of(kind: str, target: Mapping[str, Any], endpoint: Mapping[str, Any], cr: Mapping[str, Any]) -> dict[str, Any]:
    """What the rows of a job read. The endpoint has what its scrape class gives it: files of certificates, and
    credentials.
    """
    spec, cr_spec = mapping(target.get("spec")), mapping(cr.get("spec"))
    of_class = scrape_class(spec, cr_spec)
    given_by_class = {
        # A ServiceMonitor's TLS section has files of its own, so an empty one of it counts as a section.
        "tlsConfig": http.merged_tls(_section(endpoint, "tlsConfig", keep_blank=kind == "ServiceMonitor"), of_class),
        "authorization": http.merged_authorization(_authorizes(endpoint), of_class),
    }
    return {
        "kind": kind,
        "metadata": mapping(target.get("metadata")),
        "spec": spec,
        "endpoint": {**endpoint, **given_by_class},
        "cr": cr_spec,
        "home": text(mapping(cr.get("metadata")).get("namespace")),
        "scrape_class": of_class,
    }


def _section(endpoint: Mapping[str, Any], field: str, *, keep_blank: bool = False) -> Mapping[str, Any] | None:
    found = endpoint.get(field)
    if not isinstance(found, Mapping):
        return None
    return found if keep_blank or not http.blank(found) else None


def _authorizes(endpoint: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The section, unless it says nothing: an empty type is none."""
    found = _section(endpoint, "authorization")
    return None if found is not None and http.blank({**found, "type": found.get("type") or None}) else found


def _authorization(view: Mapping[str, Any], scope: Scope) -> Any:
    """Credentials of a scrape class are where the Prometheus is; the original looks for them where the object is."""
    used, of_class = view["endpoint"].get("authorization"), view["scrape_class"].get("authorization")
    credentials = mapping(used).get("credentials")
    is_given = credentials is not None and credentials is mapping(of_class).get("credentials")
    return http.authorization(used, scope.within(namespace=view["home"]) if is_given and not scope.compat else scope)


def _honor_labels(view: Mapping[str, Any], scope: Scope) -> Any:
    return view["endpoint"].get("honorLabels") is True and view["cr"].get("overrideHonorLabels") is not True


def _honor_timestamps(view: Mapping[str, Any], scope: Scope) -> Any:
    own, override = view["endpoint"].get("honorTimestamps"), view["cr"].get("overrideHonorTimestamps") is True
    return OMIT if own is None and not override else own is True and not override


def scrape_protocols(value: Any, scope: Scope) -> Any:
    """Names of formats; that of Prometheus 3 is left out for an older one."""
    found = [each for each in entries(value) if each != TEXT_1_0 or scope.version.at_least(TEXT_1_0_SINCE)]
    return found if entries(value) else OMIT


def _fallback(view: Mapping[str, Any], scope: Scope) -> Any:
    own = view["spec"].get("fallbackScrapeProtocol")
    of_class = view["scrape_class"].get("fallbackScrapeProtocol")
    return own if own is not None else OMIT if of_class is None else of_class


def _body_size(view: Mapping[str, Any], scope: Scope) -> Any:
    return body_size_limit(view["spec"], view["cr"]) or OMIT


def as_float(value: Any, scope: Scope) -> Any:
    """A quantity as a number."""
    try:
        return float(parse_quantity(value if isinstance(value, (str, int, float)) else ""))
    except (BadRequest, OverflowError):
        raise Rejected(f"{str(value)[:64]!r} is no number; write one as 1.1 or 500m") from None


class _In:
    """A row for a major version and those before it, or those behind it."""

    def __init__(self, *, v3: bool) -> None:
        self.v3 = v3

    def __call__(self, value: Any, scope: Scope) -> Any:
        return value if (scope.version.major >= Version.parse("3.0.0").major) is self.v3 else OMIT


def _metric_relabelings(view: Mapping[str, Any], scope: Scope) -> Any:
    own = enforced(view["endpoint"].get("metricRelabelings"), view["kind"], view["metadata"], view["cr"])
    return relabel_configs([*entries(view["scrape_class"].get("metricRelabelings")), *own], scope) or OMIT


AUTHORIZATION: Final = Field("authorization", ".", _authorization, http.AUTHORIZATION.since)
HONOR_LABELS: Final = Field("honor_labels", ".", _honor_labels)
HONOR_TIMESTAMPS: Final = Field("honor_timestamps", ".", _honor_timestamps, since="2.9.0")
STALENESS: Final = Field("track_timestamps_staleness", "endpoint.trackTimestampsStaleness", given, since="2.48.0")
LIMITS: Final = Inline(lambda view, scope: limits(view["spec"], view["cr"], scope))
HISTOGRAMS: Final = Inline(
    Table(
        Field("scrape_native_histograms", "scrapeNativeHistograms", given, since="3.8.0"),
        Field("native_histogram_bucket_limit", "nativeHistogramBucketLimit", given, since="2.45.0"),
        Field("native_histogram_min_bucket_factor", "nativeHistogramMinBucketFactor", as_float, since="2.50.0"),
        Field("always_scrape_classic_histograms", "scrapeClassicHistograms", _In(v3=True)),
        Field("scrape_classic_histograms", "scrapeClassicHistograms", _In(v3=False), since="2.45.0"),
        Field("convert_classic_histograms_to_nhcb", "convertClassicHistogramsToNHCB", given, since="3.0.0"),
    ).of,
    "spec",
)
SCRAPE_PROTOCOLS: Final = Field("scrape_protocols", "spec.scrapeProtocols", scrape_protocols, since="2.49.0")
FALLBACK_PROTOCOL: Final = Field("fallback_scrape_protocol", ".", _fallback, since="3.0.0")
BODY_SIZE_LIMIT: Final = Field("body_size_limit", ".", _body_size, since="2.28.0")
METRIC_RELABELINGS: Final = Field("metric_relabel_configs", ".", _metric_relabelings)


def keep(label: str, regex: Any, action: str = "keep") -> dict[str, Any]:
    """An entry that keeps targets by one label."""
    return {"action": action, "source_labels": [label], "regex": regex}


def selected(what: str, selector: Any) -> list[dict[str, Any]]:
    """A ``metav1.LabelSelector`` as entries, on the meta labels of ``service``, ``pod`` or ``ingress``."""
    found = []
    for key, value in sorted(mapping(mapping(selector).get("matchLabels")).items()):
        found.append(_matching(what, key, [value], "keep"))
    for expression in map(mapping, entries(mapping(selector).get("matchExpressions"))):
        key, operator = text(expression.get("key")), expression.get("operator")
        if operator in ("In", "NotIn"):
            found.append(
                _matching(what, key, entries(expression.get("values")), "keep" if operator == "In" else "drop")
            )
        elif operator in ("Exists", "DoesNotExist"):
            present = f"__meta_kubernetes_{what}_labelpresent_{label_name(key)}"
            found.append(keep(present, "true", "keep" if operator == "Exists" else "drop"))
    return found


def _matching(what: str, key: str, values: list[Any], action: str) -> dict[str, Any]:
    name = label_name(key)
    return {
        "action": action,
        "source_labels": [f"__meta_kubernetes_{what}_label_{name}", f"__meta_kubernetes_{what}_labelpresent_{name}"],
        "regex": f"({'|'.join(map(str, values))});true",
    }


def copied_labels(what: str, labels: Any) -> list[dict[str, Any]]:
    """Labels of a Service or Pod that targets get too."""
    return [
        {
            "source_labels": [f"__meta_kubernetes_{what}_label_{label_name(text(each))}"],
            "target_label": label_name(text(each)),
            "regex": "(.+)",
            "replacement": "${1}",
        }
        for each in entries(labels)
    ]


def rest_of_relabelings(view: Mapping[str, Any], relabelings: Any, scope: Scope) -> list[dict[str, Any]]:
    """Those of the scrape class, of the author, and of the enforced label, in that order."""
    own = enforced(relabelings, view["kind"], view["metadata"], view["cr"])
    return relabel_configs([*entries(view["scrape_class"].get("relabelings")), *own], scope)
