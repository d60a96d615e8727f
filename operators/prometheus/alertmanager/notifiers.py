"""The receivers of Alertmanager's file: the keys of each kind of notifier, by version.

Source: the receivers in Alertmanager's configuration reference; versions and exclusions are those that
prometheus-operator looks at.
"""

from __future__ import annotations

from typing import Any, Final

from operators.prometheus.alertmanager.client import HTTP, plain_tls
from operators.prometheus.alertmanager.section import (
    Section,
    each,
    filled,
    first_wins,
    needs,
    one_of,
    template_urls,
    until,
    urls,
)
from operators.prometheus.alertmanager.values import (
    anything,
    duration,
    flag,
    flag_or_false,
    flag_or_null,
    host_port,
    integer,
    integer_or_zero,
    is_null,
    set_flag,
    text,
    text_or_empty,
    text_or_null,
    texts,
    texts_by_name,
    values_by_name,
)
from operators.prometheus.tables import OMIT, Field, Rejected, Scope

__all__ = ["NOTIFIERS", "RECEIVER", "SLACK_BOTS"]

SLACK_BOTS: Final = "https://slack.com/api/chat.postMessage"
"""Where messages can be changed after they were sent."""

_RESOLVED: Final = Field("send_resolved", make=flag)
_HTTP: Final = Field("http_config", make=HTTP)


def _no_teams(written: dict[str, Any], scope: Scope) -> None:
    if written.get("type") == "teams" and not scope.version.at_least("0.24.0"):
        raise Rejected(f"is teams: it needs 0.24.0, this is {scope.version}", "type")


_OPSGENIE: Final = Section(
    _RESOLVED,
    _HTTP,
    Field("api_key", make=text),
    Field("api_key_file", make=text, since="0.24.0"),
    Field("api_url", make=text),
    Field("message", make=text),
    Field("description", make=text),
    Field("source", make=text),
    Field("details", make=texts_by_name),
    Field(
        "responders",
        make=each(
            Section(
                Field("id", make=text),
                Field("name", make=text),
                Field("username", make=text),
                Field("type", make=text),
                rules=(_no_teams,),
            )
        ),
    ),
    Field("tags", make=text),
    Field("note", make=text),
    Field("priority", make=text),
    Field("update_alerts", make=flag, since="0.24.0"),
    Field("entity", make=text, since="0.24.0"),
    Field("actions", make=text, since="0.24.0"),
    rules=(urls("api_url"), first_wins("api_key", "api_key_file")),
)


def _details(value: Any, scope: Scope) -> Any:
    if not scope.version.at_least("0.30.0") and isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(anything(item, scope), str):
                raise Rejected(f"is no text: that needs 0.30.0, this is {scope.version}", str(key)[:60])
    return values_by_name(value, scope)


_PAGERDUTY: Final = Section(
    _RESOLVED,
    _HTTP,
    Field("service_key", make=text),
    Field("service_key_file", make=text, since="0.25.0"),
    Field("routing_key", make=text),
    Field("routing_key_file", make=text, since="0.25.0"),
    Field("url", make=text),
    Field("client", make=text),
    Field("client_url", make=text),
    Field("description", make=text),
    Field("details", make=_details),
    Field(
        "images",
        make=each(
            Section(
                Field("src", make=text),
                Field("alt", make=text),
                Field("href", make=text),
                rules=(template_urls("src", "href"),),
            )
        ),
    ),
    Field(
        "links", make=each(Section(Field("href", make=text), Field("text", make=text), rules=(template_urls("href"),)))
    ),
    Field("severity", make=text),
    Field("class", make=text),
    Field("component", make=text),
    Field("group", make=text),
    Field("source", make=text, since="0.25.0"),
    Field("timeout", make=duration, since="0.30.0"),
    rules=(
        first_wins("service_key", "service_key_file"),
        first_wins("routing_key", "routing_key_file"),
        urls("url"),
        template_urls("client_url"),
    ),
)


def _bots_only(written: dict[str, Any], scope: Scope) -> None:
    if written.get("update_message") and written.get("api_url", SLACK_BOTS) != SLACK_BOTS:
        raise Rejected(f"is only possible where api_url is {SLACK_BOTS}", "update_message")


