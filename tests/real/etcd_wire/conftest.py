"""Real etcd members on loopback, each on an address of its own."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from controllerkit.devcluster.binaries import ETCD_VERSIONS, BinaryCache
from controllerkit.devcluster.process import ChildProcess
from controllerkit.runtime import wait_until
from operators.etcd.versions import Version, capabilities
from operators.etcd.wire import EtcdClient, EtcdError

_addresses: Iterator[int] = itertools.count(1)


class Members:
    """Starts members by name; a name keeps its address and its data."""

    def __init__(self, minor: str, folder: Path) -> None:
        self.version = Version.parse(ETCD_VERSIONS[minor])
        self._binary = BinaryCache().ensure(f"etcd-{minor}", "etcd")
        self._folder = folder
        self._addresses: dict[str, str] = {}
        self._running: dict[str, ChildProcess] = {}

    def address(self, name: str) -> str:
        if name not in self._addresses:
            number = next(_addresses)
            self._addresses[name] = f"127.91.{(os.getpid() + number // 250) % 250}.{1 + number % 250}"
        return self._addresses[name]

    def peer_url(self, name: str) -> str:
        return f"http://{self.address(name)}:2380"

    def client_url(self, name: str) -> str:
        return f"http://{self.address(name)}:2379"

    def start(self, name: str, *others: str, founds: bool = False) -> None:
        listed = ",".join(f"{member}={self.peer_url(member)}" for member in (name, *others))
        command = [
            str(self._binary),
            f"--name={name}",
            f"--data-dir={self._folder / name}",
            f"--listen-client-urls={self.client_url(name)}",
            f"--advertise-client-urls={self.client_url(name)}",
            f"--listen-peer-urls={self.peer_url(name)}",
            f"--initial-advertise-peer-urls={self.peer_url(name)}",
            f"--initial-cluster={listed}",
            f"--initial-cluster-state={'new' if founds else 'existing'}",
            "--unsafe-no-fsync",
            *capabilities(self.version).guard_flags,
        ]
        child = ChildProcess(f"etcd {name}", command, log=self._folder / f"{name}.log")
        child.start()
        self._running[name] = child

    async def kill(self, name: str) -> None:
        child = self._running.pop(name)
        with suppress(ProcessLookupError, subprocess.SubprocessError):
            child.send(signal.SIGKILL)
        await child.wait(10.0)

    async def stop(self) -> None:
        for name in list(self._running):
            await self.kill(name)

    def client(self, *names: str, version: bool = True) -> EtcdClient:
        return EtcdClient([self.client_url(name) for name in names], version=self.version if version else None)

    async def answering(self, name: str) -> None:
        async def answers() -> bool:
            with suppress(EtcdError):
                async with self.client(name) as one:
                    return (await one.status()).leader != 0
            return False

        await wait_until(answers, what=f"etcd {name} has a leader", timeout_s=20.0)

    async def three(self) -> tuple[str, str, str]:
        """A cluster of three, as the operator makes it: one, then learners."""
        self.start("a", founds=True)
        await self.answering("a")
        for name, others in (("b", ("a",)), ("c", ("a", "b"))):
            await self.join(name, *others)
        return "a", "b", "c"

    async def join(self, name: str, *others: str) -> int:
        async with self.client(*others) as client:
            added: list[int] = []

            async def add() -> bool:
                with suppress(EtcdError):
                    added.append((await client.member_add(self.peer_url(name), learner=True)).id)
                return bool(added)

            # etcd wants its voters connected for five seconds before another may come.
            await wait_until(add, what=f"{name} is added", timeout_s=20.0)
            self.start(name, *others)

            async def promote() -> bool:
                with suppress(EtcdError):
                    await client.member_promote(added[0])
                    return True
                return False

            await wait_until(promote, what=f"{name} is promoted", timeout_s=20.0)
        await self.answering(name)
        return added[0]


@pytest.fixture(params=["3.6", "3.7"])
async def members(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Members]:
    running = Members(request.param, tmp_path)
    yield running
    await running.stop()
