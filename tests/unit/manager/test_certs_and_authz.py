"""Certificates that are read again, and who may read metrics."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controllerkit.devcluster.pki import Authority
from controllerkit.errors import ConfigError, TransportError
from controllerkit.manager import Authorizer, CertWatcher
from controllerkit.manager.serving import Endpoints
from controllerkit.runtime import get_logger
from controllerkit.testing import VirtualClock


def issue(folder: Path, name: str) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    return Authority.create(name).issue(name, names=["localhost"]).write(folder, name)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def counted(registry: CollectorRegistry) -> tuple[float | None, float | None]:
    return (
        registry.get_sample_value("certwatcher_read_certificate_total"),
        registry.get_sample_value("certwatcher_read_certificate_errors_total"),
    )


@pytest.mark.parity("2.8/cert-initial", "2.8/cert-change", "2.8/cert-rename", "2.8/cert-moved-out", "2.8/cert-metrics")
@pytest.mark.parity("1e/metrics-server")
async def test_a_certificate_is_renewed_however_it_comes_and_kept_when_it_breaks(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    first, first_key = issue(tmp_path / "one", "one")
    second, second_key = issue(tmp_path / "two", "two")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    with pytest.raises(ConfigError, match=r"cannot serve TLS with .*tls\.crt"):
        CertWatcher(certificate, key, clock=VirtualClock(), registry=CollectorRegistry(), log=get_logger())
    certificate.write_bytes(first.read_bytes())
    key.write_bytes(first_key.read_bytes())
    clock = VirtualClock()
    watcher = CertWatcher(certificate, key, clock=clock, registry=registry, log=get_logger())
    assert counted(registry) == (1.0, 0.0)
    endpoints = Endpoints("127.0.0.1:0", registry, {}, {}, tls=watcher.context)
    await endpoints.start()

    async def served() -> bytes:
        address = ("127.0.0.1", endpoints.port)
        return ssl.PEM_cert_to_DER_cert(await asyncio.to_thread(ssl.get_server_certificate, address))

    def der(file: Path) -> bytes:
        return ssl.PEM_cert_to_DER_cert(
            file.read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
        )

    assert await served() == der(first)
    assert watcher.refresh() is False, "nothing has changed"
    certificate.write_bytes(second.read_bytes())
    assert watcher.refresh() is False, "a new certificate with the old key does not fit"
    assert await served() == der(first)
    key.write_bytes(second_key.read_bytes())
    assert watcher.refresh() is True
    assert await served() == der(second)
    renamed = tmp_path / "new.crt"
    renamed.write_bytes(first.read_bytes())
    key.write_bytes(first_key.read_bytes())
    renamed.rename(certificate)
    assert watcher.refresh() is True
    certificate.unlink()
    assert watcher.refresh() is False
    assert await served() == der(first)
    assert counted(registry) == (4.0, 2.0)
    await endpoints.stop()


class ReviewServer:
    """Answers TokenReviews and SubjectAccessReviews from tables, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down = False

    async def request_json(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        kind = body["kind"]
        self.asked.append(kind)
        if self.down:
            raise TransportError("refused")
        if kind == "TokenReview":
            known = body["spec"]["token"] == "good-token"
            return {"status": {"authenticated": known, "user": {"username": "prometheus", "groups": ["g"]}}}
        attributes = body["spec"]["nonResourceAttributes"]
        return {"status": {"allowed": (body["spec"]["user"], attributes["path"]) == ("prometheus", "/metrics")}}


async def test_a_token_is_judged_by_the_api_server_and_answers_are_kept_for_a_while() -> None:
    server, clock = ReviewServer(), VirtualClock()
    judge = Authorizer(server, clock).judge  # type: ignore[arg-type]
    assert (await judge("Bearer good-token", "/metrics", "get")).status == 200
    assert (await judge("bearer good-token", "/metrics", "get")).status == 200
    assert server.asked == ["TokenReview", "SubjectAccessReview"]
    denied = await judge("Bearer good-token", "/debug", "get")
    assert (denied.status, denied.why) == (403, "prometheus may not get /debug")
    await clock.advance(31.0)
    server.asked.clear()
    await judge("Bearer good-token", "/metrics", "get")
    await judge("Bearer good-token", "/debug", "get")
    assert server.asked == ["SubjectAccessReview"], "a refusal is asked about again after 30 s"
    await clock.advance(61.0)
    server.asked.clear()
    await judge("Bearer good-token", "/metrics", "get")
    assert server.asked == ["TokenReview"], "who it is after one minute, what is allowed after five"


@pytest.mark.parametrize("header", ["", "Basic Zm9v", "Bearer ", "Bearer bad-token"])
async def test_without_a_known_token_nobody_may(header: str) -> None:
    verdict = await Authorizer(ReviewServer(), VirtualClock()).judge(header, "/metrics", "get")  # type: ignore[arg-type]
    assert verdict.status == 401
    assert "bad-token" not in verdict.why


async def test_where_the_api_server_cannot_be_asked_nobody_may() -> None:
    server = ReviewServer()
    server.down = True
    verdict = await Authorizer(server, VirtualClock()).judge("Bearer good-token", "/metrics", "get")  # type: ignore[arg-type]
    assert (verdict.status, "good-token" in verdict.why) == (500, False)
