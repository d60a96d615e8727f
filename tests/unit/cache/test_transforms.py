"""Fields that are dropped before an object is cached."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllerkit.cache import LAST_APPLIED, CachedKind, CacheOptions, Informers, Without
from controllerkit.client import Client
from controllerkit.errors import ConfigError
from controllerkit.objects import Key, Object, kinds
from tests.unit.cache.test_informers import config_map, started

BODY: dict[str, Any] = {
    "kind": "Secret",
    "apiVersion": "v1",
    "metadata": {"name": "a", "annotations": {LAST_APPLIED[-1]: "{}", "other": "1"}, "labels": None},
    "data": {"x": "eA=="},
    "list": [{"data": 1}],
}


@pytest.mark.parametrize(
    ("fields", "gone"),
    [
        (["data"], [("data",)]),
        ([LAST_APPLIED], [LAST_APPLIED]),
        (["data", LAST_APPLIED, "list"], [("data",), LAST_APPLIED, ("list",)]),
        ([("data", "x"), "data"], [("data",)]),
        (["missing", ("metadata", "labels", "x"), ("list", "data"), ("data", "x", "y")], []),
    ],
    ids=["one", "by path", "several", "a path within another", "what is not there"],
)
def test_the_named_fields_go_and_all_else_stays(fields: list[Any], gone: list[tuple[str, ...]]) -> None:
    expected = copy.deepcopy(BODY)
    for path in gone:
        at = expected
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]
    value = Object.from_dict(BODY)
    made = Without(*fields)(value)
    assert made.to_dict() == expected
    assert (made is value) is (not gone), "what has none of the fields stays the same object"
    assert Without(*fields)(made) is made, "the same for its own result"
    assert (made.key, made.kind, made.api_version) == (value.key, "Secret", "v1")


NAMES = st.sampled_from(["a", "b", "c"])
LEAVES: st.SearchStrategy[Any] = st.none() | st.integers(0, 9)
INNER: st.SearchStrategy[Any] = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(NAMES, LEAVES, max_size=3)
TREES: st.SearchStrategy[Any] = INNER | st.dictionaries(NAMES, INNER, max_size=3)


def pruned(value: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(value, dict) or path[0] not in value:
        return value
    rest = {name: each for name, each in value.items() if name != path[0]}
    return rest if len(path) == 1 else {**rest, path[0]: pruned(value[path[0]], path[1:])}


@given(st.dictionaries(NAMES, TREES, max_size=3), st.lists(NAMES, min_size=1, max_size=3).map(tuple))
def test_dropping_by_bytes_is_dropping_by_dictionaries(fields: dict[str, Any], path: tuple[str, ...]) -> None:
    body = {"metadata": {"name": "x"}, **fields}
    made = Without(path)(Object.from_bytes(Object.from_dict(body).raw))
    assert {k: v for k, v in made.to_dict().items() if k not in ("kind", "apiVersion")} == pruned(body, path)


@pytest.mark.parametrize("fields", [(), ("",), ((),), (("metadata", ""),)])
def test_nothing_to_drop_is_refused(fields: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError, match="needs fields to drop"):
        Without(*fields)


@pytest.mark.parametrize("field", ["metadata", "kind", ("metadata", "uid"), ("metadata", "resourceVersion")])
def test_what_a_cache_needs_cannot_be_dropped(field: Any) -> None:
    with pytest.raises(ConfigError, match="a cache needs"):
        Without("data", field)


@pytest.mark.parity("1b/transform")
async def test_what_was_dropped_takes_no_memory_and_two_who_drop_the_same_share_a_cache(client: Client) -> None:
    await client.create(config_map("big", data={"x": "y" * 10_000}))
    informers = Informers(client, options=CacheOptions(kinds={kinds.CONFIG_MAP: CachedKind(transform=Without("data"))}))
    informer = await informers.declare(kinds.CONFIG_MAP, label_selector="of=these")
    one = await informers.declare(kinds.CONFIG_MAP, label_selector="of", transform=Without("data", LAST_APPLIED))
    assert (
        await informers.declare(kinds.CONFIG_MAP, label_selector="of", transform=Without(LAST_APPLIED, "data")) is one
    )
    async with started(informers):
        kept = informer.store.get(Key("default", "big"))
        assert kept is not None
        assert kept.get("data") is None
        assert informer.store.bytes < 1_000
        await client.patch(kinds.CONFIG_MAP, "big", {"data": {"z": "1"}}, "default")
        read = informers.reader(kinds.CONFIG_MAP).get(Key("default", "big"))
        assert read is not None
        assert read.resource_version > kept.resource_version
        assert read.get("data") is None, "an own write has the fields that the cache will have"
