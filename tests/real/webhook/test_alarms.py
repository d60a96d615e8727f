"""``examples/alarms.py`` on a real kube-apiserver: defaulted, validated, converted, whatever the certificates do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from random import Random

import pytest
import pytest_asyncio

from controllerkit import Client, Key, Manager, Metadata, Reconciler, Request, kinds
from controllerkit.errors import ApiError, Forbidden, InternalError
from controllerkit.runtime import SystemClock, wait_until
from controllerkit.schema import custom_resource_definition
from controllerkit.testing import served
from controllerkit.webhook import MUTATING, VALIDATING, MadeCertificates, Reached, WebhookServer, conversion
from controllerkit.webhook.certificates import Stored
from examples.alarms import COLOR, Alarm, AlarmSpec, AlarmV1, AlarmV1Spec
from tests.servers import Planes, RealServer

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]
SECRET = Key("default", "alarms-tls")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealServer]:
    planes = Planes(tmp_path_factory.mktemp("plane"))
    yield RealServer(await planes.get())
    await planes.stop()


@pytest.fixture
def warnings() -> list[str]:
    """What the API server warned of."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def client(plane: RealServer, warnings: list[str]) -> AsyncIterator[Client]:
    """A server that knows nothing of alarms, before and after."""
    async with await Client.connect(kubeconfig=plane.plane.kubeconfig, on_warning=warnings.append) as connected:
        yield connected
        for kind in (MUTATING, VALIDATING):
            await _deleted(connected, kind, "alarms", None)
        await _deleted(connected, kinds.SECRET, SECRET.name, SECRET.namespace)
        await _deleted(connected, kinds.CUSTOM_RESOURCE_DEFINITION, "alarms.example.dev", None)


async def _deleted(client: Client, kind: object, name: str, namespace: str | None) -> None:
    async def gone() -> bool:
        try:
            await client.delete(kind, name, namespace)  # type: ignore[arg-type]
        except ApiError as error:
            return error.code == 404
        return False

    await wait_until(gone, what=f"{name} is gone", timeout_s=20.0)


class At(SystemClock):
    """The machine's clock, so many days off."""

    days = 0.0

    def utcnow(self) -> datetime:
        return super().utcnow() + timedelta(days=self.days)


class Bed:
    """Where the API server is told that the webhooks are."""

    def __init__(self, client: Client) -> None:
        self.client = client
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.reached = Reached(url=f"https://127.0.0.1:{self.port}")

    def server(self) -> tuple[WebhookServer, MadeCertificates]:
        certificates = MadeCertificates(
            secret=SECRET,
            names=["127.0.0.1"],
            mutating=["alarms"],
            validating=["alarms"],
            definitions=["alarms.example.dev"],
        )
        made = WebhookServer(certificates, host="127.0.0.1", port=self.port)
        made.add(Alarm)
        made.convert(Alarm, AlarmV1)
        return made, certificates

    async def define(self) -> None:
        await self.client.create(custom_resource_definition(Alarm, AlarmV1, conversion=conversion(self.reached)))
        await served(self.client, Alarm, timeout_s=15.0)

    async def configure(self) -> None:
        for each in self.server()[0].configurations("alarms", self.reached):
            await self.client.create(each)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[MadeCertificates]:
        server, certificates = self.server()
        await self.define()
        await self.configure()
        await server.start(self.client)
        try:
            await self.asked()
            yield certificates
        finally:
            await server.stop()

    async def asked(self) -> None:
        """Returns when the API server asks all the webhooks, and trusts them."""

        async def all_asked() -> bool:
            try:
                defaulted = await self.client.create(alarm("probe", 1), dry_run=True)
                await self.client.create(AlarmV1(metadata=Metadata(name="probe"), spec=AlarmV1Spec()), dry_run=True)
            except Forbidden:
                return defaulted.spec.get("color") == "white"
            except InternalError:
                pass
            return False

        await wait_until(all_asked, what="the API server asks the webhooks", timeout_s=30.0)


def alarm(name: str, minutes: int, **more: str) -> Alarm:
    return Alarm(metadata=Metadata(name=name), spec=AlarmSpec(minutes=minutes, **more))


@pytest.mark.parity("1f/webhooks")
async def test_what_is_written_is_defaulted_and_validated(client: Client, warnings: list[str]) -> None:
    bed = Bed(client)
    async with bed.serving():
        made = await client.create(alarm("tea", 4))
        assert made.spec == {"minutes": 4, "color": "white"}
        with pytest.raises(Forbidden, match=r"denied the request: an alarm rings .* later, got 0") as why:
            await client.create(alarm("now", 0))
        assert 'admission webhook "validate-alarm-v2.example.dev"' in why.value.message
        assert (why.value.code, why.value.reason) == (403, "Forbidden")
        await client.create(alarm("taxes", 100_000))
        assert warnings == ["you will have forgotten why"]
        with pytest.raises(Forbidden, match=r"the lamp is white for ever"):
            await client.update({**made.to_dict(), "spec": {"minutes": 4, "color": "blue"}})
        assert warnings[1:] == ["make another alarm"]
        await client.patch(Alarm, "tea", {"spec": {"minutes": 5}})
        await client.create(alarm("fire", 1, color="red"))
        with pytest.raises(Forbidden, match=r"a red alarm stays"):
            await client.delete(Alarm, "fire")
        await client.delete(Alarm, "tea")


