"""Copies of the server's collections: reflector machine, store with indexes, shared informers."""

from controllerkit.cache.informer import Handler, Informer, Registration, Transform
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
    "Registration",
    "Store",
    "Transform",
    "by_controller",
]
