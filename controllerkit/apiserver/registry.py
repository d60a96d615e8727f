"""The verbs that write: create, update, delete, as decisions over the store.

Synchronous throughout: between reading the old object and writing the new one nothing else can happen, so
there are no retries and no lost updates inside the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

import msgspec

from controllerkit.apiserver import admission, apply, events, strategies, webhooks
from controllerkit.apiserver.conversion import convert
from controllerkit.apiserver.crds import CRDS, validate_scale, warnings_of
from controllerkit.apiserver.decoding import complete, decode_object
from controllerkit.apiserver.inquiry import Inquiry
from controllerkit.apiserver.metadata import check_metadata, check_metadata_update, fill_metadata, generate_name
from controllerkit.apiserver.requests import DeleteOptions, Target, WriteOptions
from controllerkit.apiserver.resources import BUILTIN, Resource, Version
from controllerkit.apiserver.rules import ask_rules
from controllerkit.apiserver.status import FieldError, already_exists, conflict, invalid, not_found, stale
from controllerkit.apiserver.storage import Item, Store, encode_object
from controllerkit.apiserver.structural import prune, validate
from controllerkit.apiserver.validation import validate_builtin, validate_builtin_update
from controllerkit.errors import ApiError, BadRequest
from controllerkit.objects import rfc3339

__all__ = ["Registry", "Written"]

Value = dict[str, Any]
_GENERATE_ATTEMPTS_MAX: Final = 8
_EVENTS_GROUP: Final = "events.k8s.io"


@dataclass(frozen=True, slots=True)
class Written:
    """What a write answers. ``value`` is in the caller's version; ``deleted`` says that the object is gone."""

    value: Value
    created: bool = False
    deleted: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def raw(self) -> bytes:
        """The body of the response."""
        return encode_object(self.value)


