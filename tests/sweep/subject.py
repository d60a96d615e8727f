"""What is swept: a reconciler, the world around it, what must hold, and mistakes one could make in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controllerkit import Reconciler
from controllerkit.errors import SimulationFailed
from controllerkit.testing import Report, simulate

Maker = Callable[..., Reconciler[Any]]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One of them.

    Attributes:
        given: what else `simulate` is told.
        bugs: subclasses with one mistake each, and what is different for them.
    """

    name: str
    make: Maker
    given: Mapping[str, Any]
    bugs: Mapping[Maker, Mapping[str, Any]] = field(default_factory=dict)

    def sweep(self, seeds: Iterable[int]) -> Report:
        """Raises SimulationFailed where a seed fails."""
        return simulate(self.make, seeds=seeds, **self.given)

    def find(self, bug: Maker, seeds: int) -> SimulationFailed | None:
        """The first seed that finds the mistake."""
        try:
            simulate(bug, seeds=seeds, **{**self.given, **self.bugs[bug]})
        except SimulationFailed as failed:
            return failed
        return None
