"""etcd as the simulator has it: one log per cluster, disks that hold a prefix of it, and the rules of a majority.

Much of raft is left out. What is kept is what an operator can break: who has a vote, who holds what was
acknowledged, who may found a cluster, and that a member that lost its disk must not come back as itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from operators.etcd.cluster.model import quorum
from operators.etcd.wire import (
    EtcdUnreachable,
    LearnerNotInSync,
    Member,
    MemberExists,
    MemberList,
    MemberNotFound,
    NoQuorum,
    NotForLearners,
    NotLeader,
    NotLearner,
    Status,
    TooManyLearners,
    UnhealthyCluster,
)


class Violation(AssertionError):
    """The operator did what it must never do."""


@dataclass
class Disk:
    """What a volume holds. ``length`` is how much of the cluster's log."""

    cluster_id: int = 0
    member_id: int = 0
    length: int = 0


@dataclass
class Process:
    """A running etcd."""

    pod_uid: str
    name: str
    peer_url: str
    disk: Disk
    version: str
    founds: bool
    token: str
    stopped: bool = False


@dataclass
class Cluster:
    """One identity: its members and its log, of which ``committed`` entries were acknowledged."""

    id: int
    log: list[tuple[Member, ...]] = field(default_factory=list)
    leader: int = 0
    lost: bool = False

    @property
    def members(self) -> tuple[Member, ...]:
        return self.log[-1]

    @property
    def voters(self) -> list[Member]:
        return [member for member in self.members if not member.learner]


class Etcd:
    """Every cluster, and the processes by address."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.clusters: dict[int, Cluster] = {}
        self.processes: dict[str, Process] = {}
        self.ids_by_url: dict[str, int] = {}
        self.next_id = 0x1000
        self.announced = False
        """Whether clients were told of a cluster: from then on founding another one loses data."""

    # -- what runs -----------------------------------------------------------------------------------------------

    def alive(self, cluster: Cluster) -> dict[int, Process]:
        found = {}
        for process in self.processes.values():
            if not process.stopped and process.disk.cluster_id == cluster.id:
                found[process.disk.member_id] = process
        return found

    def has_quorum(self, cluster: Cluster) -> bool:
        alive = self.alive(cluster)
        return sum(member.id in alive for member in cluster.voters) >= quorum(len(cluster.voters))

    def settle(self) -> None:
        """Starts what can start, elects where a majority runs, lets followers catch up a little."""
        for process in list(self.processes.values()):
            if not process.stopped and not process.disk.cluster_id:
                self._boot(process)
        for cluster in self.clusters.values():
            if not self.has_quorum(cluster):
                cluster.leader = 0
                continue
            alive = self.alive(cluster)
            self._elect(cluster, alive)
            self._publish(cluster, alive)
            for process in alive.values():
                if process.disk.member_id == cluster.leader or self.rng.random() < 0.7:
                    process.disk.length = len(cluster.log)

    def _elect(self, cluster: Cluster, alive: dict[int, Process]) -> None:
        voters = [member.id for member in cluster.voters if member.id in alive]
        longest = max(alive[member].disk.length for member in voters)
        if longest < len(cluster.log):
            cluster.lost = True
            raise Violation(f"acknowledged writes are on no member of the majority: {longest} of {len(cluster.log)}")
        if cluster.leader not in voters or alive[cluster.leader].disk.length < longest:
            able = [member for member in voters if alive[member].disk.length == longest]
            cluster.leader = self.rng.choice(able)

    def _publish(self, cluster: Cluster, alive: dict[int, Process]) -> None:
        for member in cluster.members:
            if not member.name and member.id in alive:
                name = alive[member.id].name
                self._commit(cluster, [_replaced(m, name=name) if m.id == member.id else m for m in cluster.members])

    def _boot(self, process: Process) -> None:
        if process.founds:
            self._found(process)
            return
        for cluster in self.clusters.values():
            if not self.has_quorum(cluster):
                continue
            for member in cluster.members:
                if member.peer_urls[0] == process.peer_url:
                    if member.name:
                        raise Violation(f"{process.name} comes back on an empty disk as the member it was")
                    process.disk.cluster_id, process.disk.member_id = cluster.id, member.id
                    return

    def _found(self, process: Process) -> None:
        if self.announced:
            raise Violation(f"{process.name} founds a second cluster")
        cluster_id, member_id = self._id(), self._id()
        self._claim(process.peer_url, member_id)
        member = Member(member_id, process.name, (process.peer_url,))
        self.clusters[cluster_id] = Cluster(cluster_id, [(member,)], leader=member_id)
        process.disk.cluster_id, process.disk.member_id, process.disk.length = cluster_id, member_id, 1

    def _id(self) -> int:
        self.next_id += 1
        return self.next_id

    def _claim(self, url: str, member_id: int) -> None:
        if url in self.ids_by_url:
            raise Violation(f"{url} was another member's before")
        self.ids_by_url[url] = member_id

    # -- what is written -----------------------------------------------------------------------------------------

    def write(self) -> bool:
        """A client's write; whether it was acknowledged."""
        for cluster in self.clusters.values():
            if cluster.leader and self.has_quorum(cluster):
                self._commit(cluster, cluster.members)
                return True
        return False

    def _commit(self, cluster: Cluster, members: tuple[Member, ...] | list[Member]) -> None:
        """Onto the leader and as many others as make a majority of the members before the change."""
        alive = self.alive(cluster)
        needed = quorum(len(cluster.voters))
        holders = [m.id for m in cluster.voters if m.id in alive and m.id != cluster.leader]
        self.rng.shuffle(holders)
        cluster.log.append(tuple(members))
        for member in [cluster.leader, *holders[: needed - 1]]:
            alive[member].disk.length = len(cluster.log)


