"""The rule files of a Prometheus or ThanosRuler, from the PrometheusRules it selects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.prometheus.rules.check import check_rule
from operators.prometheus.rules.enforce import enforced
from operators.prometheus.rules.format import Format, rule_file
from operators.prometheus.rules.pack import file_name
from operators.prometheus.tables import Rejected, Version
from operators.prometheus.tables.exclusions import is_excluded
from operators.prometheus.tables.reading import entries, mapping, text
from operators.prometheus.tables.selecting import Namespaces, selected
from operators.prometheus.tables.versions import DEFAULT_PROMETHEUS, DEFAULT_THANOS

__all__ = ["RuleFiles", "rule_files"]


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """What became of the selected PrometheusRules.

    Attributes:
        files: name of the file to its text.
        rejected: ``PrometheusRule namespace/name`` to the reason; its rules are in no file.
        dropped: ``PrometheusRule namespace/name`` to the fields that the version does not know.
    """

    files: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, Rejected] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)


def rule_files(cr: Mapping[str, Any], rules: Iterable[Mapping[str, Any]], namespaces: Namespaces) -> RuleFiles:
    """The files of a Prometheus or ThanosRuler.

    Raises:
        Rejected: its version or a selector is none; what is wrong of a PrometheusRule is in the result.
    """
    format_ = _format(cr)
    found = selected(cr, rules, namespaces, selector="ruleSelector", namespace_selector="ruleNamespaceSelector")
    made = RuleFiles()
    for each in found:
        metadata = mapping(each.get("metadata"))
        subject = f"PrometheusRule {text(metadata.get('namespace'))}/{text(metadata.get('name'))}"
        dropped: list[str] = []
        try:
            made.files[file_name(each)] = rule_file(_bound(cr, each, format_), format_, dropped)
        except Rejected as refused:
            made.rejected[subject] = refused.of(subject)
        if dropped:
            made.dropped[subject] = dropped
    return made


def _format(cr: Mapping[str, Any]) -> Format:
    thanos = cr.get("kind") == "ThanosRuler"
    version = text(mapping(cr.get("spec")).get("version")) or (DEFAULT_THANOS if thanos else DEFAULT_PROMETHEUS)
    return Format("thanos" if thanos else "prometheus", Version.parse(version))


def _bound(cr: Mapping[str, Any], rule: Mapping[str, Any], format_: Format) -> Mapping[str, Any]:
    """``spec`` of the rule, bound to its namespace where that is enforced."""
    spec, metadata = mapping(rule.get("spec")), mapping(rule.get("metadata"))
    label = text(mapping(cr.get("spec")).get("enforcedNamespaceLabel"))
    if not label or _is_excluded(mapping(cr.get("spec")), metadata):
        return spec
    check_rule(spec, utf8_names=format_.utf8_names)
    return enforced(spec, label, text(metadata.get("namespace")))


def _is_excluded(cr_spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    """By ``excludedFromEnforcement``, or by the field of rules alone that was there before."""
    own = (text(metadata.get("namespace")), text(metadata.get("name")))
    old = map(mapping, entries(cr_spec.get("prometheusRulesExcludedFromEnforce")))
    named = any((text(each.get("ruleNamespace")), text(each.get("ruleName"))) == own for each in old)
    return named or is_excluded("PrometheusRule", metadata, cr_spec)
