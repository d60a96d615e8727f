"""The HTTPS server of the webhooks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from aiohttp import web
from prometheus_client import CollectorRegistry

from controllerkit.client import Client
from controllerkit.errors import ApiError, ConfigError, RequestEntityTooLarge
from controllerkit.objects import Kind
from controllerkit.runtime import Clock, SystemClock, cancel_and_wait, get_logger
from controllerkit.schema import Resource
from controllerkit.webhook.admission import (
    BODY_BYTES_MAX,
    AdmissionRequest,
    AdmissionResponse,
    Handler,
    encode_review,
    review,
)
from controllerkit.webhook.authentication import TokenHandler, review_token
from controllerkit.webhook.certificates import FileCertificates, Need, ServingCertificates
from controllerkit.webhook.conversion import Conversions, Spoke, convert_review
from controllerkit.webhook.injection import MUTATING, TIMEOUT_S, VALIDATING, Hook, Reached, configuration
from controllerkit.webhook.metrics import WebhookMetrics
from controllerkit.webhook.resources import defaulting, defaults, validates, validation

__all__ = ["WebhookServer", "path_of"]

PORT: Final = 9443
"""controller-runtime ``webhook.DefaultPort``."""

CONVERT: Final = "/convert"
KEEP_AGAIN_S: Final = 60.0
IDLE_S: Final = 90.0
"""controller-runtime ``httpserver``: how long an idle connection is kept."""


def path_of(kind: Kind, verb: Literal["mutate", "validate"]) -> str:
    """The path of a webhook, as controller-runtime generates it.

    >>> path_of(Kind("example.dev", "v1", "Website", "websites"), "mutate")
    '/mutate-example-dev-v1-website'
    >>> path_of(Kind("", "v1", "Pod", "pods"), "validate")
    '/validate--v1-pod'
    """
    return f"/{verb}-{kind.group.replace('.', '-')}-{kind.version}-{kind.kind.lower()}"


class WebhookServer:
    """Answers the API server: ``Manager(client, webhooks=server)``, or `start` and `stop` by hand.

    Guarantees:
        A webhook registered before or after the start is served. Whatever a handler does, there is an answer: see
        `controllerkit.webhook.review`. A handler has the time that the API server gives it (``timeoutSeconds``), and
        not more than ``timeout_s``. Stopping lets requests in work end.

    Args:
        certificates: `MadeCertificates`, `FileCertificates`, or something of yours.
        host, port: where to listen; port 0 for any.
        client_ca: PEM file; callers must then show a certificate of it.
        client_name: the common name that it must have; "" for any.
    """

    def __init__(
        self,
        certificates: ServingCertificates,
        *,
        host: str = "0.0.0.0",  # noqa: S104 - the API server calls from elsewhere
        port: int = PORT,
        client_ca: Path | None = None,
        client_name: str = "",
        timeout_s: float = float(TIMEOUT_S),
    ) -> None:
        if client_name and client_ca is None:
            raise ConfigError(f"client_name={client_name!r} is checked of certificates: give client_ca too")
        self._certificates = certificates
        self._host, self._port = host, port
        self._client_ca, self._client_name = client_ca, client_name
        self._timeout_s = timeout_s
        self._handlers: dict[str, Handler] = {}
        self._token_handlers: dict[str, TokenHandler] = {}
        self._hooks: dict[Kind, list[Hook]] = {MUTATING: [], VALIDATING: []}
        self._conversions = Conversions()
        self._converts = False
        self._metrics: WebhookMetrics | None = None
        self._runner: web.AppRunner | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._log: Any = None

    # -- what it serves --------------------------------------------------------------------------------------------

    def add(
        self,
        model: type[Resource],
        methods: Any = None,
        *,
        remove_unknown: bool = False,
        failure_policy: Literal["Fail", "Ignore"] = "Fail",
    ) -> None:
        """Serves the defaulter and validator of ``model``, whichever ``methods`` (the model itself) has methods for.

        See `controllerkit.webhook.resources` for the methods, and `defaulting` for ``remove_unknown``.

        Raises:
            ConfigError: there is none of the methods, or the kind has such webhooks already.
        """
        methods = model if methods is None else methods
        kind = model.resource_kind()
        if not defaults(methods) and not validates(methods):
            raise ConfigError(f"{methods!r} has none of default, validate_create, validate_update, validate_delete")
        if defaults(methods):
            path = path_of(kind, "mutate")
            self.handle(path, defaulting(model, methods, remove_unknown=remove_unknown))
            hook = Hook(kind=kind, path=path, operations=("CREATE", "UPDATE"), failure_policy=failure_policy)
            self._hooks[MUTATING].append(hook)
        if operations := validates(methods):
            path = path_of(kind, "validate")
            self.handle(path, validation(model, methods))
            hook = Hook(kind=kind, path=path, operations=operations, failure_policy=failure_policy)
            self._hooks[VALIDATING].append(hook)

    def handle(self, path: str, handler: Handler) -> None:
        """Serves a handler of admission reviews at a path of its own.

        Raises:
            ConfigError: the path is taken, or does not begin with a slash.
        """
        self._take(path)
        self._handlers[path] = handler

    def authenticate(self, path: str, handler: TokenHandler) -> None:
        """Serves a handler of TokenReviews at a path of its own: whose a token is.

        Raises:
            ConfigError: as `handle`.
        """
        self._take(path)
        self._token_handlers[path] = handler

    def _take(self, path: str) -> None:
        if not path.startswith("/"):
            raise ConfigError(f"a path begins with a slash, got {path!r}")
        if path in self._handlers or path in self._token_handlers or path == CONVERT:
            raise ConfigError(f"two webhooks at {path}; give one of them another path")
        if self._metrics is not None:
            self._metrics.declare(path)

    def convert(self, hub: type[Resource], *spokes: type[Resource] | Spoke) -> None:
        """Serves conversions at ``/convert``. Raises ConfigError as `Conversions.add`."""
        self._conversions.add(hub, *spokes)
        self._converts = True
        if self._metrics is not None:
            self._metrics.declare(CONVERT)

    def configurations(self, name: str, reached: Reached) -> list[dict[str, Any]]:
        """The configurations of what was added with `add`, both named ``name``, to be applied or printed as YAML."""
        return [configuration(kind, name, hooks, reached) for kind, hooks in self._hooks.items() if hooks]

    @property
    def needs(self) -> Sequence[Need]:
        """What the operator has to be allowed to do for its certificates."""
        found: Sequence[Need] = getattr(self._certificates, "needs", ())
        return found

    @property
    def paths(self) -> Sequence[str]:
        """All that are served."""
        return [*self._handlers, *self._token_handlers, *([CONVERT] if self._converts else [])]

    # -- running ---------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port bound, once started."""
        return self._port

    async def start(
        self,
        client: Client,
        *,
        registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        log: Any = None,
    ) -> None:
        """Gets a certificate, binds and serves.

        Raises:
            ConfigError: files cannot be used, or the address not be bound.
            ApiError, TransportError: as the certificates' ``start``.
        """
        self._log = log or get_logger()
        registry = registry or CollectorRegistry()
        self._metrics = WebhookMetrics(registry, self.paths)
        if isinstance(self._certificates, FileCertificates):
            self._certificates.registry = registry
        await self._certificates.start(client, clock or SystemClock(), self._log)
        context = self._certificates.context
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"cannot use the client CA {self._client_ca}: {error}") from error
            context.verify_mode = ssl.CERT_REQUIRED
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE_S, shutdown_timeout=self._timeout_s)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port, ssl_context=context).start()
        except OSError as error:
            await self.stop()
            raise ConfigError(f"cannot serve webhooks on {self._host}:{self._port}: {error.strerror}") from error
        self._port = self._runner.addresses[0][1]
        self._keeping = asyncio.create_task(self._keep(clock or SystemClock()), name="webhook certificates")

    async def _keep(self, clock: Clock) -> None:
        """A certificate that is not renewed serves on for weeks, and the log tells why."""
        while True:
            try:
                await self._certificates.run()
            except Exception as error:
                self._log.error("webhook_certificates_not_kept", exc_info=error)
            await clock.sleep(KEEP_AGAIN_S)

    async def stop(self) -> None:
        """Closes the address, once what is in work was answered."""
        if self._keeping is not None:
            await cancel_and_wait(self._keeping)
            self._keeping = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        handler = self._handlers.get(request.path)
        converts = request.path == CONVERT and self._converts
        tokens = self._token_handlers.get(request.path)
        if handler is None and tokens is None and not converts:
            return web.Response(status=404, text=f"no webhook at {request.path}; there are {', '.join(self.paths)}\n")
        if self._client_name and _common_name(request) != self._client_name:
            return web.Response(status=403, text=f"only {self._client_name} may call\n")
        assert self._metrics is not None  # noqa: S101 - set by start
        with self._metrics.measured(request.path) as measured:
            if handler is not None:
                response = web.Response(body=await self._reviewed(request, handler), content_type="application/json")
            elif tokens is not None:
                response = web.Response(body=await self._told(request, tokens), content_type="application/json")
            else:
                response = await self._converted(request)
            measured.code = response.status
        return response

    async def _reviewed(self, request: web.Request, handler: Handler) -> bytes:
        def panicked(asked: AdmissionRequest, error: Exception) -> None:
            assert self._metrics is not None  # noqa: S101 - set by start
            self._metrics.panics.inc()
            about = {"path": request.path, "uid": asked.uid, "object": str(asked.key), "operation": asked.operation}
            self._log.error("webhook_failed", **about, exc_info=error)

        try:
            body = await _body(request)
        except RequestEntityTooLarge as error:
            return encode_review(None, AdmissionResponse.refused(error))
        timeout_s = _timeout_s(request.query, self._timeout_s)
        return await review(
            body, request.headers.get("Content-Type", ""), handler, timeout_s=timeout_s, on_panic=panicked
        )

    async def _told(self, request: web.Request, handler: TokenHandler) -> bytes:
        def panicked(error: Exception) -> None:
            assert self._metrics is not None  # noqa: S101 - set by start
            self._metrics.token_panics.inc()
            # what it says may hold the token
            self._log.error("authentication_failed", path=request.path, error=type(error).__name__)

        try:
            body = await _body(request)
        except RequestEntityTooLarge:
            body = b""
        timeout_s = _timeout_s(request.query, self._timeout_s)
        content_type = request.headers.get("Content-Type", "")
        return await review_token(body, content_type, handler, timeout_s=timeout_s, on_panic=panicked)

    async def _converted(self, request: web.Request) -> web.Response:
        def panicked(error: Exception) -> None:
            assert self._metrics is not None  # noqa: S101 - set by start
            self._metrics.conversion_panics.inc()
            self._log.error("conversion_failed", exc_info=error)

        try:
            content_type = request.headers.get("Content-Type", "")
            answer = convert_review(await _body(request), content_type, self._conversions, on_panic=panicked)
        except ApiError as error:
            return web.Response(status=error.code, text=f"{error.message}\n")
        return web.Response(body=answer, content_type="application/json")


async def _body(request: web.Request) -> bytes:
    """Raises RequestEntityTooLarge once it is, without reading on."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise RequestEntityTooLarge(f"the body is larger than {BODY_BYTES_MAX // 2**20} MiB") from error


def _timeout_s(query: Mapping[str, str], most_s: float) -> float:
    """What the API server gives, as ``?timeout=10s``, if that is less than ``most_s``.

    >>> _timeout_s({"timeout": "3s"}, 10.0), _timeout_s({"timeout": "30s"}, 10.0), _timeout_s({"timeout": "1m"}, 10.0)
    (3.0, 10.0, 10.0)
    """
    told = query.get("timeout", "")
    return min(float(told[:-1]), most_s) if told.endswith("s") and told[:-1].isdecimal() else most_s


def _common_name(request: web.Request) -> str:
    tls = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    subject = (tls.getpeercert() or {}).get("subject", ()) if tls is not None else ()
    return next((value for group in subject for name, value in group if name == "commonName"), "")
