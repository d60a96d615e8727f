"""Admission webhooks: which are asked of a write, with what, and what their answers mean. No I/O.

Source: apiserver ``pkg/admission/plugin/webhook``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import jsonpatch
import msgspec
from jsonpointer import JsonPointerException

from controllerkit.apiserver.expressions import CompileError, EvaluationError, NotHere, compiled
from controllerkit.apiserver.inquiry import Inquiry, Question, Reply
from controllerkit.apiserver.resources import Resource
from controllerkit.errors import ApiError, BadRequest, Forbidden, InternalError
from controllerkit.objects import LabelSelector

__all__ = ["Attempt", "Hook", "hooks_of", "mutate", "validate"]

Value = dict[str, Any]

GROUP: Final = "admissionregistration.k8s.io"
MUTATING: Final = f"mutatingwebhookconfigurations.{GROUP}"
VALIDATING: Final = f"validatingwebhookconfigurations.{GROUP}"
_EXEMPT: Final = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})
_VERSIONS: Final = {"v1": "admission.k8s.io/v1", "v1beta1": "admission.k8s.io/v1beta1"}
TIMEOUT_S: Final = 10.0
"""Of a webhook that says none (``SetDefaults_MutatingWebhook``)."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook of a configuration."""

    spec: Mapping[str, Any]
    configuration: str

    @property
    def name(self) -> str:
        """As errors tell it."""
        return str(self.spec.get("name", ""))

    @property
    def ignores_failure(self) -> bool:
        """Whether a call that fails lets the write through."""
        return self.spec.get("failurePolicy") == "Ignore"


def hooks_of(configurations: Sequence[Mapping[str, Any]]) -> tuple[Hook, ...]:
    """Webhooks in the order they are asked: configurations by name."""
    ordered = sorted(configurations, key=lambda one: str(one["metadata"]["name"]))
    return tuple(Hook(spec, one["metadata"]["name"]) for one in ordered for spec in one.get("webhooks") or ())


Convert = Callable[[Value, str], Value]
"""An object in another version of its group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What somebody wants to do.

    ``value`` and ``old`` are in ``version``. ``namespace_labels`` reads those of the namespace it is in, and raises
    NotFound; None where it is in none. ``convert`` brings objects into another version; ``dry_run`` leaves no trace.
    """

    resource: Resource
    version: str
    operation: str
    name: str
    namespace: str
    subresource: str = ""
    value: Value | None = None
    old: Value | None = None
    dry_run: bool = False
    namespace_labels: Callable[[], Mapping[str, str]] | None = None
    convert: Convert = field(default=lambda value, _: value)

    def in_version(self, version: str, value: Value | None) -> Value | None:
        """An object of the attempt as a webhook wants to see it."""
        return value if value is None or version == self.version else self.convert(value, version)


def _matched(hook: Hook, attempt: Attempt) -> str:
    """The version in which a webhook is asked of the attempt; "" where it is not."""
    if not _selects_namespace(hook, attempt) or not _selects_object(hook, attempt):
        return ""
    rules = hook.spec.get("rules") or ()
    if any(_rule_matches(rule, attempt, attempt.version) for rule in rules):
        return attempt.version
    if hook.spec.get("matchPolicy", "Equivalent") == "Equivalent":
        others = [name for name, one in attempt.resource.versions.items() if one.served and name != attempt.version]
        for rule in rules:
            if found := next((name for name in others if _rule_matches(rule, attempt, name)), ""):
                return found
    return ""


def _selects_namespace(hook: Hook, attempt: Attempt) -> bool:
    selector = hook.spec.get("namespaceSelector")
    if not selector or attempt.namespace_labels is None:
        return True
    return LabelSelector.from_dict(selector).matches(attempt.namespace_labels())


def _selects_object(hook: Hook, attempt: Attempt) -> bool:
    if not (selector := hook.spec.get("objectSelector")):
        return True
    wanted = LabelSelector.from_dict(selector)
    objects = [one for one in (attempt.value, attempt.old) if one is not None]
    return any(wanted.matches(one["metadata"].get("labels") or {}) for one in objects)


def _rule_matches(rule: Mapping[str, Any], attempt: Attempt, version: str) -> bool:
    resource = attempt.resource

    def one_of(name: str, wanted: str) -> bool:
        listed = rule.get(name) or ()
        return "*" in listed or wanted in listed

    return (
        one_of("apiGroups", resource.group)
        and one_of("apiVersions", version)
        and one_of("operations", attempt.operation)
        and rule.get("scope", "*") in ("*", "Namespaced" if resource.namespaced else "Cluster")
        and any(_resource_matches(one, attempt) for one in rule.get("resources") or ())
    )


def _resource_matches(text: str, attempt: Attempt) -> bool:
    plural, _, subresource = text.partition("/")
    return plural in ("*", attempt.resource.plural) and subresource in ("*", attempt.subresource)


# -- questions -------------------------------------------------------------------------------------------------------


