"""What only this server has: its lifetime, its disk, and its proxy to kubelets."""

from __future__ import annotations

import asyncio
import json
import ssl
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from controllerkit.apiserver import ApiServer, TlsFiles
from controllerkit.devcluster.pki import Authority
from controllerkit.errors import DevClusterError
from controllerkit.runtime import wait_until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definition() -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    version["selectableFields"] = [{"jsonPath": ".spec.color"}]
    schema["properties"] = {"spec": {"type": "object", "properties": {"color": {"type": "string"}}}}
    spec = {
        "group": "example.dev",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [version],
    }
    return {"metadata": {"name": "things.example.dev"}, "spec": spec}


class Client:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.session.request(method, path, json=body) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith("{") else text

    async def make(self, path: str, body: Any) -> Any:
        code, value = await self.call("POST", path, body)
        assert code == 201, value
        return value

    async def until(self, path: str, holds: Callable[[int, Any], Any]) -> None:
        async def probe() -> bool:
            return bool(holds(*await self.call("GET", path)))

        await wait_until(probe, what=path, timeout_s=5)


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[tuple[ApiServer, Client]]:
    async with ApiServer(**options) as server, aiohttp.ClientSession(server.url) as session:
        yield server, Client(session)


async def test_a_taken_port_is_one_helpful_sentence() -> None:
    async with running() as (server, _):
        port = int(server.url.rpartition(":")[2])
        second = ApiServer(port=port)
        with pytest.raises(DevClusterError, match=f"cannot listen on 127.0.0.1:{port} .*pass port=0 for a free one"):
            await second.start()
        await second.stop()


async def test_starting_twice_is_refused() -> None:
    async with running() as (server, _):
        with pytest.raises(DevClusterError, match="running already"):
            await server.start()


async def test_stop_ends_watches_and_may_be_called_twice() -> None:
    server = ApiServer()
    await server.start()
    async with aiohttp.ClientSession(server.url) as session:
        response = await session.get("/api/v1/pods", params={"watch": "true", "resourceVersion": "1"})
        reading = asyncio.create_task(response.content.read())
        await server.stop()
        assert await asyncio.wait_for(reading, 5) == b""
    await server.stop()


