"""Volumes on this machine's disk: a folder for each claim, removed with it.

Works as an external provisioner does: it makes a PersistentVolume that names the claim, and whoever runs the
cluster's binder (kube-controller-manager, or ours) ties the two together.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any, Final

from controllerkit.client import Client
from controllerkit.controller import Reconciler, Request, Watch
from controllerkit.errors import AlreadyExists, NotFound
from controllerkit.objects import Key, Object, kinds

__all__ = ["PROVISIONER", "STORAGE_CLASS", "Provisioner", "Reclaimer", "install_storage_class"]

PROVISIONER: Final = "controllerkit.dev/local"
STORAGE_CLASS: Final = "standard"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"


async def install_storage_class(client: Client) -> None:
    """Applies the class, as the default one."""
    await client.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": STORAGE_CLASS, "annotations": {DEFAULT_CLASS: "true"}},
            "provisioner": PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        }
    )


class Provisioner(Reconciler[Object]):
    """Makes a volume for each claim of the class that has none."""

    name = "provisioner"
    kind = kinds.PERSISTENT_VOLUME_CLAIM
    max_concurrent_reconciles = 4

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    async def reconcile(self, request: Request) -> None:
        """Creates the folder and the PersistentVolume; both are named after the claim's uid, so twice is once."""
        claim = await self.get(request.key)
        if claim is None or claim.deleting or claim.spec.get("volumeName"):
            return
        if claim.spec.get("storageClassName") != STORAGE_CLASS:
            return
        folder = self._folder / f"pvc-{claim.uid}"
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True, mode=0o755)
        try:
            await self.client.create(volume_of(claim, folder))
        except AlreadyExists:
            return
        self.log.info("volume_provisioned", claim=str(claim.key), folder=str(folder))


class Reclaimer(Reconciler[Object]):
    """Removes a volume and its folder once the claim it was made for is gone."""

    name = "reclaimer"
    kind = kinds.PERSISTENT_VOLUME
    watches = (
        Watch(
            kinds.PERSISTENT_VOLUME_CLAIM,
            lambda claim: [Key("", name)] if (name := claim.get("spec", "volumeName")) else [],
        ),
    )
    max_concurrent_reconciles = 4

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    async def reconcile(self, request: Request) -> None:
        """Asks the server itself whether the claim is gone: a stale cache must not cost anyone's data."""
        volume = await self.get(request.key)
        if volume is None or volume.annotations.get(PROVISIONED_BY) != PROVISIONER:
            return
        reference = volume.get("spec", "claimRef", default={})
        if await self._exists(reference):
            return
        folder = self._folder / f"pvc-{reference.get('uid')}"
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if not volume.deleting:
            try:
                await self.client.delete(kinds.PERSISTENT_VOLUME, volume.name, uid=volume.uid)
            except NotFound:
                return
            self.log.info("volume_reclaimed", volume=volume.name, folder=str(folder))

    async def _exists(self, reference: dict[str, Any]) -> bool:
        key = Key(reference["namespace"], reference["name"])
        try:
            claim = await self.client.get(kinds.PERSISTENT_VOLUME_CLAIM, key)
        except NotFound:
            return False
        return claim.uid == reference.get("uid")


def volume_of(claim: Object, folder: Path) -> dict[str, Any]:
    """The PersistentVolume for ``claim``, a folder on this machine."""
    spec = claim.spec
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pvc-{claim.uid}", "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": (spec.get("resources") or {}).get("requests", {}).get("storage", "1Gi")},
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": STORAGE_CLASS,
            "volumeMode": "Filesystem",
            "hostPath": {"path": str(folder), "type": "DirectoryOrCreate"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace,
                "name": claim.name,
                "uid": claim.uid,
            },
        },
    }