def _request(attempt: Attempt, version: str, inquiry: Inquiry) -> Value:
    """``AdmissionRequest`` without its uid."""
    resource = attempt.resource
    options = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}[attempt.operation]

    def kind(name: str) -> Value:
        return {"group": resource.group, "version": name, "kind": resource.kind}

    def plural(name: str) -> Value:
        return {"group": resource.group, "version": name, "resource": resource.plural}

    request: Value = {
        "kind": kind(version),
        "resource": plural(version),
        "requestKind": kind(attempt.version),
        "requestResource": plural(attempt.version),
        "name": attempt.name,
        "namespace": attempt.namespace,
        "operation": attempt.operation,
        "userInfo": dict(inquiry.user),
        "object": attempt.in_version(version, attempt.value),
        "oldObject": attempt.in_version(version, attempt.old),
        "dryRun": attempt.dry_run,
        "options": {"kind": options, "apiVersion": "meta.k8s.io/v1", **inquiry.options},
    }
    if attempt.subresource:
        request |= {"subResource": attempt.subresource, "requestSubResource": attempt.subresource}
    return {name: value for name, value in request.items() if value != "" or name == "operation"}


def _question(hook: Hook, request: Value) -> Question:
    known = next((_VERSIONS[one] for one in hook.spec.get("admissionReviewVersions") or () if one in _VERSIONS), "")
    return Question(
        hook.name,
        msgspec.json.encode(hook.spec.get("clientConfig") or {}),
        float(hook.spec.get("timeoutSeconds") or TIMEOUT_S),
        known,
        "AdmissionReview",
        msgspec.json.encode(request),
    )


def _wanted(hook: Hook, attempt: Attempt, inquiry: Inquiry) -> Question | None:
    """What is asked of this webhook; None for nothing.

    Raises:
        BadRequest: a dry run, and the webhook has side effects.
        Forbidden: its conditions have no answer.
    """
    version = _matched(hook, attempt)
    if not version:
        return None
    request = _request(attempt, version, inquiry)
    if not _meets_conditions(hook, attempt, request):
        return None
    if attempt.dry_run and hook.spec.get("sideEffects") not in ("None", "NoneOnDryRun"):
        raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
    return _question(hook, request)


def _meets_conditions(hook: Hook, attempt: Attempt, request: Value) -> bool:
    """Whether every ``matchConditions`` holds; one that does not decides, whatever the others have for an answer."""
    failures = []
    given = {"object": request["object"], "oldObject": request["oldObject"], "request": request, "authorizer": None}
    for condition in hook.spec.get("matchConditions") or ():
        expression = str(condition.get("expression", ""))
        try:
            if compiled(expression, *given).evaluate(given) is False:
                return False
        except (CompileError, EvaluationError, NotHere) as error:
            failures.append(f"expression '{expression}' resulted in error: {error}")
    if failures and hook.ignores_failure:
        return False
    if failures:
        resource = attempt.resource
        told = failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]"
        raise Forbidden(
            f'{resource.qualified} "{attempt.name}" is forbidden: {told}',
            details={
                key: each
                for key, each in (("name", attempt.name), ("group", resource.group), ("kind", resource.plural))
                if each
            },
        )
    return True


# -- answers ---------------------------------------------------------------------------------------------------------


class CallFailure(Exception):
    """The webhook could not be asked, or its answer is none; ``failurePolicy`` says what follows."""


def _verified(question: Question, reply: Reply, *, mutating: bool) -> Mapping[str, Any]:
    """The ``response`` of an answer that is one.

    Raises:
        CallFailure: it is none.
    """
    if reply.failure:
        raise CallFailure(f"failed to call webhook: {reply.failure}")
    value = reply.value or {}
    response = value.get("response")
    told = ""
    if not isinstance(response, Mapping):
        told = "webhook response was absent"
    elif question.version == _VERSIONS["v1"]:
        told = _misshapen(value, response, reply.uid, mutating=mutating)
    if told:
        raise CallFailure(f"received invalid webhook response: {told}")
    return dict(response or {})


def _misshapen(value: Mapping[str, Any], response: Mapping[str, Any], uid: str, *, mutating: bool) -> str:
    patch, patch_type = response.get("patch"), response.get("patchType")
    found = (value.get("apiVersion", ""), value.get("kind", ""))
    if response.get("uid", "") != uid:
        return f'expected response.uid="{uid}", got "{response.get("uid", "")}"'
    if found != ("admission.k8s.io/v1", "AdmissionReview"):
        return (
            f"expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {found[0]}, Kind={found[1]}"
        )
    if not mutating:
        if patch:
            return "validating webhook may not return response.patch"
        return "validating webhook may not return response.patchType" if patch_type is not None else ""
    if patch and patch_type is None:
        return "webhook returned response.patch but not response.patchType"
    if not patch and patch_type is not None:
        return "webhook returned response.patchType but not response.patch"
    return 'webhook returned invalid response.patchType of ""' if patch_type == "" else ""


def denial(name: str, result: Mapping[str, Any] | None) -> ApiError:
    """The refusal of a webhook that does not allow: its own status, with its name before the message."""
    result = result or {}
    code = int(result.get("code") or 0)
    denied = f'admission webhook "{name}" denied the request'
    told = result.get("message") or result.get("reason")
    message = f"{denied}: {told}" if told else f"{denied} without explanation"
    return ApiError(
        message,
        code=max(code, 400),
        reason=str(result.get("reason") or ""),
        details=dict(result.get("details") or {}),
    )


