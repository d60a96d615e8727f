"""The manager's HTTP endpoints: ``/metrics``, ``/healthz``, ``/readyz``, ``/debug``.

They are served by a thread with an event loop of its own. What they tell lies in the loop of the controllers, which
is asked and given ``ANSWER_S`` to answer: so a loop that is blocked is told as that, with the place where it is stuck,
instead of a probe that times out and says nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from controllerkit.errors import ConfigError
from controllerkit.manager.authz import Verdict
from controllerkit.runtime import LoopWatch

__all__ = ["Check", "Debugging", "Endpoints", "parse_address"]

Check = Callable[[], str | None]
"""A named check: None is well, text says what is wrong."""

Judge = Callable[[str, str, str], Awaitable[Verdict]]

T = TypeVar("T")

ANSWER_S: Final = 2.0
BODY_MAX: Final = 64 * 1024
IDLE_S: Final = 90.0
"""controller-runtime ``httpserver``: how long an idle connection is kept."""

ACTION_HEADER: Final = "X-Controllerkit-Action"
"""A browser cannot be made to send it to another site."""


class Debugging:
    """What ``/debug`` shows and does; both run in the loop of the controllers."""

    def __init__(self, show: Callable[[], Any], act: Callable[[Mapping[str, str]], str]) -> None:
        self.show, self.act = show, act


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``:port`` (every address).

    >>> parse_address(":8080"), parse_address("127.0.0.1:0")
    (('0.0.0.0', 8080), ('127.0.0.1', 0))
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError(f"an address is host:port, got {address!r}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - as every Prometheus exporter in a Pod


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Endpoints:
    """Serves checks, metrics and, if given, the debug page on one address.

    ``/healthz`` and ``/readyz`` answer 200 "ok" or 500 with the failing checks; ``?verbose`` lists all of them,
    ``?exclude=name`` leaves one out, ``/healthz/name`` asks one. Checks are for probes, and open to all; metrics and
    the debug page are judged where ``judge`` is given.

    Raises:
        ConfigError: the debug page would be open to other machines without a judge.
    """

    def __init__(
        self,
        address: str,
        registry: CollectorRegistry,
        live: Mapping[str, Check],
        ready: Mapping[str, Check],
        *,
        tls: ssl.SSLContext | None = None,
        judge: Judge | None = None,
        debugging: Debugging | None = None,
        loop_watch: LoopWatch | None = None,
    ) -> None:
        self._host, self._port = parse_address(address)
        if debugging is not None and judge is None and not is_loopback(self._host):
            raise ConfigError(f"/debug on {address} would be open to all; set authorize=True, or serve on 127.0.0.1")
        self._registry = registry
        self._checks = {"healthz": live, "readyz": ready}
        self._tls = tls
        self._judge = judge
        self._debugging = debugging
        self._loop_watch = loop_watch
        self._main: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port bound, once started."""
        return self._port

    async def start(self) -> None:
        """Binds and serves.

        Raises:
            ConfigError: the address cannot be bound.
        """
        self._main = asyncio.get_running_loop()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="endpoints", daemon=True)
        self._thread.start()
        try:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._bind(), self._loop))
        except OSError as error:
            await self.stop()
            raise ConfigError(
                f"cannot serve on {self._host}:{self._port}: {error.strerror}; choose another address or port 0"
            ) from error

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        loop.close()

    async def _bind(self) -> None:
        app = web.Application(client_max_size=BODY_MAX)
        app.router.add_get("/metrics", self._metrics)
        for path in self._checks:
            app.router.add_get(f"/{path}", self._health)
            app.router.add_get(f"/{path}/{{check}}", self._health)
        if self._debugging is not None:
            app.router.add_get("/debug", self._debug)
            app.router.add_post("/debug", self._act)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, ssl_context=self._tls).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Closes the address and ends the thread."""
        if self._loop is None or self._thread is None:
            return
        if self._runner is not None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop))
            self._runner = None
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._loop = self._thread = None

    # -- in the thread of the endpoints ----------------------------------------------------------------------------

    async def _ask(self, work: Awaitable[T]) -> T:
        """Runs ``work`` in the loop of the controllers. Raises TimeoutError where that does not answer."""

        async def working() -> T:
            return await work

        assert self._main is not None  # noqa: S101 - set by start
        asked = asyncio.run_coroutine_threadsafe(working(), self._main)
        return await asyncio.wait_for(asyncio.wrap_future(asked), ANSWER_S)

    def _blocked(self, request: web.Request) -> web.Response:
        where = f" in {self._loop_watch.where()}" if self._loop_watch is not None else ""
        late_s = self._loop_watch.blocked_for_s() if self._loop_watch is not None else ANSWER_S
        text = f"{request.path[1:]}: the event loop is blocked, for {max(late_s, ANSWER_S):.0f} s now{where}\n"
        return web.Response(status=500, text=text)

    async def _refused(self, request: web.Request) -> web.Response | None:
        if self._judge is None:
            return None
        header = request.headers.get("Authorization", "")
        verdict = await self._ask(self._judge(header, request.path, request.method.lower()))
        return None if verdict.status == 200 else web.Response(status=verdict.status, text=verdict.why + "\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        async def made() -> bytes:
            return generate_latest(self._registry)

        try:
            refused = await self._refused(request)
            return refused or web.Response(body=await self._ask(made()), headers={"Content-Type": CONTENT_TYPE_LATEST})
        except TimeoutError:
            return self._blocked(request)

    async def _health(self, request: web.Request) -> web.Response:
        name = request.path.split("/")[1]
        checks = self._checks[name]
        if only := request.match_info.get("check"):
            if only not in checks:
                return web.Response(status=404, text=f"{name} has no check {only!r}; there are {sorted(checks)}\n")
            checks = {only: checks[only]}
        excluded = set(request.query.getall("exclude", []))

        async def asked() -> dict[str, str | None]:
            return {each: _asked(check) for each, check in checks.items() if each not in excluded}

        try:
            results = await self._ask(asked())
        except TimeoutError:
            return self._blocked(request)
        failed = {each: problem for each, problem in results.items() if problem is not None}
        if not failed and "verbose" not in request.query:
            return web.Response(text="ok")
        lines = [f"[{'-' if each in failed else '+'}]{each} {failed.get(each, 'ok')}" for each in results]
        lines += [f"[+]{each} excluded: ok" for each in checks if each in excluded]
        unknown = ", ".join(sorted(excluded - checks.keys()))
        lines += [f"warn: there is no check to exclude: {unknown}"] if unknown else []
        word = "failed" if failed else "passed"
        return web.Response(text="\n".join([*lines, f"{name} check {word}\n"]), status=500 if failed else 200)

    async def _debug(self, request: web.Request) -> web.Response:
        async def shown() -> bytes:
            assert self._debugging is not None  # noqa: S101 - the route is there only then
            return msgspec.json.encode(self._debugging.show())

        try:
            refused = await self._refused(request)
            return refused or web.Response(body=await self._ask(shown()), content_type="application/json")
        except TimeoutError:
            return self._blocked(request)

    async def _act(self, request: web.Request) -> web.Response:
        if ACTION_HEADER not in request.headers:
            return web.Response(status=403, text=f"the header {ACTION_HEADER} is missing\n")
        try:
            if (refused := await self._refused(request)) is not None:
                return refused
            wanted = msgspec.json.decode(await request.read(), type=dict[str, str])

            async def acted() -> str:
                assert self._debugging is not None  # noqa: S101 - the route is there only then
                return self._debugging.act(wanted)

            return web.Response(text=await self._ask(acted()) + "\n")
        except TimeoutError:
            return self._blocked(request)
        except (ConfigError, msgspec.DecodeError) as error:
            return web.Response(status=400, text=f"{error}\n")


def _asked(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # a check that fails to check is a failing check
        return f"{type(error).__name__}: {error}"
