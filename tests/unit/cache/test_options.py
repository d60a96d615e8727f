"""What is cached, as declared: precedence by a table, and namespaces, selectors and transforms on a server."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from controllerkit import Manager, Reconciler, Request, Result
from controllerkit.cache import (
    ALL_NAMESPACES,
    CachedKind,
    CacheOptions,
    CachePart,
    Handler,
    Informers,
    parts_of,
)
from controllerkit.client import Client, KindLike
from controllerkit.errors import ConfigError, DeadlineExceeded
from controllerkit.objects import Key, Object, kinds
from controllerkit.testing import VirtualClock, settle
from tests.scripted import Scripted
from tests.unit.cache.test_informers import config_map, emptied, started, until, version
from tests.unit.conftest import Website
from tests.unit.controller.running import running

EVERYTHING: Mapping[str, CachePart] = {ALL_NAMESPACES: CachePart()}


def upper(value: Object) -> Object:
    return value


def lower(value: Object) -> Object:
    return value


def labels(text: str) -> CachePart:
    return CachePart(label_selector=text)


def of(kind: CachedKind, **options: Any) -> CacheOptions:
    return CacheOptions(kinds={kinds.SECRET: kind}, **options)


@pytest.mark.parity("2.5/cache-defaulting", "1b/selectors")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (CacheOptions(), EVERYTHING),
        (CacheOptions(label_selector="d=1"), {"": labels("d=1")}),
        (CacheOptions(namespaces=("a", "b"), label_selector="d=1"), {"a": labels("d=1"), "b": labels("d=1")}),
        (
            CacheOptions(namespaces={"a": labels("n=1"), "b": CachePart()}, label_selector="d=1"),
            {"a": labels("n=1"), "b": labels("d=1")},
        ),
        (of(CachedKind(label_selector="k=1"), label_selector="d=1"), {"": labels("k=1")}),
        (of(CachedKind(label_selector="k=1"), namespaces={"a": labels("n=1")}), {"a": labels("k=1")}),
        (of(CachedKind(label_selector=""), label_selector="d=1"), {"": labels("")}),
        (
            of(CachedKind(label_selector="k=1", namespaces={"a": labels("kn=1"), "c": CachePart()}), namespaces=("b",)),
            {"a": labels("kn=1"), "c": labels("k=1")},
        ),
        (
            of(
                CachedKind(namespaces={"a": CachePart(), "b": CachePart(field_selector="metadata.name=x")}),
                namespaces={"a": labels("n=1")},
                transform=upper,
            ),
            {
                "a": CachePart(label_selector="n=1", transform=upper),
                "b": CachePart(field_selector="metadata.name=x", transform=upper),
            },
        ),
        (
            of(CachedKind(transform=lower), transform=upper, label_selector="d=1"),
            {"": CachePart(label_selector="d=1", transform=lower)},
        ),
        (of(CachedKind(namespaces=()), namespaces=("a",)), EVERYTHING),
    ],
    ids=[
        "nothing said",
        "for all",
        "namespaces, with what is for all",
        "the namespace before what is for all",
        "the kind before what is for all",
        "the kind before the namespace",
        "the kind says everything",
        "the kind's namespace before the kind",
        "each attribute from where it is said",
        "a transform of the kind",
        "all namespaces of the kind",
    ],
)
def test_the_nearest_that_says_something_counts(options: CacheOptions, expected: Mapping[str, CachePart]) -> None:
    assert parts_of(options, kinds.SECRET) == expected


@pytest.mark.parity("2.5/cache-all-namespaces-except")
def test_all_namespaces_beside_others_are_all_but_those() -> None:
    options = CacheOptions(
        namespaces={ALL_NAMESPACES: CachePart(field_selector="type=Opaque"), "b": CachePart(), "a": labels("x=1")}
    )
    assert parts_of(options, kinds.SECRET) == {
        "": CachePart(field_selector="metadata.namespace!=a,metadata.namespace!=b,type=Opaque"),
        "b": CachePart(),
        "a": labels("x=1"),
    }


@pytest.mark.parity("2.5/cache-namespaces-of-a-cluster-scoped-kind")
def test_a_kind_without_namespaces_is_cached_whole_and_cannot_be_given_any() -> None:
    options = CacheOptions(namespaces={"a": labels("n=1")}, label_selector="d=1")
    assert parts_of(options, kinds.NODE) == {"": labels("d=1")}
    with pytest.raises(ConfigError, match=r"Node\.v1 has no namespaces"):
        parts_of(CacheOptions(kinds={kinds.NODE: CachedKind(namespaces=("a",))}), kinds.NODE)


@pytest.mark.parametrize("named", [Website, Website.resource_kind(), Website.resource_kind().gvk])
def test_a_kind_is_named_as_everywhere(named: KindLike) -> None:
    options = CacheOptions(kinds={named: CachedKind(label_selector="k=1")})
    assert parts_of(options, Website.resource_kind()) == {"": labels("k=1")}
    assert parts_of(options, kinds.SECRET) == EVERYTHING


@pytest.mark.parametrize(
    "wrong", [{"label_selector": "a in x"}, {"label_selector": "a=b=c"}, {"field_selector": "metadata.name"}]
)
@pytest.mark.parametrize("made", [CachePart, CachedKind, CacheOptions])
def test_a_selector_that_cannot_be_read_is_refused_at_once(made: type[CachePart], wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="a cache cannot select by that: "):
        made(**wrong)  # type: ignore[arg-type]


@pytest.mark.parity("2.5/cache-defaulting-race")
def test_resolving_changes_nothing() -> None:
    options = of(CachedKind(namespaces={"a": CachePart()}), namespaces={"a": labels("n=1"), "": CachePart()})
    before = pickle.dumps(options)
    first = parts_of(options, kinds.SECRET)
    assert (parts_of(options, kinds.SECRET), pickle.dumps(options)) == (first, before)


# -- on a server ------------------------------------------------------------------------------------------------------


PARTS = "of=parts"


async def filled(client: Client) -> Client:
    await emptied(client, "one", "two", "three")
    for namespace in ("one", "two", "three"):
        for name, app in (("a", "x"), ("b", "y")):
            await client.create(config_map(name, namespace, of="parts", app=app))
    return client


@pytest.mark.parity("2.5/cache-namespaces", "1b/multi-namespace")
async def test_several_namespaces_are_one_cache_and_no_other_is_in_it(client: Client) -> None:
    await filled(client)
    heard: list[str] = []
    options = CacheOptions(namespaces=("one", "two"), label_selector=PARTS)
    informers = Informers(client, options=options)
    informer = await informers.declare(kinds.CONFIG_MAP)
    assert await informers.declare(kinds.CONFIG_MAP) is informer
    registration = informer.add_handler(
        Handler(
            on_add=lambda value, initial: heard.append(f"add {value.key} {initial}"),
            on_delete=lambda value: heard.append(f"delete {value.key}"),
        )
    )
    informer.add_index("app", lambda value: [value.labels.get("app", "")])
    assert not registration.has_synced
    async with started(informers):
        await registration.wait_synced(timeout_s=10.0)
        assert (registration.has_synced, informer.has_synced) == (True, True)
        assert sorted(heard) == [f"add {namespace}/{name} True" for namespace in ("one", "two") for name in "ab"]
        reader = informers.reader(kinds.CONFIG_MAP)
        assert sorted(str(value.key) for value in reader.list()) == ["one/a", "one/b", "two/a", "two/b"]
        assert [value.name for value in reader.list("two", label_selector="app=y")] == ["b"]
        assert reader.list("three") == []
        assert [str(value.key) for value in reader.by_index("app", "x")] == ["one/a", "two/a"]
        assert reader.get(Key("three", "a")) is None
        assert (len(informer.store), Key("one", "a") in informer.store) == (4, True)
        assert sorted(informer.store.keys()) == sorted(value.key for value in informer.store)
        assert informer.store.bytes == sum(len(value.raw) for value in informer.store)
        heard.clear()
        await client.delete(kinds.CONFIG_MAP, "a", "one")
        await client.delete(kinds.CONFIG_MAP, "a", "three")
        assert reader.get(Key("one", "a")) is None, "an own write is read next"
        created = await client.create(config_map("c", "two", of="parts"))
        assert version(reader.get(created.key)) == created.resource_version
        await until(lambda: len(heard) == 2, "the deletion and the addition")
        assert sorted(heard) == ["add two/c False", "delete one/a"]
        registration.remove()
        await client.delete(kinds.CONFIG_MAP, "c", "two")
        await until(lambda: len(informer.store) == 3, "the deletion")
        assert len(heard) == 2
        await until(lambda: len(informers.overlay) == 0, "the overlay lets go")
    await informers.remove(kinds.CONFIG_MAP)
    assert list(informers) == []


@pytest.mark.parity("2.5/cache-selectors", "2.5/cache-all-namespaces-except", "1b/selectors", "1b/transform")
async def test_each_namespace_has_its_own_selection_and_all_others_theirs(client: Client) -> None:
    await filled(client)

    def marked(value: Object) -> Object:
        body = value.to_dict()
        body["metadata"]["annotations"] = {"seen": "yes"}
        return Object.from_dict(body)

    options = CacheOptions(
        kinds={
            kinds.CONFIG_MAP: CachedKind(
                label_selector=PARTS,
                namespaces={
                    "one": CachePart(label_selector="of=parts,app=x"),
                    "two": CachePart(field_selector="metadata.name=b", transform=marked),
                    ALL_NAMESPACES: CachePart(label_selector="of=parts,app in (x,y)"),
                },
            )
        }
    )
    informers = Informers(client, options=options)
    await informers.declare(kinds.CONFIG_MAP)
    narrower = await informers.declare(kinds.CONFIG_MAP, label_selector="app=y")
    async with started(informers):
        found = {str(value.key): value.annotations.get("seen") for value in informers.reader(kinds.CONFIG_MAP).list()}
        assert found == {"one/a": None, "two/b": "yes", "three/a": None, "three/b": None}
        assert sorted(str(value.key) for value in narrower.store) == ["three/b", "two/b"], "both selections must match"


@pytest.mark.parity("2.5/cache-namespaces")
async def test_nothing_is_asked_of_the_server_beyond_the_namespaces() -> None:
    clock = VirtualClock()
    script = Scripted(clock)
    informers = Informers(Client(script), options=CacheOptions(namespaces=("one", "two")), clock=clock)
    await informers.declare(kinds.SECRET)
    informers.start()
    await settle()
    assert sorted({urlsplit(each.request.path).path for each in script.asked}) == [
        "/api/v1/namespaces/one/secrets",
        "/api/v1/namespaces/two/secrets",
    ]
    assert [each.name for each in informers] == ["Secret.v1 in one", "Secret.v1 in two"]
    with pytest.raises(DeadlineExceeded, match=r"Secret\.v1 in one did not sync"):
        await informers.wait_synced(timeout_s=0.001)
    await informers.stop()


@pytest.mark.parity("1b/multi-namespace")
async def test_a_manager_takes_the_options_or_one_namespace(websites: Client) -> None:
    await filled(websites)
    seen: list[str] = []

    class Maps(Reconciler[Object]):
        kind = kinds.CONFIG_MAP
        name = "maps"

        async def reconcile(self, request: Request) -> Result | None:
            found = self.list(kinds.CONFIG_MAP, request.key.namespace, label_selector="app=x")
            seen.append(f"{request.key.namespace} {[value.name for value in found]}")
            return None

    labelled = CacheOptions(namespaces=("one", "two"), label_selector=PARTS)
    for options, namespaces in ((labelled, {"one", "two"}), (None, {"three"})):
        given: dict[str, Any] = {"caches": options} if options else {"namespace": "three"}
        seen.clear()
        async with running(websites, Maps(), **given) as manager:
            await until(lambda: len(seen) >= 2 * len(namespaces), "every object")  # noqa: B023 - it ends here
            assert set(seen) >= {f"{namespace} ['a']" for namespace in namespaces}
            assert {each.namespace for each in manager.informers} == namespaces
    with pytest.raises(ConfigError, match="either caches"):
        Manager(websites, caches=labelled, namespace="one")