class Registry:
    """All resources and the rules of writing them.

    ``on_delete`` lets a deletion's follow-ups (a CRD's own objects, a namespace's content) hear of it before the
    caller does; everything else follows from the store's events.
    """

    def __init__(self, store: Store, *, rng: Random, new_uid: Callable[[], UUID]) -> None:
        self.store = store
        self.rng = rng
        self._new_uid = new_uid
        self._inquiry: Inquiry | None = None
        self._admits = True
        self._resources: dict[tuple[str, str], Resource] = {
            (resource.group, resource.plural): resource for resource in BUILTIN
        }
        self._converted: set[tuple[str, str]] = set()

    # Which resources there are.

    def resources(self) -> Iterable[Resource]:
        """Every resource, in discovery's order."""
        return self._resources.values()

    def resource(self, group: str, plural: str) -> Resource | None:
        """By its name in URLs."""
        return self._resources.get((group, plural))

    def by_kind(self, group: str, kind: str) -> Resource | None:
        """By the name in ``kind`` fields; the first where several share it."""
        return next((one for one in self._resources.values() if (one.group, one.kind) == (group, kind)), None)

    def serve(self, resource: Resource) -> None:
        """Adds or replaces a resource."""
        self._resources[resource.group, resource.plural] = resource
        if resource.converter is not None:
            self._converted.add((resource.group, resource.plural))
        else:
            self._converted.discard((resource.group, resource.plural))

    def retire(self, resource: Resource) -> None:
        """Serves it no more."""
        self._resources.pop((resource.group, resource.plural), None)
        self._converted.discard((resource.group, resource.plural))
        self.store.drop(resource.collection)

    # Reading one object.

    def find(self, target: Target) -> Item:
        """The object.

        Raises:
            NotFound: it is not there.
        """
        item = self.store.collection(target.resource.collection).get(target.namespace, target.name)
        if item is None:
            raise not_found(target.resource.group, target.resource.plural, target.name)
        return item

    def outbound(self, target: Target, value: Value) -> Value:
        """A stored value in the caller's version (may change ``value``)."""
        if target.resource.group == _EVENTS_GROUP:
            return events.from_core(value)
        return self.in_version(target.resource, [value], target.version)[0]

    def _stored(self, target: Target, value: Value) -> Value:
        """The form in which a write is worked on: that of storage, except for custom resources."""
        if target.resource.group == _EVENTS_GROUP:
            return events.to_core(value)
        if not target.resource.custom:
            value["apiVersion"] = target.resource.api_version()
        return value

    def in_version(self, resource: Resource, values: list[Value], version: Version) -> list[Value]:
        """Objects in a version, as a read of it shows them (may change them): converted and pruned.

        Raises:
            Unanswered, InternalError: see `conversion.convert`.
        """
        api_version = resource.api_version(version.name)
        if not resource.custom:
            for value in values:
                value["apiVersion"] = api_version
            return values
        foreign = [index for index, value in enumerate(values) if value["apiVersion"] != api_version]
        if not foreign:
            return values
        converted = self._convert(resource, values, api_version)
        for index in foreign:
            prune(version.shape, converted[index])
        return converted

    def _convert(self, resource: Resource, values: list[Value], api_version: str) -> list[Value]:
        if resource.converter is not None and self._inquiry is not None:
            return convert(resource.converter, values, api_version, self._inquiry)
        return [{**value, "apiVersion": api_version} for value in values]

    # What is asked outside.

    def asks(self) -> bool:
        """Whether there is anybody outside to ask: a webhook for admission or conversion."""
        return bool(
            len(self.store.collection(webhooks.MUTATING))
            or len(self.store.collection(webhooks.VALIDATING))
            or self._converted
        )

    @contextmanager
    def under(self, inquiry: Inquiry) -> Iterator[None]:
        """What is decided within may ask, and draws its random numbers from the inquiry."""
        before = (self.rng, self._new_uid)
        inquiry.restart()
        self._inquiry, self.rng, self._new_uid = inquiry, inquiry.rng, inquiry.new_uid
        try:
            yield
        finally:
            self._inquiry = None
            self.rng, self._new_uid = before

    @contextmanager
    def unasked(self) -> Iterator[None]:
        """Within, no webhook is asked for admission; conversions still are."""
        before, self._admits = self._admits, False
        try:
            yield
        finally:
            self._admits = before

    def _hooks(self, collection: str) -> tuple[webhooks.Hook, ...]:
        found = self.store.collection(collection)
        return webhooks.hooks_of([item.decode() for item in found.scan()]) if self._admits and len(found) else ()

    def _attempt(
        self, target: Target, operation: str, value: Value | None, old: Value | None, *, dry_run: bool
    ) -> webhooks.Attempt:
        resource = target.resource
        known = value if value is not None else old
        name = target.name or str(((known or {}).get("metadata") or {}).get("name") or "")
        of_namespaces = resource.collection == "namespaces"
        namespace = name if of_namespaces else target.namespace

        def labels() -> Mapping[str, str]:
            if of_namespaces and value is not None:
                return value["metadata"].get("labels") or {}
            item = self.store.collection("namespaces").get("", namespace)
            if item is None:
                raise not_found("", "namespaces", namespace)
            return item.labels

        def converted(one: Value, version: str) -> Value:
            copied = msgspec.json.decode(msgspec.json.encode(one))
            return self.in_version(resource, [copied], resource.versions[version])[0]

        return webhooks.Attempt(
            resource=resource,
            version=target.version.name,
            operation=operation,
            name=name,
            namespace=namespace,
            subresource=target.subresource,
            value=value,
            old=old,
            dry_run=dry_run,
            namespace_labels=labels if namespace else None,
            convert=converted,
        )

    def _mutated(
        self, target: Target, operation: str, value: Value | None, old: Value | None, *, dry_run: bool
    ) -> Value | None:
        """The object as mutating webhooks want it."""
        if self._inquiry is None or not (hooks := self._hooks(webhooks.MUTATING)):
            return value
        attempt = self._attempt(target, operation, value, old, dry_run=dry_run)
        return webhooks.mutate(hooks, attempt, self._inquiry, lambda changed: complete(target, changed))

    def _admitted(
        self, target: Target, operation: str, value: Value | None, old: Value | None, *, dry_run: bool
    ) -> None:
        """Raises what a validating webhook refuses with."""
        if self._inquiry is None or not (hooks := self._hooks(webhooks.VALIDATING)):
            return
        webhooks.validate(hooks, self._attempt(target, operation, value, old, dry_run=dry_run), self._inquiry)

    # Create.

    def create(self, target: Target, body: Value, options: WriteOptions, now: datetime) -> Written:
        """A new object; its name is made from generateName where it has none.

        Raises:
            AlreadyExists, Invalid, BadRequest, Forbidden, NotFound: as the server answers.
        """
        resource = target.resource
        value, warnings = decode_object(target, body, options)
        metadata = value["metadata"]
        self._check_namespace(target, metadata)
        if metadata.get("resourceVersion") not in (None, "", "0"):
            raise plain_error("resourceVersion should not be set on objects to be created")
        admission.check_namespace_open(self, target, metadata)
        value = self._mutated(target, "CREATE", value, None, dry_run=options.dry_run) or value
        self._check_namespace(target, value["metadata"])
        value = self._stored(target, value)
        metadata = value["metadata"]
        fill_metadata(metadata, uid=str(self._new_uid()), now=now)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self._generated(resource, metadata)
        strategies.prepare_create(resource, target.version, value, now)
        if not options.dry_run or metadata.get("name"):
            admission.admit_create(self, resource, value, now)
        warnings += self._validate(target, value)
        admission.allocate(self, resource, value)
        self._admitted(target, "CREATE", self._shown(target, value), None, dry_run=options.dry_run)
        name = metadata["name"]
        if self.store.collection(resource.collection).get(metadata.get("namespace", ""), name) is not None:
            raise already_exists(resource.group, resource.plural, name)
        value = self._kept(target, self._with_managers(target, None, value, options, now))
        shown = self.outbound(target, dict(value, metadata=dict(value["metadata"])))
        if not options.dry_run:
            shown["metadata"]["resourceVersion"] = str(self._put(resource, value).rv)
        return Written(shown, created=True, warnings=tuple(warnings))

    def _shown(self, target: Target, value: Value) -> Value:
        """A write in the making, as its writer speaks of it."""
        return events.from_core(dict(value)) if target.resource.group == _EVENTS_GROUP else value

    def _kept(self, target: Target, value: Value) -> Value:
        """A finished write as it is stored: a custom resource in its storage version, without what that has not."""
        resource = target.resource
        api_version = resource.api_version()
        if not resource.custom or value["apiVersion"] == api_version:
            return value
        kept = self._convert(resource, [value], api_version)[0]
        prune(resource.versions[resource.storage_version].shape, kept)
        return kept

    def _generated(self, resource: Resource, metadata: Value) -> str:
        collection = self.store.collection(resource.collection)
        for _ in range(_GENERATE_ATTEMPTS_MAX):
            name = generate_name(metadata["generateName"], self.rng)
            if collection.get(metadata.get("namespace", ""), name) is None:
                return name
        return name

    def _check_namespace(self, target: Target, metadata: Value) -> None:
        if not target.resource.namespaced:
            if metadata.get("namespace"):
                raise BadRequest(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            return
        if metadata.setdefault("namespace", target.namespace) != target.namespace:
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")

    def _validate(self, target: Target, value: Value, old: Value | None = None) -> list[str]:
        """Raises Invalid with every finding; returns what is only to be warned of."""
        resource, warnings = target.resource, list[str]()
        errors = list(check_metadata(value["metadata"], resource.kind, namespaced=resource.namespaced))
        if target.version.schema is not None:
            if value.get("kind") != resource.kind:
                errors.append(FieldError.invalid("kind", value.get("kind"), f"must be {resource.kind}"))
            errors += validate(target.version.schema, value)
            errors += validate_scale(target.version, value)
            if target.version.ruled:
                verdict = ask_rules(target.version.schema, value, old, errors)
                errors += verdict.errors
                warnings += verdict.warnings
        else:
            errors += validate_builtin(resource.kind, value)
            errors += strategies.validate_special(resource, value, old)
            if old is not None and not target.subresource:
                errors += validate_builtin_update(resource.kind, value, old)
        if errors:
            # Events are refused in the words of the API they are stored in.
            group = "" if resource.group == _EVENTS_GROUP else resource.group
            raise invalid(group, value.get("kind") or resource.kind, value["metadata"].get("name", ""), errors)
        if resource.collection == CRDS:
            warnings += warnings_of(value)
        return warnings

    def _put(self, resource: Resource, value: Value) -> Item:
        return self.store.put(resource.collection, value, resource.selectable_fields(value))

    # Update.

    def update(
        self, target: Target, body: Value, options: WriteOptions, now: datetime, *, patched: bool = False
    ) -> Written:
        """Replaces the object, or its status. ``patched`` bodies were made from the object itself.

        Raises:
            Conflict: resourceVersion or uid is not the current one.
            NotFound: there is no such object and the kind is not created by updates.
        """
        resource = target.resource
        value, warnings = decode_object(target, body, options)
        metadata = value["metadata"]
        self._check_namespace(target, metadata)
        if metadata.setdefault("name", target.name) != target.name:
            raise BadRequest(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({target.name})"
            )
        existing = self.store.collection(resource.collection).get(target.namespace, target.name)
        if existing is None:
            if resource.create_on_update and not target.subresource and not metadata.get("resourceVersion"):
                return self.create(target, body, options, now)
            raise not_found(resource.group, resource.plural, target.name)
        self._check_version(target, existing, metadata, patched=patched)
        written = self.replace(target, existing, value, options, now)
        return replace(written, warnings=(*warnings, *written.warnings))

    def _check_version(self, target: Target, existing: Item, metadata: Value, *, patched: bool) -> None:
        resource = target.resource
        names = (resource.group, resource.plural, target.name)
        version = metadata.get("resourceVersion", "")
        if version not in ("", "0"):
            if not version.isdigit():
                raise plain_error(f'strconv.ParseUint: parsing "{version}": invalid syntax')
            if int(version) != existing.rv:
                raise stale(*names)
        elif not resource.unconditional_update:
            why = FieldError.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(resource.group, resource.plural, target.name, [why])
        uid = metadata.get("uid")
        # A PUT's uid is a precondition; a patch that brings another one changes what cannot change.
        if uid and uid != existing.uid and not patched:
            raise conflict(
                *names,
                f"StorageError: invalid object, Code: 4, Key: /registry/{resource.plural}/{existing.key}, "
                "ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
                f"UID in precondition: {uid}, UID in object meta: {existing.uid}",
            )

    def replace(self, target: Target, existing: Item, value: Value, options: WriteOptions, now: datetime) -> Written:
        """Writes ``value`` (decoded, in the caller's version) over ``existing``; no write where nothing changes."""
        resource = target.resource
        before = existing.decode()
        old = self.outbound(target, existing.decode()) if resource.custom else before
        shown_old = self._shown(target, old)
        value["metadata"]["resourceVersion"] = str(existing.rv)
        value = self._mutated(target, "UPDATE", value, shown_old, dry_run=options.dry_run) or value
        value = self._stored(target, value)
        value["metadata"]["resourceVersion"] = str(existing.rv)
        strategies.prepare_update(resource, target.version, target.subresource, value, old, now)
        errors = list(check_metadata_update(value["metadata"], old["metadata"]))
        if errors:
            raise invalid(resource.group, resource.kind, target.name, errors)
        if strategies.counts_generation(resource, target.version, target.subresource, value, old):
            value["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        warnings = tuple(self._validate(target, value, old))
        admission.allocate(self, resource, value)
        self._admitted(target, "UPDATE", self._shown(target, value), shown_old, dry_run=options.dry_run)
        value = self._with_managers(target, old, value, options, now)
        if not value["metadata"].get("finalizers"):
            value["metadata"].pop("finalizers", None)
        unchanged = value == old and before["apiVersion"] == resource.api_version()
        value = before if unchanged else self._kept(target, value)
        if strategies.deletable(resource, value):
            if not options.dry_run:
                self.store.delete(resource.collection, existing, dict(value, metadata=dict(value["metadata"])))
            return Written(self.outbound(target, value), deleted=True, warnings=warnings)
        shown = self.outbound(target, dict(value, metadata=dict(value["metadata"])))
        if not options.dry_run and value != before:
            shown["metadata"]["resourceVersion"] = str(self._put(resource, value).rv)
        return Written(shown, warnings=warnings)

    def _with_managers(
        self, target: Target, old: Value | None, value: Value, options: WriteOptions, now: datetime
    ) -> Value:
        managers = apply.managers_after_update(
            old,
            value,
            target.version.shape,
            manager=options.manager,
            applied=options.applied,
            api_version=target.api_version,
            subresource=target.subresource,
            now=now,
        )
        value["metadata"].pop("managedFields", None)
        if managers:
            value["metadata"]["managedFields"] = managers
        return value

    # Delete.

    def delete(self, target: Target, options: DeleteOptions, now: datetime) -> Written:
        """Deletes, or where finalizers or a grace period hold it, marks the object as being deleted.

        Raises:
            NotFound: there is no such object.
            Conflict: a precondition does not hold.
            Forbidden: the object is one the server cannot be without.
        """
        existing = self.find(target)
        self._check_preconditions(target, existing, options)
        admission.admit_delete(target)
        if self._inquiry is not None:
            seen = self.outbound(target, existing.decode())
            self._mutated(target, "DELETE", None, seen, dry_run=options.dry_run)
            self._admitted(target, "DELETE", None, seen, dry_run=options.dry_run)
        value = existing.decode()
        metadata = value["metadata"]
        resource = target.resource
        _mark_propagation(metadata, options.propagation)
        strategies.prepare_delete(resource, value, now)
        grace_s = strategies.grace_period(resource, value, options.grace_s)
        held = bool(metadata.get("finalizers")) or grace_s > 0 or strategies.held(resource, value)
        if not held:
            if resource.graceful:
                if not metadata.get("deletionTimestamp"):
                    metadata["generation"] = metadata.get("generation", 0) + 1
                metadata["deletionTimestamp"] = metadata.get("deletionTimestamp") or rfc3339(now)
                metadata["deletionGracePeriodSeconds"] = 0
            if not options.dry_run:
                self.store.delete(resource.collection, existing)
            return Written(self.outbound(target, value), deleted=True)
        self._mark_deleting(resource, value, grace_s, now)
        if value != existing.decode() and not options.dry_run:
            self._put(resource, value)
        return Written(self.outbound(target, value))

    def _mark_deleting(self, resource: Resource, value: Value, grace_s: int, now: datetime) -> None:
        metadata = value["metadata"]
        marked = metadata.get("deletionTimestamp")
        if marked and metadata.get("deletionGracePeriodSeconds", 0) <= grace_s:
            return
        if not marked and metadata.get("generation"):
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = rfc3339(now + timedelta(seconds=grace_s))
        if resource.kind == "Namespace":
            value.setdefault("status", {})["phase"] = "Terminating"
        else:
            metadata["deletionGracePeriodSeconds"] = grace_s

    def _check_preconditions(self, target: Target, existing: Item, options: DeleteOptions) -> None:
        names = (target.resource.group, target.resource.kind, target.name)
        if options.uid is not None and options.uid != existing.uid:
            raise conflict(
                *names,
                f"the UID in the precondition ({options.uid}) does not match the UID in record ({existing.uid}). "
                "The object might have been deleted and then recreated",
            )
        if options.resource_version is not None and options.resource_version != str(existing.rv):
            raise conflict(
                *names,
                f"the ResourceVersion in the precondition ({options.resource_version}) does not match the "
                f"ResourceVersion in record ({existing.rv}). The object might have been modified",
            )

    # What the server itself changes.

    def edit(self, resource: Resource, item: Item, value: Value) -> None:
        """Writes ``value`` as the server's own controllers do: no defaulting, no checks; deletes where it is due."""
        if not value["metadata"].get("finalizers"):
            value["metadata"].pop("finalizers", None)
        if strategies.deletable(resource, value):
            self.store.delete(resource.collection, item, value)
        elif value != item.decode():
            self._put(resource, value)

    def target(self, resource: Resource, item: Item) -> Target:
        """A target for an object that is there, in its stored version."""
        version: Version = resource.versions[resource.storage_version]
        return Target(resource, version, item.namespace, item.name)


_PROPAGATION_FINALIZERS: Final[Mapping[str, str]] = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


def _mark_propagation(metadata: Value, propagation: str) -> None:
    """The garbage collector reads the policy from finalizers; a named policy replaces one set before."""
    if not propagation:
        return
    finalizers = [one for one in metadata.get("finalizers") or () if one not in _PROPAGATION_FINALIZERS.values()]
    if wanted := _PROPAGATION_FINALIZERS.get(propagation):
        finalizers.append(wanted)
    metadata.pop("finalizers", None)
    if finalizers:
        metadata["finalizers"] = finalizers


def plain_error(message: str) -> ApiError:
    """500 without a reason: what the real server answers where storage and not validation refuses."""
    return ApiError(message, code=500, reason="")
