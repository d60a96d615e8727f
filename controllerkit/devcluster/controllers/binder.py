"""Claims and volumes tied together: what kube-controller-manager's persistentvolume-binder does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from controllerkit.controller import Reconciler, Request, Result, Watch
from controllerkit.errors import NotFound
from controllerkit.objects import Key, Object, kinds, parse_quantity

__all__ = ["ClaimBinder", "VolumePhases"]

BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
STORAGE_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
RETRY_S: Final = 15.0
"""kube-controller-manager's resync period of the binder."""


def _claim_of(volume: Object) -> Iterable[Key]:
    reference = volume.get("spec", "claimRef", default={})
    return [Key(reference["namespace"], reference["name"])] if reference.get("name") else []


class ClaimBinder(Reconciler[Object]):
    """Gives each pending claim its volume.

    A volume whose ``claimRef`` names the claim is taken first (a provisioner made it, or a person reserved it),
    else the smallest free one that fits. A claim without one is looked at again every ``RETRY_S``, for a volume
    that a person makes later names no claim.
    """

    name = "claim-binder"
    kind = kinds.PERSISTENT_VOLUME_CLAIM
    watches = (Watch(kinds.PERSISTENT_VOLUME, _claim_of), Watch(kinds.STORAGE_CLASS, lambda _: []))
    max_concurrent_reconciles = 4

    async def reconcile(self, request: Request) -> Result | None:
        """Volume first, claim second: a claim that says it is bound always is."""
        claim = await self.get(request.key)
        if claim is None or claim.deleting:
            return None
        if name := claim.spec.get("volumeName"):
            volume = self.read(kinds.PERSISTENT_VOLUME, Key("", name))
            if volume is None and claim.status.get("phase") == "Bound":
                await self._set_phase(claim, {"phase": "Lost"})
                return None
        else:
            volume = chosen_volume(claim, self.list(kinds.PERSISTENT_VOLUME))
        if volume is None:
            await self._name_provisioner(claim)
            return Result(requeue_after_s=RETRY_S)
        if is_for(volume, claim) or not volume.spec.get("claimRef"):
            await self._bind(claim, volume)
        return None

    async def _bind(self, claim: Object, volume: Object) -> None:
        reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": claim.uid}
        reference |= {"namespace": claim.namespace, "name": claim.name}
        if (volume.spec.get("claimRef") or {}).get("uid") != claim.uid:
            # The version makes sure that nobody else took it meanwhile.
            metadata = {"resourceVersion": volume.resource_version, "annotations": {BOUND_BY_CONTROLLER: "yes"}}
            patch = {"metadata": metadata, "spec": {"claimRef": reference}}
            await self.client.patch(kinds.PERSISTENT_VOLUME, volume.name, patch)
        if claim.spec.get("volumeName") != volume.name or BIND_COMPLETED not in claim.annotations:
            annotations = {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"}
            patch = {
                "metadata": {"uid": claim.uid, "annotations": annotations},
                "spec": {"volumeName": volume.name},
            }
            await self.client.patch(kinds.PERSISTENT_VOLUME_CLAIM, claim.key, patch)
        modes, capacity = volume.spec.get("accessModes"), volume.spec.get("capacity")
        await self._set_phase(claim, {"phase": "Bound", "accessModes": modes, "capacity": capacity})

    async def _set_phase(self, claim: Object, status: Mapping[str, Any]) -> None:
        if all(claim.status.get(name) == value for name, value in status.items()):
            return
        patch = {"metadata": {"uid": claim.uid}, "status": status}
        with suppress(NotFound):
            await self.client.patch(kinds.PERSISTENT_VOLUME_CLAIM, claim.key, patch, subresource="status")

    async def _name_provisioner(self, claim: Object) -> None:
        """Tells an external provisioner that the claim is its to serve."""
        name = claim.spec.get("storageClassName")
        found = self.read(kinds.STORAGE_CLASS, Key("", name)) if name else None
        provisioner = found.get("provisioner") if found else None
        if provisioner and claim.annotations.get(STORAGE_PROVISIONER) != provisioner:
            patch = {"metadata": {"uid": claim.uid, "annotations": {STORAGE_PROVISIONER: provisioner}}}
            await self.client.patch(kinds.PERSISTENT_VOLUME_CLAIM, claim.key, patch)


def is_for(volume: Object, claim: Object) -> bool:
    """Whether the volume's ``claimRef`` means this very claim."""
    reference = volume.spec.get("claimRef") or {}
    same_name = (reference.get("namespace"), reference.get("name")) == tuple(claim.key)
    return same_name and reference.get("uid", "") in ("", claim.uid)


def chosen_volume(claim: Object, volumes: Iterable[Object]) -> Object | None:
    """The volume made for the claim, else the smallest free one of its class that is large enough."""
    living = [volume for volume in volumes if not volume.deleting]
    for volume in living:
        if is_for(volume, claim):
            return volume
    wanted = parse_quantity((claim.spec.get("resources") or {}).get("requests", {}).get("storage", 0))
    modes = set(claim.spec.get("accessModes") or ())
    fitting = [
        volume
        for volume in living
        if not volume.spec.get("claimRef")
        and (volume.spec.get("storageClassName") or "") == (claim.spec.get("storageClassName") or "")
        and modes <= set(volume.spec.get("accessModes") or ())
        and _capacity(volume) >= wanted
    ]
    return min(fitting, key=lambda volume: (_capacity(volume), volume.name), default=None)


def _capacity(volume: Object) -> Any:
    return parse_quantity((volume.spec.get("capacity") or {}).get("storage", 0))


class VolumePhases(Reconciler[Object]):
    """Keeps a volume's phase: Available, Bound, or Released once its claim is gone."""

    name = "volume-phases"
    kind = kinds.PERSISTENT_VOLUME
    watches = (
        Watch(
            kinds.PERSISTENT_VOLUME_CLAIM,
            lambda claim: [Key("", name)] if (name := claim.get("spec", "volumeName")) else [],
        ),
    )

    async def reconcile(self, request: Request) -> None:
        """Reads the claim from the cache: a phase that is a moment old is put right by the claim's event."""
        volume = await self.get(request.key)
        if volume is None:
            return
        phase = self._phase(volume)
        if volume.status.get("phase") != phase:
            patch = {"metadata": {"uid": volume.uid}, "status": {"phase": phase}}
            with suppress(NotFound):
                await self.client.patch(kinds.PERSISTENT_VOLUME, volume.name, patch, subresource="status")

    def _phase(self, volume: Object) -> str:
        for key in _claim_of(volume):
            claim = self.read(kinds.PERSISTENT_VOLUME_CLAIM, key)
            if claim is not None and is_for(volume, claim):
                return "Bound" if claim.spec.get("volumeName") == volume.name else "Available"
            return "Released" if (volume.spec["claimRef"]).get("uid") else "Available"
        return "Available"
