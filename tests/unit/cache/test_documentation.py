"""``docs/caches.md`` says what is cached and measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from controllerkit.cache import ALL_NAMESPACES, CacheOptions, Informers, parts_of
from controllerkit.client import Client
from controllerkit.controller import ControllerMetrics
from controllerkit.controller.settling import OWN_WRITE_WAIT_S, WAITING_REASON
from controllerkit.manager.metrics import InformerMetrics
from controllerkit.objects import kinds
from controllerkit.testing import VirtualClock
from tests.scripted import Scripted

PAGE = (Path(__file__).parents[3] / "docs" / "caches.md").read_text()


def table(header: str) -> list[list[str]]:
    """The rows under the line that begins so."""
    lines = PAGE[PAGE.index(f"| {header} |") :].splitlines()[2:]
    return [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in lines[: next(i for i, line in enumerate([*lines, ""]) if not line.startswith("|"))]
    ]


def client() -> Client:
    return Client(Scripted(VirtualClock()))


def test_the_example_caches_what_the_table_below_it_says() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"client": client()}
    exec(example, names)
    options: CacheOptions = names["options"]
    for row, kind in zip(table("of the kinds above"), (kinds.SECRET, kinds.CONFIG_MAP, kinds.POD), strict=True):
        parts = parts_of(options, kind)
        for namespace, told in zip(("web", "db", "elsewhere"), row[1:], strict=True):
            part = parts.get(namespace, parts.get(ALL_NAMESPACES))
            assert ("not cached" if part is None else part.label_selector or "everything") == told, (kind, namespace)


def test_the_metrics_are_those_of_the_page() -> None:
    registry, clock = CollectorRegistry(), VirtualClock()
    InformerMetrics(registry, Informers(client(), clock=clock), clock)
    skips = ControllerMetrics(CollectorRegistry()).stale_skips
    families = [*registry.collect(), *skips.collect()]
    told = {f"{each.name}_total" if each.type == "counter" else each.name for each in families}
    assert {row[0] for row in table("name")} == told


def test_the_words_of_the_page_are_those_of_the_code() -> None:
    assert f"`{WAITING_REASON}`" in PAGE
    assert OWN_WRITE_WAIT_S == 10.0
    assert "for ten seconds at most" in PAGE
