"""What was asked of the API server, as permissions: what a test sees an operator do is what its Role must allow."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote

from controllerkit.client import Client, Write
from controllerkit.controller.permissions import Permission
from controllerkit.errors import ConfigError
from controllerkit.objects import Object
from controllerkit.wire import Transport, WireRequest, WireResponse

__all__ = ["RbacTrace", "permission_of", "read_trace"]

_VERBS_OF_WRITES: Final[Mapping[str, tuple[str, ...]]] = {
    "create": ("create",),
    "update": ("update",),
    "patch": ("patch",),
    "apply": ("create", "patch"),
    "delete": ("delete",),
}
"""An apply patches, and creates what is not there: the API server asks for both."""

_VERBS: Final[Mapping[str, str]] = {"POST": "create", "PUT": "update", "PATCH": "patch"}
CREATED: Final = 201
FORBIDDEN: Final = 403


class RbacTrace:
    """Keeps which verbs on which resources were used.

    ``trace.follow(client)`` sees every request of a client, before a manager is made of it: reads that are not
    declared (``read_fresh``, ``client.get``), watches, leases, Events, reviews of access. As a `WriteHook`,
    ``client.hooks.append(trace)``, it sees writes alone. What fails was needed as well.

    Attributes:
        permissions: what was asked for, whatever the namespace and name.
        refused: of these, what the server forbade.
    """

    def __init__(self) -> None:
        self.permissions: set[Permission] = set()
        self.refused: set[Permission] = set()

    def follow(self, client: Client) -> None:
        """Sees every request of ``client`` from now on, and of what is made of it by `Client.without`."""
        client.reroute(lambda transport: _Traced(transport, self))

    def before(self, write: Write) -> None:
        """See `WriteHook.before`."""
        resource = f"{write.kind.plural}/{write.subresource}" if write.subresource else write.kind.plural
        for verb in _VERBS_OF_WRITES[write.verb]:
            self.permissions.add(Permission(write.kind.group, resource, verb))

    def after(self, write: Write, answer: Object | None, error: BaseException | None) -> None:
        """See `WriteHook.after`."""

    def answered(self, request: WireRequest, status: int) -> None:
        """Keeps what a request needed, told by its method and path and the answer's status."""
        if (needed := permission_of(request)) is None:
            return
        self.permissions.add(needed)
        if status == FORBIDDEN:
            self.refused.add(needed)
        if status == CREATED and needed.verb == "patch":
            self.permissions.add(Permission(needed.group, needed.resource, "create"))

    def save(self, path: Path) -> None:
        """Adds what was seen to a file for ``controllerkit rbac --traced``; the same sights give the same bytes."""
        known = read_trace(path) if path.exists() else frozenset()
        seen = [
            {name: value for name, value in asdict(each).items() if value or name == "group"}
            for each in sorted(self.permissions | known)
        ]
        path.write_text("[\n" + ",\n".join(f"  {json.dumps(each)}" for each in seen) + "\n]\n")


def read_trace(path: Path) -> frozenset[Permission]:
    """What `RbacTrace.save` wrote.

    Raises:
        ConfigError: the file cannot be read as such.
    """
    try:
        return frozenset(Permission(**each) for each in json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} is no trace of writes: {error}; let RbacTrace.save write it") from error


def permission_of(request: WireRequest) -> Permission | None:
    """What the API server asks of a request (apiserver ``RequestInfoFactory``); None of one for no resource.

    Namespace and name are left out, as of all that is traced.

    >>> str(permission_of(WireRequest(method="GET", path="/apis/apps/v1/namespaces/a/deployments?watch=true")))
    'watch deployments.apps'
    >>> str(permission_of(WireRequest(method="PUT", path="/api/v1/namespaces/a/pods/b/status")))
    'update pods/status'
    >>> permission_of(WireRequest(method="GET", path="/apis/apps/v1"))
    """
    path, _, query = request.path.partition("?")
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    resource, named, subresource = rest[0], len(rest) > 1, "/".join(rest[2:3])
    match request.method:
        case "GET":
            verb = "get" if named else "watch" if parse_qs(query).get("watch") == ["true"] else "list"
        case "DELETE":
            verb = "delete" if named else "deletecollection"
        case other:
            verb = _VERBS[other]
    return Permission(group, f"{resource}/{subresource}" if subresource else resource, verb)


class _Traced:
    """A transport whose requests are told to a trace."""

    def __init__(self, inner: Transport, trace: RbacTrace) -> None:
        self._inner, self._trace = inner, trace

    @asynccontextmanager
    async def send(self, request: WireRequest) -> AsyncIterator[WireResponse]:
        """See `Transport.send`. What has no answer was asked for all the same."""
        self._trace.answered(request, 0)
        async with self._inner.send(request) as response:
            self._trace.answered(request, response.status)
            yield response

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._inner.aclose()
