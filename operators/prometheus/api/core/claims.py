"""Claims of persistent volumes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from controllerkit.schema import list_map, map_granular
from operators.prometheus.api.core.meta import (
    LabelSelector,
    ObjectMeta,
    TypedLocalObjectReference,
    TypedObjectReference,
)
from operators.prometheus.api.types import AtomicList, Model, Quantity

__all__ = [
    "ModifyVolumeStatus",
    "PersistentVolumeClaimCondition",
    "PersistentVolumeClaimSpec",
    "PersistentVolumeClaimStatus",
    "PersistentVolumeClaimTemplate",
    "VolumeResourceRequirements",
]


class VolumeResourceRequirements(Model):
    """The size of a volume."""

    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None


class PersistentVolumeClaimSpec(Model):
    """What is asked of a volume."""

    access_modes: AtomicList[str] | None = None
    selector: LabelSelector | None = None
    resources: VolumeResourceRequirements | None = None
    volume_name: str | None = None
    storage_class_name: str | None = None
    volume_mode: str | None = None
    data_source: TypedLocalObjectReference | None = None
    data_source_ref: TypedObjectReference | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolumeClaimTemplate(Model):
    """A claim that is made for the Pod."""

    metadata: ObjectMeta | None = None
    spec: PersistentVolumeClaimSpec


class PersistentVolumeClaimCondition(Model):
    """What is the case with a claim."""

    type: str
    status: str
    last_probe_time: datetime | None = None
    last_transition_time: datetime | None = None
    reason: str | None = None
    message: str | None = None


class ModifyVolumeStatus(Model):
    """How far a change of a volume's attributes has come."""

    target_volume_attributes_class_name: str | None = None
    status: str


class PersistentVolumeClaimStatus(Model):
    """What a claim has got."""

    phase: str | None = None
    access_modes: AtomicList[str] | None = None
    capacity: dict[str, Quantity] | None = None
    conditions: Annotated[list[PersistentVolumeClaimCondition], list_map("type")] | None = None
    allocated_resources: dict[str, Quantity] | None = None
    allocated_resource_statuses: Annotated[dict[str, str], map_granular()] | None = None
    current_volume_attributes_class_name: str | None = None
    modify_volume_status: ModifyVolumeStatus | None = None
