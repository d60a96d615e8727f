"""Relabeling: entries as Prometheus has them, and what Prometheus would refuse of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.tables import OMIT, Field, Rejected, Scope, Table, Version
from operators.prometheus.tables.makes import filled, given
from operators.prometheus.tables.reading import entries as entries_of
from operators.prometheus.tables.reading import mapping, number, text
from operators.prometheus.tables.regexes import check_regex

__all__ = ["JOB_NAME", "check_relabel_configs", "is_label_name", "label_name", "relabel_config", "relabel_configs"]

JOB_NAME: Final[Mapping[str, Any]] = {"source_labels": ["job"], "target_label": "__tmp_prometheus_job_name"}
"""The first entry of every job that is made of an object: the name of the job stays known when ``job`` changes."""

_INVALID: Final = re.compile(r"[^a-zA-Z0-9_]")


def label_name(name: str) -> str:
    """A label of an object as Prometheus names it in its meta labels.

    >>> label_name("app.kubernetes.io/name")
    'app_kubernetes_io_name'
    """
    return _INVALID.sub("_", name)


def relabel_config(entry: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """One entry of ``relabelings`` and the like."""
    return _ENTRY.of(entry, scope) if isinstance(entry, Mapping) else {}


def relabel_configs(entries: Any, scope: Scope) -> list[dict[str, Any]]:
    """All of a list; an absent one has none."""
    return [relabel_config(entry, scope) for entry in entries_of(entries)]


def _action(value: Any, scope: Scope) -> Any:
    return text(value).lower() or OMIT


_ENTRY: Final = Table(
    Field("source_labels", "sourceLabels"),
    Field("separator", make=given),
    Field("target_label", "targetLabel"),
    Field("regex"),
    Field("modulus", make=filled),
    Field("replacement", make=given),
    Field("action", make=_action),
)

_TARGET: Final = re.compile(r"(?:[a-zA-Z_]|\$\{\w+\}|\$\w+)(?:\w|\$\{\w+\}|\$\w+)*", re.ASCII)
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_SINCE: Final = {"lowercase": "2.36.0", "uppercase": "2.36.0", "keepequal": "2.41.0", "dropequal": "2.41.0"}
_WRITING: Final = frozenset(("replace", "lowercase", "uppercase", "keepequal", "dropequal"))
_ACTIONS: Final = _WRITING | {"keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep"}
_DEFAULT_REGEX: Final = frozenset(("", "(.*)", "^(?s:(.*))$"))
UTF8_SINCE: Final = "3.0.0"
"""The first version whose label names may be any UTF-8."""


def check_relabel_configs(entries: Any, version: Version) -> None:
    """Raises `Rejected`, with the place in the list and the field, for what Prometheus of that version refuses."""
    for at, entry in enumerate(entries_of(entries)):
        try:
            _check(mapping(entry), version)
        except Rejected as refused:
            raise refused.at(f"[{at}]") from None


def _check(entry: Mapping[str, Any], version: Version) -> None:
    action = text(entry.get("action")).lower() or "replace"
    if action not in _ACTIONS:
        raise Rejected(f"{action!r} is no action; they are {', '.join(sorted(_ACTIONS))}", "action")
    if not version.at_least(_SINCE.get(action, "0.0.0")):
        raise Rejected(f"{action} needs {_SINCE[action]}, this is {version}", "action")
    try:
        check_regex(text(entry.get("regex")))
    except Rejected as refused:
        raise refused.at("regex") from None
    _check_target(action, text(entry.get("targetLabel")), version)
    if action == "hashmod" and not number(entry.get("modulus")):
        raise Rejected("hashmod needs a modulus above 0", "modulus")
    replacement = entry.get("replacement")
    if action == "labelmap" and isinstance(replacement, str) and not _is_target(replacement, version):
        raise Rejected(f"{replacement!r} is no name that labelmap could write", "replacement")
    _check_alone(action, entry)


def _check_target(action: str, target: str, version: Version) -> None:
    if action not in _WRITING and action != "hashmod":
        return
    if not target:
        raise Rejected(f"{action} needs the label that it writes or compares", "targetLabel")
    valid = is_label_name(target, version) if action == "hashmod" else _is_target(target, version)
    if not valid:
        raise Rejected(f"{target!r} is no label that {action} could write in {version}", "targetLabel")


def is_label_name(name: str, version: Version) -> bool:
    """Whether a Prometheus of that version has labels of that name."""
    return _encodable(name) if version.at_least(UTF8_SINCE) else _LABEL.fullmatch(name) is not None


def _is_target(name: str, version: Version) -> bool:
    return _encodable(name) if version.at_least(UTF8_SINCE) else _TARGET.fullmatch(name) is not None


def _encodable(name: str) -> bool:
    return name != "" and not any(0xD800 <= ord(sign) <= 0xDFFF for sign in name)


def _check_alone(action: str, entry: Mapping[str, Any]) -> None:
    """Actions that know only some of the fields."""
    if action in ("lowercase", "uppercase", "keepequal", "dropequal") and not _defaulted(entry, "replacement", "$1"):
        raise Rejected(f"{action} has no replacement; leave it out", "replacement")
    only = {"keepequal": "sourceLabels and targetLabel", "dropequal": "sourceLabels and targetLabel"}
    only |= {"labeldrop": "a regex", "labelkeep": "a regex"}
    if action not in only:
        return
    wrong = [
        field for field, default in (("separator", ";"), ("replacement", "$1")) if not _defaulted(entry, field, default)
    ]
    if number(entry.get("modulus")):
        wrong.append("modulus")
    if action in ("labeldrop", "labelkeep"):
        wrong += [field for field in ("sourceLabels", "targetLabel") if entry.get(field)]
    elif text(entry.get("regex")) not in _DEFAULT_REGEX:
        wrong.append("regex")
    if wrong:
        raise Rejected(f"{action} knows only {only[action]}; leave {', '.join(wrong)} out")


def _defaulted(entry: Mapping[str, Any], field: str, default: str) -> bool:
    value = entry.get(field)
    return value is None or value == default
