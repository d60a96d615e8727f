"""The soak: everything is started, everything is broken by schedule, and in the end every cache must be right."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

from controllerkit import Manager, kinds
from controllerkit.cache import Informer
from controllerkit.cache.machine import Watching
from controllerkit.client import Client
from controllerkit.devcluster.control_plane import ControlPlane
from controllerkit.runtime import SystemClock, cancel_and_wait
from controllerkit.testing import (
    Connection,
    Direction,
    FaultProxy,
    FaultyTransport,
    InStream,
    LostAnswer,
    LostRequest,
    Rule,
    Truncated,
    expired,
    internal_error,
    served,
    too_many_requests,
)
from controllerkit.wire import HttpTransport, load_credentials
from tests.soak.load import NAMESPACES, Mirror, Writer, children_problems
from tests.soak.schedule import IDLE_S, Step, schedule
from tests.soak.view import CountingLog, View
from tests.unit.conftest import WEBSITE_CRD, Website

__all__ = ["Report", "soak"]

WRITERS: Final = 3
WRITES_HZ: Final = 10.0
"""Of each writer."""

BACKOFF_MAX_S: Final = 2.0
RECONNECTED_S: Final = 15.0
"""A connection whose handshake hangs is given up after ten."""

CONVERGE_S: Final = 90.0
"""A key may have failed all through an outage, and then waits as long again."""

GROWTH_BYTES_MAX: Final = 40 * 2**20
"""From a third of the time on; before that caches, pools and the interpreter's own arenas fill up."""

GROWTH_JUDGED_S: Final = 300.0
"""A shorter soak is over before they have."""

QUIET: Final = "metadata.namespace!=kube-system"
"""Where the API server writes Leases and ConfigMaps of its own."""

Say = Callable[[str], None]


