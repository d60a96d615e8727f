"""Rendered configurations: that they parse, and the lines without which nothing works."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from controllerkit.devcluster.full import control
from controllerkit.devcluster.full.cni import network_config
from controllerkit.devcluster.full.containerd import containerd_config, registry_hosts
from controllerkit.devcluster.full.dns import COREDNS_IMAGE, corefile, dns_objects
from controllerkit.devcluster.full.faults import partition_rules
from controllerkit.devcluster.full.kubelet import kubelet_config, proxy_config
from controllerkit.devcluster.full.layout import Addresses, Folders
from controllerkit.devcluster.full.netns import interface_batch
from controllerkit.devcluster.full.nodespace import KERNEL_SETTINGS, mount_script

ADDRESSES = Addresses()
FOLDERS = Folders(Path("/data/my cluster"))


def test_containerd_starts_pods_without_the_right_to_lower_scores() -> None:
    config = tomllib.loads(
        containerd_config(
            pause="a/pause:1",
            networks=Path("/c/cni"),
            registries=Path("/c/registries"),
            plugins=Path("/usr/lib/cni"),
            snapshotter="native",
        )
    )
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["restrict_oom_score_adj"] is True
    assert cri["sandbox_image"] == "a/pause:1"
    assert cri["containerd"]["snapshotter"] == "native"
    assert cri["cni"] == {"bin_dir": "/usr/lib/cni", "conf_dir": "/c/cni"}
    assert cri["registry"]["config_path"] == "/c/registries"


def test_every_pull_goes_to_our_registry_and_nowhere_else() -> None:
    hosts = tomllib.loads(registry_hosts("http://127.0.0.1:5000"))
    assert hosts["server"] == "http://127.0.0.1:5000"
    assert list(hosts["host"]) == ["http://127.0.0.1:5000"]


def test_pods_are_linked_point_to_point() -> None:
    config = json.loads(network_config(ADDRESSES))
    assert [plugin["type"] for plugin in config["plugins"]] == ["ptp", "portmap"]
    assert config["plugins"][0]["ipam"]["ranges"] == [[{"subnet": ADDRESSES.pods}]]


def test_kubelet_takes_this_machine_as_it_is_and_trusts_only_our_authority() -> None:
    config = json.loads(kubelet_config(FOLDERS, ADDRESSES, cgroup="/ck-1"))
    assert config["cgroupRoot"] == "/ck-1"
    assert config["failCgroupV1"] is False
    assert config["failSwapOn"] is False
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert config["clusterDNS"] == [ADDRESSES.dns_service]
    assert set(config["evictionHard"].values()) == {"0%"}


def test_the_proxy_does_not_touch_the_machines_connection_table() -> None:
    config = json.loads(proxy_config(FOLDERS, ADDRESSES, node="node-a"))
    assert config["conntrack"] == {"maxPerCore": 0, "min": 0}
    assert config["mode"] == "iptables"


def test_nothing_but_services_and_pods_has_a_route() -> None:
    lines = interface_batch(ADDRESSES).splitlines()
    assert "route add unreachable default" in lines
    assert f"route add {ADDRESSES.services} dev node0" in lines


def test_the_nodes_mounts_quote_folders_and_hide_every_kernel_setting_that_kubelet_writes() -> None:
    settings = {name: FOLDERS.config / name.replace("/", "-") for name in KERNEL_SETTINGS}
    script = mount_script(FOLDERS, settings)
    assert script.startswith("set -e\nmount --make-rslave /\n")
    assert "mount --bind '/data/my cluster/kubelet' /var/lib/kubelet" in script
    for name in KERNEL_SETTINGS:
        assert f" /proc/sys/{name}\n" in script


def test_the_cluster_zone_is_a_server_of_its_own_as_template_would_answer_first() -> None:
    zone, rest = corefile().split("\n.:53 {")
    assert "kubernetes cluster.local" in zone
    assert "template" not in zone
    assert "NXDOMAIN" in rest


def test_dns_may_read_what_it_watches_and_has_the_address_that_kubelet_tells_pods() -> None:
    objects = {value["kind"]: value for value in dns_objects(ADDRESSES)}
    assert list(objects)[-1] == "Deployment"
    assert objects["Service"]["spec"]["clusterIP"] == ADDRESSES.dns_service
    resources = {name for rule in objects["ClusterRole"]["rules"] for name in rule["resources"]}
    assert resources == {"services", "pods", "namespaces", "endpointslices"}
    template = objects["Deployment"]["spec"]["template"]
    assert template["spec"]["containers"][0]["image"] == COREDNS_IMAGE
    assert template["metadata"]["labels"] == objects["Service"]["spec"]["selector"]


def test_the_api_server_knows_its_nodes_and_trusts_no_password() -> None:
    flags = control.apiserver_flags(FOLDERS, ADDRESSES)
    assert "--authorization-mode=Node,RBAC" in flags
    assert f"--advertise-address={ADDRESSES.node}" in flags
    assert any(flag.startswith("--kubelet-certificate-authority=") for flag in flags)
    assert not any("token-auth-file" in flag or "insecure" in flag for flag in flags)


def test_every_component_is_a_user_of_its_own(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "data")
    folders.make()
    pki = control.prepare_pki(folders, ADDRESSES, cluster="ck-1", node="node-a")
    users = {}
    for path in (folders.kubeconfig, *folders.config.glob("*.kubeconfig")):
        assert path.stat().st_mode & 0o777 == 0o600
        content = json.loads(path.read_text())
        assert content["clusters"][0]["cluster"]["server"] == ADDRESSES.api_url
        users[path.name] = content["users"][0]["name"]
    assert users == {
        "kubeconfig": "kubernetes-admin",
        "kube-controller-manager.kubeconfig": "system:kube-controller-manager",
        "kube-scheduler.kubeconfig": "system:kube-scheduler",
        "kube-proxy.kubeconfig": "system:kube-proxy",
        "kubelet.kubeconfig": "system:node:node-a",
    }
    authority = pki.authority.read_bytes()
    assert control.prepare_pki(folders, ADDRESSES, cluster="ck-2", node="node-a").authority.read_bytes() == authority


def test_a_partition_is_symmetric_and_leaves_the_node_alone_unless_asked() -> None:
    assert list(partition_rules("10.97.0.4", node_too=False)) == [
        ("FORWARD", "--source", "10.97.0.4"),
        ("FORWARD", "--destination", "10.97.0.4"),
    ]
    assert [chain for chain, *_ in partition_rules("10.97.0.4", node_too=True)] == [
        "FORWARD",
        "FORWARD",
        "INPUT",
        "OUTPUT",
    ]
