"""Which objects become a part of an Alertmanager's file, and what they cannot do to it."""

from __future__ import annotations

import base64
import contextlib
import gzip
import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.prometheus import Rejected
from operators.prometheus.alertmanager import (
    Options,
    as_v1alpha1,
    as_v1beta1,
    config_secret_name,
    configuration,
    generated_data,
)
from operators.prometheus.tables import Assets
from tests.conformance.drawing import ANYTHING, drawn
from tests.unit.prometheus.alertmanager.samples import (
    ASSETS,
    MINIMAL,
    REFERENCE,
    SECRET,
    alertmanager,
    amc,
    drawable,
    notifying,
    schema,
)
from tests.unit.prometheus.goldens import case, names

NAMESPACES: Mapping[str, Mapping[str, str]] = {"shop": {}, "other": {"team": "a"}}
COMPAT = Options(compat=True)


DEFAULT = Options()


def made(*objects: Mapping[str, Any], of: Mapping[str, Any] | None = None, options: Options = DEFAULT) -> Any:
    return configuration(of or alertmanager(), objects, NAMESPACES, ASSETS, options)


def receivers(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(text)["receivers"]
    return found


@pytest.mark.parametrize("kind", sorted(MINIMAL))
def test_one_receiver_of_each_kind_becomes_a_part_of_the_file(kind: str) -> None:
    told = made(notifying(kind, MINIMAL[kind]))
    assert told.rejected == {}
    assert "hidden" not in repr(told)
    assert receivers(told.text)[1]["name"] == "shop/amc/r"
    assert len(receivers(told.text)[1]) == 2


def test_an_object_that_only_the_making_of_the_file_refuses_leaves_the_others_in() -> None:
    # The check does not look at what the address is, and the original then makes no file at all.
    secret = {"metadata": {"namespace": "shop", "name": "t"}, "stringData": {"k": "no address"}}
    assets = Assets.of([SECRET, secret])
    bad = notifying("msteamsConfigs", {"webhookUrl": {"name": "t", "key": "k"}}, "bad")
    good = notifying("webhookConfigs", MINIMAL["webhookConfigs"], "good")
    told = configuration(alertmanager(), [bad, good], NAMESPACES, assets)
    assert [each["name"] for each in receivers(told.text)] == ["null", "shop/good/r"]
    assert str(told.rejected["shop/bad"]) == (
        "AlertmanagerConfig shop/bad receivers[0].msteams_configs[0].webhook_url: is no URL of http or https"
    )
    with pytest.raises(Rejected, match="AlertmanagerConfig shop/bad"):
        configuration(alertmanager(), [bad, good], NAMESPACES, assets, COMPAT)


def test_an_object_that_alertmanager_would_not_load_is_left_out() -> None:
    told = made(notifying("slackConfigs", {"channel": "#a"}))
    assert "has no api_url or api_url_file" in told.rejected["shop/amc"].rule
    assert made(notifying("slackConfigs", {"channel": "#a"}), options=COMPAT).rejected == {}


def test_what_the_original_overlooks_is_written() -> None:
    quiet = notifying("pushoverConfigs", {**MINIMAL["pushoverConfigs"], "sound": "none"})
    tls = {
        "oauth2": {
            "clientId": {"secret": REFERENCE},
            "clientSecret": REFERENCE,
            "tokenUrl": "https://a.example",
            "tlsConfig": {"serverName": "b.example"},
        }
    }
    client = notifying("webhookConfigs", {**MINIMAL["webhookConfigs"], "httpConfig": tls})
    assert "sound: none" in made(quiet).text
    assert "server_name: b.example" in made(client).text
    assert "sound" not in made(quiet, options=COMPAT).text
    assert "server_name" not in made(client, options=COMPAT).text


def test_a_template_may_call_the_functions_of_alertmanager() -> None:
    upper = notifying("webhookConfigs", {"url": "https://a.example/{{ .CommonLabels.team | toUpper }}"})
    assert made(upper).rejected == {}
    assert "the function 'toUpper' is not defined" in made(upper, options=COMPAT).rejected["shop/amc"].rule
    lost = notifying("webhookConfigs", {"url": "https://a.example/{{ lost }}"})
    assert "the function 'lost' is not defined" in made(lost).rejected["shop/amc"].rule


def test_keys_of_pushover_may_be_files_and_a_topic_excludes_the_other_targets() -> None:
    files = notifying("pushoverConfigs", {"userKeyFile": "/a", "tokenFile": "/b"})
    assert made(files).rejected == {}
    assert made(files, options=COMPAT).rejected["shop/amc"].field == "spec.receivers[0].pushoverConfigs[0].userKey"
    three = notifying("snsConfigs", {"topicARN": "a", "targetARN": "b", "phoneNumber": "c"})
    assert "needs one of" in made(three).rejected["shop/amc"].rule
    assert made(three, options=COMPAT).rejected == {}


def test_selectors_are_asked_and_the_base_object_is_not_selected_too() -> None:
    objects = [
        amc("a", receivers=[{"name": "r"}], route={"receiver": "r"}),
        amc("b", "other", receivers=[{"name": "r"}], route={"receiver": "r"}),
        {**amc("c", "other"), "metadata": {"namespace": "other", "name": "c", "labels": {"x": "y"}}},
    ]
    objects[2]["spec"] = objects[1]["spec"]

    def found(**spec: Any) -> list[str]:
        told = made(*objects, of=alertmanager(**spec))
        return [each["name"] for each in receivers(told.text)]

    assert found() == ["null", "shop/a/r"]
    every = ["null", "other/b/r", "other/c/r", "shop/a/r"]
    assert found(alertmanagerConfigNamespaceSelector={}) == every
    teams = {"matchLabels": {"team": "a"}}
    assert found(alertmanagerConfigNamespaceSelector=teams) == ["null", "other/b/r", "other/c/r"]
    wanted = {"matchExpressions": [{"key": "x", "operator": "Exists"}]}
    assert found(alertmanagerConfigNamespaceSelector={}, alertmanagerConfigSelector=wanted) == ["null", "other/c/r"]
    based = found(alertmanagerConfigNamespaceSelector={}, alertmanagerConfiguration={"name": "a"})
    assert based == ["shop/a/r", "other/b/r", "other/c/r"]
    assert found(alertmanagerConfigSelector=None, alertmanagerConfiguration={"name": "a"}) == ["shop/a/r"]


@pytest.mark.parametrize(
    ("strategy", "bound"),
    [(None, (True, True)), ("OnNamespaceExceptForAlertmanagerNamespace", (True, False)), ("None", (False, False))],
)
def test_alerts_are_those_of_the_namespace_unless_the_strategy_says_otherwise(
    strategy: str | None, bound: tuple[bool, bool]
) -> None:
    of = alertmanager(
        alertmanagerConfigNamespaceSelector={}, alertmanagerConfigMatcherStrategy={"type": strategy} if strategy else {}
    )
    rule = {"sourceMatch": [{"name": "a", "value": "b"}], "targetMatch": []}
    spec: dict[str, Any] = {"receivers": [{"name": "r"}], "route": {"receiver": "r"}, "inhibitRules": [rule]}
    told = yaml.safe_load(made(amc("a", "other", **spec), amc("b", "shop", **spec), of=of).text)
    for at, namespace in enumerate(("other", "shop")):
        matcher = f'namespace="{namespace}"'
        route, inhibit = told["route"]["routes"][at], told["inhibit_rules"][at]
        assert route["continue"] is True
        assert (route.get("matchers") == [matcher]) is bound[at]
        assert (inhibit.get("target_matchers") == [matcher]) is bound[at]
        assert inhibit["source_matchers"] == ['a="b"', *([matcher] if bound[at] else [])]


def test_an_address_without_a_scheme_said_globally_is_refused() -> None:
    base = {"name": "amc", "global": {"pagerdutyUrl": "events.example"}}
    objects = [amc(receivers=[{"name": "r"}], route={"receiver": "r"})]
    of = alertmanager(alertmanagerConfiguration=base)
    with pytest.raises(Rejected, match=r"Alertmanager global\.pagerduty_url: is no URL of http or https"):
        made(*objects, of=of)
    assert "pagerduty_url: events.example" in made(*objects, of=of, options=COMPAT).text


def test_an_authority_that_is_no_certificate_is_refused() -> None:
    client = {"tlsConfig": {"ca": {"secret": REFERENCE}}}
    told = made(notifying("webhookConfigs", {**MINIMAL["webhookConfigs"], "httpConfig": client}))
    assert told.rejected["shop/amc"].field == "spec.receivers[0].webhookConfigs[0].httpConfig.tlsConfig.ca"


def test_a_version_that_is_not_supported_is_refused() -> None:
    for version in ("v0.14.0", "v1.0.0", "x"):
        with pytest.raises(Rejected) as told:
            made(of=alertmanager(version))
        assert told.value.field == "spec.version"


def test_what_a_version_does_not_know_is_told() -> None:
    told = made(notifying("webhookConfigs", {**MINIMAL["webhookConfigs"], "timeout": "5s"}), of=alertmanager("v0.27.0"))
    assert told.dropped == ("timeout is left out: it needs 0.28.0, this is 0.27.0",)


def test_a_beta_object_makes_the_same_file() -> None:
    matchers = [{"name": "a", "value": "b", "regex": True}, {"name": "c", "value": "d"}]
    alpha = amc(
        receivers=[{"name": "r", "slackConfigs": [{"apiURL": {**REFERENCE, "optional": False}}]}],
        route={"receiver": "r", "routes": [{"matchers": matchers, "muteTimeIntervals": ["t"], "continue": True}]},
        inhibitRules=[{"sourceMatch": matchers, "targetMatch": matchers}],
        muteTimeIntervals=[{"name": "t", "timeIntervals": [{"years": ["2030"]}]}],
    )
    beta = as_v1beta1(alpha)
    assert beta["spec"]["timeIntervals"] == alpha["spec"]["muteTimeIntervals"]
    assert beta["spec"]["receivers"][0]["slackConfigs"] == [{"apiURL": REFERENCE}]
    assert beta["spec"]["inhibitRules"][0]["sourceMatch"][0] == {"name": "a", "value": "b", "matchType": "=~"}
    assert as_v1beta1(beta) == beta
    assert as_v1alpha1(alpha) == alpha
    assert made(beta).text == made(alpha).text
    assert made(beta).rejected == {}
    assert as_v1beta1(as_v1alpha1(beta)) == beta


@pytest.mark.parametrize("name", names("alertmanager-provision"))
def test_the_generated_secret_has_the_other_keys_of_the_users(name: str) -> None:
    of = case(name)
    assets = Assets.of(of["secrets"])
    data = generated_data(of["cr"], "text", assets)
    assert sorted(data) == sorted(of["extra"]["generated_secret_keys"])
    assert gzip.decompress(data["alertmanager.yaml.gz"]) == b"text"
    assert data == generated_data(of["cr"], "text", assets)
    assert config_secret_name(of["cr"]) == of["cr"]["spec"].get(
        "configSecret", f"alertmanager-{of['cr']['metadata']['name']}"
    )


@cache
def specs() -> list[dict[str, Any]]:
    return drawn({"properties": {"spec": drawable(schema("alertmanagerconfigs")["properties"]["spec"])}}, 60)


@pytest.mark.parametrize("version", ["v0.15.0", "v0.25.0", "v0.33.1"])
@pytest.mark.parametrize("options", [DEFAULT, COMPAT], ids=["default", "compat"])
def test_whatever_the_definition_lets_pass_is_written_or_refused(version: str, options: Options) -> None:
    for root in specs():
        value = {**amc(), **root}
        try:
            told = made(value, of=alertmanager(version), options=options)
        except Rejected:
            assert options.compat
            continue
        yaml.safe_load(told.text)
        assert told.rejected.keys() <= {"shop/amc"}


KEYS = st.sampled_from(
    [
        "receivers",
        "route",
        "routes",
        "name",
        "receiver",
        "inhibitRules",
        "matchers",
        "slackConfigs",
        "httpConfig",
        "url",
    ]
)
TREES = st.recursive(ANYTHING, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner), max_leaves=8)


