"""Who looks at every write: a gate may refuse it before it leaves, an observer learns what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from controllerkit.objects import Key, Kind, Object

__all__ = ["Verb", "Write", "WriteHook"]

Verb = Literal["create", "update", "patch", "apply", "delete"]


@dataclass(frozen=True, slots=True)
class Write:
    """One mutating call. The name in ``key`` is "" for a create that leaves it to the server (``generateName``)."""

    verb: Verb
    kind: Kind
    key: Key
    subresource: str = ""
    dry_run: bool = False


class WriteHook(Protocol):
    """Called around every write of a `Client` that has it in ``hooks``; synchronous, quick, and without I/O."""

    def before(self, write: Write) -> None:
        """May raise: then nothing is sent, and ``after`` is called only on the hooks that were asked before."""

    def after(self, write: Write, answer: Object | None, error: BaseException | None) -> None:
        """``answer`` is what the server stored; None for a delete that is complete and for every error.

        ``error`` is a TransportError or CancelledError where the outcome is unknown: the write may have been
        done. Must not raise.
        """
