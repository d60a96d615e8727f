"""Which fault comes when: decided by a seed, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from random import Random
from typing import Final

__all__ = ["IDLE_S", "Step", "schedule"]

IDLE_S: Final = 6.0
"""After so much silence a watch is taken for dead here; 150 s in production, since bookmarks come once a minute."""


@dataclass(frozen=True, slots=True)
class Step:
    """``fault`` begins ``at_s`` after the start, when the one before is over, and lasts ``lasts_s``."""

    at_s: float
    fault: str
    lasts_s: float


_LASTS: Final[dict[str, Callable[[Random], float]]] = {
    "drop": lambda _: 0.0,
    "half_open": lambda _: IDLE_S + 3.0,
    "cut": lambda rng: rng.uniform(1.0, 6.0),
    "deaf": lambda rng: rng.uniform(1.0, 6.0),
    "refuse": lambda rng: rng.uniform(1.0, 4.0),
    "delay": lambda rng: rng.uniform(2.0, 4.0),
    "http": lambda _: 2.0,
    "restart": lambda _: 4.0,
    "forget": lambda _: 6.0,
}


def schedule(seed: int, seconds: float) -> Iterator[Step]:
    """Every fault once in an order of the seed's, then every fault again; a quiet second or two between them."""

    def steps() -> Iterator[Step]:
        rng, at_s = Random(seed), 2.0
        while True:
            deck = list(_LASTS)
            rng.shuffle(deck)
            for fault in deck:
                lasts_s = _LASTS[fault](rng)
                yield Step(at_s, fault, lasts_s)
                at_s += lasts_s + rng.uniform(0.5, 2.0)

    return takewhile(lambda step: step.at_s + step.lasts_s < seconds, steps())
