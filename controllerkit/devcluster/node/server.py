"""The kubelet's HTTPS endpoint on loopback: container logs for the API server, health, the Pods."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from aiohttp import web

from controllerkit.devcluster.node.logs import ContainerLog, LogLine, LogOptions, RunLog, select
from controllerkit.devcluster.pki import Authority
from controllerkit.objects import Key, Object

__all__ = ["KubeletServer"]

ADDRESS: Final = "127.0.0.1"
SHUTDOWN_S: Final = 0.5

FindLog = Callable[[Key, str], ContainerLog | None]


class KubeletServer:
    """Serves ``/containerLogs``, ``/pods`` and ``/healthz``; ``port`` is set by ``start``.

    Assumptions:
        It listens on loopback and asks for no credentials: whoever is on this machine may read the logs.
    """

    def __init__(self, folder: Path, *, find_log: FindLog, pods: Callable[[], Sequence[Object]]) -> None:
        self.port = 0
        self._folder = folder
        self._find_log = find_log
        self._pods = pods
        self._runner: web.AppRunner | None = None

    async def start(self, *, name: str) -> None:
        """Listens on a free port, with a certificate of its own making."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/pods", self._list_pods)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, ADDRESS, 0, ssl_context=self._ssl_context(name))
        await site.start()
        self.port = self._runner.addresses[0][1]

    def _ssl_context(self, name: str) -> ssl.SSLContext:
        identity = Authority.create(f"{name} self-signed").issue(name, names=[name], addresses=[ADDRESS], client=False)
        certificate, key = identity.write(self._folder, "kubelet")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        return context

    async def stop(self) -> None:
        """Ends followers too."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _list_pods(self, _: web.Request) -> web.Response:
        items = [pod.body for pod in self._pods()]
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        key = Key(request.match_info["namespace"], request.match_info["pod"])
        container = request.match_info["container"]
        try:
            options = parse_options(request.query, datetime.now(UTC))
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        log = self._find_log(key, container)
        if log is None:
            return web.Response(status=404, text=f'container "{container}" of pod "{key}" is not on this node')
        lines = log.read(previous=options.previous)
        if lines is None:
            what = "previous terminated container" if options.previous else "container"
            text = f'{what} "{container}" in pod "{key.name}" not found'
            return web.Response(status=400, text=text)
        run = log.current() if options.follow and not options.previous else None
        return await self._stream(request, lines, options, run)

    async def _stream(
        self, request: web.Request, lines: list[LogLine], options: LogOptions, run: RunLog | None
    ) -> web.StreamResponse:
        queue = run.subscribe() if run is not None else None  # before the first await: nothing is missed
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        write = _limited(response.write, options)
        try:
            await response.prepare(request)
            for line in select(lines, options):
                if not await write(line):
                    return response
            while queue is not None and (line_now := await queue.get()) is not None:
                if not await write(line_now):
                    break
        except ConnectionError:
            pass  # the reader has gone
        finally:
            if run is not None and queue is not None:
                run.unsubscribe(queue)
        return response


def _limited(write: Callable[[bytes], Awaitable[None]], options: LogOptions) -> Callable[[LogLine], Awaitable[bool]]:
    left = options.limit_bytes

    async def one(line: LogLine) -> bool:
        nonlocal left
        data = line.text + (b"\n" if line.whole else b"")
        if options.timestamps:
            data = f"{line.at} ".encode() + data
        if left is not None:
            data = data[:left]
            left -= len(data)
        await write(data)
        return left is None or left > 0

    return one


def parse_options(query: object, now: datetime) -> LogOptions:
    """From the query of the API server.

    Raises:
        ValueError: a value is of the wrong kind; the message names the parameter.
    """
    values: dict[str, str] = dict(query)  # type: ignore[call-overload]
    since = None
    if text := values.get("sinceSeconds"):
        since = now - timedelta(seconds=_number("sinceSeconds", text))
    elif text := values.get("sinceTime"):
        since = datetime.fromisoformat(text)
    return LogOptions(
        follow=_flag(values.get("follow")),
        previous=_flag(values.get("previous")),
        timestamps=_flag(values.get("timestamps")),
        tail_lines=_number("tailLines", values["tailLines"]) if values.get("tailLines") else None,
        limit_bytes=_number("limitBytes", values["limitBytes"]) if values.get("limitBytes") else None,
        since=since,
    )


def _flag(text: str | None) -> bool:
    return text in ("true", "1", "")


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, got {text!r}") from None
