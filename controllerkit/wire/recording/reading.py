"""A recording as it is read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from controllerkit.errors import RecordingError
from controllerkit.wire.recording.entries import FORMAT_VERSION, Entry, Header, LastEntry

__all__ = ["Recording", "read_recording"]

_GZIP: Final = b"\x1f\x8b"
_entries: Final = msgspec.json.Decoder(Entry)


class _Version(msgspec.Struct):
    ckrec: int
    controllerkit: str = "of unknown version"


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded. ``whole`` is False for the readable part of a file that breaks off."""

    header: Header
    entries: tuple[Entry, ...]
    whole: bool = True

    @property
    def began(self) -> datetime:
        """The time that every ``t`` counts from."""
        return datetime.fromisoformat(self.header.at)

    @property
    def duration_s(self) -> float:
        """Until the last entry."""
        return self.entries[-1].t if self.entries else 0.0


def read_recording(path: Path, *, partial: bool = False) -> Recording:
    """The recording in ``path``.

    Args:
        partial: what can be read of a file that breaks off is enough.
    Raises:
        RecordingError: there is no such file, it is no recording, one of another format (both versions are named), or
            it breaks off (and how much of it is whole is told).
    """
    lines = _lines(path)
    header = _header(path, next(lines, b""))
    entries: list[Entry] = []
    try:
        entries.extend(_entries.decode(line) for line in lines)
    except msgspec.DecodeError as error:
        raise RecordingError(f"{path}: entry {len(entries) + 1} is none of format {FORMAT_VERSION}: {error}") from error
    last = entries[-1] if entries else None
    if isinstance(last, LastEntry):
        if last.entries != len(entries):
            raise RecordingError(f"{path} holds {len(entries)} entries and should hold {last.entries}")
        return Recording(header, tuple(entries))
    if not partial:
        seconds = f"{entries[-1].t:.1f} s" if entries else "nothing"
        raise RecordingError(
            f"{path} breaks off after {len(entries)} entries ({seconds}): its writer was killed, or the file was cut; "
            "what is whole is replayed with --partial"
        )
    return Recording(header, tuple(entries), whole=False)


def _header(path: Path, line: bytes) -> Header:
    try:
        version = msgspec.json.decode(line, type=_Version)
    except msgspec.DecodeError:
        raise RecordingError(f"{path} is no recording of `controllerkit record`") from None
    if version.ckrec != FORMAT_VERSION:
        raise RecordingError(
            f"{path} has format {version.ckrec} (written by controllerkit {version.controllerkit}); this controllerkit "
            f"reads format {FORMAT_VERSION}: replay it with the controllerkit that wrote it, or record again"
        )
    try:
        return msgspec.json.decode(line, type=Header)
    except msgspec.DecodeError as error:
        raise RecordingError(f"{path} has a header that is none of format {FORMAT_VERSION}: {error}") from error


def _lines(path: Path) -> Iterator[bytes]:
    """Whole lines, as far as the file can be read."""
    try:
        with path.open("rb") as raw:
            if raw.read(2) != _GZIP:
                return
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw) as file:
                try:
                    for line in file:
                        if line.endswith(b"\n"):
                            yield line
                except (EOFError, zlib.error, gzip.BadGzipFile):
                    return
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
