"""A reconciler that notes what it is asked, and what tests do with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from controllerkit import Key, Reconciler, Request, Result, Watch, kinds
from controllerkit.runtime import wait_until
from controllerkit.schema import Metadata
from controllerkit.testing import running
from tests.unit.conftest import Website

__all__ = ["A", "Recording", "running", "until", "website"]

A = Key("default", "a")


async def until(probe: Callable[[], object], what: str) -> None:
    async def probed() -> object:
        return probe()

    await wait_until(probed, what=what, timeout_s=10.0, interval_s=0.005)


def website(name: str = "a", **spec: object) -> Website:
    return Website(metadata=Metadata(name=name, namespace="default"), spec=spec)


class Recording(Reconciler[Website]):
    """Notes every request; answers what ``answer`` gives."""

    name = "recording"
    owns = (kinds.CONFIG_MAP,)
    watches = (Watch(kinds.SECRET, lambda secret: [Key(secret.namespace, secret.labels.get("site", ""))]),)

    def __init__(self, answer: Callable[[Request], Awaitable[Result | None]] | None = None) -> None:
        self.requests: list[Request] = []
        self.answer = answer

    async def reconcile(self, request: Request) -> Result | None:
        self.requests.append(request)
        return await self.answer(request) if self.answer else None

    def reasons(self) -> set[str]:
        return {reason for request in self.requests for reason in request.reasons}
