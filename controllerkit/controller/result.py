"""What a reconciler is asked, what it answers, and what follows from the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from controllerkit.client import KindLike
from controllerkit.errors import ConfigError, TerminalError
from controllerkit.objects import Key, Object

__all__ = ["Forget", "Outcome", "Request", "RequeueAfter", "Result", "Retry", "Watch", "outcome_of"]


@dataclass(frozen=True, slots=True)
class Request:
    """Which object, and every reason it is looked at (``"changed"``, ``"Pod web-0 deleted"``, ``"retry 3"`` …)."""

    key: Key
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """``requeue_after_s`` seconds from now the object is looked at again even if nothing changes; None: it is not."""

    requeue_after_s: float | None = None

    def __post_init__(self) -> None:
        if self.requeue_after_s is not None and self.requeue_after_s < 0:
            raise ConfigError(f"requeue_after_s must not be negative, got {self.requeue_after_s}")


@dataclass(frozen=True, slots=True)
class Watch:
    """A kind to watch, and whom a change concerns: ``map(object)`` yields keys of primaries.

    On an update ``map`` is asked about the old and the new object.
    """

    kind: KindLike
    map: Callable[[Object], Iterable[Key]]
    label_selector: str = ""
    field_selector: str = ""


@dataclass(frozen=True, slots=True)
class Forget:
    """Success: failures are cleared, nothing is queued."""

    label: str = "success"


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Success: failures are cleared, and the key is queued in ``delay_s``."""

    delay_s: float
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

    >>> outcome_of(Result(requeue_after_s=5), None)
    RequeueAfter(delay_s=5, label='requeue_after')
    >>> outcome_of(None, TerminalError("no")).terminal
    True
    """
    if error is not None:
        return Retry(error, isinstance(error, TerminalError))
    if answer is not None and answer.requeue_after_s:
        return RequeueAfter(answer.requeue_after_s)
    return Forget()
