"""Configurations of Alertmanager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from operators.prometheus.alertmanager.options import Options
from operators.prometheus.alertmanager.reading import read_yaml
from operators.prometheus.alertmanager.sanitize import SECTIONS, sanitize
from operators.prometheus.tables import Scope, Version, to_yaml

__all__ = ["FUNCTIONS"]

_OPTIONS = Options(compat=True)


def _sanitize(case: Mapping[str, Any]) -> str:
    extra = case["extra"]
    scope = Scope(Version.parse(extra["version"]), options=_OPTIONS)
    return to_yaml(sanitize(read_yaml(extra["input"]), scope, SECTIONS[extra["type"]]))


FUNCTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {"sanitize": _sanitize}
