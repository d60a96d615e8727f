"""Alertmanager's file as a version of it takes it: what that version does not know is left out or refused.

Source: Alertmanager's configuration reference; the versions are those that prometheus-operator looks at.
"""

from __future__ import annotations

from typing import Any, Final

from operators.prometheus.alertmanager.client import HTTP, plain_tls
from operators.prometheus.alertmanager.intervals import INTERVAL
from operators.prometheus.alertmanager.notifiers import RECEIVER
from operators.prometheus.alertmanager.section import Section, each, first_wins
from operators.prometheus.alertmanager.values import (
    duration,
    flag,
    host_port,
    kept_duration,
    nonzero_duration,
    set_flag,
    text,
    texts,
    texts_by_name,
)
from operators.prometheus.tables import OMIT, Field, Rejected, Scope

__all__ = ["CONFIGURATION", "GLOBAL", "INHIBIT_RULE", "ROUTE", "SECTIONS", "sanitize"]

MATCHERS: Final = "0.22.0"
"""The first version with matchers as ``name="value"``, before that are ``match`` and ``match_re``."""


def _slack(written: dict[str, Any], scope: Scope) -> None:
    url, app = written.get("slack_api_url"), written.get("slack_app_url")
    if {"slack_app_token", "slack_app_token_file"} & written.keys() and url and app and url != app:
        raise Rejected("has a token of a Slack app and another slack_api_url; set one of them")


GLOBAL: Final = Section(
    Field("resolve_timeout", make=duration),
    Field("http_config", make=HTTP),
    Field("smtp_from", make=text),
    Field("smtp_hello", make=text),
    Field("smtp_smarthost", make=host_port),
    Field("smtp_auth_username", make=text),
    Field("smtp_auth_password", make=text),
    Field("smtp_auth_password_file", make=text, since="0.25.0"),
    Field("smtp_auth_secret", make=text),
    Field("smtp_auth_secret_file", make=text, since="0.31.0"),
    Field("smtp_auth_identity", make=text),
    Field("smtp_require_tls", make=flag),
    Field("smtp_tls_config", make=plain_tls, since="0.28.0"),
    Field("smtp_force_implicit_tls", make=flag, since="0.31.0"),
    Field("slack_api_url", make=text),
    Field("slack_api_url_file", make=text, since="0.22.0"),
    Field("pagerduty_url", make=text),
    Field("hipchat_api_url", make=text),
    Field("hipchat_auth_token", make=text),
    Field("opsgenie_api_url", make=text),
    Field("opsgenie_api_key", make=text),
    Field("opsgenie_api_key_file", make=text, since="0.24.0"),
    Field("wechat_api_url", make=text),
    Field("wechat_api_secret", make=text),
    Field("wechat_api_corp_id", make=text),
    Field("victorops_api_url", make=text),
    Field("victorops_api_key", make=text),
    Field("victorops_api_key_file", make=text, since="0.25.0"),
    Field("telegram_api_url", make=text),
    Field("telegram_bot_token", make=text, since="0.31.0"),
    Field("telegram_bot_token_file", make=text, since="0.31.0"),
    Field("webex_api_url", make=text),
    Field("jira_api_url", make=text),
    Field("rocketchat_api_url", make=text),
    Field("rocketchat_token", make=text),
    Field("rocketchat_token_file", make=text),
    Field("rocketchat_token_id", make=text),
    Field("rocketchat_token_id_file", make=text),
    Field("slack_app_token", make=text, since="0.30.0"),
    Field("slack_app_token_file", make=text, since="0.30.0"),
    Field("slack_app_url", make=text, since="0.30.0"),
    Field("wechat_api_secret_file", make=text, since="0.31.0"),
    Field("mattermost_webhook_url", make=text, since="0.32.0"),
    Field("mattermost_webhook_url_file", make=text, since="0.32.0"),
    rules=(
        first_wins("slack_api_url", "slack_api_url_file"),
        first_wins("slack_app_token", "slack_app_token_file"),
        _slack,
        first_wins("smtp_auth_password", "smtp_auth_password_file"),
        first_wins("victorops_api_key", "victorops_api_key_file"),
        first_wins("wechat_api_secret", "wechat_api_secret_file"),
        first_wins("telegram_bot_token", "telegram_bot_token_file"),
        first_wins("smtp_auth_secret", "smtp_auth_secret_file"),
        first_wins("mattermost_webhook_url", "mattermost_webhook_url_file"),
    ),
)
"""``global``."""


def _routes(value: Any, scope: Scope) -> Any:
    return each(ROUTE)(value, scope)


ROUTE: Final = Section(
    Field("receiver", make=text),
    Field("group_by", make=texts),
    Field("match", make=texts_by_name),
    Field("match_re", make=texts_by_name),
    Field("matchers", make=texts, since=MATCHERS, outside="reject"),
    Field("continue", make=set_flag),
    Field("routes", make=_routes),
    Field("group_wait", make=kept_duration),
    Field("group_interval", make=nonzero_duration),
    Field("repeat_interval", make=nonzero_duration),
    Field("mute_time_intervals", make=texts, since="0.22.0"),
    Field("active_time_intervals", make=texts, since="0.24.0"),
)
"""A route, with those below it."""

INHIBIT_RULE: Final = Section(
    Field("target_match", make=texts_by_name),
    Field("target_match_re", make=texts_by_name),
    Field("target_matchers", make=texts, since=MATCHERS, outside="reject"),
    Field("source_match", make=texts_by_name),
    Field("source_match_re", make=texts_by_name),
    Field("source_matchers", make=texts, since=MATCHERS, outside="reject"),
    Field("equal", make=texts),
)
"""A rule of inhibition."""

CONFIGURATION: Final = Section(
    Field("global", make=GLOBAL),
    Field("route", make=ROUTE),
    Field("inhibit_rules", make=each(INHIBIT_RULE)),
    Field("receivers", make=each(RECEIVER)),
    Field("mute_time_intervals", make=each(INTERVAL), since="0.22.0"),
    Field("time_intervals", make=each(INTERVAL), since="0.24.0"),
    Field("templates", make=lambda value, scope: [] if (found := texts(value, scope)) is OMIT else found, always=True),
)
"""The whole file."""

SECTIONS: Final = {"alertmanagerConfig": CONFIGURATION, "route": ROUTE, "httpClientConfig": HTTP}
"""Those that are asked for alone, by the names of their types in prometheus-operator."""


def sanitize(value: Any, scope: Scope, section: Section = CONFIGURATION) -> dict[str, Any]:
    """A file, or a section of it, as the version in ``scope`` takes it; what was left out is in ``scope.dropped``.

    Raises:
        Rejected: what that version, or any, does not take.
    """
    try:
        return section.of(value, scope)
    except RecursionError:
        raise Rejected("is nested too deeply") from None
