"""The configuration that AlertmanagerConfigs are added to: what Alertmanager itself would refuse is refused here.

Source: ``config.Load`` of Alertmanager.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from operators.prometheus.alertmanager.options import Options
from operators.prometheus.alertmanager.reading import read_yaml
from operators.prometheus.alertmanager.receivers import RESERVED_FIELDS
from operators.prometheus.alertmanager.sanitize import sanitize
from operators.prometheus.alertmanager.urls import check_secret_url
from operators.prometheus.tables import Rejected, Scope, Version

__all__ = ["ANY_LABEL_SINCE", "check_loadable", "check_root", "load", "read_base"]

ANY_LABEL_SINCE: Final = "0.27.0"
"""The first Alertmanager in which the name of a label may hold any character."""

_NEWEST: Final = Version.parse("0.33.1")
"""By which a file is read whatever the version that runs: the one prometheus-operator is built with."""

_GLOBAL_URLS: Final = (
    *("slack_api_url", "slack_app_url", "pagerduty_url", "opsgenie_api_url", "wechat_api_url", "victorops_api_url"),
    *("telegram_api_url", "webex_api_url", "jira_api_url", "rocketchat_api_url", "mattermost_webhook_url"),
)

_NEEDS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "webhook_configs": (("url", "url_file"),),
    "email_configs": (("to",), ("smarthost", "global.smtp_smarthost"), ("from", "global.smtp_from")),
    "slack_configs": (
        (
            *("api_url", "api_url_file", "app_token", "app_token_file"),
            *("global.slack_api_url", "global.slack_api_url_file"),
            *("global.slack_app_token", "global.slack_app_token_file"),
        ),
    ),
    "pagerduty_configs": (("routing_key", "routing_key_file", "service_key", "service_key_file"),),
    "opsgenie_configs": (("api_key", "api_key_file", "global.opsgenie_api_key", "global.opsgenie_api_key_file"),),
    "wechat_configs": (
        ("api_secret", "api_secret_file", "global.wechat_api_secret", "global.wechat_api_secret_file"),
        ("corp_id", "global.wechat_api_corp_id"),
    ),
    "victorops_configs": (
        ("routing_key",),
        ("api_key", "api_key_file", "global.victorops_api_key", "global.victorops_api_key_file"),
    ),
    "telegram_configs": (
        ("bot_token", "bot_token_file", "global.telegram_bot_token", "global.telegram_bot_token_file"),
    ),
    "sns_configs": (("target_arn", "topic_arn", "phone_number"),),
    "jira_configs": (("api_url", "global.jira_api_url"),),
    "rocketchat_configs": (
        ("token", "token_file", "global.rocketchat_token", "global.rocketchat_token_file"),
        ("token_id", "token_id_file", "global.rocketchat_token_id", "global.rocketchat_token_id_file"),
    ),
    "mattermost_configs": (
        ("webhook_url", "webhook_url_file", "global.mattermost_webhook_url", "global.mattermost_webhook_url_file"),
    ),
}
"""Of each group one has to be set, in the notifier or globally."""

_VALUES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "wechat_configs": ("message_type", ("text", "markdown")),
    "telegram_configs": ("parse_mode", ("Markdown", "MarkdownV2", "HTML")),
}
"""What a key may say."""

_CREDENTIALS: Final = (
    ("authorization",),
    ("basic_auth",),
    ("oauth2",),
    ("bearer_token", "bearer_token_file"),
)

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_MATCHER: Final = re.compile(
    r'\s*(?:"(?:[^"\\]|\\.)+"|[^\s"{}!=~,\\\'`]+)\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>.*?)\s*', re.DOTALL
)


def read_base(text: str) -> dict[str, Any]:
    """A configuration in YAML, as `sanitize` takes it.

    Raises:
        Rejected: it is no YAML, has keys that are not known, or Alertmanager would not load it.
    """
    return load(read_yaml(text))


def load(value: Any) -> dict[str, Any]:
    """The same of what was read of a file."""
    if not isinstance(value, dict):
        raise Rejected("is no configuration: it has no route")
    _check_pairs(value.get("global"), "global")
    for at, receiver in enumerate(value.get("receivers") or () if isinstance(value.get("receivers"), list) else ()):
        _check_pairs(receiver, f"receivers[{at}]")
    read = sanitize(value, Scope(_NEWEST, options=Options(compat=True)))
    check_root(read.get("route"))
    check_loadable(read)
    return value


def _check_pairs(value: Any, field: str) -> None:
    """Refuses a key and the same with ``_file`` beside each other, at any depth."""
    if isinstance(value, list):
        for at, item in enumerate(value):
            _check_pairs(item, f"{field}[{at}]")
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        if item and value.get(f"{key}_file"):
            raise Rejected(f"has {key} and {key}_file; set one of them", field)
        if key not in ("details", "headers", "custom_fields", "attributes", "fields", "payload", "endpoint_params"):
            _check_pairs(item, f"{field}.{key}")


def _check_global(section: Mapping[str, Any]) -> None:
    for key in _GLOBAL_URLS:
        if key in section:
            try:
                check_secret_url(section[key])
            except Rejected as refused:
                raise refused.at(f"global.{key}") from None


def check_root(route: Mapping[str, Any] | None) -> None:
    """Checks the route that takes every alert.

    Raises:
        Rejected: it is absent, has no receiver, or does not take every alert at any time.
    """
    if not route:
        raise Rejected("has no root; it needs one with a receiver", "route")
    if not route.get("receiver"):
        raise Rejected("needs a receiver at the root", "route")
    for key in ("continue", "match", "match_re", "matchers", "mute_time_intervals", "active_time_intervals"):
        if route.get(key):
            raise Rejected("may not be set at the root", f"route.{key}")


def check_loadable(
    configuration: Mapping[str, Any], known: Mapping[str, Any] | None = None, *, any_label: bool = True
) -> None:
    """Checks names, and what a receiver needs of itself or globally.

    Args:
        configuration: as `sanitize` gives it; may be a part of one.
        known: with ``global``, if that is not in the part.
        any_label: labels may hold any character, as they may from `ANY_LABEL_SINCE` on.
    Raises:
        Rejected: Alertmanager would not load it.
    """
    section = (known or configuration).get("global", {})
    _check_global(section)
    names: set[str] = set()
    for at, receiver in enumerate(configuration.get("receivers", ())):
        if receiver["name"] in names:
            raise Rejected(f"has the name {receiver['name']!r} of another", f"receivers[{at}]")
        names.add(receiver["name"])
        for kind, notifiers in receiver.items():
            for number, notifier in enumerate(notifiers if kind != "name" else ()):
                try:
                    _check_notifier(kind, notifier, section)
                except Rejected as refused:
                    raise refused.at(f"receivers[{at}].{kind}[{number}]") from None
    intervals = _interval_names(configuration)
    if configuration.get("route"):
        _check_route(configuration["route"], names, intervals, "route", any_label=any_label)
    for at, rule in enumerate(configuration.get("inhibit_rules", ())):
        _check_labels(rule.get("equal", ()), f"inhibit_rules[{at}].equal", any_label=any_label)
        for key in ("source_matchers", "target_matchers"):
            _check_matchers(rule.get(key, ()), f"inhibit_rules[{at}].{key}")


def _interval_names(configuration: Mapping[str, Any]) -> set[str]:
    names: set[str] = set()
    for key in ("mute_time_intervals", "time_intervals"):
        for at, interval in enumerate(configuration.get(key, ())):
            if not interval["name"] or interval["name"] in names:
                raise Rejected("needs a name that no other has", f"{key}[{at}]")
            names.add(interval["name"])
    return names


def _check_notifier(kind: str, notifier: Mapping[str, Any], section: Mapping[str, Any]) -> None:
    for group in _NEEDS.get(kind, ()):
        if not any(
            section.get(key.removeprefix("global.")) if key.startswith("global.") else notifier.get(key)
            for key in group
        ):
            raise Rejected(f"has no {' or '.join(group)}")
    if kind == "victorops_configs" and (taken := RESERVED_FIELDS & notifier.get("custom_fields", {}).keys()):
        raise Rejected(f"has {min(taken)}, which VictorOps keeps for itself", "custom_fields")
    if kind == "email_configs":
        folded = [name.lower() for name in notifier.get("headers", {})]
        if len(set(folded)) != len(folded):
            raise Rejected("has a header twice", "headers")
    if kind == "sns_configs" and sum(key in notifier for key in ("target_arn", "topic_arn", "phone_number")) == 2:
        raise Rejected("has two of target_arn, topic_arn and phone_number; set one of them")
    if kind in _VALUES and (said := notifier.get(_VALUES[kind][0])) and said not in _VALUES[kind][1]:
        raise Rejected(f"is none of {', '.join(_VALUES[kind][1])}", _VALUES[kind][0])
    client = notifier.get("http_config", {})
    if kind == "webex_configs" and "authorization" not in client:
        raise Rejected("has no authorization, which Webex needs", "http_config")
    given = [keys[0] for keys in _CREDENTIALS if any(key in client for key in keys)]
    if len(given) > 1:
        raise Rejected(f"has {' and '.join(given)}; set one of them", "http_config")


def _check_route(
    route: Mapping[str, Any], receivers: set[str], intervals: set[str], field: str, *, any_label: bool
) -> None:
    if route.get("receiver") and route["receiver"] not in receivers:
        raise Rejected(f"names the receiver {route['receiver'][:100]!r}, which is not there", field)
    for key in ("mute_time_intervals", "active_time_intervals"):
        for name in route.get(key, ()):
            if name not in intervals:
                raise Rejected(f"names {name[:100]!r}, which is not there", f"{field}.{key}")
    _check_groups(route.get("group_by", ()), f"{field}.group_by")
    _check_labels(
        [each for each in route.get("group_by", ()) if each != "..."], f"{field}.group_by", any_label=any_label
    )
    _check_matchers(route.get("matchers", ()), f"{field}.matchers")
    for name, pattern in route.get("match_re", {}).items():
        _check_pattern(pattern, f"{field}.match_re.{name[:60]}")
    for at, child in enumerate(route.get("routes", ())):
        _check_route(child, receivers, intervals, f"{field}.routes[{at}]", any_label=any_label)


def _check_labels(labels: Iterable[str], field: str, *, any_label: bool) -> None:
    for label in labels:
        if not label or not (any_label or _LABEL.fullmatch(label)):
            raise Rejected(f"{label[:60]!r} is no name of a label", field)


def _check_groups(labels: Iterable[str], field: str) -> None:
    seen: set[str] = set()
    for label in labels:
        if label in seen:
            raise Rejected(f"has {label[:60]!r} twice", field)
        seen.add(label)
    if "..." in seen and len(seen) > 1:
        raise Rejected("has ... beside labels; it stands alone", field)


def _check_matchers(matchers: Iterable[str], field: str) -> None:
    for at, text in enumerate(matchers):
        match = _MATCHER.fullmatch(text.strip().removeprefix("{").removesuffix("}"))
        if match is None:
            raise Rejected('is no matcher; write one as name="value"', f"{field}[{at}]")
        if match["operator"] in ("=~", "!~"):
            _check_pattern(match["value"], f"{field}[{at}]")


def _check_pattern(pattern: str, field: str) -> None:
    """Whether the parentheses fit; what else RE2 refuses is left to Alertmanager."""
    quoted = re.sub(r"\\Q.*?(?:\\E|$)", "", pattern, flags=re.DOTALL)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "", re.sub(r"\\.", "", quoted, flags=re.DOTALL))
    depth = 0
    for sign in bare:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            break
    if depth:
        raise Rejected("is no regular expression: its parentheses do not fit", field)
