"""Structured logs: structlog, one event a line, JSON for machines and columns for people."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from controllerkit.errors import ConfigError

__all__ = ["configure_logging", "get_logger"]


def configure_logging(*, level: str = "INFO", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Sets up structlog for a process.

    ``json`` None means: JSON unless ``stream`` (standard error) is a terminal.

    Raises:
        ConfigError: ``level`` is no level of the logging module.
    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        known = ", ".join(logging.getLevelNamesMapping())
        raise ConfigError(f"unknown log level {level!r}; one of {known}")
    as_json = not stream.isatty() if json is None else json
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.dict_tracebacks] if as_json else []),
            structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=stream.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def get_logger(**bound: Any) -> structlog.typing.FilteringBoundLogger:
    """A logger with these values on every line."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**bound)
    return logger
