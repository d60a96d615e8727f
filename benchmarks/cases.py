"""The benchmarks: what is run on either side, and what must be reached."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.harness import OURS, Figure, Figures, Row, Target, compare, go_on, line_of, peer_binary, process
from benchmarks.static import static_server
from benchmarks.widgets import FIELDS, FIELDS_3_KB, WIDGET_CRD, WIDGETS, widget
from controllerkit.client import Client
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.control_plane import ControlPlane
from controllerkit.errors import ApiError
from controllerkit.objects import kinds
from controllerkit.runtime import wait_until
from controllerkit.wire import load_credentials

OBJECTS: Final = 20_000
RECONCILED: Final = 1_000
Say = Callable[[str], None]

LEAN: Final = (
    Figure("sync_cpu_s", "s", Target(1 / 8)),
    Figure("updates_cpu_s", "s", Target(1 / 8)),
    Figure("steady_mb", "MB", Target(1 / 3)),
    Figure("peak_mb", "MB"),
)
WITH_BODIES: Final = (
    Figure("sync_cpu_s", "s", Target(1 / 3)),
    Figure("updates_cpu_s", "s", Target(1 / 3)),
    Figure("steady_mb", "MB", Target(1.0)),
    Figure("peak_mb", "MB"),
)


def _last_line(command: Sequence[str]) -> Figures:
    with process(command) as child:
        figures: Figures = json.loads(line_of(child))
    return figures


# -- informers -----------------------------------------------------------------------------------------------------


def _informer_static(program: Sequence[str], objects: int, *, bodies: bool, fields: int = FIELDS) -> Figures:
    command = [*program, "informer", "--objects", str(objects), *(["--bodies"] if bodies else [])]
    with static_server(objects, fields=fields) as (url, pipe), process([*command, "--server", url]) as child:
        if line_of(child) != "synced":
            raise SystemExit(f"{program}: it did not sync")
        pipe.send("update")
        go_on(child)
        figures: Figures = json.loads(line_of(child))
    return figures


def cold_sync(rounds: int, say: Say) -> list[Row]:
    """CPU and memory of one informer on a static server."""
    peer = (str(peer_binary(say)),)
    rows = []
    for case, bodies, figures in (("bodies kept as bytes", False, LEAN), ("every body read", True, WITH_BODIES)):
        ours = partial(_informer_static, OURS, OBJECTS, bodies=bodies)
        theirs = partial(_informer_static, peer, OBJECTS, bodies=bodies)
        rows += compare("cold_sync", case, figures, ours, theirs, rounds=rounds, say=say)
    return rows


class RealServer:
    """The real kube-apiserver with the CRD of widgets, for the length of a benchmark."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig = kubeconfig
        self._folder = folder
        self._url = ""

    def arguments(self, program: Sequence[str]) -> list[str]:
        """How a process finds it: the peer by the kubeconfig, ours as in a Pod, which needs less memory for it."""
        if program != OURS:
            return ["--kubeconfig", str(self.kubeconfig)]
        if not self._url:
            credentials = asyncio.run(load_credentials(kubeconfig=self.kubeconfig))
            (self._folder / "ca.crt").write_bytes(Path(str(credentials.ca_file)).read_bytes())
            token = asyncio.run(credentials.headers())["Authorization"].removeprefix("Bearer ")
            (self._folder / "token").write_text(token)
            self._url = credentials.server
        return ["--server", self._url, "--service-account", str(self._folder)]

    def do(self, work: Callable[[Client], object]) -> None:
        """Runs ``work`` with a client of its own."""

        async def doing() -> None:
            async with await Client.connect(kubeconfig=self.kubeconfig) as client:
                await work(client)  # type: ignore[misc]

        asyncio.run(doing())


@contextmanager
def _real_server(say: Say) -> Iterator[RealServer]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        plane = ControlPlane(cache=BinaryCache(progress=say), data_dir=Path(folder), with_controllers=False)
        runner.run(plane.__aenter__())
        try:
            server = RealServer(plane.kubeconfig, Path(folder))
            server.do(_install)
            yield server
        finally:
            runner.run(plane.__aexit__(None, None, None))


async def _install(client: Client) -> None:
    await client.create(WIDGET_CRD)

    async def served() -> bool:
        try:
            await client.list(WIDGETS, limit=1)
        except ApiError:
            return False
        return True

    await wait_until(served, what="widgets are served", timeout_s=30.0, interval_s=0.1)
    for number in range(20):
        await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{number}"}})


async def _for_each(client: Client, count: int, work: Callable[[int], object], *, at_once: int = 32) -> None:
    numbers = iter(range(count))

    async def some() -> None:
        for number in numbers:
            await work(number)  # type: ignore[misc]

    await asyncio.gather(*(some() for _ in range(at_once)))


async def _create(count: int, client: Client) -> None:
    await _for_each(client, count, lambda number: client.create(widget(number)))


async def _touch(count: int, client: Client) -> None:
    async def touch(number: int) -> None:
        value = widget(number)["metadata"]
        patch = {"spec": {"field0": {"values": [number, 0, touched]}}}
        await client.patch(WIDGETS, value["name"], patch, value["namespace"])

    global _touches  # noqa: PLW0603 - a patch that changes nothing makes no event
    _touches += 1
    touched = _touches
    await _for_each(client, count, touch)


