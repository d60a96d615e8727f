"""Routes, rules of inhibition and times of an AlertmanagerConfig, as Alertmanager's file has them.

Names become ``<namespace>/<object>/<name>``; what the object says of alerts is bound to its namespace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.alertmanager.receivers import list_at, nested
from operators.prometheus.alertmanager.sanitize import MATCHERS
from operators.prometheus.alertmanager.section import compat
from operators.prometheus.tables import Field, Rejected, Scope, Table
from operators.prometheus.tables.makes import given

__all__ = ["STRATEGIES", "bound_route", "bound_rule", "inhibit_rule", "interval", "matcher", "prefixed", "route"]

OPERATORS: Final = ("=", "!=", "=~", "!~")

STRATEGIES: Final = ("OnNamespace", "OnNamespaceExceptForAlertmanagerNamespace", "None")
"""``spec.alertmanagerConfigMatcherStrategy.type``; the first is meant by none."""

_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def prefixed(prefix: str, name: Any) -> str:
    """``<prefix>/<name>``; "" stays.

    Raises:
        Rejected: the name is no text.
    """
    if name is None or name == "":
        return ""
    if not isinstance(name, str):
        raise Rejected("is no text")
    return f"{prefix}/{name}"


def matcher(name: str, operator: str, value: str) -> str:
    """As Alertmanager writes it.

    >>> print(matcher("a", "=~", 'x"y'))
    a=~"x\\"y"
    """
    return f'{name}{operator}"{value.translate(_ESCAPED)}"'


def _matchers(value: Any, scope: Scope, key: str = "") -> dict[str, Any]:
    """``{matchers, match, match_re}``, each key behind ``key``; the first for versions that know it."""
    matchers: list[str] = []
    match: dict[str, str] = {}
    match_re: dict[str, str] = {}
    for name, operator, text, regex in list_at(value, _matcher, scope):
        if operator or scope.version.at_least(MATCHERS):
            matchers.append(matcher(name, operator or ("=~" if regex else "="), text))
        else:
            (match_re if regex else match)[name] = text
    return {f"{key}matchers": matchers, f"{key}match": match, f"{key}match_re": match_re}


def _matcher(value: Any, scope: Scope) -> tuple[str, str, str, bool]:
    if not isinstance(value, Mapping):
        raise Rejected("is no mapping")
    parts = [value.get(key) or "" for key in ("name", "matchType", "value")]
    if not all(isinstance(part, str) for part in parts):
        raise Rejected("has a name, an operator or a value that is no text")
    return parts[0], parts[1], parts[2], bool(value.get("regex"))


_ROUTE: Final = Table(
    Field("group_by", "groupBy"),
    Field("group_wait", "groupWait"),
    Field("group_interval", "groupInterval"),
    Field("repeat_interval", "repeatInterval"),
    Field("continue"),
)


def route(value: Any, scope: Scope, prefix: str) -> dict[str, Any]:
    """A route and those below it, with prefixed names, not yet in order.

    Raises:
        Rejected: a type is not as it has to be; with its path.
    """
    made = nested(_ROUTE)(value, scope)

    def names(key: str) -> list[str]:
        try:
            return list_at(value.get(key), lambda name, _: prefixed(prefix, name), scope)
        except Rejected as refused:
            raise refused.at(key) from None

    try:
        routes = list_at(value.get("routes"), lambda child, _: route(child, scope, prefix), scope)
    except Rejected as refused:
        raise refused.at("routes") from None
    return {
        **made,
        **_matchers(value.get("matchers"), scope),
        "receiver": prefixed(prefix, value.get("receiver")),
        "routes": routes,
        "mute_time_intervals": names("muteTimeIntervals"),
        "active_time_intervals": names("activeTimeIntervals"),
    }


def inhibit_rule(value: Any, scope: Scope) -> dict[str, Any]:
    """A rule of inhibition, not yet in order.

    Raises:
        Rejected: as `route`.
    """
    if not isinstance(value, Mapping):
        raise Rejected("is no mapping")
    return {
        **_matchers(value.get("targetMatch"), scope, "target_"),
        **_matchers(value.get("sourceMatch"), scope, "source_"),
        "equal": value.get("equal"),
    }


def bound_route(made: dict[str, Any], scope: Scope) -> dict[str, Any]:
    """The top route of an object, for alerts of its namespace alone."""
    if scope.version.at_least(MATCHERS):
        return {**made, "matchers": [*made["matchers"], matcher("namespace", "=", scope.namespace)]}
    return {**made, "match": {**made["match"], "namespace": scope.namespace}}


def bound_rule(made: dict[str, Any], scope: Scope) -> dict[str, Any]:
    """A rule of inhibition of an object, for alerts of its namespace alone."""
    bound = dict(made)
    for side in ("target", "source"):
        match, match_re, matchers = f"{side}_match", f"{side}_match_re", f"{side}_matchers"
        bound[match] = {name: text for name, text in made[match].items() if name != "namespace"}
        bound[match_re] = {name: text for name, text in made[match_re].items() if name != "namespace"}
        if not scope.version.at_least(MATCHERS):
            bound[match]["namespace"] = scope.namespace
            continue
        wanted = matcher("namespace", "=", scope.namespace)
        if wanted not in (each.replace(" ", "") for each in made[matchers]):
            bound[matchers] = [*made[matchers], wanted]
    return bound


def _days(value: Any, scope: Scope) -> str:
    if not isinstance(value, Mapping):
        raise Rejected("is no mapping")
    return f"{value.get('start') or 0}:{value.get('end') or 0}"


_TIME: Final = Table(Field("start_time", "startTime", given), Field("end_time", "endTime", given))
_SPAN: Final = Table(
    Field("times", make=lambda value, scope: list_at(value, nested(_TIME), scope)),
    Field("weekdays"),
    Field("days_of_month", "daysOfMonth", lambda value, scope: list_at(value, _days, scope)),
    Field("months"),
    Field("years"),
)


def interval(value: Any, scope: Scope, prefix: str) -> dict[str, Any]:
    """Times with a prefixed name, not yet in order. In compat they have no name if there is no time among them.

    Raises:
        Rejected: as `route`.
    """
    if not isinstance(value, Mapping):
        raise Rejected("is no mapping")
    spans = list_at(value.get("timeIntervals"), nested(_SPAN), scope)
    name = "" if compat(scope) and not spans else prefixed(prefix, value.get("name"))
    return {"name": name, "time_intervals": spans}
