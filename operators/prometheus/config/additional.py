"""What users write in YAML of their own and have put into the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.prometheus.config.sharding import is_hashed, sharding, shards
from operators.prometheus.tables import Rejected, Scope
from operators.prometheus.tables.load import from_yaml

__all__ = ["additional_scrape_configs", "yaml_list"]


def yaml_list(text: str | None, field: str) -> list[dict[str, Any]]:
    """The mappings of a YAML list; none for None or an empty text.

    Raises:
        Rejected: of ``field``: it is something else.
    """
    try:
        found = from_yaml(text) if text else None
    except Rejected as refused:
        raise refused.at(field) from None
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Rejected("is no list of mappings; each begins with a dash", field)
    return found


def additional_scrape_configs(text: str | None, spec: Mapping[str, Any], scope: Scope) -> list[dict[str, Any]]:
    """The jobs of ``spec.additionalScrapeConfigs``, each for the shard that its targets belong to, unless a job spreads
    them itself or there is one shard only.

    Raises:
        Rejected: the text is no list of jobs.
    """
    found = yaml_list(text, "spec.additionalScrapeConfigs")
    if scope.options.daemon_set or shards(spec) == 1:
        return found
    return [_sharded(job, at, spec, scope) for at, job in enumerate(found)]


def _sharded(job: Mapping[str, Any], at: int, spec: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    own = job.get("relabel_configs", [])
    if not isinstance(own, list) or not all(isinstance(each, dict) for each in own):
        raise Rejected("is no list of mappings", f"spec.additionalScrapeConfigs[{at}].relabel_configs")
    rest = {key: value for key, value in job.items() if key != "relabel_configs"}
    return {**rest, "relabel_configs": own if is_hashed(own) else [*own, *sharding("__address__", spec, scope)]}
