"""etcd's v3 API over its JSON gateway: what the operator and its tests ask of members.

The gateway speaks the same requests as gRPC with two habits: 64-bit integers travel as text, bytes as base64,
and fields that hold their zero value are left out.

::

    EtcdError
    ├── EtcdUnreachable          no endpoint answered; ``causes`` says why for each
    └── EtcdRefused              a member answered with an error; ``grpc_code`` and ``message`` are its own
        ├── NoQuorum             there is no leader, or the answer needs a majority that is not there
        ├── UnhealthyCluster     the change of members would cost the majority (strict reconfiguration check)
        ├── LearnerNotInSync     the learner has not caught up with the leader yet
        ├── TooManyLearners      there is a learner already
        ├── NotLearner           the member has a vote already
        ├── MemberNotFound       no member has this id
        ├── MemberExists         a member with this peer URL exists
        ├── NotLeader            only the leader does this
        ├── NotForLearners       a learner does not serve this
        └── NoSpace              the NOSPACE alarm is raised
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Final, Protocol, Self

import aiohttp
import msgspec

from controllerkit.errors import ConfigError, ControllerkitError
from operators.etcd.versions import Version, capabilities

__all__ = [
    "Alarm",
    "EtcdApi",
    "EtcdClient",
    "EtcdError",
    "EtcdRefused",
    "EtcdUnreachable",
    "HashKv",
    "KeyValue",
    "LearnerNotInSync",
    "Member",
    "MemberExists",
    "MemberList",
    "MemberNotFound",
    "NoQuorum",
    "NoSpace",
    "NotForLearners",
    "NotLeader",
    "NotLearner",
    "RangeResult",
    "Status",
    "TooManyLearners",
    "UnhealthyCluster",
]

TIMEOUT_S: Final = 2.0
CONNECT_TIMEOUT_S: Final = 1.0
_UNAVAILABLE: Final = 14
_DEADLINE_EXCEEDED: Final = 4


class EtcdError(ControllerkitError):
    """The root of this module's tree."""


class EtcdUnreachable(EtcdError):
    """No endpoint answered. ``causes`` maps each endpoint to what happened; the last is chained.

    ``sent`` is False when it is certain that no member has seen the request.
    """

    def __init__(self, what: str, causes: Mapping[str, BaseException], *, sent: bool) -> None:
        self.causes = dict(causes)
        self.sent = sent
        told = "; ".join(f"{at}: {_told(error)}" for at, error in self.causes.items()) or "there are no endpoints"
        super().__init__(f"{what}: no etcd endpoint answered: {told}")


class EtcdRefused(EtcdError):
    """A member answered with an error."""

    marks: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str, *, grpc_code: int, endpoint: str, what: str) -> None:
        self.message = message
        self.grpc_code = grpc_code
        self.endpoint = endpoint
        super().__init__(f"{what} at {endpoint}: {message}")


class NoQuorum(EtcdRefused):
    """There is no leader, or the request waited for a majority in vain."""

    marks = ("no leader", "request timed out", "leader changed", "server stopped")


class UnhealthyCluster(EtcdRefused):
    """The change of members would cost the majority, so etcd refuses it."""

    marks = ("unhealthy cluster", "not enough started members")


class LearnerNotInSync(EtcdRefused):
    """The learner has not caught up; ask again."""

    marks = ("in sync with leader",)


class TooManyLearners(EtcdRefused):
    """Another learner has to be promoted or removed first."""

    marks = ("too many learner",)


class NotLearner(EtcdRefused):
    """The member to promote has a vote already."""

    marks = ("can only promote a learner member",)


class MemberNotFound(EtcdRefused):
    """No member has this id."""

    marks = ("member not found",)


class MemberExists(EtcdRefused):
    """A member with this peer URL (and so this id) exists."""

    marks = ("member id already exist", "peer urls already exists", "peerurl exists")


class NotLeader(EtcdRefused):
    """The member asked is not the leader."""

    marks = ("not leader", "not the leader")


class NotForLearners(EtcdRefused):
    """A learner serves only its status and serializable reads."""

    marks = ("not supported for learner",)


class NoSpace(EtcdRefused):
    """The quota is used up and the NOSPACE alarm is raised: no writes."""

    marks = ("database space exceeded",)


_REFUSALS: Final = (
    UnhealthyCluster,
    LearnerNotInSync,  # before NotLearner, whose words are the start of its own
    TooManyLearners,
    NotLearner,
    MemberNotFound,
    MemberExists,
    NotForLearners,
    NotLeader,
    NoSpace,
    NoQuorum,
)


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the member list. ``name`` is "" until the member has started."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...] = ()
    learner: bool = False

    @property
    def started(self) -> bool:
        """Whether it has ever published itself."""
        return bool(self.name)


