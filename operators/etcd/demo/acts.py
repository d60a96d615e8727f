"""The acts of the demonstration, in order, and what is reported of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from controllerkit.errors import ControllerkitError
from controllerkit.objects import kinds
from controllerkit.runtime import Clock, cancel_and_wait
from operators.etcd.api import EtcdCluster
from operators.etcd.demo.screen import Picture, Screen
from operators.etcd.demo.stage import Stage
from operators.etcd.demo.writer import PREFIX, Ledger, Writer
from operators.etcd.wire import EtcdClient

__all__ = ["Performance", "Report"]

SIZE: Final = 3
LARGER: Final = 5
REFRESH_S: Final = 0.25
ACT_TIMEOUT_S: Final = 90.0


@dataclass(slots=True)
class Report:
    """``build/demo.json``."""

    etcd_version: str
    api_server: str
    members: int = 0
    acknowledged_writes: int = 0
    lost_writes: int = 0
    longest_write_gap_s: float = 0.0
    seconds_to_first_healthy: float = 0.0
    heal_seconds: list[float] = field(default_factory=list)
    resize_seconds: list[float] = field(default_factory=list)


class Performance:
    """Plays the acts against one cluster and keeps the picture current."""

    def __init__(self, stage: Stage, screen: Screen, report: Report, *, clock: Clock) -> None:
        self._stage = stage
        self._screen = screen
        self._clock = clock
        self._began = clock.monotonic()
        self._client: EtcdClient | None = None
        self._writer = Writer(self._put, clock=clock)
        self._act = "creating the cluster"
        self.report = report

    async def play(self, spec: Mapping[str, Any]) -> Report:
        """All acts; the report says how they went.

        Raises:
            DeadlineExceeded: an act did not come to its end; the message holds the last status.
        """
        painter = asyncio.create_task(self._paint(), name="picture")
        teller = asyncio.create_task(self._tell_events(), name="events")
        stop = asyncio.Event()
        writing: asyncio.Task[None] | None = None
        try:
            await self._stage.create(spec)
            self.report.seconds_to_first_healthy = await self._timed("three members", self._healthy(SIZE))
            writing = asyncio.create_task(self._writer.run(stop), name="writer")
            await self._destroy("follower")
            await self._destroy("leader")
            await self._resize(LARGER)
            await self._resize(SIZE)
            stop.set()
            await writing
            await self._read_back()
        finally:
            await cancel_and_wait(*(task for task in (painter, teller, writing) if task is not None))
            if self._client is not None:
                await self._client.aclose()
        return self.report

    # -- acts -----------------------------------------------------------------------------------------------------

    def _healthy(self, size: int, *, without: tuple[str, ...] = ()) -> Callable[[], Awaitable[None]]:
        return lambda: self._stage.wait_healthy(size, timeout_s=ACT_TIMEOUT_S, without=without)

    async def _destroy(self, role: str) -> None:
        member = await self._stage.member(role)
        name = str(member["name"])
        self._say(f"destroying the {role} {name}: its Pod and its volume")
        await self._stage.destroy_volume(name)
        await self._stage.destroy_pod(name)
        seconds = await self._timed(f"healed of a lost {role}", self._healthy(SIZE, without=(str(member["id"]),)))
        self.report.heal_seconds.append(seconds)

    async def _resize(self, size: int) -> None:
        self._say(f"resizing to {size} members")
        await self._stage.resize(size)
        self.report.resize_seconds.append(await self._timed(f"{size} members", self._healthy(size)))

    async def _read_back(self) -> None:
        ledger = self._writer.ledger
        self._say(f"reading back {len(ledger.acknowledged)} acknowledged writes")
        async with await self._stage.etcd() as client:
            found = await client.range(PREFIX, range_end=PREFIX[:-1] + chr(ord(PREFIX[-1]) + 1))
        lost = ledger.lost({kv.key.decode(): kv.value.decode() for kv in found.kvs})
        self.report.members = len(await self._stage.members())
        self.report.acknowledged_writes = len(ledger.acknowledged)
        self.report.lost_writes = len(lost)
        self.report.longest_write_gap_s = round(ledger.longest_gap_s, 3)
        self._say(f"{len(ledger.acknowledged)} acknowledged, {len(lost)} lost" + (f": {lost[:5]}" if lost else ""))

    async def _timed(self, what: str, act: Callable[[], Awaitable[None]]) -> float:
        self._act = what
        began = self._clock.monotonic()
        await act()
        seconds = round(self._clock.monotonic() - began, 2)
        self._say(f"{what}: after {seconds:.1f} s")
        return seconds

    # -- the writer's connection ----------------------------------------------------------------------------------

    async def _put(self, key: str, value: str) -> int:
        """One put; after a failure the members are looked up anew and another one is asked first."""
        if self._client is None:
            addresses = await self._stage.addresses()
            turn = self._writer.ledger.failed % max(len(addresses), 1)
            self._client = EtcdClient(addresses[turn:] + addresses[:turn], timeout_s=1.0)
        try:
            return await self._client.put(key, value)
        except BaseException:
            client, self._client = self._client, None
            await client.aclose()
            raise

    # -- the picture ----------------------------------------------------------------------------------------------

    def _say(self, line: str) -> None:
        self._screen.say(f"{self._clock.monotonic() - self._began:6.1f} s  {line}")

    async def _paint(self) -> None:
        while True:
            with suppress(ControllerkitError):
                self._screen.show(self._picture(await self._stage.status(), self._writer.ledger))
            await self._clock.sleep(REFRESH_S)

    def _picture(self, status: Mapping[str, Any], ledger: Ledger) -> Picture:
        now = self._clock.monotonic()
        return Picture(
            act=self._act,
            elapsed_s=now - self._began,
            members=status.get("memberStatuses") or (),
            phase=str(status.get("phase") or ""),
            plan=status.get("plan") or (),
            acknowledged=len(ledger.acknowledged),
            failed=ledger.failed,
            revision=ledger.revision,
            gap_s=now - ledger.last_at if ledger.last_at is not None else 0.0,
            longest_gap_s=ledger.longest_gap_s,
        )

    async def _tell_events(self) -> None:
        """Shows the Events the operator records about the cluster, as they come."""
        kind = EtcdCluster.resource_kind().kind
        start = await self._stage.client.list(kinds.EVENT, self._stage.namespace)
        async with self._stage.client.watch(
            kinds.EVENT, self._stage.namespace, resource_version=start.resource_version
        ) as stream:
            async for event in stream:
                value = event.object
                if event.type == "ADDED" and value.get("regarding", "kind") == kind:
                    self._say(f"event {value.get('reason')}: {value.get('note')}")
