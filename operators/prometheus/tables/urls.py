"""Addresses as Go's ``net/url`` reads them.

Source: ``url.Parse``. What an address is stays out of the errors, since it may hold a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from operators.prometheus.tables.rejected import Rejected

__all__ = ["Url", "parse_url"]

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"\x80-\U0010ffff]|%[89A-Fa-f][0-9A-Fa-f])*")
_ADDRESS: Final = re.compile(r"\[[^\]]*\](:[0-9]*)?")
_PORT: Final = re.compile(r"[0-9]*")
_USER: Final = re.compile(r"(?:[A-Za-z0-9\-._:~!$&'()*+,;=@]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class Url:
    """The parts that are asked about; "" for one that is not there."""

    scheme: str = ""
    host: str = ""


def parse_url(text: str) -> Url:
    """The parts of an address.

    Raises:
        Rejected: Go could not read it.

    >>> parse_url("HTTP://[::1]:9090/metrics"), parse_url("path/only")
    (Url(scheme='http', host='[::1]:9090'), Url(scheme='', host=''))
    """
    if _CONTROL.search(text):
        raise Rejected("is no address: it holds a control character")
    rest, _, fragment = text.partition("#")
    if _ESCAPE.search(fragment):
        raise Rejected("is no address: a % in it stands before no two hexadecimal digits")
    found = _SCHEME.match(rest)
    if rest.startswith(":"):
        raise Rejected("is no address: a scheme as http is missing before the colon")
    scheme = found[1].lower() if found else ""
    rest = rest[found.end() :] if found else rest
    path = rest.partition("?")[0]
    if not path.startswith("/"):
        if scheme:
            return Url(scheme)
        if ":" in path.partition("/")[0]:
            raise Rejected("is no address: a colon stands in the first part of the path")
    host = ""
    if path.startswith("//") and (scheme or not path.startswith("///")):
        authority, slash, path = path[2:].partition("/")
        host, path = _host(authority), slash + path
    if _ESCAPE.search(path):
        raise Rejected("is no address: a % in it stands before no two hexadecimal digits")
    return Url(scheme, host)


def _host(authority: str) -> str:
    user, _, host = authority.rpartition("@")
    if not _USER.fullmatch(user):
        raise Rejected("is no address: its user or password holds a character that has to be escaped")
    if host.startswith("["):
        if not _ADDRESS.fullmatch(host):
            raise Rejected("is no address: the brackets around its host, or the port behind them, are wrong")
    elif not _PORT.fullmatch(host.rpartition(":")[2] if ":" in host else ""):
        raise Rejected("is no address: its port is no number")
    if not _HOST.fullmatch(host):
        raise Rejected("is no address: its host holds a character that no host has")
    return host
