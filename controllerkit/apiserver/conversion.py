"""Versions of custom resources: what an object of one version is in another. No I/O.

The strategy None changes only the apiVersion (`Registry.in_version`); with Webhook a webhook is asked, and its answer
is checked. Either way the object is then pruned by the schema of the version it is in.

Source: apiextensions ``pkg/apiserver/conversion``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from controllerkit.apiserver.inquiry import Inquiry, Question, Reply
from controllerkit.apiserver.metadata import check_metadata
from controllerkit.errors import InternalError

__all__ = ["Converter", "convert"]

Value = dict[str, Any]

_VERSIONS: Final = {"v1": "apiextensions.k8s.io/v1", "v1beta1": "apiextensions.k8s.io/v1beta1"}
TIMEOUT_S: Final = 30.0
"""apiserver ``util/webhook``: of calls that have no time limit of their own."""


@dataclass(frozen=True, slots=True)
class Converter:
    """``spec.conversion`` of a definition with a webhook. ``name`` is the definition's."""

    name: str
    client: bytes
    versions: tuple[str, ...]

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Converter | None:
        """The webhook of a definition; None where it has none."""
        conversion = definition["spec"].get("conversion") or {}
        if conversion.get("strategy") != "Webhook":
            return None
        webhook = conversion.get("webhook") or {}
        client = msgspec.json.encode(webhook.get("clientConfig") or {})
        return cls(definition["metadata"]["name"], client, tuple(webhook.get("conversionReviewVersions") or ()))


class _Wrong(Exception):
    """What the answer has wrong."""


def convert(converter: Converter, values: Sequence[Value], api_version: str, inquiry: Inquiry) -> list[Value]:
    """The objects in that version, those that are in it already untouched.

    Raises:
        Unanswered: the webhook has to be asked first.
        InternalError: it failed, or its answer is wrong.
    """
    foreign = [value for value in values if value["apiVersion"] != api_version]
    if not foreign:
        return list(values)
    request = {"desiredAPIVersion": api_version, "objects": foreign}
    known = next((_VERSIONS[one] for one in converter.versions if one in _VERSIONS), "")
    question = Question(
        f"conversion_webhook_for_{converter.name}",
        converter.client,
        TIMEOUT_S,
        known,
        "ConversionReview",
        msgspec.json.encode(request),
    )
    reply = inquiry.ask([question])[0]
    group, _, version = str(foreign[0]["apiVersion"]).rpartition("/")
    head = f"conversion webhook for {group}/{version}, Kind={foreign[0]['kind']}"
    try:
        found = _objects(question, reply)
    except _Wrong as error:
        raise InternalError(f"{head} failed: {error}") from error
    if len(found) != len(foreign):
        raise InternalError(f"{head} returned {len(found)} objects, expected {len(foreign)}")
    converted = iter([_checked(head, one, before, api_version) for one, before in zip(found, foreign, strict=True)])
    return [value if value["apiVersion"] == api_version else next(converted) for value in values]


def _objects(question: Question, reply: Reply) -> list[Any]:
    if reply.failure:
        raise _Wrong(reply.failure)
    value = reply.value or {}
    response = value.get("response")
    kind = (value.get("apiVersion", ""), value.get("kind", ""))
    strict = question.version == _VERSIONS["v1"]
    if strict and kind != (question.version, question.kind):
        raise _Wrong(
            f"expected webhook response of {question.version}, Kind={question.kind}, got {kind[0]}, Kind={kind[1]}"
        )
    if not isinstance(response, Mapping):
        raise _Wrong("no response provided")
    if strict and response.get("uid", "") != reply.uid:
        raise _Wrong(f'expected response.uid="{reply.uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        told = f"response.result.status was '{result.get('status', '')}', not 'Success'"
        raise _Wrong(str(result.get("message") or told))
    return list(response.get("convertedObjects") or ())


def _checked(head: str, value: Any, before: Value, api_version: str) -> Value:
    """The converted object with the metadata it had, but for labels and annotations."""
    if not isinstance(value, dict):
        raise InternalError(f"{head} returned invalid converted object: it is no object")
    if value.get("apiVersion") != api_version:
        raise InternalError(
            f"{head} returned invalid object at index 0: invalid groupVersion "
            f"(expected {api_version}, received {value.get('apiVersion', '')})"
        )
    if value.get("kind") != before["kind"]:
        raise InternalError(
            f"{head} returned invalid object at index 0: invalid kind "
            f"(expected {before['kind']}, received {value.get('kind', '')})"
        )
    metadata = value.get("metadata")
    shown = metadata if isinstance(metadata, Mapping) else {}
    for field, told in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        old, new = before["metadata"].get(field, ""), shown.get(field, "")
        if old != new:
            raise InternalError(f"{head} returned invalid object: must have the same {told}: {old} != {new}")
    if not isinstance(metadata, Mapping):
        raise InternalError(f"{head} returned invalid metadata: missing metadata in converted object")
    kept = {name: each for name, each in before["metadata"].items() if name not in ("labels", "annotations")}
    for field in ("labels", "annotations"):
        texts = metadata.get(field)
        if texts is None:
            continue
        if not isinstance(texts, Mapping) or not all(isinstance(one, str) for one in texts.values()):
            raise InternalError(f"{head} returned invalid metadata: metadata.{field} must hold strings")
        kept[field] = dict(texts)
    wrong = [str(one) for one in check_metadata(kept, "", namespaced=bool(kept.get("namespace")))]
    if wrong:
        raise InternalError(f"{head} returned invalid metadata: {', '.join(wrong)}")
    return {**value, "metadata": kept}
