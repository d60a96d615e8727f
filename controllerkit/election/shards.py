"""A replica's place in a ring: the driver around `ring`."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from controllerkit.client import KindLike, ObjectLike, ObjectList
from controllerkit.election.gate import WriteGate
from controllerkit.election.machine import ElectionOptions, claim
from controllerkit.election.record import lease_of, record_of
from controllerkit.election.ring import RING_LABEL, Ring, member_of, member_to, token_of
from controllerkit.errors import AlreadyExists, ApiError, ConfigError, Conflict, ControllerkitError, NotFound
from controllerkit.objects import Key, Kind, Object, kinds
from controllerkit.runtime import Clock, Deadline, SystemClock, cancel_and_wait, get_logger

__all__ = ["Gained", "ShardClient", "Shards"]

T = TypeVar("T")

Gained = Callable[[Kind, Key], bool]
"""Whether a key became this replica's."""


class ShardClient(Protocol):
    """What a ring needs of a client: the verbs of Leases."""

    async def list(self, kind: KindLike, namespace: str | None = None, *, label_selector: str = "") -> ObjectList:
        """As `Client.list`."""

    async def create(self, value: ObjectLike) -> Object:
        """As `Client.create`."""

    async def update(self, value: ObjectLike) -> Object:
        """As `Client.update`."""

    async def delete(
        self, kind: KindLike, name: str | Key, *, uid: str = "", resource_version: str = ""
    ) -> Object | None:
        """As `Client.delete`."""


