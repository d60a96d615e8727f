"""``metav1.Status``: the sentences in which an API server refuses, and their encoding.

Messages and details follow apimachinery ``pkg/api/errors/errors.go`` and ``pkg/util/validation/field/errors.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from controllerkit.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Expired,
    Invalid,
    MethodNotAllowed,
    NotFound,
    ServerTimeout,
    UnsupportedMediaType,
)

__all__ = [
    "FieldError",
    "already_exists",
    "conflict",
    "expired",
    "invalid",
    "method_not_allowed",
    "not_found",
    "quote",
    "status_body",
    "unknown_path",
    "unsupported_media_type",
]


def quote(value: Any) -> str:
    """A value as field errors print it: text in quotes, everything else as JSON.

    >>> quote("a"), quote(3), quote({"a": 1}), quote(None)
    ('"a"', '3', '{"a":1}', 'null')
    """
    return msgspec.json.encode(value).decode()


@dataclass(frozen=True, slots=True)
class FieldError:
    """One finding of validation: its path, its sentence and its machine-readable reason."""

    path: str
    message: str
    reason: str = "FieldValueInvalid"

    @classmethod
    def required(cls, path: str, detail: str = "") -> FieldError:
        """A field that must be there and is not."""
        return cls(path, "Required value" + (f": {detail}" if detail else ""), "FieldValueRequired")

    @classmethod
    def invalid(cls, path: str, value: Any, detail: str) -> FieldError:
        """A value that is not allowed."""
        return cls(path, f"Invalid value: {quote(value)}: {detail}")

    @classmethod
    def wrong_type(cls, path: str, value: Any, detail: str) -> FieldError:
        """A value of another type than declared; Go's name of the value's type stands for structured values."""
        return cls(path, f"Invalid value: {quote(value)}: {detail}", "FieldValueTypeInvalid")

    @classmethod
    def unsupported(cls, path: str, value: Any, allowed: Sequence[Any]) -> FieldError:
        """A value outside an enumeration."""
        listed = ", ".join(quote(one) for one in allowed)
        return cls(path, f"Unsupported value: {quote(value)}: supported values: {listed}", "FieldValueNotSupported")

    @classmethod
    def forbidden(cls, path: str, detail: str) -> FieldError:
        """A field that may not be set, or not be changed."""
        return cls(path, f"Forbidden: {detail}", "FieldValueForbidden")

    @classmethod
    def duplicate(cls, path: str, value: Any) -> FieldError:
        """The second of two equal items."""
        return cls(path, f"Duplicate value: {quote(value)}", "FieldValueDuplicate")

    @classmethod
    def too_long(cls, path: str, value: Any, length_max: int) -> FieldError:
        """Text beyond its length."""
        detail = f"may not be more than {length_max} bytes"
        return cls(path, f"Too long: {detail}", "FieldValueTooLong")

    @classmethod
    def too_many(cls, path: str, count: int, count_max: int) -> FieldError:
        """A list beyond its length."""
        return cls(path, f"Too many: {count}: must have at most {count_max} items", "FieldValueTooMany")

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def _qualified(group: str, name: str) -> str:
    return f"{name}.{group}" if group else name


def _details(group: str, kind: str, name: str) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in details.items() if value}


def not_found(group: str, resource: str, name: str) -> NotFound:
    """404 of one object."""
    message = f'{_qualified(group, resource)} "{name}" not found'
    return NotFound(message, details=_details(group, resource, name))


def unknown_path() -> NotFound:
    """404 of a resource that is not served."""
    return NotFound("the server could not find the requested resource", details=EMPTY)


def already_exists(group: str, resource: str, name: str) -> AlreadyExists:
    """409 of a create."""
    message = f'{_qualified(group, resource)} "{name}" already exists'
    return AlreadyExists(message, details=_details(group, resource, name))


def conflict(group: str, resource: str, name: str, why: str) -> Conflict:
    """409 of an update."""
    message = f'Operation cannot be fulfilled on {_qualified(group, resource)} "{name}": {why}'
    return Conflict(message, details=_details(group, resource, name))


def stale(group: str, resource: str, name: str) -> Conflict:
    """409 of an update from an old resourceVersion."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(group, resource, name, why)


def invalid(group: str, kind: str, name: str, errors: Iterable[FieldError]) -> Invalid:
    """422 with every finding, as a list in brackets where there are several; the same sentence is said once."""
    found = list(dict.fromkeys(errors))
    sentences = list(dict.fromkeys(str(one) for one in found))
    text = sentences[0] if len(sentences) == 1 else "[" + ", ".join(sentences) + "]"
    causes = [{"reason": one.reason, "message": one.message, "field": one.path} for one in found]
    message = f'{_qualified(group, kind)} "{name}" is invalid: {text}'
    return Invalid(message, details={**_details(group, kind, name), "causes": causes})


def method_not_allowed() -> MethodNotAllowed:
    """405 of a verb that the resource does not have."""
    return MethodNotAllowed("the server does not allow this method on the requested resource", details=EMPTY)


def expired(message: str) -> Expired:
    """410 in the reason of list and watch."""
    return Expired(message)


def too_large_resource_version(wanted: int, current: int) -> ServerTimeout:
    """504 of a resourceVersion from the future; clients retry it after a second."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return ServerTimeout(
        f"Timeout: Too large resource version: {wanted}, current: {current}",
        details={"retryAfterSeconds": 1, "causes": causes},
        retry_after_s=1.0,
    )


def unsupported_media_type(accepted: Sequence[str]) -> UnsupportedMediaType:
    """415 with what would have been accepted."""
    listed = ", ".join(accepted)
    return UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: " + listed
    )


def bad_request(message: str) -> BadRequest:
    """400."""
    return BadRequest(message)


CONTINUE: Final = "_continue"
EMPTY: Final[dict[str, Any]] = {}
"""Details of refusals that are about no object: the real server writes them as an empty object."""


def status_value(error: ApiError) -> dict[str, Any]:
    """The error as a decoded Status."""
    value: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
    }
    if error.reason:
        value["reason"] = error.reason
    details = dict(error.details)
    # Not a detail: an expired list says in its metadata how to go on.
    if token := details.pop(CONTINUE, None):
        value["metadata"] = {"continue": token}
    if details or error.details is EMPTY:
        value["details"] = details
    value["code"] = error.code
    return value


def status_body(error: ApiError) -> bytes:
    """The error as the body of a response."""
    return msgspec.json.encode(status_value(error))
