"""The HTTPS server, asked as the API server asks."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from controllerkit.client import Client
from controllerkit.devcluster.pki import Authority
from controllerkit.errors import ConfigError, Denied
from controllerkit.objects import Kind
from controllerkit.runtime import Clock
from controllerkit.schema import Resource
from controllerkit.webhook import (
    AdmissionRequest,
    AdmissionResponse,
    Reached,
    TokenAnswer,
    TokenQuestion,
    UserInfo,
    WebhookServer,
    conversion,
    path_of,
)


class Given:
    """Certificates that the program has at hand."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(*authority.issue("server", addresses=["127.0.0.1"]).write(folder, "server"))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3

    async def start(self, client: Client, clock: Clock, log: Any) -> None:
        """They are there."""

    async def run(self) -> None:
        await asyncio.Event().wait()


class Thing(Resource, group="example.dev", version="v1"):
    spec: dict[str, int] = {}  # noqa: RUF012 - pydantic copies defaults

    def validate_delete(self) -> None:
        raise Denied("it stays")


class Newer(Resource, group="example.dev", version="v2", kind="Thing"):
    spec: dict[str, int] = {}  # noqa: RUF012

    def default(self) -> Newer:
        return self

    def to_hub(self) -> Thing:
        if "bad" in self.spec:
            raise RuntimeError("boom")
        return Thing(spec=self.spec)

    @classmethod
    def from_hub(cls, hub: Thing) -> Newer:
        return cls(spec=hub.spec)


async def allow(request: AdmissionRequest) -> AdmissionResponse:
    return AdmissionResponse.allow()


async def fail(request: AdmissionRequest) -> AdmissionResponse:
    raise RuntimeError("a bug")


REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "u",
        "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "object": {"metadata": {"name": "a"}},
    },
}


