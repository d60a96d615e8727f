"""Containers of the user merged into those of the operator, as a strategic merge patch would.

Source: the merge keys are those of the core API's ``Container`` (``patchMergeKey`` in ``k8s.io/api/core/v1``).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["merged", "merged_containers"]

_KEYS: Final[Mapping[str, str]] = {
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
}


def merged_containers(
    containers: Sequence[Mapping[str, Any]], patches: Sequence[Mapping[str, Any]] | None
) -> list[dict[str, Any]]:
    """Each patch into the container of its name; those of other names come after."""
    return _by_key(containers, patches or (), "name")


def merged(value: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged, lists by their key, everything else is replaced; None removes."""
    made = dict(value)
    for key, each in patch.items():
        if each is None:
            made.pop(key, None)
        elif isinstance(each, Mapping):
            made[key] = merged(made.get(key) or {}, each)
        elif isinstance(each, list) and key in _KEYS:
            made[key] = _by_key(made.get(key) or (), each, _KEYS[key])
        else:
            made[key] = copy.deepcopy(each)
    return made


def _by_key(
    values: Sequence[Mapping[str, Any]], patches: Sequence[Mapping[str, Any]], key: str
) -> list[dict[str, Any]]:
    made = {each.get(key): dict(each) for each in values}
    for patch in patches:
        name = patch.get(key)
        made[name] = merged(made[name], patch) if name in made else copy.deepcopy(dict(patch))
    return list(made.values())
