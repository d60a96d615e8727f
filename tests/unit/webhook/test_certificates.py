"""What is renewed when, and how the API server is told."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controllerkit.client import Client
from controllerkit.devcluster.pki import Authority
from controllerkit.errors import ConfigError
from controllerkit.objects import Key, kinds
from controllerkit.runtime import get_logger
from controllerkit.testing import VirtualClock
from controllerkit.webhook import FileCertificates, MadeCertificates, WebhookServer
from controllerkit.webhook.certificates import AUTHORITY_LIFE, OVERLAP, SERVING_LIFE, Stored, renewal, renewed
from controllerkit.webhook.injection import injected
from controllerkit.webhook.signing import Pair, issue_authority, issue_serving
from controllerkit.wire import CertWatcher
from controllerkit.wire.certs import POLL_S

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("hooks.shop.svc", "127.0.0.1")
DAY = timedelta(days=1)


def test_at_first_an_authority_and_a_certificate_of_it_are_made() -> None:
    stored = renewed(Stored(), NAMES, NOW)
    assert stored.serving is not None
    assert [each.begins for each in stored.authorities] == [NOW]
    assert stored.serving.is_by(stored.authorities[0])
    assert stored.serving.is_for(NAMES)
    assert stored.authorities[0].ends - NOW == AUTHORITY_LIFE
    assert stored.serving.ends - NOW == SERVING_LIFE
    assert renewed(stored, NAMES, NOW) is stored


@pytest.mark.parametrize(
    ("names", "age", "serving", "authority"),
    [
        (NAMES, 59 * DAY, False, False),
        (NAMES, 60 * DAY, True, False),
        (NAMES[:1], DAY, False, False),
        ((*NAMES, "other.svc"), DAY, True, False),
        (NAMES, 244 * DAY, True, True),
        (NAMES, 366 * DAY, True, True),
    ],
    ids=["young", "two thirds", "fewer names", "another name", "authority two thirds", "all ended"],
)
def test_what_is_old_or_lacks_a_name_is_renewed(
    names: tuple[str, ...], age: timedelta, serving: bool, authority: bool
) -> None:
    todo = renewal(renewed(Stored(), NAMES, NOW), names, NOW + age)
    assert (todo.serving, todo.authority, todo.needed) == (serving, authority, serving or authority)


def test_a_new_authority_is_told_before_it_signs_and_the_old_one_until_it_ends() -> None:
    now = NOW + 244 * DAY
    first = issue_authority(NOW, AUTHORITY_LIFE)
    stored = Stored((first,), issue_serving(first, NAMES, now, SERVING_LIFE))
    told = renewed(stored, NAMES, now)
    assert told.serving is stored.serving
    assert (len(told.authorities), told.authorities[1]) == (2, first)
    assert told.bundle == told.authorities[0].certificate + first.certificate
    assert timedelta(hours=1) == OVERLAP
    assert renewed(told, NAMES, now + timedelta(minutes=59)) is told
    signing = renewed(told, NAMES, now + OVERLAP)
    assert signing.serving is not None
    assert signing.serving.is_by(told.authorities[0])
    assert signing.authorities == told.authorities
    ended = renewed(signing, NAMES, NOW + AUTHORITY_LIFE)
    assert first not in ended.authorities


def test_a_replica_whose_clock_lags_does_not_make_another() -> None:
    stored = renewed(Stored(), NAMES, NOW)
    assert renewed(stored, NAMES, NOW - timedelta(minutes=4)) is stored
    early = renewal(stored, NAMES, NOW - timedelta(minutes=6))
    assert (early.keep, early.authority, early.serving) == ((), True, True), "nobody takes what is not valid yet"


def test_replicas_with_different_names_do_not_take_turns() -> None:
    one, two = ("old.svc",), ("new.svc", "::1")
    both = renewed(renewed(Stored(), one, NOW), two, NOW)
    assert both.serving is not None
    assert both.serving.names == ("new.svc", "old.svc", "::1")
    assert renewed(both, one, NOW) is renewed(both, two, NOW) is both
    later = renewed(both, two, NOW + 60 * DAY)
    assert later.serving is not None
    assert later.serving.names == two, "what nobody asks for any more goes with the next one"


def test_no_serving_certificate_outlives_its_authority() -> None:
    first = issue_authority(NOW, 10 * DAY)
    made = renewed(Stored((first,)), NAMES, NOW + DAY)
    assert made.serving is not None
    assert made.serving.ends == first.ends


def test_what_is_stored_comes_back_and_what_cannot_be_read_is_made_anew() -> None:
    stored = renewed(Stored((issue_authority(NOW, 300 * DAY), issue_authority(NOW, 9 * DAY))), NAMES, NOW)
    data = stored.to_data()
    assert sorted(data) == ["ca.crt", "ca.key", "tls.crt", "tls.key"]
    assert Stored.from_data(data) == stored
    assert Stored.from_data({}) == Stored()
    assert Stored.from_data({**data, "ca.key": data["tls.key"]}) == Stored()
    assert Stored.from_data({**data, "tls.key": data["ca.key"]}) == Stored()
    assert Stored.from_data({**data, "tls.crt": "?"}) == Stored()
    broken = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").decode()
    assert Stored.from_data({**data, "tls.crt": broken}) == Stored()


def test_the_bundle_goes_into_every_webhook_and_into_a_definition_that_converts_by_one() -> None:
    hooks: dict[str, Any] = {"webhooks": [{"name": "a", "clientConfig": {"url": "https://a"}}, {"name": "b"}]}
    told = injected(hooks, b"pem")
    assert told == {
        "webhooks": [
            {"name": "a", "clientConfig": {"url": "https://a", "caBundle": "cGVt"}},
            {"name": "b", "clientConfig": {"caBundle": "cGVt"}},
        ]
    }
    assert injected(told, b"pem") is None
    definition: dict[str, Any] = {"spec": {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {}}}}}
    assert injected(definition, b"pem") == {
        "spec": {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"caBundle": "cGVt"}}}}
    }
    assert injected({"spec": {"conversion": {"strategy": "None"}}}, b"pem") is None


def made(**more: Any) -> MadeCertificates:
    return MadeCertificates(secret=Key("default", "hooks-tls"), names=NAMES, **more)


async def test_replicas_share_what_the_first_made_and_follow_when_it_is_renewed(client: Client) -> None:
    clock = VirtualClock()
    one, two = made(), made()
    await one.start(client, clock, get_logger())
    await two.start(client, clock, get_logger())
    first = one.served
    assert first is not None
    assert two.served == first
    await clock.advance(SERVING_LIFE.total_seconds() * 0.7)
    await two.refresh()
    assert two.served not in (None, first)
    await one.refresh()
    assert one.served == two.served


async def test_a_replica_that_is_outrun_takes_what_the_other_wrote(client: Client) -> None:
    clock = VirtualClock()
    one, two = made(), made()
    read = one._read

    async def outrun() -> Any:
        found = await read()
        if found is None:
            await two.start(client, clock, get_logger())
        return found

    one._read = outrun  # type: ignore[method-assign]
    await one.start(client, clock, get_logger())
    assert one.served is not None
    assert one.served == two.served


SITES = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "sites.example.dev"},
    "spec": {
        "group": "example.dev",
        "scope": "Namespaced",
        "names": {"plural": "sites", "singular": "site", "kind": "Site"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
        "conversion": {
            "strategy": "Webhook",
            "webhook": {"clientConfig": {"url": "https://127.0.0.1:1/"}, "conversionReviewVersions": ["v1"]},
        },
    },
}


async def test_the_api_server_is_told_at_the_start_and_told_again_what_it_forgot(client: Client) -> None:
    certificates = made(definitions=("sites.example.dev", "others.example.dev"))
    await certificates.start(client, VirtualClock(), get_logger())
    await client.create(SITES)

    async def told() -> bytes:
        found = await client.get(kinds.CUSTOM_RESOURCE_DEFINITION, "sites.example.dev")
        return base64.b64decode(found.spec["conversion"]["webhook"]["clientConfig"].get("caBundle", ""))

    assert await told() == b""
    await certificates.refresh()
    secret = await client.get(kinds.SECRET, "hooks-tls")
    assert await told() == base64.b64decode(secret.body["data"]["ca.crt"]) != b""


async def test_a_definition_that_the_server_writes_meanwhile_is_told_at_once(client: Client) -> None:
    kind, name = kinds.CUSTOM_RESOURCE_DEFINITION, "sites.example.dev"
    await client.create(SITES)
    get, meanwhile = client.get, iter(("1", "2"))

    async def outrun(*args: Any, **kwargs: Any) -> Any:
        found = await get(*args, **kwargs)
        if args[0] == kind and (text := next(meanwhile, "")):
            await client.patch(kind, name, {"metadata": {"labels": {"outrun": text}}})
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "get", outrun)
        await made(definitions=(name,)).start(client, VirtualClock(), get_logger())
    found = await client.get(kind, name)
    secret = await client.get(kinds.SECRET, "hooks-tls")
    assert found.spec["conversion"]["webhook"]["clientConfig"]["caBundle"] == secret.body["data"]["ca.crt"]
    assert found.labels == {"outrun": "2"}


async def test_certificates_of_files_are_read_again_and_counted_beside_those_of_others(
    tmp_path: Path, client: Client
) -> None:
    clock, registry = VirtualClock(), CollectorRegistry()
    files = Authority.create("a").issue("a", names=["localhost"]).write(tmp_path, "tls")
    other = CertWatcher(*files, clock=clock, registry=registry, log=get_logger())
    server = WebhookServer(FileCertificates(*files), host="127.0.0.1", port=0)
    await server.start(client, registry=registry, clock=clock)
    try:
        Authority.create("b").issue("b", names=["localhost"]).write(tmp_path, "tls")
        assert other.refresh()
        await clock.advance(POLL_S)

        def counted(name: str) -> float | None:
            return registry.get_sample_value(f"certwatcher_read_certificate{name}_total")

        assert (counted(""), counted("_errors")) == (4.0, 0.0), "two at the start, two of the new one"
        files[0].write_text("nothing")
        await clock.advance(POLL_S)
        assert (counted(""), counted("_errors")) == (5.0, 1.0)
    finally:
        await server.stop()


async def test_certificates_of_files_are_used_as_they_are(tmp_path: Path, client: Client) -> None:
    files = Authority.create("a").issue("a", names=["localhost"]).write(tmp_path, "tls")
    certificates = FileCertificates(*files)
    await certificates.start(client, VirtualClock(), get_logger())
    assert certificates.context.minimum_version is ssl.TLSVersion.TLSv1_2
    with pytest.raises(ConfigError, match="cannot serve TLS with"):
        await FileCertificates(tmp_path / "gone", files[1]).start(client, VirtualClock(), get_logger())
    with pytest.raises(ConfigError, match="needs the names by which it is called"):
        MadeCertificates(secret=Key("default", "a"), names=())


def test_keys_are_not_shown() -> None:
    assert b"PRIVATE" not in repr(Pair(b"c", b"PRIVATE")).encode()