@dataclass(frozen=True, slots=True)
class MemberList:
    """The members, and the cluster that says so."""

    cluster_id: int
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """One member's own view. ``leader`` is 0 where it knows none; ``errors`` are its alarms and complaints."""

    cluster_id: int
    member_id: int
    leader: int
    version: str
    db_size: int
    db_size_in_use: int
    raft_index: int
    raft_applied_index: int
    raft_term: int
    revision: int
    learner: bool = False
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One key. Revisions are those of the key space."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int


@dataclass(frozen=True, slots=True)
class RangeResult:
    """The keys found, their number without the limit, and the revision they were read at."""

    kvs: tuple[KeyValue, ...]
    count: int
    revision: int


@dataclass(frozen=True, slots=True)
class HashKv:
    """A member's hash of its key space at ``revision``, counted from ``compact_revision``."""

    hash: int
    revision: int
    compact_revision: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """A raised alarm: NOSPACE or CORRUPT, and whose."""

    member_id: int
    kind: str


class EtcdApi(Protocol):
    """What the operator asks of etcd; `EtcdClient` does it over the wire, the simulator in memory."""

    async def status(self) -> Status:
        """As `EtcdClient.status`."""

    async def member_list(self, *, linearizable: bool = True) -> MemberList:
        """As `EtcdClient.member_list`."""

    async def member_add(self, peer_url: str, *, learner: bool) -> Member:
        """As `EtcdClient.member_add`."""

    async def member_promote(self, member_id: int) -> None:
        """As `EtcdClient.member_promote`."""

    async def member_remove(self, member_id: int) -> None:
        """As `EtcdClient.member_remove`."""

    async def move_leader(self, target_id: int) -> None:
        """As `EtcdClient.move_leader`."""

    async def get(self, key: bytes | str, *, serializable: bool = False) -> bytes | None:
        """As `EtcdClient.get`."""

    async def aclose(self) -> None:
        """As `EtcdClient.aclose`."""


