"""Keys that must not be decided upon yet: the cache may be older than what they wrote themselves.

The overlay answers for every write that came back with its object, so hardly any key ever waits. Left are the writes
that it has nothing to show for (`controllerkit.cache.Unsettled`): those whose outcome is unknown, because the call was
cancelled or not answered, and those answered by something else than the object, as ``scale`` and ``eviction`` are. A
reconciler called again right after such a write would see the world without it, and write again.

So the key is parked, alone, and no worker waits: an object with a name is read from the server and laid over the cache;
for one whose name the server chooses, the server is asked where it stands, and the cache has to come that far.

A server that carries out a request after its connection has gone, and after it answered that read, is not seen; nor is
anything waited for longer than ``OWN_WRITE_WAIT_S``. Names that a reconciler chooses itself and ``resourceVersion`` in
what it writes hold in those cases too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from controllerkit.cache import Overlay, Unsettled
from controllerkit.client import Client
from controllerkit.controller.result import Request
from controllerkit.errors import ApiError, ControllerkitError, NotFound
from controllerkit.objects import Key
from controllerkit.runtime import Clock, Deadline, cancel_and_wait

__all__ = ["OWN_WRITE_WAIT_S", "WAITING_REASON", "OwnWrites"]

OWN_WRITE_WAIT_S: Final = 10.0
"""Longer than any healthy watch needs to tell of an event; kopf gives it five seconds."""

LOOK_AGAIN_S: Final = 0.5
WAITING_REASON: Final = "waiting-for-own-write"


class _Counter(Protocol):
    def inc(self) -> None: ...


class OwnWrites:
    """Holds back the keys whose own writes are not settled.

    Args:
        wake: called with a request that was held back, once its writes are settled or the time is over.
        skipped: counts the requests held back.
    Guarantees:
        Only the key that wrote waits. A parked key is woken once, with all that was asked for it meanwhile. It waits
        ``OWN_WRITE_WAIT_S`` at most, and not at all where the server does not let this process look.
    """

    def __init__(
        self,
        client: Client,
        overlay: Overlay,
        clock: Clock,
        wake: Callable[[Request], None],
        skipped: _Counter,
        log: Any,
    ) -> None:
        self._client = client
        self._overlay = overlay
        self._clock = clock
        self._wake = wake
        self._skipped = skipped
        self._log = log
        self._settling: dict[Key, asyncio.Task[None]] = {}
        self._parked: dict[Key, Request] = {}

    @property
    def waiting(self) -> frozenset[Key]:
        """The keys whose writes are not settled."""
        return frozenset(self._settling)

    def hold(self, key: Key, writes: Sequence[Unsettled]) -> None:
        """From now on `park` keeps ``key``, until ``writes`` are settled."""
        if writes:
            self._settling[key] = asyncio.create_task(self._settle(key, writes), name=f"own writes of {key}")

    def park(self, request: Request) -> bool:
        """Whether the request has to wait; then it is kept, and woken when its time has come."""
        if request.key not in self._settling:
            return False
        self._skipped.inc()
        kept = self._parked.get(request.key, request)
        self._parked[request.key] = Request(
            request.key, kept.reasons | request.reasons | {WAITING_REASON}, max(kept.priority, request.priority)
        )
        return True

    async def close(self) -> None:
        """Nothing is woken any more."""
        self._parked.clear()
        await cancel_and_wait(*self._settling.values())

    async def _settle(self, key: Key, writes: Sequence[Unsettled]) -> None:
        try:
            async with Deadline(self._clock, OWN_WRITE_WAIT_S):
                for write in dict.fromkeys(writes):
                    version = write.version or await self._look(write)
                    if version:
                        await self._overlay.wait_seen(replace(write, version=version))
        except TimeoutError:
            self._log.warning("own_write_not_seen", key=str(key), waited_s=OWN_WRITE_WAIT_S)
        finally:
            del self._settling[key]
            parked = self._parked.pop(key, None)
            if parked is not None:
                self._wake(parked)

    async def _look(self, write: Unsettled) -> str:
        """Asks the server what became of ``write``; the version to wait for, "" where nothing is left to wait for."""
        while True:
            try:
                if not write.key.name:
                    page = await self._client.list(write.kind, write.key.namespace or None, limit=1)
                    return page.resource_version
                known = self._overlay.known(write.kind, write.key)
                self._overlay.learned(write.kind, write.key, known, await self._found(write))
                return ""
            except ControllerkitError as error:
                self._log.info("own_write_unknown", kind=str(write.kind), object=str(write.key), error=str(error))
                if isinstance(error, ApiError) and error.code < 500 and error.code != 429:
                    return ""  # it does not let us look, and will not later
            await self._clock.sleep(LOOK_AGAIN_S)

    async def _found(self, write: Unsettled) -> Any:
        try:
            return await self._client.get(write.kind, write.key)
        except NotFound:
            return None
