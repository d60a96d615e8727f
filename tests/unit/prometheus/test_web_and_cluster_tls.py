"""Web configurations, and the mutual TLS of Alertmanager's cluster."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from operators.prometheus.tables import Rejected
from operators.prometheus.workload.names import LENGTH_MAX, dns_label, unique_label
from operators.prometheus.workload.tls import cluster_tls, web_config
from tests.unit.prometheus.goldens import agrees, case, names

SECRET = {"name": "s", "key": "tls.key"}
CERTIFICATE = {"secret": {"name": "c", "key": "tls.crt"}}


@pytest.mark.parametrize("name", [*names("webconfig"), *names("clustertlsconfig")])
def test_the_expected_file_is_made_and_mounted(name: str) -> None:
    agrees(name)
    extra = case(name)["extra"]
    if "web_config_file_fields" in extra:
        made = web_config(extra["web_config_file_fields"], extra["mount_path"], extra["secret_name"])
    else:
        made = cluster_tls(case(name)["cr"], extra["mount_path"])
    argument = {"name": made.argument[0], "value": made.argument[1]} if made.argument else None
    assert (argument, made.volumes, made.mounts) == (extra["argument"], extra["volumes"], extra["volume_mounts"])


def test_every_setting_of_the_server_is_written_in_order() -> None:
    tls = {
        "curvePreferences": ["X25519"],
        "preferServerCipherSuites": False,
        "cipherSuites": ["A", "B"],
        "maxVersion": "TLS13",
        "minVersion": "TLS12",
        "clientCAFile": "/ca",
        "clientAuthType": "RequireAndVerifyClientCert",
        "keyFile": "/key",
        "certFile": "/cert",
    }
    made = web_config({"tlsConfig": tls, "httpConfig": {"headers": {}}}, "/web", "web")
    assert list(yaml.safe_load(made.text)["tls_server_config"].items()) == [
        ("cert_file", "/cert"),
        ("key_file", "/key"),
        ("client_auth_type", "RequireAndVerifyClientCert"),
        ("client_ca_file", "/ca"),
        ("min_version", "TLS12"),
        ("max_version", "TLS13"),
        ("cipher_suites", ["A", "B"]),
        ("prefer_server_cipher_suites", False),
        ("curve_preferences", ["X25519"]),
    ]
    assert yaml.safe_load(made.text)["http_server_config"] == {"headers": {}}
    assert [each["name"] for each in made.volumes] == ["web-config"], "files that are named are there already"
    assert web_config(None, "/web", "web").text == ""


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        ({"cert": CERTIFICATE}, "tlsConfig: has no private key"),
        ({"keySecret": SECRET}, "tlsConfig: has no certificate"),
        ({"keySecret": SECRET, "keyFile": "/k", "cert": CERTIFICATE}, "tlsConfig: has `keySecret` and `keyFile`"),
        ({"keySecret": SECRET, "cert": CERTIFICATE, "certFile": "/c"}, "tlsConfig: has `cert` and `certFile`"),
        (
            {"keySecret": SECRET, "cert": {**CERTIFICATE, "configMap": {"name": "c", "key": "k"}}},
            "tlsConfig.cert: names a Secret and a ConfigMap",
        ),
    ],
)
def test_half_a_configuration_is_refused(tls: dict[str, Any], told: str) -> None:
    with pytest.raises(Rejected) as refused:
        web_config({"tlsConfig": tls}, "/web", "web")
    assert told in str(refused.value)


def test_both_sides_of_the_cluster_are_configured_and_mounted_apart() -> None:
    server = {"cert": CERTIFICATE, "keySecret": SECRET, "client_ca": {"configMap": {"name": "ca", "key": "ca.crt"}}}
    client = {"cert": CERTIFICATE, "keySecret": SECRET, "ca": {"secret": {"name": "ca", "key": "ca.crt"}}}
    section = {"server": server, "client": {**client, "serverName": "am", "insecureSkipVerify": False}}
    made = cluster_tls({"metadata": {"name": "main"}, "spec": {"clusterTLS": section}}, "/tls")
    assert yaml.safe_load(made.text) == {
        "tls_server_config": {
            "key_file": "/tls/server_tls/secret/s-key/tls.key",
            "cert_file": "/tls/server_tls/secret/c-cert/tls.crt",
            "client_ca_file": "/tls/server_tls/configmap/ca-ca/ca.crt",
        },
        "tls_client_config": {
            "key_file": "/tls/client_tls/secret/s-key/tls.key",
            "cert_file": "/tls/client_tls/secret/c-cert/tls.crt",
            "ca_file": "/tls/client_tls/secret/ca-ca/ca.crt",
            "server_name": "am",
            "insecure_skip_verify": False,
        },
    }
    assert made.argument == ("cluster.tls-config", "/tls/cluster-tls-config.yaml")
    assert made.secret_name == "alertmanager-main-cluster-tls-config"
    volumes = {each["name"] for each in made.volumes}
    assert len(volumes) == 7
    assert volumes == {each["name"] for each in made.mounts}
    with pytest.raises(Rejected, match=r"client: has no certificate"):
        cluster_tls({"spec": {"clusterTLS": {**section, "client": {"keySecret": SECRET}}}}, "/tls")


def test_names_of_volumes_are_labels_and_long_ones_stay_apart() -> None:
    one, two = (unique_label("secret-", "x" * 80 + end) for end in "ab")
    assert one != two
    assert len(one) == len(two) == LENGTH_MAX
    assert dns_label("configmap-" + "A.b" * 30).startswith("configmap-a-ba-b")
