"""Exponential back-off as numbers; nothing here waits."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["Backoff", "BackoffOptions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BackoffOptions:
    """The first delay, its growth, its bound and its jitter (a delay d becomes one in [d, d + jitter * d)).

    ``reset_after_s`` without a new delay starts the series over. The defaults are the reflector's
    (client-go ``tools/cache/reflector.go``).
    """

    initial_s: float = 0.8
    factor: float = 2.0
    max_s: float = 30.0
    jitter: float = 1.0
    reset_after_s: float = 120.0


class Backoff:
    """A series of delays.

    >>> backoff = Backoff(BackoffOptions(jitter=0.0), Random(0))
    >>> [backoff.next_s(now=float(t)) for t in range(7)]
    [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
    >>> backoff.next_s(now=500.0)
    0.8
    """

    __slots__ = ("_delay_s", "_last_at", "_options", "_rng")

    def __init__(self, options: BackoffOptions, rng: Random) -> None:
        self._options = options
        self._rng = rng
        self._delay_s = options.initial_s
        self._last_at: float | None = None

    def next_s(self, *, now: float) -> float:
        """The next delay in seconds, as of the monotonic time ``now``."""
        if self._last_at is not None and now - self._last_at > self._options.reset_after_s:
            self.reset()
        self._last_at = now
        delay_s = self._delay_s
        self._delay_s = min(delay_s * self._options.factor, self._options.max_s)
        return delay_s + self._rng.random() * self._options.jitter * delay_s

    def reset(self) -> None:
        """Starts the series over."""
        self._delay_s = self._options.initial_s
