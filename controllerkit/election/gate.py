"""The write gate: no write leaves a process that can no longer be sure to lead."""

from __future__ import annotations

from collections.abc import Callable

from controllerkit.client import Write
from controllerkit.errors import NotLeading
from controllerkit.objects import Key, Object, kinds

__all__ = ["WriteGate"]


class WriteGate:
    """A `WriteHook` for the client of a leader.

    client-go's election documents that it does no fencing: a leader that was stopped for a while goes on writing
    until it notices. Here every write asks first. The lease counts from the moment *before* the last renewal was
    sent, so it ends here before it can end for anybody else. What is under way when it ends is not recalled.

    Args:
        valid_until: the monotonic time at which the lease ends; None while it is not held.
    """

    def __init__(
        self,
        lease: Key,
        *,
        now: Callable[[], float],
        valid_until: Callable[[], float | None],
        leader: Callable[[], str],
    ) -> None:
        self._lease = lease
        self._now = now
        self._valid_until = valid_until
        self._leader = leader

    def before(self, write: Write) -> None:
        """Raises NotLeading unless the lease is held; the Lease itself may always be written."""
        if write.kind == kinds.LEASE and write.key == self._lease:
            return
        until, now = self._valid_until(), self._now()
        if until is not None and now < until:
            return
        since = "this process does not hold it" if until is None else f"it ended {now - until:.1f} s ago"
        leader = self._leader()
        raise NotLeading(
            f"{write.verb} of {write.kind.kind} {write.key} was not sent: writes need the lease {self._lease}, and "
            f"{since}" + (f"; {leader} leads" if leader else "") + ". Whoever holds it does what is left to do"
        )

    def after(self, write: Write, answer: Object | None, error: BaseException | None) -> None:
        """Nothing."""
