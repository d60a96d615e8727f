"""A transport on which HTTP goes wrong by rule: refusals, broken bodies, stale lists, lost answers.

It wraps any `Transport`, so it works in front of every server.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Final, assert_never
from urllib.parse import parse_qs

import msgspec

from controllerkit.errors import TransportError
from controllerkit.runtime import Clock, SystemClock
from controllerkit.wire import Transport, WireRequest, WireResponse

__all__ = [
    "Delayed",
    "Fault",
    "FaultyTransport",
    "InStream",
    "LostAnswer",
    "LostRequest",
    "Refusal",
    "Rewritten",
    "Rule",
    "Stale",
    "Truncated",
    "conflict",
    "expired",
    "internal_error",
    "too_many_requests",
    "verb_of",
    "wrong_kind",
]


# -- faults ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The server is not asked; this Status is the answer."""

    code: int
    reason: str
    message: str = "made by a fault rule"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> bytes:
        """As JSON."""
        value = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        return msgspec.json.encode({**value, "message": self.message, "reason": self.reason, "code": self.code})


@dataclass(frozen=True, slots=True)
class InStream:
    """A watch passes ``after_lines`` lines on, then says ``error`` in an ERROR event and ends."""

    error: Refusal
    after_lines: int = 0


@dataclass(frozen=True, slots=True)
class Truncated:
    """``after_lines`` whole lines arrive and half of the next, then the body ends as if it were complete.

    A body that is no watch is one line.
    """

    after_lines: int = 0


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Each line of a watch, or the whole of another body, is what ``change`` makes of it."""

    change: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Stale:
    """A GET is answered with what the same path (whatever its query) was answered before, byte for byte.

    Where it was not asked before, it is asked now.
    """


@dataclass(frozen=True, slots=True)
class LostRequest:
    """The connection breaks before the server has the request."""


@dataclass(frozen=True, slots=True)
class LostAnswer:
    """The server does what was asked, and the connection breaks before its answer is here."""


@dataclass(frozen=True, slots=True)
class Delayed:
    """The request is sent so much later."""

    seconds: float


Fault = Refusal | InStream | Truncated | Rewritten | Stale | LostRequest | LostAnswer | Delayed


def too_many_requests(retry_after_s: int | None = None) -> Refusal:
    """429, with Retry-After if given."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return Refusal(code=429, reason="TooManyRequests", headers=headers)


def expired() -> Refusal:
    """410: the resourceVersion is no longer served."""
    return Refusal(code=410, reason="Expired", message="The resourceVersion is too old")


def internal_error() -> Refusal:
    """500."""
    return Refusal(code=500, reason="InternalError", message="Internal error occurred")


def conflict() -> Refusal:
    """409: the object has been modified."""
    return Refusal(code=409, reason="Conflict", message="the object has been modified")


def wrong_kind(kind: str, instead_of: str) -> Rewritten:
    """Objects of kind ``instead_of`` call themselves ``kind``."""
    old, new = f'"kind":"{instead_of}"'.encode(), f'"kind":"{kind}"'.encode()
    return Rewritten(lambda body: body.replace(old, new))


