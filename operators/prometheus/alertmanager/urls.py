"""Addresses of Alertmanager's file, and those that hold a template.

Source: ``config.URL`` of Alertmanager, ``text/template`` for what has ``{{``.
"""

from __future__ import annotations

import json
from typing import Final

from operators.prometheus.tables import Rejected, Scope
from operators.prometheus.tables.templates import BUILTIN, check_template
from operators.prometheus.tables.urls import parse_url

__all__ = ["as_written", "check_secret_url", "check_template_url", "check_url"]

_FUNCTIONS: Final = (
    "toUpper toLower title trimSpace join match safeHtml safeUrl urlUnescape reReplaceAll stringSlice date tz since "
    "humanizeDuration toJson list append dict"
)
"""Functions of Alertmanager's own in templates, up to 0.33."""


def as_written(text: str) -> str:
    """An address as Go writes it again: its scheme in small letters.

    Raises:
        Rejected: it is none.
    """
    scheme = parse_url(text).scheme
    return scheme + text[len(scheme) :]


def check_url(text: str) -> None:
    """Of ``http`` or ``https``, with a host.

    Raises:
        Rejected: it is none.
    """
    try:
        text = json.loads(f'"{text}"')
    except ValueError:
        raise Rejected("is no URL: it has a quotation mark, a backslash or a control character") from None
    url = parse_url(text)
    if url.scheme not in ("http", "https"):
        raise Rejected("is no URL of http or https")
    if not url.host:
        raise Rejected("is no URL: its host is missing")


def check_secret_url(text: str) -> None:
    """As `check_url`; ``<secret>``, by which Alertmanager hides one, passes."""
    if text != "<secret>":
        check_url(text)


def check_template_url(text: str, scope: Scope) -> None:
    """As `check_secret_url`, or a template if it has ``{{``.

    Alertmanager's own functions are known; in compat only those of Go are.
    """
    if "{{" not in text:
        check_secret_url(text)
    else:
        own: frozenset[str] = frozenset() if scope.options.compat else frozenset(_FUNCTIONS.split())
        check_template(text, functions=BUILTIN | own)
