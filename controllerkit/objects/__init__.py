"""What the API is made of: names, objects, selectors, conditions, owner references, quantities.

Rule of the room: no I/O, no clock, nothing that knows of a server.
"""

from controllerkit.objects import kinds, typed
from controllerkit.objects.conditions import Condition, find_condition, rfc3339, set_condition
from controllerkit.objects.key import GVK, GVR, Key, Kind, split_api_version
from controllerkit.objects.object import Object, ObjectMeta, OwnerReference
from controllerkit.objects.owners import (
    controller_of,
    owner_reference,
    remove_owner_reference,
    set_controller_reference,
    set_owner_reference,
)
from controllerkit.objects.quantity import parse_quantity
from controllerkit.objects.selectors import FieldSelector, LabelSelector, Requirement

__all__ = [
    "GVK",
    "GVR",
    "Condition",
    "FieldSelector",
    "Key",
    "Kind",
    "LabelSelector",
    "Object",
    "ObjectMeta",
    "OwnerReference",
    "Requirement",
    "controller_of",
    "find_condition",
    "kinds",
    "owner_reference",
    "parse_quantity",
    "remove_owner_reference",
    "rfc3339",
    "set_condition",
    "set_controller_reference",
    "set_owner_reference",
    "split_api_version",
    "typed",
]
