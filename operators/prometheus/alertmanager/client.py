"""How Alertmanager reaches a server: ``http_config`` and ``tls_config`` by version.

Source: ``http_config`` in Alertmanager's configuration reference; the gates are those of prometheus-operator.
"""

from __future__ import annotations

import re
from typing import Any, Final

from operators.prometheus.alertmanager.section import Rule, Section, compat
from operators.prometheus.alertmanager.values import (
    flag,
    flag_or_false,
    headers,
    is_null,
    set_flag,
    text,
    text_or_empty,
    texts,
    texts_by_name,
)
from operators.prometheus.tables import OMIT, Field, Rejected, Scope
from operators.prometheus.tables.makes import naturally

__all__ = ["HTTP", "plain_tls"]

_TLS_VERSIONS: Final = {"": 0, "TLS10": 1, "TLS11": 2, "TLS12": 3, "TLS13": 4}

_RESERVED: Final = (
    "authorization host content-encoding content-length content-type user-agent connection keep-alive "
    "proxy-authenticate proxy-authorization www-authenticate accept-encoding x-prometheus-remote-write-version "
    "x-prometheus-remote-read-version x-prometheus-scrape-timeout-seconds x-amz-date x-amz-security-token "
    "x-amz-content-sha256"
)
"""Headers that may not be set; those of ``prometheus/common``."""

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", re.ASCII)


def _tls_versions(written: dict[str, Any], scope: Scope) -> None:
    low, high = written.get("min_version", ""), written.get("max_version", "")
    for version in (low, high):
        if version not in _TLS_VERSIONS:
            raise Rejected(f"{version[:20]!r} is no version of TLS; write one of TLS10, TLS11, TLS12, TLS13")
    if low and high and _TLS_VERSIONS[low] > _TLS_VERSIONS[high]:
        raise Rejected(f"max_version {high} is below min_version {low}")


def _tls(gate: str, *rules: Rule) -> Section:
    return Section(
        Field("ca_file", make=text),
        Field("cert_file", make=text),
        Field("key_file", make=text),
        Field("server_name", make=text),
        Field("insecure_skip_verify", make=flag_or_false, always=True),
        Field("min_version", make=text, since=gate),
        Field("max_version", make=text, since=gate),
        rules=rules,
    )


_TLS: Final = _tls("0.25.0", _tls_versions)
_UNGATED: Final = _tls("")


def plain_tls(value: Any, scope: Scope) -> Any:
    """A ``tls_config`` where the original looks at no version: that of mail and of OAuth 2."""
    return (_UNGATED if compat(scope) else _TLS)(value, scope)


def _proxies(written: dict[str, Any], scope: Scope) -> None:
    if not scope.version.at_least("0.26.0"):
        return
    url, environment = "proxy_url" in written, "proxy_from_environment" in written
    if "proxy_connect_header" in written and not (url or environment):
        raise Rejected("has proxy_connect_header without proxy_url or proxy_from_environment")
    if environment and (url or "no_proxy" in written):
        raise Rejected("has proxy_from_environment beside proxy_url or no_proxy")
    if "no_proxy" in written and not url:
        raise Rejected("has no_proxy without proxy_url")


_PROXY: Final = (
    Field("proxy_url", make=text),
    Field("no_proxy", make=text, since="0.26.0"),
    Field("proxy_from_environment", make=set_flag, since="0.26.0"),
    Field("proxy_connect_header", make=headers, since="0.26.0"),
)


def _own_proxies(given: dict[str, Any], scope: Scope) -> None:
    """Before 0.25 no proxy may be set for the server that gives tokens; what the environment says is overlooked."""
    proxies = [field.key for field in _PROXY if not is_null(given.get(field.key))]
    if scope.version.at_least("0.25.0") or (compat(scope) and proxies == ["proxy_from_environment"]):
        return
    for key in proxies:
        del given[key]
        scope.dropped.append(f"oauth2.{key} is left out: it needs 0.25.0, this is {scope.version}")


_OAUTH2: Final = Section(
    Field("client_id", make=text_or_empty, always=True),
    Field("client_secret", make=text_or_empty, always=True),
    Field("client_secret_file", make=text),
    Field("scopes", make=texts),
    Field("token_url", make=text_or_empty, always=True),
    Field("endpoint_params", make=texts_by_name),
    *(Field(field.key, make=field.make) for field in _PROXY),
    Field("tls_config", make=plain_tls),
    before=(_own_proxies,),
)


def _secrets(value: Any, scope: Scope) -> Any:
    """In compat they are hidden, as Alertmanager's own types hide them: it is then not what the user gave."""
    found = texts(value, scope)
    return ["<secret>"] * len(found) if found is not OMIT and compat(scope) else found


_HEADER_VALUES: Final = Section(
    Field("values", make=texts), Field("secrets", make=_secrets), Field("files", make=texts)
)


def _headers(value: Any, scope: Scope) -> Any:
    if is_null(value):
        return OMIT
    if not isinstance(value, dict):
        raise Rejected("is no mapping")
    for name in value:
        if not _HEADER.fullmatch(str(name)) or str(name).lower() in _RESERVED.split():
            raise Rejected("is a header that may not be set", str(name)[:60])
    return naturally({str(name): _HEADER_VALUES.of(each, scope) for name, each in value.items()}, scope)


_AUTHORIZATION: Final = Section(
    Field("type", make=text), Field("credentials", make=text), Field("credentials_file", make=text)
)
_BASIC_AUTH: Final = Section(
    Field("username", make=text), Field("password", make=text), Field("password_file", make=text)
)
HTTP: Final = Section(
    Field("authorization", make=_AUTHORIZATION, since="0.22.0", outside="reject"),
    Field("basic_auth", make=_BASIC_AUTH),
    Field("oauth2", make=_OAUTH2, since="0.22.0", outside="reject"),
    Field("bearer_token", make=text),
    Field("bearer_token_file", make=text),
    Field("tls_config", make=_TLS),
    Field("follow_redirects", make=flag, since="0.22.0"),
    Field("enable_http2", make=flag, since="0.25.0"),
    Field("http_headers", make=_headers, since="0.28.0"),
    *_PROXY,
    rules=(_proxies,),
)
"""``http_config``."""
