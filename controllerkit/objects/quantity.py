"""``resource.Quantity``: the numbers of requests, limits and volume sizes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from controllerkit.errors import BadRequest

__all__ = ["parse_quantity"]

_SUFFIXES: Final = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{letter: Decimal(1000) ** (power + 1) for power, letter in enumerate("kMGTPE")},
    **{f"{letter}i": Decimal(1024) ** (power + 1) for power, letter in enumerate("KMGTPE")},
}
_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?")


def parse_quantity(text: str | int | float) -> Decimal:
    """The exact value.

    Raises:
        BadRequest: the text is no quantity.

    >>> parse_quantity("1Gi") == 2**30, parse_quantity("250m"), parse_quantity("1e3")
    (True, Decimal('0.250'), Decimal('1000'))
    """
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None:
        raise BadRequest(f"quantities must match the regular expression {_QUANTITY.pattern!r}, got {text!r}")
    number, exponent, suffix = found.groups()
    value = Decimal(number)
    if exponent:
        return Decimal(int(value.scaleb(int(exponent[1:])))) if value % 1 == 0 else value.scaleb(int(exponent[1:]))
    return value * _SUFFIXES[suffix or ""]
