"""Which objects a Prometheus takes its jobs from, and the files of certificates that they need."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from operators.prometheus.config.configuration import Configuration, configuration
from operators.prometheus.config.options import Options
from operators.prometheus.config.selection import is_unmanaged, select
from operators.prometheus.config.server import Additional
from operators.prometheus.tables import Assets, Rejected

NAMESPACES = {"home": {"team": "a"}, "shop": {"team": "b"}, "bare": {}}


def pod_monitor(name: str, **spec: Any) -> dict[str, Any]:
    namespace, _, name = name.partition("/")
    labels = {"app": name}
    return {"kind": "PodMonitor", "metadata": {"namespace": namespace, "name": name, "labels": labels}, "spec": spec}


def prometheus(kind: str = "Prometheus", **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"namespace": "home", "name": "main"}, "spec": {"scrapeInterval": "30s", **spec}}


OBJECTS = [pod_monitor(name) for name in ("shop/web", "home/web", "home/db", "bare/web")]


@pytest.mark.parametrize(
    ("spec", "chosen"),
    [
        ({}, ""),
        ({"podMonitorSelector": {}}, "home/db home/web"),
        ({"podMonitorSelector": {}, "podMonitorNamespaceSelector": {}}, "bare/web home/db home/web shop/web"),
        ({"podMonitorNamespaceSelector": {}}, ""),
        ({"podMonitorSelector": {"matchLabels": {"app": "web"}}}, "home/web"),
        (
            {
                "podMonitorSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]},
                "podMonitorNamespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
            },
            "home/web shop/web",
        ),
    ],
)
def test_an_absent_selector_selects_nothing_and_an_empty_one_everything(spec: dict[str, Any], chosen: str) -> None:
    got = configuration(prometheus(**spec), OBJECTS, NAMESPACES, Assets(), Options())
    assert got.selected == tuple(f"PodMonitor/{name}" for name in chosen.split())
    assert is_unmanaged(prometheus(**spec)) is ("podMonitorSelector" not in spec)


def test_a_selector_that_is_none_is_told_by_its_field() -> None:
    wrong = {"matchExpressions": [{"key": "app", "operator": "In"}]}
    with pytest.raises(Rejected) as told:
        select(prometheus(podMonitorSelector=wrong), OBJECTS, NAMESPACES)
    assert told.value.field == "spec.podMonitorSelector.matchExpressions[0].values"


def test_one_that_is_wrong_loses_its_own_jobs_only() -> None:
    wrong = pod_monitor("home/wrong", podMetricsEndpoints=[{}, {"interval": "1s", "scrapeTimeout": "2s"}])
    right = pod_monitor("home/right", podMetricsEndpoints=[{"port": "web"}])
    got = configuration(prometheus(podMonitorSelector={}), [wrong, right], NAMESPACES, Assets(), Options())
    told = got.rejected["PodMonitor/home/wrong"]
    assert (told.subject, told.field) == ("PodMonitor home/wrong", "spec.podMetricsEndpoints[1].scrapeTimeout")
    assert "podMonitor/home/right/0" in got.text
    assert "podMonitor/home/wrong" not in got.text


def test_what_an_old_version_does_not_know_is_told_of_its_object() -> None:
    new = pod_monitor("home/new", fallbackScrapeProtocol="OpenMetricsText1.0.0", podMetricsEndpoints=[{"port": "web"}])
    cr = prometheus(podMonitorSelector={}, version="v2.55.0", ruleQueryOffset="1m", nameValidationScheme="UTF8")
    got = configuration(cr, [new], NAMESPACES, Assets(), Options())
    assert any(line.startswith("PodMonitor home/new: ") and "fallback" in line.lower() for line in got.dropped)
    assert any("nameValidationScheme" in line for line in got.dropped)


def test_an_agent_on_every_node_has_the_jobs_of_pods_only() -> None:
    service = {"kind": "ServiceMonitor", "metadata": {"namespace": "home", "name": "s"}, "spec": {"endpoints": [{}]}}
    pods = pod_monitor("home/pods", podMetricsEndpoints=[{"port": "web"}])
    cr = prometheus("PrometheusAgent", podMonitorSelector={}, serviceMonitorSelector={}, mode="DaemonSet")
    got = configuration(cr, [service, pods], NAMESPACES, Assets(), Options(shard_retention=True))
    assert got.selected == ("PodMonitor/home/pods",)
    assert "$(NODE_NAME)" in got.text
    assert "$(SHARD)" not in got.text


def test_yaml_of_the_users_own_is_read_from_where_the_prometheus_refers_to() -> None:
    reference = {"name": "more", "key": "jobs"}
    cr = prometheus(additionalScrapeConfigs=reference)
    assets = Assets({("home", "more"): {"jobs": b"- job_name: mine\n"}})
    assert "- job_name: mine\n" in configuration(cr, [], NAMESPACES, assets, Options()).text
    with pytest.raises(Rejected) as told:
        configuration(cr, [], NAMESPACES, Assets(), Options())
    assert told.value.field == "spec.additionalScrapeConfigs"
    lenient = prometheus(additionalScrapeConfigs={**reference, "optional": True})
    assert "scrape_configs: []" in configuration(lenient, [], NAMESPACES, Assets(), Options()).text
    given = Additional(scrape_configs="- job_name: given\n")
    assert "given" in configuration(cr, [], NAMESPACES, Assets(), Options(), additional=given).text


def key_pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_pem(key: EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=1))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


KEY, OTHER = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
TLS = {
    "ca": {"configMap": {"name": "tls", "key": "ca"}},
    "cert": {"secret": {"name": "tls", "key": "cert"}},
    "keySecret": {"name": "tls", "key": "key"},
}


def with_tls(secret: dict[str, bytes], authority: bytes) -> Configuration:
    monitor = pod_monitor("shop/web", podMetricsEndpoints=[{"port": "web", "tlsConfig": TLS}])
    cr = prometheus(podMonitorSelector={}, podMonitorNamespaceSelector={})
    assets = Assets({("shop", "tls"): secret}, {("shop", "tls"): {"ca": authority}})
    return configuration(cr, [monitor], NAMESPACES, assets, Options())


def test_certificates_and_keys_are_files_that_the_configuration_names() -> None:
    certificate, key = certificate_pem(KEY), key_pem(KEY)
    got = with_tls({"cert": certificate, "key": key}, certificate)
    assert got.tls_assets == {
        "0_shop_tls_cert": certificate.decode(),
        "0_shop_tls_key": key.decode(),
        "1_shop_tls_ca": certificate.decode(),
    }
    for name in got.tls_assets:
        assert f"_file: /etc/prometheus/certs/{name}\n" in got.text
    assert "PRIVATE" not in repr(got)


@pytest.mark.parametrize(
    ("secret", "authority", "field"),
    [
        ({"cert": certificate_pem(KEY), "key": key_pem(OTHER)}, certificate_pem(KEY), "keySecret"),
        ({"cert": b"-----BEGIN CERTIFICATE-----\nAAAA\n", "key": key_pem(KEY)}, certificate_pem(KEY), "cert"),
        ({"cert": certificate_pem(KEY), "key": b"no key"}, certificate_pem(KEY), "keySecret"),
        ({"cert": certificate_pem(KEY), "key": key_pem(KEY)}, b"no authority", "ca"),
        ({"cert": certificate_pem(KEY)}, certificate_pem(KEY), "keySecret"),
    ],
)
def test_what_is_no_certificate_or_another_s_key_is_refused_and_not_told(
    secret: dict[str, bytes], authority: bytes, field: str
) -> None:
    got = with_tls(secret, authority)
    told = got.rejected["PodMonitor/shop/web"]
    assert told.field == f"spec.podMetricsEndpoints[0].tlsConfig.{field}"
    assert not got.tls_assets
    for line in (*secret.values(), authority):
        assert line.decode().splitlines()[-1] not in str(told)


def test_what_the_api_server_is_asked_with_is_in_the_namespace_of_the_prometheus() -> None:
    monitor = pod_monitor("shop/web", podMetricsEndpoints=[{"port": "web"}])
    reference = {"name": "api", "key": "token"}
    cr = prometheus(
        podMonitorSelector={},
        podMonitorNamespaceSelector={},
        apiserverConfig={"host": "https://api", "authorization": {"credentials": reference}},
    )
    assets = Assets({("home", "api"): {"token": b"right"}, ("shop", "api"): {"token": b"wrong"}})
    assert "credentials: right\n" in configuration(cr, [monitor], NAMESPACES, assets, Options()).text
    # The original looks in the namespace of the monitor.
    assert "credentials: wrong\n" in configuration(cr, [monitor], NAMESPACES, assets, Options(compat=True)).text


def test_credentials_of_a_scrape_class_are_in_the_namespace_of_the_prometheus_and_an_author_s_in_theirs() -> None:
    reference = {"name": "scrape", "key": "token"}
    monitors = [
        pod_monitor("shop/plain", podMetricsEndpoints=[{"port": "web"}]),
        pod_monitor("shop/typed", podMetricsEndpoints=[{"port": "web", "authorization": {"type": "Token"}}]),
        pod_monitor("shop/own", podMetricsEndpoints=[{"authorization": {"credentials": dict(reference)}}]),
    ]
    cr = prometheus(
        podMonitorSelector={},
        podMonitorNamespaceSelector={},
        scrapeClasses=[{"name": "safe", "default": True, "authorization": {"credentials": reference}}],
    )
    assets = Assets({("home", "scrape"): {"token": b"home"}, ("shop", "scrape"): {"token": b"shop"}})
    written = [line.split()[1] for line in configured_lines(cr, monitors, assets) if "credentials:" in line]
    assert written == ["shop", "home", "home"]


def configured_lines(cr: dict[str, Any], objects: list[dict[str, Any]], assets: Assets) -> list[str]:
    got = configuration(cr, objects, NAMESPACES, assets, Options())
    assert not got.rejected
    return got.text.splitlines()


def test_a_global_limit_is_held_to_the_enforced_one_for_bodies_too() -> None:
    cr = prometheus(bodySizeLimit="2GB", enforcedBodySizeLimit="1GB", sampleLimit=20, enforcedSampleLimit=10)
    text = configuration(cr, [], NAMESPACES, Assets(), Options()).text
    assert "  body_size_limit: 1GB\n" in text
    assert "  sample_limit: 10\n" in text
    assert "  body_size_limit: 2GB\n" in configuration(cr, [], NAMESPACES, Assets(), Options(compat=True)).text
