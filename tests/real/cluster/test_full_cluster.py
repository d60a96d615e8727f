"""What a full cluster gives: real nodes, names, tokens, logs, images, and faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from controllerkit.cli.rbac import roles
from controllerkit.client import Client
from controllerkit.controller import Permission, preflight
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.full import FullCluster, build_image, write_archive
from controllerkit.devcluster.full.readiness import is_ready
from controllerkit.objects.kinds import NODE, POD, SERVICE, SERVICE_ACCOUNT
from controllerkit.runtime import wait_until
from tests.tools import KUBECTL, needs_kubectl

from .conftest import python_pod

pytestmark = pytest.mark.asyncio(loop_scope="module")

ETCD = "quay.io/coreos/etcd:v3.6.16"
MEMBERS = ("etcd-0", "etcd-1", "etcd-2")


def etcd_objects() -> list[dict[str, Any]]:
    peers = ",".join(f"{name}=http://{name}.etcd.default.svc:2380" for name in MEMBERS)
    command = [
        "/usr/local/bin/etcd",
        "--name=$(NAME)",
        "--data-dir=/data/etcd",
        "--listen-client-urls=http://0.0.0.0:2379",
        "--advertise-client-urls=http://$(NAME).etcd.default.svc:2379",
        "--listen-peer-urls=http://0.0.0.0:2380",
        "--initial-advertise-peer-urls=http://$(NAME).etcd.default.svc:2380",
        f"--initial-cluster={peers}",
    ]
    container = {
        "name": "etcd",
        "image": ETCD,
        "command": command,
        "env": [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 2379}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    labels = {"app": "etcd"}
    ports = [{"name": "client", "port": 2379}, {"name": "peer", "port": 2380}]
    headless = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": labels, "ports": ports}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "etcd"}, "spec": headless},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "etcd-client"},
            "spec": {"selector": labels, "ports": ports[:1]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "etcd"},
            "spec": {
                "serviceName": "etcd",
                "replicas": len(MEMBERS),
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "terminationGracePeriodSeconds": 1,
                        "containers": [container],
                        "volumes": [{"name": "data", "emptyDir": {}}],
                    },
                },
            },
        },
    ]


async def pod_ip(client: Client, name: str) -> str:
    return str((await client.get(POD, name, "default")).get("status", "podIP"))


async def http_json(url: str, body: dict[str, Any] | None = None, *, timeout_s: float = 2.0) -> Any:
    method = "GET" if body is None else "POST"
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
        session.request(method, url, json=body) as response,
    ):
        return json.loads(await response.text())


async def healthy(address: str) -> bool:
    try:
        return (await http_json(f"http://{address}:2379/health", timeout_s=1.0))["health"] == "true"
    except (aiohttp.ClientError, TimeoutError):
        return False


async def result_of(client: Client, name: str) -> str:
    """The log of a Pod that runs to its end."""

    async def ended() -> str:
        phase = (await client.get(POD, name, "default")).get("status", "phase")
        return phase if phase in {"Succeeded", "Failed"} else ""

    phase = await wait_until(ended, what=f"Pod {name} ends", timeout_s=60)
    text = await client.request_text(f"/api/v1/namespaces/default/pods/{name}/log")
    assert phase == "Succeeded", text
    return text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def etcd(client: Client) -> AsyncIterator[None]:
    for value in etcd_objects():
        await client.create(value)

    async def all_ready() -> bool:
        pods = await client.list(POD, "default", label_selector="app=etcd")
        return len(pods.items) == len(MEMBERS) and all(is_ready(pod) for pod in pods.items)

    await wait_until(all_ready, what="three etcd Pods become Ready", timeout_s=90)
    yield


async def test_the_node_is_a_real_kubelet_over_containerd(client: Client) -> None:
    node = await client.get(NODE, "node-a")
    assert is_ready(node)
    info = node.get("status", "nodeInfo")
    assert info["kubeletVersion"].startswith("v1.34")
    assert info["containerRuntimeVersion"].startswith("containerd://")


async def test_the_kubeconfig_is_for_its_owner_alone_and_complete(cluster: FullCluster) -> None:
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert "-file" not in cluster.kubeconfig.read_text()
    async with await Client.connect(kubeconfig=cluster.kubeconfig) as other:
        assert await other.request_text("/readyz") == "ok"


async def test_three_etcd_members_find_each_other_by_name(etcd: None, client: Client) -> None:
    answer = await http_json(f"http://{await pod_ip(client, 'etcd-0')}:2379/v3/cluster/member/list", {})
    assert sorted(member["name"] for member in answer["members"]) == list(MEMBERS)
    for name in MEMBERS:
        assert await healthy(await pod_ip(client, name))


async def test_this_process_reaches_services_by_their_addresses(etcd: None, client: Client) -> None:
    service = await client.get(SERVICE, "etcd-client", "default")
    address = service.get("spec", "clusterIP")
    await wait_until(lambda: healthy(address), what="the Service answers", timeout_s=10)


async def test_another_pod_resolves_headless_and_service_names_and_reaches_them(etcd: None, client: Client) -> None:
    script = """
