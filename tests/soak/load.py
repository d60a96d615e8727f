"""Those who write, and the controller whose children they spoil."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, Final

from controllerkit import Client, Key, Reconciler, Request, kinds
from controllerkit.errors import AlreadyExists, ControllerkitError, NotFound
from tests.unit.conftest import Website

__all__ = ["CHILD", "NAMESPACES", "Mirror", "Writer", "children_problems"]

NAMESPACES: Final = tuple(f"soak-{number}" for number in range(4))
NAMES: Final = tuple(f"n{number:02}" for number in range(30))
CHILD: Final = "child"


class Mirror(Reconciler[Website]):
    """For each Website a ConfigMap that says the same; without one, none."""

    name = "mirror"
    owns = (kinds.CONFIG_MAP,)
    max_concurrent_reconciles = 4

    def __init__(self) -> None:
        self.reconciles = 0

    async def reconcile(self, request: Request) -> None:
        self.reconciles += 1
        site = await self.get(request.key)
        child = Key(request.key.namespace, f"{request.key.name}-{CHILD}")
        if site is not None:
            metadata = {"name": child.name, "labels": {"role": CHILD}}
            data = {"x": str(site.spec.get("x"))}
            await self.apply(site, [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}])
            return
        left = self.read(kinds.CONFIG_MAP, child)
        if left is not None:
            try:
                await self.client.delete(kinds.CONFIG_MAP, child, uid=left.uid)
            except NotFound:
                return


def children_problems(sites: list[Any], maps: list[Any]) -> list[str]:
    """Where the children are not what the controller owes to the sites."""
    children = {value.key: value for value in maps if value.labels.get("role") == CHILD}
    problems = []
    for site in sites:
        child = children.pop(Key(site.namespace, f"{site.name}-{CHILD}"), None)
        wanted = (site.uid, str(site.spec.get("x")))
        found = None
        if child is not None:
            found = (child.owner_references[0].uid if child.owner_references else "", child.get("data", "x"))
        if found != wanted:
            problems.append(f"child of {site.key}: {found} instead of {wanted}")
    return problems + [f"child {key} has no parent" for key in children]


class Writer:
    """Creates, changes and deletes Websites and ConfigMaps at random, ``rate_hz`` times a second, and spoils children.

    What the server makes of it is the truth: errors are counted and nothing more.
    """

    def __init__(self, client: Client, rng: Random, rate_hz: float) -> None:
        self.writes = 0
        self.errors = 0
        self._client = client
        self._rng = rng
        self._pause_s = 1.0 / rate_hz

    async def run(self) -> None:
        while True:
            try:
                await self._write()
                self.writes += 1
            except NotFound:
                pass
            except ControllerkitError:
                self.errors += 1
            await asyncio.sleep(self._pause_s)

    async def _write(self) -> None:
        rng = self._rng
        key = Key(rng.choice(NAMESPACES), rng.choice(NAMES))
        luck = rng.random()
        if luck < 0.1:
            await self._spoil(Key(key.namespace, f"{key.name}-{CHILD}"))
            return
        kind = rng.choice((Website, kinds.CONFIG_MAP))
        if luck < 0.25:
            await self._client.delete(kind, key)
            return
        value: dict[str, Any] = {"metadata": {"name": key.name, "namespace": key.namespace}}
        value["metadata"]["labels"] = {"tier": rng.choice(("a", "b"))}
        x = rng.randrange(10**6)
        value |= {"spec": {"x": x}} if kind is Website else {"data": {"x": str(x)}}
        try:
            await self._client.patch(kind, key, value)
        except NotFound:
            named = {"apiVersion": "example.dev/v1", "kind": "Website"} if kind is Website else {"apiVersion": "v1"}
            try:
                await self._client.create({"kind": "ConfigMap", **named, **value})
            except AlreadyExists:
                return

    async def _spoil(self, child: Key) -> None:
        if self._rng.random() < 0.5:
            await self._client.delete(kinds.CONFIG_MAP, child)
        else:
            await self._client.patch(kinds.CONFIG_MAP, child, {"data": {"x": "spoilt"}})
