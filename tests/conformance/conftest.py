"""One suite, two servers: ``--api=embedded`` (default), ``--api=real`` or ``--api=both``.

The real one is right. Tests speak HTTP with plain aiohttp and know nothing of controllerkit's own client.
"""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from controllerkit.apiserver import ApiServer, TlsFiles
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.control_plane import ControlPlane
from controllerkit.devcluster.pki import Authority

DEADLINE_S = 15.0
LARGE_BYTES = 1_000_000
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--api")
        names = {"both": ("embedded", "real"), "memory": ("embedded",)}.get(chosen, (chosen,))
        marks = {"real": pytest.mark.real, "embedded": ()}
        parameters = [pytest.param(name, marks=marks[name], id=name) for name in names]
        metafunc.parametrize("server", parameters, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here) and "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass
class Answer:
    """A response, read."""

    code: int
    headers: Any
    text: str

    @property
    def value(self) -> Any:
        return json.loads(self.text)

    def __getitem__(self, name: str) -> Any:
        return self.value[name]

    @property
    def meta(self) -> Any:
        return self.value["metadata"]

    @property
    def rv(self) -> str:
        return str(self.meta["resourceVersion"])

    @property
    def warnings(self) -> list[str]:
        return list(self.headers.getall("Warning", []))


@dataclass
class Server:
    """Where to send requests, and what differs on purpose."""

    name: str
    url: str
    kubeconfig: Path
    token: str
    session: aiohttp.ClientSession
    compact: Callable[[], Awaitable[None]]
    counter: list[int] = field(default_factory=lambda: [0])

    @property
    def real(self) -> bool:
        return self.name == "real"

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str | None = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        data = io.BytesIO(raw) if raw is not None and len(raw) > LARGE_BYTES else raw
        sent = {"Content-Type": content_type, **({"Accept": accept} if accept else {}), **(headers or {})}
        parameters = {name.rstrip("_"): str(value) for name, value in query.items()}
        async with self.session.request(
            method, self.url + path, data=data, headers=sent, params=parameters
        ) as response:
            return Answer(response.status, response.headers, await response.text())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any, **options: Any) -> Answer:
        return await self.call("POST", path, body, **options)

    async def put(self, path: str, body: Any, **options: Any) -> Answer:
        return await self.call("PUT", path, body, **options)

    async def delete(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self.call("DELETE", path, body, **options)

    async def patch(self, path: str, body: Any, content_type: str = MERGE, **options: Any) -> Answer:
        return await self.call("PATCH", path, body, content_type=content_type, **options)

    async def make(self, path: str, body: Any, **options: Any) -> Any:
        """A create that must succeed; the object."""
        answer = await self.post(path, body, **options)
        assert answer.code == 201, answer.text
        return answer.value

    async def until(self, path: str, holds: Callable[[Answer], Any], **options: Any) -> Answer:
        """Reads ``path`` until ``holds``; for what controllers do in the background."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DEADLINE_S
        while True:
            answer = await self.get(path, **options)
            if holds(answer):
                return answer
            assert loop.time() < deadline, (
                f"{path}: not within {DEADLINE_S} s; last: {answer.code} {answer.text[:1500]}"
            )
            await asyncio.sleep(0.02)

    async def gone(self, path: str) -> None:
        await self.until(path, lambda answer: answer.code == 404)

    @asynccontextmanager
    async def watch(self, path: str, *, accept: str | None = None, **query: Any) -> AsyncIterator[Watcher]:
        parameters = {"watch": "true", **{name.rstrip("_"): str(value) for name, value in query.items()}}
        headers = {"Accept": accept} if accept else {}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.session.get(self.url + path, params=parameters, headers=headers, timeout=timeout) as response:
            yield Watcher(response)


@dataclass
class Watcher:
    """A watch, line by line."""

    response: aiohttp.ClientResponse

    @property
    def code(self) -> int:
        return self.response.status

    async def next(self, timeout_s: float = DEADLINE_S) -> dict[str, Any] | None:
        """The next event, None at the end of the stream."""
        async with asyncio.timeout(timeout_s):
            line = await self.response.content.readuntil(b"\n") if not self.response.content.at_eof() else b""
        return json.loads(line) if line else None

    async def take(self, count: int) -> list[dict[str, Any]]:
        """The next ``count`` events that are no bookmarks."""
        events: list[dict[str, Any]] = []
        while len(events) < count:
            event = await self.next()
            assert event is not None, f"the stream ended after {events}"
            if event["type"] != "BOOKMARK":
                events.append(event)
        return events

    async def shapes(self, count: int) -> list[tuple[str, str]]:
        """The next events as (type, name)."""
        return [(event["type"], event["object"]["metadata"]["name"]) for event in await self.take(count)]

    async def rest(self) -> list[dict[str, Any]]:
        """Everything until the server ends the stream."""
        events = []
        while (event := await self.next()) is not None:
            events.append(event)
        return events


@asynccontextmanager
async def _embedded(folder: Path) -> AsyncIterator[Server]:
    # With TLS, as kubectl sends no token without it.
    authority = Authority.create("conformance")
    certificate, key = authority.issue("apiserver", names=["localhost"], addresses=["127.0.0.1"]).write(folder, "tls")
    tls = TlsFiles(certificate=certificate, key=key, ca=authority.save(folder))
    async with ApiServer(tls=tls, bookmark_interval_s=0.5, token="conformance") as api:
        kubeconfig = folder / "kubeconfig"
        api.write_kubeconfig(kubeconfig)

        async def compact() -> None:
            api.compact()

        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(tls.ca)), limit=0)
        headers = {"Authorization": "Bearer conformance"}
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            yield Server("embedded", api.url, kubeconfig, "conformance", session, compact)


@asynccontextmanager
async def _real(folder: Path) -> AsyncIterator[Server]:
    async with ControlPlane(cache=BinaryCache(), data_dir=folder / "plane") as plane:

        async def compact() -> None:
            # The server's own cache outlives a compaction of etcd; it starts empty.
            await plane.compact_etcd()
            await plane.restart_api_server()

        connector = aiohttp.TCPConnector(ssl=plane.ssl_context(), limit=0)
        headers = {"Authorization": f"Bearer {plane.token}"}
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            yield Server("real", plane.url, plane.kubeconfig, plane.token, session, compact)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The API server under test."""
    folder = tmp_path_factory.mktemp(request.param)
    async with {"embedded": _embedded, "real": _real}[request.param](folder) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def ns(server: Server) -> AsyncIterator[str]:
    """A namespace of this test's own, with its default ServiceAccount."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    await server.make("/api/v1/namespaces", {"metadata": {"name": name}})
    await server.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", lambda answer: answer.code == 200)
    # Made in the background too: tests that watch all ConfigMaps must not see it come.
    await server.until(f"/api/v1/namespaces/{name}/configmaps/kube-root-ca.crt", lambda answer: answer.code == 200)
    yield name
    await server.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def maps(ns: str) -> str:
    """The path of ConfigMaps in the test's namespace."""
    return f"/api/v1/namespaces/{ns}/configmaps"


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    value: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}
    return {**value, "data": data} if data else value


