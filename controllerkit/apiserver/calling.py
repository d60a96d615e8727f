"""Asks webhooks over HTTP: the driver of `inquiry`."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import ssl
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from controllerkit.apiserver.inquiry import Inquiry, Question, Reply

__all__ = ["WebhookCaller"]

_ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
Address = Callable[[str, str, int], tuple[str, int] | None]
"""Where a Service (namespace, name, port) can be reached from this process."""


class WebhookCaller:
    """Asks webhooks, each by its ``clientConfig``; its certificate is checked by ``caBundle``."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._sessions: dict[tuple[bytes, str], aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Ends all connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def answer(self, inquiry: Inquiry, questions: Sequence[Question]) -> None:
        """Asks all at once, and tells what came."""
        replies = await asyncio.gather(*(self._ask(one) for one in questions))
        for question, reply in zip(questions, replies, strict=True):
            inquiry.tell(question, reply)

    async def _ask(self, question: Question) -> Reply:
        uid = str(uuid.uuid4())
        try:
            async with asyncio.timeout(question.timeout_s):
                return await self._post(question, uid)
        except TimeoutError:
            url = _shown_url(msgspec.json.decode(question.client))
            told = f'Post "{url}?timeout={question.timeout_s:g}s": context deadline exceeded'
            return Reply(uid, failure=told)

    async def _post(self, question: Question, uid: str) -> Reply:
        client: Mapping[str, Any] = msgspec.json.decode(question.client)
        url = _shown_url(client)
        asked = f"{url}?timeout={question.timeout_s:g}s"
        session, dialled, failure = self._session(client)
        if session is None:
            return Reply(uid, failure=f'Post "{asked}": {failure}')
        review = {"kind": question.kind, "apiVersion": question.version}
        request = {"uid": uid, **msgspec.json.decode(question.request)}
        body = msgspec.json.encode({**review, "request": request})
        headers = {"Content-Type": "application/json", "Accept": "application/json, */*"}
        try:
            async with session.post(
                f"{dialled}?timeout={question.timeout_s:g}s", data=body, headers=headers, allow_redirects=False
            ) as response:
                raw = await response.content.read(_ANSWER_BYTES_MAX)
                while len(raw) < _ANSWER_BYTES_MAX and (more := await response.content.read(_ANSWER_BYTES_MAX)):
                    raw += more
                return _read(uid, response.status, raw)
        except aiohttp.ClientConnectorCertificateError as error:
            return Reply(uid, failure=f'Post "{asked}": tls: failed to verify certificate: {error.certificate_error}')
        except aiohttp.ClientConnectorError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            told = f"dial tcp {error.host}:{error.port}: connect: {reason}"
            return Reply(uid, failure=f'Post "{asked}": {told}')
        except aiohttp.ClientError as error:
            return Reply(uid, failure=f'Post "{asked}": {error or "EOF"}')

    def _session(self, client: Mapping[str, Any]) -> tuple[aiohttp.ClientSession | None, str, str]:
        """The connections to a webhook, the URL to ask there, or why there is none."""
        try:
            bundle = base64.b64decode(client.get("caBundle") or "", validate=True).strip()
            context = _context(bundle)
        except (ssl.SSLError, ValueError, binascii.Error):
            return None, "", "unable to load root certificates: unable to parse bytes as PEM block"
        resolver, place = None, ""
        if service := client.get("service"):
            namespace, name, port = service["namespace"], service["name"], int(service.get("port") or 443)
            found = self._address(namespace, name, port)
            if found is None:
                return None, "", f'no endpoints available for service "{name}"'
            host, at_port = found
            resolver, place = _Fixed(host), f"{host}:{at_port}"
            dialled = f"https://{name}.{namespace}.svc:{at_port}{_path(service)}"
        else:
            dialled = str(client.get("url") or "")
        key = (bundle, place)
        if key not in self._sessions:
            connector = aiohttp.TCPConnector(ssl=context, limit=0, resolver=resolver)
            self._sessions[key] = aiohttp.ClientSession(connector=connector)
        return self._sessions[key], dialled, ""


class _Fixed(AbstractResolver):
    """Every name is this address: that of a Service, whose name is on its certificate."""

    def __init__(self, host: str) -> None:
        self._host = host

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        import socket

        one = ResolveResult(
            hostname=host, host=self._host, port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
        )
        return [one]

    async def close(self) -> None:
        return


def _path(service: Mapping[str, Any]) -> str:
    path = str(service.get("path") or "")
    return path if path.startswith("/") or not path else f"/{path}"


def _shown_url(client: Mapping[str, Any]) -> str:
    """The URL as errors tell it."""
    if service := client.get("service"):
        port = int(service.get("port") or 443)
        return f"https://{service['name']}.{service['namespace']}.svc:{port}{_path(service)}"
    parts = urlsplit(str(client.get("url") or ""))
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


@lru_cache(maxsize=64)
def _context(bundle: bytes) -> ssl.SSLContext:
    """Trusts the bundle, or without one what this machine trusts."""
    return ssl.create_default_context(cadata=bundle.decode() if bundle else None)


def _read(uid: str, status: int, raw: bytes) -> Reply:
    if status != 200:
        text = raw.decode(errors="replace").strip()
        return Reply(uid, failure=_refused(status, text))
    try:
        value = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        return Reply(uid, failure=f"couldn't get version/kind; json parse error: {error}")
    if not isinstance(value, dict):
        return Reply(uid, failure="couldn't get version/kind; json parse error: it is no object")
    return Reply(uid, value)


_UNEXPLAINED: Final = {
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    500: 'an error on the server ("{}") has prevented the request from succeeding',
}


def _refused(status: int, text: str) -> str:
    """client-go's sentence for an answer that is no Status."""
    if status >= 500:
        return _UNEXPLAINED[500].format(text.replace('"', '\\"') or "unknown")
    return _UNEXPLAINED.get(status, f"the server rejected our request for an unknown reason ({text})")
