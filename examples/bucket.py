"""An operator for something outside of the cluster: a Bucket is a bucket in a store, and goes with its object.

Three rules keep the two together whatever happens in between. The finalizer is there before the bucket is, so that no
deletion passes it by. The bucket's name follows from the object's uid, so that making it twice makes it once. And
every pass compares all of it, as nothing tells of changes in the store.

Here the store is a folder. Run ``python examples/bucket.py FOLDER`` on a cluster with the CRD
(``controllerkit crds examples/bucket.py``), then create and delete Buckets, and watch the folder.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from controllerkit import ApiModel, Client, Manager, Reconciler, Request, Resource, Result
from controllerkit.controller import Finalizers
from controllerkit.objects import Condition, Object
from controllerkit.schema import Column

FINALIZER = "example.dev/bucket"
LOOK_AGAIN_S = 600.0


@dataclass(frozen=True)
class Settings:
    """What can be said of a bucket."""

    versions_kept: int = 1
    public: bool = False


class Store(Protocol):
    """Where buckets are. Each call is right to do twice."""

    async def get(self, name: str) -> Settings | None: ...

    async def put(self, name: str, settings: Settings) -> None: ...

    async def drop(self, name: str) -> None: ...


class BucketSpec(ApiModel):
    versions_kept: int = 1
    public: bool = False


class BucketStatus(ApiModel):
    name: str = ""
    conditions: list[dict[str, Any]] = []  # noqa: RUF012 - pydantic copies defaults


class Bucket(Resource, group="example.dev", version="v1", columns=[Column("Bucket", ".status.name")]):
    spec: BucketSpec = BucketSpec()
    status: BucketStatus = BucketStatus()


class BucketReconciler(Reconciler[Bucket]):
    def __init__(self, store: Store) -> None:
        self.store = store
        self.finalizers = Finalizers({FINALIZER: self.clean_up})

    async def reconcile(self, request: Request) -> Result | None:
        bucket = await self.get(request.key)
        if bucket is None or await self.finalizers.finalize(self.client, bucket.source):
            return None
        bucket = await self.get(request.key) or bucket  # with its finalizer
        name, wanted = bucket_name(bucket.source), Settings(bucket.spec.versions_kept, bucket.spec.public)
        if await self.store.get(name) != wanted:
            await self.store.put(name, wanted)
        ready = Condition("Ready", True, "AsAsked", f"bucket {name}")
        await self.write_status(bucket, {"name": name}, conditions=[ready])
        return Result(requeue_after_s=LOOK_AGAIN_S)

    async def clean_up(self, bucket: Object) -> None:
        await self.store.drop(bucket_name(bucket))


def bucket_name(bucket: Object) -> str:
    """One for each object there ever was: another of the same name has another bucket."""
    return f"{bucket.name}-{bucket.uid[:8]}"


class FolderStore:
    """A store for trying: each bucket is a folder with its settings in it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def get(self, name: str) -> Settings | None:
        file = self._root / name / "settings.json"
        return Settings(**json.loads(file.read_text())) if file.exists() else None

    async def put(self, name: str, settings: Settings) -> None:
        (self._root / name).mkdir(parents=True, exist_ok=True)
        (self._root / name / "settings.json").write_text(json.dumps(asdict(settings)))

    async def drop(self, name: str) -> None:
        shutil.rmtree(self._root / name, ignore_errors=True)


async def main(root: Path) -> None:
    async with await Client.connect() as client:
        manager = Manager(client)
        manager.add(BucketReconciler(FolderStore(root)))
        await manager.run_until_signal()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
