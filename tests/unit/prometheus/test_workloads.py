"""StatefulSets, DaemonSets, Services and Secrets of the programs."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import pytest
import yaml

from controllerkit.client import Client
from controllerkit.objects import LabelSelector
from operators.prometheus.tables import Rejected
from operators.prometheus.workload import alertmanager, prometheus, thanos
from operators.prometheus.workload.merge import merged_containers
from operators.prometheus.workload.objects import ASSETS_SIZE_MAX, rule_maps, secret, tls_asset_secrets, zipped
from operators.prometheus.workload.pods import probe_of
from operators.prometheus.workload.settings import Settings

KUBE_PROMETHEUS = Path(__file__).resolve().parents[4] / "shared" / "manifests" / "kube-prometheus" / "manifests"
SETTINGS = Settings()
ACCEPTED = "remote-write-receiver.accepted-protobuf-messages"
MAPS = [f"prometheus-a-rulefiles-{at}" for at in range(3)]


def made(kind: str, api: str = "v1", /, **spec: Any) -> dict[str, Any]:
    described = {"name": "a", "namespace": "default", "uid": "u"}
    return {"apiVersion": f"monitoring.coreos.com/{api}", "kind": kind, "metadata": described, "spec": spec}


def shipped(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((KUBE_PROMETHEUS / name).read_text())
    return found


def shards(**spec: Any) -> list[dict[str, Any]]:
    return prometheus.workloads(made("Prometheus", **spec), SETTINGS, rule_map_names=MAPS, tls_secret_names=["tls-0"])


def containers(workload: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in workload["spec"]["template"]["spec"]["containers"]}


def args(workload: dict[str, Any], name: str = "prometheus") -> list[str]:
    found: list[str] = containers(workload)[name]["args"]
    return found


def env(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container["env"]}


RICH: dict[str, Any] = {
    "shards": 2,
    "replicas": 2,
    "storage": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}},
    "thanos": {"objectStorageConfig": {"name": "s3", "key": "c.yaml"}},
    "web": {"tlsConfig": {"keySecret": {"name": "t", "key": "k"}, "cert": {"secret": {"name": "t", "key": "c"}}}},
    "secrets": ["Some.Secret"],
    "configMaps": ["m"],
    "volumes": [{"name": "extra", "emptyDir": {}}],
    "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
    "queryLogFile": "query.log",
    "containers": [{"name": "prometheus", "env": [{"name": "A", "value": "b"}]}, {"name": "more", "image": "i"}],
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "additionalLabelSelectors": "OnShard",
        }
    ],
    "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"},
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
    "minReadySeconds": 5,
}


def test_the_flags_of_the_newest_server_come_in_their_order() -> None:
    (only,) = shards(
        enableFeatures=["b", "a"],
        externalUrl="http://e/p",
        routePrefix="/p",
        logLevel="debug",
        enableAdminAPI=True,
        walCompression=False,
        query={"maxConcurrency": 1, "maxSamples": 5},
        additionalArgs=[{"name": "x.y", "value": "z"}],
    )
    assert args(only) == [
        "--config.file=/etc/prometheus/config_out/prometheus.env.yaml",
        "--web.enable-lifecycle",
        "--enable-feature=b,a",
        "--web.external-url=http://e/p",
        "--web.route-prefix=/p",
        "--log.level=debug",
        "--storage.tsdb.path=/prometheus",
        "--web.enable-admin-api",
        "--query.max-samples=5",
        "--no-storage.tsdb.wal-compression",
        "--web.config.file=/etc/prometheus/web_config/web-config.yaml",
        "--x.y=z",
    ]


@pytest.mark.parametrize(
    ("spec", "there", "absent"),
    [
        ({"version": "v3.10.0"}, ["--storage.tsdb.retention.time=24h"], ["--web.console.templates"]),
        ({"version": "v3.10.0", "retentionSize": "1GB"}, ["--storage.tsdb.retention.size=1GB"], ["retention.time"]),
        ({"version": "v3.11.0", "retention": "5d"}, [], ["retention"]),
        ({"version": "v2.6.0"}, ["--storage.tsdb.retention=24h"], ["web.config.file", "wal-compression"]),
        ({"version": "v2.45.0"}, ["--web.console.templates=/etc/prometheus/consoles"], []),
        ({"version": "v2.32.0", "enableRemoteWriteReceiver": True}, ["--enable-feature=remote-write-receiver"], []),
        (
            {"version": "v2.33.0", "enableRemoteWriteReceiver": True},
            ["--web.enable-remote-write-receiver"],
            ["feature"],
        ),
        ({"enableOTLPReceiver": True}, ["--web.enable-otlp-receiver"], ["enable-feature"]),
        (
            {"enableRemoteWriteReceiver": True, "remoteWriteReceiverMessageVersions": ["V2.0", "V1.0"]},
            [f"--web.{ACCEPTED}=io.prometheus.write.v2.Request,prometheus.WriteRequest"],
            [],
        ),
        ({"version": "v2.38.0", "allowOverlappingBlocks": True}, ["--storage.tsdb.allow-overlapping-blocks"], []),
        ({"version": "v2.39.0", "allowOverlappingBlocks": True}, [], ["overlapping"]),
        ({"tsdb": {"chunkEncoding": {"floats": "Xor2"}}}, ["--enable-feature=xor2-encoding"], []),
        ({"otlp": {}, "enableOTLPReceiver": False}, [], ["otlp"]),
        ({"otlp": {"promoteResourceAttributes": ["a"]}}, ["--web.enable-otlp-receiver"], []),
        ({"version": "v2.47.0", "enableOTLPReceiver": True}, ["--enable-feature=otlp-write-receiver"], []),
        (
            {"version": "v3.3.0", "remoteWrite": [{"messageVersion": "V2.0"}]},
            ["--enable-feature=metadata-wal-records"],
            [],
        ),
        ({"version": "v3.4.0", "remoteWrite": [{"messageVersion": "V2.0"}]}, [], ["metadata-wal-records"]),
        (
            {"disableCompaction": True, "tsdb": {"outOfOrderTimeWindow": "1h"}},
            ["--no-storage.tsdb.allow-overlapping-compaction"],
            [],
        ),
        ({"tsdb": {"outOfOrderTimeWindow": "1h"}}, [], ["overlapping"]),
        ({"listenLocal": True}, ["--web.listen-address=127.0.0.1:9090"], []),
        ({"reloadStrategy": "ProcessSignal"}, [], ["lifecycle"]),
        ({"disableCompaction": True}, ["--storage.tsdb.max-block-duration=2h"], []),
        (
            {"thanos": {"objectStorageConfigFile": "/f", "version": "v0.40.0"}},
            ["--storage.tsdb.min-block-duration=2h"],
            ["delay-compact"],
        ),
        (
            {"thanos": {"objectStorageConfigFile": "/f"}},
            ["--storage.tsdb.delay-compact-file.path=/prometheus/thanos.shipper.json"],
            ["block-duration"],
        ),
    ],
)
def test_a_flag_is_there_for_the_versions_that_know_it(
    spec: dict[str, Any], there: list[str], absent: list[str]
) -> None:
    (only,) = shards(**spec)
    assert set(there) <= set(args(only))
    assert not [flag for flag in args(only) for word in absent if word in flag]


@pytest.mark.parametrize("name", ["config.file", "no-web.enable-lifecycle", "web.config.file"])
def test_a_flag_of_the_operator_is_not_set_twice(name: str) -> None:
    with pytest.raises(Rejected, match=rf"spec\.additionalArgs\[0\]: --{name} is set by the operator"):
        shards(additionalArgs=[{"name": name}])


def test_a_shard_is_a_stateful_set_with_its_number_in_names_labels_and_environment() -> None:
    first, second = shards(**RICH)
    assert [each["metadata"]["name"] for each in (first, second)] == ["prometheus-a", "prometheus-a-shard-1"]
    labels = second["spec"]["template"]["metadata"]["labels"]
    assert second["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "prometheus",
        "app.kubernetes.io/managed-by": "prometheus-operator",
        "app.kubernetes.io/instance": "a",
        "operator.prometheus.io/name": "a",
        "operator.prometheus.io/shard": "1",
        "prometheus": "a",
    }
    assert second["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert env(containers(second)["config-reloader"])["SHARD"] == "1"
    spread = second["spec"]["template"]["spec"]["topologySpreadConstraints"][0]
    assert spread["labelSelector"]["matchLabels"]["operator.prometheus.io/shard"] == "1"
    assert "additionalLabelSelectors" not in spread


def test_every_mount_has_its_volume_or_claim() -> None:
    for workload in shards(**RICH):
        pod = workload["spec"]["template"]["spec"]
        claims = [each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", ())]
        volumes = [each["name"] for each in pod["volumes"]] + claims
        assert len(volumes) == len(set(volumes))
        for container in [*pod["containers"], *pod["initContainers"]]:
            assert {each["name"] for each in container.get("volumeMounts", ())} <= set(volumes)
        assert containers(workload)["prometheus"]["env"] == [{"name": "A", "value": "b"}], "the user's patch is merged"
        assert containers(workload)["more"] == {"name": "more", "image": "i"}


def test_shards_go_round_the_zones() -> None:
    spec = {"shards": 4, "shardingStrategy": {"mode": "Topology", "topology": {"values": ["x", "y"]}}}
    seen = [
        (env(containers(each)["config-reloader"]), each["spec"]["template"]["spec"]["nodeSelector"])
        for each in shards(**spec)
    ]
    assert [(found["TOPOLOGY_ZONE"], found["INZONE_SHARD"]) for found, _ in seen] == [
        ("x", "0"),
        ("y", "0"),
        ("x", "1"),
        ("y", "1"),
    ]
    assert [chosen["topology.kubernetes.io/zone"] for _, chosen in seen] == ["x", "y", "x", "y"]


def test_the_reloader_is_told_what_to_read_where_to_write_and_whom_to_tell() -> None:
    (only,) = shards(routePrefix="/p", web=RICH["web"])
    assert args(only, "config-reloader") == [
        "--listen-address=:8080",
        "--web-config-file=/etc/prometheus/web_config/web-config.yaml",
        "--reload-url=https://localhost:9090/p/-/reload",
        "--config-file=/etc/prometheus/config/prometheus.yaml.gz",
        "--config-envsubst-file=/etc/prometheus/config_out/prometheus.env.yaml",
        *(f"--watched-dir=/etc/prometheus/rules/{name}" for name in MAPS),
    ]
    init = only["spec"]["template"]["spec"]["initContainers"][0]
    assert init["args"][:2] == ["--watch-interval=0", "--listen-address=:8081"]
    assert not [each for each in init["args"] if "reload" in each]
    (signalled,) = shards(reloadStrategy="ProcessSignal")
    assert "--reload-method=signal" in args(signalled, "config-reloader")
    assert signalled["spec"]["template"]["spec"]["shareProcessNamespace"] is True


def test_probes_ask_over_http_or_where_only_localhost_is_served_by_a_command() -> None:
    (only,) = shards(maximumStartupDurationSeconds=90)
    container = containers(only)["prometheus"]
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] == 90
    assert container["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": "web"}
    local = probe_of({"listenLocal": True, "routePrefix": "/a"}, "/-/ready", port="web", number=9090, https=True)
    assert "curl --insecure --fail https://localhost:9090/a/-/ready" in local["exec"]["command"][2]


def test_an_agent_is_a_stateful_set_or_one_daemon_set() -> None:
    agent = made("PrometheusAgent", "v1alpha1", walCompression=True)
    (only,) = prometheus.workloads(agent, SETTINGS, tls_secret_names=["t"])
    assert only["metadata"]["name"] == "prom-agent-a"
    assert {"--agent", "--storage.agent.path=/prometheus", "--storage.agent.wal-compression"} <= set(args(only))
    assert not [flag for flag in args(only) if "tsdb" in flag]
    old = made("PrometheusAgent", "v1alpha1", version="v2.45.0", enableFeatures=["x"])
    assert "--enable-feature=agent,x" in args(prometheus.workloads(old, SETTINGS)[0])
    (daemon,) = prometheus.workloads(made("PrometheusAgent", "v1alpha1", mode="DaemonSet", shards=3), SETTINGS)
    assert (daemon["kind"], daemon["metadata"]["name"]) == ("DaemonSet", "prom-agent-a")
    assert "NODE_NAME" in env(containers(daemon)["config-reloader"])
    assert "replicas" not in daemon["spec"]


def test_alertmanagers_find_each_other_by_name() -> None:
    three = alertmanager.alertmanager(made("Alertmanager", replicas=3, minReadySeconds=7), Settings(cluster_domain="c"))
    assert args(three, "alertmanager") == [
        "--config.file=/etc/alertmanager/config_out/alertmanager.env.yaml",
        "--storage.path=/alertmanager",
        "--data.retention=120h",
        "--cluster.listen-address=[$(POD_IP)]:9094",
        "--web.listen-address=:9093",
        "--web.route-prefix=/",
        *(f"--cluster.peer=alertmanager-a-{at}.alertmanager-operated.default.svc.c.:9094" for at in range(3)),
        "--cluster.label=default/a",
        "--cluster.peer-name=$(POD_NAME)",
        "--cluster.reconnect-timeout=5m",
        "--dispatch.start-delay=7s",
        "--web.config.file=/etc/alertmanager/web_config/web-config.yaml",
    ]
    one = alertmanager.alertmanager(made("Alertmanager", version="v0.25.0"), SETTINGS)
    assert "--cluster.listen-address=" in args(one, "alertmanager")
    assert not [flag for flag in args(one, "alertmanager") if "label" in flag or "dispatch" in flag]


def test_a_ruler_needs_somebody_to_query_and_mounts_what_it_is_configured_with() -> None:
    with pytest.raises(Rejected, match=r"spec\.queryEndpoints: has nobody to query"):
        thanos.ruler(made("ThanosRuler"), SETTINGS)
    rulers = made(
        "ThanosRuler", queryConfig={"name": "q", "key": "q.yaml"}, labels={"b": "2", "a": "1"}, remoteWrite=[1]
    )
    only = thanos.ruler(rulers, SETTINGS, rule_map_names=MAPS)
    flags = args(only, "thanos-ruler")
    assert flags[0] == "rule"
    assert "--query.config-file=/etc/thanos/config/query-config/q.yaml" in flags
    assert "--remote-write.config-file=/etc/thanos/config/remote-write-config/remote-write.yaml" in flags
    assert [each for each in flags if each.startswith("--label=")] == [
        '--label=thanos_ruler_replica="$(POD_NAME)"',
        '--label=a="1"',
        '--label=b="2"',
    ]
    assert env(containers(only)["config-reloader"])["SHARD"] == "-1"


def test_the_services_and_budgets_that_are_shipped_find_the_pods() -> None:
    pods = {
        "prometheus": prometheus.workloads(shipped("prometheus-prometheus.yaml"), SETTINGS)[0],
        "alertmanager": alertmanager.alertmanager(shipped("alertmanager-alertmanager.yaml"), SETTINGS),
    }
    for name, workload in pods.items():
        template = workload["spec"]["template"]
        labels = template["metadata"]["labels"]
        service = shipped(f"{name}-service.yaml")
        assert service["spec"]["selector"].items() <= labels.items()
        named = {port["name"] for each in template["spec"]["containers"] for port in each.get("ports", ())}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named
        for kind in ("podDisruptionBudget", "networkPolicy"):
            spec = shipped(f"{name}-{kind}.yaml")["spec"]
            assert LabelSelector.from_dict(spec.get("selector") or spec["podSelector"]).matches(labels)


def test_secrets_hold_the_same_bytes_for_the_same_text_and_no_more_than_fits() -> None:
    parent = made("Prometheus")
    body = secret(parent, "prometheus-a", {prometheus.CONFIG_KEY: zipped("global: {}\n")}, SETTINGS)
    assert zipped("a") == zipped("a")
    assert gzip.decompress(base64.b64decode(body["data"]["prometheus.yaml.gz"])) == b"global: {}\n"
    files = {f"f{at}": b"x" * 400_000 for at in range(5)}
    parts = tls_asset_secrets(parent, "prometheus-a", files, SETTINGS)
    assert [each["metadata"]["name"] for each in parts] == [f"prometheus-a-tls-assets-{at}" for at in range(3)]
    assert [len(each["data"]) for each in parts] == [2, 2, 1]
    assert [each["data"] for each in tls_asset_secrets(parent, "p", {}, SETTINGS)] == [{}]
    with pytest.raises(Rejected, match="the TLS file big has"):
        tls_asset_secrets(parent, "p", {"big": b"x" * ASSETS_SIZE_MAX}, SETTINGS)
    (only,) = rule_maps(parent, "prometheus-a", "prometheus-name", [{"a.yaml": "groups: []"}], SETTINGS)
    assert only["metadata"]["labels"]["prometheus-name"] == "a"


def test_a_sidecar_that_ships_is_told_how_compaction_is_done() -> None:
    thanos_spec = {
        "objectStorageConfigFile": "/f",
        "grpcServerTlsConfig": {"minVersion": "TLS12", "curves": ["X25519"]},
    }
    (delayed,), (disabled,) = shards(thanos=thanos_spec), shards(thanos=thanos_spec, disableCompaction=True)
    shipping = {"--shipper.meta-file-name=thanos.shipper.json", "--shipper.ignore-unequal-block-size"}
    assert shipping <= set(args(delayed, "thanos-sidecar"))
    assert not shipping & set(args(disabled, "thanos-sidecar"))
    tls = {"--grpc-server-tls-min-version=1.2", "--grpc-server-tls-curves=X25519"}
    assert tls <= set(args(delayed, "thanos-sidecar"))
    assert thanos.client_file() == "tls_config:\n  insecure_skip_verify: true\n"


def test_what_older_versions_read_elsewhere_is_in_the_environment_and_a_version_has_its_letter_in_the_image() -> None:
    (old,), (new,) = shards(version="2.52.0", runtime={"goGC": 50}), shards(version="v2.53.0", runtime={"goGC": 50})
    assert containers(old)["prometheus"]["env"] == [{"name": "GOGC", "value": "50"}]
    assert "env" not in containers(new)["prometheus"]
    assert containers(old)["prometheus"]["image"] == "quay.io/prometheus/prometheus:v2.52.0"


def test_a_limit_in_bytes_is_a_number_for_alertmanager() -> None:
    made_of = {"maxPerSilenceBytes": "1.5KB", "maxSilences": 0}
    flags = args(alertmanager.alertmanager(made("Alertmanager", limits=made_of), SETTINGS), "alertmanager")
    assert {"--silences.max-per-silence-bytes=1536", "--silences.max-silences=0"} <= set(flags)


def test_containers_are_merged_as_a_patch_would() -> None:
    ours = [{"name": "a", "args": ["x"], "env": [{"name": "K", "value": "1"}], "resources": {"limits": {"cpu": "1"}}}]
    patch = {"name": "a", "args": ["y"], "env": [{"name": "L", "value": "2"}], "resources": {"limits": {"memory": "2"}}}
    assert merged_containers(ours, [patch]) == [
        {
            "name": "a",
            "args": ["y"],
            "env": [{"name": "K", "value": "1"}, {"name": "L", "value": "2"}],
            "resources": {"limits": {"cpu": "1", "memory": "2"}},
        }
    ]
    assert ours[0]["args"] == ["x"], "what was given stays"


def every_object() -> list[dict[str, Any]]:
    rich = made("Prometheus", **RICH)
    agents = [made("PrometheusAgent", "v1alpha1"), made("PrometheusAgent", "v1alpha1", mode="DaemonSet")]
    named = {**agents[1], "metadata": {**agents[1]["metadata"], "name": "b"}}
    main = made(
        "Alertmanager", replicas=2, secrets=["s"], **{key: RICH[key] for key in ("storage", "web", "configMaps")}
    )
    ruler = made("ThanosRuler", queryEndpoints=["http://q"])
    return [
        *prometheus.workloads(rich, SETTINGS, rule_map_names=MAPS, tls_secret_names=["t"]),
        *prometheus.workloads(agents[0], SETTINGS, tls_secret_names=["t"]),
        *prometheus.workloads(named, SETTINGS, tls_secret_names=["t"]),
        alertmanager.alertmanager(main, SETTINGS, tls_secret_names=["t"]),
        thanos.ruler(ruler, SETTINGS, rule_map_names=MAPS, tls_secret_names=["t"]),
        prometheus.service([rich], SETTINGS),
        prometheus.service(agents, SETTINGS),
        alertmanager.service([main], SETTINGS),
        thanos.ruler_service([ruler], SETTINGS),
        secret(rich, "prometheus-a", {"a": b"b"}, SETTINGS),
        *tls_asset_secrets(rich, "prometheus-a", {"0_default_a_ca": b"x"}, SETTINGS),
        *rule_maps(rich, "prometheus-a", "prometheus-name", [{"a.yaml": "groups: []"}], SETTINGS),
    ]


async def test_a_server_takes_every_object_as_it_is(client: Client) -> None:
    client.field_validation = "Strict"
    for each in every_object():
        created = await client.create(each)
        assert created.name == each["metadata"]["name"]
