"""Configurations of Alertmanager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["FUNCTIONS"]

FUNCTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {}
