"""The control groups that containers are in: how to find their processes, and how to leave none behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["CGROUP_ROOT", "make_groups", "processes_of_container", "processes_under", "remove_groups"]

CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
KUBELET_CONTROLLERS: Final = ("cpu", "cpuset", "hugetlb", "memory", "pids")


def _hierarchies(root: Path) -> list[Path]:
    """The one tree of cgroup v2, or one per controller of v1."""
    return (
        [root] if (root / "cgroup.controllers").is_file() else sorted(path for path in root.iterdir() if path.is_dir())
    )


def make_groups(name: str, root: Path = CGROUP_ROOT) -> None:
    """Makes the group in every hierarchy, ready for kubelet. Idempotent."""
    for hierarchy in _hierarchies(root):
        _delegate(hierarchy)
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        # A new cpuset of cgroup v1 is empty and lets no process in; v2 inherits.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            inherited, own = hierarchy / setting, group / setting
            if inherited.is_file() and own.is_file() and not own.read_text().strip():
                own.write_text(inherited.read_text())


def _delegate(hierarchy: Path) -> None:
    """On cgroup v2, lets groups below have the controllers that kubelet asks for; v1 has no such switch."""
    switch = hierarchy / "cgroup.subtree_control"
    if not switch.is_file():
        return
    there = (hierarchy / "cgroup.controllers").read_text().split()
    given = switch.read_text().split()
    for controller in KUBELET_CONTROLLERS:
        if controller in there and controller not in given:
            # Refused where processes sit in the root group of a container; kubelet then says what it misses.
            with suppress(OSError):
                switch.write_text(f"+{controller}")


def _groups(name: str, root: Path) -> Iterator[Path]:
    """Our groups in every hierarchy, the innermost first, as only empty groups can be removed."""
    for hierarchy in _hierarchies(root):
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            yield Path(folder)


def _members(group: Path) -> list[int]:
    # A group can vanish between being found and being read.
    with suppress(OSError):
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    return []


def processes_under(name: str, root: Path = CGROUP_ROOT) -> set[int]:
    """Every process in the group ``name`` and below, as this process numbers them."""
    return {pid for group in _groups(name, root) for pid in _members(group) if pid > 0}


def processes_of_container(name: str, container: str, root: Path = CGROUP_ROOT) -> set[int]:
    """The processes of the container with this id; empty where there is none."""
    return {pid for group in _groups(name, root) if container in group.name for pid in _members(group) if pid > 0}


def remove_groups(name: str, root: Path = CGROUP_ROOT) -> list[Path]:
    """Removes our groups; returns those that could not be, because a process is in them."""
    kept: list[Path] = []
    for group in _groups(name, root):
        try:
            group.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            kept.append(group)
    return kept