def _slack_token_or_url(written: dict[str, Any], scope: Scope) -> None:
    if {"app_token", "app_token_file"} & written.keys() and {"api_url", "api_url_file"} & written.keys():
        raise Rejected("has a token of an app and a URL; set one of them")


_CONFIRM: Final = Section(
    Field("text", make=text),
    Field("title", make=text),
    Field("ok_text", make=text),
    Field("dismiss_text", make=text),
)
_ATTACHED_FIELD: Final = Section(Field("title", make=text), Field("value", make=text), Field("short", make=set_flag))

_SLACK: Final = Section(
    _RESOLVED,
    _HTTP,
    Field("api_url", make=text),
    Field("api_url_file", make=text, since="0.22.0"),
    Field("app_token", make=text, since="0.30.0"),
    Field("app_token_file", make=text, since="0.30.0"),
    Field("app_url", make=text, since="0.30.0"),
    Field("channel", make=text),
    Field("username", make=text),
    Field("color", make=text),
    Field("title", make=text),
    Field("title_link", make=text),
    Field("pretext", make=text),
    Field("text", make=text),
    Field("fields", make=each(_ATTACHED_FIELD)),
    Field("short_fields", make=set_flag),
    Field("footer", make=text),
    Field("fallback", make=text),
    Field("callback_id", make=text),
    Field("icon_emoji", make=text),
    Field("icon_url", make=text),
    Field("image_url", make=text),
    Field("thumb_url", make=text),
    Field("link_names", make=set_flag),
    Field("mrkdwn_in", make=texts),
    Field(
        "actions",
        make=each(
            Section(
                Field("type", make=text),
                Field("text", make=text),
                Field("url", make=text),
                Field("style", make=text),
                Field("name", make=text),
                Field("value", make=text),
                Field("confirm", make=_CONFIRM),
            )
        ),
    ),
    Field("timeout", make=duration, since="0.30.0"),
    Field("message_text", make=text, since="0.31.0"),
    Field("update_message", make=flag, since="0.32.0"),
    rules=(
        _bots_only,
        first_wins("app_token", "app_token_file"),
        _slack_token_or_url,
        first_wins("api_url", "api_url_file"),
    ),
)

_WEBHOOK: Final = Section(
    _RESOLVED,
    Field("url", make=text),
    Field("url_file", make=text, since="0.26.0"),
    _HTTP,
    Field("max_alerts", make=integer),
    Field("timeout", make=duration, since="0.28.0"),
    Field("payload", make=lambda value, scope: OMIT if is_null(value) else anything(value, scope), since="0.32.0"),
    rules=(first_wins("url", "url_file"), template_urls("url")),
)

_WECHAT: Final = Section(
    _RESOLVED,
    Field("api_secret", make=text),
    Field("api_url", make=text),
    Field("corp_id", make=text),
    Field("agent_id", make=text),
    Field("to_user", make=text),
    Field("to_party", make=text),
    Field("to_tag", make=text),
    Field("message", make=text),
    Field("message_type", make=text),
    _HTTP,
    Field("api_secret_file", make=text, since="0.31.0"),
    rules=(urls("api_url"), first_wins("api_secret", "api_secret_file")),
)


def _thread_by_date(written: dict[str, Any], scope: Scope) -> None:
    if written.get("thread_by_date") not in ("daily", "none"):
        raise Rejected("is neither daily nor none", "thread_by_date")


_THREADING_KEYS: Final = (Field("enabled", make=flag), Field("thread_by_date", make=text))


def _threading(value: Any, scope: Scope) -> Any:
    if not scope.version.at_least("0.30.0"):
        return Section(*_THREADING_KEYS)(value, scope)
    return Section(*_THREADING_KEYS, rules=(_thread_by_date,))(value, scope)


