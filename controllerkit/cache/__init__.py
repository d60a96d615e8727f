"""Copies of the server's collections: reflector machine, store with indexes, shared informers."""

from controllerkit.cache.informer import Handler, Informer, Registration, Transform
from controllerkit.cache.informers import Informers
from controllerkit.cache.machine import ReflectorOptions
from controllerkit.cache.options import ALL_NAMESPACES, CachedKind, CacheOptions, CachePart, parts_of
from controllerkit.cache.overlay import Overlay, Reader, Unsettled, outcome_unknown
from controllerkit.cache.store import BY_CONTROLLER, Change, IndexFunction, Store, by_controller
from controllerkit.cache.transforms import LAST_APPLIED, Without
from controllerkit.cache.union import StoreView, UnionStore
from controllerkit.cache.union_informer import UnionInformer, UnionRegistration

__all__ = [
    "ALL_NAMESPACES",
    "BY_CONTROLLER",
    "LAST_APPLIED",
    "CacheOptions",
    "CachePart",
    "CachedKind",
    "Change",
    "Handler",
    "IndexFunction",
    "Informer",
    "Informers",
    "Overlay",
    "Reader",
    "ReflectorOptions",
    "Registration",
    "Store",
    "StoreView",
    "Transform",
    "UnionInformer",
    "UnionRegistration",
    "UnionStore",
    "Unsettled",
    "Without",
    "by_controller",
    "outcome_unknown",
    "parts_of",
]
