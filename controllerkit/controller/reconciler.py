"""`Reconciler`: what one subclasses to write an operator."""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar, cast, get_args, get_origin

from controllerkit.cache import BY_CONTROLLER, Informers
from controllerkit.client import Client, KindLike
from controllerkit.controller.children import AppliedMemory, Children, unwanted, waiting_of
from controllerkit.controller.predicates import Predicate
from controllerkit.controller.rehearsal import Rehearsal
from controllerkit.controller.result import Owns, Request, Result, Watch
from controllerkit.controller.sources import Source
from controllerkit.errors import ConfigError, NotFound, UndeclaredKind
from controllerkit.events import EventRecorder
from controllerkit.objects import GVK, Condition, Key, Kind, Object, set_condition, set_controller_reference
from controllerkit.runtime import Clock
from controllerkit.schema import ApiModel, Resource
from controllerkit.workqueue import RateLimiter

__all__ = ["Reconciler"]

R = TypeVar("R")
T = TypeVar("T")

CACHE_SYNC_TIMEOUT_S: Final = 120.0
"""controller-runtime ``CacheSyncTimeout``."""

RESYNC_S: Final = 36_000.0
"""controller-runtime ``SyncPeriod``: ten hours."""


class Reconciler(Generic[R]):
    """Makes the world as one kind of object says it should be, one object at a time.

    Subclass it with a `Resource`, or with `Object` and ``kind`` for a built-in kind, and write ``reconcile``:
    it is called with a key whenever that object, something it owns, or something watched has changed. It must
    look at the whole state and bring it closer to what is wanted, whatever the reason it was called for.

    Class attributes:
        kind: the primary kind; taken from the type argument where that is a `Resource`.
        name: for logs and metrics; the class name without "Reconciler", in lower case.
        owns: kinds whose objects' controller reference leads back to the primary, or `Owns` to say more.
        watches: other kinds, with a function to the keys they concern.
        sources: other origins of requests, such as `Channel` or `Poll`.
        predicates: a change of the primary must pass all of them to be reconciled, such as ``generation_changed``.
        max_concurrent_reconciles: keys worked on at once; one key is never worked on twice at a time.
        reconcile_timeout_s: a longer reconcile is cancelled and counts as failed; None: no limit.
        cache_sync_timeout_s: how long the start may wait for caches and sources.
        limiter: how long a failing key waits, one for the life of the object; None: 5 ms, doubled up to 1000 s, with
            jitter.
        needs_leader: with leader election, only the leader works; the others keep their caches warm.
        warms_up: they also run ``sources`` and queue what is to be done; off, where only the leader may listen.
        recover_bugs: what is neither ours nor the operating system's error is logged and retried as any other;
            off, it ends the manager.
        resync_s: every so often, and when a watch had to begin anew with a list, each primary is reconciled although
            nothing has changed, against what no event tells; behind everything that has. 0: never.
        tell_failing: a key that keeps failing gets a Warning Event and, for a `Resource`, the condition ``Stalled``.

    Set before the start, for use in ``reconcile``:
        client, clock, log, recorder; rehearsal, which is None except in a dry run. What goes elsewhere than through
        ``client`` must look at it, and be left undone where there is one.

    A plain ``def reconcile`` runs in a thread, so that blocking calls stop nobody else. There, cached reads work as
    they are, and ``self.wait(self.client.get(…))`` waits for a coroutine.
    """

    kind: ClassVar[Kind | None] = None
    name: ClassVar[str] = ""
    owns: ClassVar[tuple[KindLike | Owns, ...]] = ()
    watches: ClassVar[tuple[Watch, ...]] = ()
    sources: Sequence[Source] = ()
    predicates: ClassVar[tuple[Predicate, ...]] = ()
    max_concurrent_reconciles: ClassVar[int] = 1
    reconcile_timeout_s: ClassVar[float | None] = None
    cache_sync_timeout_s: ClassVar[float] = CACHE_SYNC_TIMEOUT_S
    limiter: RateLimiter[Key] | None = None
    needs_leader: ClassVar[bool] = True
    warms_up: ClassVar[bool] = True
    recover_bugs: ClassVar[bool] = True
    tell_failing: ClassVar[bool] = True
    resync_s: ClassVar[float] = RESYNC_S
    resource: ClassVar[type[Resource] | None] = None

    client: Client
    clock: Clock
    log: Any
    recorder: EventRecorder
    applied_memory: AppliedMemory
    rehearsal: Rehearsal | None = None
    _informers: Informers
    _loop: asyncio.AbstractEventLoop | None = None
    _loop_thread: int = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Finds the primary kind in the type arguments and makes a name."""
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            origin = get_origin(base)
            if not (isinstance(origin, type) and issubclass(origin, Reconciler)):
                continue
            primary = next(iter(get_args(base)), None)
            if isinstance(primary, type) and issubclass(primary, Resource):
                cls.resource = primary
                cls.kind = primary.resource_kind()
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.removesuffix("Reconciler").lower() or cls.__name__.lower()

    @classmethod
    def primary_kind(cls) -> Kind:
        """The kind reconciled.

        Raises:
            ConfigError: the class names none.
        """
        if cls.kind is None:
            raise ConfigError(
                f"{cls.__name__} names no kind: write class {cls.__name__}(Reconciler[YourResource]), "
                f"or set kind = kinds.POD (and Reconciler[Object]) for a built-in one"
            )
        return cls.kind

    @abstractmethod
    async def reconcile(self, request: Request) -> Result | None:
        """Brings the object ``request.key`` closer to what is wanted.

        Also called for an object that is gone: ``get`` then gives None. Raising queues the key again with
        back-off; raising `TerminalError` does not. May be cancelled at shutdown, between two awaits.
        """

    async def aclose(self) -> None:
        """Ends what the reconciler opened by itself; for whoever made it to call, after the manager has ended."""

    def bind(
        self,
        *,
        client: Client,
        clock: Clock,
        log: Any,
        recorder: EventRecorder,
        informers: Informers,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        """Called once by the manager before the start; with ``rehearsal`` for a dry run."""
        self.client, self.clock, self.log, self.recorder, self._informers = client, clock, log, recorder, informers
        self.rehearsal = rehearsal
        self.applied_memory = AppliedMemory()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called once by the controller, in the thread of the loop it runs in."""
        self._loop, self._loop_thread = loop, threading.get_ident()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """From the thread of a plain ``def reconcile``: runs ``work`` in the event loop and gives its result.

        Raises:
            ConfigError: it is called in the event loop itself, which it would block for ever.
            Exception: what ``work`` raises.
        """
        if self._loop is None or threading.get_ident() == self._loop_thread:
            work.close()
            raise ConfigError(f"{type(self).__name__}.wait() is for a plain `def reconcile`; here write `await`")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # -- writes --------------------------------------------------------------------------------------------------

    async def apply(
        self, owner: Resource | Object, objects: Iterable[Mapping[str, Any]], *, prune: Iterable[KindLike] = ()
    ) -> tuple[Object, ...]:
        """Makes each of ``objects`` as given and owned by ``owner``, in their order; what the server has now.

        Server-side apply under this controller's name: fields set by others stay, fields given before and no
        longer are removed. An object without a namespace gets its owner's. Where this process applied the same
        before, and the cache shows that nothing has been changed since, nothing is sent.

        Args:
            prune: objects of these declared kinds that ``owner`` controls and ``objects`` does not name are deleted
                afterwards.
        Raises:
            ConfigError: an object has another controller, or lies in another namespace than its owner.
            UndeclaredKind: of ``prune``.
            ApiError: the server refused one; those before it are applied.
        """
        done = await self.apply_in_order(owner, [tuple(objects)], prune=prune)
        return done.objects

    async def apply_in_order(
        self,
        owner: Resource | Object,
        stages: Iterable[Sequence[Mapping[str, Any]]],
        *,
        prune: Iterable[KindLike] = (),
    ) -> Children:
        """As ``apply``, stage by stage: a stage is applied once everything in those before it is ready.

        Nothing waits: the result says what is not ready, and a change of it, being owned, brings the next pass.
        Pruning happens once every stage is reached, so that a predecessor stays until its successor is there.
        """
        source = owner if isinstance(owner, Object) else owner.source
        wanted: list[dict[str, Any]] = []
        applied: list[Object] = []
        waiting: dict[str, str] = {}
        for stage in stages:
            if waiting:
                return Children(tuple(applied), waiting, complete=False)
            children = [self._child(source, value) for value in stage]
            answers = [await self._apply_one(child) for child in children]
            wanted += children
            applied += answers
            waiting = waiting_of(answers)
        return Children(tuple(applied), waiting, tuple(await self._prune(source, wanted, prune)))

    def _child(self, owner: Object, value: Mapping[str, Any]) -> dict[str, Any]:
        child = {**value, "metadata": {"namespace": owner.namespace, **value.get("metadata", {})}}
        if not child["metadata"]["namespace"]:
            del child["metadata"]["namespace"]
        set_controller_reference(owner, child)
        return child

    async def _apply_one(self, child: Mapping[str, Any]) -> Object:
        kind = await self.client.kind_of(GVK.of(child["apiVersion"], child["kind"]))
        namespace = child["metadata"].get("namespace", self.client.namespace) if kind.namespaced else ""
        try:
            known = self._informers.reader(kind).get(Key(namespace, child["metadata"]["name"]))
        except UndeclaredKind:
            known = None  # nobody tells of its changes, so the server is asked every time
        if known is not None and self.applied_memory.needless(child, known):
            return known
        answer = await self.client.apply(child, field_manager=self.name)
        if known is not None or not self.client.dry_run:
            self.applied_memory.applied(child, answer)
        return answer

    async def _prune(
        self, owner: Object, wanted: Sequence[Mapping[str, Any]], kinds: Iterable[KindLike]
    ) -> list[Object]:
        gone = [each for kind in kinds for each in unwanted(wanted, self.owned(owner, kind))]
        for each in gone:
            try:
                await self.client.delete(each.gvk, each.key, uid=each.uid, propagation_policy="Background")
            except NotFound:
                continue  # somebody else was faster
        return gone

    async def write_status(
        self, owner: Resource | Object, status: Mapping[str, Any] | None = None, *, conditions: Iterable[Condition] = ()
    ) -> Object:
        """Makes ``status`` say this, in one call, or in none where it says so already.

        Fields that are not given stay, and so do other conditions; ``lastTransitionTime`` moves where the status of
        a condition changes. ``observedGeneration`` becomes that of ``owner``, in the status and in the conditions;
        in the status only where the `Resource` has a place for it.

        Raises:
            Conflict: the object is no longer the ``owner`` that was given; the next pass sees what it is.
        """
        source = owner if isinstance(owner, Object) else owner.source
        generation = source.generation or None
        wanted = {**source.status, **(status or {})}
        for each in conditions:
            wanted["conditions"] = set_condition(
                wanted.get("conditions"),
                each.type,
                each.status,
                each.reason,
                each.message,
                now=self.clock.utcnow(),
                observed_generation=generation,
            )
        if generation is not None and _has_observed_generation(self.resource):
            wanted["observedGeneration"] = generation
        if wanted == source.status:
            return source
        return await self.client.update_status({**source.to_dict(), "status": wanted})

    # -- cached reads --------------------------------------------------------------------------------------------

    async def get(self, key: Key, *, fresh: bool = False) -> R | None:
        """The primary object from the cache: typed as declared; None if there is none.

        Args:
            fresh: from the server instead, as `read_fresh`.
        Raises:
            BadRequest: the object does not fit the `Resource` model.
            ApiError, TransportError: a fresh read failed.
        """
        kind = self.primary_kind()
        found = await self.read_fresh(kind, key) if fresh else self.read(kind, key)
        if found is None or self.resource is None:
            return cast("R | None", found)
        return cast("R", self.resource.from_object(found))

    def read(self, kind: KindLike, key: Key) -> Object | None:
        """An object of a declared kind from the cache, or as this process wrote it last.

        Raises:
            UndeclaredKind: it is neither the primary kind nor in ``owns`` or ``watches``.
        """
        return self._in_loop(lambda: self._informers.reader(_cached_kind(kind)).get(key))

    async def read_fresh(self, kind: KindLike, key: Key) -> Object | None:
        """An object as the server has it now, of any kind; None if there is none. What is cached stays as it is.

        For the few decisions that must not be made on what may be some moments old, such as deleting data.

        Raises:
            ApiError, TransportError: the read failed.
        """
        try:
            return await self.client.get(kind, key)
        except NotFound:
            return None

    def list(self, kind: KindLike, namespace: str | None = None, *, label_selector: str = "") -> list[Object]:
        """The objects of a declared kind from the cache. Raises as ``read``, and BadRequest of the selector."""
        return self._in_loop(
            lambda: self._informers.reader(_cached_kind(kind)).list(namespace, label_selector=label_selector)
        )

    def owned(self, owner: Resource | Object, kind: KindLike) -> tuple[Object, ...]:
        """The cached objects whose controller is ``owner``, by key. Raises as ``read``."""
        uid = owner.uid if isinstance(owner, Object) else owner.metadata.uid
        return self._in_loop(lambda: tuple(self._informers.reader(_cached_kind(kind)).by_index(BY_CONTROLLER, uid)))

    def _in_loop(self, read: Callable[[], T]) -> T:
        """Caches change between two awaits of the event loop, so a thread reads through it."""
        if self._loop is None or threading.get_ident() == self._loop_thread:
            return read()

        async def reading() -> T:
            return read()

        return self.wait(reading())


def _has_observed_generation(resource: type[Resource] | None) -> bool:
    """Whether the status takes it; where that is not modelled, it is taken to do so, as the conventions ask."""
    field = resource.model_fields.get("status") if resource is not None else None
    model = field.annotation if field is not None else None
    if not (isinstance(model, type) and issubclass(model, ApiModel)):
        return True
    return any((each.alias or name) == "observedGeneration" for name, each in model.model_fields.items())


def _cached_kind(kind: KindLike) -> Kind:
    if isinstance(kind, Kind):
        return kind
    if isinstance(kind, GVK):
        raise ConfigError(f"{kind.kind}: cached reads take a Kind or a Resource class, not a GVK")
    return kind.resource_kind()
