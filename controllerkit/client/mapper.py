"""Discovery: from the kind an object carries to the resource its URL names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from controllerkit.errors import ConfigError, NotFound
from controllerkit.objects import GVK, Kind, kinds

__all__ = ["RestMapper"]

RequestJson = Callable[[str, str], Awaitable[Any]]


class RestMapper:
    """Knows the built-in kinds; asks the server's discovery once per group and version for any other.

    A kind that was not found is asked for again at the next call, since a CRD may have come in between.
    """

    def __init__(self, request_json: RequestJson) -> None:
        self._request_json = request_json
        self._known: dict[GVK, Kind] = dict(kinds.BUILTIN)

    def over(self, request_json: RequestJson) -> RestMapper:
        """One that knows the same, and asks elsewhere for the rest."""
        twin = RestMapper(request_json)
        twin._known.update(self._known)
        return twin

    def register(self, kind: Kind) -> None:
        """Makes ``kind`` known without discovery."""
        self._known[kind.gvk] = kind

    async def kind_for(self, gvk: GVK) -> Kind:
        """The names of ``gvk``.

        Raises:
            ConfigError: the server does not serve it.
        """
        if gvk not in self._known:
            for kind in await self.resources(gvk.group, gvk.version):
                self._known.setdefault(kind.gvk, kind)
        if gvk not in self._known:
            raise ConfigError(
                f"the server does not serve kind {gvk.kind!r} in {gvk.api_version!r}; "
                "is its CustomResourceDefinition applied?"
            )
        return self._known[gvk]

    async def resources(self, group: str, version: str) -> list[Kind]:
        """What the server serves in one group and version, subresources left out; empty for an unknown one."""
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            found = await self._request_json("GET", path)
        except NotFound:
            return []
        return [
            Kind(group, version, entry["kind"], entry["name"], namespaced=bool(entry.get("namespaced")))
            for entry in found.get("resources") or ()
            if "/" not in entry["name"]
        ]
