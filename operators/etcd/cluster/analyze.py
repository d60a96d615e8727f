"""The pure middle of the controller: what was observed in, a plan out."""

from __future__ import annotations

from datetime import datetime

from controllerkit.controller import Plan
from operators.etcd.cluster.decide import decide
from operators.etcd.cluster.intent import intend
from operators.etcd.cluster.model import ClusterAction, Observed
from operators.etcd.cluster.status import events_of, status_of

__all__ = ["analyze"]


def analyze(observed: Observed, now: datetime) -> Plan[ClusterAction]:
    """What to say, tell and do about one cluster, and when to look again.

    Guarantees:
        Pure: the same arguments give the same plan. The status holds everything later passes rely on (identity,
        volumes, ordinals) before an action makes it true, so a crash between any two steps loses nothing.
    """
    intent = intend(observed.cluster, observed.mapping, running=_versions(observed))
    decision = decide(observed, intent)
    status = status_of(observed, intent, decision, now)
    return Plan(
        actions=decision.actions,
        status=status,
        events=events_of(observed.cluster, status),
        requeue_after_s=decision.poll_s,
    )


def _versions(observed: Observed) -> list[str]:
    """The version each member runs, or ran when it last answered."""
    listed = observed.membership.by_name() if observed.membership is not None else None
    known = {entry.name: entry.version for entry in observed.cluster.status.member_statuses}
    for name, probe in observed.probes.items():
        if probe.status is not None and probe.status.version:
            known[name] = probe.status.version
    return [version for name, version in known.items() if version and (listed is None or name in listed)]
