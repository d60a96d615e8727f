"""A Lease in memory that behaves as the API server's, with every kind of trouble on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from controllerkit.client import KindLike, ObjectLike
from controllerkit.errors import AlreadyExists, ApiError, Conflict, NotFound, TransportError
from controllerkit.objects import Key, Object
from controllerkit.runtime import Clock


class LeaseServer:
    """One Lease, with resourceVersions; ``calls`` in the order they arrived."""

    def __init__(self) -> None:
        self.value: dict[str, Any] | None = None
        self.version = 0
        self.calls: list[str] = []
        self.refuse: list[ApiError] = []

    @property
    def spec(self) -> dict[str, Any]:
        assert self.value is not None
        spec: dict[str, Any] = self.value["spec"]
        return spec

    def put(self, **spec: Any) -> None:
        """As if somebody else had written it."""
        self.version += 1
        metadata = {"name": "lock", "namespace": "ns", "resourceVersion": str(self.version), "labels": {"kept": "yes"}}
        self.value = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    def get(self) -> Object:
        self._called("get")
        if self.value is None:
            raise NotFound("leases lock not found")
        return Object.from_dict(self.value)

    def create(self, value: dict[str, Any]) -> Object:
        self._called("create")
        if self.value is not None:
            raise AlreadyExists("leases lock exists")
        return self._store(value)

    def update(self, value: dict[str, Any]) -> Object:
        self._called("update")
        if self.value is None:
            raise NotFound("leases lock not found")
        if value["metadata"].get("resourceVersion") != str(self.version):
            raise Conflict("the object has been modified")
        return self._store(value)

    def _called(self, verb: str) -> None:
        self.calls.append(verb)
        if self.refuse:
            raise self.refuse.pop(0)

    def _store(self, value: dict[str, Any]) -> Object:
        self.version += 1
        self.value = {**value, "metadata": {**value["metadata"], "resourceVersion": str(self.version)}}
        return Object.from_dict(self.value)


class LeaseClient:
    """One candidate's way to the server: ``trouble`` is asked before and after each call what goes wrong there."""

    def __init__(
        self, server: LeaseServer, clock: Clock | None = None, trouble: Callable[[str], float] | None = None
    ) -> None:
        self._server = server
        self._clock = clock
        self._trouble = trouble

    async def _on_the_way(self, where: str) -> None:
        if self._trouble is not None and self._clock is not None:
            delay_s = self._trouble(where)
            if delay_s < 0:
                raise TransportError(f"lost {where}")
            if delay_s:
                await self._clock.sleep(delay_s)

    async def get(self, kind: KindLike, name: str | Key, namespace: str | None = None) -> Object:
        await self._on_the_way("before")
        answer = self._server.get()
        await self._on_the_way("after")
        return answer

    async def create(self, value: ObjectLike) -> Object:
        await self._on_the_way("before")
        answer = self._server.create(dict(value))  # type: ignore[call-overload]
        await self._on_the_way("after")
        return answer

    async def update(self, value: ObjectLike) -> Object:
        await self._on_the_way("before")
        answer = self._server.update(dict(value))  # type: ignore[call-overload]
        await self._on_the_way("after")
        return answer


class RunningClock(Clock):
    """A clock that runs ``rate`` times as fast as ``true`` and began elsewhere."""

    def __init__(self, true: Clock, rate: float, offset: float) -> None:
        self._true, self._rate, self._offset = true, rate, offset

    def monotonic(self) -> float:
        return self._true.monotonic() * self._rate + self._offset

    def utcnow(self) -> Any:
        return self._true.utcnow()

    async def sleep(self, seconds: float) -> None:
        await self._true.sleep(seconds / self._rate)


def trouble_of(rng: Random, calm: Callable[[], bool]) -> Callable[[str], float]:
    """Mostly nothing; sometimes a delay of up to 20 s, sometimes a call or its answer is lost; nothing once calm."""

    def trouble(_: str) -> float:
        if calm():
            return 0.0
        luck = rng.random()
        return -1.0 if luck < 0.12 else rng.uniform(0.1, 20.0) if luck < 0.25 else 0.0

    return trouble
