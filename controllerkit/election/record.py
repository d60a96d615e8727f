"""What a Lease says about who leads, as data (``coordination.k8s.io/v1``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from controllerkit.errors import MalformedObject
from controllerkit.objects import Key, Object

__all__ = ["LeaderRecord", "lease_of", "record_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderRecord:
    """The spec of a Lease.

    Attributes:
        holder: who leads, "" for nobody.
        lease_duration_s: for how long after it was last seen to change the lease is taken to hold; whole seconds.
        acquire_time, renew_time: the holder's wall clock, for people; nothing is decided by them.
        transitions: how often the holder has changed.
        strategy, preferred_holder: of coordinated leader election; kept as they are.
    """

    holder: str = ""
    lease_duration_s: int = 0
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    transitions: int = 0
    strategy: str = ""
    preferred_holder: str = ""


def record_of(lease: Object) -> LeaderRecord:
    """The record in ``lease``; what is missing is empty.

    Raises:
        MalformedObject: a time does not parse.
    """
    spec = lease.spec
    return LeaderRecord(
        holder=spec.get("holderIdentity") or "",
        lease_duration_s=spec.get("leaseDurationSeconds") or 0,
        acquire_time=_time(lease, "acquireTime"),
        renew_time=_time(lease, "renewTime"),
        transitions=spec.get("leaseTransitions") or 0,
        strategy=spec.get("strategy") or "",
        preferred_holder=spec.get("preferredHolder") or "",
    )


def lease_of(record: LeaderRecord, key: Key, over: Object | None = None) -> dict[str, Any]:
    """The Lease ``key`` that says ``record``; metadata and whatever else is in ``over`` are kept."""
    value: dict[str, Any] = (
        over.to_dict()
        if over is not None
        else {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": key.name, "namespace": key.namespace},
        }
    )
    spec = {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.lease_duration_s,
        "acquireTime": _micro_time(record.acquire_time),
        "renewTime": _micro_time(record.renew_time),
        "leaseTransitions": record.transitions,
        "strategy": record.strategy or None,
        "preferredHolder": record.preferred_holder or None,
    }
    value["spec"] = {**(value.get("spec") or {}), **{name: each for name, each in spec.items() if each is not None}}
    return value


def _time(lease: Object, field: str) -> datetime | None:
    text = lease.spec.get(field)
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise MalformedObject(f"Lease {lease.key}: spec.{field} is {text!r}, which is no time") from error


def _micro_time(at: datetime | None) -> str | None:
    """``metav1.MicroTime``: six digits, in UTC."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
