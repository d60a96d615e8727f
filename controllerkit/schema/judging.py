"""All that is said of a resource before it is sent: by its schema, its scale, and its rules in CEL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from controllerkit.schema.resource import Resource, Scale
from controllerkit.schema.rules import Judgement, Violation, judge, schema_of
from controllerkit.schema.stored import as_stored
from controllerkit.schema.validation import BLOCKING, JUNCTIONS, violations

__all__ = ["judge_resource", "judge_write"]

REPLICAS_MAX: Final = 2**31 - 1
"""``autoscaling/v1`` Scale counts in 32 bits."""


def judge_resource(
    model: type[Resource], value: Mapping[str, Any], old: Mapping[str, Any] | None = None, *, subresource: str = ""
) -> Judgement:
    """What the server would say of ``value``, which is JSON; with ``old``, of the update from that.

    As there, rules are not asked of a value whose types are wrong, an update is not refused for what the object had
    wrong before in the same place, and the status is judged where that subresource is written, and nothing else then.

    Raises:
        ConfigError: the model has no structural schema; it has rules and the extra ``cel`` is not installed.
    """
    schema, scale = schema_of(model), model.serving().scale
    stored, before = _part(schema, value, subresource), None if old is None else _part(schema, old, subresource)
    known = set() if before is None else {(one.path, one.rule) for one in _structure(schema, scale, before)}
    found = [one for one in _structure(schema, scale, stored) if (one.path, one.rule) not in known]
    if any(one.reason in BLOCKING or one.rule in JUNCTIONS for one in found):
        return _about(subresource, Judgement(tuple(found), ()))
    judged = judge(schema, stored, before)
    return _about(subresource, Judgement((*found, *judged.violations), judged.left_to_server))


def judge_write(
    model: type[Resource],
    verb: str,
    value: Mapping[str, Any],
    old: Mapping[str, Any] | None = None,
    *,
    subresource: str = "",
) -> Judgement:
    """`judge_resource` of what is sent with ``create``, ``update`` or ``apply``.

    What is applied is a part, which others complete: of it are judged the values that are in it, and not what is
    missing, nor rules between fields. ``old`` is of an update what it was read from.
    """
    if verb != "apply":
        return judge_resource(model, value, old if verb == "update" else None, subresource=subresource)
    judged = judge_resource(model, value, subresource=subresource)
    told = tuple(one for one in judged.violations if one.rule in _OF_VALUES)
    return Judgement(told, judged.left_to_server)


_OF_VALUES: Final = frozenset(
    {"type", "enum", "pattern", "format", "minLength", "maxLength", "minimum", "maximum", "multipleOf", "scale"}
    | {"maxItems", "maxProperties", "set", "map"}
)
"""Keywords that hold of a value whatever is beside it."""


def _part(schema: Mapping[str, Any], value: Mapping[str, Any], subresource: str) -> Any:
    stored = as_stored(schema, value)
    if not subresource:
        stored.pop("status", None)
    return stored


def _about(subresource: str, judged: Judgement) -> Judgement:
    """Of a subresource, what is said of it alone: the rest is not written."""
    if not subresource:
        return judged
    told = tuple(one for one in judged.violations if re.match(rf"{subresource}\b", one.path))
    return Judgement(told, judged.left_to_server)


def _structure(schema: Mapping[str, Any], scale: Scale | None, value: Any) -> Iterator[Violation]:
    yield from violations(schema, value)
    if scale is not None:
        yield from _replicas(scale.spec, value)
        yield from _replicas(scale.status, value)


def _replicas(path: str, value: Any) -> Iterator[Violation]:
    names = path.strip(".").split(".")
    for name in names:
        if isinstance(value, Mapping) and name not in value:
            return
        value = value[name] if isinstance(value, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= REPLICAS_MAX:
        yield Violation(".".join(names), "scale", f"a number of replicas is 0 to {REPLICAS_MAX}, got {value}")
