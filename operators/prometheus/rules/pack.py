"""Rule files packed into ConfigMaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.rules.format import FILE_SIZE_MAX

__all__ = ["MOUNTED_MIN", "file_name", "packed"]

MOUNTED_MIN: Final = 3
"""ConfigMaps that are mounted, there or not, so that growth needs no new Pod."""


def file_name(rule: Mapping[str, Any]) -> str:
    """``<namespace>-<name>-<uid>.yaml``, the key of a PrometheusRule's file."""
    metadata = rule.get("metadata") or {}
    return "-".join(str(metadata.get(part) or "") for part in ("namespace", "name", "uid")) + ".yaml"


def packed(files: Mapping[str, str]) -> list[dict[str, str]]:
    """The data of ConfigMaps that hold all files, by name, each put into the first in which it has room.

    At least one, which may be empty.

    >>> [sorted(each) for each in packed({"a": "x" * 300_000, "b": "x" * 300_000, "c": "x" * 100_000})]
    [['a', 'c'], ['b']]
    """
    maps: list[dict[str, str]] = [{}]
    sizes = [0]
    for name in sorted(files):
        size = len(files[name].encode())
        place = next((at for at, used in enumerate(sizes) if used + size <= FILE_SIZE_MAX), len(maps))
        if place == len(maps):
            maps.append({})
            sizes.append(0)
        maps[place][name] = files[name]
        sizes[place] += size
    return maps
