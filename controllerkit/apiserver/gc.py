"""The server's own housekeeping: what controllers of a real control plane do to keep the API's promises.

Owner references, foreground and orphan deletion, namespaces that empty themselves, protection finalizers of
volumes, definitions that become resources. All of it follows from the store's events: ``observe`` notes what to
look at, ``run`` looks at it. Both are synchronous; the server calls ``run`` from its loop, after the writer has its
answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from controllerkit.apiserver import crds
from controllerkit.apiserver.admission import ROOT_CA
from controllerkit.apiserver.registry import Registry
from controllerkit.apiserver.requests import DeleteOptions, Target, WriteOptions
from controllerkit.apiserver.resources import Resource
from controllerkit.apiserver.storage import Collection, Item, LogEvent
from controllerkit.apiserver.strategies import PV_PROTECTION, PVC_PROTECTION
from controllerkit.errors import ApiError
from controllerkit.runtime import get_logger

__all__ = ["Janitor"]

Reference = tuple[str, str]
"""A collection's name and an object's key in it."""

_FOREGROUND: Final = "foregroundDeletion"
_ORPHAN: Final = "orphan"
_BATCH: Final = 256
_SYSTEM: Final = WriteOptions(manager="kube-controller-manager", validation="Ignore")


class Janitor:
    """One per server. ``wake`` is called once there is something to do."""

    def __init__(
        self, registry: Registry, *, now: Callable[[], datetime], wake: Callable[[], None], ca_pem: str = ""
    ) -> None:
        self._registry = registry
        self._now = now
        self._wake = wake
        self._ca_pem = ca_pem
        self._alive: dict[str, Reference] = {}
        self._owners: dict[Reference, frozenset[str]] = {}
        self._dependents: dict[str, set[Reference]] = {}
        self._queue: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._queued: set[tuple[Any, Any]] = set()
        self._log = get_logger(component="apiserver")

    # What to look at.

    def observe(self, collection: Collection, event: LogEvent) -> None:
        """Notes what a write may make necessary; a listener of the store."""
        item, reference = event.item, (collection.name, event.item.key)
        if event.type == "DELETED":
            self._forget(reference, item)
        else:
            self._remember(reference, item)
        match collection.name:
            case "customresourcedefinitions.apiextensions.k8s.io":
                self._add(self._definition, (item.name, item.uid))
            case "namespaces":
                self._add(self._namespace, item.name)
            case "persistentvolumeclaims" | "persistentvolumes":
                self._add(self._volume, reference)
            case "pods":
                self._pod(event)
            case _:
                pass

    def adopt(self, collection: Collection) -> None:
        """The same for objects that were there before: read from disk."""
        for item in list(collection.scan()):
            self.observe(collection, LogEvent(item.rv, "ADDED", item, None))

    def _remember(self, reference: Reference, item: Item) -> None:
        if item.uid:
            self._alive[item.uid] = reference
        # Looking for the word is far cheaper than decoding every object.
        owners = (
            frozenset(one.uid for one in item.meta.owner_references or ())
            if b'"ownerReferences"' in item.raw
            else frozenset()
        )
        before = self._owners.get(reference, frozenset())
        if owners != before:
            self._index(reference, before, owners)
        if owners:
            self._add(self._check_owners, reference)
        for uid in before - owners:
            self._look_at(uid)
        if b'"deletionTimestamp"' in item.raw:
            self._add(self._deletion, reference)

    def _forget(self, reference: Reference, item: Item) -> None:
        self._alive.pop(item.uid, None)
        owners = self._owners.get(reference, frozenset())
        self._index(reference, owners, frozenset())
        for uid in owners:
            self._look_at(uid)
        for dependent in self._dependents.get(item.uid, ()):
            self._add(self._check_owners, dependent)
        if item.namespace:
            self._add(self._namespace_emptied, item.namespace)
        resource = self._resource(reference[0])
        if resource is not None and resource.custom:
            self._add(self._definition, (resource.qualified, resource.custom))

    def _index(self, reference: Reference, before: frozenset[str], after: frozenset[str]) -> None:
        for uid in before - after:
            found = self._dependents.get(uid)
            if found is not None:
                found.discard(reference)
                if not found:
                    del self._dependents[uid]
        for uid in after:
            self._dependents.setdefault(uid, set()).add(reference)
        if after:
            self._owners[reference] = after
        else:
            self._owners.pop(reference, None)

    def _look_at(self, uid: str) -> None:
        """An owner that may be waiting for its dependents to go."""
        if (reference := self._alive.get(uid)) is not None:
            self._add(self._deletion, reference)

    def _add(self, work: Callable[[Any], None], argument: Any) -> None:
        key = (work.__name__, argument)
        if key in self._queued:
            return
        self._queued.add(key)
        self._queue.append((work, argument))
        self._wake()

    # Doing it.

    def run(self) -> bool:
        """Does a bounded part of what is noted; returns whether something is left."""
        for _ in range(_BATCH):
            if not self._queue:
                return False
            work, argument = self._queue.popleft()
            self._queued.discard((work.__name__, argument))
            try:
                work(argument)
            except ApiError:
                # Someone else was faster; their write brings its own note.
                continue
            except Exception:
                # A fault of one kind must not end the housekeeping of all others.
                self._log.exception("housekeeping_failed", work=work.__name__, argument=argument)
        return bool(self._queue)

    def _resource(self, collection: str) -> Resource | None:
        name, _, group = collection.partition(".")
        return self._registry.resource(group, name)

    def _item(self, reference: Reference) -> Item | None:
        return self._registry.store.collection(reference[0]).items.get(reference[1])

    def _delete(self, reference: Reference, item: Item, *, propagation: str = "") -> None:
        resource = self._resource(reference[0])
        if resource is not None:
            options = DeleteOptions(uid=item.uid, propagation=propagation)
            self._registry.delete(self._registry.target(resource, item), options, self._now())

    def _edit(self, reference: Reference, item: Item, value: dict[str, Any]) -> None:
        resource = self._resource(reference[0])
        if resource is not None:
            self._registry.edit(resource, item, value)

    def _check_owners(self, reference: Reference) -> None:
        """Deletes an object all of whose owners are gone, and drops references to the gone ones of several."""
        item = self._item(reference)
        if item is None:
            return
        owners = item.meta.owner_references or ()
        absent = {one.uid for one in owners if not self._is_owner(one.uid, item.namespace)}
        if owners and len(absent) == len({one.uid for one in owners}):
            if item.meta.deletion_timestamp is None:
                finalizers = item.meta.finalizers or ()
                kept = "Orphan" if _ORPHAN in finalizers else "Foreground" if _FOREGROUND in finalizers else ""
                self._delete(reference, item, propagation=kept)
        elif absent:
            value = item.decode()
            metadata = value["metadata"]
            metadata["ownerReferences"] = [one for one in metadata["ownerReferences"] if one["uid"] not in absent]
            self._edit(reference, item, value)

    def _is_owner(self, uid: str, namespace: str) -> bool:
        reference = self._alive.get(uid)
        owner = self._item(reference) if reference else None
        return owner is not None and owner.namespace in ("", namespace)

    def _deletion(self, reference: Reference) -> None:
        """Goes on with a foreground or orphaning deletion."""
        item = self._item(reference)
        if item is None or item.meta.deletion_timestamp is None:
            return
        finalizers = list(item.meta.finalizers or ())
        dependents = [(one, found) for one in self._dependents.get(item.uid, ()) if (found := self._item(one))]
        if _ORPHAN in finalizers:
            for other, found in dependents:
                value = found.decode()
                owners = [one for one in value["metadata"]["ownerReferences"] if one["uid"] != item.uid]
                value["metadata"].pop("ownerReferences")
                if owners:
                    value["metadata"]["ownerReferences"] = owners
                self._edit(other, found, value)
            self._drop_finalizer(reference, _ORPHAN)
        elif _FOREGROUND in finalizers:
            blocking = False
            for other, found in sorted(dependents):
                references = found.meta.owner_references or ()
                blocking = blocking or any(one.uid == item.uid and one.block_owner_deletion for one in references)
                if found.meta.deletion_timestamp is None and all(one.uid == item.uid for one in references):
                    self._delete(other, found, propagation="Foreground")
            if not blocking:
                self._drop_finalizer(reference, _FOREGROUND)

    def _drop_finalizer(self, reference: Reference, finalizer: str) -> None:
        item = self._item(reference)
        if item is None:
            return
        value = item.decode()
        finalizers = value["metadata"].get("finalizers") or []
        if finalizer in finalizers:
            value["metadata"]["finalizers"] = [one for one in finalizers if one != finalizer]
            self._edit(reference, item, value)

    # Namespaces.

    def _namespace(self, name: str) -> None:
        item = self._item(("namespaces", name))
        if item is None:
            return
        if item.meta.deletion_timestamp is None:
            self._furnish(name)
            return
        for collection in self._registry.store.collections():
            resource = self._resource(collection.name)
            if resource is None or not resource.namespaced:
                continue
            for one in list(collection.scan(name)):
                if one.meta.deletion_timestamp is None:
                    self._delete((collection.name, one.key), one)
        self._namespace_emptied(name)

    def _furnish(self, name: str) -> None:
        """What every namespace holds: an account for its Pods, and the authority they verify the server by."""
        self._ensure("ServiceAccount", "serviceaccounts", name, "default", {})
        if self._ca_pem:
            self._ensure("ConfigMap", "configmaps", name, ROOT_CA, {"data": {"ca.crt": self._ca_pem}})

    def _ensure(self, kind: str, plural: str, namespace: str, name: str, body: dict[str, Any]) -> None:
        if self._registry.store.collection(plural).get(namespace, name) is not None:
            return
        resource = self._registry.resource("", plural)
        if resource is None:
            return

        target = Target(resource, resource.versions["v1"], namespace)
        value = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, **body}
        self._registry.create(target, value, _SYSTEM, self._now())

    def _namespace_emptied(self, name: str) -> None:
        item = self._item(("namespaces", name))
        if item is None:
            return
        if item.meta.deletion_timestamp is None:
            self._furnish(name)
            return
        for collection in self._registry.store.collections():
            if next(iter(collection.scan(name)), None) is not None and self._is_namespaced(collection.name):
                return
        value = item.decode()
        finalizers = (value.get("spec") or {}).get("finalizers") or []
        value["spec"] = {k: v for k, v in (value.get("spec") or {}).items() if k != "finalizers"}
        kept = [one for one in finalizers if one != "kubernetes"]
        if kept:
            value["spec"]["finalizers"] = kept
        self._edit(("namespaces", name), item, value)

    def _is_namespaced(self, collection: str) -> bool:
        resource = self._resource(collection)
        return resource is not None and resource.namespaced

    # Volumes.

    def _pod(self, event: LogEvent) -> None:
        """A Pod that goes, or ends, may free its claims."""
        raw = event.item.raw
        if b'"persistentVolumeClaim"' not in raw:
            return
        for name in _claims(event.item.decode()):
            self._add(self._volume, ("persistentvolumeclaims", f"{event.item.namespace}/{name}"))

    def _volume(self, reference: Reference) -> None:
        item = self._item(reference)
        if item is None or item.meta.deletion_timestamp is None:
            return
        if reference[0] == "persistentvolumes":
            if (item.decode().get("status") or {}).get("phase") != "Bound":
                self._drop_finalizer(reference, PV_PROTECTION)
            return
        pods = self._registry.store.collection("pods")
        for pod in pods.scan(item.namespace):
            if b'"persistentVolumeClaim"' in pod.raw and pod.fields.get("spec.nodeName"):
                value = pod.decode()
                if item.name in _claims(value):
                    return
        self._drop_finalizer(reference, PVC_PROTECTION)

    # Definitions.

    def _definition(self, argument: tuple[str, str]) -> None:
        name, uid = argument
        reference = ("customresourcedefinitions.apiextensions.k8s.io", name)
        item = self._item(reference)
        if item is None or item.uid != uid:
            self._retire(uid)
            return
        value = item.decode()
        if item.meta.deletion_timestamp is not None:
            self._delete_instances(reference, item, value)
            return
        definitions: list[Mapping[str, Any]] = [
            one.decode() for one in self._registry.store.collection(reference[0]).scan()
        ]
        taken = crds.names_taken(definitions, value["spec"]["group"], uid)
        served = crds.accept(value, taken, self._now())
        self._edit(reference, item, value)
        if served:
            self._serve(crds.resource_of(value))

    def _serve(self, resource: Resource) -> None:
        before = self._registry.resource(resource.group, resource.plural)
        self._registry.serve(resource)
        if before is None or set(before.fields) != set(resource.fields):
            collection = self._registry.store.collection(resource.collection)
            collection.reindex(resource.selectable_fields)
        if before is not None:
            # Watches on a version that is no longer served have to end.
            self._registry.store.collection(resource.collection).wake_all()

    def _delete_instances(self, reference: Reference, item: Item, value: dict[str, Any]) -> None:
        resource = next((one for one in self._registry.resources() if one.custom == item.uid), None)
        if resource is not None:
            collection = self._registry.store.collection(resource.collection)
            for one in list(collection.scan()):
                if one.meta.deletion_timestamp is None:
                    self._delete((collection.name, one.key), one)
            if len(collection):
                crds.terminating(value, self._now())
                self._edit(reference, item, value)
                return
            self._registry.retire(resource)
        self._drop_finalizer(reference, crds.CLEANUP_FINALIZER)

    def _retire(self, uid: str) -> None:
        for resource in [one for one in self._registry.resources() if one.custom == uid]:
            self._registry.retire(resource)


def _claims(pod: dict[str, Any]) -> set[str]:
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    return {volume["persistentVolumeClaim"]["claimName"] for volume in volumes if volume.get("persistentVolumeClaim")}
