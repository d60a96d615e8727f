"""Structural schemas against a second, plain implementation: values and schemas are drawn, and both must agree.

The second one builds new values where the first changes them in place, and knows only where something is wrong, not
how to say it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controllerkit.apiserver.shapes import shape_of_schema
from controllerkit.apiserver.structural import apply_defaults, prune, validate
from controllerkit.schema.structural import with_defaults

Schema = dict[str, Any]
NAMES: Final = ("a", "b", "c")
DROPPED: Final = object()


# -- the second implementation ---------------------------------------------------------------------------------------


def child_of(schema: Schema, name: str) -> Schema | None:
    return schema.get("properties", {}).get(name) or schema.get("additionalProperties")


def known(schema: Schema, value: Any) -> Any:
    """Without the fields that the schema does not know."""
    if isinstance(value, list):
        return [known(schema["items"], each) for each in value] if "items" in schema else value
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, each in value.items():
        child = child_of(schema, name)
        if child is not None:
            kept[name] = known(child, each)
        elif schema.get("x-kubernetes-preserve-unknown-fields"):
            kept[name] = each
    return kept


def filled(schema: Schema | None, value: Any) -> Any:
    """With defaults; DROPPED for a null that is neither allowed nor has one."""
    if schema is None:
        return value
    if value is None and not schema.get("nullable"):
        return filled(schema, schema["default"]) if "default" in schema else DROPPED
    if isinstance(value, list):
        each = [filled(schema.get("items"), one) for one in value]
        return [None if one is DROPPED else one for one in each]
    if not isinstance(value, dict):
        return value
    absent = {n: c["default"] for n, c in schema.get("properties", {}).items() if "default" in c and n not in value}
    each = {name: filled(child_of(schema, name), one) for name, one in {**value, **absent}.items()}
    return {name: one for name, one in each.items() if one is not DROPPED}


IS: Final = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "": lambda value: True,
}
LIMITS: Final = {
    "enum": lambda value, limit: value in limit,
    "minLength": lambda value, limit: len(value) >= limit,
    "maxLength": lambda value, limit: len(value) <= limit,
    "pattern": lambda value, limit: re.search(limit, value) is not None,
    "minimum": lambda value, limit: value >= limit,
    "maximum": lambda value, limit: value <= limit,
    "multipleOf": lambda value, limit: value / limit == value // limit,
    "minItems": lambda value, limit: len(value) >= limit,
    "maxItems": lambda value, limit: len(value) <= limit,
    "minProperties": lambda value, limit: len(value) >= limit,
    "maxProperties": lambda value, limit: len(value) <= limit,
}


def wrong(schema: Schema, value: Any, path: str) -> set[str]:
    """Where the value is not as the schema says."""
    either = schema.get("x-kubernetes-int-or-string")
    if value is None and (schema.get("nullable") or not schema.get("type")):
        return {path} if "enum" in schema else set()
    if either and not (IS["string"](value) or IS["integer"](value)):
        return {path}
    if not IS[schema.get("type", "")](value):
        return {path}
    found = {path for keyword, holds in LIMITS.items() if keyword in schema and not holds(value, schema[keyword])}
    if isinstance(value, dict):
        found |= {f"{path}.{name}" for name in schema.get("required", ()) if name not in value}
        for name, each in value.items():
            child = child_of(schema, name)
            found |= wrong(child, each, f"{path}.{name}") if child is not None else set()
    if isinstance(value, list):
        for index, each in enumerate(value):
            found |= wrong(schema["items"], each, f"{path}[{index}]")
        found |= {f"{path}[{index}]" for index in twice(schema, value)}
    return found


def twice(schema: Schema, value: list[Any]) -> list[int]:
    """Where what must be there once is for the second time; a third is not told again."""
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", ())
    if kind is None or (kind == "map" and any(not isinstance(each, dict | None) for each in value)):
        return []
    names = [{key: (each or {}).get(key) for key in keys} if kind == "map" else each for each in value]
    return [at for at, name in enumerate(names) if sum(_equal(name, other) for other in names[:at]) == 1]


def _equal(one: Any, other: Any) -> bool:
    """As JSON has it: true is not 1, though 1 is True."""
    return repr(one) == repr(other)


# -- what is drawn ---------------------------------------------------------------------------------------------------

SMALL = st.integers(-2, 9)
TEXT = st.sampled_from(("", "a", "ab", "abc", "7"))
SCALARS = st.one_of(TEXT, SMALL, st.booleans(), st.sampled_from((0.5, 2.0)), st.none())
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from((*NAMES, "x")), inner, max_size=3)
    ),
    max_leaves=8,
)


def optional(**strategies: Any) -> st.SearchStrategy[Schema]:
    return st.fixed_dictionaries({}, optional=strategies)


def joined(*parts: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.tuples(*parts).map(lambda each: {name: one for part in each for name, one in part.items()})


NULLABLE = optional(nullable=st.booleans())
LEAVES = st.one_of(
    joined(
        st.just({"type": "string"}),
        NULLABLE,
        optional(
            minLength=st.integers(0, 2),
            maxLength=st.integers(1, 3),
            pattern=st.just("^a"),
            enum=st.just(["a", "ab"]),
            default=st.just("a"),
        ),
    ),
    joined(
        st.sampled_from(({"type": "integer"}, {"type": "number"})),
        NULLABLE,
        optional(minimum=SMALL, maximum=SMALL, multipleOf=st.integers(1, 3), default=SMALL),
    ),
    joined(st.just({"type": "boolean"}), NULLABLE, optional(default=st.booleans())),
    joined(st.just({"x-kubernetes-int-or-string": True}), NULLABLE, optional(default=st.just("a"))),
    st.just({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
)
COUNTS = optional(minProperties=st.integers(0, 1), maxProperties=st.integers(1, 3))


def containers(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    properties = st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=3)
    required = st.lists(st.sampled_from(NAMES), unique=True, max_size=2)
    listed = st.sampled_from(({}, {"x-kubernetes-list-type": "set"}))
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]}
    item = properties.map(lambda each: {"type": "object", "properties": {**each, "a": {"type": "string"}}})
    counts = optional(minItems=st.integers(0, 1), maxItems=st.integers(1, 3))
    preserve = optional(**{"x-kubernetes-preserve-unknown-fields": st.just(True), "default": st.just({})})
    return st.one_of(
        joined(
            st.fixed_dictionaries(
                {"type": st.just("object"), "properties": properties}, optional={"required": required}
            ),
            NULLABLE,
            COUNTS,
            preserve,
        ),
        joined(st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner}), NULLABLE, COUNTS),
        joined(st.fixed_dictionaries({"type": st.just("array"), "items": inner}), NULLABLE, counts, listed),
        joined(st.fixed_dictionaries({"type": st.just("array"), "items": item}), counts, st.just(keyed)),
    )


SCHEMAS = st.recursive(LEAVES, containers, max_leaves=6)


@st.composite
def near(draw: st.DrawFn, schema: Schema) -> Any:
    """Mostly what the schema asks for, and now and then anything at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ANYTHING)
    if "properties" in schema:
        names = draw(st.lists(st.sampled_from((*schema["properties"], *NAMES, "x")), unique=True, max_size=4))
        return {name: draw(near(schema["properties"].get(name, {}))) for name in names}
    if "additionalProperties" in schema:
        names = draw(st.lists(st.sampled_from(NAMES), unique=True))
        return {name: draw(near(schema["additionalProperties"])) for name in names}
    if "items" in schema:
        return draw(st.lists(near(schema["items"]), max_size=4))
    kinds = {"string": TEXT, "integer": SMALL, "number": SMALL, "boolean": st.booleans()}
    return draw(kinds.get(schema.get("type", ""), ANYTHING))


