"""Options shared by every suite.

Drawn examples are the same at every run and have all the time they need, so that a run tells of the change and of
nothing else; ``HYPOTHESIS_PROFILE=search`` draws others each time.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow]
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=_SLOW, database=None)
settings.register_profile("search", deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api", choices=("embedded", "memory", "real", "both"), default="embedded", help="which API server"
    )
    parser.addoption("--rewrite", action="store_true", help="write what scenarios print instead of comparing it")


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite"))
