"""Defaulting and validation of typed resources, as handlers.

The methods are looked for on one object, which is the class of the resource itself or any other, a reconciler say:
``default(site)``, ``validate_create(site)``, ``validate_update(site, old)`` and ``validate_delete(site)``. On the
class they read as ``default(self)`` and so on. Each may be a coroutine function.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from controllerkit.errors import BadRequest, ConfigError
from controllerkit.objects import Object
from controllerkit.schema import Resource
from controllerkit.webhook.admission import AdmissionRequest, AdmissionResponse, Handler
from controllerkit.webhook.patches import carried_over

__all__ = ["VALIDATIONS", "defaulting", "defaults", "validates", "validation"]

R = TypeVar("R", bound=Resource)

VALIDATIONS: Final[Mapping[str, str]] = {
    "CREATE": "validate_create",
    "UPDATE": "validate_update",
    "DELETE": "validate_delete",
}


def defaults(methods: Any) -> bool:
    """Whether it has ``default``."""
    return callable(getattr(methods, "default", None))


def validates(methods: Any) -> tuple[str, ...]:
    """The operations that it validates."""
    return tuple(verb for verb, name in VALIDATIONS.items() if callable(getattr(methods, name, None)))


def defaulting(model: type[R], methods: Any = None, *, remove_unknown: bool = False) -> Handler:
    """A mutating handler of ``methods.default(resource) -> resource``.

    Guarantees:
        Only what the defaulter changed is in the patch, so fields that the model does not know stay as they are;
        with ``remove_unknown`` those outside of metadata are removed. A DELETE is let through unasked. An ApiError
        keeps its status, and an object that does not fit the model is refused with 400.

    Raises:
        ConfigError: there is no such method.
    """
    methods = model if methods is None else methods
    if not defaults(methods):
        raise ConfigError(f"{methods!r} has no method default(resource); write one, or add it as a validator only")

    async def handle(request: AdmissionRequest) -> AdmissionResponse:
        if request.operation == "DELETE":
            return AdmissionResponse.allow()
        value = request.object
        resource = _typed(model, value)
        made = await _called(methods.default, resource)
        if not isinstance(made, model):
            raise TypeError(f"default() of {model.__name__} returned {type(made).__name__}, not {model.__name__}")
        raw, after = value.to_dict(), made.to_dict()
        whole = carried_over(raw, resource.to_dict(), after)
        if remove_unknown:
            whole = {**after, "metadata": whole["metadata"]}
        return AdmissionResponse.allow(object=whole)

    return handle


def validation(model: type[R], methods: Any = None) -> Handler:
    """A validating handler of ``validate_create``, ``validate_update`` and ``validate_delete``.

    Each returns warnings (a text, some, or None), or raises `Denied` or another ApiError. What has no method is let
    through, and so is CONNECT; an operation that is none of the API's is refused with 400.

    Raises:
        ConfigError: there is none of the three.
    """
    methods = model if methods is None else methods
    if not validates(methods):
        raise ConfigError(f"{methods!r} has none of {', '.join(VALIDATIONS.values())}; write one of them")

    async def handle(request: AdmissionRequest) -> AdmissionResponse:
        if request.operation == "CONNECT":
            return AdmissionResponse.allow()
        method = getattr(methods, VALIDATIONS[request.operation], None)
        if method is None:
            return AdmissionResponse.allow()
        if request.operation == "CREATE":
            told = await _called(method, _typed(model, request.object))
        elif request.operation == "UPDATE":
            told = await _called(method, _typed(model, request.object), _typed(model, request.old_object))
        else:
            told = await _called(method, _typed(model, request.old_object))
        return AdmissionResponse.allow(*_warnings(told))

    return handle


def _typed(model: type[R], value: Object) -> R:
    wanted = model.resource_kind().gvk
    if value.gvk != wanted:
        raise BadRequest(f"this webhook is for {wanted.kind} of {wanted.api_version}, got {value.gvk}")
    return model.from_object(value)


def _warnings(told: str | Sequence[str] | None) -> Sequence[str]:
    if told is None:
        return ()
    return (told,) if isinstance(told, str) else told


async def _called(method: Any, *arguments: Any) -> Any:
    found = method(*arguments)
    return await found if inspect.isawaitable(found) else found
