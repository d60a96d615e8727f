"""Webhooks: defaulting, validation, mutation, conversion and authentication, asked by the API server.

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
from controllerkit.webhook.authentication import TokenAnswer, TokenHandler, TokenQuestion, review_token
from controllerkit.webhook.certificates import FileCertificates, MadeCertificates, ServingCertificates
from controllerkit.webhook.conversion import Conversions, Spoke, convert_review
from controllerkit.webhook.injection import MUTATING, VALIDATING, Reached, conversion
from controllerkit.webhook.patches import json_patch
from controllerkit.webhook.resources import defaulting, validation
from controllerkit.webhook.server import WebhookServer, path_of

__all__ = [
    "MUTATING",
    "VALIDATING",
    "AdmissionRequest",
    "AdmissionResponse",
    "Conversions",
    "FileCertificates",
    "Handler",
    "MadeCertificates",
    "Operation",
    "Reached",
    "ServingCertificates",
    "Spoke",
    "TokenAnswer",
    "TokenHandler",
    "TokenQuestion",
    "UserInfo",
    "WebhookServer",
    "conversion",
    "convert_review",
    "current_request",
    "defaulting",
    "json_patch",
    "mutating",
    "path_of",
    "review",
    "review_token",
    "validating",
    "validation",
]
