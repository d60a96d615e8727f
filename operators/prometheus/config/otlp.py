"""What Prometheus makes of metrics that come by OTLP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.tables import Field, Rejected, Scope, Table
from operators.prometheus.tables.makes import given

__all__ = ["otlp_section"]

SINCE: Final = "2.55.0"

_STRATEGIES_SINCE: Final = {"NoTranslation": "3.4.0", "UnderscoreEscapingWithoutSuffixes": "3.6.0"}


def otlp_section(spec: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """``{"otlp": …}`` of ``spec.otlp``; empty if that is absent, or holds nothing that the version knows.

    Raises:
        Rejected: the version knows no OTLP or not this strategy, or two fields exclude each other.
    """
    section = spec.get("otlp")
    if not isinstance(section, Mapping):
        return {}
    try:
        _check(section, scope, spec.get("nameValidationScheme"))
    except Rejected as refused:
        raise refused.at("otlp") from None
    made = _OTLP.of(section, scope)
    return {"otlp": made} if made else {}


def _check(section: Mapping[str, Any], scope: Scope, validation: Any) -> None:
    if not scope.knows(SINCE):
        raise Rejected(f"OTLP needs {SINCE}, this is {scope.version}; leave the field out")
    strategy = str(section.get("translationStrategy") or "")
    if strategy == "NoUTF8EscapingWithSuffixes" and validation == "Legacy":
        raise Rejected(f"{strategy} does not go with nameValidationScheme: Legacy", "translationStrategy")
    needed = _STRATEGIES_SINCE.get(strategy, "")
    if not scope.knows(needed):
        raise Rejected(f"{strategy} needs {needed}, this is {scope.version}", "translationStrategy")
    if scope.knows("3.5.0"):
        _check_promotion(section)


def _check_promotion(section: Mapping[str, Any]) -> None:
    """All attributes, less those that are ignored; or those that are named."""
    everything = section.get("promoteAllResourceAttributes") is True
    if everything and section.get("promoteResourceAttributes"):
        raise Rejected("goes not with promoteAllResourceAttributes; name attributes or take all", _PROMOTED)
    if not everything and section.get("ignoreResourceAttributes"):
        raise Rejected("needs promoteAllResourceAttributes: true; nothing else could be ignored", _IGNORED)


_PROMOTED: Final = "promoteResourceAttributes"
_IGNORED: Final = "ignoreResourceAttributes"

_OTLP: Final = Table(
    Field("promote_resource_attributes", _PROMOTED),
    Field("translation_strategy", "translationStrategy", given, since="3.0.0"),
    Field("keep_identifying_resource_attributes", "keepIdentifyingResourceAttributes", given, since="3.1.0"),
    Field("convert_histograms_to_nhcb", "convertHistogramsToNHCB", given, since="3.4.0"),
    Field("promote_all_resource_attributes", "promoteAllResourceAttributes", given, since="3.5.0"),
    Field("ignore_resource_attributes", _IGNORED, since="3.5.0"),
    Field("promote_scope_metadata", "promoteScopeMetadata", given, since="3.6.0"),
    Field("label_name_underscore_sanitization", "labelNameUnderscoreSanitization", given, since="3.8.0"),
    Field("label_name_preserve_multiple_underscores", "labelNamePreserveMultipleUnderscores", given, since="3.8.0"),
)