_touches = 0


async def _clear(client: Client) -> None:
    for number in range(20):
        for kind in (WIDGETS, kinds.CONFIG_MAP):
            await client.request_json("DELETE", kind.path(f"team-{number}"))


def _informer_real(program: Sequence[str], server: RealServer) -> Figures:
    command = [*program, "informer", "--objects", str(OBJECTS), *server.arguments(program)]
    with process(command) as child:
        if line_of(child) != "synced":
            raise SystemExit(f"{program}: it did not sync")
        go_on(child)
        server.do(partial(_touch, OBJECTS))
        figures: Figures = json.loads(line_of(child))
    return figures


def real_sync(rounds: int, say: Say) -> list[Row]:
    """The same on the real kube-apiserver; the updates are made by patches, as fast as it takes them."""
    peer = (str(peer_binary(say)),)
    with _real_server(say) as server:
        say(f"creating {OBJECTS} objects")
        server.do(partial(_create, OBJECTS))
        ours, theirs = partial(_informer_real, OURS, server), partial(_informer_real, peer, server)
        return compare("real_sync", "bodies kept as bytes", LEAN, ours, theirs, rounds=rounds, say=say)


# -- queue ---------------------------------------------------------------------------------------------------------


def queue(rounds: int, say: Say) -> list[Row]:
    """Keys per second."""
    figures = (
        Figure("fill_drain_per_s", "/s", Target(1.0, at_least=True)),
        Figure("one_by_one_per_s", "/s", Target(1.0, at_least=True)),
        Figure("priority_fill_drain_per_s", "/s", Target(0.5, at_least=True)),
    )
    ours, peer = partial(_last_line, [*OURS, "queue"]), partial(_last_line, [str(peer_binary(say)), "queue"])
    return compare("queue", "100,000 keys", figures, ours, peer, rounds=rounds, say=say)


# -- reconciling ---------------------------------------------------------------------------------------------------


def _reconcile(program: Sequence[str], workers: int, server: RealServer) -> Figures:
    server.do(_clear)
    server.do(partial(_create, RECONCILED))
    options = ["--objects", str(RECONCILED), "--workers", str(workers), *server.arguments(program)]
    return _last_line([*program, "reconcile", *options])


def reconcile_throughput(rounds: int, say: Say) -> list[Row]:
    """A whole operator until everything is as wanted, and then while nothing changes."""
    figures = (
        Figure("wall_s", "s", Target(1.0)),
        Figure("cpu_s", "s", Target(1.0)),
        Figure("writes", "", Target(1.0)),
        Figure("passes", ""),
        Figure("quiet_cpu_s", "s"),
        Figure("resident_mb", "MB"),
    )
    peer = (str(peer_binary(say)),)
    rows = []
    with _real_server(say) as server:
        for workers in (1, 4):
            ours, theirs = partial(_reconcile, OURS, workers, server), partial(_reconcile, peer, workers, server)
            case = f"{workers} worker{'s' if workers > 1 else ''}"
            rows += compare("reconcile_throughput", case, figures, ours, theirs, rounds=rounds, say=say)
    return rows


# -- ours alone ----------------------------------------------------------------------------------------------------


def _latency() -> Figures:
    count = 10_000
    with (
        static_server(count, pace=1_000.0) as (url, pipe),
        process([*OURS, "latency", "--objects", str(count), "--server", url]) as child,
    ):
        if line_of(child) != "synced":
            raise SystemExit("it did not sync")
        pipe.send("update")
        go_on(child)
        figures: Figures = json.loads(line_of(child))
    return figures


def latency(rounds: int, say: Say) -> list[Row]:
    """How soon a reconciler knows."""
    figures = (
        Figure("median_ms", "ms", Target(1.0, "ours")),
        Figure("p99_ms", "ms", Target(10.0, "ours")),
    )
    return compare("latency", "10,000 objects", figures, _latency, None, rounds=rounds, say=say)


def _idle(server: RealServer) -> Figures:
    return _last_line([*OURS, "idle", *server.arguments(OURS)])


def memory(rounds: int, say: Say) -> list[Row]:
    """100,000 objects; and a process that has nothing to do."""
    many = partial(_informer_static, OURS, 100_000, bodies=False, fields=FIELDS_3_KB)
    figure = Figure("steady_mb", "MB", Target(500.0, "ours"))
    rows = compare("memory", "100,000 objects of 3 kB", [figure], many, None, rounds=rounds, say=say)
    with _real_server(say) as server:
        figure = Figure("resident_mb", "MB", Target(60.0, "ours"))
        rows += compare("memory", "an idle manager", [figure], partial(_idle, server), None, rounds=rounds, say=say)
    return rows


BENCHMARKS: Final[dict[str, Callable[[int, Say], list[Row]]]] = {
    "cold_sync": cold_sync,
    "queue": queue,
    "latency": latency,
    "memory": memory,
    "reconcile_throughput": reconcile_throughput,
    "real_sync": real_sync,
}
