"""A CustomResourceDefinition as points: each says one thing at one place, so that two definitions can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["points"]

_UNORDERED = frozenset({"required", "enum", "shortNames", "categories"})


def points(definition: Mapping[str, Any]) -> dict[str, str]:
    """Place → value as JSON; a schema's keywords stand behind ``#``, versions and columns are named in brackets.

    >>> field = {"type": "integer", "minimum": 1}
    >>> spec = {"type": "object", "properties": {"size": field}}
    >>> points({"schema": {"openAPIV3Schema": spec}})
    {'schema#type': '"object"', 'schema.size#type': '"integer"', 'schema.size#minimum': '1'}
    """
    return dict(_plain(definition, ""))


def _plain(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, child in value.items():
            if name == "openAPIV3Schema":
                yield from _schema(child, at)
            else:
                yield from _plain(child, f"{at}.{name}" if at else name)
        if not value:
            yield at, "{}"
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) and "name" in each for each in value):
        for each in value:
            yield from _plain(each, f"{at}[{each['name']}]")
    else:
        yield at, _written(at.rpartition(".")[2], value)


def _schema(schema: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    for keyword, value in schema.items():
        if keyword == "properties":
            for name, child in value.items():
                yield from _schema(child, f"{at}.{name}")
        elif keyword in ("items", "additionalProperties") and isinstance(value, Mapping):
            yield from _schema(value, at + ("[]" if keyword == "items" else "{}"))
        elif keyword == "x-kubernetes-validations":
            for rule in value:
                for name, said in rule.items():
                    place = f"{at}#{keyword}[{rule['rule']}]"
                    yield (place if name == "rule" else f"{place}.{name}"), json.dumps(said)
        else:
            yield f"{at}#{keyword}", _written(keyword, value)
    if not schema:
        yield f"{at}#", "{}"


def _written(keyword: str, value: Any) -> str:
    if keyword in _UNORDERED and isinstance(value, list):
        value = sorted(value, key=json.dumps)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
