"""Leader election with a Lease: the driver around what `machine` decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final, Protocol

from controllerkit.client import KindLike, ObjectLike
from controllerkit.election.gate import WriteGate
from controllerkit.election.machine import (
    JITTER_FACTOR,
    ElectionOptions,
    Observation,
    claim,
    free,
    observe,
    released,
)
from controllerkit.election.record import lease_of, record_of
from controllerkit.errors import ConfigError, Conflict, ControllerkitError, NotFound
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import Clock, Deadline, SystemClock, get_logger

__all__ = ["LeaderElector", "LeaseClient"]

HEALTH_TOLERANCE_S: Final = 20.0
"""kube-controller-manager: so long after the end of its lease a leader that did not notice is ill."""


def _ignore(*_: object) -> None:
    """Does nothing."""


class LeaseClient(Protocol):
    """What an election needs of a client."""

    async def get(self, kind: KindLike, name: str | Key, namespace: str | None = None) -> Object:
        """As `Client.get`."""

    async def create(self, value: ObjectLike) -> Object:
        """As `Client.create`."""

    async def update(self, value: ObjectLike) -> Object:
        """As `Client.update`."""


class LeaderElector:
    """Takes a Lease, keeps it, and tells when it has it no more.

    Guarantees:
        ``is_leader`` is false, and ``gate`` refuses, before anybody else can take the lease, as long as monotonic
        clocks run at nearly the same speed. ``on_stopped_leading`` is called at the end of every ``run``, also of
        one that never led. A cancelled ``run`` frees the lease if it may hold it, whatever call was under way.

    Args:
        identity: unique among the candidates.
        changed: set once this process leads, and once ``run`` ends.
        on_started_leading, on_stopped_leading: called without arguments; quick.
        on_new_leader: called with the identity of whoever is seen to lead, the first one too.
    Raises:
        ConfigError: ``name``, ``namespace`` or ``identity`` is empty.
    """

    def __init__(
        self,
        client: LeaseClient,
        *,
        name: str,
        namespace: str,
        identity: str,
        options: ElectionOptions | None = None,
        clock: Clock | None = None,
        rng: Random | None = None,
        on_started_leading: Callable[[], None] = _ignore,
        on_stopped_leading: Callable[[], None] = _ignore,
        on_new_leader: Callable[[str], None] = _ignore,
        log: Any = None,
    ) -> None:
        for what, text in (("name", name), ("namespace", namespace), ("identity", identity)):
            if not text:
                raise ConfigError(f"leader election needs a {what}")
        self.key = Key(namespace, name)
        self.identity = identity
        self.options = options or ElectionOptions()
        self.client = client
        self._clock = clock or SystemClock()
        self._rng = rng or Random()
        self._on_started, self._on_stopped, self._on_new_leader = on_started_leading, on_stopped_leading, on_new_leader
        self._log = (log or get_logger()).bind(lease=str(self.key), identity=identity)
        self._seen: Observation | None = None
        self._lease: Object | None = None
        self._told_leader = ""
        self._valid_until: float | None = None
        self._may_hold = False
        self._running = False
        self.changed = asyncio.Event()
        self.gate = WriteGate(
            self.key, now=self._clock.monotonic, valid_until=lambda: self._valid_until, leader=lambda: self.leader
        )

    @property
    def is_leader(self) -> bool:
        """Whether the lease is held now: it was renewed, and the renewal is not too old."""
        return self._valid_until is not None and self._clock.monotonic() < self._valid_until

    @property
    def leader(self) -> str:
        """Who was last seen to hold the lease, "" for nobody."""
        return self._seen.record.holder if self._seen is not None else ""

    @property
    def lease(self) -> Object | None:
        """The Lease as it was last read or written."""
        return self._lease

    def check(self) -> str | None:
        """A health check: well, unless this process should have noticed long ago that its lease is over."""
        if self._valid_until is None:
            return None
        late_s = self._clock.monotonic() - self._valid_until
        if late_s <= HEALTH_TOLERANCE_S:
            return None
        return f"the lease {self.key} ended {late_s:.0f} s ago and this process has not stopped leading"

    async def run(self) -> None:
        """Waits for the lease, leads, and returns when it is lost. Cancelled, it frees the lease first.

        Raises:
            ConfigError: another ``run`` of this elector has not ended.
        """
        if self._running:
            raise ConfigError(f"the elector {self.identity} of {self.key} runs already")
        self._running = True
        try:
            await self._acquire()
            self._log.info("started_leading")
            self.changed.set()
            self._on_started()
            await self._keep()
            self._log.warning("stopped_leading", renew_deadline_s=self.options.renew_deadline_s)
        finally:
            self._valid_until = None
            try:
                if self.options.release_on_cancel and self._may_hold:
                    await self._release()
            finally:
                self._running = False
                self.changed.set()
                self._on_stopped()

    # -- the two loops -------------------------------------------------------------------------------------------

    async def _acquire(self) -> None:
        while not await self._try():
            period_s = self.options.retry_period_s
            await self._clock.sleep(period_s * (1.0 + self._rng.random() * JITTER_FACTOR))

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(self.options.retry_period_s)
            try:
                async with Deadline(self._clock, self.options.renew_deadline_s):
                    while not await self._try():
                        if not self.is_leader:
                            return  # somebody else has it, or the last renewal is too old
                        await self._clock.sleep(self.options.retry_period_s)
            except TimeoutError:
                return
            if not self.is_leader:
                return  # the answer came when the lease it renewed was over

    # -- one try -------------------------------------------------------------------------------------------------

    async def _try(self) -> bool:
        """Takes or renews the lease; whether it is held now."""
        try:
            held = await self._claim()
        except (ControllerkitError, TimeoutError) as error:
            self._log.info("lease_not_reached", error=f"{type(error).__name__}: {error}")
            held = False
        if self.leader != self._told_leader:
            self._told_leader = self.leader
            self._log.info("new_leader", leader=self.leader)
            self._on_new_leader(self.leader)
        return held

    async def _claim(self) -> bool:
        """A leader renews without reading first; where that fails, and for everybody else: read, look, write."""
        began = self._clock.monotonic()
        if self.is_leader and self._lease is not None and self.leader == self.identity:
            try:
                return await self._write(self._lease, began)
            except (ControllerkitError, TimeoutError) as error:
                self._log.debug("renewal_reads_again", error=str(error))
        try:
            lease = await self._limited(self.client.get(kinds.LEASE, self.key))
        except NotFound:
            return await self._write(None, self._clock.monotonic())
        self._note(lease)
        assert self._seen is not None  # noqa: S101 - it was just noted
        if not free(self._seen, self.identity, self._clock.monotonic()):
            return False
        return await self._write(lease, self._clock.monotonic())

    async def _write(self, over: Object | None, began: float) -> bool:
        record = record_of(over) if over is not None else None
        wanted = lease_of(claim(record, self.identity, self.options, self._clock.utcnow()), self.key, over)
        self._may_hold = True
        write = self.client.create(wanted) if over is None else self.client.update(wanted)
        lease = await self._limited(write)
        self._note(lease)
        self._valid_until = began + self.options.lease_duration_s
        return True

    def _note(self, lease: Object) -> None:
        self._seen = observe(self._seen, record_of(lease), self._clock.monotonic())
        self._lease = lease
        if self.leader != self.identity:
            self._valid_until = None
            self._may_hold = False

    async def _limited(self, call: Any) -> Object:
        """controller-runtime's client timeout for elections: half the renew deadline, at least a second."""
        async with Deadline(self._clock, max(self.options.renew_deadline_s / 2, 1.0)):
            answer: Object = await call
            return answer

    # -- leaving -------------------------------------------------------------------------------------------------

    async def _release(self) -> None:
        """Frees the lease if it is held by this process, as a read says: a cancelled write may have been done."""
        freeing = asyncio.ensure_future(self._free())
        try:
            await asyncio.shield(freeing)
        except asyncio.CancelledError:
            await asyncio.wait([freeing])  # it has a time limit of its own
            raise

    async def _free(self) -> None:
        try:
            async with Deadline(self._clock, self.options.renew_deadline_s):
                while True:
                    lease = await self.client.get(kinds.LEASE, self.key)
                    record = record_of(lease)
                    if record.holder != self.identity:
                        return
                    try:
                        await self.client.update(lease_of(released(record, self._clock.utcnow()), self.key, lease))
                    except Conflict:
                        continue
                    self._log.info("lease_released")
                    return
        except NotFound:
            return
        except (ControllerkitError, TimeoutError) as error:
            self._log.warning("lease_not_released", error=f"{type(error).__name__}: {error}")
