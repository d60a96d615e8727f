"""What a reconciler is asked, what it answers, and what follows from the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from controllerkit.client import KindLike
from controllerkit.controller.handlers import EventHandler, enqueue_mapped
from controllerkit.controller.predicates import Predicate
from controllerkit.errors import ConfigError, TerminalError
from controllerkit.objects import Key, Object

__all__ = ["Forget", "Outcome", "Owns", "Request", "RequeueAfter", "Result", "Retry", "Watch", "outcome_of"]


@dataclass(frozen=True, slots=True)
class Request:
    """Which object, and every reason it is looked at.

    Reasons are such as ``spec.replicas changed``, ``owned Pod web-0 deleted``, ``resync``, ``timer``, ``retry 3``.
    ``priority`` is the one it was queued with.
    """

    key: Key
    reasons: frozenset[str] = frozenset()
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """``requeue_after_s`` seconds from now the object is looked at again even if nothing changes; None: it is not.

    ``priority`` is that of this next look; None keeps the one it had. A retry after an error always keeps it.
    """

    requeue_after_s: float | None = None
    priority: int | None = None

    def __post_init__(self) -> None:
        if self.requeue_after_s is not None and not self.requeue_after_s >= 0:
            raise ConfigError(f"requeue_after_s must not be negative, got {self.requeue_after_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selected:
    """What of a kind is watched.

    Attributes:
        label_selector: as for ``kubectl -l``; filters on the server.
        field_selector: as for ``kubectl --field-selector``; filters on the server.
        predicates: a change must pass all of them to cause a reconcile; what is cached does not depend on them.
        metadata_only: only metadata is fetched and cached: much smaller, where ``spec`` and ``status`` are not read.
        optional: where the kind is not served it is watched as soon as it is, and no longer once it has gone.
    """

    label_selector: str = ""
    field_selector: str = ""
    predicates: tuple[Predicate, ...] = ()
    metadata_only: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Owns(_Selected):
    """A kind whose objects lead back to the primary by their owner references: the controller's, or any."""

    kind: KindLike
    every_owner: bool = False


@dataclass(frozen=True, slots=True)
class Watch(_Selected):
    """A kind to watch, and whom a change concerns: ``map(object)`` yields keys of primaries.

    On an update ``map`` is asked about the old and the new object. ``handler(event)``, in its place, sees both at
    once and what has happened. The keys need not be of objects that exist.

    Raises:
        ConfigError: both are given, or neither.
    """

    kind: KindLike
    map: Callable[[Object], Iterable[Key]] | None = None
    handler: EventHandler | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if (self.map is None) == (self.handler is None):
            raise ConfigError(f"Watch({self.kind}) needs either map or handler, which say whom a change concerns")

    @property
    def enqueue(self) -> EventHandler:
        """The handler that follows from the two."""
        return self.handler if self.map is None else enqueue_mapped(self.map)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Forget:
    """Success: failures are cleared, nothing is queued."""

    label: str = "success"


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Success: failures are cleared, and the key is queued in ``delay_s``."""

    delay_s: float
    priority: int | None = None
    label: str = "requeue_after"


@dataclass(frozen=True, slots=True)
class Retry:
    """Failure: queued again after the limiter's delay, unless ``terminal``."""

    error: BaseException
    terminal: bool
    label: str = "error"


Outcome = Forget | RequeueAfter | Retry


def outcome_of(answer: Result | None, error: BaseException | None) -> Outcome:
    """controller-runtime's table (``pkg/internal/controller``): an error beats a result; a delay forgets failures.

    >>> outcome_of(Result(requeue_after_s=5), None).delay_s
    5
    >>> outcome_of(None, TerminalError("no")).terminal
    True
    """
    if error is not None:
        return Retry(error, isinstance(error, TerminalError))
    if answer is not None and answer.requeue_after_s:
        return RequeueAfter(answer.requeue_after_s, answer.priority)
    return Forget()
