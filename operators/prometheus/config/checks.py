"""Whether ServiceMonitors, PodMonitors and Probes can become jobs; one that cannot is left out, and told why."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.config.classes import check_class_name, scrape_class
from operators.prometheus.config.durations import check_timeout
from operators.prometheus.config.kubernetes_sd import uses_role_selector
from operators.prometheus.config.references import References, inside
from operators.prometheus.config.relabel import check_relabel_configs, is_label_name
from operators.prometheus.tables import Rejected, Scope
from operators.prometheus.tables.reading import entries, mapping, text
from operators.prometheus.tables.selecting import check_label_selector

__all__ = ["check_pod_monitor", "check_probe", "check_service_monitor"]

ROLE_SELECTOR_SINCE: Final = "2.17.0"
_DNS_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*[._]?")
_DNS_LENGTH_MAX: Final = 255
_PORT_MAX: Final = 65535


def check_service_monitor(monitor: Mapping[str, Any], cr: Mapping[str, Any], scope: Scope) -> dict[str, str]:
    """The files of certificates that its jobs need.

    Raises:
        Rejected: the first thing that is wrong of it, for this Prometheus.
    """
    spec, cr_spec = mapping(monitor.get("spec")), mapping(cr.get("spec"))
    references = References(scope.within(namespace=_namespace(monitor)))
    denies = mapping(cr_spec.get("arbitraryFSAccessThroughSMs")).get("deny") is True

    def endpoint(each: Mapping[str, Any]) -> None:
        if denies:
            _check_no_files(each)
        if not scope.options.compat:
            _check_file_alone(each)
        if text(mapping(each.get("bearerTokenSecret")).get("name")):
            inside("bearerTokenSecret", references.secret, each["bearerTokenSecret"])
        references.http(each, files=True, class_authorizes=_class_authorizes(spec, cr_spec, scope))
        _check_scrape(each, cr_spec, scope)

    inside("spec", _check_monitor, spec, cr_spec, scope)
    for at, each in enumerate(entries(spec.get("endpoints"))):
        inside(f"spec.endpoints[{at}]", endpoint, mapping(each))
    return references.files


def check_pod_monitor(monitor: Mapping[str, Any], cr: Mapping[str, Any], scope: Scope) -> dict[str, str]:
    """As `check_service_monitor`."""
    spec, cr_spec = mapping(monitor.get("spec")), mapping(cr.get("spec"))
    references = References(scope.within(namespace=_namespace(monitor)))

    def endpoint(each: Mapping[str, Any]) -> None:
        token = mapping(each.get("bearerTokenSecret"))
        if text(token.get("name")) and text(token.get("key")):
            inside("bearerTokenSecret", references.secret, token)
        references.http(each, class_authorizes=_class_authorizes(spec, cr_spec, scope))
        _check_scrape(each, cr_spec, scope)

    inside("spec", _check_monitor, spec, cr_spec, scope)
    for at, each in enumerate(entries(spec.get("podMetricsEndpoints"))):
        inside(f"spec.podMetricsEndpoints[{at}]", endpoint, mapping(each))
    return references.files


def check_probe(probe: Mapping[str, Any], cr: Mapping[str, Any], scope: Scope) -> dict[str, str]:
    """As `check_service_monitor`."""
    references = References(scope.within(namespace=_namespace(probe)))
    inside("spec", _check_probe, mapping(probe.get("spec")), mapping(cr.get("spec")), references)
    return references.files


def _check_probe(spec: Mapping[str, Any], cr_spec: Mapping[str, Any], references: References) -> None:
    version = references.scope.version
    check_class_name(spec, cr_spec)
    targets = mapping(spec.get("targets"))
    static, ingress = targets.get("staticConfig"), targets.get("ingress")
    if static is None and ingress is None:
        raise Rejected("nothing is probed; set staticConfig or ingress", "targets")
    if spec.get("bearerTokenSecret") is not None:
        inside("bearerTokenSecret", references.secret, spec["bearerTokenSecret"])
    compat = references.scope.options.compat
    authorizes = compat or _class_authorizes(spec, cr_spec, references.scope)
    references.http(spec, class_authorizes=authorizes, alone=not compat)
    check_timeout(spec, cr_spec)
    inside("metricRelabelings", check_relabel_configs, spec.get("metricRelabelings"), version)
    for name in sorted(mapping(mapping(static).get("labels"))):
        if not is_label_name(name, version):
            raise Rejected(f"{name!r} is no label in {version}", "targets.staticConfig.labels")
    for name, section in (("staticConfig", mapping(static)), ("ingress", mapping(ingress))):
        place = f"targets.{name}.relabelingConfigs"
        inside(place, check_relabel_configs, section.get("relabelingConfigs"), version)
    if ingress is not None:
        inside("targets.ingress.selector", check_label_selector, mapping(ingress).get("selector"))
    prober = mapping(spec.get("prober"))
    inside("prober", references.proxy, prober)
    inside("prober.url", _check_prober, text(prober.get("url")))


def _check_monitor(spec: Mapping[str, Any], cr_spec: Mapping[str, Any], scope: Scope) -> None:
    inside("selector", check_label_selector, spec.get("selector"))
    if uses_role_selector(spec) and not scope.version.at_least(ROLE_SELECTOR_SINCE):
        raise Rejected(f"RoleSelector needs {ROLE_SELECTOR_SINCE}, this is {scope.version}", "selectorMechanism")
    check_class_name(spec, cr_spec)


def _check_scrape(endpoint: Mapping[str, Any], cr_spec: Mapping[str, Any], scope: Scope) -> None:
    check_timeout(endpoint, cr_spec)
    for name in ("relabelings", "metricRelabelings"):
        inside(name, check_relabel_configs, endpoint.get(name), scope.version)


def _check_no_files(endpoint: Mapping[str, Any]) -> None:
    tls = mapping(endpoint.get("tlsConfig"))
    fields = {"bearerTokenFile": endpoint.get("bearerTokenFile")} | {
        f"tlsConfig.{name}": tls.get(name) for name in ("caFile", "certFile", "keyFile")
    }
    for name, value in fields.items():
        if text(value):
            raise Rejected("the Prometheus lets no ServiceMonitor name files of its Pods; refer to a Secret", name)


def _check_file_alone(endpoint: Mapping[str, Any]) -> None:
    others = [
        way for way in ("authorization", "basicAuth", "bearerTokenSecret", "oauth2") if endpoint.get(way) is not None
    ]
    if text(endpoint.get("bearerTokenFile")) and others:
        raise Rejected(f"a client authenticates in one way; use bearerTokenFile or {others[0]}")


def _class_authorizes(spec: Mapping[str, Any], cr_spec: Mapping[str, Any], scope: Scope) -> bool:
    """The original refuses an authorization without credentials even if its class has them."""
    return not scope.options.compat and scrape_class(spec, cr_spec).get("authorization") is not None


def _check_prober(url: str) -> None:
    """``host`` or ``host:port``."""
    host, port = _split(url)
    if not _is_host(host):
        raise Rejected("is no host, or host:port; leave out scheme and path")
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _PORT_MAX):
        raise Rejected(f"{port[:64]!r} is no port")


def _split(url: str) -> tuple[str, str | None]:
    """Host and port; all of it and None where no port can be told apart."""
    if found := re.fullmatch(r"\[([^\[\]]*)\]:([^:\[\]]*)", url):
        return found[1], found[2]
    host, colon, port = url.rpartition(":")
    return (host, port) if colon and ":" not in host and not set("[]") & set(url) else (url, None)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return len(host.replace(".", "")) <= _DNS_LENGTH_MAX and _DNS_NAME.fullmatch(host) is not None
    return "%" not in host


def _namespace(target: Mapping[str, Any]) -> str:
    return text(mapping(target.get("metadata")).get("namespace"))
