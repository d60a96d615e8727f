"""Options shared by every suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api", choices=("embedded", "memory", "real", "both"), default="embedded", help="which API server"
    )
    parser.addoption("--rewrite", action="store_true", help="write what scenarios print instead of comparing it")


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite"))
