"""Owner references: who is deleted with whom, and who reconciles whose children."""

from __future__ import annotations

from typing import Any

from controllerkit.errors import ConfigError
from controllerkit.objects.key import split_api_version
from controllerkit.objects.object import Object, OwnerReference

__all__ = [
    "controller_of",
    "owner_reference",
    "remove_owner_reference",
    "set_controller_reference",
    "set_owner_reference",
]


def owner_reference(owner: Object, *, controller: bool = True, block_owner_deletion: bool = True) -> dict[str, Any]:
    """``owner`` as an entry for a child's ``metadata.ownerReferences``.

    Raises:
        ConfigError: the owner was not read from a server, so it has no uid.
    """
    if not owner.uid:
        raise ConfigError(f"{owner.kind} {owner.key} has no uid, so nothing can be owned by it; read it back first")
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": controller,
        "blockOwnerDeletion": block_owner_deletion,
    }


def controller_of(child: Object) -> OwnerReference | None:
    """The owner reference with ``controller: true``, if there is one."""
    return next((reference for reference in child.owner_references if reference.controller), None)


def set_controller_reference(owner: Object, child: dict[str, Any]) -> None:
    """Makes ``owner`` the controller of ``child`` (changed in place).

    Guarantees:
        Other, non-controlling references stay; an older reference to the same owner is replaced.
    Raises:
        ConfigError: the child has another controller, or the owner is in another namespace (an owner must be
            cluster-scoped or in its child's namespace: the garbage collector would delete the child at once).
    """
    others = _others(owner, child)
    for reference in others:
        if reference.get("controller"):
            metadata = child["metadata"]
            raise ConfigError(
                f"{child.get('kind')} {metadata.get('namespace', '')}/{metadata.get('name')} is controlled by "
                f"{reference['kind']} {reference['name']} already"
            )
    child["metadata"]["ownerReferences"] = [*others, owner_reference(owner)]


def set_owner_reference(owner: Object, child: dict[str, Any], *, block_owner_deletion: bool = False) -> None:
    """Makes ``owner`` one of the owners of ``child`` (changed in place), and not its controller.

    Guarantees:
        Other references stay; an older reference to the same owner is replaced.
    Raises:
        ConfigError: as of `set_controller_reference`, for the namespaces.
    """
    reference = owner_reference(owner, controller=False, block_owner_deletion=block_owner_deletion)
    child.setdefault("metadata", {})["ownerReferences"] = [*_others(owner, child), reference]


def remove_owner_reference(owner: Object, child: dict[str, Any]) -> bool:
    """Ends the ownership (``child`` changed in place), as owner or as controller; whether there was one."""
    metadata = child.get("metadata") or {}
    references = metadata.get("ownerReferences") or []
    left = [each for each in references if not _refers_to(each, owner)]
    if len(left) == len(references):
        return False
    metadata["ownerReferences"] = left
    return True


def _others(owner: Object, child: dict[str, Any]) -> list[dict[str, Any]]:
    """The references to others than ``owner``, which must be able to own ``child``."""
    metadata = child.setdefault("metadata", {})
    namespace = metadata.get("namespace", "")
    if owner.namespace and owner.namespace != namespace:
        name = metadata.get("name") or metadata.get("generateName")
        raise ConfigError(
            f"{owner.kind} {owner.key} cannot own {child.get('kind')} {namespace or '(cluster)'}/{name}: "
            "an owner with a namespace owns only objects of that namespace"
        )
    return [each for each in metadata.get("ownerReferences") or () if not _refers_to(each, owner)]


def _refers_to(reference: dict[str, Any], owner: Object) -> bool:
    """By uid, or by name: an owner that was made anew takes the place of the one before it, as a newer version does."""
    if reference.get("uid") == owner.uid:
        return True
    group, _ = split_api_version(str(reference.get("apiVersion") or ""))
    return (group, reference.get("kind"), reference.get("name")) == (owner.gvk.group, owner.kind, owner.name)
