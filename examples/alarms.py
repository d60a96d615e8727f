"""A kind with two versions: defaulted, validated and converted by the operator that serves it."""

from __future__ import annotations

from typing import Self

from controllerkit import ApiModel, Resource
from controllerkit.errors import Denied

COLOR = "example.dev/color"


class AlarmSpec(ApiModel):
    minutes: int
    color: str | None = None


class Alarm(Resource, group="example.dev", version="v2", storage=True):
    """The version that is stored, and the hub of the others."""

    spec: AlarmSpec

    def default(self) -> Self:
        if self.spec.color is not None:
            return self
        return self.model_copy(update={"spec": self.spec.model_copy(update={"color": "white"})})

    def validate_create(self) -> list[str]:
        if self.spec.minutes < 1:
            raise Denied(f"an alarm rings after a minute or later, got {self.spec.minutes}")
        return ["you will have forgotten why"] if self.spec.minutes > 24 * 60 else []

    def validate_update(self, old: Self) -> list[str]:
        if self.spec.color != old.spec.color:
            raise Denied(f"the lamp is {old.spec.color} for ever", warnings=["make another alarm"])
        return self.validate_create()

    def validate_delete(self) -> None:
        if self.spec.color == "red":
            raise Denied("a red alarm stays")


class AlarmV1Spec(ApiModel):
    hours: int = 0
    minutes: int = 0


class AlarmV1(Resource, group="example.dev", version="v1", kind="Alarm", storage=False):
    """What there was before there were colors; an annotation keeps them, so that nothing is lost on the way."""

    spec: AlarmV1Spec

    def to_hub(self) -> Alarm:
        notes = dict(self.metadata.annotations)
        spec = AlarmSpec(minutes=self.spec.hours * 60 + self.spec.minutes, color=notes.pop(COLOR, None))
        return Alarm(metadata=self.metadata.model_copy(update={"annotations": notes}), spec=spec)

    @classmethod
    def from_hub(cls, hub: Alarm) -> Self:
        color = {} if hub.spec.color is None else {COLOR: hub.spec.color}
        metadata = hub.metadata.model_copy(update={"annotations": {**hub.metadata.annotations, **color}})
        hours, minutes = divmod(hub.spec.minutes, 60)
        return cls(metadata=metadata, spec=AlarmV1Spec(hours=hours, minutes=minutes))
