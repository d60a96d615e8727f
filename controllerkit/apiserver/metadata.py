"""``metadata``: what the server sets, what may not change, what names may look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from random import Random
from typing import Any, Final

from controllerkit.apiserver.status import FieldError
from controllerkit.objects import rfc3339

__all__ = [
    "NAME_RULES",
    "check_metadata",
    "check_metadata_update",
    "check_qualified",
    "dns_label",
    "dns_subdomain",
    "fill_metadata",
    "generate_name",
]

NAME_RULE = Callable[[str], "str | None"]

_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = _LABEL + r"(\." + _LABEL + ")*"
_LABEL_1035: Final = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED: Final = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = f"({_QUALIFIED})?"
_GENERATED_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_LENGTH: Final = 5
_NAME_LENGTH_MAX: Final = 63
_ANNOTATIONS_BYTES_MAX: Final = 256 * 1024


def _rule(pattern: str, length_max: int, sentence: str) -> NAME_RULE:
    compiled = re.compile(pattern)

    def check(value: str) -> str | None:
        if len(value) > length_max:
            return f"must be no more than {length_max} characters"
        return None if compiled.fullmatch(value) else f"{sentence}, regex used for validation is '{pattern}')"

    return check


dns_label: Final = _rule(
    _LABEL,
    63,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character (e.g. 'my-name',  or '123-abc'",
)
dns_subdomain: Final = _rule(
    _SUBDOMAIN,
    253,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com'",
)
_dns_label_1035: Final = _rule(
    _LABEL_1035,
    63,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123'",
)
_qualified_name: Final = _rule(
    _QUALIFIED,
    63,
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc'",
)
_label_value: Final = _rule(
    _VALUE,
    63,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345'",
)


def _namespace_name(value: str) -> str | None:
    return "must not contain dots" if "." in value else dns_label(value)


def _path_segment(value: str) -> str | None:
    if value in (".", ".."):
        return f"may not be '{value}'"
    bad = next((mark for mark in ("/", "%") if mark in value), None)
    return f"may not contain '{bad}'" if bad else None


NAME_RULES: Final[Mapping[str, NAME_RULE]] = {
    "Namespace": _namespace_name,
    "Service": dns_label,
    **dict.fromkeys(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), _path_segment),
}
"""How a kind's names are checked, where that is not as a DNS subdomain."""


def generate_name(base: str, rng: Random) -> str:
    """``base`` with five random characters, cut so that the name stays a DNS label."""
    suffix = "".join(rng.choice(_GENERATED_LETTERS) for _ in range(_GENERATED_LENGTH))
    return base[: _NAME_LENGTH_MAX - _GENERATED_LENGTH] + suffix


def fill_metadata(metadata: dict[str, Any], *, uid: str, now: datetime) -> None:
    """What a create sets, whatever the client sent."""
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "resourceVersion"):
        metadata.pop(name, None)
    metadata["uid"] = uid
    metadata["creationTimestamp"] = rfc3339(now)


def check_metadata(metadata: Mapping[str, Any], kind: str, *, namespaced: bool) -> Iterator[FieldError]:
    """Findings in metadata that a create and an update share."""
    name = metadata.get("name", "")
    if not name:
        yield FieldError.required("metadata.name", "name or generateName is required")
    elif why := NAME_RULES.get(kind, dns_subdomain)(name):
        yield FieldError.invalid("metadata.name", name, why)
    if namespaced and not metadata.get("namespace"):
        yield FieldError.required("metadata.namespace")
    yield from check_labels(metadata.get("labels"), "metadata.labels")
    yield from _check_annotations(metadata.get("annotations"))
    yield from _check_owners(metadata.get("ownerReferences") or ())
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        yield from _check_finalizer(finalizer, index)


def check_labels(labels: Mapping[str, str] | None, path: str) -> Iterator[FieldError]:
    """Findings in a map of labels."""
    for key, value in (labels or {}).items():
        yield from check_qualified(key, path)
        if why := _label_value(value):
            yield FieldError.invalid(path, value, why)


def check_qualified(key: str, path: str) -> Iterator[FieldError]:
    """Findings in a name with an optional prefix, such as ``example.dev/name``."""
    prefix, slash, name = key.rpartition("/")
    if slash and not prefix:
        yield FieldError.invalid(path, key, "prefix part must be non-empty")
    elif slash and (why := dns_subdomain(prefix)):
        yield FieldError.invalid(path, key, f"prefix part {why}")
    if not name:
        yield FieldError.invalid(path, key, "name part must be non-empty")
    elif why := _qualified_name(name):
        yield FieldError.invalid(path, key, why)


def _check_annotations(annotations: Mapping[str, str] | None) -> Iterator[FieldError]:
    size = 0
    for key, value in (annotations or {}).items():
        yield from check_qualified(key.lower(), "metadata.annotations")
        size += len(key) + len(value)
    if size > _ANNOTATIONS_BYTES_MAX:
        yield FieldError.too_long("metadata.annotations", "", _ANNOTATIONS_BYTES_MAX)


def _check_owners(owners: Any) -> Iterator[FieldError]:
    controllers = 0
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        if not owner.get("apiVersion"):
            yield FieldError.invalid(f"{path}.apiVersion", owner.get("apiVersion", ""), "version must not be empty")
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                yield FieldError.invalid(f"{path}.{name}", "", "must not be empty")
        controllers += bool(owner.get("controller"))
    if controllers > 1:
        yield FieldError.invalid(
            "metadata.ownerReferences",
            list(owners),
            'Only one reference can have Controller set to true. Found "true" in references for several owners',
        )


_FINALIZERS_WITHOUT_DOMAIN: Final = frozenset({"orphan", "foregroundDeletion", "kubernetes"})


def _check_finalizer(finalizer: str, index: int) -> Iterator[FieldError]:
    yield from check_qualified(finalizer, f"metadata.finalizers[{index}]")
    if "/" not in finalizer and finalizer not in _FINALIZERS_WITHOUT_DOMAIN:
        why = "name is neither a standard finalizer name nor is it fully qualified"
        yield FieldError.invalid(f"metadata.finalizers[{index}]", finalizer, why)


_KEPT_ON_UPDATE: Final = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def check_metadata_update(new: dict[str, Any], old: Mapping[str, Any]) -> Iterator[FieldError]:
    """Completes what an update may leave out, and yields what it may not change."""
    for name in _KEPT_ON_UPDATE:
        if name in old:
            new.setdefault(name, old[name])
    new.pop("generation", None)
    if "generation" in old:
        new["generation"] = old["generation"]
    # Silently kept: clients write back what they read some time ago.
    new["creationTimestamp"] = old["creationTimestamp"]
    for name in ("name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if new.get(name) != old.get(name):
            yield FieldError.invalid(f"metadata.{name}", new.get(name), "field is immutable")
    if old.get("deletionTimestamp"):
        added = [one for one in new.get("finalizers") or () if one not in (old.get("finalizers") or ())]
        if added:
            listed = ", ".join(f'"{one}"' for one in added)
            yield FieldError.forbidden(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{listed}}}",
            )
