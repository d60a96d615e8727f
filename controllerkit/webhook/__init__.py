"""Webhooks: defaulting, validation, mutation and conversion, asked by the API server.

Rule of the room: a sibling of ``controller``, over the client; what answers is bytes in, bytes out, and the server
around it is thin.
"""

from controllerkit.webhook.admission import (
    AdmissionRequest,
    AdmissionResponse,
    Handler,
    Operation,
    UserInfo,
    current_request,
    mutating,
    review,
    validating,
)
from controllerkit.webhook.patches import json_patch
from controllerkit.webhook.resources import defaulting, validation

__all__ = [
    "AdmissionRequest",
    "AdmissionResponse",
    "Handler",
    "Operation",
    "UserInfo",
    "current_request",
    "defaulting",
    "json_patch",
    "mutating",
    "review",
    "validating",
    "validation",
]
