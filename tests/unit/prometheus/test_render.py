"""From files to everything that is made of them; what differs; what is hidden."""

from __future__ import annotations

import base64
import gzip
import json
import random
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from controllerkit.client import Client
from controllerkit.errors import ConfigError
from controllerkit.objects import Key, kinds
from operators.prometheus.__main__ import _against_cluster, _parser, _rendered, main
from operators.prometheus.config.options import Options
from operators.prometheus.manifests import parsed, read
from operators.prometheus.render import Cluster, Made, render
from operators.prometheus.shown import document, masked
from operators.prometheus.tables import Assets

KUBE_PROMETHEUS = Path(__file__).resolve().parents[4] / "shared" / "manifests" / "kube-prometheus" / "manifests"
PASSWORD = "correct horse battery"

MANIFEST = """
apiVersion: v1
kind: Secret
metadata: {name: auth, namespace: shop}
stringData: {user: admin, password: correct horse battery}
---
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: main, namespace: shop}
spec:
  serviceMonitorSelector: {}
  ruleSelector: {}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  endpoints:
  - port: web
    basicAuth: {username: {name: auth, key: user}, password: {name: auth, key: password}}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: web, namespace: shop, uid: u}
spec: {groups: [{name: g, rules: [{record: a, expr: up}]}]}
"""
BAD = """
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: bad, namespace: shop}
spec:
  selector: {}
  endpoints: [{port: web, bearerTokenSecret: {name: gone, key: k}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "a.yaml").write_text(MANIFEST)
    return tmp_path / "all"


def cluster(text: str = MANIFEST) -> Cluster:
    return Cluster.of(each.value for each in parsed(text, "test"))


def told(made: list[Made]) -> list[Any]:
    """All of it, with texts in place of errors."""
    rejected = [{name: str(each) for name, each in one.rejected.items()} for one in made]
    return [
        (one.subject, one.configuration, one.objects, one.dropped, bad) for one, bad in zip(made, rejected, strict=True)
    ]


def secret_text(objects: Any, name: str, key: str) -> str:
    (found,) = (each for each in objects if each["kind"] == "Secret" and each["metadata"]["name"] == name)
    raw = base64.b64decode(found["data"][key])
    return (gzip.decompress(raw) if key.endswith(".gz") else raw).decode()


def test_everything_that_a_prometheus_needs_is_made_in_the_order_in_which_it_is_needed() -> None:
    (made,) = render(cluster(), Options())
    assert made.dropped == (), "nothing that was set is left out"
    assert [f"{each['kind']} {each['metadata']['name']}" for each in made.objects] == [
        "Service prometheus-operated",
        "ConfigMap prometheus-main-rulefiles-0",
        "Secret prometheus-main",
        "Secret prometheus-main-tls-assets-0",
        "Secret prometheus-main-web-config",
        "Secret prometheus-main-thanos-prometheus-http-client-file",
        "StatefulSet prometheus-main",
    ]
    assert secret_text(made.objects, "prometheus-main", "prometheus.yaml.gz") == made.configuration
    job = yaml.safe_load(made.configuration)["scrape_configs"][0]
    assert job["basic_auth"] == {"username": "admin", "password": PASSWORD}
    assert PASSWORD not in repr(made)
    assert list(made.objects[1]["data"]) == ["shop-web-u.yaml"]


def test_the_same_cluster_makes_the_same_in_whatever_order_it_is_told() -> None:
    first = [each.value for each in parsed(MANIFEST + BAD, "test")]
    expected = told(render(Cluster.of(first), Options()))
    for seed in range(5):
        shuffled = list(first)
        random.Random(seed).shuffle(shuffled)
        assert told(render(Cluster.of(shuffled), Options())) == expected


def test_a_bad_object_is_told_and_spoils_no_other_and_a_bad_prometheus_spoils_itself() -> None:
    broken = (
        BAD + "---\n{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: z}, spec: {version: x}}\n"
    )
    bad, good = render(cluster(MANIFEST + broken), Options())
    assert list(good.rejected) == ["ServiceMonitor shop/bad"]
    assert "the Secret shop/gone is not there" in str(good.rejected["ServiceMonitor shop/bad"])
    assert "serviceMonitor/shop/web/0" in good.configuration
    assert "serviceMonitor/shop/bad" not in good.configuration
    assert bad.refused is not None
    assert bad.objects == ()
    assert "'x' is no version" in str(bad.refused)


def test_instances_of_one_namespace_share_the_service_that_names_their_pods() -> None:
    more = MANIFEST.replace("name: main, namespace: shop", "name: other, namespace: shop").split("---")[1]
    both = render(cluster(f"{MANIFEST}---{more}"), Options())
    services = [each for made in both for each in made.objects if each["kind"] == "Service"]
    assert [each["name"] for each in services[0]["metadata"]["ownerReferences"]] == ["main", "other"]
    assert len(services) == 1


def test_kube_prometheus_is_rendered_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(KUBE_PROMETHEUS), "--json"]) == 0
    prometheus, alertmanager = json.loads(capsys.readouterr().out)
    assert prometheus["subject"] == "Prometheus monitoring/k8s"
    config = yaml.safe_load(prometheus["configuration"])
    assert config["global"]["scrape_interval"] == "30s", "defaults are filled in as a server would"
    assert len(config["scrape_configs"]) >= 13
    assert alertmanager["rejected"] == prometheus["rejected"] == {}
    maps = [each for each in prometheus["objects"] if each["kind"] == "ConfigMap"]
    assert sum(len(each["data"]) for each in maps) == 8


def test_what_is_in_secrets_is_shown_only_if_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert PASSWORD not in shown
    assert "#       password: <Secret shop/auth password>" in shown.replace('"', "")
    assert base64.b64encode(PASSWORD.encode()).decode() not in shown
    assert main(["render", str(folder), "--configuration", "Prometheus shop/main", "--show-secrets"]) == 0
    assert f"password: {PASSWORD}" in capsys.readouterr().out
    assert main(["render", str(folder), "--out", str(folder.parent / "out")]) == 0
    written = folder.parent / "out" / "Prometheus-shop-main.configuration.yaml"
    assert PASSWORD in written.read_text()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_a_configuration_is_masked_by_value_and_by_key() -> None:
    assets = Assets(secrets={("a", "s"): {"k": b"hunter22", "t": b"true", "x": b"30s"}})
    text = (
        "a: hunter22\nb: Bearer-hunter22\nc: true\nd: 30s\n- password: other\nscrape_interval: 30s\nbearer_token: ''\n"
    )
    assert masked(text, assets) == (
        'a: "<Secret a/s k>"\nb: Bearer-<Secret a/s k>\nc: true\nd: 30s\n- password: <secret>\n'
        "scrape_interval: 30s\nbearer_token: ''\n"
    )
    secret = {"kind": "Secret", "data": {"k": base64.b64encode(b"hunter22").decode()}}
    assert "hunter22" not in document(secret)
    assert document(secret) != document({"kind": "Secret", "data": {"k": base64.b64encode(b"hunter23").decode()}})


def test_an_object_that_a_server_would_refuse_is_told_and_not_used(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "b.yaml").write_text(BAD.replace("{port: web,", "{port: web, interval: often,"))
    assert main(["render", str(folder), "--json"]) == 1
    told = capsys.readouterr()
    assert "ServiceMonitor shop/bad is invalid" in told.err
    assert "b.yaml" in told.err
    assert "spec.endpoints[0].interval" in told.err
    assert [each["subject"] for each in json.loads(told.out)] == ["Prometheus shop/main", "ServiceMonitor shop/bad"]


def test_two_folders_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "a.yaml").write_text(MANIFEST.replace("port: web", "port: metrics").replace(PASSWORD, "another password"))
    assert main(["diff", str(folder), str(folder)]) == 0
    assert main(["diff", str(folder), str(other)]) == 1
    shown = capsys.readouterr().out
    assert "~ Prometheus shop/main configuration (changed)" in shown
    assert "-    regex: web" in shown
    assert "+    regex: metrics" in shown
    assert "~ Secret shop/prometheus-main (changed)" in shown
    assert "password" not in shown, "a password that changed is not told"
    assert main(["diff", str(folder), str(other), "--json"]) == 1
    assert {each["how"] for each in json.loads(capsys.readouterr().out)} == {"changed"}


def test_a_commit_is_compared_with_the_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(folder.parent), *who, *words], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "a")
    (folder / "a.yaml").write_text(MANIFEST.replace("record: a", "record: b"))
    assert main(["diff", "--ref", "main", str(folder)]) == 1
    assert "~ ConfigMap shop/prometheus-main-rulefiles-0 (changed)" in capsys.readouterr().out
    assert main(["diff", "--ref", "nope", str(folder)]) == 2
    assert "git rev-parse failed" in capsys.readouterr().err


async def test_a_cluster_is_compared_with_what_is_made(client: Client, tmp_path: Path, folder: Path) -> None:
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    arguments = _parser().parse_args(
        ["diff", "--cluster", "--kubeconfig", str(tmp_path / "kubeconfig"), "--no-defaults", str(folder)]
    )
    found = _rendered(read([folder]), arguments)
    changes = await _against_cluster(found, arguments)
    assert {each.how for each in changes} == {"added"}
    for value in found.made[0].objects:
        metadata = {key: each for key, each in value["metadata"].items() if key != "ownerReferences"}
        await client.apply({**value, "metadata": metadata}, field_manager="PrometheusOperator")
    assert await _against_cluster(found, arguments) == [], "nothing was written by asking, and what is there is known"
    await client.patch(kinds.CONFIG_MAP, Key("shop", "prometheus-main-rulefiles-0"), {"data": {"shop-web-u.yaml": ""}})
    (change,) = await _against_cluster(found, arguments)
    assert (change.name, change.how) == ("ConfigMap shop/prometheus-main-rulefiles-0", "changed")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "test is no YAML: line"),
        ("- 1", "test holds a document that is no object"),
        ("a: 1", "it has no `kind`"),
        ("a: &a [x]\nb: [" + "*a, " * 1500 + "]", "has more than 1000 aliases"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parsed(text, "test")
    assert told in str(refused.value)


def test_lists_are_what_is_in_them_and_dates_stay_texts(tmp_path: Path) -> None:
    text = "{kind: RoleList, apiVersion: r/v1, items: [{metadata: {name: a, when: 2020-01-01}}, {kind: X}]}"
    assert [each.value for each in parsed(text, "test")] == [
        {"apiVersion": "r/v1", "kind": "Role", "metadata": {"name": "a", "when": "2020-01-01"}},
        {"kind": "X"},
    ]
    with pytest.raises(ConfigError, match=r"gone is not there"):
        read([tmp_path / "gone"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["render", "{}/none.yaml"], "is not there"),
        (["diff", "{}"], "diff takes two paths"),
        (["render", "{}", "--configuration", "Prometheus a/b"], "there is 'Prometheus shop/main'"),
    ],
)
def test_a_wrong_call_is_answered_with_what_would_be_right(
    words: list[str], told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([each.replace("{}", str(folder)) for each in words]) == 2
    assert told in capsys.readouterr().err