def _patched(hook: Hook, response: Mapping[str, Any], seen: Value | None) -> Value | None:
    """The object after the webhook's patch; None where it changes nothing.

    Raises:
        CallFailure: the patch cannot be read. InternalError: it cannot be applied.
    """
    if not response.get("patch"):
        return None
    try:
        operations = msgspec.json.decode(base64.b64decode(response["patch"], validate=True))
    except (msgspec.DecodeError, binascii.Error, ValueError, TypeError) as error:
        raise CallFailure(f"received undecodable patch in webhook response: {error}") from error
    if not isinstance(operations, list):
        raise CallFailure("received undecodable patch in webhook response: it is no list")
    if not operations:
        return None
    if seen is None:
        raise InternalError(
            f'Internal error occurred: admission webhook "{hook.name}" attempted to modify the object, '
            "which is not supported for this operation"
        )
    if response.get("patchType", "JSONPatch") != "JSONPatch":
        raise CallFailure(f'unsupported patch type "{response["patchType"]}"')
    try:
        patched: Value = jsonpatch.JsonPatch(operations).apply(seen, in_place=False)
    except (jsonpatch.JsonPatchException, JsonPointerException, KeyError, TypeError, IndexError) as error:
        raise InternalError(f"Internal error occurred: {error}") from error
    return patched if patched != seen else None


def _failed(hook: Hook, error: CallFailure) -> None:
    """Raises InternalError unless the webhook's failures are let through."""
    if not hook.ignores_failure:
        raise InternalError(f'Internal error occurred: failed calling webhook "{hook.name}": {error}') from error


def _allowed(hook: Hook, response: Mapping[str, Any], inquiry: Inquiry) -> None:
    inquiry.warnings.extend(str(one) for one in response.get("warnings") or ())
    if not response.get("allowed"):
        raise denial(hook.name, response.get("status"))


def exempt(resource: Resource) -> bool:
    """Whether no webhook is ever asked: of the configurations themselves."""
    return resource.group == GROUP and resource.kind in _EXEMPT


Complete = Callable[[Value], Value]
"""Takes an object in as the server does: defaults, and without what is not known."""


def mutate(hooks: Sequence[Hook], attempt: Attempt, inquiry: Inquiry, complete: Complete) -> Value | None:
    """The object after every mutating webhook, each seeing what those before made of it, or None as it came.

    One that is asked and has ``reinvocationPolicy: IfNeeded`` is asked once more where a later one has changed the
    object.

    Raises:
        Unanswered: somebody has to be asked first.
        ApiError: a webhook refuses, or failed and may not.
    """
    if exempt(attempt.resource):
        return attempt.value
    again: list[Hook] = []
    reinvocable: list[Hook] = []
    value = attempt.value
    for hook, changed, made in _rounds(hooks, attempt, inquiry, complete):
        value = made
        if changed:
            again, reinvocable = [*again, *reinvocable], []
        if hook.spec.get("reinvocationPolicy") == "IfNeeded":
            reinvocable.append(hook)
    if again and value is not None:
        for _, _, made in _rounds(again, replace(attempt, value=value), inquiry, complete):
            value = made
    return value


def _rounds(
    hooks: Sequence[Hook], attempt: Attempt, inquiry: Inquiry, complete: Complete
) -> Iterator[tuple[Hook, bool, Value | None]]:
    """Each webhook that is asked, whether it changed the object, and the object since."""
    for hook in hooks:
        question = _wanted(hook, attempt, inquiry)
        if question is None:
            continue
        changed = None
        try:
            response = _verified(question, inquiry.ask([question])[0], mutating=True)
            _allowed(hook, response, inquiry)
            version = str(msgspec.json.decode(question.request)["kind"]["version"])
            seen = attempt.in_version(version, attempt.value)
            changed = _patched(hook, response, seen)
        except CallFailure as error:
            _failed(hook, error)
        if changed is not None:
            value = changed if version == attempt.version else attempt.convert(changed, attempt.version)
            attempt = replace(attempt, value=complete(value))
        yield hook, changed is not None, attempt.value


def validate(hooks: Sequence[Hook], attempt: Attempt, inquiry: Inquiry) -> None:
    """Asks every validating webhook, all at once; the first that refuses is told.

    Raises:
        Unanswered: somebody has to be asked first.
        ApiError: a webhook refuses, or failed and may not.
    """
    if exempt(attempt.resource):
        return
    wanted = [(hook, question) for hook in hooks if (question := _wanted(hook, attempt, inquiry)) is not None]
    replies = inquiry.ask([question for _, question in wanted])
    refusals: list[ApiError] = []
    for (hook, question), reply in zip(wanted, replies, strict=True):
        try:
            _allowed(hook, _verified(question, reply, mutating=False), inquiry)
        except CallFailure as error:
            try:
                _failed(hook, error)
            except InternalError as refusal:
                refusals.append(refusal)
        except ApiError as refusal:
            refusals.append(refusal)
    if refusals:
        raise refusals[0]
