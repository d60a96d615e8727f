"""The part of kubectl's JSONPath that printer columns use: fields, indexes, wildcards and equality filters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

__all__ = ["evaluate"]

_TOKEN: Final = re.compile(
    r"""\.(?P<field>[^.\[\]]+)|\[(?P<index>-?\d+)\]|\[(?P<all>\*)\]|\[['"](?P<quoted>[^'"]+)['"]\]"""
    r"""|\[\?\(@\.(?P<key>[\w.\\-]+)\s*==\s*["'](?P<value>[^"']*)["']\)\]"""
)


@lru_cache(maxsize=1024)
def _parse(path: str) -> tuple[tuple[str, str, str], ...]:
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$").replace(r"\.", "\0")
    text = text if text.startswith((".", "[")) else f".{text}"
    steps, position = [], 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            return (("invalid", "", ""),)
        position = found.end()
        groups = {name: (value or "").replace("\0", ".") for name, value in found.groupdict().items()}
        if groups["field"] or groups["quoted"]:
            name = groups["field"] or groups["quoted"]
            steps.append(("all" if name == "*" else "field", name, ""))
        elif groups["all"]:
            steps.append(("all", "", ""))
        elif groups["key"]:
            steps.append(("filter", groups["key"], groups["value"]))
        else:
            steps.append(("index", groups["index"], ""))
    return tuple(steps)


def _step(value: Any, kind: str, name: str, wanted: str) -> list[Any]:
    match kind:
        case "field":
            return [value[name]] if isinstance(value, Mapping) and name in value else []
        case "index":
            index = int(name)
            fits = isinstance(value, list) and -len(value) <= index < len(value)
            return [value[index]] if fits else []
        case "all":
            return (
                list(value.values()) if isinstance(value, Mapping) else list(value) if isinstance(value, list) else []
            )
        case "filter":
            items = value if isinstance(value, list) else []
            return [one for one in items if isinstance(one, Mapping) and str(one.get(name)) == wanted]
        case _:
            return []


def evaluate(path: str, value: Any) -> list[Any]:
    """Every value at ``path``; [] where there is none.

    >>> evaluate('.status.conditions[?(@.type=="Ready")].status',
    ...          {"status": {"conditions": [{"type": "A", "status": "x"}, {"type": "Ready", "status": "True"}]}})
    ['True']
    >>> evaluate(".metadata.labels.a\\\\.b", {"metadata": {"labels": {"a.b": "c"}}})
    ['c']
    """
    found = [value]
    for kind, name, wanted in _parse(path):
        found = [child for one in found for child in _step(one, kind, name, wanted)]
    return [one for one in found if one is not None]
