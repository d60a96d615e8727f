"""`Reconciler`: what one subclasses to write an operator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args, get_origin

from controllerkit.cache import BY_CONTROLLER, Informers
from controllerkit.client import Client, KindLike
from controllerkit.controller.result import Request, Result, Watch
from controllerkit.errors import ConfigError
from controllerkit.events import EventRecorder
from controllerkit.objects import GVK, Key, Kind, Object, set_controller_reference
from controllerkit.runtime import Clock
from controllerkit.schema import Resource

__all__ = ["Reconciler"]

R = TypeVar("R")


class Reconciler(Generic[R]):
    """Makes the world as one kind of object says it should be, one object at a time.

    Subclass it with a `Resource`, or with `Object` and ``kind`` for a built-in kind, and write ``reconcile``:
    it is called with a key whenever that object, something it owns, or something watched has changed. It must
    look at the whole state and bring it closer to what is wanted, whatever the reason it was called for.

    Class attributes:
        kind: the primary kind; taken from the type argument where that is a `Resource`.
        name: for logs and metrics; the class name without "Reconciler", in lower case.
        owns: kinds whose objects' controller reference leads back to the primary.
        watches: other kinds, with a function to the keys they concern.
        max_concurrent_reconciles: keys worked on at once; one key is never worked on twice at a time.

    Set before the start, for use in ``reconcile``:
        client, clock, log, recorder.
    """

    kind: ClassVar[Kind | None] = None
    name: ClassVar[str] = ""
    owns: ClassVar[tuple[KindLike, ...]] = ()
    watches: ClassVar[tuple[Watch, ...]] = ()
    max_concurrent_reconciles: ClassVar[int] = 1
    resource: ClassVar[type[Resource] | None] = None

    client: Client
    clock: Clock
    log: Any
    recorder: EventRecorder
    _informers: Informers

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

    def bind(self, *, client: Client, clock: Clock, log: Any, recorder: EventRecorder, informers: Informers) -> None:
        """Called once by the manager before the start."""
        self.client, self.clock, self.log, self.recorder, self._informers = client, clock, log, recorder, informers

    # -- writes --------------------------------------------------------------------------------------------------

    async def apply(self, owner: Resource | Object, objects: Iterable[dict[str, Any]]) -> tuple[Object, ...]:
        """Makes each of ``objects`` as given and owned by ``owner``, in their order; what the server has now.

        Server-side apply under this controller's name: fields set by others stay, fields given before and no
        longer are removed. An object without a namespace gets its owner's. Where nothing differs the server
        writes nothing.

        Raises:
            ConfigError: an object has another controller, or lies in another namespace than its owner.
            ApiError: the server refused one; those before it are applied.
        """
        source = owner if isinstance(owner, Object) else owner.source
        applied = []
        for value in objects:
            child = {**value, "metadata": {"namespace": source.namespace, **value.get("metadata", {})}}
            set_controller_reference(source, child)
            applied.append(await self.client.apply(child, field_manager=self.name))
        return tuple(applied)

    # -- cached reads --------------------------------------------------------------------------------------------

    async def get(self, key: Key) -> R | None:
        """The primary object from the cache: typed as declared; None if there is none.

        Raises:
            BadRequest: the object does not fit the `Resource` model.
        """
        found = self.read(self.primary_kind(), key)
        if found is None or self.resource is None:
            return cast("R | None", found)
        return cast("R", self.resource.from_object(found))

    def read(self, kind: KindLike, key: Key) -> Object | None:
        """An object of a declared kind from the cache, or as this process wrote it last.

        Raises:
            UndeclaredKind: it is neither the primary kind nor in ``owns`` or ``watches``.
        """
        return self._informers.reader(_cached_kind(kind)).get(key)

    def list(self, kind: KindLike, namespace: str | None = None) -> list[Object]:
        """The objects of a declared kind from the cache. Raises as ``read``."""
        return self._informers.reader(_cached_kind(kind)).list(namespace)

    def owned(self, owner: Resource | Object, kind: KindLike) -> tuple[Object, ...]:
        """The cached objects whose controller is ``owner``, by key. Raises as ``read``."""
        uid = owner.uid if isinstance(owner, Object) else owner.metadata.uid
        return tuple(self._informers.reader(_cached_kind(kind)).by_index(BY_CONTROLLER, uid))


def _cached_kind(kind: KindLike) -> Kind:
    if isinstance(kind, Kind):
        return kind
    if isinstance(kind, GVK):
        raise ConfigError(f"{kind.kind}: cached reads take a Kind or a Resource class, not a GVK")
    return kind.resource_kind()
