"""Remote write and remote read, of Prometheus, its agent and Thanos Ruler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from operators.prometheus.config.http import AUTHORIZATION, BASIC_AUTH, FOLLOW_REDIRECTS, OAUTH2, PROXY, TLS, sigv4
from operators.prometheus.config.relabel import relabel_configs
from operators.prometheus.tables import OMIT, Field, Rejected, Scope, Table
from operators.prometheus.tables.makes import always, by_name, each, filled, given, read_secret, section
from operators.prometheus.tables.reading import mapping

__all__ = ["remote_read_section", "remote_write_section", "ruler_configuration"]


def remote_write_section(spec: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """``{"remote_write": […]}`` of ``spec.remoteWrite``; empty if there is none.

    Secrets are looked up in ``scope.namespace``, that of the Prometheus; one that cannot be read is written as "" or
    its block left out. Raises nothing: what is wrong is told by `check_remote_write`.
    """
    return _WRITES.of(spec, scope)


def ruler_configuration(cr: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The file of a Thanos Ruler: only ``remote_write``, of every field whatever its version, certificates inline."""
    inlined = replace(scope.options, inline_tls=True)
    return _RULER.of(mapping(cr.get("spec")), scope.within(options=inlined, any_version=True))


def remote_read_section(spec: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """``{"remote_read": […]}`` of ``spec.remoteRead``; as `remote_write_section`."""
    return _READS.of(spec, scope)


_MESSAGES: Final = {"V2.0": "io.prometheus.write.v2.Request"}
_MESSAGE: Final = "prometheus.WriteRequest"


def _message(value: Any, scope: Scope) -> Any:
    return _MESSAGES.get(str(value), _MESSAGE)


def _relabelings(value: Any, scope: Scope) -> Any:
    return relabel_configs(value, scope) or OMIT


def _azure_oauth(value: Any, scope: Scope) -> Any:
    """Nothing, if its secret cannot be read."""
    try:
        return _AZURE_OAUTH.of(value, scope)
    except Rejected:
        return OMIT


def _metadata(value: Any, scope: Scope) -> Any:
    """Messages of version 2 carry their metadata, so sending it beside them is off."""
    if not isinstance(value, Mapping):
        return OMIT
    made = section(_METADATA)(value.get("metadataConfig"), scope)
    return {**made, "send": False} if made is not OMIT and value.get("messageVersion") == "V2.0" else made


_AZURE_OAUTH: Final = Table(
    always("client_id", "clientId"),
    Field("client_secret", "clientSecret", read_secret, always=True),
    always("tenant_id", "tenantId"),
)
_AZURE: Final = Table(
    Field("managed_identity", "managedIdentity", section(Table(Field("client_id", "clientId")))),
    Field("oauth", make=_azure_oauth, since="2.48.0"),
    Field("sdk", make=section(Table(always("tenant_id", "tenantId"))), since="2.52.0"),
    Field(
        "workload_identity",
        "workloadIdentity",
        section(Table(always("client_id", "clientId"), always("tenant_id", "tenantId"))),
        since="3.7.0",
    ),
    Field("cloud", make=given),
    Field("scope", since="3.9.0"),
)
_QUEUE: Final = Table(
    Field("capacity", make=filled),
    Field("min_shards", "minShards", filled, since="2.6.0"),
    Field("max_shards", "maxShards", filled),
    Field("max_samples_per_send", "maxSamplesPerSend", filled),
    Field("batch_send_deadline", "batchSendDeadline", given),
    Field("max_retries", "maxRetries", filled, until="2.11.0"),
    Field("min_backoff", "minBackoff", given),
    Field("max_backoff", "maxBackoff", given),
    Field("retry_on_http_429", "retryOnRateLimit", filled, since="2.26.0"),
    Field("sample_age_limit", "sampleAgeLimit", given, since="2.50.0"),
)
_METADATA: Final = Table(
    always("send", otherwise=False),
    Field("send_interval", "sendInterval"),
    Field("max_samples_per_send", "maxSamplesPerSend", given, since="2.29.0"),
)
_REACHED: Final = (
    BASIC_AUTH,
    Field("bearer_token", "bearerToken"),
    Field("bearer_token_file", "bearerTokenFile"),
    *(OAUTH2, TLS, AUTHORIZATION, PROXY),
)
_WRITE: Final = Table(
    always("url"),
    Field("remote_timeout", "remoteTimeout", given),
    Field("headers", make=by_name, since="2.15.0"),
    Field("name", since="2.15.0"),
    Field("protobuf_message", "messageVersion", _message, since="2.54.0"),
    Field("send_exemplars", "sendExemplars", given, since="2.27.0"),
    Field("send_native_histograms", "sendNativeHistograms", given, since="2.40.0"),
    Field("write_relabel_configs", "writeRelabelConfigs", _relabelings),
    *_REACHED,
    Field("sigv4", make=sigv4, since="2.26.0"),
    Field("azuread", "azureAd", section(_AZURE), since="2.45.0"),
    FOLLOW_REDIRECTS,
    Field("enable_http2", "enableHTTP2", given, since="2.35.0"),
    Field("queue_config", "queueConfig", section(_QUEUE)),
    Field("metadata_config", ".", _metadata, since="2.23.0"),
    Field("round_robin_dns", "roundRobinDNS", given, since="3.1.0"),
)
_READ: Final = Table(
    always("url"),
    Field("remote_timeout", "remoteTimeout", given),
    Field("headers", make=by_name, since="2.26.0"),
    Field("name", since="2.15.0"),
    Field("required_matchers", "requiredMatchers", by_name),
    Field("read_recent", "readRecent", filled),
    *_REACHED,
    FOLLOW_REDIRECTS,
    Field("filter_external_labels", "filterExternalLabels", given, since="2.34.0"),
)
_WRITES: Final = Table(Field("remote_write", "remoteWrite", each(_WRITE)))
_READS: Final = Table(Field("remote_read", "remoteRead", each(_READ)))


def _always_listed(value: Any, scope: Scope) -> Any:
    found = each(_WRITE)(value, scope)
    return [] if found is OMIT else found


_RULER: Final = Table(Field("remote_write", "remoteWrite", _always_listed, always=True))
