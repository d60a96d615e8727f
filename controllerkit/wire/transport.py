"""The seam between what is asked and how it travels: one method, streaming both ways."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Transport", "WireRequest", "WireResponse"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WireRequest:
    """One HTTP request.

    ``path`` starts with "/" and holds the query. ``timeout_s`` bounds each wait for the server, for the head of the
    answer as for a further part of its body; for the body ``idle_timeout_s``, where it is given, takes its place.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_s: float = 30.0
    idle_timeout_s: float | None = None


class WireResponse(Protocol):
    """The head of an answer, and its body on demand."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Case-insensitive."""
        ...

    async def read(self) -> bytes:
        """The whole body."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body in the pieces it arrives in."""
        ...


class Transport(Protocol):
    """Sends requests to one API server."""

    def send(self, request: WireRequest) -> AbstractAsyncContextManager[WireResponse]:
        """Opens the exchange; leaving the context closes it, which the server notices.

        Raises:
            TransportError: one of its kinds; never an error of the HTTP library.
        """
        ...

    async def aclose(self) -> None:
        """Ends every connection."""
        ...
