"""Alertmanager's configuration."""

from __future__ import annotations

import pytest

from tests.unit.prometheus.goldens import agrees, agrees_in_versions, names


@pytest.mark.parametrize(
    "name",
    [
        name
        for folder in ("alertmanager", "alertmanager-checks", "alertmanager-errors", "alertmanager-provision")
        for name in names(folder)
    ],
)
def test_a_configuration_or_check_is_as_expected(name: str) -> None:
    agrees(name)


@pytest.mark.parametrize("name", names("alertmanager-matrix"))
def test_a_configuration_is_as_expected_for_every_version(name: str) -> None:
    agrees_in_versions(name)
