"""Which part of the cluster is cached, declared once for a process: namespaces, selectors, transforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from controllerkit.cache.machine import ReflectorOptions
from controllerkit.client import KindLike
from controllerkit.errors import BadRequest, ConfigError
from controllerkit.objects import GVK, FieldSelector, Kind, LabelSelector, Object

__all__ = ["ALL_NAMESPACES", "CacheOptions", "CachePart", "CachedKind", "parts_of"]

ALL_NAMESPACES: Final = ""
"""As a namespace: every one that is not named beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePart:
    """What of some objects is cached; None where this does not say.

    Attributes:
        label_selector: as for ``kubectl -l``; "" is everything.
        field_selector: as for ``kubectl --field-selector``.
        transform: see `Informer`; `Without` is one.
    Raises:
        ConfigError: a selector cannot be read.
    """

    label_selector: str | None = None
    field_selector: str | None = None
    transform: Callable[[Object], Object] | None = None

    def __post_init__(self) -> None:
        try:
            LabelSelector.parse(self.label_selector or "")
            FieldSelector.parse(self.field_selector or "")
        except BadRequest as error:
            raise ConfigError(f"a cache cannot select by that: {error}") from error

    def over(self, further: CachePart) -> CachePart:
        """This, and what ``further`` says of what this does not."""
        return CachePart(
            label_selector=further.label_selector if self.label_selector is None else self.label_selector,
            field_selector=further.field_selector if self.field_selector is None else self.field_selector,
            transform=self.transform or further.transform,
        )


Namespaces = Mapping[str, CachePart] | tuple[str, ...]
"""The namespaces that are cached, with what of each where that is not the same for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedKind(CachePart):
    """What of one kind is cached. ``namespaces`` None: those of `CacheOptions`; () is all of them."""

    namespaces: Namespaces | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions(CachePart):
    """What of every declared kind is cached, unless ``kinds`` says otherwise.

    A namespace that is named is listed and watched by itself, so that a Role in each is enough. Of what is said in
    several places the nearest counts, for each attribute by itself: the namespace of the kind, the kind, the
    namespace, these options (controller-runtime ``pkg/cache``). What ``Owns`` and ``Watch`` select comes on top:
    both must match.

    Attributes:
        namespaces: () is all of them, in one watch. `ALL_NAMESPACES` beside others is every other one.
        kinds: by kind.
        reflector: how each is listed and watched.
        on_error: see `Informer`; the one for all of them.
    Raises:
        ConfigError: namespaces for a kind that has none, when it is declared.

    >>> from controllerkit.objects import kinds
    >>> options = CacheOptions(
    ...     namespaces=("web", "db"),
    ...     kinds={kinds.SECRET: CachedKind(label_selector="app=web")},
    ... )
    >>> list(parts_of(options, kinds.SECRET)), parts_of(options, kinds.SECRET)["db"].label_selector
    (['web', 'db'], 'app=web')
    """

    namespaces: Namespaces = ()
    kinds: Mapping[KindLike, CachedKind] = field(default_factory=dict)
    reflector: ReflectorOptions = field(default_factory=ReflectorOptions)
    on_error: Callable[[Exception], None] | None = None


def parts_of(options: CacheOptions, kind: Kind) -> Mapping[str, CachePart]:
    """What is cached of ``kind``, by namespace; of a kind without namespaces, under `ALL_NAMESPACES`.

    Raises:
        ConfigError: see `CacheOptions`.
    """
    own = next((part for named, part in options.kinds.items() if _is(named, kind)), CachedKind())
    if not kind.namespaced:
        if own.namespaces:
            raise ConfigError(f"{kind} has no namespaces; leave out `namespaces` of its CachedKind")
        return {ALL_NAMESPACES: own.over(options)}
    by_default = _by_namespace(options.namespaces)
    named = by_default if own.namespaces is None else _by_namespace(own.namespaces)
    found: dict[str, CachePart] = {}
    for namespace, part in (named or {ALL_NAMESPACES: CachePart()}).items():
        nearest = CachePart() if named is by_default else part
        found[namespace] = nearest.over(own).over(by_default.get(namespace, CachePart())).over(options)
    return {namespace: _without_others(part, found) if not namespace else part for namespace, part in found.items()}


def _by_namespace(namespaces: Namespaces) -> dict[str, CachePart]:
    return dict(namespaces) if isinstance(namespaces, Mapping) else dict.fromkeys(namespaces, CachePart())


def _without_others(part: CachePart, named: Mapping[str, CachePart]) -> CachePart:
    """All namespaces but those that are named beside."""
    others = [f"metadata.namespace!={each}" for each in sorted(named) if each]
    return replace(part, field_selector=joined(*others, part.field_selector)) if others else part


def joined(*selectors: str | None) -> str:
    """The selector that is all of ``selectors``."""
    return ",".join(each for each in selectors if each)


def _is(named: KindLike, kind: Kind) -> bool:
    gvk = named if isinstance(named, GVK) else named.gvk if isinstance(named, Kind) else named.resource_kind().gvk
    return gvk == kind.gvk
