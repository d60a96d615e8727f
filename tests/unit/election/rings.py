"""Many Leases in memory that behave as the API server's, and replicas that work on keys while everything goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from controllerkit.client import KindLike, ObjectLike, ObjectList, Write
from controllerkit.election import ElectionOptions, Shards
from controllerkit.errors import AlreadyExists, Conflict, NotFound, NotLeading, TransportError
from controllerkit.objects import Key, Object, kinds
from controllerkit.runtime import Clock, cancel_and_wait

SPANS = ElectionOptions(lease_duration_s=15, renew_deadline_s=10.0, retry_period_s=2.0)


class RingServer:
    """Leases by name."""

    def __init__(self) -> None:
        self.leases: dict[str, dict[str, Any]] = {}
        self.version = 0
        self.calls: list[str] = []

    def _store(self, value: dict[str, Any], uid: str) -> Object:
        self.version += 1
        metadata = {**value["metadata"], "resourceVersion": str(self.version), "uid": uid}
        self.leases[metadata["name"]] = {**value, "metadata": metadata}
        return Object.from_dict(self.leases[metadata["name"]])

    def list(self, label_selector: str) -> ObjectList:
        self.calls.append("list")
        name, _, value = label_selector.partition("=")
        chosen = [each for each in self.leases.values() if each["metadata"].get("labels", {}).get(name) == value]
        return ObjectList(items=[Object.from_dict(each) for each in chosen], resource_version=str(self.version))

    def create(self, value: dict[str, Any]) -> Object:
        self.calls.append("create")
        if value["metadata"]["name"] in self.leases:
            raise AlreadyExists("the Lease exists")
        return self._store(value, f"uid-{self.version}")

    def update(self, value: dict[str, Any]) -> Object:
        self.calls.append("update")
        current = self.leases.get(value["metadata"]["name"])
        if current is None:
            raise NotFound("no such Lease")
        if current["metadata"]["resourceVersion"] != value["metadata"].get("resourceVersion"):
            raise Conflict("the Lease has been modified")
        return self._store(value, current["metadata"]["uid"])

    def delete(self, name: str, uid: str, resource_version: str) -> None:
        self.calls.append("delete")
        current = self.leases.get(name)
        if current is None:
            raise NotFound("no such Lease")
        metadata = current["metadata"]
        if (uid and uid != metadata["uid"]) or (resource_version and resource_version != metadata["resourceVersion"]):
            raise Conflict("a precondition does not hold")
        del self.leases[name]


class RingClient:
    """One replica's way to the server; ``way`` is awaited before and after each call, and may lose it."""

    def __init__(self, server: RingServer, way: Callable[[str], Any] | None = None) -> None:
        self._server = server
        self._way = way

    async def _through(self, call: Callable[[], Any]) -> Any:
        if self._way is None:
            return call()
        await self._way("before")
        # The server does it even where the caller no longer waits.
        done = asyncio.get_running_loop().create_task(self._at_server(call))
        done.add_done_callback(lambda task: task.exception())
        return await asyncio.shield(done)

    async def _at_server(self, call: Callable[[], Any]) -> Any:
        assert self._way is not None
        await self._way("there")
        answer = call()
        await self._way("after")
        return answer

    async def list(self, kind: KindLike, namespace: str | None = None, *, label_selector: str = "") -> ObjectList:
        answer: ObjectList = await self._through(lambda: self._server.list(label_selector))
        return answer

    async def create(self, value: ObjectLike) -> Object:
        answer: Object = await self._through(lambda: self._server.create(dict(value)))  # type: ignore[call-overload]
        return answer

    async def update(self, value: ObjectLike) -> Object:
        answer: Object = await self._through(lambda: self._server.update(dict(value)))  # type: ignore[call-overload]
        return answer

    async def delete(
        self, kind: KindLike, name: str | Key, *, uid: str = "", resource_version: str = ""
    ) -> Object | None:
        assert isinstance(name, Key)
        await self._through(lambda: self._server.delete(name.name, uid, resource_version))
        return None


