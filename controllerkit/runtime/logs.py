"""Structured logs: structlog, one event a line, JSON for machines and columns for people."""

from __future__ import annotations

import logging
import sys
from typing import Any, Final, TextIO

import structlog

from controllerkit.errors import ConfigError

__all__ = ["configure_logging", "get_logger"]

_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
"""Local variables hold what should not be in a log: tokens, the data of Secrets."""


def configure_logging(*, level: str = "INFO", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Sets up structlog for a process.

    ``stream`` None means standard error, as it is when a line is written; ``json`` None means JSON unless that is a
    terminal. Tracebacks are told without local variables.

    Raises:
        ConfigError: ``level`` is no level of the logging module.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        known = ", ".join(logging.getLevelNamesMapping())
        raise ConfigError(f"unknown log level {level!r}; one of {known}")
    terminal = (stream or sys.stderr).isatty()
    as_json = not terminal if json is None else json
    console = structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([_TRACEBACKS, structlog.processors.JSONRenderer()] if as_json else [console]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger(**bound: Any) -> structlog.typing.FilteringBoundLogger:
    """A logger with these values on every line. Where nobody has configured structlog, `configure_logging` does."""
    if not structlog.is_configured():
        configure_logging()
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**bound)
    return logger
