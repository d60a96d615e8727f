"""HTTP: requests in, decisions asked for, bytes out. What the answers are is decided elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import aiohttp
import msgspec
import yaml
from aiohttp import web

from controllerkit.apiserver import discovery, openapi, protobuf, subresources
from controllerkit.apiserver.auth import Authenticator, User
from controllerkit.apiserver.calling import WebhookCaller
from controllerkit.apiserver.decoding import decode_body
from controllerkit.apiserver.inquiry import Inquiry, Unanswered
from controllerkit.apiserver.patch import APPLY, patch_object
from controllerkit.apiserver.paths import ApiPath, parse_path
from controllerkit.apiserver.reading import ListOptions, list_page, watch_start
from controllerkit.apiserver.registry import Registry, Written
from controllerkit.apiserver.represent import Accepted, Representation, negotiate
from controllerkit.apiserver.requests import DeleteOptions, Target, WriteOptions
from controllerkit.apiserver.status import (
    method_not_allowed,
    status_body,
    status_value,
    unknown_path,
    unsupported_media_type,
)
from controllerkit.apiserver.strategies import returns_object
from controllerkit.apiserver.watching import Watch
from controllerkit.errors import ApiError, Gone, InternalError, RequestEntityTooLarge
from controllerkit.runtime import Clock, get_logger

__all__ = ["Api"]

BODY_BYTES_MAX: Final = 3 * 1024 * 1024
WATCH_TIMEOUT_S: Final = (1800.0, 3600.0)
"""A watch without a timeout of its own lasts as long as a random draw from this span."""
_JSON: Final = "application/json"
_BODY_TYPES: Final = (_JSON, "application/yaml", protobuf.CONTENT_TYPE)
_LOG_CHUNK: Final = 64 * 1024

T = TypeVar("T")
Handler = Callable[[web.BaseRequest, Target], Awaitable[web.StreamResponse]]


class PlainNotFound(Exception):
    """A path below which nothing is served at all: answered in plain text, as the real server does."""


class Api:
    """The request handler. One per server; ``stopping`` ends its watches. Without ``webhooks`` it asks none."""

    def __init__(
        self,
        registry: Registry,
        authenticator: Authenticator,
        *,
        clock: Clock,
        rng: Random,
        bookmark_interval_s: float,
        host: Callable[[], str],
        webhooks: WebhookCaller | None = None,
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._clock = clock
        self._rng = rng
        self._bookmark_interval_s = bookmark_interval_s
        self._host = host
        self._webhooks = webhooks
        self._kubelet: aiohttp.ClientSession | None = None
        self._log = get_logger(component="apiserver")
        self.stopping = False

    async def close(self) -> None:
        """Ends connections to kubelets and webhooks."""
        if self._webhooks is not None:
            await self._webhooks.close()
        if self._kubelet is not None:
            await self._kubelet.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request."""
        response = await self._answer(request)
        if not response.prepared:
            _add_warnings(request, response)
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._handle(request)
        except PlainNotFound:
            return web.Response(status=404, text="404 page not found\n", content_type="text/plain")
        except _Document as document:
            return _json(document.value)
        except ApiError as error:
            return _refusal(error)
        except ConnectionError:
            raise
        except Exception as error:
            self._log.exception("request_failed", method=request.method, path=request.path)
            return _refusal(InternalError(f"Internal error occurred: {error}"))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if path == "/version":
            return _json(discovery.version_info())
        token = request.headers.get("Authorization", "")
        request[_USER] = self._authenticator.authenticate(token, self._clock.utcnow())
        if (answer := self._documents(request, path)) is not None:
            return answer
        parsed = parse_path(unquote(path))
        if parsed is None:
            raise PlainNotFound
        target = self._resolve(parsed)
        return await self._dispatch(request, target, everywhere=parsed.namespace is None)

    # Documents about the API itself.

    def _documents(self, request: web.BaseRequest, path: str) -> web.Response | None:
        resources = list(self._registry.resources())
        path = path.rstrip("/")
        value: Any = None
        if path in ("/api", "/apis"):
            wanted = _aggregated_version(request.headers.get("Accept", ""))
            if wanted:
                body = discovery.aggregated(resources, core=path == "/api", version=wanted)
                kind = f"{_JSON};g={discovery.AGGREGATED[0]};v={wanted};as={discovery.AGGREGATED[1]}"
                return web.Response(body=msgspec.json.encode(body), headers={"Content-Type": kind})
            value = discovery.core_versions(self._host()) if path == "/api" else discovery.group_list(resources)
        elif path == "/openapi/v2":
            if "protobuf" in request.headers.get("Accept", ""):
                return web.Response(body=openapi.V2_PROTOBUF, headers={"Content-Type": openapi.V2_PROTOBUF_TYPE})
            value = openapi.openapi_v2(resources)
        elif path == "/openapi/v3":
            value = openapi.openapi_v3_index(resources, self._registry.store.rv)
        elif path.startswith("/openapi/v3/"):
            value = openapi.openapi_v3(resources, path.removeprefix("/openapi/v3/"))
            if value is None:
                raise PlainNotFound
        elif path.startswith("/apis/") and path.count("/") == 2:
            value = discovery.one_group(resources, path.removeprefix("/apis/"))
            if value is None:
                raise PlainNotFound
        elif path == "":
            value = {"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/readyz", "/version"]}
        return None if value is None else _json(value)

    def _resolve(self, path: ApiPath) -> Target:
        if not path.plural:
            value = discovery.resource_list(self._registry.resources(), path.group, path.version)
            if value is None:
                raise PlainNotFound
            raise _Document(value)
        resource = self._registry.resource(path.group, path.plural)
        version = resource.versions.get(path.version) if resource else None
        if resource is None or version is None or not version.served:
            known = discovery.resource_list(self._registry.resources(), path.group, path.version)
            builtin = known is not None and any(
                not one.custom and one.group == path.group for one in self._registry.resources()
            )
            raise unknown_path() if builtin else PlainNotFound
        if path.namespace is not None and not resource.namespaced:
            raise unknown_path()
        if path.namespace is None and resource.namespaced and "list" not in resource.verbs:
            raise unknown_path()  # all that spans namespaces is a list
        if path.subresource and not self._has_subresource(resource.subresources, version, path.subresource):
            if resource.custom:
                self._registry.find(Target(resource, version, path.namespace or "", path.name))
            raise unknown_path()
        return Target(resource, version, path.namespace or "", path.name, path.subresource)

    @staticmethod
    def _has_subresource(declared: Mapping[str, Any], version: Any, name: str) -> bool:
        return name in declared or (name == "status" and version.status) or (name == "scale" and bool(version.scale))

    # Verbs.

    async def _dispatch(self, request: web.BaseRequest, target: Target, *, everywhere: bool) -> web.StreamResponse:
        method, resource = request.method, target.resource
        if target.version.warning:
            _warn(request, target.version.warning)
        if target.subresource and target.subresource != "status":
            return await self._subresource(request, target)
        if target.name:
            if resource.namespaced and everywhere:
                raise unknown_path()
            handlers: dict[str, tuple[str, Handler]] = {
                "GET": ("get", self._get),
                "PUT": ("update", self._put),
                "PATCH": ("patch", self._patch),
            }
            if not target.subresource:
                handlers["DELETE"] = ("delete", self._delete)
        else:
            handlers = {"GET": ("list", self._list)}
            if not (resource.namespaced and everywhere):
                handlers |= {"POST": ("create", self._post), "DELETE": ("deletecollection", self._delete_all)}
        verb, handler = handlers.get(method, ("", None))
        if handler is None or verb not in resource.verbs:
            raise method_not_allowed()
        return await handler(request, target)

    def _now(self) -> Any:
        return self._clock.utcnow()

    async def _decided(self, request: web.BaseRequest, decide: Callable[[], T], options: Any = None) -> T:
        """What is decided, once everybody it has to ask has answered. It may be called several times."""
        if self._webhooks is None or not self._registry.asks():
            return decide()
        inquiry = Inquiry(request[_USER].to_dict(), _told(options), self._rng.getrandbits(64))
        while True:
            try:
                with self._registry.under(inquiry):
                    return decide()
            except Unanswered as unanswered:
                questions = unanswered.questions
            finally:
                for warning in inquiry.warnings:
                    _warn(request, warning)
            await self._webhooks.answer(inquiry, questions)

    def _representation(self, request: web.BaseRequest, target: Target) -> tuple[Representation, Accepted]:
        accepted = negotiate(request.headers.get("Accept", ""))
        include = request.query.get("includeObject", "")
        registry = self._registry

        def convert(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return registry.in_version(target.resource, values, target.version)

        return Representation(target, accepted, now=self._now, convert=convert, include=include), accepted

    async def _get(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        show, accepted = self._representation(request, target)
        raw = await self._decided(request, lambda: show.one(self._registry.find(target).raw))
        return _body(raw, accepted)

    async def _list(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        show, accepted = self._representation(request, target)
        watching = request.query.get("watch") in ("true", "1")
        options = ListOptions.parse(request.query, target, watch=watching)
        if watching:
            return await self._watch(request, target, options, show)
        collection = self._registry.store.collection(target.resource.collection)
        page = list_page(self._registry.store, collection, options)
        return _body(await self._decided(request, lambda: show.page(page)), accepted)

    async def _watch(
        self, request: web.BaseRequest, target: Target, options: ListOptions, show: Representation
    ) -> web.StreamResponse:
        store, resource = self._registry.store, target.resource
        collection = store.collection(resource.collection)
        response = web.StreamResponse(headers={"Content-Type": _JSON, "Cache-Control": "no-cache, private"})
        try:
            start, initial = watch_start(store, collection, options)
        except Gone as error:
            # The stream itself is fine: the real server answers 200 and says so in its first line.
            await response.prepare(request)
            await response.write(msgspec.json.encode({"type": "ERROR", "object": status_value(error)}) + b"\n")
            return response

        def ended() -> bool:
            served = self._registry.resource(resource.group, resource.plural)
            version = served.versions.get(target.version.name) if served else None
            return self.stopping or version is None or not version.served

        timeout_s = options.timeout_s or self._rng.uniform(*WATCH_TIMEOUT_S)
        watch = Watch(
            store,
            collection,
            options,
            show,
            bookmark_interval_s=self._bookmark_interval_s,
            ended=ended,
            decided=partial(self._decided, request),
        )
        _add_warnings(request, response)
        response.enable_chunked_encoding()
        with suppress(ConnectionResetError):  # the client has gone: nobody is left to tell
            await response.prepare(request)
            await watch.stream(response, start, initial=initial, timeout_s=timeout_s)
        return response

    def _options(self, request: web.BaseRequest, kind: str) -> WriteOptions:
        agent, applied = request.headers.get("User-Agent", ""), request.content_type == APPLY
        return WriteOptions.parse(request.query, agent=agent, kind=kind, applied=applied)

    async def _object(self, request: web.BaseRequest, kind: str) -> dict[str, Any]:
        content_type = request.content_type or _JSON
        if content_type == "application/octet-stream":
            content_type = _JSON
        if content_type not in _BODY_TYPES:
            raise unsupported_media_type(_BODY_TYPES)
        return decode_body(await _read(request), content_type, kind)

    async def _post(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        kind = target.resource.kind
        options = self._options(request, "CreateOptions")
        body = await self._object(request, kind)
        if kind in _REVIEWS and not target.resource.custom:
            return self._review(target, body)
        if target.resource.collection == "bindings":
            pods = self._registry.resource("", "pods")
            name = (body.get("metadata") or {}).get("name", "")
            if pods is None:
                raise unknown_path()
            pod = Target(pods, pods.versions["v1"], target.namespace, name, "binding")
            subresources.bind(self._registry, pod, body, options, self._now())
            return _json(_success(201), status=201)
        now = self._now()

        def create() -> Written:
            return self._registry.create(target, self._again(body), options, now)

        return await self._written(request, target, await self._decided(request, create, options))

    def _review(self, target: Target, body: dict[str, Any]) -> web.Response:
        kind = target.resource.kind
        body["apiVersion"] = target.api_version
        if kind == "TokenReview":
            body["status"] = self._authenticator.review_token(body, self._now())
        else:
            body["status"] = {"allowed": True}
        body.setdefault("kind", kind)
        body.setdefault("metadata", {})
        return _json(body, status=201)

    async def _put(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        options = self._options(request, "UpdateOptions")
        body = await self._object(request, target.resource.kind)
        now = self._now()

        def update() -> Written:
            return self._registry.update(target, self._again(body), options, now)

        return await self._written(request, target, await self._decided(request, update, options))

    async def _patch(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        options = self._options(request, "PatchOptions")
        body = await _read(request)
        content_type = request.content_type
        now = self._now()

        def patch() -> Written:
            return patch_object(self._registry, target, content_type, body, options, now)

        return await self._written(request, target, await self._decided(request, patch, options))

    def _again(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body that may be changed, where the decision may be taken more than once."""
        return copy.deepcopy(body) if self._registry.asks() else body

    async def _written(self, request: web.BaseRequest, target: Target, written: Written) -> web.Response:
        show, accepted = self._representation(request, target)
        response = _body(show.one(written.raw) if accepted.form else written.raw, accepted)
        if written.created:
            response.set_status(201)
        for warning in written.warnings:
            _warn(request, warning)
        return response

    async def _delete_options(self, request: web.BaseRequest) -> DeleteOptions:
        raw = await _read(request)
        body = decode_body(raw, request.content_type, "DeleteOptions") if raw else {}
        return DeleteOptions.parse(request.query, body)

    async def _delete(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        options = await self._delete_options(request)
        existing = self._registry.find(target)
        now = self._now()
        written = await self._decided(request, lambda: self._registry.delete(target, options, now), options)
        if written.deleted and not _shows_deleted(target):
            details = {"name": target.name, "group": target.resource.group, "kind": target.resource.plural}
            details["uid"] = existing.uid
            return _json({**_success(0), "details": {k: v for k, v in details.items() if v}})
        return _body(written.raw, negotiate(request.headers.get("Accept", "")))

    async def _delete_all(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        options = await self._delete_options(request)
        listed = ListOptions.parse(request.query, target, watch=False)
        collection = self._registry.store.collection(target.resource.collection)
        page = list_page(self._registry.store, collection, listed)
        now = self._now()
        for item in page.items:
            one = Target(target.resource, target.version, item.namespace, item.name)
            if collection.items.get(item.key) is not None:
                await self._decided(request, partial(self._registry.delete, one, options, now), options)
        show, accepted = self._representation(request, target)
        return _body(await self._decided(request, lambda: show.page(page)), accepted)

    # Subresources.

    async def _subresource(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        method, name = request.method, target.subresource
        registry, now = self._registry, self._now()
        match name, method:
            case "log", "GET":
                return await self._proxy_log(request, target)
            case "scale", "GET":
                read = partial(_read_scale, registry, target)
                return _json(await self._decided(request, read))
            case "scale", "PUT":
                options = self._options(request, "UpdateOptions")
                scale = await self._object(request, "Scale")
                write = partial(subresources.write_scale, registry, target, scale, options, now)
                return _json((await self._decided(request, write)).value)
            case "scale", "PATCH":
                options = self._options(request, "PatchOptions")
                body, content_type = await _read(request), request.content_type
                patch = partial(subresources.patch_scale, registry, target, content_type, body, options, now)
                return _json((await self._decided(request, patch)).value)
            case ("binding" | "eviction") as action, "POST":
                options = self._options(request, "CreateOptions")
                body_value = await self._object(request, action.capitalize())
                act = subresources.bind if action == "binding" else subresources.evict
                act(registry, target, body_value, options, now)
                return _json(_success(201), status=201)
            case "finalize", "PUT":
                options = self._options(request, "UpdateOptions")
                namespace = await self._object(request, "Namespace")
                return _json(subresources.finalize(registry, target, namespace, options, now).value)
            case "token", "POST":
                account = registry.find(target).decode()
                asked = await self._object(request, "TokenRequest")
                return _json(self._authenticator.issue(account, asked, now), status=201)
            case _:
                raise method_not_allowed()

    async def _proxy_log(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        url = subresources.log_address(self._registry, target, request.query)
        if not url:
            return web.Response(status=204)
        if self._kubelet is None:
            # Kubelets of a development cluster have certificates of their own making, on loopback.
            self._kubelet = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False, limit=0))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        try:
            async with self._kubelet.get(url, timeout=timeout) as upstream:
                if upstream.status != 200:
                    text = (await upstream.text()).strip()
                    raise _kubelet_refusal(upstream.status, text)
                response = web.StreamResponse(headers={"Content-Type": "text/plain"})
                response.enable_chunked_encoding()
                await response.prepare(request)
                async for chunk in upstream.content.iter_chunked(_LOG_CHUNK):
                    await response.write(chunk)
                return response
        except aiohttp.ClientConnectorError as error:
            raise InternalError(
                f'Get "{url}": dial tcp {error.host}:{error.port}: {error.strerror or error}'
            ) from error


class _Document(Exception):
    """The list of a group version's resources."""

    def __init__(self, value: dict[str, Any]) -> None:
        super().__init__()
        self.value = value


_REVIEWS: Final = frozenset({"TokenReview", "SelfSubjectAccessReview"})


def _read_scale(registry: Registry, target: Target) -> dict[str, Any]:
    return subresources.read_scale(target, registry.outbound(target, registry.find(target).decode()))


_WARNINGS: Final = web.RequestKey("warnings", list[str])
_USER: Final = web.RequestKey("user", User)


def _warn(request: web.BaseRequest, text: str) -> None:
    if _WARNINGS not in request:
        request[_WARNINGS] = []
    request[_WARNINGS].append(text)


def _add_warnings(request: web.BaseRequest, response: web.StreamResponse) -> None:
    for warning in dict.fromkeys(request.get(_WARNINGS) or ()):
        text = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{text}"')


def _told(options: WriteOptions | DeleteOptions | None) -> dict[str, Any]:
    """Options as a webhook is told them."""
    dry_run = {"dryRun": ["All"]} if options is not None and options.dry_run else {}
    if isinstance(options, WriteOptions):
        manager = {"fieldManager": options.manager} if options.named else {}
        checks = {"fieldValidation": options.validation} if options.validation != "Warn" else {}
        return {**dry_run, **manager, **checks}
    if isinstance(options, DeleteOptions):
        told = {"gracePeriodSeconds": options.grace_s, "propagationPolicy": options.propagation or None}
        return {**{name: value for name, value in told.items() if value is not None}, **dry_run}
    return {}


def _shows_deleted(target: Target) -> bool:

    return returns_object(target.resource)


def _success(code: int) -> dict[str, Any]:
    value: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return {**value, "code": code} if code else value


def _kubelet_refusal(status: int, text: str) -> ApiError:
    reasons = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed"}
    return ApiError(text or "unknown", code=status, reason=reasons.get(status, "InternalError"))


def _json(value: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=_JSON)


def _body(raw: bytes, accepted: Accepted) -> web.Response:
    if accepted.yaml:
        text = yaml.safe_dump(msgspec.json.decode(raw), sort_keys=False)
        return web.Response(body=text.encode(), content_type="application/yaml")
    return web.Response(body=raw, content_type=_JSON)


def _refusal(error: ApiError) -> web.Response:
    response = web.Response(body=status_body(error), status=error.code, content_type=_JSON)
    seconds = error.retry_after_s
    if seconds is not None:
        response.headers["Retry-After"] = str(int(seconds))
    return response


def _aggregated_version(accept: str) -> str:
    """The version of aggregated discovery a client takes first; "" where it wants the plain form."""
    for part in accept.split(","):
        options = dict(one.strip().split("=", 1) for one in part.split(";")[1:] if "=" in one)
        if options.get("as") == discovery.AGGREGATED[1] and options.get("v") in ("v2", "v2beta1"):
            return options["v"]
        if not options and part.strip() in (_JSON, "*/*"):
            return ""
    return ""


async def _read(request: web.BaseRequest) -> bytes:
    """The whole body, as long as it is one the server takes."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_chunked(_LOG_CHUNK):
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise RequestEntityTooLarge(f"Request entity too large: limit is {BODY_BYTES_MAX}")
        chunks.append(chunk)
    return b"".join(chunks)
