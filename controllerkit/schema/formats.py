"""The formats of text that a server holds, as Go reads them.

Source: kube-openapi ``pkg/validation/strfmt`` with govalidator and Go's ``net`` and ``time``; of the formats that
apiextensions lets through (``pkg/apiserver/validation/formats.go``) those that APIs use. Others are not checked here.
"""

from __future__ import annotations

import calendar
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final

from controllerkit.errors import BadRequest
from controllerkit.schema.types import parse_duration

__all__ = ["FORMATS", "is_known"]

_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_TIME: Final = re.compile(r"(\d\d):(\d\d):(\d\d)(.\d+)?(z|[+-]\d\d:\d\d)", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
_MAC: Final = re.compile(
    r"[0-9a-f]{2}(?P<by>[:-])(?:[0-9a-f]{2}(?P=by)){4}(?:(?:[0-9a-f]{2}(?P=by)){2}|(?:[0-9a-f]{2}(?P=by)){14}|)[0-9a-f]{2}"
    r"|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}(?:\.[0-9a-f]{4}|(?:\.[0-9a-f]{4}){7}|)",
    re.IGNORECASE,
)
_SCALA: Final = re.compile(r"\d+\s*([A-Za-zµ]+)", re.ASCII)
_SCALA_UNITS: Final = re.compile(
    r"ns|nano.*|us|µs|micro.*|ms|milli.*|s|sec.*|m|min.*|h|hr|hour.*|d|day.*|w|wk|week.*", re.IGNORECASE
)
_LABEL: Final = r"[^\W_](?:-?[^\W_])*"
_HOSTNAME: Final = re.compile(r"[^\W_](?:-?[^\W_]{0,62})?|(?:[^\W_](?:[-a-zA-Z0-9]{0,61}[^\W_])?\.)+[^\W\d_]{2,63}")
_EMAIL: Final = re.compile(r"(?:[^<>\"@]*<)?[^\s<>@(),:;\[\]\"\\]+@[^\s<>@(),:;\[\]\"\\]+>?")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY: Final = re.compile(
    r"(?:[A-Za-z0-9._~!$&'()*+,;=:%-]*@)?(?:\[[0-9A-Fa-f:.%]+\]|[^\s\"<>\[\]:/?#@^`{|}\\]*)(?::\d*)?"
)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    year, month, day = map(int, found.groups())
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year or 4, month)[1]  # year 0 has a leap day, as 4


def _is_date_time(text: str) -> bool:
    parts = text.lower().split("t")
    found = _TIME.fullmatch(parts[1]) if len(parts) > 1 and _is_date(parts[0]) else None
    return found is not None and found[1] <= "23" and found[2] <= "59" and found[3] <= "59"


def _is_duration(text: str) -> bool:
    """As Go, or as Scala: anything in which a number stands before a unit."""
    try:
        parse_duration(text)
    except BadRequest:
        return any(_SCALA_UNITS.fullmatch(unit) for unit in _SCALA.findall(text))
    return True


def _is_ip(text: str, mark: str, *, sloppy: bool) -> bool:
    if sloppy:  # zeros before a number, as Go took them before 1.17
        text = re.sub(r"(?<![0-9A-Fa-f:.])0+(?=\d)|(?<=\.)0+(?=\d)", "", text)
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return mark in text and getattr(found, "scope_id", None) is None


def _is_cidr(text: str) -> bool:
    address, slash, bits = text.partition("/")
    if not slash or not re.fullmatch(r"\d{1,3}", bits, re.ASCII):
        return False
    if not (_is_ip(address, ".", sloppy=True) or _is_ip(address, ":", sloppy=True)):
        return False
    return int(bits) <= (128 if ":" in address else 32)


def _is_hostname(text: str) -> bool:
    parts = text.split(".")
    return (
        len(text.encode()) <= 255 and all(len(each) <= 63 for each in parts) and _HOSTNAME.fullmatch(text) is not None
    )


def _is_uri(text: str) -> bool:
    """Go's ``url.ParseRequestURI``: absolute, or a path from the root."""
    if not text or any(char < " " or char == "\x7f" for char in text):
        return False
    if text == "*":
        return True
    scheme = _SCHEME.match(text)
    rest = text[scheme.end() :] if scheme else text
    if not rest.startswith("/"):
        return scheme is not None
    path = rest.partition("?")[0]
    if scheme is not None and path.startswith("//") and not path.startswith("///"):
        authority, _, path = path[2:].partition("/")
        if _AUTHORITY.fullmatch(authority) is None:
            return False
    return _BAD_ESCAPE.search(path) is None


FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "byte": lambda text: _BASE64.fullmatch(text) is not None,
    "cidr": _is_cidr,
    "date": _is_date,
    "datetime": _is_date_time,
    "duration": _is_duration,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "hostname": _is_hostname,
    "ipv4": lambda text: _is_ip(text, ".", sloppy=True),
    "ipv6": lambda text: _is_ip(text, ":", sloppy=False),
    "mac": lambda text: _MAC.fullmatch(text) is not None,
    "password": lambda text: True,
    "uri": _is_uri,
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
}
"""Whether a text is of the format, by its name without dashes."""


def is_known(name: str) -> bool:
    """Whether a server checks texts of this format, and this room too."""
    return name.replace("-", "") in FORMATS
