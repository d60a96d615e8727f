"""The informers of one process: one for each kind, shared by all who ask for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

from controllerkit.cache.informer import Informer, Transform
from controllerkit.cache.overlay import Overlay, Reader
from controllerkit.cache.store import BY_CONTROLLER, Store, by_controller
from controllerkit.client import Client, KindLike
from controllerkit.errors import ConfigError, UndeclaredKind
from controllerkit.objects import Kind
from controllerkit.runtime import Clock, SystemClock, cancel_and_wait

__all__ = ["Informers"]


class Informers:
    """Shares informers by kind and selectors, starts and stops them together.

    Guarantees:
        Asking twice for the same kind and selectors gives the same informer: one watch, one store. A `reader`
        sees what was written through ``client`` before the watch brings it back.
    """

    def __init__(
        self, client: Client, *, namespace: str | None = None, clock: Clock | None = None, log: Any = None
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._clock = clock or SystemClock()
        self._log = log
        self._informers: dict[tuple[Kind, str, str], Informer] = {}
        self._tasks: dict[Informer, asyncio.Task[None]] = {}
        self._running = False
        self.overlay = Overlay(self._store_of, self._clock.monotonic)
        client.hooks.append(self.overlay)

    def __iter__(self) -> Iterator[Informer]:
        return iter(list(self._informers.values()))

    async def declare(
        self,
        kind: KindLike,
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        transform: Transform | None = None,
    ) -> Informer:
        """The informer of ``kind``, made (and, once started, run) at the first call.

        Raises:
            ConfigError: the server does not serve the kind; or it is declared already with another ``transform`` or
                ``metadata_only``, which would leave one of the two without what it reads.
        """
        resolved = await self._client.kind_of(kind)
        identity = (resolved, label_selector, field_selector)
        informer = self._informers.get(identity)
        if informer is None:
            informer = Informer(
                self._client,
                resolved,
                self._namespace if resolved.namespaced else None,
                label_selector=label_selector,
                field_selector=field_selector,
                clock=self._clock,
                log=self._log,
                metadata_only=metadata_only,
                transform=transform,
            )
            informer.add_index(BY_CONTROLLER, by_controller)
            informer.on_progress = partial(self.overlay.release, informer.store)
            self._informers[identity] = informer
            if self._running:
                self._start(informer)
        elif informer.metadata_only != metadata_only or informer.transform is not transform:
            raise ConfigError(f"{resolved} is declared twice, with different metadata_only or transform")
        return informer

    async def remove(self, kind: Kind) -> None:
        """Ends the watches of ``kind`` and forgets what is cached, such as when its CRD has gone.

        Handlers are told that each object is deleted: for whoever asks now, they are.
        """
        for identity in [each for each in self._informers if each[0] == kind]:
            informer = self._informers.pop(identity)
            task = self._tasks.pop(informer, None)
            if task is not None:
                await cancel_and_wait(task)
            informer.clear()
            self.overlay.forget(informer.store)

    def get(self, kind: Kind) -> Informer:
        """The informer of a declared kind, the one without selectors first.

        Raises:
            UndeclaredKind: none was declared; a silent cluster-wide watch is never started.
        """
        plain = self._informers.get((kind, "", ""))
        found = plain or next((i for (k, _, _), i in self._informers.items() if k == kind), None)
        if found is None:
            known = sorted({str(k) for k, _, _ in self._informers})
            raise UndeclaredKind(
                f"{kind} is not cached; declare it in `owns` or `watches` (declared: {', '.join(known)})"
            )
        return found

    def reader(self, kind: Kind) -> Reader:
        """Reads of a declared kind, own writes included. Raises as ``get``."""
        return Reader(self.get(kind).store, self.overlay)

    def _store_of(self, kind: Kind) -> Store | None:
        try:
            return self.get(kind).store
        except UndeclaredKind:
            return None

    def start(self) -> None:
        """Runs every informer declared so far, and later ones as they are declared."""
        self._running = True
        for informer in self._informers.values():
            self._start(informer)

    def _start(self, informer: Informer) -> None:
        if informer not in self._tasks:
            self._tasks[informer] = asyncio.create_task(informer.run(), name=f"informer {informer.kind}")

    async def wait_synced(self, *, timeout_s: float | None = None) -> None:
        """Returns when all have synced; raises as `Informer.wait_synced`."""
        for informer in list(self._informers.values()):
            await informer.wait_synced(timeout_s=timeout_s)

    async def stop(self) -> None:
        """Ends every watch; the stores stay readable."""
        self._running = False
        tasks, self._tasks = list(self._tasks.values()), {}
        await cancel_and_wait(*tasks)
