"""What a handler knows if it only ever believed what it was told, and a log that counts."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from controllerkit.cache import Handler, Informer
from controllerkit.errors import ApiError, TransportError
from controllerkit.objects import Key, Object

__all__ = ["CountingLog", "View"]


class View:
    """Replays what a handler is told, and notes what it should never have been told."""

    def __init__(self, name: str, informer: Informer, *, resync_s: float = 0.0) -> None:
        self.name = name
        self.informer = informer
        self.versions: dict[Key, tuple[str, int]] = {}
        self.told: Counter[str] = Counter()
        self.violations: list[str] = []
        handler = Handler(on_add=self._add, on_update=self._update, on_delete=self._delete)
        self.registration = informer.add_handler(handler, resync_s=resync_s)

    def _add(self, value: Object, _: bool) -> None:
        self.told["add"] += 1
        if value.key in self.versions:
            self._wrong("added twice", value)
        self.versions[value.key] = _version(value)

    def _update(self, old: Object, new: Object) -> None:
        self.told["update"] += 1
        known = self.versions.get(new.key)
        if known != _version(old):
            self._wrong(f"updated from what it was not ({known})", old)
        if old.uid == new.uid and _version(new)[1] < _version(old)[1]:
            self._wrong(f"went back to {new.resource_version}", old)
        self.versions[new.key] = _version(new)

    def _delete(self, value: Object) -> None:
        self.told["delete"] += 1
        if self.versions.pop(value.key, None) is None:
            self._wrong("deleted, and was not there", value)

    def _wrong(self, what: str, value: Object) -> None:
        self.violations.append(f"{self.name}: {value.key} at {value.resource_version}: {what}")

    def differences(self) -> list[str]:
        """Between this and the informer's store."""
        stored = {value.key: _version(value) for value in self.informer.store}
        return [
            f"{self.name}: {key}: the handler knows {self.versions.get(key)}, the store has {stored.get(key)}"
            for key in sorted(self.versions.keys() | stored.keys())
            if self.versions.get(key) != stored.get(key)
        ]


def _version(value: Object) -> tuple[str, int]:
    return value.uid, int(value.resource_version)


class CountingLog:
    """A log of which only counts are kept, and what no fault of a network or a server explains."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.expired = 0
        self.bugs: list[str] = []

    def bind(self, **_: Any) -> CountingLog:
        return self

    def debug(self, event: str, **_: Any) -> None:
        """Not counted."""

    def info(self, event: str, **values: Any) -> None:
        self.counts[event] += 1

    def warning(self, event: str, **values: Any) -> None:
        self.counts[event] += 1
        text = str(values.get("error", ""))
        self.expired += "Expired" in text or "410" in text

    def exception(self, event: str, **values: Any) -> None:
        self.error(event, **values)

    def error(self, event: str, **values: Any) -> None:
        self.counts[event] += 1
        cause = values.get("exc_info", sys.exc_info()[1])
        if not isinstance(cause, ApiError | TransportError):
            self.bugs.append(f"{event} {values} {cause!r}")
