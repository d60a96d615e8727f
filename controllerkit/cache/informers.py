"""The informers of one process: one for each kind, shared by all who ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Any, NamedTuple

from controllerkit.cache.informer import Informer, Transform
from controllerkit.cache.options import CacheOptions, CachePart, joined, parts_of
from controllerkit.cache.overlay import Overlay, Reader
from controllerkit.cache.store import BY_CONTROLLER, by_controller
from controllerkit.cache.union import StoreView
from controllerkit.cache.union_informer import UnionInformer
from controllerkit.client import Client, KindLike
from controllerkit.errors import ConfigError, UndeclaredKind
from controllerkit.objects import Kind
from controllerkit.runtime import Clock, SystemClock, cancel_and_wait

__all__ = ["Informers"]

AnyInformer = Informer | UnionInformer


class _Declared(NamedTuple):
    """What was asked for; the first three say which objects."""

    kind: Kind
    label_selector: str
    field_selector: str
    metadata_only: bool
    transform: Transform | None

    @property
    def selection(self) -> tuple[Kind, str, str]:
        return self[:3]


class Informers:
    """Shares informers by kind and selectors, starts and stops them together.

    Guarantees:
        Asking twice for the same kind and selectors gives the same informer: one watch, one store. A `reader`
        sees what was written through ``client`` before the watch brings it back.

    Args:
        options: what of the cluster is cached; None is everything of what is declared.
    """

    def __init__(
        self,
        client: Client,
        *,
        options: CacheOptions | None = None,
        clock: Clock | None = None,
        rng: Random | None = None,
        log: Any = None,
    ) -> None:
        self._client = client
        self._options = options or CacheOptions()
        self._clock = clock or SystemClock()
        self._rng = rng
        self._log = log
        self._informers: dict[_Declared, AnyInformer] = {}
        self._tasks: dict[Informer, asyncio.Task[None]] = {}
        self._running = False
        self.overlay = Overlay(self._store_of, self._clock.monotonic, lambda kind, value: self.get(kind).kept(value))
        client.hooks.append(self.overlay)

    def __iter__(self) -> Iterator[Informer]:
        """Every one that lists and watches; of a kind cached by namespace, one for each."""
        return iter([part for each in self._informers.values() for part in each.parts])

    async def declare(
        self,
        kind: KindLike,
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        transform: Transform | None = None,
    ) -> AnyInformer:
        """The informer of ``kind``, made (and, once started, run) at the first call.

        Of the objects that the options select it has those that also match the selectors here; ``transform`` None
        is that of the options.

        Raises:
            ConfigError: the server does not serve the kind; the options give namespaces to a kind that has none; or
                it is declared already with another ``transform`` or ``metadata_only``, which would leave one of the
                two without what it reads.
        """
        resolved = await self._client.kind_of(kind)
        declared = _Declared(resolved, label_selector, field_selector, metadata_only, transform)
        for other, informer in self._informers.items():
            if other == declared:
                return informer
            if other.selection == declared.selection:
                raise ConfigError(f"{resolved} is declared twice, with different metadata_only or transform")
        parts = {
            namespace: self._make(declared, namespace, part)
            for namespace, part in parts_of(self._options, resolved).items()
        }
        made = next(iter(parts.values())) if len(parts) == 1 else UnionInformer(parts)
        self._informers[declared] = made
        if self._running:
            self._start(made)
        return made

    def _make(self, declared: _Declared, namespace: str, part: CachePart) -> Informer:
        informer = Informer(
            self._client,
            declared.kind,
            namespace or None,
            label_selector=joined(part.label_selector, declared.label_selector),
            field_selector=joined(part.field_selector, declared.field_selector),
            clock=self._clock,
            rng=self._rng,
            log=self._log,
            metadata_only=declared.metadata_only,
            transform=declared.transform or part.transform,
            on_error=self._options.on_error,
            options=self._options.reflector,
        )
        informer.add_index(BY_CONTROLLER, by_controller)
        informer.on_progress = partial(self.overlay.release, informer.store)
        return informer

    async def remove(self, kind: Kind) -> None:
        """Ends the watches of ``kind`` and forgets what is cached, such as when its CRD has gone.

        Handlers are told that each object is deleted: for whoever asks now, they are.
        """
        for declared in [each for each in self._informers if each.kind == kind]:
            for informer in self._informers.pop(declared).parts:
                task = self._tasks.pop(informer, None)
                if task is not None:
                    await cancel_and_wait(task)
                informer.clear()
                self.overlay.forget(informer.store)

    def get(self, kind: Kind) -> AnyInformer:
        """The informer of a declared kind, the one without selectors of its own first.

        Raises:
            UndeclaredKind: none was declared; a silent cluster-wide watch is never started.
        """
        found = sorted(
            (each for each in self._informers if each.kind == kind), key=lambda each: any(each.selection[1:])
        )
        if not found:
            known = sorted({str(each.kind) for each in self._informers})
            raise UndeclaredKind(
                f"{kind} is not cached; declare it in `owns` or `watches` (declared: {', '.join(known)})"
            )
        whole = [each for each in found if not (each.label_selector or each.field_selector)]
        return self._informers[(whole or found)[0]]

    def reader(self, kind: Kind) -> Reader:
        """Reads of a declared kind, own writes included. Raises as ``get``."""
        return Reader(self.get(kind).store, self.overlay)

    def _store_of(self, kind: Kind) -> StoreView | None:
        try:
            return self.get(kind).store
        except UndeclaredKind:
            return None

    def start(self) -> None:
        """Runs every informer declared so far, and later ones as they are declared."""
        self._running = True
        for informer in self._informers.values():
            self._start(informer)

    def _start(self, informer: AnyInformer) -> None:
        for part in informer.parts:
            if part not in self._tasks:
                self._tasks[part] = asyncio.create_task(part.run(), name=f"informer {part.kind}")

    async def wait_synced(self, *, timeout_s: float | None = None) -> None:
        """Returns when all have synced; raises as `Informer.wait_synced`."""
        for informer in list(self._informers.values()):
            await informer.wait_synced(timeout_s=timeout_s)

    async def stop(self) -> None:
        """Ends every watch; the stores stay readable."""
        self._running = False
        tasks, self._tasks = list(self._tasks.values()), {}
        await cancel_and_wait(*tasks)
