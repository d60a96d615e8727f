"""Whether an AlertmanagerConfig can become a part of an Alertmanager's file.

The rules of each kind of receiver are data: `_RULES`. Names of fields are those of the API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from operators.prometheus.alertmanager.intervals import INTERVAL
from operators.prometheus.alertmanager.receivers import RESERVED_FIELDS, list_at, receiver
from operators.prometheus.alertmanager.routes import OPERATORS, interval
from operators.prometheus.alertmanager.sanitize import MATCHERS
from operators.prometheus.alertmanager.section import compat
from operators.prometheus.alertmanager.urls import check_template_url, check_url
from operators.prometheus.alertmanager.values import milliseconds, split_host_port
from operators.prometheus.tables import Rejected, Scope
from operators.prometheus.tables.certificates import check_authority, check_pair
from operators.prometheus.tables.urls import parse_url

__all__ = ["check", "check_client", "identity", "spec_of"]

Check = Callable[[Mapping[str, Any], Scope], None]

ROUTE_KEYS: Final = frozenset(
    {
        *("receiver", "groupBy", "groupWait", "groupInterval", "repeatInterval", "matchers", "continue", "routes"),
        *("muteTimeIntervals", "activeTimeIntervals"),
    }
)
_MATCHER_KEYS: Final = frozenset({"name", "value", "matchType", "regex"})


def identity(value: Mapping[str, Any]) -> tuple[str, str]:
    """Namespace and name of an object; "" for what is no text."""
    metadata = value.get("metadata")
    found = metadata if isinstance(metadata, Mapping) else {}
    namespace, name = found.get("namespace"), found.get("name")
    return namespace if isinstance(namespace, str) else "", name if isinstance(name, str) else ""


def spec_of(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """``spec`` of an object; empty if it is absent.

    Raises:
        Rejected: it is no mapping.
    """
    return _mapping(value.get("spec") or {}, "spec")


def check(value: Mapping[str, Any], scope: Scope) -> None:
    """Checks an AlertmanagerConfig in the shape of v1alpha1, and that all it refers to is there.

    Args:
        value: the object.
        scope: with the version of Alertmanager and the assets; its namespace is not looked at.
    Raises:
        Rejected: which rule, which field, which object.
    """
    namespace, name = identity(value)
    scope = scope.within(namespace=namespace)
    try:
        spec = spec_of(value)
        _under("spec.receivers", _check_receivers, spec.get("receivers"), scope)
        receivers = {item.get("name") for item in spec.get("receivers") or ()}
        intervals = _under("spec.muteTimeIntervals", _check_intervals, spec.get("muteTimeIntervals"), scope)
        if spec.get("route") is not None:
            route = _mapping(spec["route"], "spec.route")
            if not route.get("receiver"):
                raise Rejected("needs a receiver, as it is the first", "spec.route")
            _under("spec.route", _check_route, route, scope, receivers, intervals)
        _under("spec.inhibitRules", list_at, spec.get("inhibitRules"), _check_inhibit_rule, scope)
    except RecursionError:
        raise Rejected("is nested too deeply", "spec.route").of(f"AlertmanagerConfig {namespace}/{name}") from None
    except Rejected as refused:
        raise refused.of(f"AlertmanagerConfig {namespace}/{name}") from None


def _under(field: str, check_: Callable[..., Any], *args: Any) -> Any:
    try:
        return check_(*args)
    except Rejected as refused:
        raise refused.at(field) from None


def _mapping(value: Any, field: str = "") -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Rejected("is no mapping", field)
    return value


def _text(value: Mapping[str, Any], key: str) -> str:
    """The text at a key; "" if it is absent.

    Raises:
        Rejected: it is something else.
    """
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise Rejected("is no text", key)
    return found or ""


def _needs(*keys: str) -> Check:
    """One of these has to be there."""

    def checked(value: Mapping[str, Any], scope: Scope) -> None:
        if all(value.get(key) is None or value.get(key) == "" for key in keys):
            raise Rejected(f"has no {' or '.join(keys)}")

    return checked


def _not_both(first: str, second: str) -> Check:
    def checked(value: Mapping[str, Any], scope: Scope) -> None:
        if value.get(first) and value.get(second):
            raise Rejected(f"has {first} and {second}; set one of them")

    return checked


def _texts(check_: Callable[[str, Scope], Any], *keys: str) -> Check:
    """What is said at these is checked, unless it is ""."""

    def checked(value: Mapping[str, Any], scope: Scope) -> None:
        for key in keys:
            if found := _text(value, key):
                _under(key, check_, found, scope)

    return checked


def _urls(*keys: str) -> Check:
    return _texts(lambda text, scope: check_url(text), *keys)


def _templates(*keys: str) -> Check:
    return _texts(check_template_url, *keys)


def _items(key: str, *checks: Check) -> Check:
    """Each item of a list."""

    def one(value: Any, scope: Scope) -> None:
        for check_ in checks:
            check_(_mapping(value), scope)

    return lambda value, scope: _under(key, list_at, value.get(key), one, scope)


def _since(version: str, *keys: str) -> Check:
    """These are refused before a version; without keys the kind is."""

    def checked(value: Mapping[str, Any], scope: Scope) -> None:
        if not scope.version.at_least(version):
            for key in keys or ("",):
                if not key or value.get(key) is not None:
                    raise Rejected(f"needs Alertmanager {version}, this is {scope.version}", key)

    return checked


def _responder(value: Mapping[str, Any], scope: Scope) -> None:
    if value.get("type") not in ("team", "teams", "user", "escalation", "schedule"):
        raise Rejected("is none of team, teams, user, escalation, schedule", "type")
    if value["type"] == "teams" and not scope.version.at_least("0.24.0"):
        raise Rejected(f"is teams: that needs 0.24.0, this is {scope.version}", "type")


def _slack_confirm(value: Mapping[str, Any], scope: Scope) -> None:
    if value.get("confirm") is not None:
        _under("confirm", _needs("text"), _mapping(value["confirm"], "confirm"), scope)


def _slack_update(value: Mapping[str, Any], scope: Scope) -> None:
    from operators.prometheus.alertmanager.notifiers import SLACK_BOTS

    if value.get("updateMessage") and value.get("apiURL") is not None:
        url = scope.assets.secret(scope.namespace, _mapping(value["apiURL"], "apiURL"))
        if url.strip() != SLACK_BOTS:
            raise Rejected(f"is only possible where apiURL is {SLACK_BOTS}", "updateMessage")


def _webhook_secret(value: Mapping[str, Any], scope: Scope) -> None:
    if value.get("urlSecret") is not None:
        url = scope.assets.secret(scope.namespace, _mapping(value["urlSecret"], "urlSecret"))
        _under("urlSecret", check_template_url, url.strip(), scope)


def _headers(value: Mapping[str, Any], scope: Scope) -> None:
    names = [_text(_mapping(item), "key").lower() for item in list_at(value.get("headers"), _same, scope)]
    if len(set(names)) < len(names):
        raise Rejected("has a header twice", "headers")


def _same(value: Any, scope: Scope) -> Any:
    return value


def _custom_fields(value: Mapping[str, Any], scope: Scope) -> None:
    names = {_text(_mapping(item), "key") for item in list_at(value.get("customFields"), _same, scope)}
    if taken := RESERVED_FIELDS & names:
        raise Rejected(f"has {min(taken)}, which VictorOps keeps for itself", "customFields")


def _pushover_secrets(value: Mapping[str, Any], scope: Scope) -> None:
    """In compat the keys have to be Secrets although files are said to be possible."""
    for key in ("userKey", "token"):
        if value.get(key) is None and compat(scope):
            raise Rejected("is not set", key)


def _target(value: Mapping[str, Any], scope: Scope) -> None:
    """One of three; in compat all three pass too."""
    found = sum(bool(value.get(key)) for key in ("targetARN", "topicARN", "phoneNumber"))
    if found not in (1, 3 if compat(scope) else 1):
        raise Rejected("needs one of targetARN, topicARN and phoneNumber")


def _sigv4(value: Mapping[str, Any], scope: Scope) -> None:
    found = value.get("sigv4") or {}
    if (_mapping(found, "sigv4").get("accessKey") is None) != (found.get("secretKey") is None):
        raise Rejected("needs accessKey and secretKey, or neither", "sigv4")
    if found.get("externalId") and not found.get("roleArn"):
        raise Rejected("is only possible beside roleArn", "sigv4.externalId")


_RULES: Final[Mapping[str, tuple[Check, ...]]] = {
    "pagerdutyConfigs": (
        _urls("url"),
        _templates("clientURL"),
        _needs("routingKey", "serviceKey"),
        _items("pagerDutyLinkConfigs", _templates("href")),
        _items("pagerDutyImageConfigs", _templates("href")),
    ),
    "opsgenieConfigs": (_urls("apiURL"), _items("responders", _needs("id", "name", "username"), _responder)),
    "discordConfigs": (_since("0.25.0"),),
    "slackConfigs": (
        _items("actions", _needs("type"), _needs("text"), _needs("url", "name"), _slack_confirm),
        _items("fields", _needs("title"), _needs("value")),
        _since("0.32.0", "updateMessage"),
        _slack_update,
    ),
    "webhookConfigs": (_needs("url", "urlSecret"), _templates("url"), _webhook_secret, _since("0.32.0", "payload")),
    "wechatConfigs": (_urls("apiURL"),),
    "emailConfigs": (
        _needs("to"),
        _texts(lambda text, scope: split_host_port(text), "smarthost"),
        _headers,
        _since("0.31.0", "forceImplicitTLS"),
        _since("0.30.0", "threading"),
    ),
    "victoropsConfigs": (_custom_fields, _needs("routingKey"), _urls("apiUrl")),
    "pushoverConfigs": (
        _needs("userKey", "userKeyFile"),
        _needs("token", "tokenFile"),
        _pushover_secrets,
        _not_both("html", "monospace"),
        _templates("url"),
        _texts(lambda text, scope: milliseconds(text), "expire", "retry"),
    ),
    "snsConfigs": (_target, _templates("apiURL"), _sigv4),
    "telegramConfigs": (
        _since("0.24.0"),
        _since("0.26.0", "botTokenFile"),
        _needs("botToken", "botTokenFile"),
        _not_both("botToken", "botTokenFile"),
        lambda value, scope: None if value.get("chatID") else _refuse("is not set", "chatID"),
        _urls("apiURL"),
    ),
    "webexConfigs": (_since("0.25.0"), _urls("apiURL")),
    "msteamsConfigs": (_since("0.26.0"),),
    "msteamsv2Configs": (_since("0.28.0"),),
    "rocketchatConfigs": (
        _since("0.28.0"),
        _urls("apiURL"),
        _templates("iconURL", "imageURL", "thumbURL"),
        _items("actions", _templates("url")),
    ),
}
"""What has to hold of each notifier, beside its client and what it refers to."""


def _refuse(rule: str, field: str) -> None:
    raise Rejected(rule, field)


def _check_receivers(value: Any, scope: Scope) -> None:
    names: set[str] = set()

    def one(item: Any, scope: Scope) -> None:
        name = _text(_mapping(item), "name")
        if name in names:
            raise Rejected(f"has the name {name[:100]!r} of another")
        names.add(name)
        for kind, checks in _RULES.items():
            _items(kind, *checks, _client)(item, scope)
        receiver(item, scope)

    list_at(value, one, scope)


def _client(value: Mapping[str, Any], scope: Scope) -> None:
    if value.get("httpConfig") is not None:
        section = _mapping(value["httpConfig"], "httpConfig")
        _under("httpConfig", check_client, section, scope)
        _under("httpConfig", _since("0.22.0", "authorization", "oauth2"), section, scope)
        _under("httpConfig", _since("0.25.0", *_PROXIES), section, scope)
    if value.get("tlsConfig") is not None:
        _under("tlsConfig", _check_tls, _mapping(value["tlsConfig"], "tlsConfig"), scope)


_PROXIES: Final = ("noProxy", "proxyFromEnvironment", "proxyConnectHeader")
_WAYS: Final = ("authorization", "basicAuth", "bearerTokenSecret", "oauth2")
_TLS_VERSIONS: Final = ("TLS10", "TLS11", "TLS12", "TLS13")


def check_client(section: Mapping[str, Any], scope: Scope) -> None:
    """Checks a ``httpConfig``, beside what its conversion refuses.

    Raises:
        Rejected: more than one way to authenticate, or a proxy, TLS or OAuth 2 that does not fit together.
    """
    used = [way for way in _WAYS if section.get(way) is not None]
    if len(used) > 1:
        raise Rejected(f"has {' and '.join(used)}; a client authenticates in one way")
    if section.get("authorization") is not None:
        authorization = _mapping(section["authorization"], "authorization")
        if _text(authorization, "type").strip().lower() == "basic":
            raise Rejected("is not basic here; use basicAuth", "authorization.type")
    if section.get("tlsConfig") is not None:
        _under("tlsConfig", _check_tls, _mapping(section["tlsConfig"], "tlsConfig"), scope)
    _check_proxy(section)
    _texts(lambda text, scope: parse_url(text), "proxyURL", "proxyUrl")(section, scope)
    if section.get("oauth2") is not None:
        oauth2 = _mapping(section["oauth2"], "oauth2")
        if not _text(oauth2, "tokenUrl"):
            raise Rejected("is not set", "oauth2.tokenUrl")
        if not oauth2.get("clientId"):
            raise Rejected("is not set", "oauth2.clientId")
        _under("oauth2", _check_proxy, oauth2)
        if oauth2.get("tlsConfig") is not None:
            _under("oauth2.tlsConfig", _check_tls, _mapping(oauth2["tlsConfig"], "oauth2.tlsConfig"), scope)


def _check_proxy(section: Mapping[str, Any]) -> None:
    url, none_for = _text(section, "proxyUrl"), _text(section, "noProxy")
    environment, headers = section.get("proxyFromEnvironment") is True, section.get("proxyConnectHeader")
    if headers and not (url or environment):
        raise Rejected("is only possible with a proxy", "proxyConnectHeader")
    if environment and (url or none_for):
        raise Rejected("excludes proxyUrl and noProxy", "proxyFromEnvironment")
    if none_for and not url:
        raise Rejected("is only possible with proxyUrl", "noProxy")


def _check_tls(section: Mapping[str, Any], scope: Scope) -> None:
    ca, cert = section.get("ca"), section.get("cert")
    key = section.get("keySecret")
    if bool(cert) != bool(key):
        raise Rejected("needs cert and keySecret, or neither")
    low, high = _text(section, "minVersion"), _text(section, "maxVersion")
    if any(version and version not in _TLS_VERSIONS for version in (low, high)):
        raise Rejected("has a version of TLS that is not known; write one of TLS10, TLS11, TLS12, TLS13")
    if low and high and low > high:
        raise Rejected(f"has maxVersion {high} below minVersion {low}")
    if ca:
        _under("ca", check_authority, _under("ca", scope.assets.either, scope.namespace, _mapping(ca, "ca")))
    if cert and key:
        certificate = _under("cert", scope.assets.either, scope.namespace, _mapping(cert, "cert"))
        check_pair(certificate, _under("keySecret", scope.assets.secret, scope.namespace, _mapping(key, "keySecret")))


def _check_intervals(value: Any, scope: Scope) -> set[str]:
    names: set[str] = set()

    def one(item: Any, scope: Scope) -> None:
        made = interval(item, scope, "")
        if not _text(item, "name"):
            raise Rejected("is not set", "name")
        INTERVAL.of(made, scope)
        names.add(item["name"])

    list_at(value, one, scope)
    return names


def _check_route(route: Mapping[str, Any], scope: Scope, receivers: set[Any], intervals: set[str]) -> None:
    for key in route.keys() - ROUTE_KEYS:
        raise Rejected("is not known here; check how it is spelled", str(key)[:60])
    name = _text(route, "receiver")
    if name and name not in receivers:
        raise Rejected(f"{name[:100]!r} is not a receiver of this object", "receiver")
    _under("groupBy", _check_groups, list_at(route.get("groupBy"), _a_text, scope))
    for key in ("muteTimeIntervals", "activeTimeIntervals"):
        for interval_ in _under(key, list_at, route.get(key), _a_text, scope):
            if interval_ not in intervals:
                raise Rejected(f"names {interval_[:100]!r}, which this object does not have", key)
    _texts(lambda text, scope: milliseconds(text), "groupWait", "groupInterval", "repeatInterval")(route, scope)
    _under("matchers", list_at, route.get("matchers"), _check_matcher, scope)

    def child(item: Any, scope: Scope) -> None:
        _check_route(_mapping(item), scope, receivers, intervals)

    _under("routes", list_at, route.get("routes"), child, scope)


def _a_text(value: Any, scope: Scope) -> str:
    if not isinstance(value, str):
        raise Rejected("is no text")
    return value


def _check_groups(labels: Iterable[str]) -> None:
    given = list(labels)
    if len(set(given)) < len(given):
        raise Rejected("has a label twice")
    if "..." in given and len(given) > 1:
        raise Rejected("has ... beside labels; it stands alone")


def _check_matcher(value: Any, scope: Scope) -> None:
    matcher = _mapping(value)
    for key in matcher.keys() - _MATCHER_KEYS:
        raise Rejected("is not known here; check how it is spelled", str(key)[:60])
    operator = _text(matcher, "matchType")
    if not operator:
        return
    if not scope.version.at_least(MATCHERS):
        raise Rejected(f"needs Alertmanager {MATCHERS}, this is {scope.version}; use regex", "matchType")
    if operator not in OPERATORS:
        raise Rejected(f"is none of {' '.join(OPERATORS)}", "matchType")
    if not _text(matcher, "name").strip():
        raise Rejected("is not set", "name")


def _check_inhibit_rule(value: Any, scope: Scope) -> None:
    for key in ("sourceMatch", "targetMatch"):
        _under(key, list_at, _mapping(value).get(key), _check_matcher, scope)
