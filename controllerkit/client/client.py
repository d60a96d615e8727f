"""The client: every verb of the API on bytes-first `Object`s."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from controllerkit.client.answers import ObjectList, decode_list, error_of, worth_a_retry
from controllerkit.client.hooks import Verb, Write, WriteHook
from controllerkit.client.mapper import RestMapper
from controllerkit.client.stream import WatchStream
from controllerkit.client.warnings import WarningSurfacer
from controllerkit.errors import BadRequest, Gone
from controllerkit.objects import GVK, Key, Kind, Object
from controllerkit.runtime import Clock, SystemClock
from controllerkit.schema import Resource
from controllerkit.wire import HttpTransport, Transport, WireRequest, load_credentials

__all__ = ["Client", "FieldValidation", "KindLike", "ObjectLike", "PatchType"]

KindLike = Kind | GVK | type[Resource]
"""How a caller may name a type: a `Kind`, a `GVK` (discovered) or a `Resource` class."""

ObjectLike = Object | Resource | Mapping[str, Any]
"""How a caller may hand over an object."""

PAGE_SIZE: Final = 500
"""client-go ``tools/pager``: the page size of a full list."""

RETRIES_MAX: Final = 10
"""client-go ``rest/with_retry.go``: tries again only where the server says when (Retry-After on 429 or 5xx)."""

WATCH_IDLE_S: Final = 150.0
"""A server sends a bookmark about once a minute; two missed ones and a half are a dead connection."""

WATCH_TIMEOUT_MIN_S: Final = 300.0
"""client-go ``minWatchTimeout``: the server is asked to end a watch after one to two times this."""

WATCH_MARGIN_S: Final = 15.0
"""How long a server may take longer than the time it was asked to end a watch after."""

DEFAULT_FIELD_MANAGER: Final = "controllerkit"
METADATA_ONLY: Final = "application/json;as={};g=meta.k8s.io;v=v1"
"""The media type of an answer reduced to its metadata (apimachinery ``PartialObjectMetadata`` and its list)."""


_METHODS: Final = {"create": "POST", "update": "PUT", "patch": "PATCH", "apply": "PATCH"}

FieldValidation = Literal["", "Ignore", "Warn", "Strict"]

T = TypeVar("T")


class PatchType(Enum):
    """The four patch formats, by content type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


def _bytes_of(value: ObjectLike) -> Object:
    if isinstance(value, Object):
        return value
    if isinstance(value, Resource):
        return value.to_object()
    return Object.from_dict(value)


