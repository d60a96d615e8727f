"""What the operator tells of workloads, and of the objects they select."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from controllerkit.schema import Int64, list_map
from operators.prometheus.api.types import Model, NonEmptyString

__all__ = [
    "Condition",
    "ConfigResourceCondition",
    "ConfigResourceStatus",
    "WorkloadBinding",
]


class ConfigResourceCondition(Model):
    """Whether a workload has accepted the object, and why not."""

    type: Literal["Accepted"] = Field(min_length=1)
    status: NonEmptyString
    last_transition_time: datetime
    reason: str | None = None
    message: str | None = None
    observed_generation: Int64 | None = None


class WorkloadBinding(Model):
    """What became of the object in one workload that selects it."""

    group: Literal["monitoring.coreos.com"]
    resource: Literal["prometheuses", "prometheusagents", "thanosrulers", "alertmanagers"]
    name: NonEmptyString
    namespace: NonEmptyString
    conditions: Annotated[list[ConfigResourceCondition], list_map("type")] | None = None


class ConfigResourceStatus(Model):
    """What became of the object in each workload that selects it."""

    bindings: Annotated[list[WorkloadBinding], list_map("group", "resource", "name", "namespace")] | None = None


class Condition(Model):
    """What is the case with the workload."""

    type: NonEmptyString
    status: NonEmptyString
    last_transition_time: datetime
    reason: str | None = None
    message: str | None = None
    observed_generation: Int64 | None = None
