"""Pods as processes on both API servers."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path

import pytest

from controllerkit.devcluster import Bed
from controllerkit.objects import kinds
from controllerkit.runtime import wait_until
from tests.real.node.conftest import Space, container_of, extra_node, is_ready, waiting_reason
from tests.tools import KUBECTL, needs_kubectl

pytestmark = pytest.mark.asyncio(loop_scope="session")

ETCD_ARGS = [
    "--name=$(NAME)",
    "--data-dir=/var/etcd/data",
    "--listen-client-urls=http://$(IP):2379",
    "--listen-peer-urls=http://$(IP):2380",
    "--advertise-client-urls=http://$(NAME).etcd.$(SPACE).svc:2379",
    "--initial-advertise-peer-urls=http://$(NAME).etcd.$(SPACE).svc:2380",
    "--initial-cluster=$(NAME)=http://$(NAME).etcd.$(SPACE).svc:2380",
]
FIELDS = {"NAME": "metadata.name", "IP": "status.podIP", "SPACE": "metadata.namespace"}
ENV = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in FIELDS.items()]
CLAIM = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]


def loop() -> float:
    return asyncio.get_running_loop().time()


async def claim(space: Space) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await space.create("PersistentVolumeClaim", "data", spec=spec)


async def test_an_etcd_runs_on_its_own_address_with_name_and_volume(space: Space) -> None:
    service = {"clusterIP": "None", "selector": {"app": "etcd"}, "ports": [{"port": 2379}]}
    await space.create("Service", "etcd", spec={**service, "publishNotReadyAddresses": True})
    await claim(space)
    container = {
        "name": "etcd",
        "image": "quay.io/coreos/etcd:v3.7.3",
        "env": ENV,
        "args": ETCD_ARGS,
        "readinessProbe": {"httpGet": {"path": "/health", "port": 2379}},
        "volumeMounts": [{"name": "data", "mountPath": "/var/etcd"}],
    }
    began = loop()
    spec = {"hostname": "e-0", "subdomain": "etcd", "containers": [container], "volumes": CLAIM}
    await space.create("Pod", "e-0", metadata={"labels": {"app": "etcd"}}, spec=spec)
    await space.until_running("e-0")
    running_s = loop() - began
    pod = await space.until_ready("e-0")
    ready_s = loop() - began
    assert pod.status["podIP"].startswith("127.")
    assert pod.status["podIP"] != pod.status["hostIP"]
    assert "sha256:" in container_of(pod)["imageID"]
    assert (running_s, ready_s) < (2.0, 5.0), "a loaded machine is allowed four times the usual"

    await space.run("client", f"getent hosts e-0.etcd.{space.name}.svc; getent hosts etcd; hostname; sleep 600")
    log = await space.until_logged("client", "client\n")
    assert log.split()[0] == pod.status["podIP"]
    assert log.count(pod.status["podIP"]) == 2


async def test_a_volume_outlives_its_pod_and_goes_with_its_claim(space: Space) -> None:
    await claim(space)
    mount = [{"name": "data", "mountPath": "/data"}]
    await space.run(
        "writer", "echo kept >/data/file", volumes=CLAIM, container_volumeMounts=mount, restartPolicy="Never"
    )
    await space.until_over("writer")
    await space.client.delete(kinds.POD, space.key("writer"))
    await space.until_gone("writer")
    await space.run("reader", "cat /data/file", volumes=CLAIM, container_volumeMounts=mount, restartPolicy="Never")
    await space.until_over("reader")
    assert await space.logs("reader") == "kept\n"
    bound = await space.client.get(kinds.PERSISTENT_VOLUME_CLAIM, space.key("data"))
    volume = await space.client.get(kinds.PERSISTENT_VOLUME, bound.spec["volumeName"])
    folder = Path(volume.spec["hostPath"]["path"])
    assert (folder / "file").read_text() == "kept\n"
    await space.client.delete(kinds.POD, space.key("reader"))
    await space.until_gone("reader")
    await space.client.delete(kinds.PERSISTENT_VOLUME_CLAIM, space.key("data"))
    await space.until_gone("data", kinds.PERSISTENT_VOLUME_CLAIM)

    async def removed() -> bool:
        return not folder.exists()

    await wait_until(removed, what="the claim's folder is removed", timeout_s=15)


async def test_a_crash_loop_shows_how_the_last_run_ended(space: Space) -> None:
    await space.run("crash", "echo dying; echo cause >/dev/termination-log; exit 3")
    pod = await space.until("crash", lambda pod: waiting_reason(pod) == "CrashLoopBackOff", "crash loop")
    status = container_of(pod)
    ended = status["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "cause\n")
    assert status["restartCount"] == 1
    assert status["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=app")
    assert await space.logs("crash", "previous=true") == "dying\n"


async def test_a_missing_image_names_the_ones_there_are(space: Space) -> None:
    await space.run("lost", container_image="example.dev/none:1")
    pod = await space.until("lost", lambda pod: waiting_reason(pod) in ("ErrImagePull", "ImagePullBackOff"), "no image")
    assert "quay.io/coreos/etcd:v3.7.3" in container_of(pod)["state"]["waiting"]["message"]
    assert pod.status["phase"] == "Pending"


async def test_a_program_that_is_not_there_is_a_start_error(space: Space) -> None:
    await space.run("nothing", container_command=["/no/such/program"])
    pod = await space.until("nothing", lambda pod: container_of(pod).get("lastState"), "has failed")
    ended = container_of(pod)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "/no/such/program" in ended["message"]


async def test_a_missing_secret_holds_the_container_until_it_comes(space: Space) -> None:
    reference = {"secretKeyRef": {"name": "late", "key": "word"}}
    await space.run("waits", "echo got $WORD; sleep 600", container_env=[{"name": "WORD", "valueFrom": reference}])
    pod = await space.until("waits", lambda pod: waiting_reason(pod) == "CreateContainerConfigError", "waits")
    assert container_of(pod)["state"]["waiting"]["message"] == 'secret "late" not found'
    await space.create("Secret", "late", stringData={"word": "hello"})
    await space.until_logged("waits", "got hello")


async def test_mounted_configuration_follows_the_api(space: Space) -> None:
    await space.create("ConfigMap", "c", data={"key": "one"})
    await space.create("Secret", "s", data={"key": b64encode(b"hidden").decode()})
    volumes = [
        {"name": "c", "configMap": {"name": "c", "items": [{"key": "key", "path": "sub/file", "mode": 0o640}]}},
        {"name": "s", "secret": {"secretName": "s"}},
    ]
    mounts = [{"name": "c", "mountPath": "/config"}, {"name": "s", "mountPath": "/secret/key", "subPath": "key"}]
    script = (
        "cat /secret/key; stat -L -c %a /config/sub/file; touch /config/x || echo read-only;"
        "until grep two /config/sub/file; do sleep 0.05; done; sleep 600"
    )
    await space.run("reads", script, volumes=volumes, container_volumeMounts=mounts)
    log = await space.until_logged("reads", "read-only")
    assert log.startswith("hidden640\n")
    await space.client.patch(kinds.CONFIG_MAP, space.key("c"), {"data": {"key": "two"}})
    await space.until_logged("reads", "two")


async def test_init_containers_share_volumes_with_the_rest(space: Space) -> None:
    mount = [{"name": "shared", "mountPath": "/shared"}]
    init = {"name": "init", "image": "example.dev/shell:1", "args": ["echo made >/shared/file"], "volumeMounts": mount}
    await space.run(
        "shares",
        "cat /shared/file; pwd; echo $0 $(HOME)",
        initContainers=[init],
        volumes=[{"name": "shared", "emptyDir": {}}],
        container_volumeMounts=mount,
        container_workingDir="/shared",
        restartPolicy="Never",
    )
    pod = await space.until_over("shares")
    assert (await space.logs("shares")).splitlines()[:2] == ["made", "/shared"]
    assert pod.status["initContainerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"


async def test_a_deleted_pod_may_finish_within_its_grace(space: Space, tmp_path: Path) -> None:
    script = "trap 'echo ended >/out/file; exit 0' TERM; echo up; while true; do sleep 0.05; done"
    volume = [{"name": "out", "hostPath": {"path": str(tmp_path)}}]
    mount = [{"name": "out", "mountPath": "/out"}]
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook >/out/hook; hostname >>/out/hook"]}}}
    await space.run("polite", script, volumes=volume, container_volumeMounts=mount, container_lifecycle=hook)
    await space.until_logged("polite", "up")
    await space.client.delete(kinds.POD, space.key("polite"))
    await space.until_gone("polite")
    assert (tmp_path / "file").read_text() == "ended\n"
    assert (tmp_path / "hook").read_text() == "hook\npolite\n"


async def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace(space: Space) -> None:
    await space.run("deaf", "trap '' TERM; echo up; while true; do sleep 0.05; done", terminationGracePeriodSeconds=1)
    await space.until_logged("deaf", "up")
    began = loop()
    await space.client.delete(kinds.POD, space.key("deaf"))
    await space.until_gone("deaf")
    assert 0.9 < loop() - began < 4.0


async def test_a_forced_deletion_kills_at_once(space: Space, tmp_path: Path) -> None:
    script = "trap '' TERM; while true; do date +%N >/out/beat; sleep 0.02; done"
    volume = [{"name": "out", "hostPath": {"path": str(tmp_path)}}]
    mount = [{"name": "out", "mountPath": "/out"}]
    await space.run("forced", script, volumes=volume, container_volumeMounts=mount, terminationGracePeriodSeconds=600)
    await space.until_running("forced")
    await space.client.delete(kinds.POD, space.key("forced"), grace_period_s=0)
    await space.until_gone("forced", timeout_s=2)
    beat = tmp_path / "beat"

    async def silent() -> bool:
        before = beat.stat().st_mtime_ns
        await asyncio.sleep(0.2)
        return beat.stat().st_mtime_ns == before

    await wait_until(silent, what="the process has ended", timeout_s=5)


async def test_a_failing_liveness_probe_restarts_the_container(space: Space) -> None:
    probe = {"exec": {"command": ["test", "!", "-e", "/tmp/sick"]}, "periodSeconds": 1, "failureThreshold": 1}
    await space.run("sick", "sleep 0.5; touch /tmp/sick; sleep 600", container_livenessProbe=probe)
    pod = await space.until("sick", lambda pod: container_of(pod).get("restartCount") == 1, "is restarted")
    assert container_of(pod)["lastState"]["terminated"]["exitCode"] == 143


async def test_exec_probes_see_the_containers_files_and_environment(space: Space) -> None:
    check = 'test "$WORD" = hello && test -e /tmp/ready && test "$(hostname)" = seen'
    probe = {"exec": {"command": ["sh", "-c", check]}, "periodSeconds": 1}
    env = [{"name": "WORD", "value": "hello"}]
    await space.run("seen", "touch /tmp/ready; sleep 600", container_readinessProbe=probe, container_env=env)
    await space.until_ready("seen")


async def test_the_service_account_token_is_there_and_is_accepted(space: Space) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    await space.run(
        "asks", f"cat {folder}/namespace; echo; cat {folder}/token; test -s {folder}/ca.crt && echo; sleep 600"
    )
    log = await space.until_logged("asks", ".")
    namespace, token = log.split()[:2]
    assert namespace == space.name
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    answer = await space.client.request_json("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert answer["status"]["user"]["username"] == f"system:serviceaccount:{space.name}:default"


async def test_names_follow_readiness(space: Space) -> None:
    await space.create("Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}
    await space.run("web", "sleep 1; touch /tmp/ready; sleep 600", container_readinessProbe=probe)
    await space.run("asks", "until getent hosts web; do echo none; sleep 0.05; done; sleep 600")
    pod = await space.until_ready("web")
    log = await space.until_logged("asks", f"{pod.status['podIP']} ")
    assert log.startswith("none\n")


async def test_logs_come_through_the_api_server(space: Space) -> None:
    await space.run("talks", "for i in 1 2 3; do echo line $i; done; echo err >&2; sleep 600")
    await space.until_logged("talks", "err")
    assert sorted((await space.logs("talks")).splitlines()) == ["err", "line 1", "line 2", "line 3"]
    assert len((await space.logs("talks", "tailLines=2")).splitlines()) == 2
    assert len(await space.logs("talks", "limitBytes=5")) == 5
    stamped = (await space.logs("talks", "timestamps=true")).splitlines()[0]
    assert stamped[:2] == "20"
    assert "line 1" in stamped


async def test_following_a_log_ends_with_the_container(space: Space) -> None:
    await space.run("ends", "echo first; sleep 0.5; echo last", restartPolicy="Never")
    await space.until_logged("ends", "first")
    assert await space.logs("ends", "follow=true") == "first\nlast\n"


@needs_kubectl
async def test_kubectl_shows_logs(space: Space) -> None:
    await space.run("shown", "echo hello; sleep 600")
    await space.until_logged("shown", "hello")
    kubectl = [KUBECTL, f"--kubeconfig={space.bed.kubeconfig}", "-n", space.name, "logs", "shown"]
    process = await asyncio.create_subprocess_exec(
        *kubectl, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert (output, process.returncode) == (b"hello\n", 0), errors


async def test_a_frozen_pod_does_not_answer_until_it_is_thawed(bed: Bed, space: Space, tmp_path: Path) -> None:
    probe = {"exec": {"command": ["sh", "-c", "test -e /tmp/up && kill -USR1 2; sleep 0.3; rm /tmp/alive"]}}
    probe |= {"periodSeconds": 1, "failureThreshold": 1}
    script = "trap 'touch /tmp/alive' USR1; touch /tmp/up; while true; do sleep 0.02; done"
    async with extra_node(bed, "node-freeze", tmp_path) as node:
        await space.run("ice", script, nodeName="node-freeze", container_readinessProbe=probe)
        await space.until_ready("ice")
        node.freeze(space.key("ice"))
        await space.until("ice", lambda pod: not is_ready(pod), "is not ready")
        node.thaw(space.key("ice"))
        pod = await space.until_ready("ice")
        assert container_of(pod)["restartCount"] == 0
        node.kill(space.key("ice"))
        pod = await space.until("ice", lambda pod: container_of(pod)["restartCount"] == 1, "is restarted")
        assert container_of(pod)["lastState"]["terminated"]["exitCode"] == 137
        await space.client.delete(kinds.POD, space.key("ice"), grace_period_s=0)
