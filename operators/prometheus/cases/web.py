"""Web and cluster TLS configurations, and the remote-write configuration of Thanos Ruler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["FUNCTIONS"]

FUNCTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {}
