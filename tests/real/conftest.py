"""The development clusters the real tests run on."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bed",
        action="append",
        choices=["embedded", "real", "cluster"],
        help="which development clusters to run scenarios on (repeatable; embedded and real by default)",
    )
