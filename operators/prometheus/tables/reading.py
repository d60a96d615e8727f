"""Values of objects as what they should be, whatever they are: what is of another type counts as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["entries", "mapping", "number", "text", "whole"]


def mapping(value: Any) -> Mapping[str, Any]:
    """The mapping, or an empty one."""
    # Nearly all are dicts, and asking an abstract class costs ten times as much.
    return value if type(value) is dict or isinstance(value, Mapping) else {}


def entries(value: Any) -> list[Any]:
    """The list, or an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """The text, or ""."""
    return value if isinstance(value, str) else ""


def number(value: Any) -> int:
    """The whole number, or 0."""
    return value if type(value) is int else 0


def whole(value: Any) -> int | None:
    """The whole number, or None."""
    return value if type(value) is int else None
