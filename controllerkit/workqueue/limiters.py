"""How long a failing key waits: client-go's limiters (``util/workqueue/default_rate_limiters.go``)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from random import Random
from typing import Final, Generic, Protocol, TypeVar

from controllerkit.errors import ConfigError

__all__ = [
    "BucketLimiter",
    "FastSlowLimiter",
    "ItemExponentialLimiter",
    "MaxOfLimiter",
    "MaxWaitLimiter",
    "RateLimiter",
    "default_controller_limiter",
]

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)

BASE_S: Final = 0.005
MAX_S: Final = 1000.0
QPS: Final = 10.0
BURST: Final = 100


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
    """``base * 2^failures`` per key, up to a bound: 5 ms and 1000 s, as controllers do.

    Args:
        jitter: a delay d becomes one in [d, d + jitter * d), so that keys that failed together do not come back so.

    >>> limiter = ItemExponentialLimiter[str]()
    >>> [limiter.when_s("a") for _ in range(4)], limiter.when_s("b")
    ([0.005, 0.01, 0.02, 0.04], 0.005)
    >>> limiter.forget("a"); limiter.when_s("a")
    0.005
    """

    def __init__(
        self, *, base_s: float = BASE_S, max_s: float = MAX_S, jitter: float = 0.0, rng: Random | None = None
    ) -> None:
        self._base_s = base_s
        self._max_s = max_s
        self._jitter = jitter
        self._rng = rng or Random()
        self._failures: dict[K, int] = {}

    def when_s(self, key: K) -> float:
        """See `RateLimiter.when_s`."""
        exponent = self._failures.get(key, 0)
        self._failures[key] = exponent + 1
        delay_s = self._max_s if exponent > 60 else min(self._base_s * 2.0**exponent, self._max_s)
        return delay_s * (1.0 + self._jitter * self._rng.random()) if self._jitter else delay_s

    def forget(self, key: K) -> None:
        """See `RateLimiter.forget`."""
        if self._failures:
            self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """See `RateLimiter.failures`."""
        return self._failures.get(key, 0)


class BucketLimiter(Generic[K]):
    """A token bucket over all keys: who comes when it is empty reserves a token of the future.

    Args:
        now: the monotonic time in seconds.
    """

    def __init__(self, *, qps: float, burst: int, now: Callable[[], float]) -> None:
        if qps <= 0 or burst < 1:
            raise ConfigError(f"a bucket needs qps above 0 and a burst of at least 1, got {qps=} {burst=}")
        self._qps = qps
        self._burst = burst
        self._now = now
        self._tokens = float(burst)
        self._at = now()

    def when_s(self, key: K) -> float:
        """See `RateLimiter.when_s`."""
        now = self._now()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._qps) - 1.0
        self._at = now
        return max(-self._tokens / self._qps, 0.0)

    def forget(self, key: K) -> None:
        """Nothing: a token that was taken is gone."""

    def failures(self, key: K) -> int:
        """Always 0."""
        return 0


class FastSlowLimiter(Generic[K]):
    """``fast_s`` for the first ``fast_tries`` failures of a key, ``slow_s`` after them.

    >>> limiter = FastSlowLimiter[str](fast_s=0.1, slow_s=10.0, fast_tries=2)
    >>> [limiter.when_s("a") for _ in range(3)]
    [0.1, 0.1, 10.0]
    """

    def __init__(self, *, fast_s: float, slow_s: float, fast_tries: int) -> None:
        self._fast_s, self._slow_s, self._fast_tries = fast_s, slow_s, fast_tries
        self._failures: dict[K, int] = {}

    def when_s(self, key: K) -> float:
        """See `RateLimiter.when_s`."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        return self._fast_s if failures <= self._fast_tries else self._slow_s

    def forget(self, key: K) -> None:
        """See `RateLimiter.forget`."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """See `RateLimiter.failures`."""
        return self._failures.get(key, 0)


class MaxOfLimiter(Generic[K]):
    """The longest delay that any of ``limiters`` asks for; each of them counts."""

    def __init__(self, limiters: Sequence[RateLimiter[K]]) -> None:
        if not limiters:
            raise ConfigError("MaxOfLimiter needs at least one limiter")
        self._limiters = tuple(limiters)

    def when_s(self, key: K) -> float:
        """See `RateLimiter.when_s`."""
        return max([each.when_s(key) for each in self._limiters])

    def forget(self, key: K) -> None:
        """See `RateLimiter.forget`."""
        for each in self._limiters:
            each.forget(key)

    def failures(self, key: K) -> int:
        """The highest count of any."""
        return max(each.failures(key) for each in self._limiters)


class MaxWaitLimiter(Generic[K]):
    """What ``limiter`` says, and never more than ``max_s``."""

    def __init__(self, limiter: RateLimiter[K], *, max_s: float) -> None:
        self._limiter, self._max_s = limiter, max_s

    def when_s(self, key: K) -> float:
        """See `RateLimiter.when_s`."""
        return min(self._limiter.when_s(key), self._max_s)

    def forget(self, key: K) -> None:
        """See `RateLimiter.forget`."""
        self._limiter.forget(key)

    def failures(self, key: K) -> int:
        """See `RateLimiter.failures`."""
        return self._limiter.failures(key)


def default_controller_limiter(now: Callable[[], float]) -> MaxOfLimiter[Hashable]:
    """client-go ``DefaultControllerRateLimiter``: per key 5 ms to 1000 s, over all keys 10 a second after 100."""
    return MaxOfLimiter([ItemExponentialLimiter[Hashable](), BucketLimiter[Hashable](qps=QPS, burst=BURST, now=now)])
