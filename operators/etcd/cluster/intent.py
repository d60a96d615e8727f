"""What a spec asks for, and why some of it is not done.

A request that cannot be met changes nothing: a running cluster keeps the size and version it was last asked for
rightly, and goes on being healed at those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from operators.etcd.api import NAME_LENGTH_MAX, SIZE_MAX, SIZE_MIN, EtcdCluster, TlsPolicy
from operators.etcd.versions import Chosen, Refusal, Version, VersionMap, choose, refuse_change

__all__ = ["Intent", "Problem", "intend"]

_SERVICE_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the spec that is not done: the condition that says so, its reason and its message."""

    condition: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What is wanted.

    Attributes:
        size, version: to work towards; None where neither the spec nor what was accepted before says it.
        chosen: how the spec's version was mapped; None where it was refused.
        blocked: nothing at all may be done, not even healing.
        problems: everything that is not done, and why.
        notes: what a user may want to know and needs not act on.
    """

    size: int | None
    version: Version | None
    chosen: Chosen | None = None
    blocked: bool = False
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def intend(cluster: EtcdCluster, mapping: VersionMap, *, running: Iterable[str] = ()) -> Intent:
    """Reads the spec against what was accepted before. ``running``: the last known version of every member."""
    blocking = [*_name_problems(cluster), *_tls_problems(cluster)]
    size, size_problem = _size(cluster)
    version, chosen, version_problem = _version(cluster, mapping, tuple(running))
    partial = [problem for problem in (size_problem, version_problem, _read_replicas(cluster)) if problem]
    notes = []
    if size is not None and size % 2 == 0:
        notes.append(f"{size} members tolerate no more failures than {size - 1}; an odd size is the better choice")
    return Intent(
        size=size,
        version=version,
        chosen=chosen,
        blocked=bool(blocking),
        problems=(*blocking, *partial),
        notes=tuple(notes),
    )


def _name_problems(cluster: EtcdCluster) -> list[Problem]:
    name = cluster.metadata.name
    if len(name) > NAME_LENGTH_MAX:
        message = f"the name has {len(name)} characters; at most {NAME_LENGTH_MAX} leave room for the members' names"
        return [Problem("SpecInvalid", "NameTooLong", message)]
    if not _SERVICE_NAME.fullmatch(name):
        message = f"the name {name!r} cannot be a Service's: lower-case letters, digits and '-', a letter first"
        return [Problem("SpecInvalid", "NameInvalid", message)]
    return []


def _tls_problems(cluster: EtcdCluster) -> list[Problem]:
    if cluster.spec.tls in (None, TlsPolicy()):
        return []
    message = "spec.TLS is not supported by this version of the operator; nothing is served without it instead"
    return [Problem("TLSNotSupported", "TLSNotSupported", message)]


def _read_replicas(cluster: EtcdCluster) -> Problem | None:
    if cluster.spec.read_replicas == 0:
        return None
    message = (
        f"spec.readReplicas is {cluster.spec.read_replicas}, but read replicas are not supported yet: none is made"
    )
    return Problem("ReadReplicasNotSupported", "ReadReplicasNotSupported", message)


def _size(cluster: EtcdCluster) -> tuple[int | None, Problem | None]:
    spec, accepted = cluster.spec, cluster.status.accepted_size
    given = {
        name: value for name, value in (("size", spec.size), ("clusterSize", spec.cluster_size)) if value is not None
    }
    kept = f"; {accepted} members are kept" if accepted else "; no cluster is made"
    if not given:
        return accepted, Problem("SpecInvalid", "SizeMissing", f"neither spec.size nor spec.clusterSize is given{kept}")
    if len(set(given.values())) > 1:
        message = f"spec.size is {spec.size} and spec.clusterSize is {spec.cluster_size}; remove one of them{kept}"
        return accepted, Problem("SpecInvalid", "SizeConflict", message)
    name, size = next(iter(given.items()))
    if not SIZE_MIN <= size <= SIZE_MAX:
        message = f"spec.{name} is {size}; it must be between {SIZE_MIN} and {SIZE_MAX}{kept}"
        return accepted, Problem("SpecInvalid", "SizeOutOfRange", message)
    return size, None


def _version(
    cluster: EtcdCluster, mapping: VersionMap, running: tuple[str, ...]
) -> tuple[Version | None, Chosen | None, Problem | None]:
    """The version to run. An upgrade under way may be turned back while one member still runs the old one."""
    status = cluster.status
    current = _oldest(running) or _oldest((status.current_version,))
    kept = status.target_version or status.current_version
    chosen = choose(cluster.spec.version, mapping)
    refusal = chosen if isinstance(chosen, Refusal) else refuse_change(current, chosen.run) if current else None
    if isinstance(chosen, Chosen) and refusal is None:
        return chosen.run, chosen, None
    assert refusal is not None  # noqa: S101 - what was not chosen was refused
    kept = kept or (str(current) if current else "")
    told = f"{refusal.message}; {kept} is kept" if kept else f"{refusal.message}; no cluster is made"
    return (Version.parse(kept) if kept else None), None, Problem("SpecInvalid", refusal.reason, told)


def _oldest(versions: Iterable[str]) -> Version | None:
    parsed = [Version.parse(text) for text in versions if text]
    return min(parsed, default=None)
