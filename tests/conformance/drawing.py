"""Objects drawn from a structural schema: valid ones, and ones in which a thing or two is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Schema = Mapping[str, Any]

WRONG_ONE_IN = (3, 12, 1000)
"""Of so many values one is wrong: in one object many, in others few or none."""

FIELDS_MAX = 6
OWN = ("apiVersion", "kind", "metadata")
ANYTHING = st.recursive(
    st.sampled_from([None, True, 0, -1, 1.5, 2.0, 2**63, 1e300, "", "x", "5", "é"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(["a", "b", "c", "a.b", "x-y"])
TEXTS = ["", "a", "b", "ab", "abc", "abcde", "no", "h", "true", "1", "é", "aé", "ABCDE", " a"]
SAMPLES: Mapping[str, Sequence[str]] = {
    "byte": ["aGVsbG8=", "YWJj", "", "?", "aGVsbG8", "YQ==", "_-8=", "aGVs\nbG8="],
    "cidr": ["10.0.0.0/8", "10.0.0.1/8", "::/0", "10.0.0.0/33", "10.0.0.0", "/8", "010.0.0.0/8", "fe80::%1/64"],
    "date": ["2026-07-01", "2024-02-29", "2023-02-29", "0000-01-01", "2026-7-1", "2026-07-01T00:00:00Z", ""],
    "datetime": ["2026-07-01T10:00:00Z", "2026-07-01t10:00:00.5+02:00", "2026-07-01T24:00:00Z", "2026-07-01 10:00:00Z",
                 "2026-07-01T10:00:00", "2026-07-01T10:00:60Z", "2026-07-01T10:00:00+99:99", "2026-13-01T10:00:00Z",
                 "2019-12-31T23:59:59Z"],
    "duration": ["90s", "1h30m", "0", "-1.5s", "1 hour", "3 days", "1 parsec", "", "1h 30", ".5s", "s", "2 µs",
                 "300000h", "3000000h"],
    "email": ["a@example.dev", "a", "@example.dev", "a@", "A <a@example.dev>", "a b@example.dev", "a@b"],
    "hostname": ["example.dev", "a", "1a.dev", "-a.dev", "a_b", "a.", "a..b", "x" * 63, "x" * 64, "a.1", "é.dev", ""],
    "ipv4": ["10.0.0.1", "010.0.0.1", "10.0.0", "::1", "::ffff:1.2.3.4", "256.0.0.1", ""],
    "ipv6": ["::1", "10.0.0.1", "::ffff:1.2.3.4", "fe80::1%eth0", "1::2::3", "0:0:0:0:0:0:0:01"],
    "mac": ["00:00:5e:00:53:01", "00-00-5E-00-53-01", "0000.5e00.5301", "00:00:5e:00:53", "00:00-5e:00:53:01", "",
            "02:00:5e:10:00:00:00:01"],
    "uri": ["https://example.dev/a?b#c", "/a", "a", "mailto:a@b", "https://a b", "http://[::1]:80/", "", "http://a:b/",
            "/%zz", "*", "https://example.dev:8080"],
    "uuid": ["6f1c7c4e-8a51-4a53-9d8f-0a1f7d1c1a11", "6F1C7C4E8A514A539D8F0A1F7D1C1A11", "6f1c", ""],
}  # fmt: skip


@st.composite
def values(draw: st.DrawFn, schema: Schema, one_in: int) -> Any:
    """A value of the schema, and one in so many times one that is none."""
    if draw(st.integers(1, one_in)) == one_in:
        return draw(wrong(schema, one_in))
    return draw(right(schema, one_in))


def right(schema: Schema, one_in: int) -> st.SearchStrategy[Any]:
    """Mostly values that the schema takes."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.sampled_from([80, 0, 8080, "http", "80%", "1Gi", "250m", "-1.5", "web"])
    match schema.get("type"):
        case "string":
            return texts(schema)
        case "integer":
            return numbers(schema)
        case "number":
            return numbers(schema) | st.sampled_from([0.25, 0.5, 0.75, -0.5])
        case "boolean":
            return st.booleans()
        case "array":
            return lists(schema, one_in)
        case "object":
            return objects(schema, one_in)
    return ANYTHING


def texts(schema: Schema) -> st.SearchStrategy[str]:
    """Samples of the format; of the pattern; or short ones."""
    if (samples := SAMPLES.get(schema.get("format", "").replace("-", ""))) is not None:
        return st.sampled_from(samples)
    least, most = schema.get("minLength", 0), schema.get("maxLength", 10**9)
    if (pattern := schema.get("pattern")) is not None:
        plain = pattern.replace("(?i)", "")  # Go takes flags at any place
        regex = re.compile(plain, re.IGNORECASE if plain != pattern else 0)
        found = st.from_regex(regex, fullmatch=True, alphabet=st.characters(min_codepoint=32, max_codepoint=126))
        return found.filter(lambda text: least <= len(text) <= most)
    short = st.text(alphabet="ab1 é", min_size=least, max_size=min(most, least + 6))
    return st.sampled_from([text for text in TEXTS if least <= len(text) <= most] or ["a" * least]) | short


