"""The receivers of an AlertmanagerConfig, as Alertmanager's file names them.

Each table says which field of the API becomes which key. The order of keys, what a version takes and what has to hold
between keys is the business of `notifiers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from operators.prometheus.alertmanager.section import compat
from operators.prometheus.alertmanager.urls import check_url
from operators.prometheus.tables import OMIT, Field, Inline, Rejected, Scope, Table
from operators.prometheus.tables.makes import given, read_secret
from operators.prometheus.tables.table import Make

__all__ = ["RECEIVERS", "RESERVED_FIELDS", "http_config", "list_at", "nested", "receiver", "tls_config"]

RESERVED_FIELDS: Final = frozenset(
    {
        *("routing_key", "message_type", "state_message", "entity_display_name"),
        *("monitoring_tool", "entity_id", "entity_state"),
    }
)
"""Fields of VictorOps that are not the user's; Alertmanager's ``notifiers.go``."""


def nested(table: Table) -> Make:
    """A section within; an empty one is one too."""

    def made(value: Any, scope: Scope) -> Any:
        if not isinstance(value, Mapping):
            raise Rejected("is no mapping")
        return table.of(value, scope)

    return made


def list_at(value: Any, make: Make, scope: Scope) -> list[Any]:
    """What ``make`` makes of each item.

    Raises:
        Rejected: it is no list, or an item is refused; with its place.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise Rejected("is no list")
    made = []
    for at, item in enumerate(value):
        try:
            made.append(make(item, scope))
        except Rejected as refused:
            raise refused.at(f"[{at}]") from None
    return made


def _each(table: Table) -> Make:
    return lambda value, scope: list_at(value, nested(table), scope)


def _pairs(value: Any, scope: Scope) -> Any:
    """``[{"key": …, "value": …}]`` as a mapping; the last of a key counts."""
    pairs = list_at(value, nested(Table(Field("key", make=given), Field("value", make=given))), scope)
    for at, pair in enumerate(pairs):
        if not isinstance(pair.get("key", ""), str) or not isinstance(pair.get("value", ""), str):
            raise Rejected("has a key or a value that is no text", f"[{at}]")
    return {pair.get("key", ""): pair.get("value", "") for pair in pairs}


def _custom_fields(value: Any, scope: Scope) -> Any:
    fields = _pairs(value, scope)
    if taken := sorted(RESERVED_FIELDS & fields.keys()):
        raise Rejected(f"has {taken[0]}, which VictorOps keeps for itself")
    return fields


def _checked_url(value: Any, scope: Scope) -> Any:
    """An address in a Secret, without the space around it."""
    url = read_secret(value, scope).strip()
    check_url(url)
    return url


def _url(value: Any, scope: Scope) -> Any:
    """An address in a Secret; in compat a line end in it makes it invalid."""
    url = read_secret(value, scope)
    return url if compat(scope) else url.strip()


def _filled_secret(value: Any, scope: Scope) -> Any:
    found = read_secret(value, scope)
    if not found:
        raise Rejected("is empty in the Secret")
    return found


def _not_in_compat(make: Make = given) -> Make:
    """Fields that the original overlooks."""
    return lambda value, scope: OMIT if compat(scope) else make(value, scope)


def _asset(value: Any, scope: Scope) -> Any:
    """The file of a certificate or key, named by where it is from; `OMIT` where nothing is named."""
    if not isinstance(value, Mapping):
        raise Rejected("is no reference")
    of_map = value.get("secret") is None and value.get("configMap") is not None
    found = value.get("configMap") if of_map else value if "name" in value else value.get("secret")
    if found is None:
        return OMIT
    if not isinstance(found, Mapping):
        raise Rejected("is no reference")
    name, key = found.get("name") or "", found.get("key") or ""
    return f"{scope.options.certificates}/{int(of_map)}_{scope.namespace}_{name}_{key}"


_TLS: Final = Table(
    Field("ca_file", "ca", _asset),
    Field("cert_file", "cert", _asset),
    Field("key_file", "keySecret", _asset),
    Field("server_name", "serverName"),
    Field("insecure_skip_verify", "insecureSkipVerify"),
    Field("min_version", "minVersion"),
    Field("max_version", "maxVersion"),
)

tls_config: Final = nested(_TLS)
"""A ``tlsConfig``: files under ``options.certificates``."""


