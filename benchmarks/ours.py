"""The side of controllerkit, one process per measurement, with the commands and the figures of ``peers/go``.

python -m benchmarks.ours informer --server URL --objects 20000 [--bodies]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from operator import attrgetter
from pathlib import Path

from yarl import URL

sys.modules["rich"] = None  # type: ignore[assignment]  # an operator's image has no extras

from benchmarks.widgets import WIDGETS
from controllerkit import Client, Manager, Object, Reconciler, Request, kinds
from controllerkit.cache import Handler, Informers
from controllerkit.client import Write
from controllerkit.controller import what_changed
from controllerkit.objects import Key
from controllerkit.wire import Credentials, HttpTransport, load_credentials
from controllerkit.workqueue import WorkQueue


def cpu_s() -> float:
    """User and system seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory_mb() -> float:
    """Resident memory now."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - read in the middle of a measurement
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


async def say(word: str) -> None:
    """Tells the parent that a step is reached, and waits for its answer."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def connect(arguments: argparse.Namespace) -> Client:
    if arguments.service_account:
        server = URL(arguments.server)
        os.environ |= {"KUBERNETES_SERVICE_HOST": str(server.host), "KUBERNETES_SERVICE_PORT": str(server.port)}
        return Client(HttpTransport(await load_credentials(service_account=arguments.service_account)))
    if arguments.server:
        return Client(HttpTransport(Credentials(server=arguments.server)))
    return await Client.connect(kubeconfig=arguments.kubeconfig)


async def informer(arguments: argparse.Namespace) -> dict[str, float]:
    """Syncs N objects and takes N updates, with an index, the overlay of own writes, and reasons into a queue."""
    done = asyncio.Event()
    queue: WorkQueue[Key] = WorkQueue(name="bench")
    seen = 0

    def on_add(value: Object, initial: bool) -> None:
        queue.add(value.key, "listed" if initial else "added")
        if arguments.bodies:
            _ = value.body

    def on_update(old: Object, new: Object) -> None:
        nonlocal seen
        seen += 1
        queue.add(new.key, what_changed(old, new))
        if arguments.bodies:
            _ = new.body
        if seen == arguments.objects:
            done.set()

    base_s = cpu_s()
    async with await connect(arguments) as client:
        informers = Informers(client)
        cached = await informers.declare(WIDGETS)
        cached.add_index("app", lambda value: [value.labels["app"]])
        cached.add_handler(Handler(on_add=on_add, on_update=on_update))
        informers.start()
        await informers.wait_synced(timeout_s=300.0)
        synced_s, steady_mb = cpu_s(), memory_mb()
        if len(cached.store) != arguments.objects or len(informers.reader(WIDGETS).list()) != arguments.objects:
            raise SystemExit(f"{len(cached.store)} objects are cached, not {arguments.objects}")
        asked_s = cpu_s()
        await say("synced")
        await done.wait()
        updated_s = cpu_s()
        await informers.stop()
    return {
        "sync_cpu_s": synced_s - base_s,
        "updates_cpu_s": updated_s - asked_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "steady_mb": steady_mb,
    }


async def queue(arguments: argparse.Namespace) -> dict[str, float]:
    """Keys per second through the queue: plain, and with reasons, priorities and fairness."""
    keys = [Key(f"team-{n % 20}", f"widget-{n:06d}") for n in range(arguments.keys)]

    async def rate(work: Callable[[], Awaitable[None]]) -> float:
        began = time.perf_counter()
        await work()
        return len(keys) / (time.perf_counter() - began)

    plain: WorkQueue[Key] = WorkQueue(name="plain")
    fair: WorkQueue[Key] = WorkQueue(name="fair", fairness=attrgetter("namespace"))

    async def fill_drain() -> None:
        for key in keys:
            plain.add(key)
        for _ in keys:
            item = await plain.get()
            plain.done(item.key)

    async def one_by_one() -> None:
        for key in keys:
            plain.add(key)
            item = plain.get_nowait() or await plain.get()
            plain.done(item.key)

    async def priorities() -> None:
        for number, key in enumerate(keys):
            fair.add(key, "spec changed", priority=number % 3)
        for _ in keys:
            item = await fair.get()
            fair.forget(item.key)
            fair.done(item.key)

    return {
        "fill_drain_per_s": await rate(fill_drain),
        "one_by_one_per_s": await rate(one_by_one),
        "priority_fill_drain_per_s": await rate(priorities),
    }


