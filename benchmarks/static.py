"""A static server that streams any number of widgets, in a process of its own."""

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

from benchmarks.widgets import FIELDS, WIDGETS, widget


def _line(kind: bytes, value: dict[str, Any]) -> bytes:
    return b'{"type":"' + kind + b'","object":' + json.dumps(value, separators=(",", ":")).encode() + b"}\n"


def _bookmark(version: int, *, end: bool) -> bytes:
    annotations = {"annotations": {"k8s.io/initial-events-end": "true"}} if end else {}
    metadata = {"resourceVersion": str(version), **annotations}
    return _line(b"BOOKMARK", {"apiVersion": WIDGETS.api_version, "kind": WIDGETS.kind, "metadata": metadata})


def _serve(count: int, pace: float, fields: int, pipe: Connection) -> None:
    """Streams ``count`` objects and the end bookmark to each watch, and at the word ``count`` updates.

    With ``pace`` they come one by one, that many a second, each annotated with the time it was written at.
    """
    first = b"".join(_line(b"ADDED", widget(n, n + 1, fields=fields)) for n in range(count)) + _bookmark(
        count, end=True
    )
    later = (
        b"".join(_line(b"MODIFIED", widget(n, count + n + 1, fields=fields)) for n in range(count)) if not pace else b""
    )

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
def static_server(count: int, *, pace: float = 0.0, fields: int = FIELDS) -> Iterator[tuple[str, Connection]]:
    """Its URL, and a pipe: anything sent starts the updates. A process of its own, for one watch."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(count, pace, fields, theirs), daemon=True
    )
    server.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}", ours
    finally:
        server.terminate()
        server.join()
