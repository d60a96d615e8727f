"""Names, as a hosts file."""

from __future__ import annotations

from typing import Any

from controllerkit.devcluster.node.hosts import cluster_names, etc_files, hosts_file, own_hostname
from controllerkit.objects import Object
from tests.unit.devcluster.pods import pod


def service(name: str = "web", namespace: str = "default", **spec: Any) -> Object:
    spec.setdefault("selector", {"app": "web"})
    metadata = {"name": name, "namespace": namespace}
    return Object.from_dict({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def member(number: int, *, ready: bool = True, phase: str = "Running", **spec: Any) -> Object:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    status = {"podIP": f"127.64.0.{number + 2}", "phase": phase, "conditions": conditions}
    labels = {"app": "web"}
    return pod(f"web-{number}", labels=labels, status=status, hostname=f"web-{number}", subdomain="web", **spec)


def test_a_headless_service_names_each_pod_and_all_of_them() -> None:
    names = cluster_names([service(clusterIP="None")], [member(0), member(1)])
    assert names == {
        "web-0.web.default": ["127.64.0.2"],
        "web-1.web.default": ["127.64.0.3"],
        "web.default": ["127.64.0.2", "127.64.0.3"],
    }


def test_only_ready_pods_are_named_unless_the_service_publishes_all() -> None:
    pods = [member(0), member(1, ready=False)]
    assert cluster_names([service()], pods)["web.default"] == ["127.64.0.2"]
    assert len(cluster_names([service(publishNotReadyAddresses=True)], pods)["web.default"]) == 2


def test_pods_that_are_going_or_over_or_elsewhere_are_not_named() -> None:
    going = member(0, deletionTimestamp="2026-01-01T00:00:00Z")
    over = member(1, phase="Succeeded")
    assert cluster_names([service()], [going, over, pod("other", labels={"app": "web"})]) == {}
    assert cluster_names([service(namespace="elsewhere")], [member(2)]) == {}
    assert cluster_names([service(selector=None)], [member(3)]) == {}


def test_the_subdomain_must_be_the_services_name() -> None:
    assert "web-0.other.default" not in cluster_names([service("other")], [member(0)])


def test_names_come_in_every_form_the_reader_can_use() -> None:
    names = {"web.default": ["127.64.0.2"], "web-0.web.default": ["127.64.0.2"]}
    near = hosts_file(pod("me"), "127.64.0.9", names)
    assert "127.64.0.2 web.default.svc.cluster.local web.default.svc web.default web\n" in near
    assert "127.64.0.2 web-0.web.default.svc.cluster.local web-0.web.default.svc web-0.web.default web-0.web\n" in near
    far = hosts_file(pod("me", namespace="elsewhere"), "127.64.0.9", names)
    assert "127.64.0.2 web.default.svc.cluster.local web.default.svc web.default\n" in far


def test_a_pod_finds_itself_its_aliases_and_the_api_server() -> None:
    reader = pod("me", subdomain="web", hostAliases=[{"ip": "127.1.1.1", "hostnames": ["a", "b"]}])
    lines = hosts_file(reader, "127.64.0.9", {}, api_server="127.0.0.1").splitlines()
    assert lines[0] == "127.0.0.1 localhost"
    assert "127.64.0.9 me.web.default.svc.cluster.local me" in lines
    assert "127.1.1.1 a b" in lines
    assert any(
        line.startswith("127.0.0.1 kubernetes.default.svc.cluster.local kubernetes.default.svc") for line in lines
    )


def test_host_names_are_shortened_as_the_kubelet_shortens_them() -> None:
    assert own_hostname(pod("me", hostname="given")) == "given"
    assert own_hostname(pod("x" * 62 + "-y-z")) == "x" * 62


def test_the_other_files_fit_the_pod() -> None:
    files = etc_files(pod("me", namespace="n"), "hosts!")
    assert files["hosts"] == "hosts!"
    assert files["hostname"] == "me\n"
    assert "search n.svc.cluster.local svc.cluster.local cluster.local" in files["resolv.conf"]
