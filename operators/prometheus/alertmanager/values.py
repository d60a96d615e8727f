"""Values as Alertmanager's file has them: durations, addresses, texts, flags; each a `Make` of a table.

What a transform is given comes of YAML (`reading.Plain` for a scalar without quotes) or of JSON. It is refused if it is
of another type, and left out where Go would leave it out: `OMIT` for the zero of its type, unless its name says
that zero is written too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.alertmanager.reading import Plain
from operators.prometheus.tables import OMIT, Flow, Rejected, Scope
from operators.prometheus.tables.makes import naturally
from operators.prometheus.tables.table import Make

__all__ = [
    "anything",
    "duration",
    "flag",
    "flag_or_false",
    "flag_or_null",
    "flow",
    "headers",
    "host_port",
    "integer",
    "integer_or_zero",
    "is_null",
    "kept_duration",
    "list_of",
    "milliseconds",
    "nonzero_duration",
    "set_flag",
    "split_host_port",
    "text",
    "text_or_empty",
    "text_or_null",
    "texts",
    "texts_by_name",
    "values_by_name",
]

_DURATION: Final = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?"
)
_UNITS: Final = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
"""Milliseconds of each unit; those of Prometheus."""

_MILLISECONDS_MAX: Final = (2**63 - 1) // 1_000_000


def is_null(value: Any) -> bool:
    """Whether nothing is said: None, or a null in YAML."""
    return value is None or (isinstance(value, Plain) and value.value is None)


def _text_of(value: Any) -> str:
    if is_null(value):
        return ""
    if not isinstance(value, str):
        raise Rejected("is no text")
    return str(value)


def text(value: Any, scope: Scope) -> Any:
    """A text; "" is left out."""
    return _text_of(value) or OMIT


def text_or_empty(value: Any, scope: Scope) -> Any:
    """A text; "" is written."""
    return _text_of(value)


def text_or_null(value: Any, scope: Scope) -> Any:
    """A text, "" too; only null is left out."""
    return OMIT if is_null(value) else _text_of(value)


def _flag_of(value: Any) -> bool | None:
    plain = value.value if isinstance(value, Plain) else value
    if plain is not None and not isinstance(plain, bool):
        raise Rejected("is neither true nor false")
    return plain


def flag(value: Any, scope: Scope) -> Any:
    """True or false, both written."""
    found = _flag_of(value)
    return OMIT if found is None else found


def set_flag(value: Any, scope: Scope) -> Any:
    """True; false is left out."""
    return _flag_of(value) or OMIT


def flag_or_false(value: Any, scope: Scope) -> Any:
    """True, and false where nothing is said."""
    return bool(_flag_of(value))


def flag_or_null(value: Any, scope: Scope) -> Any:
    """True, false, and null where nothing is said."""
    return _flag_of(value)


def _integer_of(value: Any) -> int | None:
    plain = value.value if isinstance(value, Plain) else value
    if plain is not None and (isinstance(plain, bool) or not isinstance(plain, int)):
        raise Rejected("is no whole number")
    if plain is not None and not -(2**63) <= plain < 2**63:
        raise Rejected("is beyond 64 bits")
    return plain


def integer(value: Any, scope: Scope) -> Any:
    """A whole number; 0 is left out."""
    return _integer_of(value) or OMIT


def integer_or_zero(value: Any, scope: Scope) -> Any:
    """A whole number, 0 too."""
    found = _integer_of(value)
    return OMIT if found is None else found


def milliseconds(value: str) -> int:
    """Of a duration as ``1h30m``.

    Raises:
        Rejected: it is none.
    """
    match = _DURATION.fullmatch(value)
    if value == "0":
        return 0
    if match is None or not value:
        raise Rejected(f"{value[:40]!r} is no duration; write one as 1h30m")
    total = sum(int(count[:20]) * _UNITS[unit] for unit, count in zip(_UNITS, match.groups(), strict=True) if count)
    if total > _MILLISECONDS_MAX:
        raise Rejected(f"{value[:40]!r} is too long a duration")
    return total


def duration(value: Any, scope: Scope) -> Any:
    """A duration in its shortest form: ``90s`` is ``1m30s``, ``24h`` is ``1d``."""
    given = _text_of(value)
    if not given:
        return OMIT
    left, written = milliseconds(given), ""
    for unit, length in _UNITS.items():
        if left >= length and not (unit in ("y", "w") and left % length):
            written += f"{left // length}{unit}"
            left %= length
    return written or "0s"


def kept_duration(value: Any, scope: Scope) -> Any:
    """A duration as it stands there."""
    given = _text_of(value)
    if given:
        milliseconds(given)
    return given or OMIT


def nonzero_duration(value: Any, scope: Scope) -> Any:
    """A duration as it stands there; 0 is left out."""
    given = _text_of(value)
    return given if given and milliseconds(given) else OMIT


def split_host_port(given: str) -> tuple[str, str]:
    """As Go's ``net.SplitHostPort``.

    Raises:
        Rejected: it is no ``host:port``.
    """
    if given.startswith("["):
        host, bracket, rest = given[1:].partition("]")
        valid = bracket and rest.startswith(":") and ":" not in rest[1:] and not set("[]") & set(host + rest)
        port = rest[1:]
    else:
        host, colon, port = given.rpartition(":")
        valid = colon and not set(":[]") & set(host) and not set("[]") & set(port)
    if not valid:
        raise Rejected(f"{given[:100]!r} is no address; write host:port")
    return host, port


def host_port(value: Any, scope: Scope) -> Any:
    """``host:port``, of a text or of ``{"host": …, "port": …}``."""
    if isinstance(value, Mapping):
        host, port = _text_of(value.get("host")), _text_of(value.get("port"))
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}" if host or port else OMIT
    given = _text_of(value)
    if not given:
        return OMIT
    host, port = split_host_port(given)
    if not port:
        raise Rejected(f"{given[:100]!r} has no port; write host:port")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def list_of(value: Any) -> list[Any]:
    """The items of a list; none of null.

    Raises:
        Rejected: it is something else.
    """
    if is_null(value):
        return []
    if not isinstance(value, list):
        raise Rejected("is no list")
    return value


def _mapping_of(value: Any) -> Mapping[str, Any]:
    if is_null(value):
        return {}
    if not isinstance(value, Mapping):
        raise Rejected("is no mapping")
    return value


def texts(value: Any, scope: Scope) -> Any:
    """A list of texts; an empty one is left out."""
    return [_text_of(item) for item in list_of(value)] or OMIT


def _named(make: Make) -> Make:
    def made(value: Any, scope: Scope) -> Any:
        return naturally({_text_of(key): make(item, scope) for key, item in _mapping_of(value).items()}, scope)

    return made


texts_by_name: Final = _named(text_or_empty)
"""A mapping of texts, in the order of a Go map."""


def anything(value: Any, scope: Scope) -> Any:
    """Whatever it is; mappings in the order of a Go map."""
    if isinstance(value, Plain):
        return value.value
    if isinstance(value, Mapping):
        return {key: anything(value[key], scope) for key in _in_order(value)}
    return [anything(item, scope) for item in value] if isinstance(value, list) else value


def _in_order(value: Mapping[Any, Any]) -> list[Any]:
    keys = {str(key): key for key in value}
    ordered = naturally(keys, Scope(version=None)) if keys else {}  # type: ignore[arg-type]
    return list(ordered.values())


values_by_name: Final = _named(anything)
"""A mapping of whatever it is."""

headers: Final = _named(lambda value, scope: [_text_of(item) for item in list_of(value)])
"""A mapping of lists of texts."""


def flow(make: Make) -> Make:
    """A list in one line."""

    def made(value: Any, scope: Scope) -> Any:
        return Flow(make(item, scope) for item in list_of(value)) or OMIT

    return made
