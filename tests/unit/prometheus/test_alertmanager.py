"""Alertmanager's configuration."""

from __future__ import annotations

import pytest

from tests.unit.prometheus.goldens import agrees, agrees_in_versions, names

FUNCTIONS = ("sanitize",)


@pytest.mark.parametrize("name", names("alertmanager", *FUNCTIONS) + names("alertmanager-errors", *FUNCTIONS))
def test_the_configuration_is_the_expected_text(name: str) -> None:
    agrees(name)


@pytest.mark.parametrize("name", names("alertmanager-matrix", *FUNCTIONS))
def test_the_configuration_is_the_expected_text_for_every_version(name: str) -> None:
    agrees_in_versions(name)
