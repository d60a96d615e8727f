"""Relabeling: what is written of an entry, and what Prometheus would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from operators.prometheus.config.relabel import check_relabel_configs, relabel_configs
from operators.prometheus.tables import Rejected, Scope, Version
from operators.prometheus.tables.regexes import check_regex


def checked(entry: dict[str, Any], version: str = "3.0.0") -> None:
    check_relabel_configs([{"action": "drop"}, entry], Version.parse(version))


def test_an_entry_has_the_keys_in_their_order_and_the_action_in_small_letters() -> None:
    entry = {"action": "HashMod", "modulus": 4, "targetLabel": "a", "separator": "", "sourceLabels": ["b"]}
    assert relabel_configs([entry, {"action": "", "replacement": ""}], Scope(Version.parse("3.0.0"))) == [
        {"source_labels": ["b"], "separator": "", "target_label": "a", "modulus": 4, "action": "hashmod"},
        {"replacement": ""},
    ]


@pytest.mark.parametrize(
    ("entry", "version", "field"),
    [
        ({"action": "lowercase", "targetLabel": "a"}, "2.35.0", "[1].action"),
        ({"action": "KeepEqual", "targetLabel": "a"}, "2.40.9", "[1].action"),
        ({"action": "shout", "targetLabel": "a"}, "3.0.0", "[1].action"),
        ({"targetLabel": "a", "regex": "("}, "3.0.0", "[1].regex"),
        ({}, "3.0.0", "[1].targetLabel"),
        ({"targetLabel": "a b"}, "2.55.0", "[1].targetLabel"),
        ({"targetLabel": "$"}, "2.55.0", "[1].targetLabel"),
        ({"action": "hashmod", "targetLabel": "a"}, "3.0.0", "[1].modulus"),
        ({"action": "hashmod", "targetLabel": "${1}", "modulus": 2}, "2.55.0", "[1].targetLabel"),
        ({"action": "labelmap", "replacement": "a-b"}, "2.55.0", "[1].replacement"),
        ({"action": "uppercase", "targetLabel": "a", "replacement": "b"}, "3.0.0", "[1].replacement"),
        ({"action": "dropequal", "targetLabel": "a", "regex": "b"}, "3.0.0", "[1]"),
        ({"action": "labeldrop", "regex": "b", "sourceLabels": ["a"]}, "3.0.0", "[1]"),
        ({"action": "labelkeep", "regex": "b", "separator": ","}, "3.0.0", "[1]"),
    ],
)
def test_what_prometheus_refuses_is_refused_with_its_place(entry: dict[str, Any], version: str, field: str) -> None:
    with pytest.raises(Rejected) as told:
        checked(entry, version)
    assert told.value.field == field


@pytest.mark.parametrize(
    ("entry", "version"),
    [
        ({"targetLabel": "a b"}, "3.0.0"),
        ({"targetLabel": "pre_${1}_$name"}, "2.55.0"),
        ({"action": "Lowercase", "targetLabel": "a", "replacement": "$1"}, "2.36.0"),
        ({"action": "labelmap", "regex": "__meta_(.+)", "replacement": "${1}"}, "2.30.0"),
        ({"action": "labeldrop", "regex": "a|b", "separator": ";"}, "2.30.0"),
        ({"action": "dropequal", "targetLabel": "a", "sourceLabels": ["b"], "regex": "(.*)"}, "2.41.0"),
    ],
)
def test_what_prometheus_reads_is_let_through(entry: dict[str, Any], version: str) -> None:
    checked(entry, version)


@pytest.mark.parametrize(
    "pattern",
    [
        *[
            "",
            "a|",
            "(?i)a",
            "(?i:a)b",
            "(?P<x>a)(?<y>b)",
            "[]a]",
            "[^]-]",
            "a{2,}",
            "a{,3}",
            "x{",
            r"\pL\p{Greek}\P{^Lu}",
        ],
        *[r"\Qa(*\E*", r"[[:alpha:]\d-]", r"\x{10FFFF}\x41\052", r"\_\.\-", "(a{10}){100}", "^*$", "a*?", r"a(?i)*"],
    ],
)
def test_expressions_of_re2_are_read(pattern: str) -> None:
    check_regex(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        *["(", ")", "*", "a**", "a{2}{3}", "(*a)", "(|*)", "(?=a)", "(?!a)", "(?<=a)", "[a", "[z-a]", "[[:letter:]]"],
        *[r"(a)\1", r"\8", "\\", r"\y", "a{1001}", "a{3,2}", "(a{20}){100}", "(?P<x>a)(?P<x>b)", r"\p{lower}", "(?z)a"],
    ],
)
def test_what_re2_does_not_compile_is_refused(pattern: str) -> None:
    with pytest.raises(Rejected, match="is no regular expression"):
        check_regex(pattern)
