"""Configurations of Prometheus, server and agent, and the checks of what is selected for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["FUNCTIONS"]

FUNCTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {}