def numbers(schema: Schema) -> st.SearchStrategy[int]:
    """Whole numbers in the bounds and close to them."""
    least, most = schema.get("minimum", -3), schema.get("maximum", 12)
    factor = schema.get("multipleOf", 1)
    return st.integers(int(least), int(max(most, least))).map(lambda number: number // factor * factor)


def lists(schema: Schema, one_in: int) -> st.SearchStrategy[list[Any]]:
    """Of items that differ mostly."""
    least = schema.get("minItems", 0)
    return st.lists(
        values(schema["items"], one_in), min_size=least, max_size=max(least, min(schema.get("maxItems", 3), 3))
    )


@st.composite
def objects(draw: st.DrawFn, schema: Schema, one_in: int) -> dict[str, Any]:
    """All that is required, and some more."""
    properties, required = schema.get("properties", {}), schema.get("required", ())
    more = [name for name in properties if name not in required]
    names = {*required, *(draw(st.lists(st.sampled_from(more), max_size=FIELDS_MAX, unique=True)) if more else ())}
    made = {name: draw(values(properties[name], one_in)) for name in properties if name in names}
    if schema.get("x-kubernetes-embedded-resource"):
        made |= {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    if (extra := schema.get("additionalProperties")) is not None:
        most = min(schema.get("maxProperties", 2), 2)
        made |= draw(
            st.dictionaries(NAMES, values(extra, one_in), min_size=schema.get("minProperties", 0), max_size=most)
        )
    elif schema.get("x-kubernetes-preserve-unknown-fields"):
        made |= draw(st.dictionaries(NAMES, ANYTHING, max_size=2))
    return made


@st.composite
def wrong(draw: st.DrawFn, schema: Schema, one_in: int) -> Any:
    """Mostly values that the schema does not take, or only nearly."""
    kind = schema.get("type")
    ways: list[st.SearchStrategy[Any]] = [ANYTHING, st.none()]
    if kind == "string" or schema.get("x-kubernetes-int-or-string"):
        ways += [st.sampled_from([*TEXTS, "1Gb", "lots", "x" * (schema.get("maxLength", 9) + 1)])]
    if kind in ("integer", "number"):
        bounds = [schema[name] for name in ("minimum", "maximum") if name in schema]
        near = [bound + step for bound in bounds for step in (-1, 0, 1, 0.5)]
        ways += [st.sampled_from([*near, 2**31, -(2**31) - 1, 2**53, 2**63, -(2**63), 3.0, 1.5, 7, "5"])]
    if kind == "array":
        item = draw(values(schema["items"], one_in))
        ways += [st.just([item, item, item, item]), st.just([item, None]), st.just([])]
        ways += [st.lists(values(schema["items"], one_in), min_size=4, max_size=5)]
    if kind == "object":
        made = draw(objects(schema, one_in))
        ways += [st.just({**made, "unknown": 1}), st.just(dict.fromkeys(made))]
        ways += [st.just({name: made[name] for name in made if name != gone}) for gone in sorted(made)]
        if schema.get("x-kubernetes-embedded-resource"):
            ways += [st.just({**made, "kind": each}) for each in ("", "a b", "Pod.x", "Pod")]
            ways += [st.just({**made, "apiVersion": each}) for each in ("", "a/b/c", "apps/v1")]
        if "additionalProperties" in schema:
            ways += [st.dictionaries(NAMES, values(schema["additionalProperties"], one_in), min_size=3, max_size=4)]
    return draw(draw(st.sampled_from(ways)))


def drawn(schema: Schema, count: int) -> list[dict[str, Any]]:
    """``count`` different roots of the schema, the same ones every time, without apiVersion, kind and metadata."""
    own = {name: child for name, child in schema["properties"].items() if name not in OWN}
    roots = st.sampled_from(WRONG_ONE_IN).flatmap(lambda one_in: objects({**schema, "properties": own}, one_in))
    made: dict[str, dict[str, Any]] = {}
    for times in (1, 2, 4, 8):
        _collect(roots, times * count, made)
        if len(made) >= count:
            break
    return list(made.values())[:count]


def _collect(roots: st.SearchStrategy[dict[str, Any]], count: int, made: dict[str, dict[str, Any]]) -> None:
    @settings(
        derandomize=True,
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(roots)
    def collect(value: dict[str, Any]) -> None:
        made[json.dumps(value)] = value

    collect()