class EtcdClient:
    """Talks to one etcd cluster through any of its members.

    Args:
        endpoints: client URLs, tried in this order.
        version: the version of the members, where it is known; else each is asked once.
        timeout_s: for one request at one endpoint.
        session: shared with others and left open by ``aclose``; else an own one.
    Guarantees:
        Reads go on to the next endpoint after any failure to get an answer, and where the one asked has no
        leader or is a learner. Writes go on only where it is certain that the endpoint has not seen them, so
        that nothing is done twice.
    Raises (every method):
        EtcdUnreachable: no endpoint answered.
        EtcdRefused: one answered with an error; by its meaning where that is known.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        version: Version | None = None,
        timeout_s: float = TIMEOUT_S,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self.endpoints = tuple(endpoint.rstrip("/") for endpoint in endpoints)
        self._versions: dict[str, Version] = dict.fromkeys(self.endpoints, version) if version else {}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, timeout_s))
        self._session = session
        self._own_session = session is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections, if they are this client's own."""
        if self._own_session and self._session is not None:
            await self._session.close()
            self._session = None

    # -- keys ----------------------------------------------------------------------------------------------------

    async def put(self, key: bytes | str, value: bytes | str) -> int:
        """Writes one key; the revision it was written at."""
        answer = await self._write("kv/put", {"key": _base64(key), "value": _base64(value)})
        return _int(answer.get("header"), "revision")

    async def get(self, key: bytes | str, *, serializable: bool = False) -> bytes | None:
        """The value of one key, None where there is none. ``serializable`` takes one member's word for it."""
        found = await self.range(key, serializable=serializable)
        return found.kvs[0].value if found.kvs else None

    async def range(
        self, key: bytes | str, *, range_end: bytes | str = b"", serializable: bool = False, limit: int = 0
    ) -> RangeResult:
        """The keys in [key, range_end), or the one key. Linearizable unless ``serializable``."""
        body: dict[str, Any] = {"key": _base64(key)}
        if range_end:
            body["range_end"] = _base64(range_end)
        if serializable:
            body["serializable"] = True
        if limit:
            body["limit"] = str(limit)
        answer = await self._read("kv/range", body)
        kvs = tuple(_key_value(kv) for kv in answer.get("kvs") or ())
        return RangeResult(kvs, _int(answer, "count"), _int(answer.get("header"), "revision"))

    async def delete(self, key: bytes | str, *, range_end: bytes | str = b"") -> int:
        """Deletes [key, range_end), or the one key; how many there were."""
        body = {"key": _base64(key)} | ({"range_end": _base64(range_end)} if range_end else {})
        return _int(await self._write("kv/deleterange", body), "deleted")

    # -- members -------------------------------------------------------------------------------------------------

    async def member_list(self, *, linearizable: bool = True) -> MemberList:
        """The members. ``linearizable`` asks the majority (from 3.5 on; an older member answers for itself)."""
        answer = await self._read("cluster/member/list", {}, linearizable_list=linearizable)
        members = tuple(_member(entry) for entry in answer.get("members") or ())
        return MemberList(_int(answer.get("header"), "cluster_id"), members)

    async def member_add(self, peer_url: str, *, learner: bool) -> Member:
        """Adds a member that is to start at ``peer_url``.

        Raises:
            MemberExists, TooManyLearners, UnhealthyCluster: as above.
        """
        body: dict[str, Any] = {"peerURLs": [peer_url]} | ({"isLearner": True} if learner else {})
        return _member((await self._write("cluster/member/add", body))["member"])

    async def member_promote(self, member_id: int) -> None:
        """Gives a learner its vote.

        Raises:
            LearnerNotInSync: not yet. NotLearner: it has one. MemberNotFound.
        """
        await self._write("cluster/member/promote", {"ID": str(member_id)})

    async def member_remove(self, member_id: int) -> None:
        """Removes a member for good.

        Raises:
            MemberNotFound, UnhealthyCluster: as above.
        """
        await self._write("cluster/member/remove", {"ID": str(member_id)})

    async def member_update(self, member_id: int, peer_url: str) -> None:
        """Changes a member's peer URL."""
        await self._write("cluster/member/update", {"ID": str(member_id), "peerURLs": [peer_url]})

    # -- maintenance ---------------------------------------------------------------------------------------------

    async def status(self) -> Status:
        """The status of the first endpoint that answers; give one endpoint to ask a certain member."""
        answer = await self._read("maintenance/status", {})
        header = answer.get("header")
        return Status(
            cluster_id=_int(header, "cluster_id"),
            member_id=_int(header, "member_id"),
            leader=_int(answer, "leader"),
            version=str(answer.get("version", "")),
            db_size=_int(answer, "dbSize"),
            db_size_in_use=_int(answer, "dbSizeInUse"),
            raft_index=_int(answer, "raftIndex"),
            raft_applied_index=_int(answer, "raftAppliedIndex"),
            raft_term=_int(answer, "raftTerm"),
            revision=_int(header, "revision"),
            learner=bool(answer.get("isLearner")),
            errors=tuple(str(error) for error in answer.get("errors") or ()),
        )

    async def move_leader(self, target_id: int) -> None:
        """Hands leadership to the voter ``target_id``; must be asked of the leader itself (3.3 on).

        Raises:
            NotLeader: the endpoint is not the leader.
        """
        await self._write("maintenance/transfer-leadership", {"targetID": str(target_id)})

    async def hash_kv(self, *, revision: int = 0) -> HashKv:
        """The first endpoint's hash of its keys up to ``revision`` (0: all it has), to compare members (3.3 on)."""
        answer = await self._read("maintenance/hashkv", {"revision": str(revision)} if revision else {})
        # Before 3.6 the answer does not say which revision it is for.
        at = _int(answer, "hash_revision") or revision or _int(answer.get("header"), "revision")
        return HashKv(_int(answer, "hash"), at, _int(answer, "compact_revision"))

    async def alarms(self) -> tuple[Alarm, ...]:
        """The alarms that are raised."""
        answer = await self._read("maintenance/alarm", {"action": "GET"})
        return tuple(Alarm(_int(a, "memberID"), str(a.get("alarm", "NONE"))) for a in answer.get("alarms") or ())

    async def disarm(self, alarm: Alarm) -> None:
        """Takes an alarm down."""
        body = {"action": "DEACTIVATE", "memberID": str(alarm.member_id), "alarm": alarm.kind}
        await self._write("maintenance/alarm", body)

    async def version(self) -> tuple[str, str]:
        """The first answering member's version, and the one the cluster works at."""
        failures: dict[str, BaseException] = {}
        for endpoint in self.endpoints:
            try:
                answer = await self._fetch_version(endpoint)
            except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
                failures[endpoint] = error
                continue
            return str(answer.get("etcdserver", "")), str(answer.get("etcdcluster", ""))
        raise _unreachable("version", failures, sent=False)

    # -- below ---------------------------------------------------------------------------------------------------

    async def _read(self, method: str, body: dict[str, Any], *, linearizable_list: bool = False) -> dict[str, Any]:
        failures: dict[str, BaseException] = {}
        for endpoint in self.endpoints:
            try:
                return await self._ask(endpoint, method, body, linearizable_list=linearizable_list)
            except (NoQuorum, NotForLearners) as error:
                failures[endpoint] = error
            except _NoAnswer as error:
                failures[endpoint] = error.__cause__ or error
        refusals = [error for error in failures.values() if isinstance(error, EtcdRefused)]
        if refusals:
            raise refusals[0]
        raise _unreachable(method, failures, sent=False)

    async def _write(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        failures: dict[str, BaseException] = {}
        for endpoint in self.endpoints:
            try:
                return await self._ask(endpoint, method, body)
            except _NoAnswer as error:
                failures[endpoint] = error.__cause__ or error
                if error.sent:
                    raise _unreachable(method, failures, sent=True) from error
        raise _unreachable(method, failures, sent=False)

    async def _ask(
        self, endpoint: str, method: str, body: dict[str, Any], *, linearizable_list: bool = False
    ) -> dict[str, Any]:
        known = capabilities(await self._version_of(endpoint))
        if linearizable_list and known.linearizable_member_list:
            body = {**body, "linearizable": True}
        try:
            async with self._http().post(
                f"{endpoint}{known.gateway_prefix}/{method}", data=msgspec.json.encode(body), timeout=self._timeout
            ) as response:
                status, answer = response.status, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            self._versions.pop(endpoint, None)
            raise _NoAnswer(sent=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._versions.pop(endpoint, None)  # who answers next may be another version
            raise _NoAnswer(sent=True) from error
        return _decoded(answer, status, endpoint=endpoint, what=method)

    async def _version_of(self, endpoint: str) -> Version:
        if endpoint not in self._versions:
            try:
                answer = await self._fetch_version(endpoint)
                self._versions[endpoint] = Version.parse(str(answer["etcdserver"]))
            except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError, ConfigError, KeyError) as error:
                raise _NoAnswer(sent=False) from error
        return self._versions[endpoint]

    async def _fetch_version(self, endpoint: str) -> dict[str, Any]:
        async with self._http().get(f"{endpoint}/version", timeout=self._timeout) as response:
            answer: dict[str, Any] = msgspec.json.decode(await response.read(), type=dict[str, Any])
            return answer

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session


class _NoAnswer(Exception):
    """One endpoint gave no answer; the reason is the cause."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


def _unreachable(what: str, failures: Mapping[str, BaseException], *, sent: bool) -> EtcdUnreachable:
    error = EtcdUnreachable(what, failures, sent=sent)
    error.__cause__ = next(reversed(list(failures.values())), None)
    return error


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _decoded(answer: bytes, status: int, *, endpoint: str, what: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.DecodeError as error:
        told = answer[:200].decode(errors="replace").strip()
        message = f"HTTP status {status}, no JSON: {told!r}"
        raise EtcdRefused(message, grpc_code=0, endpoint=endpoint, what=what) from error
    if status < 300:
        return value
    message = str(value.get("message") or value.get("error") or f"HTTP status {status}")
    code = int(value.get("code") or 0)
    lower = message.lower()
    kind: type[EtcdRefused] = next((k for k in _REFUSALS if any(mark in lower for mark in k.marks)), EtcdRefused)
    if kind is EtcdRefused and code in (_UNAVAILABLE, _DEADLINE_EXCEEDED):
        kind = NoQuorum
    raise kind(message, grpc_code=code, endpoint=endpoint, what=what)


def _member(entry: Mapping[str, Any]) -> Member:
    return Member(
        id=_int(entry, "ID"),
        name=str(entry.get("name", "")),
        peer_urls=tuple(entry.get("peerURLs") or ()),
        client_urls=tuple(entry.get("clientURLs") or ()),
        learner=bool(entry.get("isLearner")),
    )


def _key_value(entry: Mapping[str, Any]) -> KeyValue:
    return KeyValue(
        key=base64.b64decode(entry.get("key", "")),
        value=base64.b64decode(entry.get("value", "")),
        create_revision=_int(entry, "create_revision"),
        mod_revision=_int(entry, "mod_revision"),
        version=_int(entry, "version"),
    )


def _int(entry: Mapping[str, Any] | None, name: str) -> int:
    """A number of the gateway: text, a number, or left out for 0."""
    return int((entry or {}).get(name) or 0)


def _base64(value: bytes | str) -> str:
    raw = value.encode() if isinstance(value, str) else value
    return base64.b64encode(raw).decode()
