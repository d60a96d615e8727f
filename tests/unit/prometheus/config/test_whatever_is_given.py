"""Whatever is given to the whole way: the order does not matter, and nothing but a refusal comes of what is wrong."""

from __future__ import annotations

import copy
import json
import os
from contextlib import suppress
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operators.prometheus.config.configuration import configuration
from operators.prometheus.config.options import Options
from operators.prometheus.config.selection import SELECTORS
from operators.prometheus.tables import Assets, Rejected
from tests.unit.prometheus.goldens import case, names

EXAMPLES = int(os.environ.get("GARBAGE_EXAMPLES", "150"))
CASES = [
    name
    for folder in ("prometheus", "prometheus-extra", "prometheus-checks")
    for name in names(folder)
    if case(name)["cr"]["kind"] in ("Prometheus", "PrometheusAgent")
]
OPTIONS = st.builds(
    Options, **dict.fromkeys(("endpoint_slices", "topology_sharding", "shard_retention", "compat"), st.booleans())
)
WORDS = st.sampled_from(
    ["", "a", "__address__", "$1", "(", "30s", "1h", "0", "http://a:b", "foo", "secret", "TLS12", "é\n"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8)
KEYS = st.sampled_from(["name", "key", "secret", "configMap", "values", "operator", "matchLabels", "a"])
GARBAGE = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in places(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    changed = copy.copy(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], by)
    return changed


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """A golden in which some values are anything."""
    of = case(draw(st.sampled_from(CASES)))
    inputs = {"spec": of["cr"]["spec"], "objects": [each.get("spec") or {} for each in of["objects"]]}
    for _ in range(draw(st.integers(1, 3))):
        within = draw(st.sampled_from(places(inputs)[1:]))
        inputs = replaced(inputs, within, draw(GARBAGE))
        if not isinstance(inputs["objects"], list):
            inputs = {**inputs, "objects": []}
    selectors = {field: {} for fields in SELECTORS.values() for field in fields}
    spec = {**inputs["spec"], **selectors} if isinstance(inputs["spec"], dict) else inputs["spec"]
    return {
        **of,
        "cr": {**of["cr"], "spec": spec},
        "objects": [{**each, "spec": spec} for each, spec in zip(of["objects"], inputs["objects"], strict=False)],
    }


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(spoiled(), OPTIONS)
def test_nothing_but_a_refusal_comes_of_what_is_wrong_and_nothing_is_changed(
    of: dict[str, Any], options: Options
) -> None:
    before = json.dumps([of["cr"], of["objects"]])
    assets = Assets.of(of["secrets"], of["configmaps"])
    namespaces = {each["metadata"].get("namespace", ""): {} for each in of["objects"]}
    with suppress(Rejected):
        got = configuration(of["cr"], of["objects"], namespaces, assets, options)
        assert got.text.startswith("global:\n")
        assert set(got.rejected) <= set(got.selected)
        assert all(each.rule for each in got.rejected.values())
    assert json.dumps([of["cr"], of["objects"]]) == before


OBJECTS = [
    {**each, "metadata": {**each["metadata"], "name": f"{each['metadata']['name'].lower()}-{at}"}}
    for at, each in enumerate(each for name in CASES[::9] for each in case(name)["objects"])
]
SECRETS = list({json.dumps(each["metadata"]): each for name in CASES[::9] for each in case(name)["secrets"]}.values())
EVERYTHING = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "Prometheus",
    "metadata": {"name": "main", "namespace": "default"},
    "spec": {
        "scrapeInterval": "30s",
        "externalLabels": {"zone": "a", "region": "b", "a": "c"},
        **{field: {} for fields in SELECTORS.values() for field in fields},
    },
}


def turned(value: Any, random: Random) -> Any:
    """Mappings in another order, at every depth."""
    if isinstance(value, dict):
        return {key: turned(value[key], random) for key in random.sample(list(value), len(value))}
    return [turned(each, random) for each in value] if isinstance(value, list) else value


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1 << 32).map(Random))
def test_the_same_comes_of_the_same_in_whatever_order(random: Random) -> None:
    namespaces = sorted({each["metadata"].get("namespace", "") for each in OBJECTS})

    def written(cr: dict[str, Any], objects: list[Any], names: list[str], secrets: list[Any]) -> Any:
        got = configuration(cr, objects, {name: {} for name in names}, Assets.of(secrets), Options())
        return got.text, got.selected, {key: str(each) for key, each in got.rejected.items()}, got.tls_assets

    shuffled = [turned(each, random) for each in random.sample(OBJECTS, len(OBJECTS))]
    other = [random.sample(each, len(each)) for each in (namespaces, SECRETS)]
    assert written(turned(EVERYTHING, random), shuffled, *other) == written(EVERYTHING, OBJECTS, namespaces, SECRETS)
    assert len({each["kind"] for each in OBJECTS}) == len(SELECTORS)
