"""Every field of the API is read by a table, and every key of the file has an order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from operators.prometheus.alertmanager.globals import global_section
from operators.prometheus.alertmanager.options import Options
from operators.prometheus.alertmanager.receivers import receiver
from operators.prometheus.alertmanager.routes import inhibit_rule, interval, route
from operators.prometheus.alertmanager.sanitize import sanitize
from operators.prometheus.tables import Rejected, Scope, Version
from tests.unit.prometheus.alertmanager.samples import ASSETS, MINIMAL, leaves, schema, with_leaf

NEWEST = Scope(Version.parse("0.33.1"), "shop", ASSETS, Options())
OLD = NEWEST.within(version=Version.parse("0.21.0"))
SPEC = schema("alertmanagerconfigs")["properties"]["spec"]["properties"]
RECEIVER = SPEC["receivers"]["items"]["properties"]
WITH = {
    "authorization": {"credentials": {"name": "s", "key": "k"}},
    "basicAuth": {name: {"name": "s", "key": "k"} for name in ("username", "password")},
    "oauth2": {"clientSecret": {"name": "s", "key": "k"}, "clientId": {"secret": {"name": "s", "key": "k"}}},
    "sigv4": {name: {"name": "s", "key": "k"} for name in ("accessKey", "secretKey")},
}
"""What stands beside a field that has no effect alone."""


def unread(
    fields: Mapping[str, Any], minimal: Mapping[str, Any], make: Callable[[dict[str, Any], Scope], Any]
) -> list[str]:
    """Paths of the fields of a schema that change nothing where they are set or changed."""
    found = []
    for path, leaf in leaves(fields):
        context = dict(minimal)
        for at, part in enumerate(path[:-1]):
            if part in WITH:
                context = with_leaf(context, path[: at + 1], WITH[part])
        before = _outcome(context, make)
        if all(_outcome(with_leaf(context, path, each), make) == before for each in (leaf, None)):
            found.append(".".join(path))
    return found


def _outcome(value: dict[str, Any], make: Callable[[dict[str, Any], Scope], Any]) -> Any:
    outcomes = []
    for scope in (NEWEST, OLD):
        try:
            outcomes.append(make(value, scope.within(dropped=[])))
        except Rejected as refused:
            outcomes.append(str(refused))
    return outcomes


@pytest.mark.parametrize("kind", sorted(RECEIVER.keys() - {"name"}))
def test_every_field_of_a_receiver_is_read(kind: str) -> None:
    found = unread(
        RECEIVER[kind]["items"], MINIMAL[kind], lambda value, scope: receiver({"name": "r", kind: [value]}, scope)
    )
    # Alertmanager's file has no key for it; the object is told so.
    assert found == (["sigv4.useFIPSSTSEndpoint"] if kind == "snsConfigs" else [])


def test_the_one_field_without_a_key_is_told() -> None:
    scope = NEWEST.within(dropped=[])
    receiver({"name": "r", "snsConfigs": [{"sigv4": {"useFIPSSTSEndpoint": True}}]}, scope)
    assert scope.dropped == ["useFIPSSTSEndpoint is left out: Alertmanager has no such setting"]


@pytest.mark.parametrize(
    ("key", "minimal", "make"),
    [
        ("route", {"receiver": "r"}, lambda value, scope: route(value, scope, "shop/amc")),
        ("inhibitRules", {}, inhibit_rule),
        ("muteTimeIntervals", {"name": "n", "timeIntervals": [{}]}, lambda value, scope: interval(value, scope, "p")),
    ],
)
def test_every_field_beside_the_receivers_is_read(
    key: str, minimal: Mapping[str, Any], make: Callable[[dict[str, Any], Scope], Any]
) -> None:
    of = SPEC[key].get("items", SPEC[key])
    assert unread(of, minimal, make) == []


def test_every_field_that_is_said_globally_is_read() -> None:
    of = schema("alertmanagers")["properties"]["spec"]["properties"]["alertmanagerConfiguration"]["properties"]
    assert unread(of["global"], {}, global_section) == []


@pytest.mark.parametrize("kind", sorted(MINIMAL))
def test_every_key_that_a_receiver_becomes_has_a_place_in_the_file(kind: str) -> None:
    for path, leaf in leaves(RECEIVER[kind]["items"]):
        rule = ""
        try:
            made = receiver({"name": "r", kind: [with_leaf(MINIMAL[kind], path, leaf)]}, NEWEST)
            sanitize({"receivers": [made]}, NEWEST)
        except Rejected as refused:
            rule = refused.rule
        assert "is not known here" not in rule, path
