"""Structured logs: one event a line, for machines and for people, and nothing secret in a traceback."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from controllerkit.errors import ConfigError
from controllerkit.runtime import configure_logging, get_logger


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before, configured = structlog.get_config(), structlog.is_configured()
    yield
    structlog.reset_defaults()
    if configured:
        structlog.configure(**before)


@pytest.mark.parity("1e/structured-logs")
def test_a_line_is_json_with_what_is_bound_to_the_logger_and_to_the_task() -> None:
    stream = io.StringIO()
    configure_logging(json=True, stream=stream)
    with structlog.contextvars.bound_contextvars(reconcile_id="r1"):
        get_logger(controller="c").bind(key="ns/a").warning("odd", count=3)
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "odd",
        "level": "warning",
        "controller": "c",
        "key": "ns/a",
        "reconcile_id": "r1",
        "count": 3,
    }


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    configure_logging(level="warning", json=True, stream=stream)
    log = get_logger()
    log.info("quiet")
    log.warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_an_unknown_level_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"unknown log level 'chatty'; one of .*INFO"):
        configure_logging(level="chatty")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_is_told_without_local_variables(as_json: bool) -> None:
    stream = io.StringIO()
    configure_logging(json=as_json, stream=stream)

    def fails() -> None:
        token = "s3cret"
        raise ValueError(f"{len(token)} letters are too few")

    try:
        fails()
    except ValueError:
        get_logger().exception("failed")
    assert "6 letters are too few" in stream.getvalue()
    assert "in fails" in stream.getvalue() or '"name": "fails"' in stream.getvalue()
    assert "s3cret" not in stream.getvalue()