def _headers(value: Any, scope: Scope) -> Any:
    if not isinstance(value, Mapping):
        raise Rejected("is no mapping")
    return {name: list_at(references, read_secret, scope) for name, references in value.items()}


_PROXY: Final = (
    Field("proxy_url", "proxyUrl"),
    Field("no_proxy", "noProxy"),
    Field("proxy_from_environment", "proxyFromEnvironment"),
    Field("proxy_connect_header", "proxyConnectHeader", _headers),
)


def _either(value: Any, scope: Scope) -> Any:
    return scope.assets.either(scope.namespace, value) if isinstance(value, Mapping) else ""


_OAUTH2: Final = Table(
    Field("client_id", "clientId", _either),
    Field("client_secret", "clientSecret", read_secret, always=True),
    Field("scopes"),
    Field("token_url", "tokenUrl"),
    Field("endpoint_params", "endpointParams"),
    *_PROXY,
    Field("tls_config", "tlsConfig", _not_in_compat(tls_config)),
)


def _authorization(value: Any, scope: Scope) -> Any:
    found = _AUTHORIZATION.of(value, scope) if isinstance(value, Mapping) else {}
    return found if found.get("credentials") else OMIT


def _basic_auth(value: Any, scope: Scope) -> Any:
    found = _BASIC_AUTH.of(value, scope) if isinstance(value, Mapping) else {}
    return found if found.get("username") or found.get("password") else OMIT


_AUTHORIZATION: Final = Table(
    Field("type", make=lambda value, scope: value or "Bearer", always=True),
    Field("credentials", make=read_secret, always=True),
)
_BASIC_AUTH: Final = Table(
    Field("username", make=read_secret, always=True), Field("password", make=read_secret, always=True)
)

_HTTP: Final = Table(
    Field("authorization", make=_authorization),
    Field("basic_auth", "basicAuth", _basic_auth),
    Field("oauth2", make=nested(_OAUTH2)),
    Field("bearer_token", "bearerTokenSecret", read_secret),
    Field("tls_config", "tlsConfig", tls_config),
    Field("follow_redirects", "followRedirects"),
    Field("enable_http2", "enableHttp2"),
    *_PROXY,
    Inline(lambda value, scope: {"proxy_url": value} if value else {}, "proxyURL"),
)
"""``proxyURL`` is the older spelling, and counts where both are set."""

http_config: Final = nested(_HTTP)
"""A ``httpConfig``."""

_RESOLVED: Final = Field("send_resolved", "sendResolved")
_CLIENT: Final = Field("http_config", "httpConfig", http_config)

_DISCORD: Final = Table(
    _RESOLVED,
    Field("webhook_url", "apiURL", _checked_url, always=True),
    Field("title"),
    Field("message"),
    Field("content"),
    Field("username"),
    Field("avatar_url", "avatarURL"),
    _CLIENT,
)

_MAIL_THREADS: Final = {"Daily": "daily", "None": "none"}

_EMAIL: Final = Table(
    _RESOLVED,
    Field("to"),
    Field("from"),
    Field("hello"),
    Field("smarthost"),
    Field("auth_username", "authUsername"),
    Field("auth_password", "authPassword", read_secret),
    Field("auth_secret", "authSecret", read_secret),
    Field("auth_identity", "authIdentity"),
    Field("headers", make=_pairs),
    Field("html", make=given),
    Field("text", make=given),
    Field("require_tls", "requireTLS"),
    Field("tls_config", "tlsConfig", tls_config),
    Field("force_implicit_tls", "forceImplicitTLS"),
    Field(
        "threading",
        make=nested(
            Table(
                Field("enabled", ".", lambda value, scope: True),
                Field("thread_by_date", "threadByDate", lambda value, scope: _MAIL_THREADS.get(str(value), OMIT)),
            )
        ),
    ),
)

_MSTEAMS: Final = Table(
    _RESOLVED,
    Field("webhook_url", "webhookUrl", _url, always=True),
    Field("title"),
    Field("summary"),
    Field("text"),
    _CLIENT,
)

_MSTEAMSV2: Final = Table(_RESOLVED, Field("webhook_url", "webhookURL", _url), Field("title"), Field("text"), _CLIENT)

