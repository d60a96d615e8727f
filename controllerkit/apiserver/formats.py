"""The formats that custom resources may give to text, as the API server checks them.

Follows kube-openapi ``pkg/validation/strfmt`` (and Go's ``net`` and ``time`` where that asks them); formats that are
not here are kept in a definition and not checked, as those that apiextensions does not know.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

__all__ = ["checker"]

_PATTERNS: Final = {
    "byte": r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})",
    "uuid": r"(?i:[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})",
    "email": r"(?:[^<>@\"]*<)?[^\s<>@(),:;\"]+@[^\s<>@(),:;\"]+>?",
}
_CLOCK: Final = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})")
_GO_DURATION: Final = re.compile(r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_GO_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_NANOSECONDS: Final = {"ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 6e10, "h": 3.6e12}
_SCALA_PART: Final = re.compile(r"[0-9]+\s*([A-Za-zµ]+)")
_SCALA_WORDS: Final = ("nano", "micro", "milli", "sec", "min", "hour", "day", "week")
_SCALA_SHORT: Final = frozenset({"ns", "us", "µs", "ms", "s", "m", "h", "hr", "d", "w", "wk"})
_LABEL: Final = re.compile(r"[^\W_]([^\W_-]|-(?!$))*")


def _date(value: str) -> bool:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is None:
        return False
    # Go knows a year 0, and it is a leap year.
    known = value if value[:4] != "0000" else f"2000{value[4:]}"
    try:
        date.fromisoformat(known)
    except ValueError:
        return False
    return True


def _date_time(value: str) -> bool:
    day, _, rest = value.lower().partition("t")
    found = _CLOCK.fullmatch(rest.partition("t")[0])
    return found is not None and _date(day) and found[1] <= "23" and max(found[2], found[3]) <= "59"


def _duration(value: str) -> bool:
    """Go's, or else Scala's, in which one part that is understood is enough."""
    length = sum(float(number) * _NANOSECONDS[unit] for number, unit in _GO_PART.findall(value))
    if _GO_DURATION.fullmatch(value) is not None and length < 2**63:
        return True
    units = [unit.lower() for unit in _SCALA_PART.findall(value)]
    return any(unit in _SCALA_SHORT or unit.startswith(_SCALA_WORDS) for unit in units)


def _address(value: str) -> Any:
    """None where it is none. Leading zeros are let through, zones are not."""
    if "%" in value:
        return None
    if "." in value:
        head, colon, tail = value.rpartition(":")
        tail = ".".join(part.lstrip("0") or "0" if part else "" for part in tail.split("."))
        value = head + colon + tail
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def _cidr(value: str) -> bool:
    network, _, bits = value.partition("/")
    found = _address(network)
    return found is not None and re.fullmatch(r"[0-9]{1,3}", bits) is not None and int(bits) <= found.max_prefixlen


def _hostname(value: str) -> bool:
    labels = value.split(".")
    if len(value.encode()) > 255 or any(len(label) > 63 for label in labels):
        return False
    if any(_LABEL.fullmatch(label) is None for label in labels):
        return False
    return len(labels) == 1 or re.fullmatch(r"[^\W\d_]{2,}", labels[-1]) is not None


def _mac(value: str) -> bool:
    for mark, size in ((":", 2), ("-", 2), (".", 4)):
        parts = value.split(mark)
        if len(parts) > 1:
            return len(parts) * size in (12, 16, 40) and all(
                re.fullmatch(r"[0-9a-fA-F]+", part) and len(part) == size for part in parts
            )
    return False


def _uri(value: str) -> bool:
    """What is a request's target: absolute, or a path from the root."""
    if re.search(r"[\x00-\x1f\x7f]", value):
        return False
    scheme = re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", value)
    rest = value[scheme.end() :] if scheme else value
    if not rest.startswith("/"):
        return scheme is not None or value == "*"
    path = rest.partition("?")[0]
    if scheme and path.startswith("//") and not path.startswith("///"):
        host, _, path = path[2:].partition("/")
        if not _host(host.rpartition("@")[2]):
            return False
    return "%" not in re.sub(r"%[0-9a-fA-F]{2}", "", path)


def _host(value: str) -> bool:
    if re.search(r"[\s\"<>^`{|}\\#?]", value):
        return False
    try:
        parts = urllib.parse.urlsplit(f"//{value}")
    except ValueError:
        return False
    port = re.search(r":([^\]]*)$", value)
    return (
        parts.netloc == value
        and value.count(":") - value.count("::") < 9
        and (port is None or port[1].isdecimal() or not port[1])
    )


def _matching(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = {
    **{name: _matching(pattern) for name, pattern in _PATTERNS.items()},
    "cidr": _cidr,
    "date": _date,
    "datetime": _date_time,
    "duration": _duration,
    "hostname": _hostname,
    "ipv4": lambda value: "." in value and _address(value) is not None,
    "ipv6": lambda value: ":" in value and "%" not in value and _plain_address(value),
    "mac": _mac,
    "password": lambda value: True,
    "uri": _uri,
}


def _plain_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def checker(name: str) -> Callable[[str], bool] | None:
    """What tells whether a text is of the format ``name``; None where nobody asks."""
    return _CHECKS.get(name.replace("-", ""))
