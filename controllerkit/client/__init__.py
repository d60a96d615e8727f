"""The API's verbs: get, list, watch, create, update, patch, apply, delete, and discovery."""

from controllerkit.client.answers import ObjectList
from controllerkit.client.client import (
    WATCH_IDLE_S,
    WATCH_TIMEOUT_MIN_S,
    Client,
    FieldValidation,
    KindLike,
    ObjectLike,
    PatchType,
)
from controllerkit.client.hooks import Verb, Write, WriteHook
from controllerkit.client.mapper import RestMapper
from controllerkit.client.stream import WatchEvent, WatchStream
from controllerkit.client.wait import Condition, has_condition, is_deleted, wait_for

__all__ = [
    "WATCH_IDLE_S",
    "WATCH_TIMEOUT_MIN_S",
    "Client",
    "Condition",
    "FieldValidation",
    "KindLike",
    "ObjectLike",
    "ObjectList",
    "PatchType",
    "RestMapper",
    "Verb",
    "WatchEvent",
    "WatchStream",
    "Write",
    "WriteHook",
    "has_condition",
    "is_deleted",
    "wait_for",
]
