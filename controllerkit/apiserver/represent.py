"""How objects are shown: whole, as rows of a Table, or their metadata alone.

A representation turns stored bytes into the bytes of a response, a list, or a watch line. Whole objects are cut
and joined, never decoded, unless the version asked for is not the one stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from controllerkit.apiserver.events import from_core
from controllerkit.apiserver.reading import Page, with_revision
from controllerkit.apiserver.requests import Target
from controllerkit.apiserver.status import EMPTY
from controllerkit.apiserver.storage import EventType, Item, LogEvent, encode_object
from controllerkit.apiserver.table import table_columns, table_row
from controllerkit.errors import NotAcceptable

__all__ = ["Representation", "negotiate"]

_META: Final = "meta.k8s.io"
_METADATA_KINDS: Final = ("PartialObjectMetadata", "PartialObjectMetadataList")
NOT_ACCEPTABLE: Final = (
    "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
    "application/vnd.kubernetes.protobuf, application/json;stream=watch, "
    "application/vnd.kubernetes.protobuf;stream=watch"
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a client takes: the form, and whether in YAML."""

    form: str = ""
    yaml: bool = False


def negotiate(header: str) -> Accepted:
    """The first media type in ``Accept`` that this server has.

    Raises:
        NotAcceptable: it has none of them.
    """
    if not header.strip():
        return Accepted()
    for part in header.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        options = dict(one.split("=", 1) for one in parameters if "=" in one)
        if media in ("application/json", "*/*", "application/*"):
            form = options.get("as", "")
            if form and (options.get("g") != _META or options.get("v") not in ("v1", "v1beta1")):
                continue
            if form in _METADATA_KINDS:
                return Accepted("PartialObjectMetadata")
            if form in ("", "Table"):
                return Accepted(form)
        elif media == "application/yaml" and "as" not in options:
            return Accepted("", yaml=True)
    raise NotAcceptable(NOT_ACCEPTABLE, details=EMPTY)