class Shards:
    """Shares keys out among the replicas that run one ring.

    Guarantees:
        Two replicas never have the same key between ``take`` and ``done`` while both their Leases are valid, and
        ``gate`` refuses every write of one whose Lease is not; see `ring` for the protocol and what it assumes.
        Once replicas come and go no more, every key is taken by exactly one. ``run`` ends when the Lease could not
        be renewed for ``renew_deadline_s``: then all work has to end at once, and this object is of no more use.

    Args:
        name: of the ring; Leases carry it as a label.
        identity: the name of this replica's Lease, unique in the namespace; "" makes one.
        changed: set once the first keys may be taken, and once ``run`` ends.
        on_moved: called with a test for the keys that have become this replica's, when some may have.
    Raises:
        ConfigError: ``name`` or ``namespace`` is empty.
    """

    def __init__(
        self,
        client: ShardClient,
        *,
        name: str,
        namespace: str,
        identity: str = "",
        options: ElectionOptions | None = None,
        clock: Clock | None = None,
        log: Any = None,
    ) -> None:
        for what, text in (("name", name), ("namespace", namespace)):
            if not text:
                raise ConfigError(f"sharding needs a {what}")
        self.client = client
        self.ring_name = name
        self.options = options or ElectionOptions()
        self.key = Key(namespace, identity or f"{name}-{socket.gethostname().lower()}-{uuid.uuid4().hex[:8]}")
        self.ring = Ring(self.key.name, uuid.uuid4().hex, duration_s=self.options.lease_duration_s)
        self.on_moved: list[Callable[[Gained], None]] = []
        self.changed = asyncio.Event()
        self._clock = clock or SystemClock()
        self._log = (log or get_logger()).bind(ring=name, member=self.key.name)
        self._lease: Object | None = None
        self._renewed_at: float | None = None
        self._nudge = asyncio.Event()
        self._running = False
        self.gate = WriteGate(
            self.key, now=self._clock.monotonic, valid_until=lambda: self.ring.valid_until, leader=lambda: ""
        )

    # -- keys ------------------------------------------------------------------------------------------------------

    def owns(self, kind: Kind, key: Key) -> bool:
        """Whether ``take`` would be true."""
        return self.ring.has(token_of(kind, key), self._clock.monotonic())

    def take(self, kind: Kind, key: Key) -> bool:
        """Whether the key is this replica's to work on; then ``done`` has to follow."""
        return self.ring.take(token_of(kind, key), self._clock.monotonic())

    def done(self, kind: Kind, key: Key) -> None:
        """The work that ``take`` began has ended."""
        if self.ring.done(token_of(kind, key)):
            self._nudge.set()

    @property
    def active(self) -> bool:
        """Whether keys may be taken."""
        until = self.ring.valid_until
        granted = self.ring.grant is not None and not self.ring.lost
        return granted and until is not None and self._clock.monotonic() < until

    def leave(self) -> None:
        """Takes no more keys, and gives up each when the work on it ends; the Lease stays until ``run`` ends."""
        self.ring.leaving = True
        self._nudge.set()

    # -- the loop --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Joins the ring and stays in it until cancelled, or until the Lease is lost.

        Cancelled, it deletes the Lease, unless a key is still in work: then others wait for its end.

        Raises:
            ConfigError: it ran before.
        """
        if self._running:
            raise ConfigError(f"{self.key.name} was in the ring {self.ring_name} already; make a new member")
        self._running = True
        try:
            await self._try()
            while not self.ring.lost and not self._too_late():
                await self._pause()
                await self._try()
            self._log.warning("shard_lost", renew_deadline_s=self.options.renew_deadline_s)
        finally:
            self.ring.lost, self.ring.valid_until = True, None
            self.changed.set()
            await self._withdraw()

    def _too_late(self) -> bool:
        return self._renewed_at is not None and self._left_s() <= 0

    def _left_s(self) -> float:
        since = self._clock.monotonic() if self._renewed_at is None else self._renewed_at
        return since + self.options.renew_deadline_s - self._clock.monotonic()

    async def _try(self) -> None:
        self._nudge.clear()
        try:
            async with Deadline(self._clock, self._left_s()):
                await self._look()
                if not self.ring.lost:
                    await self._say()
                if not self.ring.lost and not self.ring.settled():
                    await self._look()
        except (ControllerkitError, TimeoutError) as error:
            self._log.info("ring_not_reached", error=f"{type(error).__name__}: {error}")

    async def _pause(self) -> None:
        """A retry period, or until somebody waits for what has just ended."""
        waits = [
            asyncio.create_task(self._clock.sleep(min(self.options.retry_period_s, self._left_s()))),
            asyncio.create_task(self._nudge.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_and_wait(*waits)

    async def _look(self) -> None:
        """Reads the ring; ends the Leases that have expired, and then reads again."""
        while True:
            selector = f"{RING_LABEL}={self.ring_name}"
            leases = (
                await self._limited(self.client.list(kinds.LEASE, self.key.namespace, label_selector=selector))
            ).items
            listed = self.ring.listed([member_of(each) for each in leases], self._clock.monotonic())
            found = {each.name: each for each in leases}
            self._lease = found.get(self.key.name)
            if listed.gained is not None:
                self._tell(listed.gained)
            buried = [await self._bury(member.name, member.version) for member in listed.expired]
            if not any(buried):
                return

    def _tell(self, gained: Callable[[str], bool]) -> None:
        grant = self.ring.grant
        if grant is not None:
            self._log.info("shard_moved", members=grant.view, waiting_for=[each.name for each in grant.others])
        self.changed.set()
        for told in self.on_moved:
            told(lambda kind, key: gained(token_of(kind, key)))

    async def _bury(self, name: str, version: str) -> bool:
        """Whether the Lease has gone."""
        key = Key(self.key.namespace, name)
        try:
            await self._limited(self.client.delete(kinds.LEASE, key, resource_version=version))
        except NotFound:
            return True
        except Conflict:
            return False  # it was renewed
        except ApiError as error:
            self._log.warning("expired_lease_stays", expired=name, error=str(error))
            return False
        self._log.warning("member_expired", expired=name)
        return True

    async def _say(self) -> None:
        """Renews the Lease, with what is claimed now."""
        over = self._lease
        if over is not None and record_of(over).holder != self.ring.run:
            self._log.info("name_taken", cure="an earlier run has this name; its Lease has to expire first")
            return
        claims = self.ring.claims()
        record = claim(record_of(over) if over else None, self.ring.run, self.options, self._clock.utcnow())
        wanted = member_to(lease_of(record, self.key, over), claims, self.ring_name)
        began = self._clock.monotonic()
        try:
            self._lease = await self._limited(
                self.client.create(wanted) if over is None else self.client.update(wanted)
            )
        except NotFound:
            self.ring.lost = self.ring.valid_until is not None
            raise
        except AlreadyExists:
            return  # our own, of a write whose answer was lost, or another's: the next list says it
        if self._clock.monotonic() >= began + self.options.lease_duration_s:
            return  # the answer came when what it says was over
        self.ring.stored(claims, began)
        self._renewed_at = began

    async def _limited(self, call: Any) -> Any:
        """As an election's calls: half the renew deadline, at least a second."""
        async with Deadline(self._clock, max(self.options.renew_deadline_s / 2, 1.0)):
            return await call

    async def _withdraw(self) -> None:
        if self._lease is None or self.ring.in_work:
            return
        ending = asyncio.ensure_future(self._delete_own())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait([ending])  # it has a time limit of its own
            raise

    async def _delete_own(self) -> None:
        assert self._lease is not None  # noqa: S101 - asked before
        try:
            await self._limited(self.client.delete(kinds.LEASE, self.key, uid=self._lease.uid))
        except (ControllerkitError, TimeoutError) as error:
            self._log.info("shard_lease_left", error=f"{type(error).__name__}: {error}")
