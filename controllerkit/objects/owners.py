"""Owner references: who is deleted with whom, and who reconciles whose children."""

from __future__ import annotations

from typing import Any

from controllerkit.errors import ConfigError
from controllerkit.objects.object import Object, OwnerReference

__all__ = ["controller_of", "owner_reference", "set_controller_reference"]


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
        Other, non-controlling references stay; an older reference to the same uid is replaced.
    Raises:
        ConfigError: the child has another controller, or the owner is in another namespace (an owner must be
            cluster-scoped or in its child's namespace: the garbage collector would delete the child at once).
    """
    metadata = child.setdefault("metadata", {})
    namespace = metadata.get("namespace", "")
    name = metadata.get("name") or metadata.get("generateName")
    if owner.namespace and owner.namespace != namespace:
        raise ConfigError(
            f"{owner.kind} {owner.key} cannot own {child.get('kind')} {namespace or '(cluster)'}/{name}: "
            "an owner with a namespace owns only objects of that namespace"
        )
    references = [r for r in metadata.get("ownerReferences") or () if r.get("uid") != owner.uid]
    for reference in references:
        if reference.get("controller"):
            raise ConfigError(
                f"{child.get('kind')} {namespace}/{name} is controlled by "
                f"{reference['kind']} {reference['name']} already"
            )
    metadata["ownerReferences"] = [*references, owner_reference(owner)]
