"""What a cache costs: CPU and memory of one informer that syncs N custom resources and then takes N updates.

A static server in a process of its own streams the same objects to every watch, so only the informer is measured,
by the operating system's own accounting of its process. ``--bodies`` reads every body once in the handler.

    python benchmarks/cold_sync.py --objects 20000
    python benchmarks/cold_sync.py --objects 20000 --bodies --json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import sys
from multiprocessing.connection import Connection

from aiohttp import web

from controllerkit.cache import Handler, Informer
from controllerkit.client import Client
from controllerkit.objects import Kind, Object
from controllerkit.wire import Credentials, HttpTransport

WIDGETS = Kind("bench.example.dev", "v1", "Widget", "widgets")


def widget(number: int, version: int) -> bytes:
    """One object of about 3.3 kB (``object_bytes`` says how many), most of it spec, with real metadata."""
    metadata = {
        "name": f"widget-{number:06d}",
        "namespace": f"team-{number % 20}",
        "uid": f"00000000-0000-4000-8000-{number:012d}",
        "resourceVersion": str(version),
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": f"app-{number % 100}", "tier": "backend"},
        "annotations": {"example.dev/owner": "someone"},
    }
    fields = {f"field{n}": {"name": f"n{n}", "values": [number, n, version], "text": "x" * 67} for n in range(25)}
    value = {"apiVersion": WIDGETS.api_version, "kind": WIDGETS.kind, "metadata": metadata, "spec": fields}
    return json.dumps(value, separators=(",", ":")).encode()


def serve(count: int, pipe: Connection) -> None:
    """Streams ``count`` objects, the end bookmark, and ``count`` updates; then stays silent."""

    def line(kind: bytes, value: bytes) -> bytes:
        return b'{"type":"' + kind + b'","object":' + value + b"}\n"

    first = b"".join(line(b"ADDED", widget(n, n + 1)) for n in range(count))
    mark = {
        "apiVersion": WIDGETS.api_version,
        "kind": WIDGETS.kind,
        "metadata": {"resourceVersion": str(count), "annotations": {"k8s.io/initial-events-end": "true"}},
    }
    later = b"".join(line(b"MODIFIED", widget(n, count + n + 1)) for n in range(count))

    async def watch(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(first + line(b"BOOKMARK", json.dumps(mark).encode()))
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        await response.write(later)
        await asyncio.Event().wait()
        return response

    async def main() -> None:
        app = web.Application()
        app.router.add_get(WIDGETS.path(), watch)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def cpu_s() -> float:
    """User and system seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory_mb() -> float:
    """Resident memory now."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - read in the middle of a measurement
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


async def measure(count: int, port: int, pipe: Connection, *, bodies: bool) -> dict[str, float]:
    """The figures of one run."""
    done = asyncio.Event()
    seen = 0

    def on_update(_: Object, new: Object) -> None:
        nonlocal seen
        seen += 1
        if bodies:
            _ = new.body
        if seen == count:
            done.set()

    def on_add(value: Object, _: bool) -> None:
        if bodies:
            _ = value.body

    base_mb, base_s = memory_mb(), cpu_s()
    async with Client(HttpTransport(Credentials(server=f"http://127.0.0.1:{port}"))) as client:
        informer = Informer(client, WIDGETS)
        informer.add_index("app", lambda value: [value.labels["app"]])
        informer.add_handler(Handler(on_add=on_add, on_update=on_update))
        task = asyncio.create_task(informer.run())
        await informer.wait_synced()
        synced_s, synced_mb = cpu_s(), memory_mb()
        pipe.send("updates")
        await done.wait()
        updated_s = cpu_s()
        assert len(informer.store) == count
        assert len(informer.store.by_index("app", "app-7")) == count // 100
        task.cancel()
    return {
        "objects": count,
        "object_bytes": len(widget(0, 1)),
        "sync_cpu_s": round(synced_s - base_s, 3),
        "updates_cpu_s": round(updated_s - synced_s, 3),
        "cache_mb": round(synced_mb - base_mb, 1),
        "process_mb": round(synced_mb, 1),
    }


def main() -> int:
    """Starts the server, measures, prints."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--objects", type=int, default=20_000, help="how many (default: %(default)s)")
    parser.add_argument("--bodies", action="store_true", help="read every body once in the handler")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(arguments.objects, theirs), daemon=True)
    server.start()
    try:
        figures = asyncio.run(measure(arguments.objects, ours.recv(), ours, bodies=arguments.bodies))
    finally:
        server.terminate()
        server.join()
    if arguments.json:
        print(json.dumps(figures))
    else:
        sys.stdout.writelines(f"{name:>16}  {value}\n" for name, value in figures.items())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