@settings(deadline=None)
@given(spec=TREES | st.dictionaries(KEYS, TREES), of=st.dictionaries(KEYS, TREES))
def test_whatever_an_object_is_it_is_written_or_refused(spec: Any, of: dict[str, Any]) -> None:
    told = made({**amc(), "spec": spec}, {"metadata": spec, "spec": spec}, amc("ok"))
    assert "shop/ok" not in told.rejected
    based = alertmanager(alertmanagerConfiguration={"name": "amc", "global": of})
    for main in (alertmanager(**of), based):
        with contextlib.suppress(Rejected):
            made({**amc(), "spec": spec}, of=main)


@settings(deadline=None)
@given(st.text(alphabet="ab:- \n{}[]\"'&*!|>#%,?<=0", max_size=60) | st.just("a: &a [*a]"))
def test_whatever_the_users_secret_holds_it_is_written_or_refused(text: str) -> None:
    data = {"alertmanager.yaml": base64.b64encode(text.encode()).decode()}
    secret = {"metadata": {"namespace": "shop", "name": "alertmanager-main"}, "data": data}
    with contextlib.suppress(Rejected):
        assert "route" in configuration(alertmanager(), [], NAMESPACES, Assets.of([secret])).text


def test_a_secret_that_is_nested_deeply_is_refused() -> None:
    secret = {
        "metadata": {"namespace": "shop", "name": "alertmanager-main"},
        "stringData": {"alertmanager.yaml": "[" * 2000 + "]" * 2000},
    }
    with pytest.raises(Rejected, match="Secret shop/alertmanager-main: is nested too deeply"):
        configuration(alertmanager(), [], NAMESPACES, Assets.of([secret]))


def test_the_order_of_the_objects_makes_no_difference() -> None:
    of = alertmanager(alertmanagerConfigNamespaceSelector={})
    objects = [notifying(kind, MINIMAL[kind], f"{kind.lower()}-{at}") for at, kind in enumerate(sorted(MINIMAL)[:4])]
    objects.append(amc("slackless", receivers=[{"name": "r", "slackConfigs": [{}]}], route={"receiver": "r"}))
    told = {(each.text, *each.rejected) for each in (made(*some, of=of) for some in itertools.permutations(objects))}
    assert len(told) == 1
