"""Finalizers: work to be done before an object may go (``controllerutil``, ``pkg/finalizer``)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from controllerkit.client import Client
from controllerkit.errors import ConfigError
from controllerkit.objects import Object

__all__ = ["Finalizers", "add_finalizer", "has_finalizer", "remove_finalizer"]

_QUALIFIED: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def has_finalizer(value: Object | Mapping[str, Any], name: str) -> bool:
    """Whether ``name`` is among the finalizers."""
    finalizers = value.finalizers if isinstance(value, Object) else value.get("metadata", {}).get("finalizers")
    return name in (finalizers or ())


def add_finalizer(value: dict[str, Any], name: str) -> bool:
    """Adds ``name`` in place; whether that changed anything."""
    finalizers = value.setdefault("metadata", {}).setdefault("finalizers", [])
    if name in finalizers:
        return False
    finalizers.append(name)
    return True


def remove_finalizer(value: dict[str, Any], name: str) -> bool:
    """Removes every ``name`` in place; whether that changed anything."""
    metadata = value.get("metadata", {})
    finalizers = metadata.get("finalizers") or []
    left = [each for each in finalizers if each != name]
    if len(left) == len(finalizers):
        return False
    metadata["finalizers"] = left
    return True


class Finalizers:
    """Named clean-ups of a kind, each kept by a finalizer of that name.

    Example:
        ``self.finalizers = Finalizers({"example.dev/bucket": self.drop_bucket})`` and at the top of ``reconcile``:
        ``if await self.finalizers.finalize(self.client, found): return None``.
    Raises:
        ConfigError: a name is not of the form ``domain/name``, which API servers ask for.
    """

    def __init__(self, cleanups: Mapping[str, Callable[[Object], Awaitable[None]]]) -> None:
        for name in cleanups:
            if not _QUALIFIED.fullmatch(name):
                raise ConfigError(f"a finalizer is named domain/name, such as example.dev/bucket; got {name!r}")
        self._cleanups = dict(cleanups)

    async def finalize(self, client: Client, value: Object) -> bool:
        """Adds the finalizers that are missing, or, where deletion was asked for, cleans up and removes them.

        Returns whether the object is on its way out, so that nothing more should be made for it. A clean-up whose
        finalizer is gone is not called again; one that raises keeps its finalizer and lets the others run.

        Raises:
            ExceptionGroup: of what clean-ups raised, after those that succeeded were removed.
            Conflict: the object has changed; the next pass sees it.
        """
        changed = value.to_dict()
        if not value.deleting:
            added = [name for name in self._cleanups if add_finalizer(changed, name)]
            if added:
                await self._write(client, value, changed)
            return False
        failures = []
        for name, cleanup in self._cleanups.items():
            if not has_finalizer(value, name):
                continue
            try:
                await cleanup(value)
            except Exception as error:  # of this clean-up alone; told below
                error.add_note(f"finalizer {name} of {value.kind} {value.key}")
                failures.append(error)
            else:
                remove_finalizer(changed, name)
        if len(changed["metadata"].get("finalizers", ())) != len(list(value.finalizers)):
            await self._write(client, value, changed)
        if failures:
            raise ExceptionGroup(f"clean-up of {value.kind} {value.key} is not done", failures)
        return True

    async def _write(self, client: Client, value: Object, changed: Mapping[str, Any]) -> None:
        metadata = {
            "finalizers": changed["metadata"].get("finalizers", []),
            "resourceVersion": value.resource_version,
        }
        await client.patch(value.gvk, value.key, {"metadata": metadata})
