"""Whose a token is: bytes in, bytes out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from controllerkit.errors import Unauthorized
from controllerkit.webhook import TokenAnswer, TokenQuestion, UserInfo, review_token
from controllerkit.webhook.authentication import TOKEN_REVIEW_BYTES_MAX

ANNA = UserInfo("anna", "7", ("staff",), {"example.dev/shift": ("night",)})


async def know_anna(question: TokenQuestion) -> TokenAnswer:
    if question.token == "sesame":
        return TokenAnswer.known(ANNA, *question.audiences[:1])
    return TokenAnswer.unknown()


def review(token: str = "sesame", version: str = "v1", **spec: Any) -> bytes:
    value = {"apiVersion": f"authentication.k8s.io/{version}", "kind": "TokenReview"}
    return json.dumps({**value, "metadata": {"creationTimestamp": None}, "spec": {"token": token, **spec}}).encode()


async def answered(
    body: bytes, handler: Any = know_anna, content_type: str = "application/json", **options: Any
) -> Any:
    return json.loads(await review_token(body, content_type, handler, **options))


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_token_that_is_known_is_its_users(version: str) -> None:
    assert await answered(review(version=version, audiences=["a", "b"])) == {
        "apiVersion": f"authentication.k8s.io/{version}",
        "kind": "TokenReview",
        "status": {
            "authenticated": True,
            "user": {"username": "anna", "uid": "7", "groups": ["staff"], "extra": {"example.dev/shift": ["night"]}},
            "audiences": ["a"],
        },
    }


async def test_one_that_is_not_known_is_nobodys() -> None:
    assert (await answered(review("open")))["status"] == {"authenticated": False}


@pytest.mark.parametrize(
    ("body", "content_type", "error"),
    [
        (b"", "application/json", "the body is empty"),
        (b"{", "application/json", "the body is no TokenReview"),
        (review(), "text/plain", "the content type is 'text/plain', not application/json"),
        (review(""), "application/json", "the TokenReview has no token"),
        (b'{"kind": "TokenReview"}', "application/json", "the TokenReview has no token"),
        (b'{"kind": "Pod", "apiVersion": "v1"}', "application/json", "the body is Pod of v1, not TokenReview"),
        (review("x" * TOKEN_REVIEW_BYTES_MAX), "application/json", "the body is larger than 1 MiB"),
    ],
    ids=["empty", "no JSON", "content type", "no token", "no spec", "another kind", "too large"],
)
async def test_what_cannot_be_read_is_answered_with_why(body: bytes, content_type: str, error: str) -> None:
    status = (await answered(body, content_type=content_type))["status"]
    assert (status["authenticated"], error in status["error"]) == (False, True)


async def test_whatever_a_handler_does_there_is_an_answer_without_the_token() -> None:
    seen: list[Exception] = []

    async def refuse(question: TokenQuestion) -> TokenAnswer:
        raise Unauthorized("the directory is away")

    async def fail(question: TokenQuestion) -> TokenAnswer:
        raise RuntimeError(f"cannot read {question.token}")

    async def wait(question: TokenQuestion) -> TokenAnswer:
        await asyncio.Event().wait()
        raise AssertionError

    assert (await answered(review(), refuse))["status"]["error"] == "the directory is away"
    assert (await answered(review(), fail, on_panic=seen.append))["status"][
        "error"
    ] == "the webhook failed: RuntimeError"
    assert [type(each) for each in seen] == [RuntimeError]
    assert "did not answer" in (await answered(review(), wait, timeout_s=0.01))["status"]["error"]
    assert "sesame" not in repr(TokenQuestion("sesame"))
