"""What a server answers: lists, and refusals."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from controllerkit.errors import ApiError, MalformedObject, api_error
from controllerkit.objects import Kind, Object
from controllerkit.wire import WireRequest, WireResponse

__all__ = ["ObjectList", "decode_list", "error_of", "worth_a_retry"]


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None


class _List(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] | None = None


_list_decoder: Final = msgspec.json.Decoder(_List)


class ObjectList(msgspec.Struct, frozen=True, kw_only=True):
    """One page, or a whole list. ``continue_token`` is "" on the last page."""

    items: list[Object]
    resource_version: str
    continue_token: str = ""
    remaining: int | None = None


def decode_list(answer: bytes, kind: Kind) -> ObjectList:
    """A list answer as Objects; items of typed lists have no kind of their own and get the list's.

    Raises:
        MalformedObject: the answer is no list.
    """
    try:
        value = _list_decoder.decode(answer)
    except msgspec.DecodeError as error:
        raise MalformedObject(f"the list of {kind.plural} is no list: {error}; it starts {answer[:120]!r}") from error
    if not value.kind.endswith("List"):
        raise MalformedObject(f"expected a list of {kind.plural}, the server sent {value.kind or 'no kind'}")
    return ObjectList(
        items=[Object.from_bytes(item, gvk=kind.gvk) for item in value.items or ()],
        resource_version=value.metadata.resource_version,
        continue_token=value.metadata.continue_,
        remaining=value.metadata.remaining_item_count,
    )


def worth_a_retry(error: ApiError) -> bool:
    """Where a server that says when may be asked again."""
    return error.code == 429 or error.code >= 500


async def error_of(response: WireResponse, request: WireRequest, origin: str) -> ApiError:
    """The refusal; one of our credentials says where they are from (``origin``), and never what they are."""
    body = await response.read()
    asked = f"{request.method} {request.path.partition('?')[0]}"
    try:
        status: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = body[:300].decode(errors="replace").strip()
        status = {"message": text or f"HTTP status {response.status}"}
    if response.status == 401 and origin:
        status["message"] = f"{status.get('message') or 'Unauthorized'}; {origin}"
    after = response.headers.get("Retry-After", "")
    return api_error(
        status, code=response.status, request=asked, retry_after_s=float(after) if after.isdigit() else None
    )
