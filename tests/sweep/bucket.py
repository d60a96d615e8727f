"""A Bucket and its bucket in a store outside of the cluster."""

from __future__ import annotations

from controllerkit import Request, Result
from controllerkit.errors import ControllerkitError
from controllerkit.objects import Object
from controllerkit.testing import Outside, World
from examples.bucket import Bucket, BucketReconciler, Settings, bucket_name
from tests.sweep.subject import Subject


class NoSuchBucket(ControllerkitError):
    """A store that is asked to drop what it does not have may say so."""


class Buckets:
    """The store of one seed."""

    def __init__(self, line: Outside) -> None:
        self._line = line
        self.there: dict[str, Settings] = {}

    async def get(self, name: str) -> Settings | None:
        return await self._line.call(f"get bucket {name}", lambda: self.there.get(name))

    async def put(self, name: str, settings: Settings) -> None:
        await self._line.call(f"put bucket {name}", lambda: self.there.update({name: settings}))

    async def drop(self, name: str, *, missing_ok: bool = True) -> None:
        def dropped() -> None:
            if self.there.pop(name, None) is None and not missing_ok:
                raise NoSuchBucket(f"there is no bucket {name}")

        await self._line.call(f"drop bucket {name}", dropped)


def bucket(name: str, versions: int, *, public: bool = False) -> dict[str, object]:
    spec = {"versionsKept": versions, "public": public}
    return {"apiVersion": "example.dev/v1", "kind": "Bucket", "metadata": {"name": name}, "spec": spec}


def every_bucket_is_there_and_no_other(world: World) -> None:
    wanted = {}
    for each in world.list(Bucket):
        name = bucket_name(each.source)
        wanted[name] = Settings(each.spec.versions_kept, each.spec.public)
        assert each.status.name == name, f"the status of {each.key} does not say which bucket it has"
    there = world.outside.there
    assert not (more := sorted(there.keys() - wanted.keys())), f"left behind in the store: {', '.join(more)}"
    assert there == wanted, f"in the store {there}, wanted {wanted}"


def no_bucket_is_lost_while_it_is_wanted(world: World) -> None:
    for each in world.list(Bucket):
        if each.status.name and not each.source.deleting:
            assert each.status.name in world.outside.there, f"the bucket of {each.key} is gone"


class ForgetsTheFinalizer(BucketReconciler):
    """Nothing holds the object until its bucket is dropped."""

    async def reconcile(self, request: Request) -> Result | None:
        bucket = await self.get(request.key)
        if bucket is None:
            return None
        if bucket.source.deleting:
            await self.clean_up(bucket.source)
            return None
        name = bucket_name(bucket.source)
        await self.store.put(name, Settings(bucket.spec.versions_kept, bucket.spec.public))
        await self.write_status(bucket, {"name": name})
        return None


class BucketBeforeFinalizer(BucketReconciler):
    """The finalizer comes last, as if nothing could end in between."""

    async def reconcile(self, request: Request) -> Result | None:
        bucket = await self.get(request.key)
        if bucket is not None and not bucket.source.deleting:
            name = bucket_name(bucket.source)
            if await self.store.get(name) is None:
                await self.store.put(name, Settings(bucket.spec.versions_kept, bucket.spec.public))
        return await super().reconcile(request)


class CannotDropTwice(BucketReconciler):
    """A drop whose answer was lost is done, and then fails for ever."""

    async def clean_up(self, bucket: Object) -> None:
        await self.store.drop(bucket_name(bucket), missing_ok=False)


BUCKET = Subject(
    name="bucket",
    make=BucketReconciler,
    given={
        "primaries": [bucket("a", 1), bucket("a", 3), bucket("b", 1, public=True)],
        "outside": Buckets,
        "converged": every_bucket_is_there_and_no_other,
        "invariants": [no_bucket_is_lost_while_it_is_wanted],
    },
    bugs={ForgetsTheFinalizer: {}, BucketBeforeFinalizer: {}, CannotDropTwice: {}},
)
