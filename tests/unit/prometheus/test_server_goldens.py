"""The goldens of the configuration of Prometheus, server and agent."""

from __future__ import annotations

import os

import pytest

from tests.unit.prometheus.goldens import agrees, agrees_in_versions, case, compare, names

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
def test_the_first_and_last_version_of_each_group_agree(name: str) -> None:
    agrees_in_versions(name)


@pytest.mark.skipif(not os.environ.get("GOLDENS_ALL_VERSIONS"), reason="takes minutes; GOLDENS_ALL_VERSIONS=1 runs it")
@pytest.mark.parametrize("name", names("prometheus-matrix", *FUNCTIONS))
def test_every_version_agrees(name: str) -> None:
    base = case(case(name)["base_case"])
    for group in case(name)["results"]:
        if (group.get("error") or "").startswith("PANIC"):
            continue
        for version in group["versions"]:
            compare(base, version, group.get("expected"), refused=bool(group.get("error")))
