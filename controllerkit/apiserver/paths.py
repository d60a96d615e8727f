"""From a URL path to what it names."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ApiPath", "parse_path"]


@dataclass(frozen=True, slots=True)
class ApiPath:
    """A path below a group and version. ``plural`` "" is the group version itself."""

    group: str
    version: str
    plural: str = ""
    namespace: str | None = None
    name: str = ""
    subresource: str = ""


def parse_path(path: str) -> ApiPath | None:
    """What ``path`` names below /api or /apis; None where it has no such form.

    >>> parse_path("/apis/apps/v1/namespaces/a/deployments/b/scale")
    ApiPath(group='apps', version='v1', plural='deployments', namespace='a', name='b', subresource='scale')
    >>> parse_path("/api/v1/namespaces/a").plural, parse_path("/api/v1/namespaces/a/status").subresource
    ('namespaces', 'status')
    """
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) >= 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) >= 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = None
    of_namespace = (
        len(rest) >= 3
        and rest[0] == "namespaces"
        and not (group == "" and len(rest) == 3 and rest[2] in ("status", "finalize"))
    )
    if of_namespace:
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    plural, name, subresource = (*rest, "", "", "")[:3]
    return ApiPath(group, version, plural, namespace, name, subresource)
