"""What a request asks: options of writes and deletes, and what they are aimed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controllerkit.apiserver.resources import Resource, Version
from controllerkit.apiserver.status import FieldError, invalid
from controllerkit.errors import BadRequest

__all__ = ["DeleteOptions", "Target", "WriteOptions"]

_META_GROUP: Final = "meta.k8s.io"
_VALIDATIONS: Final = ("", "Ignore", "Strict", "Warn")
_PROPAGATIONS: Final = ("Foreground", "Background", "Orphan")


@dataclass(frozen=True, slots=True)
class Target:
    """The object, or with an empty ``name`` the collection, that a request is aimed at."""

    resource: Resource
    version: Version
    namespace: str
    name: str = ""
    subresource: str = ""

    @property
    def api_version(self) -> str:
        """The version the caller speaks."""
        return self.resource.api_version(self.version.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteOptions:
    """Query parameters of create, update and patch. ``applied``: by an apply, which records its own managedFields.
    ``named``: the query says who the manager is.
    """

    manager: str = ""
    named: bool = False
    applied: bool = False
    dry_run: bool = False
    validation: str = "Warn"
    force: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, str], *, agent: str, kind: str, applied: bool = False) -> WriteOptions:
        """From the query; ``agent`` (the User-Agent) names the manager where the query does not.

        ``applied`` patches must name their manager themselves, and only they may force.

        Raises:
            Invalid: a value is outside its enumeration; ``kind`` names the options (CreateOptions, ...).
        """
        validation = query.get("fieldValidation", "")
        if validation not in _VALIDATIONS:
            raise invalid(_META_GROUP, kind, "", [FieldError.unsupported("fieldValidation", validation, _VALIDATIONS)])
        errors = []
        if applied and not query.get("fieldManager"):
            errors.append(FieldError.required("fieldManager", "is required for apply patch"))
        if not applied and query.get("force"):
            errors.append(FieldError.forbidden("force", "may not be specified for non-apply patch"))
        if errors:
            raise invalid(_META_GROUP, kind, "", errors)
        return cls(
            manager=query.get("fieldManager") or agent.partition("/")[0],
            named=bool(query.get("fieldManager")),
            applied=applied,
            dry_run=parse_dry_run(query.get("dryRun"), kind),
            validation=validation or "Warn",
            force=query.get("force") in ("true", "1"),
        )


def parse_dry_run(value: str | None, kind: str) -> bool:
    """Whether nothing is to be kept; ``All`` is the only stage there is."""
    if not value:
        return False
    if value != "All":
        raise invalid(_META_GROUP, kind, "", [FieldError.unsupported("dryRun", [value], ("All",))])
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteOptions:
    """Query parameters and body of a delete. ``grace_s`` None is the object's own."""

    grace_s: int | None = None
    propagation: str = ""
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, str], body: Mapping[str, Any]) -> DeleteOptions:
        """From both; the body counts where both speak.

        Raises:
            Invalid: unknown or contradicting propagation.
            BadRequest: a grace period that is no number.
        """
        grace: Any = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        try:
            grace_s = None if grace is None else int(grace)
        except (TypeError, ValueError) as error:
            raise BadRequest(f"strconv.ParseInt: parsing {grace!r}: invalid syntax") from error
        propagation = body.get("propagationPolicy") or query.get("propagationPolicy") or ""
        orphan = body.get("orphanDependents", query.get("orphanDependents"))
        errors = []
        if propagation and propagation not in _PROPAGATIONS:
            errors.append(FieldError.unsupported("propagationPolicy", propagation, (*_PROPAGATIONS, "nil")))
        elif propagation and orphan is not None:
            why = "orphanDependents and deletionPropagation cannot be both set"
            errors.append(FieldError.invalid("propagationPolicy", propagation, why))
        if errors:
            raise invalid(_META_GROUP, "DeleteOptions", "", errors)
        if orphan is not None:
            propagation = "Orphan" if orphan in (True, "true", "1") else "Background"
        stages = body.get("dryRun") or ([query["dryRun"]] if query.get("dryRun") else [])
        conditions = body.get("preconditions") or {}
        return cls(
            grace_s=grace_s,
            propagation=propagation,
            uid=conditions.get("uid"),
            resource_version=conditions.get("resourceVersion"),
            dry_run=any(parse_dry_run(stage, "DeleteOptions") for stage in stages),
        )
