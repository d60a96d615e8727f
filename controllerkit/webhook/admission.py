"""Admission: what the API server asks of a webhook, and the answer. No I/O here: bytes in, bytes out."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import msgspec

from controllerkit.errors import ApiError, BadRequest, MalformedObject, RequestEntityTooLarge, ServerTimeout
from controllerkit.objects import GVK, GVR, Key, Object
from controllerkit.webhook.patches import json_patch

__all__ = [
    "BODY_BYTES_MAX",
    "AdmissionRequest",
    "AdmissionResponse",
    "Handler",
    "Operation",
    "UserInfo",
    "current_request",
    "decode_review",
    "encode_review",
    "mutating",
    "review",
    "validating",
]

BODY_BYTES_MAX: Final = 7 * 2**20
"""controller-runtime ``admission/http.go``: etcd takes 3 MiB, a review holds two objects, and some is added."""

VERSIONS: Final = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who asked (``authentication.k8s.io/v1 UserInfo``)."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRequest:
    """What somebody wants to do (``admission.k8s.io/v1 AdmissionRequest``).

    Attributes:
        kind, resource: as the webhook's rule names them. request_kind, request_resource: as the caller did, which is
            another version where ``matchPolicy`` is Equivalent.
        raw_object, raw_old_object: JSON; None where the operation has none. `object` and `old_object` decode them.
        raw_options: the options of the operation, as ``CreateOptions``.
    """

    uid: str
    operation: Operation
    kind: GVK
    resource: GVR
    key: Key
    subresource: str = ""
    request_kind: GVK
    request_resource: GVR
    user: UserInfo = field(default_factory=UserInfo)
    dry_run: bool = False
    raw_object: bytes | None = None
    raw_old_object: bytes | None = None
    raw_options: bytes | None = None

    @property
    def object(self) -> Object:
        """The object as it shall become.

        Raises:
            BadRequest: there is none, or it has no metadata.
        """
        return self._decoded(self.raw_object, "object")

    @property
    def old_object(self) -> Object:
        """The object as it is; of UPDATE and DELETE. Raises as `object`."""
        return self._decoded(self.raw_old_object, "oldObject")

    def _decoded(self, raw: bytes | None, name: str) -> Object:
        if raw is None:
            raise BadRequest(f"the {self.operation} of {self.kind.kind} {self.key} came without {name}")
        try:
            return Object.from_bytes(raw)
        except MalformedObject as error:
            raise BadRequest(f"the {name} of {self.operation} {self.kind.kind} {self.key}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionResponse:
    """The answer.

    Attributes:
        object: what the object shall be instead, the whole of it; the patch is made of it. None leaves it as it is.
        code, reason, message, details: of the Status that the caller gets, where it is refused.
        warnings: shown to the caller by kubectl; the API server cuts them at 256 characters where they are many.
        audit: annotations for the audit log.
    """

    allowed: bool
    object: Mapping[str, Any] | None = None
    code: int = 200
    reason: str = ""
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    audit: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def allow(cls, *warnings: str, object: Mapping[str, Any] | None = None) -> AdmissionResponse:  # noqa: A002 - the API's name
        """It may be done."""
        return cls(allowed=True, warnings=warnings, object=object)

    @classmethod
    def deny(cls, message: str, *warnings: str) -> AdmissionResponse:
        """It may not: 403 Forbidden."""
        return cls(allowed=False, code=403, reason="Forbidden", message=message, warnings=warnings)

    @classmethod
    def refused(cls, error: ApiError, *warnings: str) -> AdmissionResponse:
        """It may not, with the status of ``error``; the warnings of a `Denied` are kept."""
        told = (*warnings, *getattr(error, "warnings", ()))
        return cls(
            allowed=False,
            code=error.code,
            reason=error.reason,
            message=error.message,
            details=error.details,
            warnings=told,
        )

    @classmethod
    def errored(cls, message: str, *, code: int = 500) -> AdmissionResponse:
        """The webhook failed, so that it may not; no ``failurePolicy`` is asked, as there was an answer."""
        return cls(allowed=False, code=code, message=message)


Handler = Callable[[AdmissionRequest], Awaitable[AdmissionResponse]]
"""Answers one request. It may raise ApiError (`Denied` above all), which refuses with that status."""

_current: ContextVar[AdmissionRequest] = ContextVar("admission_request")


def current_request() -> AdmissionRequest:
    """The request that is being answered, for defaulters and validators, which are given objects only.

    Raises:
        LookupError: called outside one.
    """
    return _current.get()


# -- the review: bytes in, bytes out -----------------------------------------------------------------------------------


class _Kind(msgspec.Struct):
    kind: str
    group: str = ""
    version: str = ""


class _Resource(msgspec.Struct):
    resource: str
    group: str = ""
    version: str = ""


class _User(msgspec.Struct):
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] | None = None
    extra: dict[str, list[str]] | None = None


_NULL: Final = msgspec.Raw(b"null")


class _Request(msgspec.Struct, rename="camel"):
    uid: str
    operation: Operation
    kind: _Kind
    resource: _Resource
    sub_resource: str | None = None
    request_kind: _Kind | None = None
    request_resource: _Resource | None = None
    name: str = ""
    namespace: str = ""
    user_info: _User | None = None
    dry_run: bool | None = None
    object: msgspec.Raw = _NULL
    old_object: msgspec.Raw = _NULL
    options: msgspec.Raw = _NULL


class _Review(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    request: _Request | None = None


_decoder: Final = msgspec.json.Decoder(_Review)


def decode_review(body: bytes, content_type: str) -> tuple[AdmissionRequest, str]:
    """The request in an AdmissionReview, and the apiVersion in which it wants its answer.

    Raises:
        BadRequest: no body, not JSON, no AdmissionReview. RequestEntityTooLarge: more than BODY_BYTES_MAX.
    """
    check_body(body, content_type)
    try:
        found = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is no AdmissionReview: {error}") from error
    if found.kind not in ("AdmissionReview", "") or found.api_version not in (*VERSIONS, ""):
        raise BadRequest(f"the body is {found.kind} of {found.api_version}, not AdmissionReview of {VERSIONS[0]}")
    if found.request is None:
        raise BadRequest("the AdmissionReview has no request")
    return _public(found.request), found.api_version or VERSIONS[0]


def check_body(body: bytes, content_type: str) -> None:
    """Raises what is wrong with it before it is decoded; as `decode_review`."""
    if len(body) > BODY_BYTES_MAX:
        raise RequestEntityTooLarge(f"the body is larger than {BODY_BYTES_MAX // 2**20} MiB")
    if not body:
        raise BadRequest("the body is empty")
    if content_type.partition(";")[0].strip() != "application/json":
        raise BadRequest(f"the content type is {content_type!r}, not application/json")


def _public(request: _Request) -> AdmissionRequest:
    user = request.user_info or _User()
    kind, resource = _gvk(request.kind), _gvr(request.resource)
    return AdmissionRequest(
        uid=request.uid,
        operation=request.operation,
        kind=kind,
        resource=resource,
        key=Key(request.namespace, request.name),
        subresource=request.sub_resource or "",
        request_kind=_gvk(request.request_kind) if request.request_kind is not None else kind,
        request_resource=_gvr(request.request_resource) if request.request_resource is not None else resource,
        user=UserInfo(user.username, user.uid, user.groups or (), user.extra or {}),
        dry_run=bool(request.dry_run),
        raw_object=_raw(request.object),
        raw_old_object=_raw(request.old_object),
        raw_options=_raw(request.options),
    )


def _gvk(kind: _Kind) -> GVK:
    return GVK(kind.group, kind.version, kind.kind)


def _gvr(resource: _Resource) -> GVR:
    return GVR(resource.group, resource.version, resource.resource)


def _raw(raw: msgspec.Raw) -> bytes | None:
    found = bytes(raw)
    return None if found == b"null" else found


def encode_review(request: AdmissionRequest | None, response: AdmissionResponse, api_version: str = "") -> bytes:
    """The AdmissionReview that answers ``request`` (None: it could not be decoded), with its uid."""
    answer: dict[str, Any] = {"uid": request.uid if request is not None else "", "allowed": response.allowed}
    status = {"code": response.code, "reason": response.reason, "message": response.message}
    if response.details:
        status["details"] = response.details
    if not response.allowed:
        status["status"] = "Failure"
    answer["status"] = {name: value for name, value in status.items() if value}
    if response.allowed and response.object is not None and request is not None and request.raw_object is not None:
        operations = json_patch(msgspec.json.decode(request.raw_object), response.object)
        if operations:
            answer["patchType"] = "JSONPatch"
            answer["patch"] = base64.b64encode(msgspec.json.encode(operations)).decode()
    if response.warnings:
        answer["warnings"] = list(response.warnings)
    if response.audit:
        answer["auditAnnotations"] = dict(response.audit)
    return msgspec.json.encode(
        {"apiVersion": api_version or VERSIONS[0], "kind": "AdmissionReview", "response": answer}
    )


async def review(
    body: bytes,
    content_type: str,
    handler: Handler,
    *,
    timeout_s: float | None = None,
    on_panic: Callable[[AdmissionRequest, Exception], None] = lambda request, error: None,
) -> bytes:
    """Answers an AdmissionReview, whatever happens.

    Guarantees:
        The uid and the apiVersion are those that were asked with. What cannot be decoded is refused with 400 (413
        where it is too large); an ApiError of the handler with its own status; any other exception with 500, after
        ``on_panic``; a handler that takes longer than ``timeout_s`` with 504.
    """
    request, api_version = None, ""
    try:
        request, api_version = decode_review(body, content_type)
        token = _current.set(request)
        try:
            async with asyncio.timeout(timeout_s) as limit:
                response = await handler(request)
        except TimeoutError as error:
            if not limit.expired():  # the handler's own
                raise
            raise ServerTimeout(f"the webhook did not answer within {timeout_s} s") from error
        finally:
            _current.reset(token)
        answer = encode_review(request, response, api_version)
    except ApiError as error:
        answer = encode_review(request, AdmissionResponse.refused(error), api_version)
    except Exception as error:  # an answer with the reason tells more than a connection that breaks
        if request is not None:
            on_panic(request, error)
        failed = AdmissionResponse.errored(f"the webhook failed: {type(error).__name__}: {error}")
        answer = encode_review(request, failed, api_version)
    return answer


# -- several handlers as one -------------------------------------------------------------------------------------------


def mutating(*handlers: Handler) -> Handler:
    """One after another, each given what the one before made of the object; their patches are one.

    The first that refuses is the answer; warnings and audit annotations of those before it are kept.
    """
    return _chained(handlers, changes=True)


def validating(*handlers: Handler) -> Handler:
    """One after another, until one refuses; warnings and audit annotations are kept."""
    return _chained(handlers, changes=False)


def _chained(handlers: Sequence[Handler], *, changes: bool) -> Handler:
    async def all_of_them(request: AdmissionRequest) -> AdmissionResponse:
        done = AdmissionResponse.allow()
        for handler in handlers:
            try:
                response = await handler(request)
            except ApiError as error:
                response = AdmissionResponse.refused(error)
            audit = {**done.audit, **response.audit}
            changed = response.object if changes and response.object is not None else done.object
            done = replace(response, warnings=(*done.warnings, *response.warnings), audit=audit, object=changed)
            if not response.allowed:
                break
            if changes and response.object is not None:
                request = replace(request, raw_object=msgspec.json.encode(response.object))
        return done

    return all_of_them
