"""An API server whose objects come from elsewhere: they are put in as they are, and clients see them change."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any
from uuid import UUID

from controllerkit.apiserver import crds
from controllerkit.apiserver.auth import Authenticator
from controllerkit.apiserver.http import Api
from controllerkit.apiserver.registry import Registry
from controllerkit.apiserver.resources import Resource, Version
from controllerkit.apiserver.storage import Store
from controllerkit.objects import Key, Kind
from controllerkit.runtime import Clock
from controllerkit.wire.memory import MemoryTransport

__all__ = ["Mirror"]

_HISTORY_EVENTS_MAX = 1_000_000
_BOOKMARK_INTERVAL_S = 60.0


class Mirror:
    """Serves what it is given, and takes writes as `ApiServer` does; in this process only, without sockets.

    Guarantees:
        `put` and `remove` judge nothing: no defaults, no validation, no admission. Each is one event for watches,
        with a resourceVersion of this server's own. There is no housekeeping: owners that go do not take their
        dependents with them, and namespaces need not exist for what is put into them.
    """

    def __init__(self, *, clock: Clock, rng: Random) -> None:
        self._store = Store(history_events_max=_HISTORY_EVENTS_MAX)
        self._registry = Registry(self._store, rng=rng, new_uid=lambda: UUID(int=rng.getrandbits(128), version=4))
        self._api = Api(
            self._registry,
            Authenticator(None, account_uid=lambda namespace, name: "", key=None),
            clock=clock,
            rng=rng,
            bookmark_interval_s=_BOOKMARK_INTERVAL_S,
            host=lambda: "mirror",
        )

    def transport(self) -> MemoryTransport:
        """The way in."""
        return MemoryTransport(self._api.handle)

    async def close(self) -> None:
        """Ends every watch."""
        self._api.stopping = True
        for collection in self._store.collections():
            collection.wake_all()
        await self._api.close()

    def serves(self, group: str, plural: str, version: str = "") -> bool:
        """Whether a resource of this name is there, in any version or in this one."""
        resource = self._registry.resource(group, plural)
        return resource is not None and (not version or version in resource.versions)

    def serve(self, kind: Kind, *, status: bool) -> None:
        """Serves a kind of which nothing but its name is known; with a ``status`` subresource or without."""
        version = Version(kind.version, status=status)
        self._registry.serve(
            Resource(
                kind.group, kind.plural, kind.kind, kind.version, {kind.version: version}, namespaced=kind.namespaced
            )
        )

    def define(self, definition: Mapping[str, Any]) -> None:
        """Serves what a CustomResourceDefinition says; it is not itself among the objects."""
        value = {**definition, "metadata": {**definition["metadata"], "uid": definition["metadata"]["name"]}}
        crds.prepare_create(value)
        self._registry.serve(crds.resource_of(value))

    def get(self, kind: Kind, key: Key) -> dict[str, Any] | None:
        """A copy of the object as it is now."""
        resource = self._registry.resource(kind.group, kind.plural)
        item = self._store.collection(resource.collection).get(*key) if resource is not None else None
        return item.decode() if item is not None else None

    def put(self, kind: Kind, value: Mapping[str, Any]) -> dict[str, Any]:
        """Makes the object this, and returns it with its new resourceVersion."""
        resource = self._registry.resource(kind.group, kind.plural)
        assert resource is not None, f"{kind} is not served"  # noqa: S101 - the caller serves first
        metadata = dict(value["metadata"])
        stored = {**value, "apiVersion": resource.api_version(), "kind": resource.kind, "metadata": metadata}
        self._store.put(resource.collection, stored, resource.selectable_fields(stored))
        return stored

    def remove(self, kind: Kind, key: Key) -> None:
        """Lets the object go; nothing happens where it is not there."""
        resource = self._registry.resource(kind.group, kind.plural)
        item = self._store.collection(resource.collection).get(*key) if resource is not None else None
        if resource is not None and item is not None:
            self._store.delete(resource.collection, item)
