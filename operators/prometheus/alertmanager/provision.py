"""From the Secret that a user gives to the one that Alertmanager reads."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from typing import Any, Final

from operators.prometheus.alertmanager.base import read_base
from operators.prometheus.alertmanager.check import check, identity, spec_of
from operators.prometheus.alertmanager.generate import Configuration, add, base_of_object, selected, version_of
from operators.prometheus.alertmanager.options import Options
from operators.prometheus.alertmanager.versions import as_v1alpha1
from operators.prometheus.tables import Assets, Rejected, Scope, to_yaml

__all__ = ["CONFIGURATION_KEY", "DEFAULT", "USER_KEY", "config_secret_name", "configuration", "generated_data"]

USER_KEY: Final = "alertmanager.yaml"
"""Of the configuration in the user's Secret."""

CONFIGURATION_KEY: Final = "alertmanager.yaml.gz"
"""Of the configuration in the generated Secret; in gzip."""

DEFAULT: Final = "route:\n  receiver: 'null'\nreceivers:\n- name: 'null'"
"""Where the user gives none: no alert goes anywhere."""


def config_secret_name(alertmanager: Mapping[str, Any]) -> str:
    """Of the user's Secret: ``spec.configSecret``, or by the Alertmanager's name."""
    given = spec_of(alertmanager).get("configSecret")
    return given if given and isinstance(given, str) else f"alertmanager-{identity(alertmanager)[1]}"


def configuration(
    alertmanager: Mapping[str, Any],
    objects: Iterable[Mapping[str, Any]],
    namespaces: Mapping[str, Mapping[str, str]],
    assets: Assets,
    options: Options = Options(),  # noqa: B008 - it is frozen
) -> Configuration:
    """The file of an Alertmanager.

    Guarantees: the same text whatever the order of the objects; an object that cannot become a part of it is left out
    and told in ``rejected``, the others are not touched by it (in compat only what its check finds).

    Args:
        alertmanager: as the API has it.
        objects: AlertmanagerConfigs, v1alpha1 or v1beta1, selected or not.
        namespaces: labels of the namespaces, by name.
        assets: the user's Secret, and what the objects refer to.
    Raises:
        Rejected: the Alertmanager itself, its Secret or the object that it names as its base is at fault.
    """
    scope = Scope(version_of(alertmanager), identity(alertmanager)[0], assets, options)
    spec, objects = spec_of(alertmanager), list(objects)
    given = spec.get("alertmanagerConfiguration")
    if spec.get("alertmanagerConfigSelector") is None and given is None:
        return Configuration(_user_text(alertmanager, assets), {}, ())
    if given is not None:
        base = _named_base(given, objects, scope)
    else:
        try:
            base = read_base(_user_text(alertmanager, assets))
        except Rejected as refused:
            raise refused.of(f"Secret {scope.namespace}/{config_secret_name(alertmanager)}") from None
    rejected: dict[str, Rejected] = {}
    accepted = []
    for each in selected(alertmanager, objects, namespaces):
        try:
            check(each, scope)
            accepted.append(each)
        except Rejected as refused:
            rejected["/".join(identity(each))] = refused
    made, refused_later = add(base, alertmanager, accepted, scope)
    return Configuration(to_yaml(made), {**rejected, **refused_later}, tuple(dict.fromkeys(scope.dropped)))


def _user_text(alertmanager: Mapping[str, Any], assets: Assets) -> str:
    """What the user's Secret has; `DEFAULT` where it has nothing."""
    namespace, name = identity(alertmanager)[0], config_secret_name(alertmanager)
    data = assets.secrets.get((namespace, name), {})
    return assets.secret(namespace, {"name": name, "key": USER_KEY}) if data.get(USER_KEY) else DEFAULT


def _named_base(given: Any, objects: Iterable[Mapping[str, Any]], scope: Scope) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise Rejected("is no mapping", "spec.alertmanagerConfiguration")
    wanted = (scope.namespace, given.get("name"))
    found = next((each for each in objects if identity(each) == wanted), None)
    if found is None:
        raise Rejected(
            f"names the AlertmanagerConfig {scope.namespace}/{wanted[1]}, which is not there; create it",
            "spec.alertmanagerConfiguration.name",
        )
    base = base_of_object(as_v1alpha1(found), given.get("global"), scope)
    return {**base, "templates": [*base["templates"], *_templates(given.get("templates"), scope)]}


def _templates(value: Any, scope: Scope) -> Iterable[str]:
    for item in value if isinstance(value, list) else ():
        for kind in ("configMap", "secret"):
            reference = item.get(kind) if isinstance(item, Mapping) else None
            if isinstance(reference, Mapping):
                yield f"{scope.options.templates}/{reference.get('key') or ''}"


def generated_data(alertmanager: Mapping[str, Any], text: str, assets: Assets) -> dict[str, bytes]:
    """``data`` of the generated Secret: the file in gzip, and the other keys of the user's Secret, as templates.

    The other keys are there unless the base is an AlertmanagerConfig.
    """
    others: Mapping[str, bytes] = {}
    if spec_of(alertmanager).get("alertmanagerConfiguration") is None:
        others = assets.secrets.get((identity(alertmanager)[0], config_secret_name(alertmanager)), {})
    kept = {key: data for key, data in others.items() if key != USER_KEY}
    return {**kept, CONFIGURATION_KEY: gzip.compress(text.encode(), mtime=0)}
