"""An Alertmanager's file: the base, with the AlertmanagerConfigs that are selected for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from operators.prometheus.alertmanager.base import ANY_LABEL_SINCE, check_loadable, check_root
from operators.prometheus.alertmanager.check import check, check_client, identity, spec_of
from operators.prometheus.alertmanager.globals import check_global, global_section
from operators.prometheus.alertmanager.receivers import list_at, receiver
from operators.prometheus.alertmanager.routes import bound_route, bound_rule, inhibit_rule, interval, prefixed, route
from operators.prometheus.alertmanager.sanitize import sanitize
from operators.prometheus.alertmanager.section import compat
from operators.prometheus.alertmanager.versions import as_v1alpha1
from operators.prometheus.tables import Rejected, Scope, Version
from operators.prometheus.tables.selecting import selected as select
from operators.prometheus.tables.versions import DEFAULT_ALERTMANAGER

__all__ = ["Configuration", "add", "base_of_object", "selected", "version_of"]

OLDEST: Final = "0.15.0"
"""Below it, and from 1.0 on, a version is refused."""

_PARTS: Final = ("inhibit_rules", "receivers", "mute_time_intervals")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What was made.

    Attributes:
        text: the file. It holds secrets, so it is not in ``repr``.
        rejected: why an object is not in it, by ``namespace/name``.
        dropped: one line for each field that the version does not know.
    """

    text: str = field(repr=False)
    rejected: Mapping[str, Rejected]
    dropped: tuple[str, ...]


def version_of(alertmanager: Mapping[str, Any]) -> Version:
    """Of ``spec.version``.

    Raises:
        Rejected: it is no version, or one that is not supported.
    """
    given = spec_of(alertmanager).get("version") or DEFAULT_ALERTMANAGER
    if not isinstance(given, str):
        raise Rejected("is no text", "spec.version")
    version = Version.parse(given)
    if not version.at_least(OLDEST) or version.major:
        raise Rejected(f"{version} is not supported; use one from {OLDEST} on and below 1.0", "spec.version")
    return version


def selected(
    alertmanager: Mapping[str, Any],
    objects: Iterable[Mapping[str, Any]],
    namespaces: Mapping[str, Mapping[str, str]],
) -> list[dict[str, Any]]:
    """The AlertmanagerConfigs that the Alertmanager selects, as v1alpha1, by namespace and name.

    An absent selector of objects selects none, one of namespaces the Alertmanager's own; an empty one selects all. The
    object that the Alertmanager names as its global one is not among them.

    Args:
        namespaces: their labels, by name.
    Raises:
        Rejected: a selector is none.
    """
    apart = (identity(alertmanager)[0], (spec_of(alertmanager).get("alertmanagerConfiguration") or {}).get("name"))
    found = select(
        alertmanager,
        objects,
        namespaces,
        selector="alertmanagerConfigSelector",
        namespace_selector="alertmanagerConfigNamespaceSelector",
    )
    return [as_v1alpha1(each) for each in found if identity(each) != apart]


def base_of_object(value: Mapping[str, Any], global_: Mapping[str, Any] | None, scope: Scope) -> dict[str, Any]:
    """The base that an AlertmanagerConfig is: its names are prefixed, its alerts are those of every namespace.

    Args:
        value: the object.
        global_: ``spec.alertmanagerConfiguration.global`` of the Alertmanager, whose references are looked up in the
            namespace of the object.
    Raises:
        Rejected: it, or what is said globally, cannot become a configuration.
    """
    namespace, name = identity(value)
    scope = scope.within(namespace=namespace)
    check(value, scope)
    made: dict[str, Any] = {}
    try:
        if global_ is not None:
            made["global"] = _global(global_, scope)
    except Rejected as refused:
        raise refused.at("spec.alertmanagerConfiguration.global").of("Alertmanager") from None
    try:
        part = _part(value, scope, made)
        check_root(part.get("route"))
    except Rejected as refused:
        raise refused.of(f"AlertmanagerConfig {namespace}/{name}") from None
    whole = sanitize({**made, **part}, scope)
    if not compat(scope):
        try:
            check_loadable(whole, any_label=scope.version.at_least(ANY_LABEL_SINCE))
        except Rejected as refused:
            raise refused.of("Alertmanager") from None
    return whole


