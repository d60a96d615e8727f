"""Rule files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from operators.prometheus.rules import Format, rule_file
from operators.prometheus.tables import Version

__all__ = ["FUNCTIONS"]


def _rule_file(case: Mapping[str, Any]) -> str:
    extra = case.get("extra") or {}
    version = Version.parse(extra["version"])
    format_ = Format("thanos" if extra.get("format") == "thanos" else "prometheus", version)
    return rule_file(case["objects"][0].get("spec") or {}, format_)


FUNCTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {"generateRulesConfiguration": _rule_file}
