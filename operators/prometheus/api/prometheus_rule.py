"""The kind PrometheusRule."""

from __future__ import annotations

from pydantic import Field

from operators.prometheus.api.status import ConfigResourceStatus
from operators.prometheus.api.types import (
    CATEGORIES,
    GROUP,
    Duration,
    IntOrString,
    ListByName,
    Model,
    MonitoringResource,
    NonEmptyDuration,
    NonEmptyString,
)

__all__ = ["PrometheusRule", "PrometheusRuleSpec", "Rule", "RuleGroup"]


class Rule(Model):
    """An alerting or a recording rule."""

    record: str | None = None
    alert: str | None = None
    expr: IntOrString
    for_: Duration | None = Field(default=None, alias="for")
    keep_firing_for: NonEmptyDuration | None = Field(default=None, alias="keep_firing_for")
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class RuleGroup(Model):
    """Rules that are evaluated one after the other."""

    name: NonEmptyString
    labels: dict[str, str] | None = None
    interval: Duration | None = None
    query_offset: Duration | None = Field(default=None, alias="query_offset")
    rules: list[Rule] | None = None
    partial_response_strategy: str | None = Field(
        default=None, pattern="^(?i)(abort|warn)?$", alias="partial_response_strategy"
    )
    limit: int | None = None


class PrometheusRuleSpec(Model):
    """Groups of rules."""

    groups: ListByName[RuleGroup] | None = None


class PrometheusRule(
    MonitoringResource,
    group=GROUP,
    version="v1",
    short_names=["promrule"],
    categories=CATEGORIES,
):
    """Alerting and recording rules."""

    spec: PrometheusRuleSpec
    status: ConfigResourceStatus | None = None
