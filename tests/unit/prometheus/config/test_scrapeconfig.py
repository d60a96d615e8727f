"""Which ScrapeConfigs are refused, and what the product does where the original is wrong."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.prometheus.config.discovery import KINDS
from operators.prometheus.config.options import Options
from operators.prometheus.config.scrapeconfig import check_scrape_config, scrape_config
from operators.prometheus.tables import Assets, Rejected, Scope, Version

ASSETS = Assets(secrets={("shop", "s"): {"k": b"value"}})
REF = {"name": "s", "key": "k"}
MISSING = {"name": "s", "key": "other"}
OAUTH2 = {"clientId": {"secret": REF}, "clientSecret": REF, "tokenUrl": "http://t"}


def scope(version: str = "3.13.2", *, compat: bool = False) -> Scope:
    return Scope(Version.parse(version), "monitoring", ASSETS, Options(compat=compat))


def obj(spec: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "ScrapeConfig", "metadata": {"namespace": "shop", "name": "a"}, "spec": spec}


def check(spec: dict[str, Any], version: str = "3.13.2", *, compat: bool = False, **cr: Any) -> dict[str, str]:
    return check_scrape_config(obj(spec), {"spec": {"scrapeInterval": "30s", **cr}}, scope(version, compat=compat))


def one(source: str, **entry: Any) -> dict[str, Any]:
    return {source: [entry]}


REFUSED = [
    ({"scrapeClass": "x"}, "", r"^spec\.scrapeClass: the Prometheus has no scrape class 'x'"),
    ({"relabelings": [{"action": "hashmod", "targetLabel": "a"}]}, "", r"^spec\.relabelings\[0\]\.modulus: "),
    ({"metricRelabelings": [{"regex": "("}]}, "", r"^spec\.metricRelabelings\[0\]\.regex: "),
    ({"scrapeTimeout": "31s"}, "", r"^spec\.scrapeTimeout: 31s is longer than the interval 30s"),
    (
        {"basicAuth": {"username": REF, "password": MISSING}},
        "",
        r"^spec\.basicAuth\.password: the Secret shop/s has no",
    ),
    ({"basicAuth": {"username": REF, "password": REF}, "oauth2": OAUTH2}, "", r"^spec: a client authenticates in one"),
    ({"tlsConfig": {"ca": {"secret": REF}}}, "", r"^spec\.tlsConfig\.ca: what is there is no certificate in PEM"),
    ({"noProxy": "a"}, "", r"^spec\.noProxy: "),
    (
        one("staticConfigs", targets=[], labels={"a-b": "c"}),
        "2.55.1",
        r"^spec\.staticConfigs\[0\]\.labels: 'a-b' is no",
    ),
    (one("httpSDConfigs", url="http://a"), "2.27.1", r"^spec\.httpSDConfigs: needs 2\.28\.0, this is 2\.27\.1$"),
    (one("httpSDConfigs", url="http://{a}"), "", r"^spec\.httpSDConfigs\[0\]\.url: "),
    (one("httpSDConfigs", url="http://a", oauth2={**OAUTH2, "tokenUrl": ""}), "", r"^spec\.httpSDConfigs\[0\]\.oauth2"),
    (one("consulSDConfigs", server="a", tokenRef=MISSING), "", r"^spec\.consulSDConfigs\[0\]\.tokenRef: "),
    (
        one("consulSDConfigs", server="a", tokenRef=REF, oauth2=OAUTH2),
        "",
        r"tokenRef: a client authenticates in one way",
    ),
    (one("consulSDConfigs", server="a", pathPrefix="/a"), "2.44.0", r"pathPrefix: needs 2\.45\.0"),
    (one("consulSDConfigs", server="a", namespace="a"), "2.27.0", r"namespace: needs 2\.28\.0"),
    (one("consulSDConfigs", server="a", partition="a"), "2.27.0", r"partition: needs 2\.28\.0"),
    (one("consulSDConfigs", server="a", filter="a"), "2.55.1", r"filter: needs 3\.0\.0"),
    (one("consulSDConfigs", server="a", healthFilter="a"), "3.11.1", r"healthFilter: needs 3\.11\.2"),
    (one("dnsSDConfigs", names=["a"], type="A"), "", r"^spec\.dnsSDConfigs\[0\]\.port: records of the type A have no"),
    (one("ec2SDConfigs", accessKey=MISSING), "", r"accessKey: the Secret shop/s has no key 'other'"),
    (one("azureSDConfigs", subscriptionID="a"), "", r"tenantID: has to be set"),
    (one("azureSDConfigs", tenantID="a", clientID="b", clientSecret=MISSING), "", r"clientSecret: the Secret"),
    (one("azureSDConfigs", authenticationMethod="SDK"), "2.51.0", r"authenticationMethod: SDK needs 2\.52\.0"),
    (one("azureSDConfigs", authenticationMethod="WorkloadIdentity"), "3.10.0", r"WorkloadIdentity needs 3\.11\.0"),
    (one("azureSDConfigs", authenticationMethod="ManagedIdentity", resourceGroup="a"), "2.34.0", r"needs 2\.35\.0"),
    (one("openstackSDConfigs", role="LoadBalancer", region="a"), "3.1.0", r"role: LoadBalancer needs 3\.2\.0"),
    (one("openstackSDConfigs", role="Instance", region="a", password=MISSING), "", r"password: "),
    (one("kumaSDConfigs", server="kuma:5676"), "", r"server: is no address with a scheme and a host"),
    (one("dockerSDConfigs", host="tcp://a", matchFirstNetwork=False), "2.54.0", r"matchFirstNetwork: needs 2\.54\.1"),
    (one("dockerSDConfigs", host=":a"), "", r"dockerSDConfigs\[0\]\.host: "),
    (one("dockerSwarmSDConfigs", host=":a", role="Tasks"), "", r"dockerSwarmSDConfigs\[0\]\.host: "),
    (one("hetznerSDConfigs", role="robot", labelSelector="a"), "3.4.0", r"labelSelector: needs 3\.5\.0"),
    (one("puppetDBSDConfigs", url="ftp://a", query="q"), "", r"url: is no address of http or https"),
    (one("lightSailSDConfigs", secretKey=MISSING), "", r"secretKey: "),
    (one("ovhcloudSDConfigs", applicationSecret=REF), "", r"consumerKey: "),
    (one("scalewaySDConfigs", accessKey="a"), "", r"secretKey: "),
    (one("kubernetesSDConfigs", role="Pod", selectors=[{"role": "Node"}]), "", r"selectors\[0\]\.role: the role pod"),
    (
        one("kubernetesSDConfigs", role="Pod", selectors=[{"role": "Pod", "label": "a in b"}]),
        "",
        r"label: is no selector",
    ),
    (one("kubernetesSDConfigs", role="Pod", selectors=[{"role": "Pod", "field": "a"}]), "", r"field: is no selector"),
    (
        one("kubernetesSDConfigs", role="Pod", apiServer="http://a", namespaces={"ownNamespace": True}),
        "",
        r"namespaces\.ownNamespace: is not known of another apiServer",
    ),
]


@pytest.mark.parametrize(("spec", "version", "rule"), REFUSED)
def test_what_prometheus_would_refuse_is_refused_with_its_place(spec: Any, version: str, rule: str) -> None:
    with pytest.raises(Rejected, match=rule):
        check(spec, version or "3.13.2")


ACCEPTED = [
    {"scrapeTimeout": "5s", "scrapeInterval": "5s"},
    {"oauth2": OAUTH2, "proxyUrl": "http://p", "proxyConnectHeader": {"a": [REF]}},
    one("staticConfigs", targets=["a"], labels={"any ☃ label": "c"}),
    one("azureSDConfigs", authenticationMethod="WorkloadIdentity"),
    one("dnsSDConfigs", names=["a"]),
    one("kumaSDConfigs", server="http://kuma:5676"),
    one(
        "kubernetesSDConfigs",
        role="Endpoints",
        namespaces={"ownNamespace": True},
        selectors=[{"role": "Service", "label": "a in (b),!c", "field": "metadata.name=d"}],
    ),
]


@pytest.mark.parametrize("spec", ACCEPTED)
def test_what_prometheus_takes_is_accepted(spec: dict[str, Any]) -> None:
    assert check(spec) == {}
    assert check(spec, compat=True) == {}


def test_an_old_version_refuses_the_kinds_it_does_not_know_and_the_original_everything() -> None:
    assert check({}, "2.20.0") == {}
    with pytest.raises(Rejected, match=r"needs 2\.28\.0"):
        check({}, "2.20.0", compat=True)
    with pytest.raises(Rejected, match=r"nomadSDConfigs: needs 2\.37\.0"):
        check(one("nomadSDConfigs", server="http://a"), "2.36.0")


def job(spec: dict[str, Any], *, compat: bool = False, **cr: Any) -> dict[str, Any]:
    return scrape_config(obj(spec), {"spec": cr}, scope(compat=compat))


def test_the_enforced_namespace_is_in_a_job_without_relabelings_where_the_original_forgets_it() -> None:
    rule = {"target_label": "namespace", "replacement": "shop"}
    assert rule in job({}, enforcedNamespaceLabel="namespace")["relabel_configs"]
    assert rule not in job({}, enforcedNamespaceLabel="namespace", compat=True)["relabel_configs"]
    assert (
        job({"relabelings": [{"targetLabel": "a"}]}, enforcedNamespaceLabel="namespace")["relabel_configs"][-1] == rule
    )


def test_how_azure_is_reached_stays_written_where_the_original_forgets_it() -> None:
    spec = one(
        "azureSDConfigs", environment="e", subscriptionID="s", proxyUrl="http://p", tlsConfig={"serverName": "t"}
    )
    [ours], [theirs] = (job(spec, compat=compat)["azure_sd_configs"] for compat in (False, True))
    assert ours == {**theirs, "proxy_url": "http://p", "tls_config": {"server_name": "t"}}
    assert theirs == {"environment": "e", "subscription_id": "s"}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["role", "labels", "tlsConfig", "ca", "secret", "name", "namespaces", "url"]), inner
        )
    ),
    max_leaves=5,
)
SPECS = st.dictionaries(
    st.sampled_from([kind.source for kind in KINDS] + ["relabelings", "params", "jobName", "scrapeClass", "basicAuth"]),
    ANY | st.lists(ANY, max_size=2),
)


@given(SPECS, st.booleans())
def test_whatever_a_spec_holds_is_written_or_refused(spec: dict[str, Any], compat: bool) -> None:
    for act in (lambda: check(spec, compat=compat), lambda: job(spec, compat=compat, shards=2)):
        with contextlib.suppress(Rejected):
            act()