_EMAIL: Final = Section(
    _RESOLVED,
    Field("to", make=text),
    Field("from", make=text),
    Field("hello", make=text),
    Field("smarthost", make=host_port),
    Field("auth_username", make=text),
    Field("auth_password", make=text),
    Field("auth_password_file", make=text, since="0.25.0"),
    Field("auth_secret", make=text),
    Field("auth_secret_file", make=text, since="0.31.0"),
    Field("auth_identity", make=text),
    Field("headers", make=texts_by_name),
    Field("html", make=text_or_null),
    Field("text", make=text_or_null),
    Field("require_tls", make=flag),
    Field("tls_config", make=plain_tls),
    Field("force_implicit_tls", make=flag, since="0.31.0"),
    Field("threading", make=_threading, since="0.30.0"),
    rules=(first_wins("auth_password", "auth_password_file"), first_wins("auth_secret", "auth_secret_file")),
)


def _monospace(written: dict[str, Any], scope: Scope) -> None:
    if written.get("monospace") and not scope.version.at_least("0.29.0"):
        written["monospace"] = False
        scope.dropped.append(f"monospace is false: it needs 0.29.0, this is {scope.version}")
    if written.get("html") and written.get("monospace"):
        raise Rejected("has html and monospace; set one of them")


_PUSHOVER: Final = Section(
    _RESOLVED,
    _HTTP,
    Field("user_key", make=text),
    Field("user_key_file", make=text, since="0.26.0"),
    Field("token", make=text),
    Field("token_file", make=text, since="0.26.0"),
    Field("title", make=text),
    Field("message", make=text),
    Field("url", make=text),
    Field("url_title", make=text),
    Field("ttl", make=text, since="0.27.0"),
    Field("device", make=text, since="0.26.0"),
    Field("sound", make=text),
    Field("priority", make=text),
    Field("retry", make=duration),
    Field("expire", make=duration),
    Field("html", make=flag),
    Field("monospace", make=flag),
    rules=(
        needs("user_key", "user_key_file"),
        first_wins("user_key", "user_key_file"),
        needs("token", "token_file"),
        first_wins("token", "token_file"),
        _monospace,
        template_urls("url"),
    ),
)

_VICTOROPS: Final = Section(
    _RESOLVED,
    _HTTP,
    Field("api_key", make=text),
    Field("api_key_file", make=text, since="0.25.0"),
    Field("api_url", make=text),
    Field("routing_key", make=text),
    Field("message_type", make=text),
    Field("state_message", make=text),
    Field("entity_display_name", make=text),
    Field("monitoring_tool", make=text),
    Field("custom_fields", make=texts_by_name),
    rules=(first_wins("api_key", "api_key_file"), urls("api_url")),
)


def _role_for_external_id(given: dict[str, Any], scope: Scope) -> None:
    if text(given.get("external_id"), scope) is not OMIT and text(given.get("role_arn"), scope) is OMIT:
        raise Rejected("is only possible beside role_arn", "external_id")


_SNS: Final = Section(
    _RESOLVED,
    _HTTP,
    Field("api_url", make=text),
    Field(
        "sigv4",
        make=filled(
            Section(
                Field("region", make=text),
                Field("access_key", make=text),
                Field("secret_key", make=text),
                Field("profile", make=text),
                Field("role_arn", make=text),
                Field("external_id", make=text, since="0.33.0"),
                before=(_role_for_external_id,),
            )
        ),
    ),
    Field("topic_arn", make=text),
    Field("phone_number", make=text),
    Field("target_arn", make=text),
    Field("subject", make=text),
    Field("message", make=text),
    Field("attributes", make=texts_by_name),
    Field("use_aws_http_client", make=set_flag, since="0.33.0"),
    rules=(template_urls("api_url"),),
)

_TELEGRAM: Final = Section(
    _RESOLVED,
    Field("api_url", make=text),
    Field("bot_token", make=text),
    Field("bot_token_file", make=text, since="0.26.0"),
    Field("chat_id", make=integer),
    Field("chat_id_file", make=text, since="0.31.0"),
    Field("message_thread_id", make=integer, since="0.26.0"),
    Field("message", make=text),
    Field("disable_notifications", make=set_flag),
    Field("parse_mode", make=text),
    _HTTP,
    since="0.24.0",
    rules=(
        needs("chat_id", "chat_id_file"),
        first_wins("chat_id", "chat_id_file"),
        first_wins("bot_token", "bot_token_file"),
        until("0.31.0", needs("bot_token", "bot_token_file")),
        urls("api_url"),
    ),
)

