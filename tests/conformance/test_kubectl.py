"""The real kubectl, as people use it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.conftest import Custom, Server, config_map, deployment, pod, stateful_set
from tests.tools import KUBECTL, needs_kubectl

pytestmark = needs_kubectl
TIMEOUT_S = 30.0


class Kubectl:
    """One namespace of one server, and a folder for manifests."""

    def __init__(self, server: Server, ns: str, folder: Path) -> None:
        self.server, self.ns, self.folder = server, ns, folder

    async def run(self, *arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
        environment = {**os.environ, "KUBECONFIG": str(self.server.kubeconfig), "HOME": str(self.folder)}
        process = await asyncio.create_subprocess_exec(
            KUBECTL,
            "-n",
            self.ns,
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate(stdin.encode() if stdin is not None else None)
        return process.returncode or 0, out.decode(), err.decode()

    async def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """A command that must succeed; what it prints."""
        code, out, err = await self.run(*arguments, stdin=stdin)
        assert code == 0, f"kubectl {' '.join(arguments)}: {err}"
        return out.strip()

    async def fails(self, *arguments: str, stdin: str | None = None) -> str:
        code, out, err = await self.run(*arguments, stdin=stdin)
        assert code != 0, out
        return err.strip()

    async def apply(self, *objects: Any, options: tuple[str, ...] = ()) -> str:
        return await self("apply", *options, "-f", "-", stdin=yaml.safe_dump_all(objects))


@pytest.fixture
def kubectl(server: Server, ns: str, tmp_path: Path) -> Kubectl:
    return Kubectl(server, ns, tmp_path)


async def test_get_prints_a_table(kubectl: Kubectl, maps: str) -> None:
    await kubectl.server.make(maps, config_map("a", {"k": "v", "l": "w"}))
    lines = (await kubectl("get", "configmaps", "a")).splitlines()
    assert lines[0].split() == ["NAME", "DATA", "AGE"]
    assert lines[1].split()[:2] == ["a", "2"]


async def test_get_knows_short_names_and_outputs(kubectl: Kubectl, maps: str) -> None:
    await kubectl.server.make(maps, config_map("a", {"k": "v"}))
    assert await kubectl("get", "cm", "a", "-o", "jsonpath={.data.k}") == "v"
    assert await kubectl("get", "cm/a", "-o", "name") == "configmap/a"
    assert json.loads(await kubectl("get", "cm", "a", "-o", "json"))["data"] == {"k": "v"}
    assert yaml.safe_load(await kubectl("get", "cm", "a", "-o", "yaml"))["kind"] == "ConfigMap"


async def test_get_of_something_missing_says_so(kubectl: Kubectl) -> None:
    assert await kubectl.fails("get", "cm", "zzz") == 'Error from server (NotFound): configmaps "zzz" not found'
    assert "the server doesn't have a resource type" in await kubectl.fails("get", "nonsense")


async def test_get_all_shows_workloads(kubectl: Kubectl, ns: str) -> None:
    await kubectl.server.make(f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("a"))
    out = await kubectl("get", "all")
    assert "deployment.apps/a" in out


async def test_pods_are_printed_wide(kubectl: Kubectl, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/pods"
    await kubectl.server.make(path, pod("a", nodeName="some-node"))
    container = {
        "name": "main",
        "image": "x",
        "imageID": "",
        "ready": True,
        "restartCount": 2,
        "state": {"running": {}},
    }
    status = {"phase": "Running", "podIP": "127.9.8.7", "containerStatuses": [container]}
    await kubectl.server.patch(f"{path}/a/status", {"status": status}, "application/strategic-merge-patch+json")
    lines = (await kubectl("get", "pods", "-o", "wide")).splitlines()
    heads = [head.strip() for head in lines[0].split("  ") if head.strip()]
    assert heads[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert heads[7:] == ["NOMINATED NODE", "READINESS GATES"]
    cells = lines[1].split()
    assert cells[:4] == ["a", "1/1", "Running", "2"]
    assert cells[5:7] == ["127.9.8.7", "some-node"]


async def test_custom_columns_of_custom_resources(kubectl: Kubectl, widgets: Custom) -> None:
    await kubectl.server.make(widgets.path(), widgets.new("a", {"size": 3}))
    lines = (await kubectl("get", f"widgets.{widgets.group}")).splitlines()
    assert lines[0].split() == ["NAME", "SIZE", "READY", "AGE"]
    assert lines[1].split()[:2] == ["a", "3"]


async def test_apply_creates_changes_and_leaves_alone(kubectl: Kubectl) -> None:
    body = deployment("a", env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    assert await kubectl.apply(body) == "deployment.apps/a created"
    assert await kubectl.apply(body) == "deployment.apps/a unchanged"
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["image"], container["env"] = "example.test/app:2", [{"name": "B", "value": "3"}]
    assert await kubectl.apply(body) == "deployment.apps/a configured"
    found = json.loads(await kubectl("get", "deployment", "a", "-o", "json"))
    (after,) = found["spec"]["template"]["spec"]["containers"]
    assert (after["image"], after["env"]) == ("example.test/app:2", [{"name": "B", "value": "3"}])


async def test_apply_takes_a_strict_look_at_fields(kubectl: Kubectl) -> None:
    body = {**config_map("a"), "datta": {"k": "v"}}
    message = await kubectl.fails("apply", "-f", "-", stdin=yaml.safe_dump(body))
    assert 'unknown field "datta"' in message


async def test_apply_of_a_definition_and_its_objects(kubectl: Kubectl, widgets: Custom) -> None:
    first = widgets.new("a", {"size": 1, "tags": ["x"]})
    assert await kubectl.apply(first) == f"widget.{widgets.group}/a created"
    second = widgets.new("a", {"size": 2})
    assert await kubectl.apply(second) == f"widget.{widgets.group}/a configured"
    found = json.loads(await kubectl("get", f"widgets.{widgets.group}", "a", "-o", "json"))
    assert found["spec"] == {"size": 2, "color": "red"}


async def test_apply_tells_what_is_invalid(kubectl: Kubectl, widgets: Custom) -> None:
    bad = widgets.new("a", {"size": 99})
    message = await kubectl.fails("apply", "-f", "-", stdin=yaml.safe_dump(bad))
    assert "spec.size in body should be less than or equal to 9" in message


async def test_apply_on_the_server_side(kubectl: Kubectl) -> None:
    body = deployment("a")
    assert await kubectl.apply(body, options=("--server-side",)) == "deployment.apps/a serverside-applied"
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "example.test/app:2"
    other = ("--server-side", "--field-manager=other")
    message = await kubectl.fails("apply", *other, "-f", "-", stdin=yaml.safe_dump(body))
    assert 'conflict with "kubectl"' in message
    assert await kubectl.apply(body, options=(*other, "--force-conflicts")) == "deployment.apps/a serverside-applied"


async def test_several_documents_are_applied_and_deleted(kubectl: Kubectl) -> None:
    objects = [config_map("a", {"k": "v"}), config_map("b"), stateful_set("c")]
    text = yaml.safe_dump_all(objects)
    out = await kubectl("apply", "-f", "-", stdin=text)
    assert out.splitlines() == ["configmap/a created", "configmap/b created", "statefulset.apps/c created"]
    out = await kubectl("delete", "-f", "-", stdin=text)
    assert [line.split()[0] for line in out.splitlines()] == ["configmap", "configmap", "statefulset.apps"]
    assert "NotFound" in await kubectl.fails("get", "cm", "a")


async def test_dry_runs_change_nothing(kubectl: Kubectl) -> None:
    body = yaml.safe_dump(config_map("a"))
    assert await kubectl("apply", "--dry-run=server", "-f", "-", stdin=body) == "configmap/a created (server dry run)"
    assert "NotFound" in await kubectl.fails("get", "cm", "a")


async def test_describe_shows_an_object(kubectl: Kubectl, ns: str) -> None:
    await kubectl.server.make(f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("a"))
    out = await kubectl("describe", "deployment", "a")
    assert "Name:                   a" in out
    assert "example.test/app:1" in out
    await kubectl.server.make(f"/api/v1/namespaces/{ns}/pods", pod("p", schedulerName="nobody"))
    shown = {
        line.partition(":")[0]: line.partition(":")[2].strip()
        for line in (await kubectl("describe", "pod", "p")).splitlines()
    }
    assert shown["QoS Class"] == "BestEffort"


async def test_describe_shows_events(kubectl: Kubectl, ns: str, maps: str) -> None:
    made = await kubectl.server.make(f"/api/v1/namespaces/{ns}/pods", pod("p", schedulerName="nobody"))
    involved = {"kind": "Pod", "name": "p", "namespace": ns, "uid": made["metadata"]["uid"], "apiVersion": "v1"}
    body = {
        "metadata": {"name": "p.1"},
        "involvedObject": involved,
        "reason": "Tested",
        "message": "a sentence of its own",
        "type": "Normal",
        "source": {"component": "tests"},
    }
    await kubectl.server.make(f"/api/v1/namespaces/{ns}/events", body)
    out = await kubectl("describe", "pod", "p")
    assert "a sentence of its own" in out
    assert "Tested" in await kubectl("get", "events")


async def test_describe_shows_a_custom_resource(kubectl: Kubectl, widgets: Custom) -> None:
    await kubectl.server.make(widgets.path(), widgets.new("a", {"size": 3}))
    out = await kubectl("describe", f"widgets.{widgets.group}", "a")
    assert "Size:   3" in out


async def test_scale_sets_replicas(kubectl: Kubectl, ns: str, widgets: Custom) -> None:
    await kubectl.server.make(f"/apis/apps/v1/namespaces/{ns}/statefulsets", stateful_set("a"))
    assert await kubectl("scale", "statefulset", "a", "--replicas=2") == "statefulset.apps/a scaled"
    assert await kubectl("get", "sts", "a", "-o", "jsonpath={.spec.replicas}") == "2"
    await kubectl("scale", "statefulset", "a", "--replicas=0")
    await kubectl.server.make(widgets.path(), widgets.new("w", {"size": 3}))
    await kubectl("scale", f"widgets.{widgets.group}", "w", "--replicas=5")
    assert await kubectl("get", f"widgets.{widgets.group}", "w", "-o", "jsonpath={.spec.size}") == "5"


async def test_delete_waits_until_the_object_is_gone(kubectl: Kubectl, maps: str) -> None:
    await kubectl.server.make(maps, config_map("a", finalizers=["example.dev/hold"]))
    deleting = asyncio.create_task(kubectl("delete", "cm", "a"))
    await kubectl.server.until(f"{maps}/a", lambda one: one.meta.get("deletionTimestamp"))
    assert not deleting.done()
    await kubectl.server.patch(f"{maps}/a", {"metadata": {"finalizers": None}})
    assert (await deleting).startswith('configmap "a" deleted')


async def test_delete_by_label(kubectl: Kubectl, maps: str) -> None:
    for name in "ab":
        await kubectl.server.make(maps, config_map(name, labels={"mine": "yes"}))
    out = await kubectl("delete", "cm", "-l", "mine=yes")
    assert sorted(line.split('"')[1] for line in out.splitlines()) == ["a", "b"]


async def test_wait_for_a_condition_and_for_deletion(kubectl: Kubectl, widgets: Custom, maps: str) -> None:
    await kubectl.server.make(widgets.path(), widgets.new("a", {"size": 1}))
    what = f"widgets.{widgets.group}/a"
    waiting = asyncio.create_task(kubectl("wait", "--for=condition=Ready", "--timeout=20s", what))
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    await kubectl.server.patch(widgets.path("a", "status"), status)
    assert await waiting == f"widget.{widgets.group}/a condition met"
    out = await kubectl("wait", "--for=jsonpath={.spec.size}=1", "--timeout=20s", what)
    assert out == f"widget.{widgets.group}/a condition met"
    await kubectl.server.make(maps, config_map("gone"))
    waiting = asyncio.create_task(kubectl("wait", "--for=delete", "--timeout=20s", "cm/gone"))
    await kubectl.server.delete(f"{maps}/gone")
    await waiting


async def test_label_and_annotate(kubectl: Kubectl, maps: str) -> None:
    await kubectl.server.make(maps, config_map("a"))
    assert await kubectl("label", "cm", "a", "tier=x") == "configmap/a labeled"
    assert await kubectl("annotate", "cm", "a", "note=y") == "configmap/a annotated"
    meta = (await kubectl.server.get(f"{maps}/a")).meta
    assert (meta["labels"], meta["annotations"]["note"]) == ({"tier": "x"}, "y")
    assert await kubectl("label", "cm", "a", "tier-") == "configmap/a unlabeled"


async def test_patch_in_its_types(kubectl: Kubectl, ns: str, maps: str) -> None:
    await kubectl.server.make(f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("a"))
    strategic = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "example.test/app:3"}]}}}}
    await kubectl("patch", "deployment", "a", "-p", json.dumps(strategic))
    images = "jsonpath={.spec.template.spec.containers[*].image}"
    assert await kubectl("get", "deployment", "a", "-o", images) == "example.test/app:3"
    await kubectl("set", "image", "deployment/a", "main=example.test/app:4")
    assert await kubectl("get", "deployment", "a", "-o", images) == "example.test/app:4"
    await kubectl.server.make(maps, config_map("a", {"k": "v"}))
    await kubectl("patch", "cm", "a", "--type=json", "-p", '[{"op":"replace","path":"/data/k","value":"x"}]')
    assert await kubectl("get", "cm", "a", "-o", "jsonpath={.data.k}") == "x"


async def test_replace_and_create(kubectl: Kubectl, maps: str) -> None:
    text = yaml.safe_dump(config_map("a", {"k": "v"}))
    assert await kubectl("create", "-f", "-", stdin=text) == "configmap/a created"
    assert "AlreadyExists" in await kubectl.fails("create", "-f", "-", stdin=text)
    assert await kubectl("replace", "-f", "-", stdin=text.replace("v\n", "w\n", 1)) == "configmap/a replaced"


async def test_objects_made_from_arguments(kubectl: Kubectl) -> None:
    assert await kubectl("create", "configmap", "a", "--from-literal=k=v") == "configmap/a created"
    assert await kubectl("get", "cm", "a", "-o", "jsonpath={.data.k}") == "v"
    assert await kubectl("create", "secret", "generic", "s", "--from-literal=k=v") == "secret/s created"
    assert await kubectl("get", "secret", "s", "-o", "jsonpath={.data.k}") == "dg=="
    assert await kubectl("create", "deployment", "d", "--image=i:1", "--replicas=0") == "deployment.apps/d created"
    assert (
        await kubectl("get", "deployment", "d", "-o", "jsonpath={.spec.replicas} {.spec.selector.matchLabels.app}")
        == "0 d"
    )
    assert await kubectl("create", "service", "clusterip", "v", "--tcp=80:8080") == "service/v created"
    assert await kubectl("get", "service", "v", "-o", "jsonpath={.spec.ports[0].targetPort}") == "8080"
    assert await kubectl("create", "serviceaccount", "x") == "serviceaccount/x created"
    token = await kubectl("create", "token", "x", "--duration=10m")
    assert token.count(".") == 2
    out = await kubectl("create", "role", "r", "--verb=get", "--resource=pods")
    assert out == "role.rbac.authorization.k8s.io/r created"


async def test_run_makes_a_pod(kubectl: Kubectl) -> None:
    overrides = json.dumps({"spec": {"schedulerName": "nobody"}})
    out = await kubectl("run", "p", "--image=i:1", "--restart=Never", f"--overrides={overrides}", "--env=A=b")
    assert out == "pod/p created"
    shown = "jsonpath={.spec.restartPolicy} {.spec.containers[0].env[0].value}"
    assert await kubectl("get", "pod", "p", "-o", shown) == "Never b"


async def test_a_namespace_comes_and_goes(kubectl: Kubectl, ns: str) -> None:
    name = f"{ns}-x"
    assert await kubectl("create", "namespace", name) == f"namespace/{name} created"
    assert (await kubectl("delete", "namespace", name)).startswith(f'namespace "{name}" deleted')


async def test_api_resources_and_versions(kubectl: Kubectl, widgets: Custom) -> None:
    out = await kubectl("api-resources", "--api-group", widgets.group)
    assert out.splitlines()[1].split() == ["widgets", "wd", widgets.api_version, "true", "Widget"]
    versions = (await kubectl("api-versions")).splitlines()
    assert {"v1", "apps/v1", widgets.api_version} <= set(versions)


async def test_explain_knows_fields(kubectl: Kubectl, widgets: Custom) -> None:
    out = await kubectl("explain", "widgets.spec.nest", f"--api-version={widgets.api_version}")
    assert "count\t<integer>" in out


async def test_auth_can_i(kubectl: Kubectl) -> None:
    assert await kubectl("auth", "can-i", "delete", "pods") == "yes"


async def test_rollout_status_and_history(kubectl: Kubectl, ns: str) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/statefulsets"
    await kubectl.server.make(path, stateful_set("a"))
    status = {"observedGeneration": 1, "replicas": 0, "currentRevision": "x", "updateRevision": "x"}
    if not kubectl.server.real:
        await kubectl.server.patch(f"{path}/a/status", {"status": status})
    out = await kubectl("rollout", "status", "statefulset/a", "--timeout=20s")
    assert "complete" in out or "0 pods" in out


async def test_get_watch_shows_changes(kubectl: Kubectl, maps: str) -> None:
    await kubectl.server.make(maps, config_map("a", labels={"mine": "yes"}))
    environment = {**os.environ, "KUBECONFIG": str(kubectl.server.kubeconfig), "HOME": str(kubectl.folder)}
    arguments = ("-n", kubectl.ns, "get", "cm", "-l", "mine=yes", "--watch", "-o", "name")
    process = await asyncio.create_subprocess_exec(
        str(KUBECTL), *arguments, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            assert await process.stdout.readline() == b"configmap/a\n"
            await kubectl.server.make(maps, config_map("b", labels={"mine": "yes"}))
            assert await process.stdout.readline() == b"configmap/b\n"
    finally:
        process.terminate()
        await process.wait()
