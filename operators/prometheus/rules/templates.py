"""Templates in alerts' labels and annotations.

Source: Prometheus' ``template`` package.
"""

from __future__ import annotations

from typing import Final

from operators.prometheus.tables import templates
from operators.prometheus.tables.templates import BUILTIN

__all__ = ["check_template"]

_PROMETHEUS: Final = (
    "query first label value strvalue args reReplaceAll safeHtml match title toUpper toLower graphLink tableLink "
    "sortByLabel stripPort stripDomain humanize humanize1024 humanizeDuration humanizePercentage humanizeTimestamp "
    "toTime toDuration now pathPrefix externalURL parseDuration urlQueryEscape"
)
_FUNCTIONS: Final = BUILTIN | frozenset(_PROMETHEUS.split())
_VARIABLES: Final = ("$", "$labels", "$externalLabels", "$externalURL", "$value")
"""Those that Prometheus defines before the text of a rule."""


def check_template(text: str) -> None:
    """Checks one text.

    >>> check_template('{{ $labels.job }} is at {{ printf "%.2f" $value | humanize }}')

    Raises:
        Rejected: it does not parse.
    """
    templates.check_template(text, _FUNCTIONS, _VARIABLES)