async def test_each_version_is_read_and_written_and_the_other_says_the_same(client: Client) -> None:
    bed = Bed(client)
    async with bed.serving():
        old = AlarmV1(metadata=Metadata(name="bread", labels={"l": "1"}), spec=AlarmV1Spec(hours=1, minutes=30))
        made = await client.create(old)
        assert (made.api_version, made.spec) == ("example.dev/v1", {"hours": 1, "minutes": 30})
        assert made.annotations == {COLOR: "white"}, "the defaulter of v2 is asked of v1 too, converted"
        hub = await client.get(Alarm, "bread")
        assert (hub.api_version, hub.spec, hub.labels) == (
            "example.dev/v2",
            {"minutes": 90, "color": "white"},
            {"l": "1"},
        )
        assert (hub.uid, hub.annotations) == (made.uid, {})
        await client.patch(AlarmV1, "bread", {"spec": {"hours": 2}})
        assert (await client.get(Alarm, "bread")).spec == {"minutes": 150, "color": "white"}
        with pytest.raises(Forbidden, match=r"got 0"):
            await client.create(AlarmV1(metadata=Metadata(name="now"), spec=AlarmV1Spec()))
        rng = Random(1)
        for number in range(20):
            await client.create(alarm(f"a{number}", rng.randint(1, 5000), color=rng.choice(("blue", "ä/~ \n", "w"))))
        before = {each.name: each.spec for each in (await client.list(Alarm)).items}
        for each in (await client.list(AlarmV1)).items:
            spec = AlarmV1.from_object(each).spec
            assert spec.hours * 60 + spec.minutes == before[each.name]["minutes"]
            await client.update({**each.to_dict(), "metadata": {**each.to_dict()["metadata"], "labels": {"v": "1"}}})
        after = (await client.list(Alarm)).items
        assert {each.name: each.spec for each in after} == before
        assert all(each.labels == {"v": "1"} for each in after)


async def test_a_manager_serves_its_webhooks_before_its_caches_which_are_filled_through_them(client: Client) -> None:
    seen: dict[str, AlarmV1Spec] = {}

    class Looking(Reconciler[AlarmV1]):
        async def reconcile(self, request: Request) -> None:
            found = await self.get(request.key)
            if found is not None:
                seen[request.key.name] = found.spec

    bed = Bed(client)
    await bed.define()
    await client.create(alarm("early", 61))  # before anybody is asked
    await bed.configure()
    manager = Manager(client, webhooks=bed.server()[0])
    manager.add(Looking())
    stop = asyncio.Event()
    running = asyncio.create_task(manager.run(stop))

    async def looked() -> bool:
        return "early" in seen or running.done()

    await wait_until(looked, what="the alarm was read as v1", timeout_s=60.0)
    assert seen["early"] == AlarmV1Spec(hours=1, minutes=1)
    path = "/mutate-example-dev-v2-alarm"
    await bed.asked()
    assert manager.registry.get_sample_value(
        "controller_runtime_webhook_requests_total", {"webhook": path, "code": "200"}
    )
    stop.set()
    await running
    with pytest.raises(InternalError, match="failed calling webhook"):
        await client.create(alarm("late", 1))


async def test_the_api_server_trusts_the_webhooks_while_the_authority_is_followed_by_another(client: Client) -> None:
    bed, clock = Bed(client), At()
    await bed.define()
    await bed.configure()

    async def told_at(days: float, *, asked: bool = True) -> list[bytes]:
        """Serves as of then; the authorities that the API server was told, and the one that signed."""
        clock.days = days
        server, certificates = bed.server()
        await server.start(client, clock=clock)
        try:
            if asked:
                await bed.asked()
        finally:
            await server.stop()
        secret = await client.get(kinds.SECRET, SECRET)
        for kind in (MUTATING, VALIDATING):
            for each in (await client.get(kind, "alarms")).body["webhooks"]:
                assert each["clientConfig"]["caBundle"] == secret.body["data"]["ca.crt"]
        assert certificates.served is not None
        stored = Stored.from_data(secret.body["data"])
        return [each.certificate for each in stored.authorities if certificates.served.is_by(each)] + [
            each.certificate for each in stored.authorities
        ]

    old = (await told_at(-250, asked=False))[0]
    signer, new, *others = await told_at(-0.1)
    assert (signer, others) == (old, [old]), "the old one signs; the new one is told beside it"
    assert await told_at(-0.08) == [old, new, old], "half an hour later, too"
    assert await told_at(0) == [new, new, old]
