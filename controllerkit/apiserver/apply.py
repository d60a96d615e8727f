"""Server-side apply: merging by schema, and who manages which field.

Differs from the real server in one thing: managers of plain creates and updates are recorded only once an object
has been applied by someone. From the first apply on, what was there before belongs to the manager
``before-first-apply``, as in the real server for objects that have no ``managedFields``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from controllerkit.apiserver.fieldsets import (
    SELF,
    Path,
    decode_fields,
    encode_fields,
    fields_of,
    item_step,
    read_path,
    remove_path,
)
from controllerkit.apiserver.shapes import ANY, Shape, object_meta_shape
from controllerkit.errors import BadRequest, Conflict
from controllerkit.objects import rfc3339

__all__ = ["apply", "managers_after_update", "merge"]

Value = dict[str, Any]
_EMPTY: Final[tuple[Any, ...]] = ({}, [])
BEFORE_FIRST: Final = "before-first-apply"


@dataclass(slots=True)
class _Manager:
    """One entry of ``managedFields``."""

    name: str
    operation: str
    api_version: str
    subresource: str
    time: str
    fields: set[Path]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        return (self.name, self.operation, self.api_version, self.subresource)

    def encode(self) -> Value:
        entry: Value = {
            "manager": self.name,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": encode_fields(self.fields),
        }
        if self.subresource:
            entry["subresource"] = self.subresource
        return entry


def _decode(entries: Iterable[Mapping[str, Any]]) -> list[_Manager]:
    return [
        _Manager(
            entry.get("manager", ""),
            entry.get("operation", "Update"),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
            entry.get("time", ""),
            set(decode_fields(entry.get("fieldsV1") or {})),
        )
        for entry in entries
    ]


def _encode(managers: Iterable[_Manager]) -> list[Value]:
    kept = [manager for manager in managers if manager.fields]
    return [
        manager.encode() for manager in sorted(kept, key=lambda one: (one.operation != "Apply", one.time, one.name))
    ]


def merge(shape: Shape, live: Any, config: Any, *, root: bool = True) -> Any:
    """``config`` over ``live``: objects by field, map lists by key, sets as unions, everything else replaced."""
    if isinstance(config, dict) and isinstance(live, dict) and not shape.atomic:
        merged = dict(live)
        for name, child in config.items():
            below = object_meta_shape() if root and name == "metadata" else shape.field(name) or ANY
            merged[name] = merge(below, live.get(name), child, root=False)
        return merged
    if isinstance(config, list) and isinstance(live, list) and shape.list_type in ("map", "set"):
        wanted = {item_step(shape, item): item for item in config}
        merged_items = []
        for item in live:
            step = item_step(shape, item)
            merged_items.append(merge(shape.items, item, wanted.pop(step), root=False) if step in wanted else item)
        return [*merged_items, *wanted.values()]
    return config


def apply(
    live: Value | None,
    config: Value,
    shape: Shape,
    *,
    manager: str,
    api_version: str,
    subresource: str,
    force: bool,
    now: datetime,
) -> Value:
    """The object after ``manager`` has applied ``config``, with its ``managedFields``.

    Raises:
        BadRequest: the configuration brings managedFields of its own.
        Conflict: another manager has set one of the fields to something else, and ``force`` is not given.
    """
    if (config.get("metadata") or {}).pop("managedFields", None):
        raise BadRequest("metadata.managedFields must be nil")
    managers = _decode(((live or {}).get("metadata") or {}).get("managedFields") or ())
    if live is not None and not managers:
        managers = _before_first(live, shape, api_version)
    identity = (manager, "Apply", api_version, subresource)
    mine = next(
        (one for one in managers if (one.name, one.operation, one.subresource) == (manager, "Apply", subresource)), None
    )
    others = [one for one in managers if one is not mine]
    wanted = set(fields_of(shape, config))
    if live is not None:
        _settle_conflicts(shape, live, config, wanted, others, force=force)
    merged: Value = config if live is None else merge(shape, live, config)
    # A merge shares what it did not change; nothing of the live object may be edited through it.
    merged = msgspec.json.decode(msgspec.json.encode(merged))
    if mine is not None:
        _remove_forgotten(shape, merged, mine.fields, wanted, others)
    unchanged = (
        mine is not None
        and (mine.fields, mine.api_version) == (wanted, api_version)
        and live is not None
        and _without_managers(merged) == _without_managers(live)
    )
    stamp = mine.time if unchanged and mine is not None else rfc3339(now)
    merged["metadata"]["managedFields"] = _encode([*others, _Manager(*identity, stamp, wanted)])
    return merged


def _without_managers(value: Value) -> Value:
    metadata = {name: each for name, each in value["metadata"].items() if name != "managedFields"}
    return {**value, "metadata": metadata}


def _before_first(live: Value, shape: Shape, api_version: str) -> list[_Manager]:
    fields = {path for path in fields_of(shape, live, containers=True) if path[0] != ("f", "status")}
    stamp = live["metadata"].get("creationTimestamp", "")
    return [_Manager(BEFORE_FIRST, "Update", api_version, "", stamp, fields)] if fields else []


def _settle_conflicts(
    shape: Shape, live: Value, config: Value, wanted: set[Path], others: list[_Manager], *, force: bool
) -> None:
    clashes: list[tuple[_Manager, Path]] = []
    for path in wanted:
        if path[-1] == SELF:
            continue
        owners = [one for one in others if path in one.fields]
        if owners and read_path(shape, live, path) != read_path(shape, config, path):
            clashes += [(owner, path) for owner in owners]
    if clashes and not force:
        raise _conflict(clashes)
    for owner, path in clashes:
        owner.fields.discard(path)


def _conflict(clashes: list[tuple[_Manager, Path]]) -> Conflict:
    causes = []
    for owner, path in sorted(clashes, key=lambda clash: (clash[0].name, clash[1])):
        using = f" using {owner.api_version}" if owner.operation == "Update" else ""
        sub = f' with subresource "{owner.subresource}"' if owner.subresource else ""
        message = f'conflict with "{owner.name}"{sub}{using}'
        causes.append({"reason": "FieldManagerConflict", "message": message, "field": dotted(path)})
    if len(causes) == 1:
        head = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        by_owner: dict[str, list[str]] = {}
        for cause in causes:
            by_owner.setdefault(cause["message"], []).append(f"- {cause['field']}")
        lines = [
            line
            for owner, fields in by_owner.items()
            for line in (f"{owner.replace('conflict', 'conflicts', 1)}:", *fields)
        ]
        head = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return Conflict(head, details={"causes": causes})


def dotted(path: Path) -> str:
    """A field as conflicts name it: ``.spec.containers[name="a"].image``."""
    text = ""
    for kind, step in path:
        if kind == "f":
            text += f".{step}"
        elif kind == "k":
            keys = msgspec.json.decode(step)
            text += "[" + ",".join(f"{k}={msgspec.json.encode(v).decode()}" for k, v in sorted(keys.items())) + "]"
        elif kind == "v":
            text += f"[={step}]"
    return text


def _remove_forgotten(shape: Shape, value: Value, before: set[Path], wanted: set[Path], others: list[_Manager]) -> None:
    """Takes out what this manager applied before and applies no more, unless someone else owns it too."""
    owned = wanted.union(*(other.fields for other in others))
    kept = {path[:end] for path in owned for end in range(1, len(path) + 1)}
    gone = sorted((path for path in before if path not in owned), key=len)
    for path in gone:
        if path[-1] == SELF and path[-2][0] == "k" and path[:-1] not in kept:
            remove_path(shape, value, path[:-1])
    for path in reversed(gone):
        if path[-1] == SELF or _is_key(path):
            continue
        if path not in kept:
            remove_path(shape, value, path)
        # What held it and holds nothing now goes with it.
        for end in range(len(path) - 1, 1, -1):
            above = path[:end]
            if above in kept or above[-1][0] != "f" or read_path(shape, value, above) not in _EMPTY:
                break
            remove_path(shape, value, above)


def _is_key(path: Path) -> bool:
    """Whether a field identifies its list item: it leaves with the item only."""
    return (
        len(path) > 1 and path[-2][0] == "k" and path[-1][0] == "f" and path[-1][1] in msgspec.json.decode(path[-2][1])
    )


def managers_after_update(
    old: Value | None,
    value: Value,
    shape: Shape,
    *,
    manager: str,
    applied: bool,
    api_version: str,
    subresource: str,
    now: datetime,
) -> list[Value]:
    """``managedFields`` after a create or update: who changes a field owns it, and a field that is gone is nobody's.

    An apply has recorded its own already; they are kept as they are. So are new ones that somebody else sends.
    """
    sent = value["metadata"].get("managedFields")
    before = ((old or {}).get("metadata") or {}).get("managedFields") or []
    if old is None:
        return list(sent or []) if _is_applied(sent) else []
    if sent == [{}]:
        return []
    if applied or (_is_applied(sent) and sent != before):
        return list(sent or [])
    if not before:
        return []
    managers = _decode(before)
    after, previous = (set(fields_of(shape, one, containers=True)) for one in (value, old))
    changed = {
        path
        for path in after
        if path not in previous or (path[-1] != SELF and read_path(shape, value, path) != read_path(shape, old, path))
    }
    if not changed and not previous - after:
        return list(before)
    for one in managers:
        one.fields &= after
        one.fields -= changed
    if changed:
        _claim(managers, changed, _Manager(manager, "Update", api_version, subresource, rfc3339(now), set()))
    return _encode(managers)


def _claim(managers: list[_Manager], changed: set[Path], claimant: _Manager) -> None:
    mine = next((one for one in managers if one.identity == claimant.identity), None)
    if mine is None:
        mine = claimant
        managers.append(mine)
    mine.fields |= changed
    mine.time = claimant.time


def _is_applied(entries: Any) -> bool:
    return bool(entries) and any(entry.get("operation") == "Apply" for entry in entries)