class Counting:
    """Counts the writes that were sent."""

    def __init__(self) -> None:
        self.writes = 0

    def before(self, write: Write) -> None:
        self.writes += 1

    def after(self, write: Write, answer: Object | None, error: BaseException | None) -> None: ...


class WidgetReconciler(Reconciler[Object]):
    """Makes a ConfigMap for each Widget and then says in its status that it did."""

    kind = WIDGETS
    name = "widget"
    owns = (kinds.CONFIG_MAP,)

    def __init__(self) -> None:
        self.passes = self.done = 0

    async def reconcile(self, request: Request) -> None:
        self.passes += 1
        widget = await self.get(request.key)
        if widget is None:
            return
        metadata = {"name": widget.name, "namespace": widget.namespace}
        data = {"text": widget.get("spec", "text")}
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        await self.apply(widget, [child])
        if widget.get("status", "phase") != "Ready":
            value = widget.to_dict()
            value["status"] = {"phase": "Ready"}
            await self.client.update_status(value)
            self.done += 1


async def reconcile(arguments: argparse.Namespace) -> dict[str, float]:
    """Runs the operator until N Widgets are ready, and then for two quiet seconds."""
    reconciler = WidgetReconciler()
    WidgetReconciler.max_concurrent_reconciles = arguments.workers
    counting = Counting()
    base_s, began = cpu_s(), time.monotonic()
    async with await connect(arguments) as client:
        client.hooks.append(counting)
        manager = Manager(client)
        manager.add(reconciler)
        stop = asyncio.Event()
        task = asyncio.create_task(manager.run(stop))
        while reconciler.done < arguments.objects:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        wall_s, used_s = time.monotonic() - began, cpu_s() - base_s
        await asyncio.sleep(2.0)
        figures = {
            "wall_s": wall_s,
            "cpu_s": used_s,
            "quiet_cpu_s": cpu_s() - base_s - used_s,
            "writes": counting.writes,
            "passes": reconciler.passes,
            "resident_mb": memory_mb(),
        }
        stop.set()
        await task
    return figures


class Timing(Reconciler[Object]):
    """Notes how long after it was written an update reaches the reconciler."""

    kind = WIDGETS
    name = "timing"

    def __init__(self) -> None:
        self.took_ms: list[float] = []
        self.passes = 0

    async def reconcile(self, request: Request) -> None:
        now = time.monotonic()
        self.passes += 1
        found = self.read(WIDGETS, request.key)
        if found is not None and "written-at" in found.annotations:
            self.took_ms.append((now - float(found.annotations["written-at"])) * 1e3)


async def latency(arguments: argparse.Namespace) -> dict[str, float]:
    """From a line on the socket to the reconciler's first line."""
    reconciler = Timing()
    async with await connect(arguments) as client:
        manager = Manager(client)
        manager.add(reconciler)
        stop = asyncio.Event()
        task = asyncio.create_task(manager.run(stop))
        while reconciler.passes < arguments.objects:
            await asyncio.sleep(0.01)
        await say("synced")
        while len(reconciler.took_ms) < arguments.objects:
            await asyncio.sleep(0.01)
        stop.set()
        await task
    took = sorted(reconciler.took_ms)
    return {"median_ms": took[len(took) // 2], "p99_ms": took[len(took) * 99 // 100]}


async def idle(arguments: argparse.Namespace) -> dict[str, float]:
    """An operator's process that has nothing to do: what it keeps resident."""
    async with await connect(arguments) as client:
        manager = Manager(client, metrics_address="127.0.0.1:0")
        manager.add(WidgetReconciler())
        stop = asyncio.Event()
        task = asyncio.create_task(manager.run(stop))
        await manager.ready.wait()
        await asyncio.sleep(1.0)
        figures = {"resident_mb": memory_mb()}
        stop.set()
        await task
    return figures


def main() -> int:
    """One measurement; the last line of output is its figures."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("command", choices=["informer", "queue", "reconcile", "latency", "idle"])
    parser.add_argument("--server", default="")
    parser.add_argument("--kubeconfig")
    parser.add_argument("--service-account", type=Path, help="folder with a Pod's credentials for --server")
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--bodies", action="store_true")
    arguments = parser.parse_args()
    commands = {"informer": informer, "queue": queue, "reconcile": reconcile, "latency": latency, "idle": idle}
    with contextlib.suppress(KeyboardInterrupt):
        print(json.dumps(asyncio.run(commands[arguments.command](arguments))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
