"""A sandboxed process: started, watched, signalled, entered."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controllerkit.devcluster.node.sandbox import enter_line
from controllerkit.errors import DevClusterError

__all__ = ["Exit", "SandboxProcess"]

LINE_BYTES_MAX: Final = 16 * 2**10
"""Longer lines are logged in parts, as container runtimes do."""

DRAIN_S: Final = 1.0
BEGIN_POLL_S: Final = 0.002
BEGIN_TIMEOUT_S: Final = 2.0
OUTPUT_BYTES_MAX: Final = 10 * 2**10
_SIGNALLED: Final = 128

OnLine = Callable[[str, bytes, bool], None]


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. ``began`` is False where the sandbox could not be made or the program not be run."""

    code: int
    signal: int
    began: bool
    message: str = ""


class _Pipe(asyncio.Protocol):
    """Splits what arrives into lines."""

    def __init__(self, on_line: Callable[[bytes, bool], None]) -> None:
        self._on_line = on_line
        self._rest = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line, True)
        while len(self._rest) >= LINE_BYTES_MAX:
            self._on_line(self._rest[:LINE_BYTES_MAX], False)
            self._rest = self._rest[LINE_BYTES_MAX:]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rest:
            self._on_line(self._rest, True)
        if not self.done.done():
            self.done.set_result(None)


class SandboxProcess:
    """One run of a container.

    Guarantees:
        No process of the sandbox outlives ``wait``, nor the process that started it: the sandbox's init is killed
        by the kernel with its parent, and takes its whole process namespace along.
    """

    def __init__(self, popen: subprocess.Popen[bytes], env: Mapping[str, str]) -> None:
        self._popen = popen
        self._env = dict(env)
        self._init_pid = 0
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._reports: list[dict[str, Any]] = []
        self._reported = asyncio.Event()
        self._complaint = ""
        self._pipes: list[_Pipe] = []

    @classmethod
    async def start(
        cls, make_line: Callable[[int], Sequence[str]], *, env: Mapping[str, str], on_line: OnLine
    ) -> SandboxProcess:
        """Starts the line that ``make_line`` gives for a status descriptor; ``on_line(stream, text, whole)``.

        Returns once the program is about to be loaded, everything it will see being in place; or once the sandbox
        has ended without getting so far (``wait`` then says so).

        Raises:
            DevClusterError: the program that makes sandboxes could not be run.
        """
        read_fd, write_fd = os.pipe()
        try:
            # Blocks until the program is loaded, some milliseconds; asyncio would add a thread for each.
            popen = subprocess.Popen(  # noqa: ASYNC220
                list(make_line(write_fd)),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(write_fd,),
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            os.close(read_fd)
            raise DevClusterError(f"the sandbox could not be started: {error}") from error
        finally:
            os.close(write_fd)
        process = cls(popen, env)
        try:
            await process._attach(read_fd, on_line)
        except BaseException:
            process.kill()
            raise
        return process

    async def _attach(self, status_fd: int, on_line: OnLine) -> None:
        loop = asyncio.get_running_loop()
        pidfd = os.pidfd_open(self._popen.pid)
        loop.add_reader(pidfd, self._on_exit, pidfd)
        popen = self._popen

        def on_stderr(text: bytes, whole: bool) -> None:
            if text.startswith(b"bwrap: "):
                self._complaint = text.removeprefix(b"bwrap: ").decode(errors="replace")
            on_line("stderr", text, whole)

        assert popen.stdout is not None and popen.stderr is not None  # noqa: S101, PT018 - asked for above
        for pipe, handler in (
            (popen.stdout, lambda text, whole: on_line("stdout", text, whole)),
            (popen.stderr, on_stderr),
            (os.fdopen(status_fd, "rb", 0), self._on_report),
        ):
            _, protocol = await loop.connect_read_pipe(lambda handler=handler: _Pipe(handler), pipe)  # type: ignore[misc]
            self._pipes.append(protocol)
        await self._reported.wait()
        # The namespaces exist before they are furnished; the program's process is what comes last.
        give_up_at = loop.time() + BEGIN_TIMEOUT_S
        while not self._exit.done() and len(self.pids()) < 2 and loop.time() < give_up_at:  # noqa: ASYNC110
            await asyncio.sleep(BEGIN_POLL_S)

    def _on_report(self, text: bytes, _: bool) -> None:
        with suppress(ValueError):
            report = json.loads(text)
            self._reports.append(report)
            self._init_pid = report.get("child-pid", self._init_pid)
        self._reported.set()

    def _on_exit(self, pidfd: int) -> None:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        self._popen.wait()
        self._collect = asyncio.ensure_future(self._conclude())

    async def _conclude(self) -> None:
        """The last lines are still in the pipes when the process ends."""
        if pending := [pipe.done for pipe in self._pipes if not pipe.done.done()]:
            await asyncio.wait(pending, timeout=DRAIN_S)
        status = self._popen.returncode
        code = _SIGNALLED - status if status < 0 else status
        number = code - _SIGNALLED if code > _SIGNALLED and code - _SIGNALLED < signal.NSIG else 0
        set_up = any("exit-code" in report for report in self._reports)
        failed = code == 1 and bool(self._complaint) and (not set_up or self._complaint.startswith("execvp "))
        self._reported.set()
        if not self._exit.done():
            self._exit.set_result(Exit(code, number, not failed, self._complaint if failed else ""))

    @property
    def has_ended(self) -> bool:
        """Whether ``wait`` returns at once."""
        return self._exit.done()

    async def wait(self) -> Exit:
        """Returns when the process has ended and its output is read. Cancelling it ends only the wait."""
        return await asyncio.shield(self._exit)

    # -- signals -------------------------------------------------------------------------------------------------

    def pids(self) -> list[int]:
        """The processes of the sandbox that were there a moment ago; its init first."""
        found = [self._init_pid] if self._init_pid and not self._exit.done() else []
        for pid in found:
            found += _children(pid)
        return found

    def terminate(self) -> bool:
        """SIGTERM to the program; False if it has ended."""
        return self._signal_program(signal.SIGTERM)

    def kill_program(self) -> bool:
        """SIGKILL to the program alone, as the kernel would for want of memory; False as ``terminate``."""
        return self._signal_program(signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL to everything in the sandbox."""
        if not self._exit.done():
            _signal(self._init_pid or self._popen.pid, signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP to everything in the sandbox: connections stay open, nothing answers."""
        for pid in self.pids():
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT to everything in the sandbox."""
        for pid in self.pids():
            _signal(pid, signal.SIGCONT)

    def _signal_program(self, number: signal.Signals) -> bool:
        program = self.pids()[1:2]
        for pid in program:
            _signal(pid, number)
        return bool(program)

    async def run_inside(self, command: Sequence[str], *, timeout_s: float) -> tuple[int, str]:
        """Runs ``command`` in the namespaces and the environment of the container: exit code and output.

        On timeout the command is killed and the code is -1.
        """
        if self._exit.done() or not self._init_pid:
            return -1, "the container is not running"
        popen = await asyncio.create_subprocess_exec(
            *enter_line(self._init_pid, command),
            env=self._env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                output, _ = await popen.communicate()
        except TimeoutError:
            return -1, f"command {' '.join(command)!r} timed out after {timeout_s:g}s"
        finally:
            if popen.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(popen.pid, signal.SIGKILL)
                await popen.wait()
        return popen.returncode or 0, output[:OUTPUT_BYTES_MAX].decode(errors="replace").strip()


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
