"""Limits of a scrape: of the job, of the whole configuration, and those that a Prometheus enforces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.tables import OMIT, Field, Scope, Table
from operators.prometheus.tables.reading import number, text, whole

__all__ = ["body_size_limit", "global_limits", "limits", "size"]

EXPLICIT_UNTIL: Final = "2.45.0"
"""From here the global section limits a job that has no limit; before, the enforced one is written into each job."""

_LIMITS: Final = (
    # key, field, the field that enforces it, since when a job has it, since when the global section has it
    ("sample_limit", "sampleLimit", "enforcedSampleLimit", "", "2.45.0"),
    ("target_limit", "targetLimit", "enforcedTargetLimit", "2.21.0", "2.45.0"),
    ("label_limit", "labelLimit", "enforcedLabelLimit", "2.27.0", "2.45.0"),
    ("label_name_length_limit", "labelNameLengthLimit", "enforcedLabelNameLengthLimit", "2.27.0", "2.45.0"),
    ("label_value_length_limit", "labelValueLengthLimit", "enforcedLabelValueLengthLimit", "2.27.0", "2.45.0"),
    ("keep_dropped_targets", "keepDroppedTargets", "enforcedKeepDroppedTargets", "2.47.0", "2.47.0"),
)


def limits(section: Mapping[str, Any], cr_spec: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Of a job: its own, but not above the enforced ones. 0 is no limit."""
    return _OF_JOB.of({"own": section, "cr": cr_spec}, scope)


def global_limits(cr_spec: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Of the global section, with the greatest size of a body."""
    return _OF_ALL.of(cr_spec, scope)


def body_size_limit(section: Mapping[str, Any], cr_spec: Mapping[str, Any]) -> str:
    """The smaller of the job's own and the enforced one; "" for none."""
    own, enforced = text(section.get("bodySizeLimit")), text(cr_spec.get("enforcedBodySizeLimit"))
    if not own or not enforced:
        return own or enforced
    return enforced if size(own) > size(enforced) else own


class _OfJob:
    def __init__(self, field: str, enforced: str) -> None:
        self.field, self.enforced = field, enforced

    def __call__(self, view: Any, scope: Scope) -> Any:
        own, most = whole(view["own"].get(self.field)), number(view["cr"].get(self.enforced))
        if not most:
            return OMIT if own is None else own
        if not own:
            return OMIT if scope.version.at_least(EXPLICIT_UNTIL) else most
        return min(own, most)


class _OfAll:
    def __init__(self, field: str, enforced: str) -> None:
        self.field, self.enforced = field, enforced

    def __call__(self, spec: Any, scope: Scope) -> Any:
        own, most = number(spec.get(self.field)), number(spec.get(self.enforced))
        return (min(own, most) if own and most else own or most) or OMIT


def _body_size(spec: Any, scope: Scope) -> Any:
    own = spec.get("bodySizeLimit")
    if scope.options.compat:
        return own if own is not None else text(spec.get("enforcedBodySizeLimit")) or OMIT
    return body_size_limit(spec, spec) or OMIT


_OF_JOB: Final = Table(*(Field(key, ".", _OfJob(field, enforced), since) for key, field, enforced, since, _ in _LIMITS))
_OF_ALL: Final = Table(
    Field("body_size_limit", ".", _body_size, "2.45.0"),
    *(Field(key, ".", _OfAll(field, enforced), since) for key, field, enforced, _, since in _LIMITS),
)

_SIZE: Final = re.compile(r"(?:(\d+(?:\.\d*)?|\.\d+)((?:[KMGTPE]i?)?B))")
_UNITS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}


def size(value: str) -> float:
    """Bytes of ``512MB`` and the like, with 1024 to each step, as Prometheus counts; 0 for what is none.

    >>> size("1KB"), size("1.5MiB"), size("1GB512MB") == 1.5 * 2**30, size("many")
    (1024.0, 1572864.0, True, 0)
    """
    found = list(_SIZE.finditer(value))
    if not found or "".join(match[0] for match in found) != value:
        return 0
    return sum(float(match[1]) * 1024.0 ** _UNITS[match[2].rstrip("B").rstrip("i")] for match in found)
