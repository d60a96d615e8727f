from __future__ import annotations

import pytest

from controllerkit.errors import ConfigError
from operators.etcd.versions import (
    DENIED,
    SUPPORTED_MINORS,
    Chosen,
    Refusal,
    Version,
    VersionMap,
    capabilities,
    choose,
    refuse_change,
)

V = Version.parse


@pytest.mark.parametrize(
    ("current", "target", "reason"),
    [
        ("3.2.13", "3.3.0", None),
        ("3.4.23", "3.5.26", None),
        ("3.5.26", "3.6.0", None),
        ("3.5.25", "3.6.16", "UpgradeNeedsPatch"),
        ("3.5.19", "3.6.16", "UpgradeNeedsPatch"),
        ("3.6.11", "3.7.3", None),
        ("3.6.10", "3.7.3", "UpgradeNeedsPatch"),
        ("3.5.26", "3.7.3", "UpgradeSkipsMinor"),
        ("3.2.13", "3.7.3", "UpgradeSkipsMinor"),
        ("3.7.3", "3.6.16", "DowngradeRefused"),
        ("3.6.16", "3.6.12", None),
        ("3.6.12", "3.6.16", None),
        ("3.6.16", "3.6.16", None),
    ],
)
def test_a_change_of_version_is_refused_for_its_reason(current: str, target: str, reason: str | None) -> None:
    refusal = refuse_change(V(current), V(target))
    assert (refusal.reason if refusal else None) == reason
    if refusal:
        assert current in refusal.message
        assert target in refusal.message


@pytest.mark.parametrize(
    ("requested", "reason"),
    [
        ("three", "VersionUnknown"),
        ("3.7", "VersionUnknown"),
        ("", None),
        ("9.9.9", "VersionUnknown"),
        ("3.8.0", "VersionUnknown"),
        ("2.3.8", "VersionUnknown"),
        ("3.5.0", "VersionDenied"),
        ("3.5.2", "VersionDenied"),
        ("3.5.3", None),
        ("v3.7.3", None),
    ],
)
def test_a_version_that_cannot_run_is_refused(requested: str, reason: str | None) -> None:
    chosen = choose(requested, VersionMap())
    assert (chosen.reason if isinstance(chosen, Refusal) else None) == reason


def test_an_absent_version_is_the_default_of_the_old_operator() -> None:
    chosen = choose(None, VersionMap())
    assert isinstance(chosen, Chosen)
    assert (str(chosen.run), chosen.mapped) == ("3.2.13", False)


def test_the_first_rule_that_matches_maps_a_version() -> None:
    mapping = VersionMap.parse(["3.2.13=3.6.16", "3.2.*=v3.7.3", "latest=3.7.3"])
    runs = {text: choose(text, mapping) for text in ("3.2.13", "3.2.14", "latest", "3.6.16")}
    assert {text: str(chosen.run) for text, chosen in runs.items() if isinstance(chosen, Chosen)} == {
        "3.2.13": "3.6.16",
        "3.2.14": "3.7.3",
        "latest": "3.7.3",
        "3.6.16": "3.6.16",
    }


@pytest.mark.parametrize("rule", ["3.2.13", "=3.7.3", "3.2.13=", "3.2.13=newest"])
def test_a_malformed_rule_says_so(rule: str) -> None:
    with pytest.raises(ConfigError):
        VersionMap.parse([rule])


def test_a_denied_version_cannot_be_mapped_to() -> None:
    assert isinstance(choose("3.2.13", VersionMap.parse(["3.2.13=3.5.1"])), Refusal)


def test_capabilities_come_with_the_minor_that_brought_them() -> None:
    known = {series: capabilities(Version(*series, 0)) for series in SUPPORTED_MINORS}
    assert {s: c.gateway_prefix for s, c in known.items()} == {
        (3, 2): "/v3alpha",
        (3, 3): "/v3beta",
        **dict.fromkeys(SUPPORTED_MINORS[2:], "/v3"),
    }
    assert [s for s, c in known.items() if not c.learners] == [(3, 2), (3, 3)]
    assert [s for s, c in known.items() if not c.move_leader] == [(3, 2)]
    assert [s for s, c in known.items() if c.many_learners] == [(3, 6), (3, 7)]
    assert [
        str(v) for v in map(V, ("3.4.28", "3.4.29", "3.5.10", "3.5.11", "3.6.0")) if capabilities(v).health_paths
    ] == [
        "3.4.29",
        "3.5.11",
        "3.6.0",
    ]


def test_no_experimental_flag_reaches_3_7_which_would_not_start_with_one() -> None:
    assert not any("experimental" in flag for flag in capabilities(V("3.7.3")).guard_flags)


def test_every_denied_version_says_which_is_the_first_good_one() -> None:
    assert all("3.5.3" in why for why in DENIED.values())
