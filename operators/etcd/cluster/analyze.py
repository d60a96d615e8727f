"""The pure middle of the controller: what was observed in, a plan out."""

from __future__ import annotations

from datetime import datetime

from controllerkit.controller import Plan
from operators.etcd.cluster.decide import decide
from operators.etcd.cluster.intent import intend
from operators.etcd.cluster.model import ClusterAction, Observed
from operators.etcd.cluster.seats import seats_of
from operators.etcd.cluster.status import events_of, status_of

__all__ = ["analyze"]


def analyze(observed: Observed, now: datetime) -> Plan[ClusterAction]:
    """What to say, tell and do about one cluster, and when to look again.

    Guarantees:
        Pure: the same arguments give the same plan. The status holds everything later passes rely on (identity,
        volumes, ordinals) before an action makes it true, so a crash between any two steps loses nothing.
    """
    intent = intend(observed.cluster, observed.mapping, running=[seat.runs for seat in seats_of(observed) if seat.runs])
    decision = decide(observed, intent)
    status = status_of(observed, intent, decision, now)
    return Plan(
        actions=decision.actions,
        status=status,
        events=events_of(observed.cluster, status),
        requeue_after_s=decision.poll_s,
    )