def _replaced(member: Member, *, name: str | None = None, learner: bool | None = None) -> Member:
    return Member(
        member.id,
        member.name if name is None else name,
        member.peer_urls,
        member.client_urls,
        member.learner if learner is None else learner,
    )


class FakeClient:
    """An `EtcdApi` on the first endpoint that runs. ``interrupt`` is called around every change."""

    def __init__(self, etcd: Etcd, endpoints: list[str], interrupt: object) -> None:
        self._etcd = etcd
        self._endpoints = endpoints
        self._interrupt = interrupt

    async def aclose(self) -> None:
        return None

    def _process(self) -> tuple[Process, Cluster]:
        for endpoint in self._endpoints:
            address = endpoint.removeprefix("http://").removesuffix(":2379")
            process = self._etcd.processes.get(address)
            if process is None or process.stopped or not process.disk.cluster_id:
                continue
            cluster = self._etcd.clusters[process.disk.cluster_id]
            if process.disk.member_id in {member.id for member in cluster.members}:
                return process, cluster
        raise EtcdUnreachable("simulated", {}, sent=False)

    def _with_quorum(self) -> tuple[Process, Cluster]:
        process, cluster = self._process()
        if not cluster.leader or not self._etcd.has_quorum(cluster):
            raise NoQuorum("etcdserver: no leader", grpc_code=14, endpoint="", what="")
        return process, cluster

    async def status(self) -> Status:
        process, cluster = self._process()
        member = next(m for m in cluster.members if m.id == process.disk.member_id)
        leader = cluster.leader if self._etcd.has_quorum(cluster) else 0
        length = process.disk.length
        learner = member.learner
        return Status(cluster.id, member.id, leader, process.version, 1, 1, length, length, 1, length, learner)

    async def get(self, key: bytes | str, *, serializable: bool = False) -> bytes | None:
        process, cluster = self._with_quorum()
        if next(m for m in cluster.members if m.id == process.disk.member_id).learner:
            raise NotForLearners("etcdserver: rpc not supported for learner", grpc_code=9, endpoint="", what="")
        return None

    async def member_list(self, *, linearizable: bool = True) -> MemberList:
        if linearizable:
            _, cluster = self._with_quorum()
            return MemberList(cluster.id, cluster.members)
        process, cluster = self._process()
        return MemberList(cluster.id, cluster.log[max(process.disk.length, 1) - 1])

    async def member_add(self, peer_url: str, *, learner: bool) -> Member:
        _, cluster = self._with_quorum()
        self._refuse_at_times()
        if any(member.peer_urls[0] == peer_url for member in cluster.members):
            raise MemberExists("etcdserver: member ID already exist", grpc_code=9, endpoint="", what="")
        if learner and sum(member.learner for member in cluster.members) >= self._learners_max(cluster):
            raise TooManyLearners("etcdserver: too many learner members", grpc_code=9, endpoint="", what="")
        if joining := [each.peer_urls[0] for each in cluster.members if not each.name]:
            raise Violation(f"{peer_url} is added before {', '.join(joining)} has started")
        alive = self._etcd.alive(cluster)
        running = sum(member.id in alive for member in cluster.voters)
        if not learner and len(cluster.voters) > 1 and running < quorum(len(cluster.voters) + 1):
            raise Violation("a voter was added that costs the majority")
        member = Member(self._etcd._id(), "", (peer_url,), learner=learner)
        self._etcd._claim(peer_url, member.id)
        self._change([*cluster.members, member])
        return member

    def _learners_max(self, cluster: Cluster) -> int:
        """``--max-learners`` came with 3.6; the strictest member counts."""
        return 6 if all(process.version >= "3.6" for process in self._etcd.alive(cluster).values()) else 1

    async def member_promote(self, member_id: int) -> None:
        _, cluster = self._with_quorum()
        self._refuse_at_times()
        member = self._member(cluster, member_id)
        if not member.learner:
            raise NotLearner("etcdserver: can only promote a learner member", grpc_code=9, endpoint="", what="")
        process = self._etcd.alive(cluster).get(member_id)
        if process is None or process.disk.length < 0.9 * len(cluster.log):  # etcd's readyPercentThreshold
            raise LearnerNotInSync("not in sync with leader", grpc_code=9, endpoint="", what="")
        self._change([_replaced(m, learner=False) if m.id == member_id else m for m in cluster.members])

    async def member_remove(self, member_id: int) -> None:
        _, cluster = self._with_quorum()
        self._refuse_at_times()
        member = self._member(cluster, member_id)
        rest = [m for m in cluster.voters if m.id != member_id]
        alive = self._etcd.alive(cluster)
        if not member.learner and sum(m.id in alive for m in rest) < quorum(len(rest)):
            raise Violation(f"{member.name} was removed while the others have no majority")
        self._change([m for m in cluster.members if m.id != member_id])
        if cluster.leader == member_id:
            cluster.leader = 0

    async def move_leader(self, target_id: int) -> None:
        process, cluster = self._with_quorum()
        if process.disk.member_id != cluster.leader:
            raise NotLeader("etcdserver: not leader", grpc_code=9, endpoint="", what="")
        target = self._etcd.alive(cluster).get(target_id)
        if target is not None:
            target.disk.length = len(cluster.log)
            cluster.leader = target_id

    def _member(self, cluster: Cluster, member_id: int) -> Member:
        for member in cluster.members:
            if member.id == member_id:
                return member
        raise MemberNotFound("etcdserver: member not found", grpc_code=5, endpoint="", what="")

    def _refuse_at_times(self) -> None:
        if self._etcd.rng.random() < 0.1:
            raise UnhealthyCluster("etcdserver: unhealthy cluster", grpc_code=14, endpoint="", what="")

    def _change(self, members: list[Member]) -> None:
        _, cluster = self._with_quorum()
        self._interrupt()  # type: ignore[operator]
        self._etcd._commit(cluster, members)
        self._interrupt()  # type: ignore[operator]
