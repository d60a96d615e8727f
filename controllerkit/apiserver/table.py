"""Tables: the columns kubectl prints, per kind, as data and small functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from controllerkit.apiserver.cells import CELLS, age, human_duration
from controllerkit.apiserver.jsonpath import evaluate
from controllerkit.apiserver.requests import Target

__all__ = ["table_columns", "table_row"]

Value = Mapping[str, Any]

_FALLBACK: Final = "Name Age"
_TYPES: Final = {"i": "integer", "b": "boolean", "d": "date", "n": "number"}
COLUMNS: Final[Mapping[str, str]] = {
    "pods": "Name Ready Status Restarts Age +IP +Node +Nominated_Node +Readiness_Gates",
    "nodes": "Name Status Roles Age Version +Internal-IP +External-IP +OS-Image +Kernel-Version +Container-Runtime",
    "services": "Name Type Cluster-IP External-IP Port(s) Age +Selector",
    "persistentvolumeclaims": "Name Status Volume Capacity Access_Modes StorageClass "
    "VolumeAttributesClass Age +VolumeMode",
    "persistentvolumes": "Name Capacity Access_Modes Reclaim_Policy Status Claim StorageClass "
    "VolumeAttributesClass Reason Age +VolumeMode",
    "events": "Last_Seen Type Reason Object +Subobject +Source Message +First_Seen +Count +Name",
    "namespaces": "Name Status Age",
    "configmaps": "Name Data Age",
    "secrets": "Name Type Data Age",
    "endpoints": "Name Endpoints Age",
    "deployments.apps": "Name Ready Up-to-date Available Age +Containers +Images +Selector",
    "statefulsets.apps": "Name Ready Age +Containers +Images",
    "replicasets.apps": "Name Desired:i Current:i Ready:i Age +Containers +Images +Selector",
    "daemonsets.apps": "Name Desired:i Current:i Ready:i Up-to-date:i Available:i Node_Selector Age "
    "+Containers +Images +Selector",
    "controllerrevisions.apps": "Name Controller Revision Age",
    "jobs.batch": "Name Status Completions Duration Age +Containers +Images +Selector",
    "cronjobs.batch": "Name Schedule Timezone Suspend:b Active:i Last_Schedule Age +Containers +Images +Selector",
    "leases.coordination.k8s.io": "Name Holder Age",
    "endpointslices.discovery.k8s.io": "Name AddressType Ports Endpoints Age",
    "events.events.k8s.io": "Last_Seen Type Reason Object +Subobject +Source Message +First_Seen +Count +Name",
    "poddisruptionbudgets.policy": "Name Min_Available Max_Unavailable Allowed_Disruptions:i Age",
    "storageclasses.storage.k8s.io": "Name Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion Age",
    "roles.rbac.authorization.k8s.io": "Name Created_At:d",
    "clusterroles.rbac.authorization.k8s.io": "Name Created_At:d",
    "rolebindings.rbac.authorization.k8s.io": "Name Role Age +Users +Groups +ServiceAccounts",
    "clusterrolebindings.rbac.authorization.k8s.io": "Name Role Age +Users +Groups +ServiceAccounts",
    "customresourcedefinitions.apiextensions.k8s.io": "Name Scope Versions Created_At:d +Group +Kind +ShortNames "
    "+Established:b",
}
"""Columns by resource: ``+`` marks those only wide output shows, ``_`` stands for a space."""


def _column(
    name: str, kind: str = "string", *, form: str = "", priority: int = 0, description: str = ""
) -> dict[str, Any]:
    return {"name": name, "type": kind, "format": form, "description": description, "priority": priority}


def _parse(text: str) -> list[dict[str, Any]]:
    columns = []
    for word in text.split():
        name, _, kind = word.lstrip("+").partition(":")
        name = name.replace("_", " ")
        columns.append(
            _column(
                name,
                _TYPES.get(kind, "string"),
                form="name" if name == "Name" else "",
                priority=int(word.startswith("+")),
            )
        )
    return columns


_PARSED: Final = {resource: _parse(text) for resource, text in COLUMNS.items()}
_FALLBACK_COLUMNS: Final = _parse(_FALLBACK)
_CUSTOM_NAME: Final = _column("Name", form="name")
_CUSTOM_AGE: Final[Mapping[str, Any]] = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def table_columns(target: Target) -> list[dict[str, Any]]:
    """``columnDefinitions`` of the resource."""
    if target.version.schema is None:
        return _PARSED.get(target.resource.qualified, _FALLBACK_COLUMNS)
    declared = target.version.columns or (_CUSTOM_AGE,)
    return [
        _CUSTOM_NAME,
        *(
            _column(
                one["name"],
                one["type"],
                form=one.get("format", ""),
                priority=one.get("priority", 0),
                description=one.get("description", ""),
            )
            for one in declared
        ),
    ]


def table_row(target: Target, value: Value, now: datetime) -> list[Any]:
    """The cells of one object (in its stored version)."""
    if target.version.schema is not None:
        declared = target.version.columns or (_CUSTOM_AGE,)
        return [value["metadata"]["name"], *(_custom_cell(one, value, now) for one in declared)]
    cells: Callable[[Value, datetime], list[Any]] | None = CELLS.get(target.resource.qualified)
    if cells is None:
        return [value["metadata"]["name"], age(value, now)]
    return cells(value, now)


def _custom_cell(column: Mapping[str, Any], value: Value, now: datetime) -> Any:
    found = evaluate(column["jsonPath"], value)
    if not found:
        return None
    first = found[0]
    kind = column["type"]
    if kind == "date":
        return _date(first, now)
    if kind == "integer":
        return int(first) if isinstance(first, int | float) and not isinstance(first, bool) else None
    if kind == "number":
        return first if isinstance(first, int | float) and not isinstance(first, bool) else None
    if kind == "boolean":
        return first if isinstance(first, bool) else None
    if len(found) > 1 or isinstance(first, list | dict):
        return _text(first)
    return _text(first)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        import msgspec

        return msgspec.json.encode(value).decode()
    if isinstance(value, Mapping):
        import msgspec

        return msgspec.json.encode(value, order="sorted").decode()
    return str(value)


def _date(value: Any, now: datetime) -> str:
    try:
        then = datetime.fromisoformat(str(value))
    except ValueError:
        return "<invalid>"
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return human_duration((now - then).total_seconds())
