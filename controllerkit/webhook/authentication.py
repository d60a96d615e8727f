"""Authentication: whose a token is, asked by the API server of a webhook. No I/O here: bytes in, bytes out.

The API server asks what ``--authentication-token-webhook-config-file`` names. Source: ``authentication.k8s.io/v1
TokenReview``; controller-runtime ``pkg/webhook/authentication``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from controllerkit.errors import ApiError, BadRequest, RequestEntityTooLarge, ServerTimeout
from controllerkit.webhook.admission import UserInfo, check_body

__all__ = ["TokenAnswer", "TokenHandler", "TokenQuestion", "review_token"]

TOKEN_REVIEW_BYTES_MAX: Final = 2**20
"""controller-runtime ``authentication/http.go``."""

VERSIONS: Final = ("authentication.k8s.io/v1", "authentication.k8s.io/v1beta1")


@dataclass(frozen=True, slots=True)
class TokenQuestion:
    """Whose is this token? ``audiences``: for whom it is to be; () for the API server itself."""

    token: str = field(repr=False)
    audiences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """Whose it is, or that it is nobody's.

    Attributes:
        audiences: those of the question that the token is for; the API server refuses it where there were some and
            it is for none.
        error: why it could not be told; goes into the API server's log and never to the caller.
    """

    authenticated: bool
    user: UserInfo = field(default_factory=UserInfo)
    audiences: tuple[str, ...] = ()
    error: str = ""

    @classmethod
    def known(cls, user: UserInfo, *audiences: str) -> TokenAnswer:
        """It is that user's."""
        return cls(authenticated=True, user=user, audiences=audiences)

    @classmethod
    def unknown(cls, why: str = "") -> TokenAnswer:
        """It is nobody's, as far as is known here: other authenticators are asked."""
        return cls(authenticated=False, error=why)


TokenHandler = Callable[[TokenQuestion], Awaitable[TokenAnswer]]
"""Answers one question. What it raises is answered as `TokenAnswer.unknown`."""


class _Spec(msgspec.Struct):
    token: str = ""
    audiences: tuple[str, ...] | None = None


class _Review(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    spec: _Spec | None = None


_decoder: Final = msgspec.json.Decoder(_Review)


def decode_question(body: bytes, content_type: str) -> tuple[TokenQuestion, str]:
    """The question in a TokenReview, and the apiVersion in which it wants its answer.

    Raises:
        BadRequest: no body, not JSON, no TokenReview, no token. RequestEntityTooLarge: more than
            TOKEN_REVIEW_BYTES_MAX.
    """
    if len(body) > TOKEN_REVIEW_BYTES_MAX:
        raise RequestEntityTooLarge(f"the body is larger than {TOKEN_REVIEW_BYTES_MAX // 2**20} MiB")
    check_body(body, content_type)
    try:
        found = _decoder.decode(body)
    except msgspec.MsgspecError:
        raise BadRequest("the body is no TokenReview") from None  # the decoder's words may hold a token
    if found.kind not in ("TokenReview", "") or found.api_version not in (*VERSIONS, ""):
        raise BadRequest(f"the body is {found.kind} of {found.api_version}, not TokenReview of {VERSIONS[0]}")
    if found.spec is None or not found.spec.token:
        raise BadRequest("the TokenReview has no token")
    return TokenQuestion(found.spec.token, found.spec.audiences or ()), found.api_version


def encode_answer(answer: TokenAnswer, api_version: str = "") -> bytes:
    """The TokenReview that answers; the token is not repeated in it."""
    status: dict[str, Any] = {"authenticated": answer.authenticated}
    if answer.authenticated:
        user = answer.user
        told = {"username": user.username, "uid": user.uid, "groups": list(user.groups), "extra": dict(user.extra)}
        status["user"] = {name: value for name, value in told.items() if value}
    if answer.audiences:
        status["audiences"] = list(answer.audiences)
    if answer.error:
        status["error"] = answer.error
    return msgspec.json.encode({"apiVersion": api_version or VERSIONS[0], "kind": "TokenReview", "status": status})


async def review_token(
    body: bytes,
    content_type: str,
    handler: TokenHandler,
    *,
    timeout_s: float | None = None,
    on_panic: Callable[[Exception], None] = lambda error: None,
) -> bytes:
    """Answers a TokenReview, whatever happens.

    Guarantees:
        The apiVersion is that which was asked in. What cannot be decoded, and what the handler raises or takes longer
        than ``timeout_s`` for, is answered as a token that is not known, with the error; what is no ApiError also
        goes to ``on_panic``, and of it the type alone is told.
    """
    api_version = ""
    try:
        question, api_version = decode_question(body, content_type)
        try:
            async with asyncio.timeout(timeout_s) as limit:
                answer = await handler(question)
        except TimeoutError as error:
            if not limit.expired():  # the handler's own
                raise
            raise ServerTimeout(f"the webhook did not answer within {timeout_s} s") from error
    except ApiError as error:
        answer = TokenAnswer.unknown(error.message)
    except Exception as error:  # an answer tells more than a connection that breaks
        on_panic(error)
        answer = TokenAnswer.unknown(f"the webhook failed: {type(error).__name__}")
    return encode_answer(answer, api_version)
