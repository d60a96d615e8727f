"""The custom resource of every benchmark, and a static server that streams any number of it."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import web

from controllerkit.objects import Kind

WIDGETS = Kind("bench.example.dev", "v1", "Widget", "widgets")
_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
WIDGET_CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.bench.example.dev"},
    "spec": {
        "group": WIDGETS.group,
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": _OPEN, "status": _OPEN}}},
            }
        ],
    },
}


def widget(number: int, version: int = 0, *, namespace: str = "") -> dict[str, Any]:
    """One object of about 3.3 kB, most of it spec; with the server's metadata where ``version`` is given."""
    metadata: dict[str, Any] = {
        "name": f"widget-{number:06d}",
        "namespace": namespace or f"team-{number % 20}",
        "labels": {"app": f"app-{number % 100}", "tier": "backend"},
        "annotations": {"example.dev/owner": "someone"},
    }
    if version:
        metadata |= {
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "resourceVersion": str(version),
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
    fields = {f"field{n}": {"name": f"n{n}", "values": [number, n, version], "text": "x" * 67} for n in range(25)}
    spec = {"text": f"text of {number}", **fields}
    return {"apiVersion": WIDGETS.api_version, "kind": WIDGETS.kind, "metadata": metadata, "spec": spec}


def _line(kind: bytes, value: dict[str, Any]) -> bytes:
    return b'{"type":"' + kind + b'","object":' + json.dumps(value, separators=(",", ":")).encode() + b"}\n"


def _bookmark(version: int, *, end: bool) -> bytes:
    annotations = {"annotations": {"k8s.io/initial-events-end": "true"}} if end else {}
    metadata = {"resourceVersion": str(version), **annotations}
    return _line(b"BOOKMARK", {"apiVersion": WIDGETS.api_version, "kind": WIDGETS.kind, "metadata": metadata})


def _serve(count: int, pace: float, pipe: Connection) -> None:
    """Streams ``count`` objects and the end bookmark to each watch, and at the word ``count`` updates.

    With ``pace`` they come one by one, that many a second, each annotated with the time it was written at.
    """
    first = b"".join(_line(b"ADDED", widget(n, n + 1)) for n in range(count)) + _bookmark(count, end=True)
    later = b"".join(_line(b"MODIFIED", widget(n, count + n + 1)) for n in range(count)) if not pace else b""

    async def update_slowly(response: web.StreamResponse) -> None:
        began = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(began + number / pace - time.monotonic(), 0.0))
            value = widget(number, count + number + 1)
            value["metadata"]["annotations"]["written-at"] = repr(time.monotonic())
            await response.write(_line(b"MODIFIED", value))

    async def watch(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if request.query.get("sendInitialEvents") != "true":
            raise web.HTTPBadRequest(text="this server streams its list")
        await response.write(first)
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        if pace:
            await update_slowly(response)
        else:
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


@contextmanager
def static_server(count: int, *, pace: float = 0.0) -> Iterator[tuple[str, Connection]]:
    """Its URL, and a pipe: anything sent starts the updates. A process of its own, for one watch."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(count, pace, theirs), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}", ours
    finally:
        server.terminate()
        server.join()
