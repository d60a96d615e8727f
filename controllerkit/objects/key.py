"""Names of things: objects (`Key`) and types (`GVK`, `GVR`, `Kind`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["GVK", "GVR", "Key", "Kind", "split_api_version"]


class Key(NamedTuple):
    """An object's namespace and name; the namespace is "" for cluster-scoped objects.

    >>> str(Key("default", "web")), str(Key("", "node-a")), Key.parse("default/web")
    ('default/web', 'node-a', Key(namespace='default', name='web'))
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @classmethod
    def parse(cls, text: str) -> Key:
        """The inverse of ``str``."""
        namespace, slash, name = text.partition("/")
        return cls(namespace, name) if slash else cls("", namespace)


def split_api_version(api_version: str) -> tuple[str, str]:
    """Group and version.

    >>> split_api_version("apps/v1"), split_api_version("v1")
    (('apps', 'v1'), ('', 'v1'))
    """
    group, slash, version = api_version.partition("/")
    return (group, version) if slash else ("", group)


class GVK(NamedTuple):
    """Group, version and kind, as they stand in an object's ``apiVersion`` and ``kind``."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """``group/version``, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @classmethod
    def of(cls, api_version: str, kind: str) -> GVK:
        """From the two fields of an object."""
        return cls(*split_api_version(api_version), kind)


class GVR(NamedTuple):
    """Group, version and resource: what a URL path names."""

    group: str
    version: str
    resource: str


@dataclass(frozen=True, slots=True)
class Kind:
    """Everything needed to address a type of object: its names, its scope.

    >>> Kind("apps", "v1", "Deployment", "deployments").path("default", "web", "status")
    '/apis/apps/v1/namespaces/default/deployments/web/status'
    >>> Kind("", "v1", "Node", "nodes", namespaced=False).path("", "node-a")
    '/api/v1/nodes/node-a'
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    def __str__(self) -> str:
        return f"{self.kind}.{self.version}.{self.group}" if self.group else f"{self.kind}.{self.version}"

    @property
    def api_version(self) -> str:
        """``group/version``, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def gvk(self) -> GVK:
        """The name objects carry."""
        return GVK(self.group, self.version, self.kind)

    @property
    def gvr(self) -> GVR:
        """The name URLs carry."""
        return GVR(self.group, self.version, self.plural)

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The URL path. ``namespace`` None or "" means all namespaces (of a list) or none (cluster scope)."""
        parts = ["/apis/" + self.group if self.group else "/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)
