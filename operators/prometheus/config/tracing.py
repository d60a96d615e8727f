"""Where Prometheus sends its own traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.config.http import TLS
from operators.prometheus.config.jobs import as_float
from operators.prometheus.config.own_checks import check_tracing
from operators.prometheus.config.references import inside
from operators.prometheus.tables import Field, Scope, Table
from operators.prometheus.tables.makes import always, by_name, given, lowered, section
from operators.prometheus.tables.reading import mapping

__all__ = ["tracing_section"]


def tracing_section(spec: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """``{"tracing": …}`` of ``spec.tracingConfig``; empty if that is absent.

    Raises:
        Rejected: the fraction is none, or fields of TLS do not go together.
    """
    inside("tracingConfig", check_tracing, mapping(spec.get("tracingConfig")))
    return _SECTION.of(spec, scope)


_TRACING: Final = Table(
    always("endpoint"),
    Field("client_type", "clientType", lowered),
    Field("sampling_fraction", "samplingFraction", as_float),
    Field("insecure", make=given),
    Field("headers", make=by_name),
    Field("compression", make=lowered),
    Field("timeout", make=given),
    TLS,
)

_SECTION: Final = Table(Field("tracing", "tracingConfig", section(_TRACING)))
