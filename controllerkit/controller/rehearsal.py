"""What stands in for the world during a dry run: it takes writes, Events and actions, and keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from controllerkit.client import Client, Write
from controllerkit.controller.plan import Action, EventNote
from controllerkit.errors import ConfigError
from controllerkit.events import EventRecorder
from controllerkit.objects import Object
from controllerkit.runtime import Clock

__all__ = ["Rehearsal", "RehearsedWrite"]


@dataclass(frozen=True, slots=True)
class RehearsedWrite:
    """A write that the server was asked to judge and not to store; ``answer`` is what it would have stored."""

    write: Write
    answer: Object | None
    error: BaseException | None


class Rehearsal:
    """Collects what reconcilers do. A `WriteHook`.

    Guarantees:
        A write that is no dry run is refused before it leaves.
    """

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.writes: list[RehearsedWrite] = []
        self.notes: list[EventNote] = []

    def client(self, client: Client) -> Client:
        """A client over the same connections that stores nothing, and whose writes are kept here."""
        twin = client.without()
        twin.dry_run = True
        twin.hooks.append(self)
        return twin

    def recorder(self, client: Client, *, controller: str, clock: Clock) -> EventRecorder:
        """A recorder whose Events are kept here."""
        return _Recorder(self, client, controller=controller, clock=clock)

    def clear(self) -> None:
        """Forgets everything."""
        self.actions.clear()
        self.writes.clear()
        self.notes.clear()

    def before(self, write: Write) -> None:
        """See `WriteHook.before`."""
        if not write.dry_run:
            raise ConfigError(f"{write.verb} of {write.kind.kind} {write.key} in a dry run: it was not sent")

    def after(self, write: Write, answer: Object | None, error: BaseException | None) -> None:
        """See `WriteHook.after`."""
        self.writes.append(RehearsedWrite(write, answer, error))


class _Recorder(EventRecorder):
    def __init__(self, rehearsal: Rehearsal, client: Client, *, controller: str, clock: Clock) -> None:
        super().__init__(client, controller=controller, clock=clock)
        self._rehearsal = rehearsal

    def record(self, regarding: Object, kind: str, reason: str, note: str, *, action: str = "", **_: object) -> None:
        """Keeps it."""
        self._rehearsal.notes.append(EventNote("Warning" if kind == "Warning" else "Normal", reason, note, action))
