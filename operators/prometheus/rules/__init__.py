"""PrometheusRules: checked, fitted to a version, bound to their namespace, and packed into ConfigMaps."""

from operators.prometheus.rules.check import check_rule
from operators.prometheus.rules.enforce import enforced, enforced_expression
from operators.prometheus.rules.format import Format, rule_file
from operators.prometheus.rules.lint import Finding, lint
from operators.prometheus.rules.pack import MOUNTED_MIN, file_name, packed
from operators.prometheus.rules.select import RuleFiles, rule_files

__all__ = [
    "MOUNTED_MIN",
    "Finding",
    "Format",
    "RuleFiles",
    "check_rule",
    "enforced",
    "enforced_expression",
    "file_name",
    "lint",
    "packed",
    "rule_file",
    "rule_files",
]
