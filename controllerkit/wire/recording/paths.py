"""What a URL path of the API names."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

__all__ = ["ApiPath"]


@dataclass(frozen=True, slots=True)
class ApiPath:
    """A collection, an object or a subresource of one. ``query`` holds the first value of each parameter."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, path: str) -> ApiPath | None:
        """None for what is no resource: discovery, ``/version``, health.

        >>> ApiPath.parse("/apis/apps/v1/namespaces/shop/deployments/web/status?dryRun=All")
        ... # doctest: +NORMALIZE_WHITESPACE
        ApiPath(group='apps', version='v1', plural='deployments', namespace='shop', name='web', subresource='status',
            query=(('dryRun', 'All'),))
        >>> ApiPath.parse("/api/v1/namespaces/shop").name, ApiPath.parse("/apis/apps/v1")
        ('shop', None)
        """
        plain, _, query = path.partition("?")
        parts = [unquote(each) for each in plain.split("/") if each]
        if parts[:1] == ["api"] and len(parts) > 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[:1] == ["apis"] and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return None
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        plural, name, *below = [*rest, ""] if len(rest) == 1 else rest
        asked = tuple((key, values[0]) for key, values in parse_qs(query).items())
        return cls(group, version, plural, namespace, name, "/".join(below), asked)

    def asks(self, parameter: str) -> str:
        """The value of a query parameter, "" where it is not given."""
        return next((value for name, value in self.query if name == parameter), "")

    @property
    def watching(self) -> bool:
        """Whether a GET of it is a watch."""
        return self.asks("watch") in ("1", "true")

    @property
    def resource(self) -> str:
        """``deployments.apps``: the name of the resource, without its version."""
        return f"{self.plural}.{self.group}" if self.group else self.plural
