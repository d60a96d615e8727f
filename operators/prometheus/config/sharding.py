"""Which of a Prometheus' shards scrapes a target: by a hash of its address, in the zone of the target if asked for.

``$(SHARD)``, ``$(TOPOLOGY_ZONE)`` and ``$(INZONE_SHARD)`` are filled in in each Pod, so that all shards have one file.
A label ``__tmp_disable_sharding`` on a target makes every shard scrape it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.tables import Scope
from operators.prometheus.tables.reading import entries, mapping, number

__all__ = ["is_hashed", "is_zoned", "sharding", "shards", "zones"]

HASH: Final = "__tmp_hash"
ZONE: Final = "__tmp_topology"
EVERYWHERE: Final = "__tmp_disable_sharding"
CURRENT: Final = "__tmp_current_shard"
_ZONE_OF: Final = "label_topology_kubernetes_io_zone", "labelpresent_topology_kubernetes_io_zone"


def shards(cr_spec: Mapping[str, Any]) -> int:
    """How many there are, at least one."""
    return max(1, number(cr_spec.get("shards")))


def zones(cr_spec: Mapping[str, Any]) -> list[Any]:
    """The zones that shards are spread over."""
    return entries(mapping(mapping(cr_spec.get("shardingStrategy")).get("topology")).get("values"))


def is_zoned(cr_spec: Mapping[str, Any], scope: Scope) -> bool:
    """Whether each shard scrapes its own zone only."""
    return scope.options.topology_sharding and mapping(cr_spec.get("shardingStrategy")).get("mode") == "Topology"


def is_hashed(relabelings: list[dict[str, Any]]) -> bool:
    """Whether targets are spread by entries of the user's own."""
    return any(mapping(entry).get("action") == "hashmod" for entry in relabelings)


def sharding(address: str, cr_spec: Mapping[str, Any], scope: Scope) -> list[dict[str, Any]]:
    """The entries behind all others of a job; ``address`` is the label that is hashed unless ``__tmp_hash`` is set."""
    zoned = is_zoned(cr_spec, scope)
    modulus = max(1, shards(cr_spec) // max(1, len(zones(cr_spec)))) if zoned else shards(cr_spec)
    return [
        *(_current(shards(cr_spec)) if scope.options.shard_retention else ()),
        *(_zone(scope) if zoned else ()),
        _set([address, HASH], HASH, "(.+);"),
        {"source_labels": [HASH], "target_label": HASH, "modulus": modulus, "action": "hashmod"},
        _keep([HASH, EVERYWHERE], f"$({'INZONE_SHARD' if zoned else 'SHARD'});|.+;.+"),
    ]


def _current(count: int) -> list[dict[str, Any]]:
    """Nothing is scraped by a shard that is kept only for what it has stored."""
    return [
        {"target_label": CURRENT, "replacement": "$(SHARD)", "action": "replace"},
        _keep([CURRENT], "|".join(map(str, range(count)))),
    ]


def _zone(scope: Scope) -> list[dict[str, Any]]:
    of = "pod" if scope.options.pod_topology_labels else "node"
    return [
        _set(["__meta_kubernetes_endpointslice_endpoint_zone", ZONE], ZONE, "(.+);"),
        _set([*(f"__meta_kubernetes_{of}_{label}" for label in _ZONE_OF), ZONE], ZONE, "(.+);true;"),
        _keep([ZONE, EVERYWHERE], "$(TOPOLOGY_ZONE);|.+;.+"),
    ]


def _set(sources: list[str], target: str, regex: str) -> dict[str, Any]:
    return {"source_labels": sources, "target_label": target, "regex": regex, "replacement": "$1", "action": "replace"}


def _keep(sources: list[str], regex: str) -> dict[str, Any]:
    return {"source_labels": sources, "regex": regex, "action": "keep"}
