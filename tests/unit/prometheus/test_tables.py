"""Tables, versions, assets and the emitter."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from operators.prometheus.tables import (
    OMIT,
    Assets,
    Field,
    Flow,
    Inline,
    Rejected,
    Scope,
    Table,
    Text,
    Version,
    to_yaml,
)
from tests.unit.prometheus.goldens import Loader, case, names

SCOPE = Scope(Version.parse("2.45.0"))
FLOW = {"weekdays", "days_of_month", "months", "years"}


def flowing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: Flow(each) if key in FLOW else flowing(each) for key, each in value.items()}
    return [flowing(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "folder", ["prometheus", "prometheus-extra", "alertmanager", "thanosruler", "webconfig", "prometheusrule"]
)
def test_what_is_read_of_an_expected_text_is_written_as_that_text(folder: str) -> None:
    seen = 0
    for name in names(folder):
        text = case(name).get("expected") or ""
        value = yaml.load(text, Loader)
        if isinstance(value, dict):
            assert to_yaml(flowing(value)).strip() == text.strip(), name
            seen += 1
    assert seen


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=120)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=90), inner, max_size=4)
)


class GoLoader(yaml.SafeLoader):
    """Reads ``1e-05`` as the number it is to yaml.v2."""


GoLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(?:\.\d+)?e[-+]\d+$"), list("-0123456789")
)


@given(st.dictionaries(st.text(max_size=20), VALUES, max_size=4))
@example({"": "\n", "0": None})
@example({"a": ["b\n\n", 1], "c": {"d": "\n\n", "e": "...\n"}})
def test_whatever_is_written_reads_as_it_was(value: dict[str, Any]) -> None:
    assert yaml.load(to_yaml(value), GoLoader) == value


@pytest.mark.parametrize("text", ["1e5", "1.5e5", "-2E-3", "0o17", "1:30", "0x1F", ".5e1", "1_0e2"])
def test_a_text_that_go_would_read_as_a_number_is_quoted(text: str) -> None:
    assert to_yaml({"a": text}) == f'a: "{text}"\n'


@pytest.mark.parametrize("text", ["1e", "e5", "1.2.3", "5s", "0o8", "-"])
def test_a_text_that_only_looks_like_a_number_stands_plain(text: str) -> None:
    assert yaml.safe_load(to_yaml({"a": text})) == {"a": text}
    assert '"' not in to_yaml({"a": text})


def test_lines_that_are_written_already_stand_in_a_list_as_they_are() -> None:
    assert to_yaml({"a": [Text("- b: 1\n- c: 2\n"), {"d": 3}]}) == "a:\n- b: 1\n- c: 2\n- d: 3\n"


def test_a_field_outside_of_its_versions_is_dropped_or_refused() -> None:
    table = Table(Field("new", since="2.46.0"), Field("old", until="2.45.0"), Field("now", since="2.45.0"))
    scope = SCOPE.within(dropped=[])
    assert table.of({"new": 1, "old": 2, "now": 3}, scope) == {"now": 3}
    assert scope.dropped == [
        "new is left out: it needs 2.46.0, this is 2.45.0",
        "old is left out: 2.45.0 ended it, this is 2.45.0",
    ]
    refusing = Table(Field("inner", "a.b", Table(Field("new", "c", since="3.0.0", outside="reject"))))
    with pytest.raises(Rejected, match=r"^a\.b\.c: it needs 3\.0\.0, this is 2\.45\.0;"):
        refusing.of({"a": {"b": {"c": 1}}}, SCOPE)


def test_fields_come_in_the_order_of_the_table_and_nothing_is_written_of_what_is_absent() -> None:
    table = Table(
        Field("z", "a"),
        Inline(lambda value, scope: {"in": value, "place": scope.namespace}, "b"),
        Field("always", "nowhere", lambda value, scope: "" if value is None else OMIT, always=True),
        Field("empty"),
    )
    written = table.of({"empty": {}, "b": 2, "a": False}, SCOPE)
    assert list(written.items()) == [("z", False), ("in", 2), ("place", ""), ("always", "")]
    assert table({"b": None}, SCOPE) == {"always": ""}
    assert Table(Field("a"))({}, SCOPE) is OMIT
    assert Table(Field("a"))("text", SCOPE) is OMIT


def test_versions_are_ordered_and_what_is_none_is_refused() -> None:
    texts = ["2.9.0", "2.10.0", "3.0.0-alpha.2", "3.0.0-alpha.11", "3.0.0-beta", "v3.0.0", "3.0.1+build"]
    assert sorted(sorted(texts), key=Version.parse) == texts
    for text in ("", "three", "3", "3.x", "1.2.3.4", "3.0.0-" + "a" * 99):
        with pytest.raises(Rejected, match=r"spec\.version: .* is no version"):
            Version.parse(text)


def test_assets_are_found_by_references_and_never_shown() -> None:
    secret = {
        "metadata": {"namespace": "a", "name": "s"},
        "data": {"k": base64.b64encode(b"hidden").decode(), "b": base64.b64encode(b"\xff").decode()},
        "stringData": {"t": "text"},
    }
    assets = Assets.of([secret], [{"metadata": {"namespace": "a", "name": "c"}, "data": {"k": "shown"}}])
    assert assets.secret("a", {"name": "s", "key": "k"}) == "hidden"
    assert assets.either("a", {"secret": {"name": "s", "key": "t"}}) == "text"
    assert assets.either("a", {"configMap": {"name": "c", "key": "k"}}) == "shown"
    assert assets.either("a", {}) == ""
    assert "hidden" not in repr(assets)
    for reference, rule in [
        ({"name": "s", "key": "x"}, r"the Secret a/s has no key 'x'; it has \['b', 'k', 't'\]"),
        ({"name": "x", "key": "k"}, "the Secret a/x is not there"),
        ({"name": "s", "key": "b"}, "the value of 'b' in the Secret a/s is no UTF-8"),
    ]:
        with pytest.raises(Rejected, match=rule):
            assets.secret("a", reference)
        assert assets.found("a", reference) == ""
    with pytest.raises(Rejected, match="names a Secret and a ConfigMap"):
        assets.either("a", {"secret": {}, "configMap": {}})
    with pytest.raises(Rejected, match=r"^Secret a/s data: is no base64$"):
        Assets.of([{"metadata": {"namespace": "a", "name": "s"}, "data": {"k": "hidden!"}}])


def test_a_long_text_behind_a_longer_key_reads_as_it_was() -> None:
    value = {"k" * 200: "word " * 40 + "end", "é\x88" * 60: "text " * 30 + "end"}
    assert yaml.safe_load(to_yaml(value)) == value
