"""Addresses as Go's ``net/url`` reads them, and those that hold a template.

Source: Go's ``net/url``, ``config.URL`` of Alertmanager, ``text/template`` for what has ``{{``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from operators.prometheus.tables import Rejected, Scope
from operators.prometheus.tables.templates import BUILTIN, check_template

__all__ = ["Url", "check_secret_url", "check_template_url", "check_url"]

_FUNCTIONS: Final = (
    "toUpper toLower title trimSpace join match safeHtml safeUrl urlUnescape reReplaceAll stringSlice date tz since "
    "humanizeDuration toJson list append dict"
)
"""Functions of Alertmanager's own in templates, up to 0.33."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]*")
_USER: Final = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_PORT: Final = re.compile(r"(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Url:
    """What matters here of an address.

    Attributes:
        text: the address as Go writes it again.
    """

    scheme: str
    host: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Url:
        """As Go's ``url.Parse``.

        Raises:
            Rejected: it is no address. What it is, is not in the error: it may be a secret.
        """
        if any(sign < " " or sign == "\x7f" for sign in text):
            raise Rejected("is no URL: it has a control character")
        rest, _, fragment = text.partition("#")
        scheme, rest = _scheme(rest)
        rest = rest.partition("?")[0]
        host = ""
        if not rest.startswith("/") and scheme:
            return cls(scheme, "", text)
        if not rest.startswith("/") and ":" in rest.partition("/")[0]:
            raise Rejected("is no URL: the first part of its path has a colon")
        if rest.startswith("//") and (scheme or not rest.startswith("///")):
            authority, slash, path = rest[2:].partition("/")
            host, rest = _host(authority), slash + path
        if _PERCENT.search(rest + "#" + fragment):
            raise Rejected("is no URL: a % is not followed by two hexadecimal digits")
        return cls(scheme, host, f"{scheme}{text[len(scheme) :]}" if scheme else text)


def _scheme(text: str) -> tuple[str, str]:
    match = _SCHEME.match(text)
    if match:
        return match.group().lower(), text[match.end() + 1 :]
    if text.startswith(":"):
        raise Rejected("is no URL: its scheme is missing, as https://")
    return "", text


def _host(authority: str) -> str:
    user, at, host = authority.rpartition("@")
    if at and (not _USER.fullmatch(user) or _PERCENT.search(user)):
        raise Rejected("is no URL: a name or a password is in it that has to be escaped")
    if host.startswith("["):
        inside, bracket, port = host.rpartition("]")
        if not bracket:
            raise Rejected("is no URL: a bracket around its host is not closed")
    else:
        inside, colon, port = host.partition(":")
        port = colon + port
    if not _PORT.fullmatch(port):
        raise Rejected("is no URL: its port is no number")
    if not _HOST.fullmatch(inside) or _PERCENT.search(inside):
        raise Rejected("is no URL: its host has a character that may not stand there")
    return host


def check_url(text: str) -> None:
    """Of ``http`` or ``https``, with a host.

    Raises:
        Rejected: it is none.
    """
    try:
        text = json.loads(f'"{text}"')
    except ValueError:
        raise Rejected("is no URL: it has a quotation mark, a backslash or a control character") from None
    url = Url.parse(text)
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
