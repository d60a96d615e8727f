"""Who acts: a Lease that one of several processes holds, or a ring of them that share out the keys; and the gate that
stops writes once the Lease has expired."""

from controllerkit.election.elector import LeaderElector, LeaseClient
from controllerkit.election.gate import WriteGate
from controllerkit.election.machine import ElectionOptions, Observation, claim, free, observe, released
from controllerkit.election.record import LeaderRecord, lease_of, record_of
from controllerkit.election.ring import Claims, Grant, Member, Ring, member_of, owner, token_of
from controllerkit.election.shards import Gained, ShardClient, Shards

__all__ = [
    "Claims",
    "ElectionOptions",
    "Gained",
    "Grant",
    "LeaderElector",
    "LeaderRecord",
    "LeaseClient",
    "Member",
    "Observation",
    "Ring",
    "ShardClient",
    "Shards",
    "WriteGate",
    "claim",
    "free",
    "lease_of",
    "member_of",
    "observe",
    "owner",
    "record_of",
    "released",
    "token_of",
]