_DISCORD: Final = Section(
    _RESOLVED,
    _HTTP,
    Field("webhook_url", make=text),
    Field("webhook_url_file", make=text, since="0.28.0"),
    Field("title", make=text),
    Field("message", make=text),
    Field("content", make=text, since="0.28.0"),
    Field("username", make=text, since="0.28.0"),
    Field("avatar_url", make=text, since="0.28.0"),
    since="0.25.0",
    rules=(needs("webhook_url", "webhook_url_file"), one_of("webhook_url", "webhook_url_file")),
)

_WEBEX: Final = Section(
    _RESOLVED,
    _HTTP,
    Field("api_url", make=text),
    Field("message", make=text),
    Field("room_id", make=text_or_empty, always=True),
    since="0.25.0",
    rules=(needs("room_id"), urls("api_url")),
)

_MSTEAMS: Final = Section(
    _RESOLVED,
    Field("webhook_url", make=text_or_empty, always=True),
    Field("title", make=text),
    Field("summary", make=text, since="0.27.0"),
    Field("text", make=text),
    _HTTP,
    since="0.26.0",
    rules=(needs("webhook_url"), urls("webhook_url")),
)

_MSTEAMSV2: Final = Section(
    _RESOLVED,
    Field("webhook_url", make=text),
    Field("webhook_url_file", make=text),
    Field("title", make=text),
    Field("text", make=text),
    _HTTP,
    since="0.28.0",
    rules=(
        needs("webhook_url", "webhook_url_file"),
        one_of("webhook_url", "webhook_url_file"),
        urls("webhook_url"),
    ),
)


def _api_type(written: dict[str, Any], scope: Scope) -> None:
    if written.get("api_type", "auto") not in ("auto", "cloud", "datacenter"):
        raise Rejected("is none of auto, cloud, datacenter", "api_type")


def _unless_zero(value: Any, scope: Scope) -> Any:
    found = duration(value, scope)
    return OMIT if found == "0s" else found


_JIRA: Final = Section(
    _HTTP,
    _RESOLVED,
    Field("api_url", make=text),
    Field("project", make=text),
    Field("summary", make=text),
    Field("description", make=text),
    Field("labels", make=texts),
    Field("priority", make=text),
    Field("issue_type", make=text),
    Field("reopen_transition", make=text),
    Field("resolve_transition", make=text),
    Field("wont_fix_resolution", make=text),
    Field("reopen_duration", make=_unless_zero),
    Field("fields", make=values_by_name),
    Field("api_type", make=text, since="0.29.0"),
    since="0.28.0",
    rules=(needs("project"), needs("issue_type"), _api_type, urls("api_url")),
)

_ROCKETCHAT: Final = Section(
    _RESOLVED,
    _HTTP,
    Field("api_url", make=text),
    Field("token_id", make=text_or_null),
    Field("token_id_file", make=text),
    Field("token", make=text_or_null),
    Field("token_file", make=text),
    Field("channel", make=text),
    Field("color", make=text),
    Field("title", make=text),
    Field("title_link", make=text),
    Field("text", make=text),
    Field(
        "fields",
        make=each(
            Section(
                Field("short", make=flag_or_null, always=True), Field("title", make=text), Field("value", make=text)
            )
        ),
    ),
    Field("short_fields", make=flag_or_false, always=True),
    Field("emoji", make=text),
    Field("icon_url", make=text),
    Field("image_url", make=text),
    Field("thumb_url", make=text),
    Field("link_names", make=flag_or_false, always=True),
    Field(
        "actions",
        make=each(
            Section(
                Field("type", make=text),
                Field("text", make=text),
                Field("url", make=text),
                Field("image_url", make=text),
                Field("is_webview", make=flag_or_false, always=True),
                Field("webview_height_ratio", make=text),
                Field("msg", make=text),
                Field("msg_in_chat_window", make=flag_or_false, always=True),
                Field("msg_processing_type", make=text),
                rules=(template_urls("url", "image_url"),),
            )
        ),
    ),
    since="0.28.0",
    rules=(
        one_of("token", "token_file"),
        one_of("token_id", "token_id_file"),
        urls("api_url"),
        template_urls("title_link", "icon_url", "image_url", "thumb_url"),
    ),
)

