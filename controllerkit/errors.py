"""Every error controllerkit raises, as one tree.

::

    ControllerkitError
    ├── ConfigError                  kubeconfig, options or a declared type is wrong; nothing was sent
    │   └── RecordingError           a recording that cannot be read, or lacks what a replay asks of it
    ├── TransportError               no answer from the server
    │   ├── ConnectError             no connection (refused, unreachable, name not resolved)
    │   ├── TlsError                 the certificate of one side was not accepted
    │   └── DeadlineExceeded         an answer did not come, or stopped coming, in time
    ├── ApiError                     the server answered with a Status that is not Success
    │   ├── BadRequest               400
    │   ├── Unauthorized             401
    │   ├── Forbidden                403
    │   │   └── Denied               403, as a validator of ours says it
    │   ├── NotFound                 404
    │   ├── MethodNotAllowed         405
    │   ├── NotAcceptable            406
    │   ├── Conflict                 409 Conflict
    │   │   └── AlreadyExists        409 AlreadyExists
    │   ├── Gone                     410
    │   │   └── Expired              410 Expired
    │   ├── RequestEntityTooLarge    413
    │   ├── UnsupportedMediaType     415
    │   ├── Invalid                  422
    │   ├── TooManyRequests          429
    │   ├── InternalError            500
    │   ├── ServiceUnavailable       503
    │   └── ServerTimeout            504 Timeout and 500 ServerTimeout
    ├── MalformedObject              bytes that are no Kubernetes object
    ├── UndeclaredKind               a cached read of a kind that no informer watches
    ├── TerminalError                raise it in a reconciler: retrying cannot help until the object changes
    ├── NotLeading                   a write was kept back: this process no longer holds the Lease
    ├── ManagerError                 a runnable failed to start or to stop
    ├── DevClusterError              the development cluster cannot run here
    │   └── BinaryUnavailable        a real component cannot be had on this machine
    └── SimulationError              a simulated program waits for what never comes, or asks for a thread
        └── SimulationFailed         a seed in which a reconciler fails; an AssertionError, too

The reasons are those of ``metav1.StatusReason`` (apimachinery ``pkg/apis/meta/v1/types.go``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = [
    "AlreadyExists",
    "ApiError",
    "BadRequest",
    "BinaryUnavailable",
    "ConfigError",
    "Conflict",
    "ConnectError",
    "ControllerkitError",
    "DeadlineExceeded",
    "Denied",
    "DevClusterError",
    "Expired",
    "Forbidden",
    "Gone",
    "InternalError",
    "Invalid",
    "MalformedObject",
    "ManagerError",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "NotLeading",
    "RecordingError",
    "RequestEntityTooLarge",
    "ServerTimeout",
    "ServiceUnavailable",
    "SimulationError",
    "SimulationFailed",
    "TerminalError",
    "TlsError",
    "TooManyRequests",
    "TransportError",
    "Unauthorized",
    "UndeclaredKind",
    "UnsupportedMediaType",
    "api_error",
]


class ControllerkitError(Exception):
    """The root of the tree: catching it catches everything controllerkit raises on purpose."""


class ConfigError(ControllerkitError):
    """What was configured or declared cannot work; the message names the file, field and cure."""


class RecordingError(ConfigError):
    """A recording cannot be read, or does not hold what a replay asks of it; the message says what to do."""


class TransportError(ControllerkitError):
    """The request got no answer. Whether the server acted on it is unknown."""


class ConnectError(TransportError):
    """No connection was made, so the server has seen nothing. ``refused`` is ECONNREFUSED."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class TlsError(TransportError):
    """The TLS handshake failed; the message holds the server's name and the verifier's reason."""


class DeadlineExceeded(TransportError):
    """The answer, or the next part of it, did not come within the deadline."""


class ApiError(ControllerkitError):
    """The server's refusal.

    Attributes:
        code: HTTP status.
        reason: ``Status.reason``, "" where the answer was no Status.
        message: the server's own sentence.
        details: ``Status.details`` (kind, name, causes, retryAfterSeconds).
        request: what was asked, as ``PATCH /apis/apps/v1/namespaces/default/deployments/web``.
        retry_after_s: seconds after which the server asks to be tried again; None where it did not say.
    """

    code_default: ClassVar[int] = 500
    reason_default: ClassVar[str] = "Unknown"

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
        request: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        self.code = self.code_default if code is None else code
        self.reason = self.reason_default if reason is None else reason
        self.message = message
        self.details: Mapping[str, Any] = details or {}
        self.request = request
        self.retry_after_s = retry_after_s
        super().__init__(f"{request}: {self.code} {self.reason}: {message}" if request else message)

    @property
    def causes(self) -> list[Mapping[str, Any]]:
        """``Status.details.causes``: each with reason, message and field."""
        return list(self.details.get("causes") or ())


class BadRequest(ApiError):
    """400: the request itself is malformed."""

    code_default, reason_default = 400, "BadRequest"


class Unauthorized(ApiError):
    """401: the credentials are missing, wrong or expired."""

    code_default, reason_default = 401, "Unauthorized"


class Forbidden(ApiError):
    """403: the credentials do not allow this verb on this resource."""

    code_default, reason_default = 403, "Forbidden"


