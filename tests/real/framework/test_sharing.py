"""Three processes share keys out; one is stopped for longer than its Lease, one is killed, one leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from controllerkit import Client, Key, kinds
from controllerkit.runtime import cancel_and_wait, wait_until
from tests.servers import Server
from tests.unit.controller.running import website

ROOT = Path(__file__).parents[3]
KEYS = {Key("default", f"w{number}") for number in range(12)}


@asynccontextmanager
async def replica(kubeconfig: Path, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("sharer.py")),
        str(kubeconfig),
        name,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Stamps:
    """Every stamp in the order of the server: who, and whether a pass began or ended with it."""

    def __init__(self) -> None:
        self.all: dict[Key, list[tuple[str, str]]] = defaultdict(list)

    async def note(self, client: Client) -> None:
        async with client.watch(kinds.CONFIG_MAP, "default") as stream:
            async for event in stream:
                if event.type == "MODIFIED":
                    data = event.object.get("data")
                    self.all[event.object.key].append((data["by"], data["part"]))

    def owners(self) -> set[str]:
        return {stamps[-1][0] for stamps in self.all.values()}

    def mixed(self) -> list[str]:
        """Passes of one replica within those of another, which may be broken off by the end of a process only."""
        found = []
        for key, stamps in self.all.items():
            for (earlier, part), (later, _) in pairwise(stamps):
                if earlier != later and part == "begin":
                    found.append(f"{key}: {later} within a pass of {earlier}")
        return found


@pytest.mark.timeout(120)
@pytest.mark.parity("1e/sharding")
async def test_a_replica_that_is_stopped_killed_or_leaves_is_followed_by_others_and_writes_no_more(
    server: Server, websites: Client, tmp_path: Path
) -> None:
    server.write_kubeconfig(tmp_path / "kubeconfig")
    stamps = Stamps()
    for key in KEYS:
        await websites.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": key.name}})
        await websites.create(website(key.name))
    noting = asyncio.create_task(stamps.note(websites))

    async def owned_by(*names: str) -> None:
        async def probe() -> bool:
            return set(stamps.all) == KEYS and stamps.owners() == set(names)

        await wait_until(probe, what=f"{names} have everything", timeout_s=30.0, interval_s=0.01)

    async with AsyncExitStack() as stack:
        first, second, third = [
            await stack.enter_async_context(replica(tmp_path / "kubeconfig", name)) for name in ("a", "b", "c")
        ]
        await owned_by("a", "b", "c")
        first.send_signal(signal.SIGSTOP)
        await owned_by("b", "c")
        seen = {key: len(each) for key, each in stamps.all.items()}
        first.send_signal(signal.SIGCONT)
        assert first.stdout is not None
        end = json.loads(await asyncio.wait_for(first.stdout.readline(), 30.0))
        assert end["ended"].startswith("LeadershipLost: place in the ring lost"), end
        assert await first.wait() == 1
        assert not any(by == "a" for key, each in stamps.all.items() for by, _ in each[seen[key] :])
        third.kill()
        await owned_by("b")
        broken_off = {each.rpartition(" ")[2] for each in stamps.mixed()}
        assert broken_off <= {"a", "c"}, "only a process that was stopped or killed leaves a pass unfinished"
        second.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(second.wait(), 20.0) == 0
    await cancel_and_wait(noting)
