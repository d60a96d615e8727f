"""Copies of the server's collections: reflector machine, store with indexes, shared informers."""

from controllerkit.cache.informer import Handler, Informer
from controllerkit.cache.informers import Informers
from controllerkit.cache.overlay import Overlay, Reader
from controllerkit.cache.store import BY_CONTROLLER, Change, IndexFunction, Store, by_controller

__all__ = [
    "BY_CONTROLLER",
    "Change",
    "Handler",
    "IndexFunction",
    "Informer",
    "Informers",
    "Overlay",
    "Reader",
    "Store",
    "by_controller",
]