PAIRS = SCHEMAS.flatmap(lambda schema: st.tuples(st.just(schema), near(schema)))
DRAWN = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@DRAWN
@given(PAIRS)
def test_pruning_keeps_what_the_second_implementation_keeps(pair: tuple[Schema, Any]) -> None:
    schema, value = pair
    pruned = copy.deepcopy(value)
    unknown = prune(shape_of_schema(schema), pruned, "o", root=False)
    assert pruned == known(schema, value)
    assert bool(unknown) == (pruned != value)
    assert prune(shape_of_schema(schema), pruned, "o", root=False) == []


@DRAWN
@given(PAIRS)
def test_defaults_are_those_of_the_second_implementation_and_of_the_models_side(pair: tuple[Schema, Any]) -> None:
    schema, value = pair
    value = known(schema, value)
    done = copy.deepcopy(value)
    apply_defaults(schema, done)
    expected = filled(schema, value)
    assert done == (value if value is None else expected)  # what holds a null, not the null itself, is changed
    assert with_defaults(schema, done) == done, "the models' side would add more"
    if not _has_null(value):
        assert with_defaults(schema, value) == done
    again = copy.deepcopy(done)
    apply_defaults(schema, again)
    assert again == done


def _has_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_null, value.values()))
    return value is None or (isinstance(value, list) and any(map(_has_null, value)))


@DRAWN
@given(PAIRS)
def test_what_is_wrong_and_where_is_what_the_second_implementation_finds(pair: tuple[Schema, Any]) -> None:
    schema, value = pair
    value = known(schema, value)
    apply_defaults(schema, value)
    found = {finding.path for finding in validate(schema, value, "o", root=False)}
    assert found - {"<nil>"} == wrong(schema, value, "o")  # which repeats what is wrong with a whole number