class StallingClock(Clock):
    """The true clock, but while a process is stopped its sleepers are not woken."""

    def __init__(self, true: Clock) -> None:
        self.true = true
        self.stalled_until = 0.0

    def monotonic(self) -> float:
        return self.true.monotonic()

    def utcnow(self) -> Any:
        return self.true.utcnow()

    async def stall(self) -> None:
        while self.true.monotonic() < self.stalled_until:
            await self.true.sleep(self.stalled_until - self.true.monotonic())

    async def sleep(self, seconds: float) -> None:
        await self.true.sleep(seconds)
        await self.stall()


class World:
    """What is worked on, and who does; told every write that a gate lets through."""

    def __init__(self, keys: int) -> None:
        self.keys = [Key("ns", f"k{n}") for n in range(keys)]
        self.at_work: dict[Key, set[Replica]] = {key: set() for key in self.keys}
        self.wrong: list[str] = []
        self.writes = 0
        self.takes = 0
        self.refused = 0


class Replica:
    """A process: a member of the ring, and workers that take keys at random and write now and then."""

    def __init__(self, server: RingServer, world: World, clock: Clock, rng: Random, name: str, calm: Any) -> None:
        self.world = world
        self.rng = rng
        self.clock = StallingClock(clock)
        self.calm = calm
        self.name = name
        self.shards = Shards(
            RingClient(server, self._way), name="ring", namespace="ns", identity=name, options=SPANS, clock=self.clock
        )
        self.workers = [asyncio.create_task(self._work()) for _ in range(3)]
        self.task = asyncio.create_task(self._run())

    async def _way(self, where: str) -> None:
        await self.clock.stall()
        if self.calm():
            return
        luck = self.rng.random()
        if luck < 0.04:
            raise TransportError(f"lost {where}")
        if luck < 0.2:
            await self.clock.true.sleep(self.rng.choice((0.05, 0.5, 2.0, 8.0)) * self.rng.uniform(0.5, 1.5))
        if where != "there":
            await self.clock.stall()

    async def _run(self) -> None:
        try:
            await self.shards.run()
        finally:
            await cancel_and_wait(*self.workers)

    async def _work(self) -> None:
        while True:
            await self.clock.sleep(self.rng.uniform(0.1, 1.5))
            key = self.rng.choice(self.world.keys)
            if not self.shards.take(kinds.POD, key):
                continue
            self.world.takes += 1
            self._check_alone(key)
            self.world.at_work[key].add(self)
            try:
                for _ in range(self.rng.randrange(4)):
                    await self.clock.sleep(self.rng.expovariate(0.4))
                    self._write(key)
            finally:
                self.world.at_work[key].discard(self)
                self.shards.done(kinds.POD, key)

    def _write(self, key: Key) -> None:
        try:
            self.shards.gate.before(Write("update", kinds.POD, key))
        except NotLeading:
            self.world.refused += 1
            return
        self.world.writes += 1
        self._check_alone(key)

    def _check_alone(self, key: Key) -> None:
        now = self.clock.monotonic()
        for other in self.world.at_work[key] - {self}:
            until = other.shards.ring.valid_until
            if until is not None and now < until:
                self.world.wrong.append(f"{self.name} works on {key} at {now}, and so does {other.name}")

    def stop(self, seconds: float) -> None:
        """As SIGSTOP, and SIGCONT after ``seconds``."""
        self.clock.stalled_until = self.clock.monotonic() + seconds

    async def crash(self) -> None:
        """As SIGKILL: nothing more leaves, its Lease stays."""
        self.shards._lease = None
        self.task.cancel()
        await cancel_and_wait(*self.workers)

    def owns(self) -> set[Key]:
        return {key for key in self.world.keys if self.shards.owns(kinds.POD, key)}
