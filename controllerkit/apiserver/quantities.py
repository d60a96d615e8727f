"""Quantities in the one form in which the API server writes each of them (apimachinery ``pkg/api/resource``)."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

__all__ = ["canonical_quantity"]

_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?")
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL: Final = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_EXPONENTS: Final = {suffix: exponent for exponent, suffix in _DECIMAL.items()}
_NANO: Final = Decimal("1e-9")


def canonical_quantity(value: Any) -> str | None:
    """The canonical text; None where ``value`` is no quantity.

    No fraction, no precision lost, the largest suffix that leaves an integer; binary suffixes stay binary.

    >>> [canonical_quantity(v) for v in ("0.5", "1024Mi", "1000m", "1.5Gi", "100000", 3, "1e3", "0.1Gi", "512Ki", "x")]
    ['500m', '1Gi', '1', '1536Mi', '100k', '3', '1e3', '107374182400m', '512Ki', None]
    """
    found = _QUANTITY.fullmatch(str(value))
    if found is None or isinstance(value, bool):
        return None
    number, exponent, suffix = Decimal(found[1]), found[2], found[3] or ""
    if suffix.endswith("i"):
        amount = number * 1024 ** _BINARY.index(suffix)
        if amount % 1 == 0 and abs(amount) >= 1024:
            return _binary(int(amount))
        return _decimal(amount, exponents=False)
    if exponent is not None:
        return _decimal(number.scaleb(int(exponent)), exponents=True)
    return _decimal(number.scaleb(_EXPONENTS[suffix]), exponents=False)


def _binary(amount: int) -> str:
    power = 0
    while amount % 1024 == 0 and power < len(_BINARY) - 1:
        amount //= 1024
        power += 1
    return f"{amount}{_BINARY[power]}"


def _decimal(amount: Decimal, *, exponents: bool) -> str:
    amount = amount.quantize(_NANO, rounding=ROUND_CEILING) if amount % _NANO else amount
    if amount == 0:
        return "0"
    exponent = -9
    scaled = int(amount.scaleb(9))
    while scaled % 1000 == 0 and exponent < 18:
        scaled //= 1000
        exponent += 3
    if exponents:
        return f"{scaled}e{exponent}" if exponent else str(scaled)
    return f"{scaled}{_DECIMAL[exponent]}"