class Bed:
    """A server on a port of its own, and callers that trust it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.create("ca")
        self.ca = self.authority.save(folder)
        self.registry = CollectorRegistry()
        self.server = self.make()

    def make(self, **options: Any) -> WebhookServer:
        return WebhookServer(Given(self.authority, self.folder), host="127.0.0.1", port=0, **options)

    @asynccontextmanager
    async def running(self, client: Client) -> AsyncIterator[None]:
        await self.server.start(client, registry=self.registry)
        try:
            yield
        finally:
            await self.server.stop()

    async def post(
        self, path: str, body: Any = None, *, name: str = "", issuer: Authority | None = None
    ) -> tuple[int, Any]:
        context = ssl.create_default_context(cafile=self.ca)
        if name:
            context.load_cert_chain(*(issuer or self.authority).issue(name).write(self.folder, name))
        url = f"https://127.0.0.1:{self.server.port}{path}"
        data = io.BytesIO(json.dumps(REVIEW if body is None else body).encode())
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
            session.post(url, data=data, headers={"Content-Type": "application/json"}) as response,
        ):
            is_json = response.content_type == "application/json"
            return response.status, await (response.json() if is_json else response.text())

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


@pytest.mark.parity("2.8/webhook-registered-before-start", "2.8/webhook-registered-after-start")
async def test_webhooks_are_served_whenever_they_were_registered(bed: Bed, client: Client) -> None:
    bed.server.handle("/early", allow)
    async with bed.running(client):
        bed.server.handle("/late", allow)
        for path in ("/early", "/late"):
            status, answer = await bed.post(path)
            assert (status, answer["response"]["uid"], answer["response"]["allowed"]) == (200, "u", True)
        assert await bed.post("/none") == (404, "no webhook at /none; there are /early, /late\n")
        assert bed.sample("controller_runtime_webhook_requests_total", webhook="/late", code="200") == 1.0


@pytest.mark.parity("2.8/webhook-tls-options", "2.8/webhook-certificate-given")
async def test_certificates_and_tls_are_what_the_program_gives(bed: Bed, client: Client) -> None:
    bed.server.handle("/a", allow)
    async with bed.running(client):
        old = ssl.create_default_context(cafile=bed.ca)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", bed.server.port, ssl=old)
        assert (await bed.post("/a"))[0] == 200


@pytest.mark.parity("2.8/webhook-client-ca")
async def test_only_callers_with_a_certificate_of_the_client_ca_and_of_the_name_are_answered(
    bed: Bed, client: Client
) -> None:
    bed.server = bed.make(client_ca=bed.ca, client_name="apiserver")
    bed.server.handle("/a", allow)
    async with bed.running(client):
        assert (await bed.post("/a", name="apiserver"))[0] == 200
        assert await bed.post("/a", name="somebody") == (403, "only apiserver may call\n")
        with pytest.raises(aiohttp.ClientError):
            await bed.post("/a")
        with pytest.raises(aiohttp.ClientError):
            await bed.post("/a", name="apiserver", issuer=Authority.create("other"))
    with pytest.raises(ConfigError, match="give client_ca too"):
        bed.make(client_name="apiserver")
    bed.server = bed.make(client_ca=bed.folder / "gone")
    with pytest.raises(ConfigError, match="cannot use the client CA"):
        await bed.server.start(client)


@pytest.mark.parity("2.8/webhook-duplicate-path")
def test_a_path_that_is_taken_is_refused(bed: Bed) -> None:
    bed.server.add(Thing)
    with pytest.raises(ConfigError, match="two webhooks at /validate-example-dev-v1-thing"):
        bed.server.add(Thing)
    with pytest.raises(ConfigError, match="two webhooks at /convert"):
        bed.server.handle("/convert", allow)
    with pytest.raises(ConfigError, match="begins with a slash"):
        bed.server.handle("convert", allow)
    with pytest.raises(ConfigError, match="has none of default"):
        bed.server.add(Thing, object())


async def test_an_address_that_is_taken_is_refused(bed: Bed, client: Client) -> None:
    async with bed.running(client):
        second = WebhookServer(Given(bed.authority, bed.folder), host="127.0.0.1", port=bed.server.port)
        with pytest.raises(ConfigError, match=r"cannot serve webhooks on 127\.0\.0\.1"):
            await second.start(client)


async def test_what_fails_is_answered_and_counted(bed: Bed, client: Client) -> None:
    bed.server.handle("/fail", fail)
    bed.server.convert(Thing, Newer)
    async with bed.running(client):
        assert bed.sample("controller_runtime_webhook_panics_total") == 0.0
        assert bed.sample("controller_runtime_webhook_requests_total", webhook="/fail", code="500") == 0.0
        status, answer = await bed.post("/fail")
        assert (status, answer["response"]["status"]["code"]) == (200, 500)
        assert bed.sample("controller_runtime_webhook_panics_total") == 1.0
        assert bed.sample("controller_runtime_webhook_requests_in_flight", webhook="/fail") == 0.0
        assert bed.sample("controller_runtime_webhook_latency_seconds_count", webhook="/fail") == 1.0
        bad = {"apiVersion": "example.dev/v2", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"bad": 1}}
        request = {"uid": "c", "desiredAPIVersion": "example.dev/v1", "objects": [bad]}
        review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request}
        status, answer = await bed.post("/convert", review)
        assert (status, answer["response"]["result"]["status"]) == (200, "Failure")
        assert bed.sample("controller_runtime_conversion_webhook_panics_total") == 1.0
        assert await bed.post("/convert", {"kind": "Pod"}) == (
            400,
            "the body is Pod of , not a ConversionReview of apiextensions.k8s.io/v1\n",
        )


async def test_a_body_that_does_not_end_is_refused_at_the_limit(bed: Bed, client: Client) -> None:
    bed.server.handle("/a", allow)
    bed.server.convert(Thing, Newer)
    async with bed.running(client):
        large = {"filler": "x" * (7 * 2**20)}
        status, answer = await bed.post("/a", large)
        assert (status, answer["response"]["status"]["code"]) == (200, 413)
        assert (await bed.post("/convert", large))[0] == 413


async def test_a_handler_has_the_time_that_the_api_server_gives_and_stopping_waits_for_it(
    bed: Bed, client: Client
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def wait(request: AdmissionRequest) -> AdmissionResponse:
        begun.set()
        await go.wait()
        return AdmissionResponse.allow()

    bed.server = bed.make(timeout_s=20.0)
    bed.server.handle("/wait", wait)
    async with bed.running(client):
        _, answer = await bed.post("/wait?timeout=0s")
        assert answer["response"]["status"]["code"] == 504
        begun.clear()
        asking = asyncio.create_task(bed.post("/wait"))
        await begun.wait()
        stopping = asyncio.create_task(bed.server.stop())
        go.set()
        assert (await asking)[1]["response"]["allowed"] is True
        await stopping


@pytest.mark.parity("2.8/webhook-broken-writer")
async def test_a_caller_that_goes_away_leaves_the_server_well(bed: Bed, client: Client) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def wait(request: AdmissionRequest) -> AdmissionResponse:
        begun.set()
        await go.wait()
        return AdmissionResponse.allow()

    bed.server.handle("/wait", wait)
    async with bed.running(client):
        context = ssl.create_default_context(cafile=bed.ca)
        _, writer = await asyncio.open_connection("127.0.0.1", bed.server.port, ssl=context)
        body = json.dumps(REVIEW).encode()
        head = ("POST /wait HTTP/1.1", "Host: a", "Content-Type: application/json", f"Content-Length: {len(body)}")
        writer.write("\r\n".join((*head, "", "")).encode() + body)
        await begun.wait()
        writer.transport.abort()
        go.set()
        assert (await bed.post("/wait"))[1]["response"]["allowed"] is True


async def test_tokens_are_answered_beside_reviews_and_a_bug_is_counted_without_them(
    bed: Bed, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    async def whose(question: TokenQuestion) -> TokenAnswer:
        if question.token == "bad":
            raise RuntimeError(f"no such token: {question.token}")
        return TokenAnswer.known(UserInfo("anna"))

    bed.server.handle("/allow", allow)
    bed.server.authenticate("/authenticate", whose)
    with pytest.raises(ConfigError, match="two webhooks at /authenticate"):
        bed.server.authenticate("/authenticate", whose)
    with pytest.raises(ConfigError, match="two webhooks at /allow"):
        bed.server.authenticate("/allow", whose)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "good"}}
    async with bed.running(client):
        status, answer = await bed.post("/authenticate", review)
        assert (status, answer["status"]) == (200, {"authenticated": True, "user": {"username": "anna"}})
        answer = (await bed.post("/authenticate", {**review, "spec": {"token": "bad"}}))[1]
        assert answer["status"] == {"authenticated": False, "error": "the webhook failed: RuntimeError"}
        assert (await bed.post("/allow"))[1]["response"]["allowed"] is True
    assert bed.sample("controllerkit_authentication_webhook_panics_total") == 1
    assert bed.sample("controller_runtime_webhook_requests_total", webhook="/authenticate", code="200") == 2
    written = capsys.readouterr()
    assert "no such token" not in written.out + written.err


@pytest.mark.parametrize(
    ("kind", "verb", "path"),
    [
        (Kind("", "v1", "Pod", "pods"), "validate", "/validate--v1-pod"),
        (Kind("apps", "v1", "Deployment", "deployments"), "mutate", "/mutate-apps-v1-deployment"),
        (Thing.resource_kind(), "mutate", "/mutate-example-dev-v1-thing"),
    ],
)
def test_paths_are_those_that_others_generate(kind: Kind, verb: Any, path: str) -> None:
    assert path_of(kind, verb) == path


def test_the_configurations_are_generated(bed: Bed) -> None:
    bed.server.add(Thing, failure_policy="Ignore")
    bed.server.add(Newer)
    by_service = Reached(service="hooks", namespace="shop", ca=b"pem")
    mutating, validating = bed.server.configurations("shop", by_service)
    assert (mutating["kind"], validating["kind"]) == ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
    assert mutating["metadata"] == {"name": "shop"}
    assert [each["clientConfig"]["service"]["path"] for each in mutating["webhooks"]] == [
        "/mutate-example-dev-v2-thing"
    ]
    assert validating["webhooks"] == [
        {
            "name": "validate-thing-v1.example.dev",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {
                "service": {
                    "name": "hooks",
                    "namespace": "shop",
                    "path": "/validate-example-dev-v1-thing",
                    "port": 443,
                },
                "caBundle": "cGVt",
            },
            "failurePolicy": "Ignore",
            "matchPolicy": "Equivalent",
            "rules": [
                {
                    "apiGroups": ["example.dev"],
                    "apiVersions": ["v1"],
                    "operations": ["DELETE"],
                    "resources": ["things"],
                    "scope": "Namespaced",
                }
            ],
            "sideEffects": "None",
            "timeoutSeconds": 10,
        }
    ]
    assert conversion(Reached(url="https://127.0.0.1:9443/")) == {
        "strategy": "Webhook",
        "webhook": {
            "clientConfig": {"url": "https://127.0.0.1:9443/convert"},
            "conversionReviewVersions": ["v1"],
        },
    }