async def test_the_kubeconfig_is_private_and_complete(tmp_path: Path) -> None:
    async with running(token="secret") as (server, _):
        path = tmp_path / "kubeconfig"
        server.write_kubeconfig(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        config = json.loads(path.read_text())
    assert config["clusters"][0]["cluster"] == {"server": server.url}
    assert config["users"][0]["user"] == {"token": "secret"}


async def test_objects_and_definitions_outlive_a_restart(tmp_path: Path) -> None:
    async with running(data_dir=tmp_path) as (_, client):
        await client.make(CRDS, definition())
        things = "/apis/example.dev/v1/namespaces/default/things"
        await client.until(things, lambda code, _: code == 200)
        body = {"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"color": "red"}}
        made = await client.make(things, body)
        _, account = await client.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")
    async with running(data_dir=tmp_path) as (_, client):
        assert (await client.call("GET", f"{things}/a"))[1] == made
        _, selected = await client.call("GET", f"{things}?fieldSelector=spec.color%3Dred")
        assert [one["metadata"]["name"] for one in selected["items"]] == ["a"]
        assert (await client.call("GET", "/api/v1/namespaces/default/serviceaccounts/default"))[1] == account
        code, changed = await client.call("PUT", f"{things}/a", {**made, "spec": {"color": "blue"}})
        assert code == 200
        assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_watches_from_before_a_restart_are_expired(tmp_path: Path) -> None:
    async with running(data_dir=tmp_path) as (_, client):
        made = await client.make("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
        await client.make("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "b"}})
    async with running(data_dir=tmp_path) as (_, client):
        rv = made["metadata"]["resourceVersion"]
        code, text = await client.call("GET", f"/api/v1/configmaps?watch=true&resourceVersion={rv}")
        assert code == 200
        assert (text["type"], text["object"]["reason"]) == ("ERROR", "Expired")


async def test_tokens_outlive_a_restart(tmp_path: Path) -> None:
    review = "/apis/authentication.k8s.io/v1/tokenreviews"
    async with running(data_dir=tmp_path) as (_, client):
        made = await client.make("/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {}})
    async with running(data_dir=tmp_path) as (_, client):
        answer = await client.make(review, {"spec": {"token": made["status"]["token"]}})
        assert answer["status"]["authenticated"] is True


async def test_a_watch_that_is_too_slow_is_told() -> None:
    async with running(history_events_max=4) as (_, client):
        maps = "/api/v1/namespaces/default/configmaps"
        first = await client.make(maps, {"metadata": {"name": "first"}})
        for number in range(12):
            await client.make(maps, {"metadata": {"name": f"a{number}"}})
        rv = first["metadata"]["resourceVersion"]
        code, event = await client.call("GET", f"{maps}?watch=true&resourceVersion={rv}&timeoutSeconds=1")
        assert (code, event["type"], event["object"]["code"]) == (200, "ERROR", 410)


async def test_custom_owners_take_their_dependents_along() -> None:
    async with running() as (_, client):
        await client.make(CRDS, definition())
        things, maps = "/apis/example.dev/v1/namespaces/default/things", "/api/v1/namespaces/default/configmaps"
        await client.until(things, lambda code, _: code == 200)
        owner = await client.make(things, {"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"name": "o"}})
        reference = {"apiVersion": "example.dev/v1", "kind": "Thing", "name": "o", "uid": owner["metadata"]["uid"]}
        await client.make(maps, {"metadata": {"name": "child", "ownerReferences": [reference]}})
        assert (await client.call("DELETE", f"{things}/o"))[0] == 200
        await client.until(f"{maps}/child", lambda code, _: code == 404)


@asynccontextmanager
async def kubelet(
    folder: Path, answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
) -> AsyncIterator[int]:
    """A server with a certificate nobody knows, as kubelets have."""
    certificate, key = Authority.create("x").issue("node", addresses=["127.0.0.1"]).write(folder, "kubelet")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def pod_on(client: Client, port: int) -> None:
    addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
    status = {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
    await client.make("/api/v1/nodes", {"metadata": {"name": "n"}, "status": status})
    spec = {"nodeName": "n", "containers": [{"name": "main", "image": "i:1"}]}
    await client.make("/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, "spec": spec})


async def test_logs_are_streamed_from_the_kubelet(tmp_path: Path) -> None:
    more = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.path == "/containerLogs/default/p/main"
        assert dict(request.query) == {"follow": "true", "tailLines": "5"}
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        await more.wait()
        await response.write(b"second\n")
        return response

    async with kubelet(tmp_path, answer) as port, running() as (_, client):
        await pod_on(client, port)
        query = {"follow": "true", "tailLines": "5", "pretty": "x"}
        async with client.session.get("/api/v1/namespaces/default/pods/p/log", params=query) as response:
            assert response.status == 200
            assert await response.content.readline() == b"first\n"
            more.set()
            assert await response.content.readline() == b"second\n"


async def test_a_refusing_kubelet_is_quoted(tmp_path: Path) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=400, text='container "main" in pod "p" is waiting to start: ContainerCreating')

    async with kubelet(tmp_path, answer) as port, running() as (_, client):
        await pod_on(client, port)
        code, value = await client.call("GET", "/api/v1/namespaces/default/pods/p/log")
        assert (code, value["reason"]) == (400, "BadRequest")
        assert "waiting to start" in value["message"]


async def test_an_absent_kubelet_is_an_internal_error() -> None:
    async with running() as (_, client):
        await pod_on(client, 1)
        code, value = await client.call("GET", "/api/v1/namespaces/default/pods/p/log")
        assert (code, value["reason"]) == (500, "InternalError")
        assert "127.0.0.1:1" in value["message"]


async def test_tls_serves_clients_that_know_the_authority(tmp_path: Path) -> None:
    authority = Authority.create("test")
    certificate, key = authority.issue("apiserver", addresses=["127.0.0.1"]).write(tmp_path, "tls")
    tls = TlsFiles(certificate=certificate, key=key, ca=authority.save(tmp_path))
    async with ApiServer(tls=tls) as server:
        assert server.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(tls.ca))
        async with aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(ssl=context)) as session:
            client = Client(session)
            code, value = await client.call("GET", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
            assert (code, value["data"]["ca.crt"]) == (200, tls.ca.read_text())