_LINKS: Final = template_urls("author_link", "author_icon", "title_link", "thumb_url", "footer_icon", "image_url")


def _attachment(gate: str) -> tuple[Field, ...]:
    """What an attachment has beside its text."""
    return (
        Field("author_name", make=text, since=gate),
        Field("author_link", make=text, since=gate),
        Field("author_icon", make=text, since=gate),
        Field("title", make=text, since=gate),
        Field("title_link", make=text, since=gate),
        Field("fields", make=each(_ATTACHED_FIELD), since=gate),
        Field("thumb_url", make=text, since=gate),
        Field("footer", make=text, since=gate),
        Field("footer_icon", make=text, since=gate),
        Field("image_url", make=text, since=gate),
    )


def _attachment_head(gate: str) -> tuple[Field, ...]:
    return tuple(Field(key, make=text, since=gate) for key in ("fallback", "color", "pretext"))


_MATTERMOST: Final = Section(
    _RESOLVED,
    Field("webhook_url", make=text),
    Field("webhook_url_file", make=text),
    Field("channel", make=text),
    Field("username", make=text),
    Field("text", make=text),
    Field("icon_url", make=text),
    Field("icon_emoji", make=text),
    Field(
        "attachments",
        make=each(Section(*_attachment_head(""), Field("text", make=text), *_attachment(""), rules=(_LINKS,))),
    ),
    Field("props", make=Section(Field("card", make=text_or_null))),
    Field(
        "priority",
        make=Section(
            Field("priority", make=text),
            Field("requested_ack", make=flag),
            Field("persistent_notifications", make=flag),
        ),
    ),
    *_attachment_head("0.32.0"),
    *_attachment("0.32.0"),
    _HTTP,
    since="0.30.0",
    rules=(
        until("0.32.0", needs("webhook_url", "webhook_url_file")),
        first_wins("webhook_url", "webhook_url_file"),
        urls("webhook_url"),
        template_urls("icon_url"),
        _LINKS,
    ),
)


def _token_or_authorization(written: dict[str, Any], scope: Scope) -> None:
    token = bool({"alert_source_token", "alert_source_token_file"} & written.keys())
    if token == ("authorization" in written.get("http_config", {})):
        raise Rejected("needs a token of the alert source or http_config.authorization, and not both")


_INCIDENTIO: Final = Section(
    _RESOLVED,
    _HTTP,
    Field("url", make=text),
    Field("url_file", make=text),
    Field("alert_source_token", make=text),
    Field("alert_source_token_file", make=text),
    Field("max_alerts", make=integer_or_zero),
    Field("timeout", make=duration),
    since="0.29.0",
    rules=(
        needs("url", "url_file"),
        one_of("url", "url_file"),
        urls("url"),
        one_of("alert_source_token", "alert_source_token_file"),
        _token_or_authorization,
    ),
)

NOTIFIERS: Final = {
    "opsgenie_configs": _OPSGENIE,
    "pagerduty_configs": _PAGERDUTY,
    "slack_configs": _SLACK,
    "webhook_configs": _WEBHOOK,
    "wechat_configs": _WECHAT,
    "email_configs": _EMAIL,
    "pushover_configs": _PUSHOVER,
    "victorops_configs": _VICTOROPS,
    "sns_configs": _SNS,
    "telegram_configs": _TELEGRAM,
    "discord_configs": _DISCORD,
    "webex_configs": _WEBEX,
    "msteams_configs": _MSTEAMS,
    "msteamsv2_configs": _MSTEAMSV2,
    "jira_configs": _JIRA,
    "rocketchat_configs": _ROCKETCHAT,
    "mattermost_configs": _MATTERMOST,
    "incidentio_configs": _INCIDENTIO,
}
"""The kinds, in the order of the file."""

RECEIVER: Final = Section(
    Field("name", make=text_or_empty, always=True),
    *(Field(key, make=each(section)) for key, section in NOTIFIERS.items()),
)
"""A receiver."""
