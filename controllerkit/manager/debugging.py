"""What the live console shows: queues, keys in work, failing keys, caches, the leader; and what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controllerkit.cache import Informers
from controllerkit.controller import Controller
from controllerkit.election import LeaderElector, Shards
from controllerkit.errors import ConfigError
from controllerkit.objects import Key
from controllerkit.runtime import Clock

__all__ = ["ACTIONS", "act", "show"]

KEYS_MAX: Final = 200
"""A page is for people: of more keys than this the first ones are shown, and how many there are."""

ACTIONS: Final = ("requeue", "pause", "resume")


def show(
    controllers: Mapping[str, Controller],
    informers: Informers,
    elector: LeaderElector | None,
    clock: Clock,
    shards: Shards | None = None,
) -> dict[str, Any]:
    """Everything, as plain data. Nothing of an object but its name is in it."""
    now = clock.monotonic()
    return {
        "leader": None
        if elector is None
        else {"lease": str(elector.key), "leader": elector.leader, "leading": elector.is_leader},
        "shard": None
        if shards is None
        else {
            "lease": str(shards.key),
            "ring": shards.ring_name,
            "active": shards.active,
            "members": list(shards.ring.grant.view if shards.ring.grant is not None else ()),
            "in_work": sorted(shards.ring.in_work)[:KEYS_MAX],
        },
        "controllers": [_controller(each, now) for each in controllers.values()],
        "caches": [
            {
                "kind": each.name,
                "objects": len(each.store),
                "bytes": each.store.bytes,
                "version": each.store.version,
                "synced": each.has_synced,
                "stale_s": round(each.staleness_s(now), 1) if each.has_synced else None,
                "failures": each.failures,
                "last_error": _line(each.last_error),
            }
            for each in informers
        ],
        "own_writes_ahead": len(informers.overlay),
    }


def _controller(controller: Controller, now: float) -> dict[str, Any]:
    queued = controller.queue.snapshot()
    failing = controller.failing()
    return {
        "name": controller.name,
        "paused": sorted(str(key) for key in controller.queue.paused),
        "waiting_for_own_write": sorted(str(key) for key in controller.waiting_for_own_write),
        "queued_keys": len(queued),
        "queue": [
            {
                "key": str(each.key),
                "state": each.state,
                "priority": each.priority,
                "reasons": sorted(each.reasons),
                "for_s": round(each.for_s, 3),
                "due_in_s": None if each.due_in_s is None else round(each.due_in_s, 3),
                "failures": controller.queue.failures(each.key),
            }
            for each in sorted(queued, key=lambda each: (each.state, -each.priority, each.key))[:KEYS_MAX]
        ],
        "in_work": [
            {
                "key": str(each.key),
                "for_s": round(each.for_s, 3),
                "reasons": sorted(each.reasons),
                "where": each.where,
            }
            for each in controller.in_flight()
        ],
        "failing": [
            {"key": str(key), "failures": each.failures, "for_s": round(now - each.since, 1), "error": each.error}
            for key, each in sorted(failing.items())[:KEYS_MAX]
        ],
    }


def _line(error: BaseException | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}".partition("\n")[0]


def act(controllers: Mapping[str, Controller], wanted: Mapping[str, str]) -> str:
    """Does what ``{"action", "controller", "key"}`` says, and says that it did.

    Raises:
        ConfigError: there is no such action or controller, or the key is empty.
    """
    action, name, text = (wanted.get(each, "") for each in ("action", "controller", "key"))
    if action not in ACTIONS:
        raise ConfigError(f"there is no action {action!r}; there are {', '.join(ACTIONS)}")
    if name not in controllers:
        raise ConfigError(f"there is no controller {name!r}; there are {', '.join(sorted(controllers))}")
    namespace, _, own_name = text.rpartition("/")
    if not own_name:
        raise ConfigError(f"a key is namespace/name, or the name alone, got {text!r}")
    key, queue = Key(namespace, own_name), controllers[name].queue
    if action == "requeue":
        queue.forget(key)
        queue.add(key, "asked for by hand", priority=100)
    elif action == "pause":
        queue.pause(key)
    else:
        queue.resume(key)
    return f"{action} {name} {key}"
