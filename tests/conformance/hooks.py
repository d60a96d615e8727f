"""A webhook for tests: an HTTPS server that says what it is told to say, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from controllerkit.devcluster.pki import Authority
from tests.conformance.conftest import Server, config_map

HOOKS = "/apis/admissionregistration.k8s.io/v1"
Say = Callable[[dict[str, Any]], Any]
"""From the request of a review to its response, without uid."""


def allow(**more: Any) -> Say:
    return lambda _: {"allowed": True, **more}


def deny(**status: Any) -> Say:
    return lambda _: {"allowed": False, **({"status": status} if status else {})}


def patch(*operations: dict[str, Any]) -> Say:
    encoded = base64.b64encode(json.dumps(operations).encode()).decode()
    return allow(patchType="JSONPatch", patch=encoded)


@dataclass
class Webhook:
    """Where it listens, who vouches for it, and what it says by path."""

    url: str
    bundle: str
    says: dict[str, Say] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)

    def client(self, path: str) -> dict[str, Any]:
        return {"url": f"{self.url}/{path}", "caBundle": self.bundle}

    def hook(self, name: str, say: Say | None = None, **spec: Any) -> dict[str, Any]:
        """A webhook of a configuration, asked at the path that is its name."""
        self.says[name] = say or allow()
        rule = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
        return {
            "name": f"{name}.hooks.example.dev",
            "clientConfig": self.client(name),
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **spec,
        }

    def of(self, name: str) -> list[dict[str, Any]]:
        """What was asked at that path, without probes."""
        return [request for path, request in self.asked if path == name]

    def names(self) -> list[str]:
        return [path for path, _ in self.asked]

    async def handle(self, request: web.Request) -> web.Response:
        path = request.path.strip("/")
        self.queries.append(request.query_string)
        review = await request.json()
        asked = review["request"]
        said = self.says[path](asked)
        if asyncio.iscoroutine(said):
            said = await said
        if path != "probe" and not path.startswith("convert-"):
            self.asked.append((path, asked))
        if isinstance(said, web.Response):
            return said
        answer = {"apiVersion": review["apiVersion"], "kind": review["kind"]}
        if "review" in said:
            return web.json_response({**answer, **said["review"]})
        return web.json_response({**answer, "response": {"uid": asked["uid"], **said}})


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Webhook]:
    authority = Authority.create("webhook")
    issued = authority.issue("webhook", names=["localhost"], addresses=["127.0.0.1"])
    certificate, key = issued.write(folder, "webhook")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    webhook = Webhook("", base64.b64encode(authority.certificate).decode())
    application = web.Application()
    application.router.add_post("/{path:.*}", webhook.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        webhook.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        yield webhook
    finally:
        await runner.cleanup()


@asynccontextmanager
async def configured(
    server: Server, webhook: Webhook, ns: str, mutating: list[Any] | None = None, validating: list[Any] | None = None
) -> AsyncIterator[None]:
    """Configurations of this namespace's webhooks, once the server follows them; gone afterwards."""
    made = []
    selector = {"matchLabels": {"kubernetes.io/metadata.name": ns}}
    for kind, hooks in (("Mutating", mutating), ("Validating", validating)):
        if hooks is None:
            continue
        name, token = f"c-{uuid.uuid4().hex[:8]}", f"p-{uuid.uuid4().hex[:8]}"
        seen: list[str] = []

        def note(request: dict[str, Any], seen: list[str] = seen) -> dict[str, Any]:
            seen.append(request["name"])
            return {"allowed": True}

        probe = webhook.hook("probe", note, objectSelector={"matchLabels": {"probe": token}})
        webhook.says[token] = note
        probe["clientConfig"] = webhook.client(token)
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{kind}WebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [{"namespaceSelector": selector, **each} for each in (probe, *hooks)],
        }
        path = f"{HOOKS}/{kind.lower()}webhookconfigurations"
        await server.make(path, body)
        made.append(f"{path}/{name}")
        while not seen:
            body = config_map("probe", labels={"probe": token})
            await server.post(f"/api/v1/namespaces/{ns}/configmaps", body, dryRun="All")
    webhook.asked.clear()
    webhook.queries.clear()
    yield
    for path in made:
        await server.delete(path)
