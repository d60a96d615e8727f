"""Desired children: what an owner should have, in order of readiness, and no more than that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from controllerkit.controller.readiness import waits_for
from controllerkit.objects import GVK, Key, Object

__all__ = ["AppliedMemory", "Children", "covers"]

_sorted_encoder = msgspec.json.Encoder(order="sorted")


def covers(actual: Any, desired: Any) -> bool:
    """Whether every field of ``desired`` is in ``actual`` with that value; fields that others added do not matter.

    Lists must be of equal length, item by item, for an item has no name that all kinds share.

    >>> covers({"a": 1, "b": [{"x": 1, "defaulted": 2}]}, {"b": [{"x": 1}]}), covers({"b": [1, 2]}, {"b": [1]})
    (True, False)
    """
    if isinstance(desired, Mapping):
        if not isinstance(actual, Mapping):
            return False
        return all(name in actual and covers(actual[name], value) for name, value in desired.items())
    if isinstance(desired, list | tuple):
        if not isinstance(actual, list) or len(actual) != len(desired):
            return False
        return all(map(covers, actual, desired))
    return bool(actual == desired) and isinstance(actual, bool) == isinstance(desired, bool)


@dataclass(frozen=True, slots=True)
class _Applied:
    digest: bytes
    uid: str
    version: str


class AppliedMemory:
    """What this process applied last, so that it need not ask the server again whether anything differs.

    Guarantees:
        A write is called needless only where the same text was applied by this process to this very object, and the
        object given still holds all of it. So a field that was dropped from the desired text is applied once more,
        and so is everything after a start.
    """

    def __init__(self) -> None:
        self._applied: dict[tuple[GVK, Key], _Applied] = {}

    def __len__(self) -> int:
        return len(self._applied)

    def needless(self, desired: Mapping[str, Any], actual: Object) -> bool:
        """Whether applying ``desired`` over ``actual`` would change nothing."""
        before = self._applied.get((actual.gvk, actual.key))
        if before is None or before.uid != actual.uid or before.digest != _digest(desired):
            return False
        return before.version == actual.resource_version or covers(actual.body, desired)

    def applied(self, desired: Mapping[str, Any], answer: Object) -> None:
        """Remembers what the server made of ``desired``."""
        known = _Applied(_digest(desired), answer.uid, answer.resource_version)
        self._applied[answer.gvk, answer.key] = known

    def gone(self, value: Object) -> None:
        """Forgets a deleted object."""
        self._applied.pop((value.gvk, value.key), None)


def _digest(desired: Mapping[str, Any]) -> bytes:
    return hashlib.blake2b(_sorted_encoder.encode(desired), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Children:
    """What became of the children of one owner.

    Attributes:
        objects: as the server has them, in the order asked for; of the stages that were reached.
        waiting: by ``Kind name``, what a child of the last stage reached waits for. Empty: all are ready.
        pruned: those deleted because nobody wants them any more.
        complete: every stage was reached.
    """

    objects: tuple[Object, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    pruned: tuple[Object, ...] = ()
    complete: bool = True

    @property
    def ready(self) -> bool:
        """Every child is there and ready."""
        return self.complete and not self.waiting

    @property
    def message(self) -> str:
        """For a condition: ``Deployment web: 1 of 3 replicas available``."""
        return "; ".join(f"{name}: {why}" for name, why in self.waiting.items())


def waiting_of(objects: Iterable[Object]) -> dict[str, str]:
    """Those of ``objects`` that are not ready, and what for."""
    told = {f"{value.kind} {value.name}": waits_for(value) for value in objects}
    return {name: why for name, why in told.items() if why is not None}


def unwanted(wanted: Sequence[Mapping[str, Any]], owned: Iterable[Object]) -> list[Object]:
    """Those of ``owned`` that no entry of ``wanted`` names and that are not being deleted already."""
    names = {
        (GVK.of(value["apiVersion"], value["kind"]).group, value["kind"], value["metadata"].get("name", ""))
        for value in wanted
    }
    return [each for each in owned if (each.gvk.group, each.kind, each.name) not in names and not each.deleting]
