"""What the API server is told of the webhooks: configurations, and the authority it shall trust."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from controllerkit.objects import Kind

__all__ = ["MUTATING", "VALIDATING", "Hook", "Reached", "configuration", "conversion", "injected"]

MUTATING: Final = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    namespaced=False,
)
VALIDATING: Final = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
TIMEOUT_S: Final = 10
"""The API's default for ``timeoutSeconds``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How the API server reaches the webhooks: by a Service, or by ``url`` (``https://host:port``) without one.

    Attributes:
        ca: PEM, what is to be trusted; b"" where somebody injects it.
    """

    service: str = ""
    namespace: str = ""
    port: int = 443
    url: str = ""
    ca: bytes = b""

    def client_config(self, path: str) -> dict[str, Any]:
        """``clientConfig`` of the webhook at ``path``."""
        config: dict[str, Any] = {"url": self.url.rstrip("/") + path} if self.url else {}
        if not self.url:
            service = {"name": self.service, "namespace": self.namespace, "path": path, "port": self.port}
            config["service"] = service
        if self.ca:
            config["caBundle"] = base64.b64encode(self.ca).decode()
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One webhook of a configuration."""

    kind: Kind
    path: str
    operations: tuple[str, ...]
    failure_policy: Literal["Fail", "Ignore"] = "Fail"
    timeout_s: int = TIMEOUT_S

    def to_dict(self, prefix: str, reached: Reached) -> dict[str, Any]:
        """As it stands in the configuration; ``prefix`` makes its name its own."""
        rule = {
            "apiGroups": [self.kind.group],
            "apiVersions": [self.kind.version],
            "operations": list(self.operations),
            "resources": [self.kind.plural],
            "scope": "Namespaced" if self.kind.namespaced else "Cluster",
        }
        return {
            "name": f"{prefix}-{self.kind.kind.lower()}-{self.kind.version}.{self.kind.group or 'k8s.io'}",
            "admissionReviewVersions": ["v1"],
            "clientConfig": reached.client_config(self.path),
            "failurePolicy": self.failure_policy,
            "matchPolicy": "Equivalent",
            "rules": [rule],
            "sideEffects": "None",
            "timeoutSeconds": self.timeout_s,
        }


def configuration(kind: Kind, name: str, hooks: Sequence[Hook], reached: Reached) -> dict[str, Any]:
    """A MutatingWebhookConfiguration or ValidatingWebhookConfiguration of those webhooks."""
    prefix = "mutate" if kind == MUTATING else "validate"
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name},
        "webhooks": [hook.to_dict(prefix, reached) for hook in hooks],
    }


def conversion(reached: Reached, path: str = "/convert") -> dict[str, Any]:
    """``spec.conversion`` of a definition: ``custom_resource_definition(A, B, conversion=conversion(...))``."""
    webhook = {"clientConfig": reached.client_config(path), "conversionReviewVersions": ["v1"]}
    return {"strategy": "Webhook", "webhook": webhook}


def injected(value: Mapping[str, Any], bundle: bytes) -> dict[str, Any] | None:
    """A webhook configuration or definition with ``caBundle`` in every webhook; None where that is so already."""
    text = base64.b64encode(bundle).decode()
    changed = copy.deepcopy(dict(value))
    webhooks = list(changed.get("webhooks") or ())
    if webhook := ((changed.get("spec") or {}).get("conversion") or {}).get("webhook"):
        webhooks.append(webhook)
    for each in webhooks:
        each.setdefault("clientConfig", {})["caBundle"] = text
    return None if changed == value else changed
