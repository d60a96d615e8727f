"""Rendered objects against goldens (``--rewrite`` writes them anew: read the diff)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from operators.etcd import render
from operators.etcd.api import EtcdCluster
from operators.etcd.render import PodOrder
from operators.etcd.versions import Version
from tests.unit.etcd.made import cluster

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "etcd"
FULL: dict[str, Any] = {
    "size": 3,
    "version": "3.6.16",
    "repository": "registry.example/etcd",
    "pod": {
        "labels": {"team": "a", "etcd_cluster": "not-mine"},
        "annotations": {"note": "x", "etcd.version": "not-mine"},
        "nodeSelector": {"disk": "ssd"},
        "antiAffinity": True,
        "resources": {"requests": {"cpu": "300m", "memory": "200Mi"}},
        "tolerations": [{"key": "etcd", "operator": "Exists"}],
        "etcdEnv": [
            {"name": "ETCD_QUOTA_BACKEND_BYTES", "value": "8589934592"},
            {"name": "POD_IP", "value": "not-mine"},
        ],
        "securityContext": {"runAsUser": 9000, "fsGroup": 9000},
        "persistentVolumeClaimSpec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast",
            "resources": {"requests": {"storage": "8Gi"}},
        },
        "busyboxImage": "busybox:1.28.0-glibc",
        "DNSTimeoutInSecond": 60,
        "ClusterDomain": ".cluster.local",
    },
}


def order(made: EtcdCluster, member: str, version: str, **more: Any) -> PodOrder:
    listed = tuple((name, render.peer_url(made, name)) for name in dict.fromkeys(["db-0", member]))
    return PodOrder(member=member, version=Version.parse(version), initial_cluster=listed, **more)


def rendered() -> dict[str, Any]:
    plain, full = cluster({"size": 3, "version": "3.7.3"}), cluster(FULL)
    return {
        "founder_3_7": render.pod(plain, order(plain, "db-0", "3.7.3", founds=True)),
        "learner_3_6_full": render.pod(full, order(full, "db-3", "3.6.16", learner=True)),
        "voter_3_5": render.pod(plain, order(plain, "db-1", "3.5.26")),
        "voter_3_2": render.pod(plain, order(plain, "db-1", "3.2.13")),
        "volume_default": render.volume(plain, "db-0"),
        "volume_full": render.volume(full, "db-3", cluster_id="c1"),
        "service_headless": render.headless_service(plain),
        "service_client": render.client_service(plain),
    }


@pytest.mark.parametrize("name", sorted(rendered()))
def test_an_object_is_as_its_golden(name: str, rewrite: bool) -> None:
    path = GOLDEN / f"{name}.yaml"
    text = yaml.safe_dump(rendered()[name], sort_keys=False, width=120)
    if rewrite:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_what_the_spec_may_not_set_it_does_not_set() -> None:
    pod = rendered()["learner_3_6_full"]
    assert pod["metadata"]["labels"]["etcd_cluster"] == "db"
    assert pod["metadata"]["annotations"]["etcd.version"] == "3.6.16"
    env = {entry["name"]: entry for entry in pod["spec"]["containers"][0]["env"]}
    assert "valueFrom" in env["POD_IP"]


def test_no_member_binds_more_than_its_pods_address() -> None:
    for name, value in rendered().items():
        if value["kind"] == "Pod":
            command = " ".join(value["spec"]["containers"][0]["command"])
            assert "0.0.0.0" not in command, name
            assert command.count("http://$(POD_IP):") == 2, name


def test_ordinals_are_read_back_from_names_of_this_cluster_only() -> None:
    made = cluster({"size": 1})
    names = ("db-0", "db-17", "db-x", "other-1", "db", "db-1-2")
    assert [render.ordinal_of(made, name) for name in names] == [0, 17, None, None, None, None]


def test_the_template_changes_with_what_pods_are_made_of_and_with_nothing_else() -> None:
    version = Version.parse("3.7.3")
    base = render.template_hash(cluster({"size": 3}), version)
    same = ({"size": 5}, {"paused": True}, {"pod": {"busyboxImage": "x"}}, {"pod": {"persistentVolumeClaimSpec": {}}})
    assert {render.template_hash(cluster(spec), version) for spec in same} == {base}
    other = ({"repository": "x"}, {"pod": {"labels": {"a": "b"}}}, {"pod": {"resources": {"limits": {"cpu": "1"}}}})
    assert base not in {render.template_hash(cluster(spec), version) for spec in other}
    assert render.template_hash(cluster({"size": 3}), Version.parse("3.7.4")) != base


def test_fields_that_the_server_adds_to_a_service_are_no_difference() -> None:
    made = cluster({"size": 3})
    wanted = render.client_service(made)
    stored = {**wanted, "spec": {**wanted["spec"], "clusterIP": "10.0.0.7", "sessionAffinity": "None"}}
    assert render.service_differs(wanted, stored) == ()
    moved = {**stored, "spec": {**stored["spec"], "ports": [{"name": "client", "port": 1, "targetPort": 2379}]}}
    assert render.service_differs(wanted, moved) == ("spec.ports",)
    assert render.service_differs(wanted, {**stored, "metadata": {"labels": {}}}) == ("metadata.labels",)