class Denied(Forbidden):
    """Raise it in a webhook: the caller gets 403 with the message, and the warnings beside it."""

    def __init__(self, message: str, *, warnings: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.warnings = tuple(warnings)


class NotFound(ApiError):
    """404: no such object, or no such resource type."""

    code_default, reason_default = 404, "NotFound"


class MethodNotAllowed(ApiError):
    """405: the resource does not serve this verb."""

    code_default, reason_default = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    """406: none of the accepted content types can be served."""

    code_default, reason_default = 406, "NotAcceptable"


class Conflict(ApiError):
    """409: the resourceVersion sent is not the current one, or a field belongs to another manager."""

    code_default, reason_default = 409, "Conflict"


class AlreadyExists(Conflict):
    """409: an object of that name exists."""

    reason_default = "AlreadyExists"


class Gone(ApiError):
    """410: the resourceVersion or continue token is no longer served."""

    code_default, reason_default = 410, "Gone"


class Expired(Gone):
    """410: the same, in the reason that list and watch use."""

    reason_default = "Expired"


class RequestEntityTooLarge(ApiError):
    """413: the object is larger than the server accepts."""

    code_default, reason_default = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    """415: the patch or body type is not accepted for this resource."""

    code_default, reason_default = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """422: the object fails validation; ``causes`` names each field and why."""

    code_default, reason_default = 422, "Invalid"


class TooManyRequests(ApiError):
    """429: come back after ``retry_after_s``."""

    code_default, reason_default = 429, "TooManyRequests"


class InternalError(ApiError):
    """500: the server failed."""

    code_default, reason_default = 500, "InternalError"


class ServiceUnavailable(ApiError):
    """503: the server is not ready."""

    code_default, reason_default = 503, "ServiceUnavailable"


class ServerTimeout(ApiError):
    """504 ``Timeout`` or 500 ``ServerTimeout``: the server gave up in time; the outcome is unknown."""

    code_default, reason_default = 504, "Timeout"


class MalformedObject(ControllerkitError):
    """Bytes that should have been a Kubernetes object and are not; the message says where and shows the start."""


class UndeclaredKind(ControllerkitError):
    """A cached read of a kind that was not declared in ``For``, ``owns`` or ``watches``."""


class TerminalError(ControllerkitError):
    """A reconciler's way to say that no retry will help: counted and logged, not queued again.

    As controller-runtime's ``reconcile.TerminalError``.
    """


class NotLeading(ControllerkitError):
    """A write was not sent, because this process may no longer be the leader; the message says since when."""


class ManagerError(ControllerkitError):
    """A runnable did not start, failed, or did not stop in time; the message names it."""


class DevClusterError(ControllerkitError):
    """The development cluster cannot run here; one sentence that says why and what to do."""


class BinaryUnavailable(DevClusterError):
    """A real component can neither be found nor built on this machine."""


_KINDS: tuple[type[ApiError], ...] = (
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    AlreadyExists,
    Gone,
    Expired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    ServerTimeout,
)
_BY_REASON: dict[str, type[ApiError]] = {kind.reason_default: kind for kind in _KINDS}
_BY_REASON["ServerTimeout"] = ServerTimeout

_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    406: NotAcceptable,
    409: Conflict,
    410: Gone,
    413: RequestEntityTooLarge,
    415: UnsupportedMediaType,
    422: Invalid,
    429: TooManyRequests,
    500: InternalError,
    503: ServiceUnavailable,
    504: ServerTimeout,
}


def api_error(
    status: Mapping[str, Any], *, code: int = 0, request: str = "", retry_after_s: float | None = None
) -> ApiError:
    """The typed error for a decoded ``Status``; by its reason, else by its code.

    >>> error = api_error({"reason": "NotFound", "message": 'pods "a" not found', "code": 404})
    >>> type(error).__name__, error.code
    ('NotFound', 404)
    >>> type(api_error({"reason": "SomethingNew", "code": 409})).__name__
    'Conflict'
    """
    code = int(status.get("code") or code or 500)
    reason = str(status.get("reason") or "")
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, ApiError)
    details = status.get("details") or {}
    if retry_after_s is None and details.get("retryAfterSeconds"):
        retry_after_s = float(details["retryAfterSeconds"])
    return kind(
        str(status.get("message") or f"the server answered with HTTP status {code}"),
        code=code,
        reason=reason or kind.reason_default,
        details=details,
        request=request,
        retry_after_s=retry_after_s,
    )


class SimulationError(ControllerkitError):
    """A program on the simulated event loop waits for what never comes, spins, or asks for a thread or a socket."""


class SimulationFailed(SimulationError, AssertionError):
    """A reconciler failed in one seed of a simulation.

    Attributes:
        seed: the number to replay it by.
        problem: what was wrong.
        steps: what of the schedule is needed to make it go wrong, one line each; it had ``steps_drawn``.
        trace: what happened then, in order.
    """

    TRACE_SHOWN = 40

    def __init__(
        self, *, seed: int, problem: str, steps: Sequence[str], steps_drawn: int, trace: Sequence[str]
    ) -> None:
        self.seed, self.problem, self.steps, self.trace = seed, problem, tuple(steps), tuple(trace)
        self.steps_drawn = steps_drawn
        shown = self.trace[-self.TRACE_SHOWN :]
        lines = [
            f"seed {seed}: {problem}",
            f"Replay it with simulate(..., seed={seed}). Of {steps_drawn} steps it needs {len(self.steps)}:",
            *(f"  {each}" for each in self.steps),
            f"What happened (the last {len(shown)} of {len(self.trace)} lines):",
            *(f"  {each}" for each in shown),
        ]
        super().__init__("\n".join(lines))