class HastyClock(SystemClock):
    """Back-offs end early: with a fault every few seconds everything would do little but wait."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, BACKOFF_MAX_S))


class ImpatientClient(Client):
    """Takes a watch for dead after ``IDLE_S`` of silence, so that it happens often enough to be looked at."""

    def watch(self, *arguments: Any, **options: Any) -> Any:
        return super().watch(*arguments, **{**options, "idle_timeout_s": IDLE_S})


@dataclass
class Report:
    """What happened, and what is wrong in the end; ``problems`` empty is success."""

    seconds: float
    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    half_open_noticed_s: list[float] = field(default_factory=list)
    half_open_unnoticed: int = 0
    converged_s: float = 0.0
    rss_bytes: list[int] = field(default_factory=list)
    tasks_max: int = 0
    unready_samples: int = 0
    samples: int = 0
    counts: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        noticed = sorted(self.half_open_noticed_s)
        return {
            "ok": not self.problems,
            "problems": self.problems[:50],
            "seconds": self.seconds,
            "seed": self.seed,
            "faults": dict(self.faults),
            "requests": dict(self.requests),
            "half_opens": {
                "noticed": len(noticed),
                "not_noticed_before_healed": self.half_open_unnoticed,
                "seconds_median": round(noticed[len(noticed) // 2], 2) if noticed else None,
                "seconds_max": round(noticed[-1], 2) if noticed else None,
            },
            "converged_s": round(self.converged_s, 2),
            "rss_mib": {
                "at_a_third": round(self.rss_bytes[len(self.rss_bytes) // 3] / 2**20, 1) if self.rss_bytes else None,
                "max": round(max(self.rss_bytes, default=0) / 2**20, 1),
                "end": round(self.rss_bytes[-1] / 2**20, 1) if self.rss_bytes else None,
            },
            "tasks_max": self.tasks_max,
            "unready_share": round(self.unready_samples / max(self.samples, 1), 3),
            **self.counts,
        }


async def soak(plane: ControlPlane, *, seconds: float, seed: int, say: Say = lambda _: None) -> Report:
    """Runs for about ``seconds``, and until all is calm again; ``plane`` is the real server, with nothing on it."""
    before = asyncio.all_tasks()
    report = Report(seconds, seed)
    async with await Client.connect(kubeconfig=plane.kubeconfig) as direct:
        await _prepare(direct)
        async with FaultProxy("127.0.0.1", urlsplit(plane.url).port or 0) as proxy:
            transport = await _through(proxy, plane.kubeconfig)
            async with ImpatientClient(transport, timeout_s=IDLE_S) as client:
                run = _Run(plane, direct, proxy, transport, client, report, say)
                await run.run()
    await asyncio.sleep(0)
    left = [task.get_name() for task in asyncio.all_tasks() - before]
    report.problems += [f"a task is left: {name}" for name in left]
    return report


async def _prepare(direct: Client) -> None:
    await direct.create(WEBSITE_CRD)
    await served(direct, Website, timeout_s=15.0)
    for name in NAMESPACES:
        await direct.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


async def _through(proxy: FaultProxy, kubeconfig: Path) -> FaultyTransport:
    credentials = await load_credentials(kubeconfig=kubeconfig)
    credentials.server = f"https://127.0.0.1:{proxy.port}"
    return FaultyTransport(HttpTransport(credentials))


class _Run:
    """What is running during one soak."""

    def __init__(
        self,
        plane: ControlPlane,
        direct: Client,
        proxy: FaultProxy,
        transport: FaultyTransport,
        client: Client,
        report: Report,
        say: Say,
    ) -> None:
        self.report, self.say, self.client, self.direct = report, say, client, direct
        self.log = CountingLog()
        self.rng = Random(report.seed)
        self.faults = _Faults(plane, proxy, transport, report, Random(report.seed + 1), self._all_watch)
        self.transport = transport
        self.writers = [Writer(direct, Random(self.rng.random()), WRITES_HZ) for _ in range(WRITERS)]
        self.mirror = Mirror()
        self.manager = Manager(client, clock=HastyClock(), log=self.log, ready_staleness_s=IDLE_S + 4.0)
        self.manager.add(self.mirror)
        self.informers = self._make_informers()
        self.views = [
            View("all", self.informers["maps"]),
            View("second", self.informers["maps"]),
            View("resynced", self.informers["tier a"], resync_s=1.0),
            *(View(name, informer) for name, informer in self.informers.items()),
        ]

    def _all_watch(self) -> bool:
        return all(isinstance(each.state, Watching) for each in (*self.informers.values(), *self.manager.informers))

    def _make_informers(self) -> dict[str, Informer]:
        def informer(kind: Any, namespace: str | None = None, **options: Any) -> Informer:
            more = {"log": self.log, "rng": Random(self.rng.random()), "clock": HastyClock()}
            return Informer(self.client, kind, namespace, **more, **options)

        return {
            "maps": informer(kinds.CONFIG_MAP, field_selector=QUIET),
            "one namespace": informer(kinds.CONFIG_MAP, NAMESPACES[0]),
            "tier a": informer(Website, label_selector="tier=a"),
            "not tier b": informer(kinds.CONFIG_MAP, label_selector="tier,tier!=b"),
            "metadata": informer(kinds.CONFIG_MAP, field_selector=QUIET, metadata_only=True),
            "websites": informer(Website),
        }

    async def run(self) -> None:
        stop = asyncio.Event()
        managing = asyncio.create_task(self.manager.run(stop), name="manager")
        async with _running({name: each.run() for name, each in self.informers.items()}) as informing:
            async with _running({f"writer {n}": each.run() for n, each in enumerate(self.writers)}):
                await self._while_broken()
            await self.faults.end()
            self.say("writers stopped, faults ended; waiting for every cache to be right")
            await self._converge()
            self._judge([*informing, managing])
            stop.set()
            await asyncio.gather(managing, return_exceptions=True)

    async def _while_broken(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        sampling = asyncio.create_task(self._sample(began), name="sampling")
        try:
            for step in schedule(self.report.seed, self.report.seconds):
                await asyncio.sleep(max(0.0, began + step.at_s - loop.time()))
                await self.faults.do(step)
                self._change_handlers()
            await asyncio.sleep(max(0.0, began + self.report.seconds - loop.time()))
        finally:
            await cancel_and_wait(sampling)

    def _change_handlers(self) -> None:
        """One handler leaves and another comes, while events flow."""
        leaving = self.views.pop(1)
        self._note(leaving)
        leaving.registration.remove()
        self.views.insert(1, View("late", leaving.informer))

    def _note(self, view: View) -> None:
        self.report.problems += view.violations
        self.report.problems += view.differences()

    async def _sample(self, began: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.report.rss_bytes.append(_rss_bytes())
            self.report.tasks_max = max(self.report.tasks_max, len(asyncio.all_tasks()))
            self.report.samples += 1
            self.report.unready_samples += self.manager.checks_ready["caches"]() is not None
            self._count_requests()
            if self.report.samples % 5 == 1:
                stored = {name: len(each.store) for name, each in self.informers.items()}
                self.say(
                    f"{loop.time() - began:5.0f} s  faults {self.report.faults.total()}  expired {self.log.expired}  "
                    f"half-opens noticed {len(self.report.half_open_noticed_s)}  "
                    f"writes {sum(each.writes for each in self.writers)}  reconciles {self.mirror.reconciles}  "
                    f"rss {self.report.rss_bytes[-1] / 2**20:.0f} MiB  {stored}"
                )
            await asyncio.sleep(1.0)

    def _count_requests(self) -> None:
        for verb, path in self.transport.requests:
            listing = verb == "get" and "/namespaces/" not in path
            name = "stream" if "sendInitialEvents=true" in path else "list" if listing else verb
            self.report.requests[name] += 1
        self.transport.requests.clear()

    # -- the end -------------------------------------------------------------------------------------------------

    async def _converge(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while problems := await self._problems():
            if loop.time() > began + CONVERGE_S:
                self.report.problems += problems
                break
            await asyncio.sleep(0.2)
        self.report.converged_s = loop.time() - began

    async def _problems(self) -> list[str]:
        sites = (await self.direct.list_all(Website)).items
        maps = (await self.direct.list_all(kinds.CONFIG_MAP, field_selector=QUIET)).items
        problems = children_problems(sites, maps)
        for informer in (*self.informers.values(), *self.manager.informers):
            problems += await informer.differences()
        for view in self.views:
            problems += view.differences()
        return problems

    def _judge(self, tasks: list[asyncio.Task[Any]]) -> None:
        report, views = self.report, self.views
        self._count_requests()
        report.problems += [f"{task.get_name()} has ended: {task}" for task in tasks if task.done()]
        for view in views:
            report.problems += view.violations
        report.problems += self.log.bugs
        gc.collect()
        report.rss_bytes.append(_rss_bytes())
        third = report.rss_bytes[len(report.rss_bytes) // 3]
        if report.seconds >= GROWTH_JUDGED_S and report.rss_bytes[-1] - third > GROWTH_BYTES_MAX:
            report.problems.append(f"memory grew from {third} to {report.rss_bytes[-1]} bytes")
        told = Counter[str]()
        for view in views:
            told.update(view.told)
        report.counts = {
            "writes": sum(each.writes for each in self.writers),
            "write_errors": sum(each.errors for each in self.writers),
            "reconciles": self.mirror.reconciles,
            "told_to_handlers": dict(told),
            "expired": self.log.expired,
            "log": dict(self.log.counts),
            "failures_of_informers": sum(each.failures for each in (*self.informers.values(), *self.manager.informers)),
        }


class _Faults:
    """Does what the schedule says."""

    def __init__(
        self,
        plane: ControlPlane,
        proxy: FaultProxy,
        transport: FaultyTransport,
        report: Report,
        rng: Random,
        all_watch: Callable[[], bool],
    ) -> None:
        self._plane, self._proxy, self._transport = plane, proxy, transport
        self._report, self._rng, self._all_watch = report, rng, all_watch

    async def do(self, step: Step) -> None:
        self._report.faults[step.fault] += 1
        await getattr(self, f"_{step.fault}")(step.lasts_s)

    async def end(self) -> None:
        self._transport.rules.clear()
        await self._proxy.heal()

    async def _drop(self, _: float) -> None:
        self._proxy.drop()

    async def _half_open(self, lasts_s: float) -> None:
        """As when a firewall forgets its connections. Each is looked at until the client has let go of it."""
        loop = asyncio.get_running_loop()
        await self._reconnected()
        began = loop.time()

        async def noticed(connection: Connection) -> None:
            await connection.client_left.wait()
            self._report.half_open_noticed_s.append(loop.time() - began)

        looking = [asyncio.create_task(noticed(each), name="half-open") for each in self._proxy.connections]
        self._proxy.half_open()
        if looking:
            await asyncio.wait(looking, timeout=lasts_s)
        self._report.half_open_unnoticed += sum(not each.done() for each in looking)
        await cancel_and_wait(*looking)
        await self._proxy.heal()

    async def _reconnected(self) -> None:
        """Until every informer watches, so that there is something to break."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RECONNECTED_S
        while not self._all_watch() and loop.time() < deadline:
            await asyncio.sleep(0.05)

    async def _cut(self, lasts_s: float) -> None:
        self._proxy.half_open(new=True)
        await asyncio.sleep(lasts_s)
        await self._proxy.heal()

    async def _deaf(self, lasts_s: float) -> None:
        """One way only: requests arrive and their answers do not, or the other way round."""
        self._proxy.half_open(self._rng.choice((Direction.TO_CLIENT, Direction.TO_SERVER)), new=True)
        await asyncio.sleep(lasts_s)
        await self._proxy.heal()

    async def _refuse(self, lasts_s: float) -> None:
        self._proxy.refuse()
        self._proxy.drop()
        await asyncio.sleep(lasts_s)
        await self._proxy.heal()

    async def _delay(self, lasts_s: float) -> None:
        self._proxy.delay(self._rng.uniform(0.05, 0.5))
        await asyncio.sleep(lasts_s)
        self._proxy.delay(0.0)

    async def _http(self, lasts_s: float) -> None:
        self._transport.rules += [
            Rule(too_many_requests(retry_after_s=1), times=3),
            Rule(internal_error(), verb="watch", times=2),
            Rule(InStream(expired(), after_lines=1), verb="watch", times=2),
            Rule(Truncated(after_lines=1), verb="watch", times=2),
            Rule(LostAnswer(), verb="patch", times=2),
            Rule(LostRequest(), verb="patch", times=2),
            Rule(LostAnswer(), verb="delete", times=1),
        ]
        self._proxy.drop()
        await asyncio.sleep(lasts_s)
        self._transport.rules.clear()

    async def _restart(self, _: float) -> None:
        await self._plane.restart_api_server()

    async def _forget(self, lasts_s: float) -> None:
        """The server's history is lost while nobody can reach it: whoever comes back has missed what is gone."""
        self._proxy.half_open(new=True)
        await asyncio.sleep(lasts_s / 3)
        await self._plane.compact_etcd()
        await self._plane.restart_api_server()
        self._proxy.drop()
        await self._proxy.heal()


@asynccontextmanager
async def _running(work: dict[str, Any]) -> AsyncIterator[list[asyncio.Task[Any]]]:
    tasks = [asyncio.create_task(each, name=name) for name, each in work.items()]
    try:
        yield tasks
    finally:
        await cancel_and_wait(*tasks)


def _rss_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
