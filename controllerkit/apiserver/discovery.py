"""Discovery: what groups, versions and resources there are, in the two forms clients ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from controllerkit.apiserver.crds import version_order
from controllerkit.apiserver.resources import Resource, Version

__all__ = ["AGGREGATED", "aggregated", "group_list", "one_group", "resource_list", "version_info"]

Value = dict[str, Any]

AGGREGATED: Final = ("apidiscovery.k8s.io", "APIGroupDiscoveryList")
_STATUS_VERBS: Final = ("get", "patch", "update")
_OTHER_GROUPS: Final = {
    "Scale": ("autoscaling", "v1"),
    "Eviction": ("policy", "v1"),
    "TokenRequest": ("authentication.k8s.io", "v1"),
}
KUBERNETES_VERSION: Final = ("1", "37", "v1.37.2")
"""The release whose behaviour this server follows."""


def version_info() -> Value:
    """The body of /version."""
    major, minor, version = KUBERNETES_VERSION
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{version}+controllerkit",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }


def _subresources(resource: Resource, version: Version) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name, kind and verbs of each."""
    for name, (kind, verbs) in resource.subresources.items():
        yield name, kind, verbs
    if version.status:
        yield "status", resource.kind, _STATUS_VERBS
    if version.scale:
        yield "scale", "Scale", _STATUS_VERBS


def _groups(resources: Iterable[Resource]) -> dict[str, dict[str, list[tuple[Resource, Version]]]]:
    """Served resources by group and version, versions as clients prefer them."""
    groups: dict[str, dict[str, list[tuple[Resource, Version]]]] = {}
    for resource in resources:
        versions = groups.setdefault(resource.group, {})
        for version in resource.versions.values():
            if version.served:
                versions.setdefault(version.name, []).append((resource, version))
    return {
        group: dict(sorted(versions.items(), key=lambda pair: version_order(pair[0]), reverse=True))
        for group, versions in groups.items()
        if versions
    }


def _group(name: str, versions: Iterable[str]) -> Value:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list(resources: Iterable[Resource]) -> Value:
    """The body of /apis."""
    groups = [_group(name, versions) for name, versions in _groups(resources).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def one_group(resources: Iterable[Resource], name: str) -> Value | None:
    """The body of /apis/GROUP."""
    versions = _groups(resources).get(name)
    return None if versions is None or not name else {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def core_versions(host: str) -> Value:
    """The body of /api."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def resource_list(resources: Iterable[Resource], group: str, version: str) -> Value | None:
    """The body of /api/v1 and /apis/GROUP/VERSION."""
    found = _groups(resources).get(group, {}).get(version)
    if found is None:
        return None
    listed: list[Value] = []
    for resource, served in sorted(found, key=lambda pair: pair[0].plural):
        entry: Value = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        listed.append(entry)
        for name, kind, verbs in sorted(_subresources(resource, served)):
            below: Value = {
                "name": f"{resource.plural}/{name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": kind,
                "verbs": list(verbs),
            }
            if kind in _OTHER_GROUPS and kind != resource.kind:
                below["group"], below["version"] = _OTHER_GROUPS[kind]
            listed.append(below)
    api_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": listed}


def _aggregated_resource(resource: Resource, version: Version) -> Value:
    entry: Value = {
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    below = []
    for name, kind, verbs in sorted(_subresources(resource, version)):
        other = _OTHER_GROUPS.get(kind, ("", "")) if kind != resource.kind else ("", "")
        response = {"group": other[0], "version": other[1], "kind": kind}
        below.append({"subresource": name, "responseKind": response, "verbs": list(verbs)})
    if below:
        entry["subresources"] = below
    return entry


def aggregated(resources: Iterable[Resource], *, core: bool, version: str = "v2") -> Value:
    """The body of /api or /apis for clients that take everything at once."""
    items = []
    for name, versions in _groups(resources).items():
        if bool(name) == core:
            continue
        listed = [
            {
                "version": served,
                "resources": [_aggregated_resource(*pair) for pair in sorted(pairs, key=lambda pair: pair[0].plural)],
                "freshness": "Current",
            }
            for served, pairs in versions.items()
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": listed})
    return {
        "kind": AGGREGATED[1],
        "apiVersion": f"{AGGREGATED[0]}/{version}",
        "metadata": {},
        "items": items,
    }
