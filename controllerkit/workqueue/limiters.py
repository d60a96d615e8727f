"""How long a failing key waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Final, Generic, Protocol, TypeVar

__all__ = ["ItemExponentialLimiter", "RateLimiter"]

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)

BASE_S: Final = 0.005
MAX_S: Final = 1000.0


class RateLimiter(Protocol[K_contra]):
    """Delays per key."""

    def when_s(self, key: K_contra) -> float:
        """Counts a failure of ``key`` and says how many seconds it waits."""
        ...

    def forget(self, key: K_contra) -> None:
        """Clears the failures of ``key``."""
        ...

    def failures(self, key: K_contra) -> int:
        """How many are counted."""
        ...


class ItemExponentialLimiter(Generic[K]):
    """``base * 2^failures`` per key, up to a bound (client-go ``ItemExponentialFailureRateLimiter``: 5 ms, 1000 s).

    >>> limiter = ItemExponentialLimiter[str]()
    >>> [limiter.when_s("a") for _ in range(4)], limiter.when_s("b")
    ([0.005, 0.01, 0.02, 0.04], 0.005)
    >>> limiter.forget("a"); limiter.when_s("a")
    0.005
    """

    def __init__(self, *, base_s: float = BASE_S, max_s: float = MAX_S) -> None:
        self._base_s = base_s
        self._max_s = max_s
        self._failures: Counter[K] = Counter()

    def when_s(self, key: K) -> float:
        """See `RateLimiter.when_s`."""
        exponent = self._failures[key]
        self._failures[key] += 1
        return self._max_s if exponent > 60 else min(self._base_s * 2**exponent, self._max_s)

    def forget(self, key: K) -> None:
        """See `RateLimiter.forget`."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """See `RateLimiter.failures`."""
        return self._failures.get(key, 0)