class Representation:
    """One way to show the objects of one resource version."""

    def __init__(
        self,
        target: Target,
        accepted: Accepted,
        *,
        now: Callable[[], datetime],
        convert: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
        include: str = "",
    ) -> None:
        self._target = target
        self._convert = convert
        self._form = accepted.form
        self._now = now
        self._include = include or "Metadata"
        resource = target.resource
        self._stored_head = _head(resource.api_version(), resource.kind)
        self._head = _head(target.api_version, resource.kind)
        self._converted = resource.group == "events.k8s.io"
        # Rows hold ages, so a line made for one moment is not for another.
        self.key: Any = None if self._form == "Table" else (self._form, target.api_version)

    def _whole(self, raw: bytes) -> bytes:
        if self._converted:
            return encode_object(from_core(msgspec.json.decode(raw)))
        if raw.startswith(self._head):
            return raw
        if raw.startswith(self._stored_head) and not self._target.resource.custom:
            return self._head + raw[len(self._stored_head) :]
        return encode_object(self._convert([msgspec.json.decode(raw)])[0])

    def _all(self, raws: list[bytes]) -> list[bytes]:
        """Whole objects; those of another version are converted together."""
        foreign = [raw for raw in raws if not raw.startswith(self._head)] if self._target.resource.custom else []
        if not foreign:
            return [self._whole(raw) for raw in raws]
        converted = iter(self._convert([msgspec.json.decode(raw) for raw in foreign]))
        return [raw if raw.startswith(self._head) else encode_object(next(converted)) for raw in raws]

    def one(self, raw: bytes) -> bytes:
        """The body of a response that is one object."""
        if self._form == "Table":
            return self._table([raw], "")
        if self._form:
            return msgspec.json.encode(_metadata_only(msgspec.json.decode(self._whole(raw))))
        return self._whole(raw)

    def page(self, page: Page) -> bytes:
        """The body of a list."""
        if self._form == "Table":
            return self._table([item.raw for item in page.items], _list_meta(page))
        if self._form:
            raws = self._all([item.raw for item in page.items])
            items = [msgspec.json.encode(_metadata_only(msgspec.json.decode(raw))) for raw in raws]
            return _list("PartialObjectMetadataList", f"{_META}/v1", page, items)
        resource = self._target.resource
        if resource.custom:
            items = self._all([item.raw for item in page.items])
        else:
            # Items of typed lists leave out what the list's own kind says.
            cut = len(self._head)
            items = [b'{"metadata":' + self._whole(item.raw)[cut:] for item in page.items]
        return _list(resource.list_kind, self._target.api_version, page, items)

    def line(self, event: LogEvent, kind: EventType, item: Item) -> bytes:
        """A watch line; encoded once for everyone who sees the event the same way."""
        key = (self.key, kind)
        if self.key is not None and (known := event.lines.get(key)) is not None:
            return known
        raw = item.raw
        if kind == "DELETED" and item.rv != event.rv:
            raw = encode_object(with_revision(item.decode(), event.rv))
        line = self.event_line(kind, raw)
        if self.key is not None:
            event.lines[key] = line
        return line

    def event_line(self, kind: str, raw: bytes) -> bytes:
        """A watch line that belongs to no event of the log: the objects present at the start."""
        return b'{"type":"' + kind.encode() + b'","object":' + self.one(raw) + b"}\n"

    def event_lines(self, kind: str, raws: list[bytes]) -> list[bytes]:
        """The same of many, converted together."""
        if self._target.resource.custom and not self._form:
            raws = self._all(raws)
        return [self.event_line(kind, raw) for raw in raws]

    def bookmark(self, rv: int, *, initial_end: bool = False) -> bytes:
        """A line that holds nothing but how far the watch has come."""
        metadata: dict[str, Any] = {"resourceVersion": str(rv), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        value: dict[str, Any]
        value = {"kind": self._target.resource.kind, "apiVersion": self._target.api_version, "metadata": metadata}
        if self._form == "PartialObjectMetadata":
            value |= {"kind": self._form, "apiVersion": f"{_META}/v1"}
        elif self._form == "Table":
            empty = {"object": {"kind": "PartialObjectMetadata", "apiVersion": f"{_META}/v1", "metadata": metadata}}
            value = {
                "kind": "Table",
                "apiVersion": f"{_META}/v1",
                "metadata": {"resourceVersion": str(rv)},
                "columnDefinitions": table_columns(self._target),
                "rows": [{"cells": [], **empty}],
            }
        return msgspec.json.encode({"type": "BOOKMARK", "object": value}) + b"\n"

    def _table(self, raws: list[bytes], metadata: str | dict[str, Any]) -> bytes:
        now = self._now()
        rows = []
        if self._target.resource.custom:
            raws = self._all(raws)
        for raw in raws:
            value = msgspec.json.decode(raw)
            row: dict[str, Any] = {"cells": table_row(self._target, value, now)}
            if self._include == "Metadata":
                row["object"] = _metadata_only(value)
            elif self._include == "Object":
                row["object"] = msgspec.json.decode(self._whole(raw))
            rows.append(row)
        if not metadata:
            value = msgspec.json.decode(raws[0])
            metadata = {"resourceVersion": value["metadata"].get("resourceVersion", "")}
        table = {
            "kind": "Table",
            "apiVersion": f"{_META}/v1",
            "metadata": metadata,
            "columnDefinitions": table_columns(self._target),
            "rows": rows,
        }
        return msgspec.json.encode(table)


def _head(api_version: str, kind: str) -> bytes:
    return f'{{"apiVersion":"{api_version}","kind":"{kind}","metadata":'.encode()


def _metadata_only(value: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "PartialObjectMetadata", "apiVersion": f"{_META}/v1", "metadata": value["metadata"]}


def _list_meta(page: Page) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": str(page.rv)}
    if page.continue_token:
        metadata["continue"] = page.continue_token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    return metadata


def _list(kind: str, api_version: str, page: Page, items: list[bytes]) -> bytes:
    metadata = msgspec.json.encode(_list_meta(page))
    head = f'{{"kind":"{kind}","apiVersion":"{api_version}","metadata":'.encode()
    return b"".join((head, metadata, b',"items":[', b",".join(items), b"]}"))
