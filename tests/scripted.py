"""A transport whose answers are scripted, for a client without a server or a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from controllerkit.cache.machine import INITIAL_EVENTS_END
from controllerkit.errors import ConnectError, TransportError
from controllerkit.runtime import Clock
from controllerkit.wire import WireRequest, WireResponse

REFUSED = ConnectError("connection refused", refused=True)
CLOSE = b""
"""In a script: the server ends the answer here. Without it the answer stays open, and silent."""


def compact(value: Any) -> bytes:
    """As API servers write it."""
    return json.dumps(value, separators=(",", ":")).encode()


def config_map(name: str, version: str, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "resourceVersion": version, "uid": f"uid-{name}"}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data}


def line(kind: str, value: Mapping[str, Any]) -> bytes:
    return compact({"type": kind, "object": value}) + b"\n"


def event(kind: str, name: str, version: str, **data: str) -> bytes:
    return line(kind, config_map(name, version, **data))


def bookmark(version: str, *, end: bool = False) -> bytes:
    annotations = {INITIAL_EVENTS_END: "true"} if end else {}
    metadata = {"resourceVersion": version, "annotations": annotations}
    return line("BOOKMARK", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata})


def error(code: int, reason: str, message: str = "no") -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message}


def listed(version: str, *items: Mapping[str, Any], token: str = "") -> dict[str, Any]:
    metadata = {"resourceVersion": version, "continue": token}
    return {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": list(items)}


@dataclass
class Answer:
    """``parts`` are sent in turn: bytes, a number (seconds of silence by the clock), an error (the connection)."""

    status: int = 200
    parts: tuple[bytes | float | TransportError, ...] = ()


@dataclass
class Asked:
    """A request, what its answer is, and whether the client has left it."""

    request: WireRequest
    query: dict[str, str]
    at: float
    closed: bool = False

    @property
    def watch(self) -> bool:
        return self.query.get("watch") == "true"

    def __str__(self) -> str:
        version = self.query.get("resourceVersion", "")
        if not self.watch:
            token = f" continue={self.query['continue']}" if "continue" in self.query else ""
            return f"list rv={version} limit={self.query.get('limit', '0')}{token}"
        return f"{'stream' if 'sendInitialEvents' in self.query else 'watch'} rv={version}"


@dataclass
class Scripted:
    """A `Transport`: each request takes the next answer; after the last one, a request stays without any."""

    clock: Clock
    answers: list[Answer | TransportError] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    def json(self, value: Mapping[str, Any], status: int = 200, *, after_s: float = 0.0) -> Scripted:
        self.answers.append(Answer(status, (after_s, compact(value))))
        return self

    def refuse(self, code: int, reason: str, message: str = "no") -> Scripted:
        return self.json(error(code, reason, message), code)

    def stream(self, *parts: bytes | float | TransportError) -> Scripted:
        self.answers.append(Answer(200, parts))
        return self

    def fail(self, failure: TransportError = REFUSED) -> Scripted:
        self.answers.append(failure)
        return self

    @property
    def told(self) -> list[str]:
        """What was asked, in order."""
        return [str(each) for each in self.asked]

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        asked = Asked(request, dict(parse_qsl(urlsplit(request.path).query)), self.clock.monotonic())
        self.asked.append(asked)
        try:
            if not self.answers:
                await asyncio.Event().wait()
            answer = self.answers.pop(0)
            if isinstance(answer, TransportError):
                raise answer
            yield _Response(answer, self.clock)
        finally:
            asked.closed = True

    async def aclose(self) -> None: ...


class _Response:
    def __init__(self, answer: Answer, clock: Clock) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = {}
        self._parts = answer.parts
        self._clock = clock

    async def read(self) -> bytes:
        body = b""
        for part in self._parts:
            if isinstance(part, float | int):
                await self._clock.sleep(part)
            elif isinstance(part, bytes):
                body += part
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            if isinstance(part, TransportError):
                raise part
            if isinstance(part, float | int):
                await self._clock.sleep(part)
            elif part == CLOSE:
                return
            else:
                yield part
        await asyncio.Event().wait()
