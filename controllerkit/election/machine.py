"""Who may lead, decided from what was seen of the Lease and when: pure.

As client-go ``tools/leaderelection``: a lease is held until its duration has passed since *this* process last saw
the record change, by its own monotonic clock. No time in the record is compared with a clock here, so clocks that
stand apart do no harm; clocks that run at different speeds do, by as much as they differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from controllerkit.election.record import LeaderRecord
from controllerkit.errors import ConfigError

__all__ = ["JITTER_FACTOR", "ElectionOptions", "Observation", "claim", "free", "observe", "released"]

JITTER_FACTOR: Final = 1.2
"""client-go: a candidate waits between one and 2.2 retry periods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionOptions:
    """The three spans of an election, in seconds; client-go's and controller-runtime's defaults.

    Attributes:
        lease_duration_s: how long others wait after the last sign of life; whole seconds, as the API has it.
        renew_deadline_s: how long a leader tries to renew before it gives up.
        retry_period_s: between two tries.
        release_on_cancel: a leader that stops frees the lease, so that the next one need not wait.
    Raises:
        ConfigError: a leader would give up later than others may take over, or less than one try fits.
    """

    lease_duration_s: int = 15
    renew_deadline_s: float = 10.0
    retry_period_s: float = 2.0
    release_on_cancel: bool = True

    def __post_init__(self) -> None:
        if self.lease_duration_s < 1 or self.renew_deadline_s <= 0 or self.retry_period_s <= 0:
            raise ConfigError(
                "lease_duration_s must be at least 1, renew_deadline_s and retry_period_s above 0; got "
                f"{self.lease_duration_s}, {self.renew_deadline_s:g} and {self.retry_period_s:g}"
            )
        if self.lease_duration_s <= self.renew_deadline_s:
            raise ConfigError(
                f"lease_duration_s ({self.lease_duration_s}) must be greater than renew_deadline_s "
                f"({self.renew_deadline_s:g}): a leader has to stop before another may start"
            )
        if self.renew_deadline_s <= JITTER_FACTOR * self.retry_period_s:
            raise ConfigError(
                f"renew_deadline_s ({self.renew_deadline_s:g}) must be greater than {JITTER_FACTOR} times "
                f"retry_period_s ({self.retry_period_s:g}): more than one try has to fit in"
            )


@dataclass(frozen=True, slots=True)
class Observation:
    """A record, and when (monotonic) it was first seen to be so."""

    record: LeaderRecord
    at: float


def observe(before: Observation | None, record: LeaderRecord, now: float) -> Observation:
    """What is known after ``record`` was read at ``now``: an unchanged record is as old as before."""
    return before if before is not None and before.record == record else Observation(record, now)


def free(seen: Observation, identity: str, now: float) -> bool:
    """Whether ``identity`` may take or keep the lease: it is its own, nobody's, or not renewed for too long."""
    record = seen.record
    return record.holder in ("", identity) or seen.at + record.lease_duration_s <= now


def claim(record: LeaderRecord | None, identity: str, options: ElectionOptions, wall: datetime) -> LeaderRecord:
    """The record that ``identity`` writes to take the lease over ``record``, or to renew its own."""
    if record is None:
        return LeaderRecord(
            holder=identity, lease_duration_s=options.lease_duration_s, acquire_time=wall, renew_time=wall
        )
    renewed = record.holder == identity
    return replace(
        record,
        holder=identity,
        lease_duration_s=options.lease_duration_s,
        acquire_time=record.acquire_time if renewed else wall,
        renew_time=wall,
        transitions=record.transitions + (not renewed),
    )


def released(record: LeaderRecord, wall: datetime) -> LeaderRecord:
    """What a leader that stops writes: nobody leads, for one second; the transitions are kept."""
    return replace(record, holder="", lease_duration_s=1, acquire_time=wall, renew_time=wall)
