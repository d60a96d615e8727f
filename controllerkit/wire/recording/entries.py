"""The format of a recording: JSON lines under gzip; the first is the `Header`, the last a `LastEntry`.

Every other line is an `Entry`, in the order in which things happened. ``t`` is in seconds since the header's ``at``,
``n`` is the number of the exchange that an entry belongs to. Bodies are JSON as they went over the wire, but for what
was redacted; a body that is no JSON (the log of a Pod, protobuf) is not recorded, and ``omitted`` says what it was.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = [
    "FORMAT_VERSION",
    "Answered",
    "Asked",
    "Ended",
    "Entry",
    "Header",
    "LastEntry",
    "Line",
    "Passed",
    "Stopping",
]

FORMAT_VERSION: Final = 1

NOTHING: Final = msgspec.Raw(b"null")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line.

    Attributes:
        ckrec: the version of the format.
        controllerkit: the version of the library that wrote it.
        at: when it began, RFC 3339 with microseconds.
        reconcilers: names of the controllers, each with the kind it reconciles as ``Website.v1.example.dev``.
        redacted: what was hidden, as ``Secret:data``.
        sharded: the process had but a share of the keys.
        namespaces: that were served; empty for all.
        namespace: the client's own, for what says none.
    """

    ckrec: int
    controllerkit: str
    at: str
    reconcilers: dict[str, str] = {}
    redacted: list[str] = []
    sharded: bool = False
    namespaces: list[str] = []
    namespace: str = "default"


class Asked(msgspec.Struct, frozen=True, tag="asked", tag_field="is", omit_defaults=True):
    """A request. Of its headers only the two content types are kept, so no credentials can be among them."""

    t: float
    n: int
    method: str
    path: str
    accept: str = ""
    content_type: str = ""
    body: msgspec.Raw = NOTHING
    omitted: str = ""


class Answered(msgspec.Struct, frozen=True, tag="answered", tag_field="is", omit_defaults=True):
    """The head of an answer, and its body where it is no watch."""

    t: float
    n: int
    status: int
    content_type: str = ""
    retry_after: str = ""
    body: msgspec.Raw = NOTHING
    omitted: str = ""


class Line(msgspec.Struct, frozen=True, tag="line", tag_field="is"):
    """One event of a watch."""

    t: float
    n: int
    line: msgspec.Raw


class Ended(msgspec.Struct, frozen=True, tag="ended", tag_field="is", omit_defaults=True):
    """An exchange that ended otherwise than with its answer: a watch that is over, or an ``error``, by its type."""

    t: float
    n: int
    error: str = ""


class Passed(msgspec.Struct, frozen=True, tag="pass", tag_field="is", omit_defaults=True):
    """A reconcile began; its key had been ready for ``waited_s``."""

    t: float
    controller: str
    key: str
    waited_s: float = 0.0


class Stopping(msgspec.Struct, frozen=True, tag="stopping", tag_field="is"):
    """The operator was told to stop: keys in work are finished, ``ready`` (controller and key) are left undone."""

    t: float
    ready: list[tuple[str, str]]


class LastEntry(msgspec.Struct, frozen=True, tag="last", tag_field="is", omit_defaults=True):
    """The recording is whole. ``why`` it ended; ``unused``: what was to be redacted and never occurred."""

    t: float
    why: str
    entries: int
    unused: list[str] = []


Entry = Asked | Answered | Line | Ended | Passed | Stopping | LastEntry
