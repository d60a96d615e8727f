"""The goldens of the configuration of Prometheus, server and agent."""

from __future__ import annotations

import pytest

from tests.unit.prometheus.goldens import agrees, agrees_in_versions, names

FUNCTIONS = "GenerateServerConfiguration", "GenerateAgentConfiguration", "generateK8SSDConfig"
CHECKS = "checkPodMonitor", "checkServiceMonitor", "checkProbe", "checkScrapeConfig"


@pytest.mark.parametrize(
    "name",
    [name for folder in ("prometheus", "prometheus-extra", "prometheus-errors") for name in names(folder, *FUNCTIONS)],
)
def test_a_golden_is_written_byte_for_byte(name: str) -> None:
    agrees(name)


@pytest.mark.parametrize("name", names("prometheus-checks", *CHECKS))
def test_an_object_is_accepted_or_refused_as_by_the_original(name: str) -> None:
    agrees(name)


@pytest.mark.parametrize("name", names("prometheus-matrix", *FUNCTIONS))
def test_every_version_agrees(name: str) -> None:
    agrees_in_versions(name)
