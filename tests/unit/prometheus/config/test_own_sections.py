"""The sections of a Prometheus itself: remote write and read, alerting, traces, OTLP, and YAML of the user's own."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from operators.prometheus.config.additional import additional_scrape_configs, yaml_list
from operators.prometheus.config.alerting import alerting_section
from operators.prometheus.config.options import Options
from operators.prometheus.config.otlp import otlp_section
from operators.prometheus.config.own_checks import check_own_sections
from operators.prometheus.config.remote import remote_read_section, remote_write_section, ruler_configuration
from operators.prometheus.config.tracing import tracing_section
from operators.prometheus.tables import Assets, Rejected, Scope, Version
from operators.prometheus.tables.load import from_yaml

ASSETS = Assets(secrets={("monitoring", "s"): {"k": b"value"}})
REF = {"name": "s", "key": "k"}
MISSING = {"name": "s", "key": "other"}
UUID = "00000000-0000-0000-0000-000000000000"


def scope(version: str = "3.13.2", **options: Any) -> Scope:
    return Scope(Version.parse(version), "monitoring", ASSETS, Options(**options))


def cr(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "monitoring", "name": "p"}, "spec": spec}


def write(**entry: Any) -> dict[str, Any]:
    return {"remoteWrite": [{"url": "http://a", **entry}]}


def azure(**section: Any) -> dict[str, Any]:
    return write(azureAd=section)


def alertmanager(**entry: Any) -> dict[str, Any]:
    return {"alerting": {"alertmanagers": [{"name": "a", "port": "web", **entry}]}}


REFUSED = [
    ({"enforcedNamespaceLabel": "a-b"}, "2.55.1", r"^spec\.enforcedNamespaceLabel: 'a-b' is no label in 2\.55\.1"),
    ({"externalLabels": {"a b": "c"}}, "2.55.1", r"^spec\.externalLabels: 'a b' is no label in 2\.55\.1"),
    ({"remoteWrite": [{"url": "a"}]}, "", r"^spec\.remoteWrite\[0\]\.url: is no address of http or https with a host"),
    (write(basicAuth={"username": REF, "password": REF}, sigv4={}), "", r"one way; use basicAuth or sigv4"),
    (
        write(oauth2={"clientId": {"secret": REF}, "clientSecret": MISSING, "tokenUrl": "http://t"}),
        "",
        r"clientSecret: ",
    ),
    (write(writeRelabelConfigs=[{"action": "labelmap", "regex": "("}]), "", r"writeRelabelConfigs\[0\]\.regex"),
    (write(authorization={"credentials": REF, "credentialsFile": "/a"}), "", r"authorization\.credentialsFile: "),
    (write(tlsConfig={"ca": {"secret": REF}, "caFile": "/a"}), "", r"tlsConfig\.caFile: "),
    (write(sigv4={"accessKey": REF}), "", r"sigv4\.accessKey: goes only with the other key"),
    (write(sigv4={"accessKey": REF, "secretKey": MISSING}), "", r"sigv4\.secretKey: "),
    (write(sigv4={"externalId": "a"}), "", r"sigv4\.externalId: goes only with roleArn"),
    (azure(), "", r"azureAd: needs one of managedIdentity, oauth, sdk, workloadIdentity; it has none"),
    (azure(sdk={}, managedIdentity={}), "", r"it has managedIdentity and sdk"),
    (azure(managedIdentity={"clientId": "a"}), "", r"managedIdentity\.clientId: is no UUID"),
    (azure(managedIdentity={}), "3.4.2", r"managedIdentity\.clientId: has to be set before 3\.5\.0"),
    (azure(oauth={"clientId": UUID, "clientSecret": REF, "tenantId": "t"}), "2.47.0", r"oauth: needs 2\.48\.0"),
    (azure(oauth={"clientId": "a", "clientSecret": REF, "tenantId": "t"}), "", r"oauth\.clientId: is no UUID"),
    (azure(oauth={"clientId": UUID, "clientSecret": MISSING, "tenantId": "t"}), "", r"oauth\.clientSecret: "),
    (azure(sdk={}), "2.51.0", r"sdk: needs 2\.52\.0"),
    (azure(workloadIdentity={"clientId": UUID, "tenantId": UUID}), "3.6.0", r"workloadIdentity: needs 3\.7\.0"),
    (azure(workloadIdentity={"clientId": UUID, "tenantId": "t"}), "", r"workloadIdentity\.tenantId: is no UUID"),
    ({"remoteRead": [{"url": "http://a", "basicAuth": {}}]}, "", r"^spec\.remoteRead\[0\]\.basicAuth\.username: "),
    (
        alertmanager(bearerTokenFile="/a", basicAuth={"username": REF, "password": REF}),
        "",
        r"use basicAuth or bearerTok",
    ),
    (
        alertmanager(alertRelabelings=[{"regex": "("}]),
        "",
        r"^spec\.alerting\.alertmanagers\[0\]\.alertRelabelings\[0\]",
    ),
    (
        {"tracingConfig": {"endpoint": "a", "samplingFraction": "2"}},
        "",
        r"^spec\.tracingConfig\.samplingFraction: 2 is no",
    ),
    ({"tracingConfig": {"tlsConfig": {"keySecret": REF}}}, "", r"^spec\.tracingConfig\.tlsConfig: "),
    (
        {"apiserverConfig": {"host": "a", "basicAuth": {"username": REF, "password": MISSING}}},
        "",
        r"^spec\.apiserverConf",
    ),
    (
        {"scrapeClasses": [{"name": "a", "authorization": {"credentials": MISSING}}]},
        "",
        r"^spec\.scrapeClasses\[0\]\.auth",
    ),
]


@pytest.mark.parametrize(("spec", "version", "rule"), REFUSED)
def test_what_prometheus_would_refuse_is_refused_with_its_place(spec: Any, version: str, rule: str) -> None:
    with pytest.raises(Rejected, match=rule):
        check_own_sections(cr(**spec), scope(version or "3.13.2"))


ACCEPTED = [
    {},
    write(authorization={"credentialsFile": "/a"}, sendExemplars=True),
    write(sigv4={}),
    azure(managedIdentity={}),
    azure(workloadIdentity={"clientId": UUID, "tenantId": UUID.replace("-", "")}),
    alertmanager(sigv4={"accessKey": REF, "secretKey": REF}),
    {"tracingConfig": {"endpoint": "a", "samplingFraction": "100m"}},
]


@pytest.mark.parametrize("spec", ACCEPTED)
def test_what_prometheus_takes_is_accepted(spec: dict[str, Any]) -> None:
    assert check_own_sections(cr(**spec), scope()) == {}


def test_no_metadata_is_sent_beside_messages_that_carry_it() -> None:
    [entry] = remote_write_section(write(messageVersion="V2.0", metadataConfig={"send": True}), scope())["remote_write"]
    assert entry["metadata_config"] == {"send": False}
    [entry] = remote_write_section(write(messageVersion="V1.0", metadataConfig={"send": True}), scope())["remote_write"]
    assert entry["metadata_config"] == {"send": True}


def test_a_thanos_ruler_gets_every_field_and_its_certificates_inline() -> None:
    spec = write(queueConfig={"maxRetries": 3}, roundRobinDNS=True, tlsConfig={"ca": {"secret": REF}, "keySecret": REF})
    assert ruler_configuration(cr(**spec), scope("2.0.0")) == {
        "remote_write": [
            {
                "url": "http://a",
                "tls_config": {"ca": "value", "key": "value"},
                "queue_config": {"max_retries": 3},
                "round_robin_dns": True,
            }
        ]
    }


def test_alertmanagers_are_found_in_their_namespace_whatever_monitors_may_see() -> None:
    spec = alertmanager(namespace="other", port=9093) | {"ignoreNamespaceSelectors": True}
    [found] = alerting_section(cr(**spec), scope())["alerting"]["alertmanagers"]
    assert found["kubernetes_sd_configs"] == [{"role": "endpoints", "namespaces": {"names": ["other"]}}]
    assert found["relabel_configs"][1]["source_labels"] == ["__meta_kubernetes_pod_container_port_number"]
    assert alerting_section(cr(), scope()) == {}
    assert alerting_section(cr(replicaExternalLabelName="a.b"), scope(), "[]")["alerting"] == {
        "alert_relabel_configs": [{"action": "labeldrop", "regex": "a\\.b"}],
        "alertmanagers": [],
    }


@pytest.mark.parametrize(
    ("spec", "version", "rule"),
    [
        ({"otlp": {}}, "2.54.1", r"^otlp: OTLP needs 2\.55\.0"),
        ({"otlp": {"translationStrategy": "NoTranslation"}}, "3.3.0", r"NoTranslation needs 3\.4\.0"),
        ({"otlp": {"translationStrategy": "UnderscoreEscapingWithoutSuffixes"}}, "3.5.0", r"needs 3\.6\.0"),
        (
            {"otlp": {"translationStrategy": "NoUTF8EscapingWithSuffixes"}, "nameValidationScheme": "Legacy"},
            "3.13.2",
            r"does not go with nameValidationScheme: Legacy",
        ),
        ({"otlp": {"ignoreResourceAttributes": ["a"]}}, "3.13.2", r"^otlp\.ignoreResourceAttributes: needs promoteAll"),
        (
            {"otlp": {"promoteAllResourceAttributes": True, "promoteResourceAttributes": ["a"]}},
            "3.13.2",
            r"^otlp\.promoteResourceAttributes: goes not with",
        ),
    ],
)
def test_otlp_fields_go_together_and_are_known(spec: dict[str, Any], version: str, rule: str) -> None:
    with pytest.raises(Rejected, match=rule):
        otlp_section(spec, scope(version))


def test_yaml_of_the_user_has_the_types_it_has_for_prometheus() -> None:
    text = "a: [yes, n, 010, 0x1F, 1e3, -1_000, 1:30, 2026-11-25, ~, .5, '1', .inf]\nb: &x {c: 1}\nd: {<<: *x, e: 2}\n"
    assert from_yaml(text) == {
        "a": [True, False, 8, 31, 1000.0, -1000, "1:30", "2026-11-25", None, 0.5, "1", float("inf")],
        "b": {"c": 1},
        "d": {"c": 1, "e": 2},
    }
    assert from_yaml("") is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: [", "is no YAML in line"),
        ("a: \x00", "is no YAML; it has characters"),
        ("? [a]\n: b", "a key that is no text in line 1"),
        ("a: &a [*a]", "or a value in itself"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
            + "".join(
                f"{name}: &{name} [{','.join(['*' + of] * 9)}]\n" for of, name in zip("bcdefg", "cdefgh", strict=True)
            ),
            "repeats by aliases more than",
        ),
        ("a: !!python/none x", "a value of the type"),
        ("<<: 1", "merges what is no mapping"),
    ],
)
def test_yaml_that_cannot_be_a_configuration_is_refused(text: str, rule: str) -> None:
    with pytest.raises(Rejected, match=rule):
        from_yaml(text)


def test_jobs_of_the_user_are_spread_over_the_shards_unless_they_do_it_themselves() -> None:
    text = (
        "- job_name: a\n  relabel_configs: [{action: hashmod}]\n- job_name: b\n  relabel_configs: []\n  scheme: https\n"
    )
    spread, added = additional_scrape_configs(text, {"shards": 2}, scope())
    assert spread["relabel_configs"] == [{"action": "hashmod"}]
    assert list(added) == ["job_name", "scheme", "relabel_configs"]
    assert added["relabel_configs"][1] == {
        "source_labels": ["__tmp_hash"],
        "target_label": "__tmp_hash",
        "modulus": 2,
        "action": "hashmod",
    }
    assert additional_scrape_configs(text, {}, scope()) == yaml.safe_load(text)
    for wrong in ("a: 1", "- 1", "- relabel_configs: 1"):
        with pytest.raises(Rejected, match=r"^spec\.additionalScrapeConfigs"):
            additional_scrape_configs(wrong, {"shards": 2}, scope())
    with pytest.raises(Rejected, match=r"^field: is no list of mappings"):
        yaml_list("a", "field")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["url", "alertmanagers", "azureAd", "oauth", "tlsConfig", "ca", "port", "queueConfig"]),
            inner,
        )
    ),
    max_leaves=5,
)
FIELDS = ["remoteWrite", "remoteRead", "alerting", "tracingConfig", "otlp", "apiserverConfig", "scrapeClasses"]


@given(st.dictionaries(st.sampled_from(FIELDS), ANY | st.lists(ANY, max_size=2)), st.booleans())
def test_whatever_the_sections_hold_is_written_or_refused(spec: dict[str, Any], compat: bool) -> None:
    within = scope(compat=compat)
    for section in (remote_write_section, remote_read_section, otlp_section, tracing_section):
        with contextlib.suppress(Rejected):
            section(spec, within)
    for act in (alerting_section, check_own_sections, ruler_configuration):
        with contextlib.suppress(Rejected):
            act(cr(**spec), within)


@given(st.text(alphabet="ab: -[]{}&*<'\"\n0.~!", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Rejected):
        from_yaml(text)
