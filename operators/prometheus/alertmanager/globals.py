"""``spec.alertmanagerConfiguration.global`` of an Alertmanager, as ``global`` of its file, and the checks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.alertmanager.receivers import http_config, nested, tls_config
from operators.prometheus.alertmanager.urls import as_written, check_secret_url, check_url
from operators.prometheus.tables import Field, Inline, Rejected, Scope, Table
from operators.prometheus.tables.makes import given, read_secret

__all__ = ["GLOBAL", "check_global", "global_section"]


def _parsed(value: Any, scope: Scope) -> str:
    if not isinstance(value, str):
        raise Rejected("is no text")
    return as_written(value)


def _parsed_secret(value: Any, scope: Scope) -> str:
    return as_written(read_secret(value, scope))


_SMTP: Final = Table(
    Field("smtp_from", "from"),
    Field("smtp_hello", "hello"),
    Field("smtp_smarthost", "smartHost", given),
    Field("smtp_auth_username", "authUsername"),
    Field("smtp_auth_password", "authPassword", read_secret),
    Field("smtp_auth_secret", "authSecret", read_secret),
    Field("smtp_auth_identity", "authIdentity"),
    Field("smtp_require_tls", "requireTLS"),
    Field("smtp_tls_config", "tlsConfig", tls_config),
    Field("smtp_force_implicit_tls", "forceImplicitTLS"),
)

GLOBAL: Final = Table(
    Inline(nested(_SMTP), "smtp"),
    Field("http_config", "httpConfig", http_config),
    Field("resolve_timeout", "resolveTimeout"),
    Field("slack_api_url", "slackApiUrl", _parsed_secret),
    Field("opsgenie_api_url", "opsGenieApiUrl", _parsed_secret),
    Field("opsgenie_api_key", "opsGenieApiKey", read_secret),
    Field("pagerduty_url", "pagerdutyUrl", _parsed),
    Field("telegram_api_url", "telegram.apiURL", _parsed),
    Field("jira_api_url", "jira.apiURL", _parsed),
    Field("rocketchat_api_url", "rocketChat.apiURL", _parsed),
    Field("rocketchat_token", "rocketChat.token", read_secret),
    Field("rocketchat_token_id", "rocketChat.tokenID", read_secret),
    Field("webex_api_url", "webex.apiURL", _parsed),
    Field("wechat_api_url", "wechat.apiURL", _parsed),
    Field("wechat_api_secret", "wechat.apiSecret", read_secret),
    Field("wechat_api_corp_id", "wechat.apiCorpID"),
    Field("victorops_api_url", "victorops.apiURL", _parsed),
    Field("victorops_api_key", "victorops.apiKey", read_secret),
    Field("mattermost_webhook_url", "mattermost.webhookURL", _parsed_secret),
)
"""What the API says globally."""


def global_section(value: Any, scope: Scope) -> dict[str, Any]:
    """``global``, not yet in order.

    Raises:
        Rejected: a Secret, a URL or a type is not as it has to be; with its path.
    """
    made: dict[str, Any] = nested(GLOBAL)(value, scope)
    return made


def _checked_url(value: Any, scope: Scope) -> None:
    if value and isinstance(value, str):
        check_url(value)


def _checked_secret_url(value: Any, scope: Scope) -> None:
    check_secret_url(read_secret(value, scope).strip())


_CHECKS: Final = Table(
    *(
        Field(kind, f"{kind}.apiURL", _checked_url)
        for kind in ("telegram", "jira", "victorops", "rocketChat", "webex", "wechat")
    ),
    Field("mattermost", "mattermost.webhookURL", _checked_secret_url),
)

_SINCE: Final = {
    "smtp.forceImplicitTLS": "0.31.0",
    "telegram": "0.24.0",
    "jira": "0.28.0",
    "rocketChat": "0.28.0",
    "webex": "0.25.0",
    "mattermost": "0.32.0",
}
"""The first version that knows what may be said globally; below it is refused."""


def check_global(value: Any, scope: Scope) -> None:
    """Checks what is said globally, beside its ``httpConfig`` and what `global_section` refuses.

    Raises:
        Rejected: a URL is none, or the version does not know a kind of receiver; with the path.
    """
    if not isinstance(value, Mapping):
        raise Rejected("is no mapping")
    for path, since in _SINCE.items():
        found: Any = value
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if found is not None and not scope.version.at_least(since):
            raise Rejected(f"needs Alertmanager {since}, this is {scope.version}", path)
    _CHECKS.of(value, scope)
