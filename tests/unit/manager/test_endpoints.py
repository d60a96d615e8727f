"""``/metrics``, ``/healthz`` and ``/readyz``."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from controllerkit.errors import ConfigError
from controllerkit.manager.serving import Check, Endpoints

PROBLEMS: dict[str, str | None] = {}


def check(name: str) -> Check:
    return lambda: PROBLEMS.get(name)


@pytest.fixture
async def endpoints() -> AsyncIterator[Endpoints]:
    PROBLEMS.clear()
    registry = CollectorRegistry()
    Counter("things", "Things", registry=registry).inc(3)
    served = Endpoints("127.0.0.1:0", registry, {"ping": lambda: None}, {"caches": check("caches"), "db": check("db")})
    await served.start()
    yield served
    await served.stop()


async def fetch(endpoints: Endpoints, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{endpoints.port}{path}") as answer:
        return answer.status, await answer.text()


async def test_metrics_are_served_as_prometheus_text(endpoints: Endpoints) -> None:
    status, text = await fetch(endpoints, "/metrics")
    assert status == 200
    assert "things_total 3.0" in text


@pytest.mark.parity("2.8/health-aggregate", "2.8/health-default")
async def test_all_well_is_ok_in_one_word(endpoints: Endpoints) -> None:
    assert await fetch(endpoints, "/healthz") == (200, "ok")
    assert await fetch(endpoints, "/readyz") == (200, "ok")


@pytest.mark.parity("2.8/health-aggregate")
async def test_a_failing_check_is_named_with_its_reason_and_does_not_touch_liveness(endpoints: Endpoints) -> None:
    PROBLEMS["caches"] = "not synced: Pod.v1"
    status, text = await fetch(endpoints, "/readyz")
    assert status == 500
    assert "[-]caches not synced: Pod.v1" in text
    assert "[+]db ok" in text
    assert (await fetch(endpoints, "/healthz"))[0] == 200


@pytest.mark.parity("2.8/health-verbose", "1e/named-checks")
async def test_verbose_lists_every_check(endpoints: Endpoints) -> None:
    assert (await fetch(endpoints, "/readyz?verbose"))[1] == "[+]caches ok\n[+]db ok\nreadyz check passed\n"


async def test_an_address_in_use_says_so_and_what_to_do(endpoints: Endpoints) -> None:
    second = Endpoints(f"127.0.0.1:{endpoints.port}", CollectorRegistry(), {}, {})
    with pytest.raises(ConfigError, match="choose another address or port 0"):
        await second.start()
    await second.stop()


@pytest.mark.parametrize("address", ["8080", "host", "host:port", ""])
async def test_an_address_without_a_port_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="an address is host:port"):
        Endpoints(address, CollectorRegistry(), {}, {})


@pytest.mark.parity("2.8/health-exclude", "2.8/health-one")
async def test_a_check_can_be_left_out_or_asked_alone(endpoints: Endpoints) -> None:
    PROBLEMS["caches"] = "not synced: Pod.v1"
    assert await fetch(endpoints, "/readyz?exclude=caches") == (200, "ok")
    status, text = await fetch(endpoints, "/readyz?exclude=caches&exclude=nothing&verbose")
    assert (status, "[+]caches excluded: ok" in text) == (200, True)
    assert "warn: there is no check to exclude: nothing" in text
    assert await fetch(endpoints, "/readyz/db") == (200, "ok")
    assert (await fetch(endpoints, "/readyz/caches"))[0] == 500
    assert (await fetch(endpoints, "/readyz/nothing"))[0] == 404


async def test_a_check_that_raises_is_a_failing_check() -> None:
    def broken() -> str | None:
        raise ZeroDivisionError("by zero")

    served = Endpoints("127.0.0.1:0", CollectorRegistry(), {"broken": broken}, {})
    await served.start()
    status, text = await fetch(served, "/healthz")
    await served.stop()
    assert (status, "[-]broken ZeroDivisionError: by zero" in text) == (500, True)
