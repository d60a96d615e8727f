"""What the client writes, and what the server makes of it: patches, apply, subresources, validation, warnings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict
from structlog.testing import capture_logs

from controllerkit.apiserver import ApiServer
from controllerkit.client import Client, FieldValidation, PatchType
from controllerkit.client.warnings import WarningSurfacer, warnings_in
from controllerkit.errors import ApiError, BadRequest, Conflict, Unauthorized
from controllerkit.objects import kinds

PATCHES: list[tuple[PatchType, Any, list[str]]] = [
    (PatchType.JSON, [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "b"}}], ["a", "b"]),
    (PatchType.MERGE, {"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "i"}]}}}}, ["b"]),
    (PatchType.STRATEGIC, {"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "i"}]}}}}, ["a", "b"]),
    (PatchType.APPLY, None, ["a", "b"]),
]


def deployment(*containers: str) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": name, "image": "i"} for name in containers]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }


def pod() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [{"name": "a", "image": "i"}]},
    }


@pytest.mark.parity("1f/patch-types")
@pytest.mark.parametrize(("patch_type", "patch", "containers"), PATCHES, ids=lambda each: getattr(each, "name", None))
async def test_each_patch_type_means_what_it_means(
    client: Client, patch_type: PatchType, patch: Any, containers: list[str]
) -> None:
    await client.create(deployment("a"))
    if patch_type is PatchType.JSON:
        patch[0]["value"]["image"] = "i"
    answer = await client.patch(kinds.DEPLOYMENT, "web", patch or deployment("b"), patch_type=patch_type, force=True)
    names = [each["name"] for each in answer.spec["template"]["spec"]["containers"]]
    assert sorted(names) == containers


@pytest.mark.parity("1f/server-side-apply")
async def test_an_apply_takes_a_field_of_another_only_by_force_and_a_status_of_its_own(client: Client) -> None:
    await client.apply(deployment("a"), field_manager="first")
    mine = {**deployment("a"), "spec": {"replicas": 3}}
    with pytest.raises(Conflict, match="first"):
        await client.apply(mine, field_manager="second", force=False)
    assert (await client.apply(mine, field_manager="second")).spec["replicas"] == 3
    told = {**deployment(), "status": {"replicas": 3, "readyReplicas": 2}}
    del told["spec"]
    answer = await client.apply(told, subresource="status", field_manager="second")
    assert (answer.status["readyReplicas"], answer.spec["replicas"]) == (2, 3)


@pytest.mark.parity("1f/subresources")
async def test_status_scale_eviction_and_token(client: Client) -> None:
    made = (await client.create(deployment("a"))).to_dict()
    answer = await client.update_status({**made, "spec": {"replicas": 9}, "status": {"replicas": 1}})
    assert (answer.status["replicas"], answer.spec["replicas"]) == (1, 1), "only the status is taken"
    assert (await client.get(kinds.DEPLOYMENT, "web", subresource="scale")).kind == "Scale"
    scaled = await client.patch(kinds.DEPLOYMENT, "web", {"spec": {"replicas": 4}}, subresource="scale")
    assert (scaled.kind, scaled.spec["replicas"]) == ("Scale", 4)
    await client.create(pod())
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web", "namespace": "default"}}
    await client.create_subresource(kinds.POD, "web", "eviction", eviction)
    assert (await client.list(kinds.POD)).items == []
    await client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    issued = await client.create_subresource(kinds.SERVICE_ACCOUNT, "robot", "token", request)
    assert issued.kind == "TokenRequest"
    assert issued.status["token"]


@pytest.mark.parity("1f/dry-run")
async def test_a_dry_run_is_judged_and_not_stored(client: Client) -> None:
    made = await client.create(deployment("a"), dry_run=True)
    assert made.uid
    assert (await client.list(kinds.DEPLOYMENT)).items == []
    with pytest.raises(ApiError, match="containers"):
        await client.create(deployment(), dry_run=True)


@asynccontextmanager
async def connected(server: ApiServer, folder: Path, **options: Any) -> AsyncIterator[Client]:
    server.write_kubeconfig(folder / "kubeconfig")
    async with await Client.connect(kubeconfig=folder / "kubeconfig", **options) as client:
        yield client


MISSPELT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "dta": {"a": "b"}}


@pytest.mark.parity("1f/dry-run")
@pytest.mark.parametrize(("validation", "told"), [("", 1), ("Warn", 1), ("Ignore", 0)])
async def test_a_field_that_is_not_known_is_dropped_with_a_warning_or_without(
    server: ApiServer, tmp_path: Path, validation: FieldValidation, told: int
) -> None:
    warned: list[str] = []
    async with connected(server, tmp_path, field_validation=validation, on_warning=warned.append) as client:
        made = await client.create(MISSPELT)
    assert ("dta" in made.to_dict(), warned) == (False, ['unknown field "dta"'] * told)


async def test_a_field_that_is_not_known_is_refused_where_that_is_asked_for(server: ApiServer, tmp_path: Path) -> None:
    async with connected(server, tmp_path, field_validation="Strict") as client:
        with pytest.raises(BadRequest, match='unknown field "dta"'):
            await client.create(MISSPELT)
        with pytest.raises(ApiError, match="dta"):
            await client.apply(MISSPELT)


@pytest.mark.parity("1f/warnings")
async def test_each_warning_of_the_server_is_logged_once(server: ApiServer, tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with connected(server, tmp_path) as client:
            await client.create(MISSPELT)
            for wrong in ("dta", "dta", "dat"):
                await client.patch(kinds.CONFIG_MAP, "a", {wrong: {"a": "b"}})
    assert [(each["event"], each["text"]) for each in logs if each["log_level"] == "warning"] == [
        ("server_warning", 'unknown field "dta"'),
        ("server_warning", 'unknown field "dat"'),
    ]


@pytest.mark.parity("1f/warnings")
@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        (['299 - "a"', '299 - "b"'], ["a", "b"]),
        (['299 - "a, \\"b\\"", 299 kube "c \\\\ d"'], ['a, "b"', "c \\ d"]),
        (['199 - "odd"', '299 - ""', "nonsense", ""], []),
    ],
)
def test_warnings_are_read_from_every_header(lines: list[str], texts: list[str]) -> None:
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        headers.add("Warning", line)
    assert warnings_in(headers) == texts


def test_the_warnings_that_are_remembered_are_bounded() -> None:
    told: list[str] = []
    surfacer = WarningSurfacer(told.append)
    for number in range(3000):
        surfacer.look({"Warning": f'299 - "{number}"'})
    assert len(told) == 3000
    assert len(surfacer._told) <= 1024


async def test_a_token_that_is_revoked_is_told_with_its_file_and_server_and_without_the_token(tmp_path: Path) -> None:
    async with ApiServer(token="secret-of-old") as server, connected(server, tmp_path) as client:
        await client.list(kinds.CONFIG_MAP)
        server._authenticator._token = "secret-of-new"
        with pytest.raises(Unauthorized) as caught:
            await client.create(pod())
        told = str(caught.value)
        assert told.startswith("POST /api/v1/namespaces/default/pods: 401 Unauthorized: Unauthorized; ")
        assert f"{server.url} does not know the credentials of kubeconfig {tmp_path / 'kubeconfig'}" in told
        assert "secret" not in told