_OPSGENIE: Final = Table(
    _RESOLVED,
    Field("api_key", "apiKey", read_secret),
    Field("api_url", "apiURL"),
    Field("message"),
    Field("description"),
    Field("source"),
    Field("details", make=_pairs),
    Field("responders", make=_each(Table(Field("id"), Field("name"), Field("username"), Field("type")))),
    Field("tags"),
    Field("note"),
    Field("priority"),
    Field("update_alerts", "updateAlerts"),
    Field("entity"),
    Field("actions"),
    _CLIENT,
)

_PAGERDUTY: Final = Table(
    _RESOLVED,
    Field("service_key", "serviceKey", read_secret),
    Field("routing_key", "routingKey", read_secret),
    Field("url"),
    Field("client"),
    Field("client_url", "clientURL"),
    Field("description"),
    Field("details", make=_pairs),
    Field("images", "pagerDutyImageConfigs", _each(Table(Field("src"), Field("alt"), Field("href")))),
    Field("links", "pagerDutyLinkConfigs", _each(Table(Field("href"), Field("text", "alt")))),
    Field("severity"),
    Field("class"),
    Field("component"),
    Field("group"),
    Field("source"),
    Field("timeout"),
    _CLIENT,
)

_PUSHOVER: Final = Table(
    _RESOLVED,
    Field("user_key", "userKey", _filled_secret),
    Field("user_key_file", "userKeyFile"),
    Field("token", make=_filled_secret),
    Field("token_file", "tokenFile"),
    Field("title"),
    Field("message"),
    Field("url"),
    Field("url_title", "urlTitle"),
    Field("ttl"),
    Field("device"),
    Field("sound", make=_not_in_compat()),
    Field("priority"),
    Field("retry"),
    Field("expire"),
    Field("html"),
    Field("monospace"),
    _CLIENT,
)

_ROCKETCHAT: Final = Table(
    _RESOLVED,
    Field("api_url", "apiURL"),
    Field("token", make=read_secret, always=True),
    Field("token_id", "tokenID", read_secret, always=True),
    Field("channel"),
    Field("color"),
    Field("title"),
    Field("title_link", "titleLink"),
    Field("text"),
    Field("fields", make=_each(Table(Field("short"), Field("title"), Field("value")))),
    Field("short_fields", "shortFields"),
    Field("emoji"),
    Field("icon_url", "iconURL"),
    Field("image_url", "imageURL"),
    Field("thumb_url", "thumbURL"),
    Field("link_names", "linkNames"),
    Field("actions", make=_each(Table(Field("text"), Field("url"), Field("msg")))),
    _CLIENT,
)

_CONFIRM: Final = Table(Field("text"), Field("title"), Field("ok_text", "okText"), Field("dismiss_text", "dismissText"))

_SLACK: Final = Table(
    _RESOLVED,
    Field("api_url", "apiURL", _checked_url),
    Field("channel"),
    Field("username"),
    Field("color"),
    Field("title"),
    Field("title_link", "titleLink"),
    Field("pretext"),
    Field("text"),
    Field("fields", make=_each(Table(Field("title"), Field("value"), Field("short")))),
    Field("short_fields", "shortFields"),
    Field("footer"),
    Field("fallback"),
    Field("callback_id", "callbackId"),
    Field("icon_emoji", "iconEmoji"),
    Field("icon_url", "iconURL"),
    Field("image_url", "imageURL"),
    Field("thumb_url", "thumbURL"),
    Field("link_names", "linkNames"),
    Field("mrkdwn_in", "mrkdwnIn"),
    Field(
        "actions",
        make=_each(
            Table(
                Field("type"),
                Field("text"),
                Field("url"),
                Field("style"),
                Field("name"),
                Field("value"),
                Field("confirm", make=nested(_CONFIRM)),
            )
        ),
    ),
    Field("timeout"),
    Field("message_text", "messageText"),
    Field("update_message", "updateMessage"),
    _CLIENT,
)


def _unknown(value: Any, scope: Scope) -> Any:
    """A field of the API that Alertmanager's file has no key for."""
    scope.dropped.append("useFIPSSTSEndpoint is left out: Alertmanager has no such setting")
    return OMIT