def pod(name: str, **spec: Any) -> dict[str, Any]:
    body = {"containers": [{"name": "main", "image": "example.test/app:1"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}


def deployment(name: str, replicas: int = 0, **container: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "image": "example.test/app:1", **container}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def stateful_set(name: str) -> dict[str, Any]:
    labels = {"app": name}
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    spec = {
        "serviceName": name,
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
        "volumeClaimTemplates": [claim],
    }
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


@dataclass
class Custom:
    """A CustomResourceDefinition made for one test module, and where its objects are."""

    group: str
    plural: str
    kind: str
    ns: str
    definition: dict[str, Any]

    @property
    def api_version(self) -> str:
        return f"{self.group}/v1"

    def path(self, name: str = "", sub: str = "", version: str = "v1") -> str:
        parts = [f"/apis/{self.group}/{version}/namespaces/{self.ns}/{self.plural}", name, sub]
        return "/".join(filter(None, parts))

    def new(self, name: str, spec: Any, **more: Any) -> dict[str, Any]:
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": name}, "spec": spec, **more}


WIDGET_SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 4},
        "port": {"x-kubernetes-int-or-string": True},
        "tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "members": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "weight": {"type": "integer", "default": 1}},
            },
        },
        "plain": {"type": "array", "items": {"type": "string"}},
        "nest": {
            "type": "object",
            "properties": {
                "at": {"type": "string", "format": "date-time"},
                "count": {"type": "integer", "nullable": True},
                "level": {"type": "integer", "default": 5},
            },
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "numbers": {"type": "object", "additionalProperties": {"type": "integer"}},
        "template": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
    },
}


def definition(group: str, **changes: Any) -> dict[str, Any]:
    """A CustomResourceDefinition that uses most of what there is."""
    schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "spec": WIDGET_SPEC,
            "status": {
                "type": "object",
                "properties": {
                    "size": {"type": "integer"},
                    "selector": {"type": "string"},
                    "conditions": {
                        "type": "array",
                        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    },
                },
            },
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.size",
                "statusReplicasPath": ".status.size",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
            {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "selectableFields": [{"jsonPath": ".spec.color"}],
        "schema": {"openAPIV3Schema": schema},
    }
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
        "versions": [version],
        **changes,
    }
    metadata = {"name": f"{spec['names']['plural']}.{group}"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": spec,
    }


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def is_established(answer: Answer) -> bool:
    conditions = (answer.value.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


async def establish(server: Server, body: dict[str, Any]) -> Any:
    """Creates a definition and waits until its resource is served."""
    made = await server.make(CRDS, body)
    path = f"{CRDS}/{body['metadata']['name']}"
    await server.until(path, is_established)
    spec = body["spec"]
    for version in spec["versions"]:
        if version["served"]:
            served = f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}"
            await server.until(served, lambda answer: answer.code == 200)
    return made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def widget_definition(server: Server) -> AsyncIterator[dict[str, Any]]:
    group = f"w{uuid.uuid4().hex[:6]}.example.dev"
    body = definition(group)
    await establish(server, body)
    yield body
    await server.delete(f"{CRDS}/{body['metadata']['name']}")


@pytest.fixture
def widgets(widget_definition: dict[str, Any], ns: str) -> Custom:
    spec = widget_definition["spec"]
    return Custom(spec["group"], spec["names"]["plural"], spec["names"]["kind"], ns, widget_definition)


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_definition(server: Server) -> AsyncIterator[Callable[..., Awaitable[dict[str, Any]]]]:
    """Makes definitions in groups of their own, and deletes them afterwards."""
    made: list[str] = []

    async def make(**changes: Any) -> dict[str, Any]:
        body = definition(f"f{uuid.uuid4().hex[:8]}.example.dev", **changes)
        made.append(body["metadata"]["name"])
        await establish(server, body)
        return body

    yield make
    for name in made:
        await server.delete(f"{CRDS}/{name}")
