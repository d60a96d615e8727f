"""Who acts: a Lease that one of several processes holds, and the gate that stops writes once it has expired."""

from controllerkit.election.elector import LeaderElector, LeaseClient
from controllerkit.election.gate import WriteGate
from controllerkit.election.machine import ElectionOptions, Observation, claim, free, observe, released
from controllerkit.election.record import LeaderRecord, lease_of, record_of

__all__ = [
    "ElectionOptions",
    "LeaderElector",
    "LeaderRecord",
    "LeaseClient",
    "Observation",
    "WriteGate",
    "claim",
    "free",
    "lease_of",
    "observe",
    "record_of",
    "released",
]