# -- rules -----------------------------------------------------------------------------------------------------------

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass
class Rule:
    """Which requests ``fault`` befalls.

    Attributes:
        verb: ``get`` (lists, too), ``watch``, ``create``, ``update``, ``patch`` or ``delete``; "" for each.
        path: a regular expression that is searched for in the path with its query.
        skip: so many matching requests pass first.
        times: so many are befallen, then the rule is spent; None for all.
    """

    fault: Fault
    _: KW_ONLY
    verb: str = ""
    path: str = ""
    skip: int = 0
    times: int | None = 1

    def takes(self, verb: str, path: str) -> bool:
        """Whether this request is befallen, and counts it."""
        if (self.verb and verb != self.verb) or not re.search(self.path, path) or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class FaultyTransport:
    """Passes requests to ``inner`` unless a rule takes them; of the rules that match, the first.

    Guarantees:
        Nothing fails without a rule. Rules may be added and removed at any time: ``rules`` is a plain list.

    Attributes:
        requests: (verb, path with query) of every request, in order.
    """

    def __init__(self, inner: Transport, *rules: Rule, clock: Clock | None = None) -> None:
        self.rules = list(rules)
        self.requests: list[tuple[str, str]] = []
        self._inner = inner
        self._clock = clock or SystemClock()
        self._answered: dict[str, bytes] = {}

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        """See `Transport.send`."""
        verb = verb_of(request)
        self.requests.append((verb, request.path))
        fault = next((rule.fault for rule in self.rules if rule.takes(verb, request.path)), None)
        plain = request.path.partition("?")[0]
        match fault:
            case Refusal():
                yield _Made(fault.code, fault.headers, fault.status)
                return
            case LostRequest():
                raise TransportError(f"{request.method} {plain}: lost on the way by a fault rule")
            case LostAnswer():
                async with self._inner.send(request) as response:
                    await response.read()
                raise TransportError(f"{request.method} {plain}: its answer was lost by a fault rule")
            case Stale() if verb == "get" and plain in self._answered:
                yield _Made(200, {"Content-Type": "application/json"}, self._answered[plain])
                return
            case Delayed(seconds):
                await self._clock.sleep(seconds)
        async with self._inner.send(request) as response:
            watch = verb == "watch"
            match fault:
                case InStream() | Truncated() | Rewritten() if response.status == 200:
                    yield _Changed(response, fault, by_line=watch)
                case None | Stale() | Delayed() | InStream() | Truncated() | Rewritten():
                    yield response if verb != "get" else _Noted(response, plain, self._answered)
                case _:
                    assert_never(fault)

    async def aclose(self) -> None:
        """Ends every connection of the inner transport."""
        await self._inner.aclose()


def verb_of(request: WireRequest) -> str:
    """As in `Rule.verb`."""
    if request.method != "GET":
        return _VERBS.get(request.method, request.method.lower())
    query = parse_qs(request.path.partition("?")[2])
    return "watch" if query.get("watch", [""])[0] in {"1", "true"} else "get"


# -- answers ---------------------------------------------------------------------------------------------------------


class _Made:
    """An answer that no server gave."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers: Mapping[str, str] = headers
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body


class _Noted:
    """The server's answer; its body is kept for `Stale`."""

    def __init__(self, inner: WireResponse, path: str, notes: dict[str, bytes]) -> None:
        self._inner = inner
        self._path = path
        self._notes = notes
        self.status = inner.status
        self.headers: Mapping[str, str] = inner.headers

    async def read(self) -> bytes:
        body = await self._inner.read()
        if self.status == 200:
            self._notes[self._path] = body
        return body

    def chunks(self) -> AsyncIterator[bytes]:
        return self._inner.chunks()


class _Changed:
    """The server's answer with a fault in its body."""

    def __init__(self, inner: WireResponse, fault: InStream | Truncated | Rewritten, *, by_line: bool) -> None:
        self._inner = inner
        self._fault = fault
        self._by_line = by_line
        self.status = inner.status
        self.headers: Mapping[str, str] = inner.headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        lines = self._lines()
        passed = 0
        while True:
            if isinstance(self._fault, InStream) and passed == self._fault.after_lines:
                yield _error_event(self._fault.error)
                return
            line = await anext(lines, None)
            if line is None:
                return
            match self._fault:
                case Rewritten(change):
                    yield change(line)
                case Truncated(after) if passed == after:
                    yield line[: len(line) // 2]
                    return
                case _:
                    yield line
            passed += 1

    async def _lines(self) -> AsyncIterator[bytes]:
        """Whole lines with their ends; the whole body where it is not read by line."""
        rest = b""
        async for chunk in self._inner.chunks():
            rest += chunk
            while self._by_line and b"\n" in rest:
                line, _, rest = rest.partition(b"\n")
                yield line + b"\n"
        if rest:
            yield rest


def _error_event(error: Refusal) -> bytes:
    return b'{"type":"ERROR","object":' + error.status + b"}\n"