import json, socket, urllib.request
found = {}
for name in ("etcd-0.etcd.default.svc.cluster.local", "etcd-2.etcd", "etcd-client", "kubernetes.default.svc"):
    found[name] = socket.gethostbyname(name)
found["headless"] = len(socket.gethostbyname_ex("etcd")[2])
found["health"] = urllib.request.urlopen("http://etcd-client:2379/health", timeout=5).read().decode()
try:
    socket.gethostbyname("example.com")
except OSError as error:
    found["outside"] = str(error)
print(json.dumps(found))
"""
    await client.create(python_pod("resolver", ["-c", script]))
    found = json.loads(await result_of(client, "resolver"))
    assert found["etcd-0.etcd.default.svc.cluster.local"] == await pod_ip(client, "etcd-0")
    assert found["etcd-2.etcd"] == await pod_ip(client, "etcd-2")
    assert found["kubernetes.default.svc"] == "10.0.0.1"
    assert found["headless"] == 3
    assert json.loads(found["health"])["health"] == "true"
    assert "not known" in found["outside"]


async def test_a_service_account_may_do_what_its_role_says_and_no_more(client: Client) -> None:
    script = """
import json, ssl, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
token = open(folder + "token").read()
tls = ssl.create_default_context(cafile=folder + "ca.crt")
def status(what):
    url = "https://kubernetes.default.svc/api/v1/namespaces/default/" + what
    request = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
    try:
        return urllib.request.urlopen(request, context=tls, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code
print(json.dumps([status("pods"), status("secrets")]))
"""
    rbac = {"apiGroup": "rbac.authorization.k8s.io"}
    version = "rbac.authorization.k8s.io/v1"
    await client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}})
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    await client.create({"apiVersion": version, "kind": "Role", "metadata": {"name": "reader"}, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "default"}
    await client.create(
        {
            "apiVersion": version,
            "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {**rbac, "kind": "Role", "name": "reader"},
            "subjects": [subject],
        }
    )
    await client.create(python_pod("reader", ["-c", script], serviceAccountName="reader"))
    assert json.loads(await result_of(client, "reader")) == [200, 403]


async def test_a_role_made_of_what_is_needed_is_enough_and_what_it_lacks_is_named_before(
    client: Client, cluster: FullCluster, tmp_path: Path
) -> None:
    needed = {Permission("", "pods", verb) for verb in ("get", "list", "watch")} | {
        Permission("", "pods/status", "update")
    }
    lacking = {Permission("apps", "deployments", "watch"), Permission("", "pods", "delete")}
    [role, binding] = roles("limited", needed, {}, namespaces=["default"], account=("default", "limited"))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "limited", "namespace": "default"}}
    for value in (account, role, binding):
        await client.create(value)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    path = SERVICE_ACCOUNT.path("default", "limited", "token")
    token = (await client.request_json("POST", path, request))["status"]["token"]
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    async with await Client.connect(kubeconfig=tmp_path / "kubeconfig") as limited:
        missing = await preflight(limited, needed | lacking, ["default"])
        assert [str(each) for each in missing] == [
            "delete pods in namespace default",
            "watch deployments.apps in namespace default",
        ]
        assert len(await preflight(limited, needed)) == len(needed), "a Role reaches no further than its namespace"
        assert (await limited.list(POD, "default")).items is not None


async def test_a_claim_gets_a_volume_on_this_machines_disk(client: Client, cluster: FullCluster) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await client.create(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "disk"}, "spec": spec}
    )
    pod = python_pod("writer", ["-c", "open('/disk/written', 'w').write('by a Pod')"])
    pod["spec"]["volumes"].append({"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}})
    pod["spec"]["containers"][0]["volumeMounts"].append({"name": "disk", "mountPath": "/disk"})
    await client.create(pod)
    await result_of(client, "writer")
    [written] = cluster.data_dir.glob("volumes/*/written")
    assert written.read_text() == "by a Pod"


async def test_an_archive_can_be_imported_for_images_no_table_knows(
    client: Client, cluster: FullCluster, tmp_path: Path
) -> None:
    reference = "example.com/imported:1"
    binary = BinaryCache().ensure("etcd-3.6", "etcd")
    image = build_image(tmp_path, reference, {"/bin/etcd": binary}, entrypoint=["/bin/etcd", "--version"])
    await cluster.load_archive(write_archive(image, tmp_path / "image.tar"))
    container = {"name": "a", "image": reference, "imagePullPolicy": "IfNotPresent"}
    spec = {"restartPolicy": "Never", "containers": [container]}
    await client.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "imported"}, "spec": spec})
    assert "etcd Version: 3.6.16" in await result_of(client, "imported")


@needs_kubectl
async def test_kubectl_logs_and_exec_work_through_the_api_server(etcd: None, cluster: FullCluster) -> None:
    async def kubectl(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(KUBECTL, f"--kubeconfig={cluster.kubeconfig}", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        assert process.returncode == 0, printed.decode()
        return printed.decode()

    assert "etcd Version: 3.6.16" in await kubectl("exec", "etcd-0", "--", "/usr/local/bin/etcd", "--version")
    assert "ready to serve client requests" in await kubectl("logs", "etcd-0")


async def test_an_image_nobody_knows_fails_as_it_would_anywhere(client: Client) -> None:
    container = {"name": "a", "image": "example.com/unknown:1"}
    await client.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "unknown"}, "spec": {"containers": [container]}}
    )

    async def waiting() -> Any:
        statuses = (await client.get(POD, "unknown", "default")).get("status", "containerStatuses", default=[])
        reasons = [status["state"].get("waiting", {}) for status in statuses]
        return next((reason for reason in reasons if "Pull" in reason.get("reason", "")), None)

    reason = await wait_until(waiting, what="the pull fails", timeout_s=20)
    assert "not found" in reason["message"] or reason["reason"] == "ImagePullBackOff"


async def test_a_partition_takes_a_member_out_and_healing_brings_it_back(
    etcd: None, client: Client, cluster: FullCluster
) -> None:
    victim, other = await pod_ip(client, "etcd-2"), await pod_ip(client, "etcd-0")
    cluster.partition(victim)

    async def is_alone() -> bool:
        return not await healthy(victim)

    await wait_until(is_alone, what="the member notices that it is alone", timeout_s=20)
    await wait_until(lambda: healthy(other), what="the others go on", timeout_s=10)
    cluster.heal(victim)
    await wait_until(lambda: healthy(victim), what="the member is back", timeout_s=20)


async def test_a_frozen_container_accepts_and_does_not_answer_until_thawed(
    etcd: None, client: Client, cluster: FullCluster
) -> None:
    address = await pod_ip(client, "etcd-1")
    await cluster.freeze("etcd-1")
    with pytest.raises(TimeoutError):
        await http_json(f"http://{address}:2379/health", timeout_s=0.5)
    await cluster.thaw("etcd-1")
    await wait_until(lambda: healthy(address), what="it goes on", timeout_s=10)
