"""What a person sees: a moving picture at a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

__all__ = ["LineScreen", "LiveScreen", "Picture", "Screen", "make_screen"]

LINES_KEPT: Final = 12


@dataclass(slots=True)
class Picture:
    """Everything that is shown, as of one moment."""

    act: str = ""
    elapsed_s: float = 0.0
    members: Sequence[Mapping[str, Any]] = ()
    phase: str = ""
    plan: Sequence[str] = ()
    acknowledged: int = 0
    failed: int = 0
    revision: int = 0
    gap_s: float = 0.0
    longest_gap_s: float = 0.0
    events: deque[str] = field(default_factory=lambda: deque(maxlen=LINES_KEPT))


class Screen(Protocol):
    """Where the demonstration shows itself."""

    def say(self, line: str) -> None:
        """Something happened."""
        ...

    def show(self, picture: Picture) -> None:
        """How things stand."""
        ...

    def close(self) -> None:
        """The end."""
        ...


class LineScreen:
    """One line for each thing that happens, and one whenever the members change."""

    def __init__(self) -> None:
        self._members = ""

    def say(self, line: str) -> None:
        """Prints it."""
        print(line, flush=True)  # noqa: T201

    def show(self, picture: Picture) -> None:
        """Prints the members where they differ from the last time."""
        members = " ".join(describe_member(member) for member in picture.members)
        if members != self._members:
            self._members = members
            self.say(f"{picture.elapsed_s:6.1f} s  {members or 'no members'}  ({picture.acknowledged} writes)")

    def close(self) -> None:
        """Nothing to undo."""


class LiveScreen:
    """A picture that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._picture = Picture()
        self._live = Live(console=console, refresh_per_second=8, transient=False)
        self._live.start()

    def say(self, line: str) -> None:
        """Adds it to the events shown."""
        self._picture.events.append(line)
        self._live.update(draw(self._picture))

    def show(self, picture: Picture) -> None:
        """Redraws."""
        picture.events = self._picture.events
        self._picture = picture
        self._live.update(draw(picture))

    def close(self) -> None:
        """Leaves the last picture standing."""
        self._live.stop()


def describe_member(member: Mapping[str, Any]) -> str:
    """A member in one word.

    >>> describe_member({"name": "a-0", "role": "leader", "healthy": True})
    'a-0=leader'
    >>> describe_member({"name": "a-1", "role": "follower", "healthy": False})
    'a-1=follower(unhealthy)'
    """
    word = str(member.get("role") or "unknown")
    return f"{member.get('name')}={word}" + ("" if member.get("healthy") else "(unhealthy)")


def draw(picture: Picture) -> Group:
    """The whole picture."""
    table = Table(expand=True, box=None)
    for column in ("member", "role", "health", "version", "raft index", "database"):
        table.add_column(column)
    for member in picture.members:
        healthy = bool(member.get("healthy"))
        role = str(member.get("role") or "unknown")
        table.add_row(
            str(member.get("name")),
            Text(role, style={"leader": "bold yellow", "learner": "cyan"}.get(role, "")),
            Text("healthy" if healthy else "unhealthy", style="green" if healthy else "bold red"),
            str(member.get("version") or "-"),
            str(member.get("raftIndex") or "-"),
            f"{int(member.get('dbSize') or 0) / 1024:.0f} KiB",
        )
    writes = Text.assemble(
        (f"{picture.acknowledged}", "bold green"),
        " writes acknowledged, ",
        (f"{picture.failed}", "red" if picture.failed else ""),
        f" tries failed, revision {picture.revision}, now {picture.gap_s:.2f} s since the last, "
        f"longest gap {picture.longest_gap_s:.2f} s",
    )
    plan = Text("next: " + ("; ".join(picture.plan) or "nothing to do"), style="magenta")
    title = f"{picture.elapsed_s:.0f} s · {picture.act} · {picture.phase or 'no status yet'}"
    return Group(Panel(Group(table, writes, plan), title=title), Text("\n".join(picture.events), style="dim"))


def make_screen() -> Screen:
    """A picture at a terminal, lines in a pipe."""
    return LiveScreen(Console()) if sys.stdout.isatty() else LineScreen()
