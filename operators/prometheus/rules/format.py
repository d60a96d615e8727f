"""A rule file made of a PrometheusRule, for Prometheus or Thanos Ruler of a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from operators.prometheus.rules.check import check_rule
from operators.prometheus.tables import OMIT, Field, Rejected, Scope, Table, Version, to_yaml

__all__ = ["FILE_SIZE_MAX", "Format", "rule_file"]

FILE_SIZE_MAX: Final = 512 * 1024
"""Bytes of one rule file, half of what a ConfigMap holds: prometheus-operator's ``MaxConfigMapDataSize``."""


@dataclass(frozen=True, slots=True)
class Format:
    """Who reads the file."""

    program: Literal["prometheus", "thanos"]
    version: Version

    @property
    def utf8_names(self) -> bool:
        """Whether names may hold any character."""
        return self.version.at_least("3.0.0" if self.program == "prometheus" else "0.38.0")


def _given(value: Any, scope: Scope) -> Any:
    """Pointers of the API are written even if they are empty."""
    return OMIT if value is None else value


def _mapping(value: Any, scope: Scope) -> Any:
    return dict(sorted(value.items())) if isinstance(value, Mapping) and value else OMIT


def _listed(table: Table) -> Any:
    def made(value: Any, scope: Scope) -> Any:
        return [table.of(each, scope) for each in value] or OMIT

    return made


_RULE: Final = Table(
    Field("alert"),
    Field("annotations", make=_mapping),
    Field("expr", make=_given),
    Field("for", make=_given),
    Field("keep_firing_for"),
    Field("labels", make=_mapping),
    Field("record"),
)
_KEEP_FIRING: Final = {"prometheus": "2.42.0", "thanos": "0.34.0"}
_GROUP_SINCE: Final[Mapping[str, Mapping[str, str]]] = {
    "limit": {"prometheus": "2.31.0", "thanos": "0.24.0"},
    "query_offset": {"prometheus": "2.53.0", "thanos": "0.38.0"},
    "labels": {"prometheus": "3.0.0", "thanos": "0.39.0"},
}


def _file(program: str) -> Table:
    """The table of one program: fields it does not know yet are dropped."""
    rule = Table(
        *(
            Field(row.key, make=row.make, since=_KEEP_FIRING[program])
            if isinstance(row, Field) and row.key == "keep_firing_for"
            else row
            for row in _RULE.rows
        )
    )
    strategy = [Field("partial_response_strategy")] if program == "thanos" else []
    group = Table(
        Field("interval", make=_given),
        Field("labels", make=_mapping, since=_GROUP_SINCE["labels"][program]),
        Field("limit", make=_given, since=_GROUP_SINCE["limit"][program]),
        Field("name"),
        *strategy,
        Field("query_offset", make=_given, since=_GROUP_SINCE["query_offset"][program]),
        Field("rules", make=_listed(rule)),
    )
    return Table(Field("groups", make=_listed(group)))


_FILES: Final[Mapping[str, Table]] = {program: _file(program) for program in ("prometheus", "thanos")}


def rule_file(spec: Mapping[str, Any], format: Format, dropped: list[str] | None = None) -> str:  # noqa: A002
    """``spec`` of a PrometheusRule as the text of a rule file.

    Args:
        dropped: filled with one line for each field that the version does not know.
    Raises:
        Rejected: as `check_rule`; or the text is larger than `FILE_SIZE_MAX`.
    """
    check_rule(spec, utf8_names=format.utf8_names)
    scope = Scope(format.version, dropped=[] if dropped is None else dropped)
    text = to_yaml(_FILES[format.program].of(spec, scope))
    size = len(text.encode(errors="surrogatepass"))
    if size > FILE_SIZE_MAX:
        raise Rejected(f"the rule file has {size} bytes, {FILE_SIZE_MAX} are allowed; split the object", "spec.groups")
    return text