def _global(value: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    client = value.get("httpConfig") if isinstance(value, Mapping) else None
    if isinstance(client, Mapping):
        try:
            check_client(client, scope)
        except Rejected as refused:
            raise refused.at("httpConfig") from None
    check_global(value, scope)
    made: dict[str, Any] = sanitize({"global": global_section(value, scope)}, scope.within(dropped=[]))["global"]
    return made


def add(
    base: Mapping[str, Any], alertmanager: Mapping[str, Any], objects: Iterable[Mapping[str, Any]], scope: Scope
) -> tuple[dict[str, Any], dict[str, Rejected]]:
    """A base with what is in the objects: their routes stand before its own, all else behind.

    Args:
        base: as `read_base` or `base_of_object` gives it.
        objects: AlertmanagerConfigs as v1alpha1, sorted.
    Returns:
        the file, and why objects are not in it, by ``namespace/name``. In compat none is left out.
    Raises:
        Rejected: the base is not for that version; in compat also what an object is refused for.
    """
    made = sanitize(base, scope)
    parts: dict[str, list[Any]] = {key: list(made.get(key, ())) for key in _PARTS}
    routes: list[Any] = []
    rejected: dict[str, Rejected] = {}
    for value in objects:
        namespace, name = identity(value)
        within = scope.within(namespace=namespace)
        try:
            part = sanitize(_part(value, within, made, _binding(alertmanager, namespace)), within)
            if not compat(scope):
                check_loadable(part, made, any_label=scope.version.at_least(ANY_LABEL_SINCE))
        except Rejected as refused:
            if compat(scope):
                raise refused.of(f"AlertmanagerConfig {namespace}/{name}") from None
            rejected[f"{namespace}/{name}"] = refused.of(f"AlertmanagerConfig {namespace}/{name}")
            continue
        for key in _PARTS:
            parts[key] += part.get(key, ())
        routes += [part["route"]] if "route" in part else []
    own = made.get("route", {})
    whole = {**made, **parts, "route": {**own, "routes": [*routes, *own.get("routes", ())]}}
    return sanitize(whole, scope.within(dropped=[])), rejected


Binding = tuple[Callable[[dict[str, Any], Scope], dict[str, Any]], Callable[[dict[str, Any], Scope], dict[str, Any]]]


def _free(made: dict[str, Any], scope: Scope) -> dict[str, Any]:
    return made


def _binding(alertmanager: Mapping[str, Any], namespace: str) -> Binding:
    strategy = spec_of(alertmanager).get("alertmanagerConfigMatcherStrategy")
    kind = strategy.get("type") if isinstance(strategy, Mapping) else None
    apart = kind == "OnNamespaceExceptForAlertmanagerNamespace" and namespace == identity(alertmanager)[0]
    rule, top = (_free, _free) if kind == "None" or apart else (bound_rule, bound_route)
    return rule, lambda made, scope: {**top(made, scope), "continue": True}


def _part(
    value: Mapping[str, Any], scope: Scope, made: Mapping[str, Any], binding: Binding = (_free, _free)
) -> dict[str, Any]:
    """What an object adds, not yet in order. Without a route it adds rules of inhibition alone, if it is no base."""
    spec, prefix = spec_of(value), "/".join(identity(value))
    bound, top = binding

    def one(item: Any, scope: Scope) -> dict[str, Any]:
        _check_globally(item, made.get("global", {}))
        return {**receiver(item, scope), "name": prefixed(prefix, item.get("name"))}

    part: dict[str, Any] = {
        "inhibit_rules": _at("inhibitRules", spec, lambda item, scope: bound(inhibit_rule(item, scope), scope), scope)
    }
    if spec.get("route") is None:
        return part
    try:
        part["route"] = top(route(spec["route"], scope, prefix), scope)
    except RecursionError:
        raise Rejected("is nested too deeply", "spec.route") from None
    except Rejected as refused:
        raise refused.at("spec.route") from None
    part["receivers"] = _at("receivers", spec, one, scope)
    part["mute_time_intervals"] = _at(
        "muteTimeIntervals", spec, lambda item, scope: interval(item, scope, prefix), scope
    )
    return part


def _at(key: str, spec: Mapping[str, Any], make: Callable[[Any, Scope], Any], scope: Scope) -> list[Any]:
    try:
        return list_at(spec.get(key), make, scope)
    except Rejected as refused:
        raise refused.at(f"spec.{key}") from None


_GLOBALLY: Final = {
    "emailConfigs": ((("smarthost",), ("smtp_smarthost",)), (("from",), ("smtp_from",))),
    "telegramConfigs": ((("botToken", "botTokenFile"), ("telegram_bot_token", "telegram_bot_token_file")),),
}
"""What a notifier has to say itself unless it is said globally."""


def _check_globally(value: Any, section: Mapping[str, Any]) -> None:
    if not isinstance(value, Mapping):
        raise Rejected("is no mapping")
    for kind, needs in _GLOBALLY.items():
        notifiers = value.get(kind)
        for at, notifier in enumerate(notifiers if isinstance(notifiers, list) else ()):
            for own, globally in needs:
                said = not isinstance(notifier, Mapping) or any(notifier.get(key) for key in own)
                if not said and not any(section.get(key) for key in globally):
                    raise Rejected(f"is not set, nor is {globally[0]} globally", f"{kind}[{at}].{own[0]}")
