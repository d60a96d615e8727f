"""A component of a development cluster as a child process that cannot outlive us.

Guarantees:
    The kernel kills the child when the thread that started it ends (PR_SET_PDEATHSIG), however that comes about;
    so start children from a thread that lives as long as they shall: the event loop's.
    Every error holds the end of the component's log, and the cure where one is known.
Raises:
    DevClusterError: the program could not be started, ended, or was not ready in time.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Final, Protocol

from controllerkit.errors import ControllerkitError, DevClusterError
from controllerkit.runtime import wait_until

__all__ = ["ChildProcess", "Surroundings", "process_stamp", "run_program", "tail_of"]

STOP_TIMEOUT_S: Final = 10.0
LOG_TAIL_LINES: Final = 15
POLL_S: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Surroundings(Protocol):
    """Where a child runs: what is done around the fork, and in the child before the program is loaded."""

    def forking(self) -> AbstractContextManager[None]:
        """Held by the parent while it forks."""

    def in_child(self) -> None:
        """Runs between fork and exec, so it may do nothing but system calls."""


class _SameAsOurs:
    def forking(self) -> AbstractContextManager[None]:
        return nullcontext()

    def in_child(self) -> None:
        return None


HERE: Final[Surroundings] = _SameAsOurs()


def _spawn(
    command: Sequence[str], inside: Surroundings, *, output: int, cwd: Path | None, env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    def in_child() -> None:
        inside.in_child()
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    with inside.forking():
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A Ctrl-C at the terminal is ours to handle; the components are stopped in order after it.
            start_new_session=True,
            preexec_fn=in_child,  # noqa: PLW1509 - a few system calls, no lock can be held
        )


def tail_of(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, "" where there is none."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def process_stamp(pid: int) -> str:
    """What tells this process from a later one of the same number: its start time; "" where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The program's name, in parentheses, may hold spaces; the start time is field 22 (proc(5)).
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]


class ChildProcess:
    """One component, its log and its end.

    Args:
        name: how errors call it.
        command: program and arguments; no shell.
        log: standard output and error are appended here.
        cure: what to try when it fails, for the error message.
        inside: namespaces to start it in; ours by default.
        env: the whole environment; ours by default.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        cure: str = "",
        inside: Surroundings = HERE,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self.log = log
        self._cure = cure
        self._inside = inside
        self._env = env
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id as this process sees it; 0 before the start and after the end."""
        return self._popen.pid if self._popen is not None and self.running else 0

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended. Takes the exit status, so no zombie stays."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Starts the program; returns when it is loaded, which says nothing about its being ready.

        Raises:
            DevClusterError: there is no such program, or the kernel refused a namespace.
        """
        if self.running:
            raise DevClusterError(f"{self.name} is running already; stop it before starting it again")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.log.open("ab") as log:
                self._popen = _spawn(
                    self.command, self._inside, output=log.fileno(), cwd=self.log.parent, env=self._env
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise DevClusterError(self._sentence(f"{self.name} cannot be started: {error}")) from error

    def check(self) -> None:
        """Raises DevClusterError where the component has ended."""
        if self._popen is not None and (status := self._popen.poll()) is not None:
            raise DevClusterError(self._sentence(f"{self.name} ended with status {status}"))

    async def wait_ready(self, probe: Callable[[], Awaitable[object]], *, what: str, timeout_s: float = 60.0) -> None:
        """Returns when ``probe`` returns something true; controllerkit's own errors in it count as "not yet".

        Raises:
            DevClusterError: the component ended, or ``timeout_s`` passed.
        """
        last: list[ControllerkitError] = []

        async def attempt() -> bool:
            self.check()
            try:
                return bool(await probe())
            except DevClusterError:
                raise
            except ControllerkitError as error:
                last[:] = [error]
                return False

        try:
            await wait_until(attempt, what=what, timeout_s=timeout_s)
        except DevClusterError:
            raise
        except ControllerkitError as error:
            reason = f" ({last[0]})" if last else ""
            raise DevClusterError(
                self._sentence(f"{self.name}: {what} did not happen in {timeout_s:g} s{reason}")
            ) from error

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, if it is still running."""
        if self._popen is not None and self._popen.poll() is None:
            with suppress(ProcessLookupError):
                self._popen.send_signal(number)

    async def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within ``timeout_s``."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while self.running:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """SIGTERM, and SIGKILL where that has not ended it in ``timeout_s``. Safe to call twice."""
        self.send(signal.SIGTERM)
        if not await self.wait(timeout_s):
            self.send(signal.SIGKILL)
            await self.wait(STOP_TIMEOUT_S)

    def _sentence(self, fact: str) -> str:
        cure = f"; {self._cure}" if self._cure else ""
        tail = tail_of(self.log)
        return f"{fact}{cure}" + (f"; the end of {self.log}:\n{tail}" if tail else f"; {self.log} is empty")


def run_program(
    command: Sequence[str], *, inside: Surroundings = HERE, stdin: str = "", timeout_s: float = 60.0, cure: str = ""
) -> str:
    """Runs a short command to its end and returns what it printed. Blocks: for programs that take milliseconds.

    Raises:
        DevClusterError: it could not be started, failed, or did not end in time.
    """
    shown = " ".join(command)
    ending = f"; {cure}" if cure else ""
    try:
        with inside.forking():
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                preexec_fn=inside.in_child if inside is not HERE else None,  # noqa: PLW1509 - system calls only
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise DevClusterError(f"{shown} cannot be run: {error}{ending}") from error
    with child:
        try:
            printed, _ = child.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            child.kill()
            raise DevClusterError(f"{shown} did not end in {timeout_s:g} s{ending}") from error
    if child.returncode != 0:
        raise DevClusterError(f"{shown} failed with status {child.returncode}{ending}: {printed.strip()[-800:]}")
    return printed
