"""Webhook configurations: what the server refuses in them.

Source: kubernetes ``pkg/apis/admissionregistration/validation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from controllerkit.apiserver.expressions import CompileError, NotHere, available, compiled
from controllerkit.apiserver.status import FieldError

__all__ = ["validate_client", "validate_configuration"]

_FORM: Final = "; desired format: https://host[/path]"
_SUPPORTED: Final = {
    "failurePolicy": ("Fail", "Ignore"),
    "matchPolicy": ("Equivalent", "Exact"),
    "reinvocationPolicy": ("IfNeeded", "Never"),
}
_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun")
_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES: Final = ("*", "Cluster", "Namespaced")
_REVIEWS: Final = ("v1", "v1beta1")
_TIMEOUT_S_MAX: Final = 30


def validate_configuration(value: Mapping[str, Any]) -> Iterator[FieldError]:
    """Findings in a configuration, after defaulting."""
    names: set[str] = set()
    for index, webhook in enumerate(value.get("webhooks") or ()):
        path = f"webhooks[{index}]"
        yield from _validate_reviews(webhook.get("admissionReviewVersions") or (), f"{path}.admissionReviewVersions")
        name = str(webhook.get("name", ""))
        if name in names:
            yield FieldError.duplicate(f"{path}.name", name)
        names.add(name)
        yield from _validate_webhook(webhook, name, path)


def _validate_reviews(versions: Any, path: str) -> Iterator[FieldError]:
    if not versions:
        yield FieldError.required(path, "must specify one of v1, v1beta1")
    elif not set(versions) & set(_REVIEWS):
        detail = "must include at least one of v1, v1beta1"
        yield FieldError.invalid(path, list(versions), detail)


def _validate_webhook(webhook: Mapping[str, Any], name: str, path: str) -> Iterator[FieldError]:
    if not name:
        yield FieldError.required(f"{path}.name")
    elif name.count(".") < 2:
        detail = "should be a domain with at least three segments separated by dots"
        yield FieldError.invalid(f"{path}.name", name, detail)
    for index, rule in enumerate(webhook.get("rules") or ()):
        yield from _validate_rule(rule, f"{path}.rules[{index}]")
    for field, allowed in _SUPPORTED.items():
        if field in webhook and webhook[field] not in allowed:
            yield FieldError.unsupported(f"{path}.{field}", webhook[field], allowed)
    effects = webhook.get("sideEffects")
    if effects is None:
        yield FieldError.required(f"{path}.sideEffects", f"must specify one of {', '.join(_SIDE_EFFECTS)}")
    elif effects not in _SIDE_EFFECTS:
        yield FieldError.unsupported(f"{path}.sideEffects", effects, _SIDE_EFFECTS)
    timeout_s = webhook.get("timeoutSeconds", 1)
    if not 1 <= timeout_s <= _TIMEOUT_S_MAX:
        detail = "the timeout value must be between 1 and 30 seconds"
        yield FieldError.invalid(f"{path}.timeoutSeconds", timeout_s, detail)
    yield from validate_client(webhook.get("clientConfig") or {}, f"{path}.clientConfig")
    yield from _validate_conditions(webhook.get("matchConditions") or (), f"{path}.matchConditions")


def _validate_rule(rule: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    operations = rule.get("operations") or ()
    if not operations:
        yield FieldError.required(f"{path}.operations")
    for index, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            yield FieldError.unsupported(f"{path}.operations[{index}]", operation, _OPERATIONS)
    for field in ("apiGroups", "apiVersions", "resources"):
        listed = rule.get(field) or ()
        if not listed:
            yield FieldError.required(f"{path}.{field}")
        elif "*" in listed and len(listed) > 1 and field != "resources":
            detail = "if '*' is present, must not specify other API " + (
                "groups" if field == "apiGroups" else "versions"
            )
            yield FieldError.invalid(f"{path}.{field}", list(listed), detail)
    if rule.get("scope", "*") not in _SCOPES:
        yield FieldError.unsupported(f"{path}.scope", rule["scope"], _SCOPES)


def validate_client(client: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """Findings in a ``clientConfig``."""
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        yield FieldError.required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from _validate_url(str(url), f"{path}.url")
    elif service is not None:
        for field in ("name", "namespace"):
            if not service.get(field):
                yield FieldError.required(f"{path}.service.{field}")


def _validate_url(url: str, path: str) -> Iterator[FieldError]:
    parts = urlsplit(url)
    if parts.scheme != "https":
        yield FieldError.invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    if not parts.netloc:
        yield FieldError.invalid(path, "", f"host must be specified{_FORM}")
    if "@" in parts.netloc:
        user = parts.netloc.rpartition("@")[0]
        yield FieldError.invalid(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield FieldError.invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield FieldError.invalid(path, parts.query, "query parameters are not permitted in the URL")


def _validate_conditions(conditions: Any, path: str) -> Iterator[FieldError]:
    names: set[str] = set()
    for index, condition in enumerate(conditions):
        where, name = f"{path}[{index}]", str(condition.get("name") or "")
        expression = str(condition.get("expression") or "")
        if not expression.strip():
            yield FieldError.required(f"{where}.expression")
        elif available():
            try:
                compiled(expression, "object", "oldObject", "request", "authorizer")
            except NotHere:
                pass
            except CompileError as error:
                yield FieldError.invalid(f"{where}.expression", expression, f"compilation failed: {error}")
        if not name:
            yield FieldError.required(f"{where}.name")
        elif name in names:
            yield FieldError.duplicate(f"{where}.name", name)
        names.add(name)
