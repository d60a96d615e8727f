"""The manager's HTTP endpoints: ``/metrics``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from controllerkit.errors import ConfigError

__all__ = ["Check", "Endpoints", "parse_address"]

Check = Callable[[], str | None]
"""A named check: None is well, text says what is wrong."""


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``:port`` (every address).

    >>> parse_address(":8080"), parse_address("127.0.0.1:0")
    (('0.0.0.0', 8080), ('127.0.0.1', 0))
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError(f"an address is host:port, got {address!r}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - as every Prometheus exporter in a Pod


class Endpoints:
    """Serves checks and metrics on one address.

    ``/healthz`` and ``/readyz`` answer 200 "ok" or 500 with the failing checks; ``?verbose`` lists all of them.
    """

    def __init__(
        self, address: str, registry: CollectorRegistry, live: Mapping[str, Check], ready: Mapping[str, Check]
    ) -> None:
        self._host, self._port = parse_address(address)
        self._registry = registry
        self._checks = {"/healthz": live, "/readyz": ready}
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
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        for path in self._checks:
            app.router.add_get(path, self._health)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"cannot serve on {self._host}:{self._port}: {error.strerror}; choose another address or port 0"
            ) from error
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Closes the address."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health(self, request: web.Request) -> web.Response:
        results = {name: check() for name, check in self._checks[request.path].items()}
        failed = {name: problem for name, problem in results.items() if problem is not None}
        if not failed and "verbose" not in request.query:
            return web.Response(text="ok")
        lines = [f"[{'-' if name in failed else '+'}]{name} {failed.get(name, 'ok')}" for name in results]
        word = "failed" if failed else "passed"
        return web.Response(
            text="\n".join([*lines, f"{request.path[1:]} check {word}\n"]), status=500 if failed else 200
        )