class Client:
    """Talks to one API server.

    Every method that names a type takes a `Kind`, a `GVK` or a `Resource` class; every method that sends an
    object takes an `Object`, a `Resource` or a mapping. Everything comes back as `Object`.

    Attributes:
        hooks: asked before every write, in order, and told its outcome, in reverse; a hook that refuses (a
            write gate) raises, and nothing is sent. See `WriteHook`.
        dry_run: every write is sent with ``dryRun=All``: admitted and validated, and not stored.
        field_validation: what the server does with unknown and repeated fields of a write: refuse it (Strict), warn
            (Warn, its default), or drop them silently (Ignore).
        check_writes: where it is not None, what is created, updated or applied is judged by its schema and rules
            before anything is sent: each `Resource`, and objects of the kinds in it in whatever form.
    Args:
        on_warning: given each distinct warning of the server once; None logs it.
    Guarantees:
        Safe for any number of tasks. A cancelled call closes its connection; a write that was cancelled may or
        may not have been done: read it back. Where the server answers 429 or 5xx with Retry-After, the call
        waits that long and tries again, ``RETRIES_MAX`` times.
    Raises:
        ApiError (by reason: NotFound, Conflict, AlreadyExists, Invalid, Expired …): the server refused.
        TransportError (ConnectError, TlsError, DeadlineExceeded): no answer.
        ConfigError: credentials could not be used; a type is not served.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        namespace: str = "default",
        field_manager: str = DEFAULT_FIELD_MANAGER,
        timeout_s: float = 30.0,
        field_validation: FieldValidation = "",
        on_warning: Callable[[str], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.namespace = namespace
        self.field_manager = field_manager
        self._transport = transport
        self.field_validation = field_validation
        self._timeout_s = timeout_s
        self._warnings = WarningSurfacer(on_warning)
        self._origin = ""
        self._clock = clock or SystemClock()
        self.hooks: list[WriteHook] = []
        self.dry_run = False
        self.check_writes: dict[GVK, type[Resource]] | None = None
        self.mapper = RestMapper(self.request_json)

    @classmethod
    async def connect(
        cls,
        *,
        kubeconfig: str | Path | None = None,
        context: str | None = None,
        field_manager: str = DEFAULT_FIELD_MANAGER,
        user_agent: str = "controllerkit",
        field_validation: FieldValidation = "",
        on_warning: Callable[[str], None] | None = None,
    ) -> Client:
        """A client for the cluster that `controllerkit.wire.load_credentials` finds; nothing is sent yet."""
        credentials = await load_credentials(kubeconfig=kubeconfig, context=context)
        transport = HttpTransport(credentials, user_agent=user_agent)
        client = cls(
            transport,
            namespace=credentials.namespace,
            field_manager=field_manager,
            field_validation=field_validation,
            on_warning=on_warning,
        )
        client._origin = f"{credentials.server} does not know the credentials of {credentials.source}"
        return client

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends every connection."""
        await self._transport.aclose()

    # -- types ---------------------------------------------------------------------------------------------------

    def without(self, *hooks: WriteHook) -> Client:
        """This client, over the same connections, whose writes these hooks are not asked about.

        Other hooks are shared: one that is added to either is asked for both only if it was there before.
        """
        twin = copy.copy(self)
        twin.hooks = [each for each in self.hooks if each not in hooks]
        return twin

    def reroute(self, wrap: Callable[[Transport], Transport]) -> None:
        """Sends what is sent from now on through ``wrap(transport)``; clients made by `without` before keep theirs."""
        self._transport = wrap(self._transport)

    def over(self, wrap: Callable[[Transport], Transport]) -> Client:
        """This client, whose calls go through what ``wrap`` makes of its transport; hooks are copied."""
        twin = self.without()
        twin._transport = wrap(self._transport)
        twin.mapper = self.mapper.over(twin.request_json)
        return twin

    async def kind_of(self, kind: KindLike) -> Kind:
        """Resolves a type's names; asks discovery only for a `GVK` that is not built in.

        Raises:
            ConfigError: the server does not serve it.
        """
        if isinstance(kind, Kind):
            return kind
        if isinstance(kind, GVK):
            return await self.mapper.kind_for(kind)
        return kind.resource_kind()

    # -- reads ---------------------------------------------------------------------------------------------------

    async def get(
        self, kind: KindLike, name: str | Key, namespace: str | None = None, *, subresource: str = ""
    ) -> Object:
        """One object, as the server has it now.

        Raises:
            NotFound: there is none.
        """
        resolved, path = await self._path(kind, name, namespace, subresource)
        return self._object(await self._exchange("GET", path), resolved)

    async def list(
        self,
        kind: KindLike,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        limit: int = 0,
        continue_token: str = "",
        metadata_only: bool = False,
    ) -> ObjectList:
        """One page (``limit`` > 0), or the whole list in one answer. ``namespace`` None means all of them.

        ``metadata_only`` leaves out all but kind, apiVersion and metadata of each object.

        Raises:
            Expired: the resourceVersion or the continue token is no longer served.
        """
        resolved = await self.kind_of(kind)
        query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "resourceVersion": resource_version,
            "resourceVersionMatch": resource_version_match,
            "limit": str(limit) if limit else "",
            "continue": continue_token,
        }
        accept = METADATA_ONLY.format("PartialObjectMetadataList") if metadata_only else "application/json"
        answer = await self._exchange("GET", with_query(resolved.path(namespace), query), accept=accept)
        return decode_list(answer, resolved)

    async def list_all(
        self,
        kind: KindLike,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        metadata_only: bool = False,
    ) -> ObjectList:
        """The whole list, fetched in pages of one consistent snapshot.

        Where that snapshot is compacted between two pages, the list is asked for once more, in one piece (client-go
        ``tools/pager``, ``FullListIfExpired``).

        Raises:
            Expired: ``resource_version`` is no longer served.
        """
        ask = partial(
            self.list,
            kind,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            metadata_only=metadata_only,
        )
        ask_first = partial(ask, resource_version=resource_version, resource_version_match=resource_version_match)
        page = await ask_first(limit=PAGE_SIZE)
        items, first = page.items, page.resource_version
        while page.continue_token:
            try:
                page = await ask(limit=PAGE_SIZE, continue_token=page.continue_token)
            except Gone:
                return await ask_first()
            items += page.items
        return ObjectList(items=items, resource_version=first)

    @asynccontextmanager
    async def watch(
        self,
        kind: KindLike,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        send_initial_events: bool = False,
        timeout_s: float | None = None,
        idle_timeout_s: float | None = None,
        metadata_only: bool = False,
    ) -> AsyncIterator[WatchStream]:
        """Opens a watch with bookmarks; iterate over what it yields. ``metadata_only`` as of ``list``.

        ``timeout_s`` is asked of the server; ``idle_timeout_s`` bounds the silence on our side, after which
        DeadlineExceeded is raised (None: ``timeout_s`` and a margin, else ``WATCH_IDLE_S``). It is raised too where
        something still comes after ``timeout_s`` and a margin: a server keeps its time, so that is no server.
        """
        resolved = await self.kind_of(kind)
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "sendInitialEvents": "true" if send_initial_events else "",
            "resourceVersionMatch": "NotOlderThan" if send_initial_events else "",
            "timeoutSeconds": str(int(timeout_s)) if timeout_s else "",
        }
        path = with_query(resolved.path(namespace), query)
        ends_at = self._clock.monotonic() + timeout_s + WATCH_MARGIN_S if timeout_s else float("inf")
        silence_s = idle_timeout_s or (timeout_s + WATCH_MARGIN_S if timeout_s else WATCH_IDLE_S)
        request = WireRequest(
            method="GET",
            path=path,
            headers={"Accept": METADATA_ONLY.format("PartialObjectMetadata") if metadata_only else "application/json"},
            timeout_s=self._timeout_s,
            idle_timeout_s=silence_s,
        )
        async with self._transport.send(request) as response:
            self._warnings.look(response.headers)
            if response.status != 200:
                raise await error_of(response, request, self._origin)
            what = f"WATCH {path.partition('?')[0]}"
            yield WatchStream(response.chunks(), resolved.gvk, what, clock=self._clock, ends_at=ends_at)

    # -- writes --------------------------------------------------------------------------------------------------

    async def create(self, value: ObjectLike, *, field_manager: str = "", dry_run: bool = False) -> Object:
        """Creates; the namespace is the object's own, else the client's.

        Raises:
            AlreadyExists: the name is taken.
            Invalid: validation failed; ``causes`` names the fields.
        """
        source = _bytes_of(value)
        kind = await self.kind_of(source.gvk)
        namespace = source.namespace or self.namespace
        self._check("create", value, source)
        write = self._about("create", kind, namespace, source.name, dry_run=dry_run)
        return await self._write(write, kind.path(namespace), source.raw, field_manager=field_manager)

    async def create_subresource(
        self,
        kind: KindLike,
        name: str | Key,
        subresource: str,
        value: ObjectLike,
        namespace: str | None = None,
        *,
        dry_run: bool = False,
    ) -> Object:
        """What is asked of an object by a POST: ``eviction`` and ``binding`` of a Pod, ``token`` of a ServiceAccount.

        Raises:
            TooManyRequests: an eviction that a PodDisruptionBudget does not allow now.
        """
        resolved, path = await self._path(kind, name, namespace, subresource)
        write = self._about("create", resolved, namespace, name, subresource, dry_run=dry_run)
        body = msgspec.json.encode(value) if isinstance(value, Mapping) else _bytes_of(value).raw
        return await self._write(write, path, body)

    async def update(
        self, value: ObjectLike, *, subresource: str = "", field_manager: str = "", dry_run: bool = False
    ) -> Object:
        """Replaces the object, if its resourceVersion is still the current one.

        Raises:
            Conflict: it is not.
        """
        source = _bytes_of(value)
        kind, path = await self._path(source.gvk, source.key, None, subresource)
        self._check("update", value, source, subresource)
        write = self._about("update", kind, source.namespace, source.name, subresource, dry_run=dry_run)
        return await self._write(write, path, source.raw, field_manager=field_manager)

    async def update_status(self, value: ObjectLike, *, field_manager: str = "", dry_run: bool = False) -> Object:
        """``update`` of the status subresource: only ``status`` is taken."""
        return await self.update(value, subresource="status", field_manager=field_manager, dry_run=dry_run)

    async def patch(
        self,
        kind: KindLike,
        name: str | Key,
        patch: Mapping[str, Any] | Sequence[Any],
        namespace: str | None = None,
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """Changes a part of the object.

        Raises:
            Conflict: the patch holds a resourceVersion that is not current, or (apply, without ``force``) a
                field of another manager.
        """
        resolved, path = await self._path(kind, name, namespace, subresource)
        verb: Verb = "apply" if patch_type is PatchType.APPLY else "patch"
        write = self._about(verb, resolved, namespace, name, subresource, dry_run=dry_run)
        body = msgspec.json.encode(patch)
        return await self._write(
            write, path, body, content_type=patch_type.value, field_manager=field_manager, force=force
        )

    async def apply(
        self,
        value: ObjectLike,
        *,
        subresource: str = "",
        field_manager: str = "",
        force: bool = True,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply: makes the fields given ours and as given, creating the object where it is absent."""
        source = _bytes_of(value)
        kind, path = await self._path(source.gvk, source.key, None, subresource)
        self._check("apply", value, source, subresource)
        write = self._about("apply", kind, source.namespace, source.name, subresource, dry_run=dry_run)
        return await self._write(
            write, path, source.raw, content_type=PatchType.APPLY.value, field_manager=field_manager, force=force
        )

    async def delete(
        self,
        kind: KindLike,
        name: str | Key,
        namespace: str | None = None,
        *,
        grace_period_s: int | None = None,
        propagation_policy: str = "",
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> Object | None:
        """Asks for deletion. Returns the object while finalizers or a grace period keep it, None once it is gone.

        ``uid`` and ``resource_version`` are preconditions.

        Raises:
            NotFound: there is none.
            Conflict: a precondition does not hold.
        """
        resolved, path = await self._path(kind, name, namespace, "")
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if propagation_policy:
            options["propagationPolicy"] = propagation_policy
        if preconditions := {k: v for k, v in (("uid", uid), ("resourceVersion", resource_version)) if v}:
            options["preconditions"] = preconditions
        write = self._about("delete", resolved, namespace, name, dry_run=dry_run)
        if write.dry_run:
            options["dryRun"] = ["All"]

        async def send() -> Object | None:
            answer = await self._exchange("DELETE", path, msgspec.json.encode(options))
            value: dict[str, Any] = msgspec.json.decode(answer)
            return None if value.get("kind") == "Status" else self._object(answer, resolved)

        return await self._hooked(write, send)

    # -- below the verbs -----------------------------------------------------------------------------------------

    async def request_json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Any other endpoint: sends JSON, returns decoded JSON. No hook is asked; ``dry_run`` counts here too."""
        if self.dry_run and method != "GET":
            path += f"{'&' if '?' in path else '?'}dryRun=All"
            if method == "DELETE" and body is not None:
                body = {**body, "dryRun": ["All"]}  # the server then reads no query
        return msgspec.json.decode(
            await self._exchange(method, path, None if body is None else msgspec.json.encode(body))
        )

    async def request_text(self, path: str) -> str:
        """GET of an endpoint that answers text, such as a Pod's ``log``."""
        return (await self._exchange("GET", path, accept="*/*")).decode(errors="replace")

    def _check(self, verb: Verb, value: ObjectLike, source: Object, subresource: str = "") -> None:
        """Judges what is to be sent, where that is asked for.

        Raises:
            Invalid: it would be refused; the message names each field and rule.
        """
        if self.check_writes is None or subresource not in ("", "status"):
            return
        model = type(value) if isinstance(value, Resource) else self.check_writes.get(source.gvk)
        if model is not None:
            from controllerkit.schema.judging import judge_write

            read = value.read_from if isinstance(value, Resource) else None
            old = read.to_dict() if read is not None else None
            judged = judge_write(model, verb, source.to_dict(), old, subresource=subresource)
            judged.raise_if_violated(f"{source.kind} {source.key}")

    def _about(
        self,
        verb: Verb,
        kind: Kind,
        namespace: str | None,
        name: str | Key,
        subresource: str = "",
        *,
        dry_run: bool,
    ) -> Write:
        if isinstance(name, Key):
            namespace, name = name.namespace, name.name
        key = Key((namespace or self.namespace) if kind.namespaced else "", name)
        return Write(verb, kind, key, subresource, dry_run or self.dry_run)

    async def _hooked(self, write: Write, send: Callable[[], Awaitable[T]]) -> T:
        """``send`` between the hooks that were there when it began."""
        asked: list[WriteHook] = []
        answer: T | None = None
        failure: BaseException | None = None
        try:
            for hook in tuple(self.hooks):
                hook.before(write)
                asked.append(hook)
            answer = await send()
            return answer
        except BaseException as error:
            failure = error
            raise
        finally:
            for hook in reversed(asked):
                hook.after(write, answer if isinstance(answer, Object) else None, failure)

    async def _write(
        self,
        write: Write,
        path: str,
        body: bytes,
        *,
        content_type: str = "application/json",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        query = {
            "fieldManager": field_manager or self.field_manager,
            "force": "true" if force and content_type == PatchType.APPLY.value else "",
            "fieldValidation": self.field_validation,
            "dryRun": "All" if write.dry_run else "",
        }

        async def send() -> Object:
            answer = await self._exchange(
                _METHODS[write.verb], with_query(path, query), body, content_type=content_type
            )
            return self._object(answer, write.kind)

        return await self._hooked(write, send)

    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        request = WireRequest(method=method, path=path, headers=headers, body=body, timeout_s=self._timeout_s)
        for attempt in range(RETRIES_MAX + 1):
            async with self._transport.send(request) as response:
                self._warnings.look(response.headers)
                if response.status < 300:
                    return await response.read()
                error = await error_of(response, request, self._origin)
            if error.retry_after_s is None or attempt == RETRIES_MAX or not worth_a_retry(error):
                raise error
            await self._clock.sleep(error.retry_after_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _path(self, kind: KindLike, name: str | Key, namespace: str | None, subresource: str) -> tuple[Kind, str]:
        resolved = await self.kind_of(kind)
        if isinstance(name, Key):
            namespace, name = name.namespace, name.name
        if not name:
            raise BadRequest(f"a {resolved.kind} was asked for without a name")
        return resolved, resolved.path(namespace or self.namespace, quote(name, safe=""), subresource)

    @staticmethod
    def _object(answer: bytes, kind: Kind) -> Object:
        """The object of an answer: the very bytes that a watch brings, where a newline follows none."""
        return Object.from_bytes(answer.rstrip(b"\n"), gvk=kind.gvk)


def with_query(path: str, query: Mapping[str, str]) -> str:
    """``path`` with those parameters that are not empty."""
    given = {key: value for key, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path
