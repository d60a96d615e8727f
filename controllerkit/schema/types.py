"""The API's own value types, for the fields of models: quantities, durations, ports by number or name."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Self

from pydantic import GetCoreSchemaHandler, PlainSerializer, PlainValidator, StrictInt, StrictStr
from pydantic_core import CoreSchema, core_schema

from controllerkit.errors import BadRequest
from controllerkit.objects import parse_quantity
from controllerkit.schema.markers import Keywords, schema_format

__all__ = [
    "Duration",
    "EmbeddedObject",
    "Int32",
    "Int64",
    "IntOrString",
    "Quantity",
    "format_duration",
    "parse_duration",
]

QUANTITY_PATTERN: Final = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
"""apimachinery ``resource.Quantity``, but for its exponents with a fraction."""

DURATION_PATTERN: Final = r"^[+-]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+)$"
"""What Go's ``time.ParseDuration`` takes."""


class Quantity(str):
    """``resource.Quantity`` as it is written; equal where the text is equal.

    >>> Quantity("1Gi").value == 2**30, Quantity("250m").value
    (True, Decimal('0.250'))
    """

    __slots__ = ()
    structural: Final = {"pattern": QUANTITY_PATTERN, "x-kubernetes-int-or-string": True}

    @property
    def value(self) -> Decimal:
        """The exact number.

        Raises:
            BadRequest: the text is no quantity; a field of a model never holds such.
        """
        return parse_quantity(self)

    @classmethod
    def _validated(cls, value: Any) -> Self:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"a quantity is text or a whole number, got {value!r}")
        if re.search(QUANTITY_PATTERN, str(value)) is None:
            raise ValueError(f"a quantity is a number with a suffix such as m, k, Mi or Gi, got {value!r}")
        return cls(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How pydantic reads it: text or a whole number; and writes it: text."""
        return core_schema.no_info_plain_validator_function(
            cls._validated, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )


_UNITS: Final = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str) -> timedelta:
    """Reads ``metav1.Duration``. What is finer than a microsecond is cut off.

    Raises:
        BadRequest: the text is no duration as Go writes them, or longer than Go's 292 years.

    >>> parse_duration("1h30m"), parse_duration("-1.5s").total_seconds()
    (datetime.timedelta(seconds=5400), -1.5)
    """
    if re.search(DURATION_PATTERN, text) is None:
        raise BadRequest(f'durations are written like "90s", "1h30m" or "1.5s", got {text!r}')
    total = sum((Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(text)), Decimal(0))
    if total >= Decimal(2**63) / 10**9:
        raise BadRequest(f"a duration counts nanoseconds in 64 bits, {text!r} is too long")
    whole = timedelta(microseconds=int(total * 1_000_000))
    return -whole if text.startswith("-") else whole


def format_duration(value: timedelta) -> str:
    """As Go writes it.

    >>> [format_duration(timedelta(seconds=s)) for s in (0, 5, 90, 3600, 0.25, -1.5)]
    ['0s', '5s', '1m30s', '1h0m0s', '250ms', '-1.5s']
    """
    micros = value // timedelta(microseconds=1)
    sign, micros = ("-" if micros < 0 else ""), abs(micros)
    if 0 < micros < 1_000_000:
        number, unit = (Decimal(micros) / 1000, "ms") if micros >= 1000 else (Decimal(micros), "µs")
        return f"{sign}{_plain(number)}{unit}"
    minutes, rest = divmod(micros, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_plain(Decimal(rest) / 1_000_000)}s"
    return sign + (f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}" if minutes else seconds)


def _plain(number: Decimal) -> str:
    return f"{number:f}".rstrip("0").rstrip(".") if "." in f"{number:f}" else f"{number:f}"


def _read_duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f'a duration is a timedelta, or text like "1h30m", got {value!r}')
    try:
        return parse_duration(value)
    except BadRequest as error:
        raise ValueError(error.message) from None


Duration = Annotated[
    timedelta,
    PlainValidator(_read_duration),
    PlainSerializer(format_duration, return_type=str),
    Keywords({"type": "string", "format": "duration", "pattern": DURATION_PATTERN}, whole=True),
]
"""``metav1.Duration``: a timedelta here, text like ``1h30m`` in the API."""

IntOrString = Annotated[StrictInt | StrictStr, Keywords({"x-kubernetes-int-or-string": True}, whole=True)]
"""``intstr.IntOrString``: a number, or text such as a port's name or ``25%``."""

Int32 = Annotated[int, schema_format("int32")]
Int64 = Annotated[int, schema_format("int64")]

EmbeddedObject = Annotated[
    dict[str, Any],
    Keywords(
        {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
        whole=True,
    ),
]
"""Any Kubernetes object, with apiVersion and kind, inside another."""
