"""The store on disk: a snapshot, and every write since, one line each.

Guarantees:
    After a crash of the process the store is as of the last whole line; a torn last line is dropped.
    After a clean stop the journal is empty and the snapshot is everything.
History is not kept: watches from before a restart are expired, as after a compaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from controllerkit.apiserver.storage import Collection, LogEvent, Store

__all__ = ["Journal"]


class Journal:
    """Reads what was, and records what happens."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._snapshot = folder / "snapshot.jsonl"
        self._journal = folder / "journal.jsonl"
        self._file: IO[bytes] | None = None

    def read(self) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
        """The revision, and every object by collection and key."""
        rv = 1
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for path in (self._snapshot, self._journal):
            for entry in _lines(path):
                rv = max(rv, entry["rv"])
                if "object" in entry:
                    found[entry["in"], entry["key"]] = entry["object"]
                elif "key" in entry:
                    found.pop((entry["in"], entry["key"]), None)
        return rv, found

    def open(self, store: Store) -> None:
        """Writes a snapshot of ``store``, and from now on every event of it."""
        self.snapshot(store)
        store.listen(self._record)

    def snapshot(self, store: Store) -> None:
        """Everything into the snapshot, which replaces the old one whole; the journal starts over."""
        partial = self._snapshot.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(msgspec.json.encode({"rv": store.rv}) + b"\n")
            for collection in store.collections():
                for item in collection.scan():
                    file.write(_line(collection.name, item.key, item.rv, item.raw))
        partial.replace(self._snapshot)
        if self._file is not None:
            self._file.close()
        self._file = self._journal.open("wb")

    def _record(self, collection: Collection, event: LogEvent) -> None:
        if self._file is None:
            return
        raw = None if event.type == "DELETED" else event.item.raw
        self._file.write(_line(collection.name, event.item.key, event.rv, raw))
        self._file.flush()

    def close(self, store: Store) -> None:
        """A last snapshot; nothing is recorded after it."""
        self.snapshot(store)
        if self._file is not None:
            self._file.close()
            self._file = None


def _line(collection: str, key: str, rv: int, raw: bytes | None) -> bytes:
    entry: dict[str, Any] = {"rv": rv, "in": collection, "key": key}
    if raw is not None:
        entry["object"] = msgspec.Raw(raw)
    return msgspec.json.encode(entry) + b"\n"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                yield msgspec.json.decode(line)
            except msgspec.DecodeError:
                # Only the last line can be torn; what follows a torn line was never written.
                return