def _keys(value: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    if value.get("accessKey") is None or value.get("secretKey") is None:
        return {}
    return _KEYS.of(value, scope)


_KEYS: Final = Table(Field("access_key", "accessKey", read_secret), Field("secret_key", "secretKey", read_secret))
_SIGV4: Final = Table(
    Field("region"),
    Inline(_keys),
    Field("profile"),
    Field("role_arn", "roleArn"),
    Field("external_id", "externalId"),
    Field("use_fips_sts_endpoint", "useFIPSSTSEndpoint", _unknown),
)

_SNS: Final = Table(
    _RESOLVED,
    Field("api_url", "apiURL"),
    Field("sigv4", make=nested(_SIGV4)),
    Field("topic_arn", "topicARN"),
    Field("phone_number", "phoneNumber"),
    Field("target_arn", "targetARN"),
    Field("subject"),
    Field("message"),
    Field("attributes"),
    Field("use_aws_http_client", "useAWSHTTPClient"),
    _CLIENT,
)

_TELEGRAM: Final = Table(
    _RESOLVED,
    Field("api_url", "apiURL"),
    Field("bot_token", "botToken", read_secret),
    Field("bot_token_file", "botTokenFile"),
    Field("chat_id", "chatID"),
    Field("message_thread_id", "messageThreadID"),
    Field("message"),
    Field("disable_notifications", "disableNotifications"),
    Field("parse_mode", "parseMode"),
    _CLIENT,
)

_VICTOROPS: Final = Table(
    _RESOLVED,
    Field("api_key", "apiKey", read_secret),
    Field("api_url", "apiUrl"),
    Field("routing_key", "routingKey"),
    Field("message_type", "messageType"),
    Field("state_message", "stateMessage"),
    Field("entity_display_name", "entityDisplayName"),
    Field("monitoring_tool", "monitoringTool"),
    Field("custom_fields", "customFields", _custom_fields),
    _CLIENT,
)

_WEBEX: Final = Table(_RESOLVED, Field("api_url", "apiURL"), Field("message"), Field("room_id", "roomID"), _CLIENT)

_WEBHOOK: Final = Table(
    _RESOLVED,
    Field("url"),
    Inline(lambda value, scope: {"url": _url(value, scope)}, "urlSecret"),
    Field("max_alerts", "maxAlerts"),
    Field("timeout"),
    Field("payload", make=given),
    _CLIENT,
)
"""The address in a Secret counts where both are set."""

_WECHAT: Final = Table(
    _RESOLVED,
    Field("api_secret", "apiSecret", read_secret),
    Field("api_url", "apiURL"),
    Field("corp_id", "corpID"),
    Field("agent_id", "agentID"),
    Field("to_user", "toUser"),
    Field("to_party", "toParty"),
    Field("to_tag", "toTag"),
    Field("message"),
    Field("message_type", "messageType"),
    _CLIENT,
)

RECEIVERS: Final = Table(
    Field("name"),
    Field("discord_configs", "discordConfigs", _each(_DISCORD)),
    Field("email_configs", "emailConfigs", _each(_EMAIL)),
    Field("msteams_configs", "msteamsConfigs", _each(_MSTEAMS)),
    Field("msteamsv2_configs", "msteamsv2Configs", _each(_MSTEAMSV2)),
    Field("opsgenie_configs", "opsgenieConfigs", _each(_OPSGENIE)),
    Field("pagerduty_configs", "pagerdutyConfigs", _each(_PAGERDUTY)),
    Field("pushover_configs", "pushoverConfigs", _each(_PUSHOVER)),
    Field("rocketchat_configs", "rocketchatConfigs", _each(_ROCKETCHAT)),
    Field("slack_configs", "slackConfigs", _each(_SLACK)),
    Field("sns_configs", "snsConfigs", _each(_SNS)),
    Field("telegram_configs", "telegramConfigs", _each(_TELEGRAM)),
    Field("victorops_configs", "victoropsConfigs", _each(_VICTOROPS)),
    Field("webex_configs", "webexConfigs", _each(_WEBEX)),
    Field("webhook_configs", "webhookConfigs", _each(_WEBHOOK)),
    Field("wechat_configs", "wechatConfigs", _each(_WECHAT)),
)
"""One receiver."""

receiver: Final[Callable[[Any, Scope], dict[str, Any]]] = nested(RECEIVERS)
"""One receiver with the keys of the file, not yet in order; its name is still the object's.

Raises:
    Rejected: a Secret, a key of it or a type is not as it has to be; with the path of the field.
"""
