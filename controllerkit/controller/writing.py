"""Writes that take several calls: retry on conflict, create or update (``controllerutil``, ``util/retry``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from random import Random
from typing import Any, Final, TypeVar

from controllerkit.client import Client
from controllerkit.controller.differences import merge_patch
from controllerkit.errors import ConfigError, Conflict, NotFound
from controllerkit.objects import Object
from controllerkit.runtime import Backoff, BackoffOptions, Clock, SystemClock

__all__ = ["OperationResult", "create_or_patch", "create_or_update", "retry_on_conflict"]

T = TypeVar("T")

CONFLICT_TRIES: Final = 5
CONFLICT_BACKOFF: Final = BackoffOptions(initial_s=0.01, factor=1.0, max_s=0.01, jitter=0.1)
"""client-go ``retry.DefaultRetry``: 5 tries, 10 ms apart with a tenth of jitter."""


async def retry_on_conflict(
    attempt: Callable[[], Awaitable[T]],
    *,
    tries: int = CONFLICT_TRIES,
    clock: Clock | None = None,
    rng: Random | None = None,
) -> T:
    """Calls ``attempt`` until it raises no Conflict. It must read anew what it changes, each time.

    Raises:
        Conflict: that of the last try; anything else at once. AlreadyExists is no conflict of versions and is not
            retried.
    """
    clock = clock or SystemClock()
    backoff = Backoff(CONFLICT_BACKOFF, rng or Random())
    for left in range(tries - 1, -1, -1):
        try:
            return await attempt()
        except Conflict as error:
            if left == 0 or error.reason != "Conflict":
                raise
        await clock.sleep(backoff.next_s(now=clock.monotonic()))
    raise ConfigError(f"tries must be at least 1, got {tries}")


class OperationResult(Enum):
    """What `create_or_update` did."""

    UNCHANGED = "unchanged"
    CREATED = "created"
    UPDATED = "updated"
    STATUS_UPDATED = "updatedStatusOnly"
    BOTH_UPDATED = "updatedStatus"


async def create_or_update(
    client: Client, value: dict[str, Any], mutate: Callable[[dict[str, Any]], None]
) -> tuple[Object, OperationResult]:
    """Reads the object that ``value`` names, lets ``mutate`` change it in place, and writes what differs.

    ``mutate`` also gets ``value`` itself, where there is no such object yet. A changed ``status`` is written to
    the status subresource. For children of a custom resource `Reconciler.apply` does more with fewer calls.

    Raises:
        ConfigError: ``mutate`` changed the name or namespace.
        Conflict: somebody else wrote in between; see `retry_on_conflict`.
    """
    return await _create_or(client, value, mutate, patch=False)


async def create_or_patch(
    client: Client, value: dict[str, Any], mutate: Callable[[dict[str, Any]], None]
) -> tuple[Object, OperationResult]:
    """As `create_or_update`, sending merge patches of what ``mutate`` changed.

    What others write to other fields in between stays, so there is no Conflict; what they write to the same field
    is overwritten.

    Raises:
        ConfigError: ``mutate`` changed the name or namespace.
    """
    return await _create_or(client, value, mutate, patch=True)


async def _create_or(
    client: Client, value: dict[str, Any], mutate: Callable[[dict[str, Any]], None], *, patch: bool
) -> tuple[Object, OperationResult]:
    source = Object.from_dict(value)
    kind = await client.kind_of(source.gvk)
    namespace = (source.namespace or client.namespace) if kind.namespaced else ""
    try:
        found = await client.get(kind, source.name, namespace)
    except NotFound:
        fresh = source.to_dict()
        _mutated(fresh, mutate)
        return await client.create(fresh), OperationResult.CREATED
    wanted = found.to_dict()
    before_status, before = wanted.get("status"), {**found.to_dict(), "status": None}
    _mutated(wanted, mutate)
    after_status, after = wanted.get("status"), {**wanted, "status": None}
    result = OperationResult.UNCHANGED
    if after != before:
        change = merge_patch(before, after)
        found = await (client.patch(kind, found.key, change) if patch else client.update(wanted))
        result = OperationResult.UPDATED
    if after_status != before_status:
        if patch:
            change = {"status": merge_patch(before_status or {}, after_status or {})}
            found = await client.patch(kind, found.key, change, subresource="status")
        else:
            found = await client.update_status({**found.to_dict(), "status": after_status})
        updated = result is OperationResult.UPDATED
        result = OperationResult.BOTH_UPDATED if updated else OperationResult.STATUS_UPDATED
    return found, result


def _mutated(value: dict[str, Any], mutate: Callable[[dict[str, Any]], None]) -> None:
    def name() -> tuple[Any, Any]:
        metadata = value.get("metadata") or {}
        return metadata.get("namespace"), metadata.get("name")

    before = name()
    mutate(value)
    if name() != before:
        raise ConfigError(f"mutate changed namespace and name from {before} to {name()}; they name the object")
