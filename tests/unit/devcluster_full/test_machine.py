"""Control groups, records and preflight, on made-up machines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from controllerkit.devcluster import system
from controllerkit.devcluster.full import leftovers
from controllerkit.devcluster.full.cgroups import (
    make_groups,
    processes_of_container,
    processes_under,
    remove_groups,
)
from controllerkit.devcluster.full.leftovers import RunRecord, sweep
from controllerkit.devcluster.process import process_stamp


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    for controller in ("memory", "cpuset"):
        (tmp_path / controller).mkdir()
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    return tmp_path


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    return tmp_path


def test_groups_are_made_and_removed_in_every_hierarchy_and_no_others_are(v1: Path) -> None:
    (v1 / "memory" / "other").mkdir()
    make_groups("ck-1", v1)
    make_groups("ck-1", v1)
    (v1 / "memory" / "ck-1" / "kubepods" / "pod1").mkdir(parents=True)
    assert (v1 / "cpuset" / "ck-1").is_dir()
    assert remove_groups("ck-1", v1) == []
    assert sorted(path.name for path in v1.glob("*/*") if path.is_dir()) == ["other"]
    assert remove_groups("ck-1", v1) == []


def test_on_v2_the_controllers_that_kubelet_needs_are_handed_down(v2: Path) -> None:
    make_groups("ck-1", v2)
    # The kernel adds each write to what is there; a plain file shows the last.
    assert (v2 / "cgroup.subtree_control").read_text() == "+pids"
    assert (v2 / "ck-1").is_dir()


def test_processes_are_found_by_container_and_below_the_group(v1: Path) -> None:
    for number, name in enumerate(("pod1/aaa", "pod1/bbb"), start=10):
        group = v1 / "memory" / "ck-1" / name
        group.mkdir(parents=True)
        (group / "cgroup.procs").write_text(f"{number}\n")
    assert processes_under("ck-1", v1) == {10, 11}
    assert processes_of_container("ck-1", "bbb", v1) == {11}
    assert processes_of_container("ck-1", "ccc", v1) == set()


def test_a_group_that_cannot_be_removed_is_told(v1: Path) -> None:
    group = v1 / "memory" / "ck-1"
    group.mkdir()
    (group / "busy").write_text("as rmdir refuses a folder that is not empty")
    assert remove_groups("ck-1", v1) == [group]


def test_a_record_can_be_read_back(tmp_path: Path) -> None:
    record = RunRecord("ck-1", folder=tmp_path)
    record.add()
    record.add(os.getpid())
    again = RunRecord.load(record.path)
    assert again is not None
    assert (again.name, again.owner, again.processes) == (record.name, record.owner, record.processes)
    record.forget()
    record.forget()
    assert not tmp_path.exists()


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a sweep would have removed from the machine."""
    names: list[str] = []
    monkeypatch.setattr(leftovers, "forget_namespace", names.append)
    monkeypatch.setattr(leftovers, "remove_groups", names.append)
    return names


def test_a_sweep_ends_what_a_dead_owner_left_and_nothing_else(tmp_path: Path, forgotten: list[str]) -> None:
    with subprocess.Popen(["sleep", "60"]) as ours, subprocess.Popen(["sleep", "60"]) as stranger:
        dead = RunRecord("ck-dead", folder=tmp_path, owner=(os.getpid(), "another start"))
        # The second number has been given to another process since.
        dead.processes.append((stranger.pid, "another start"))
        dead.add(ours.pid)
        alive = RunRecord("ck-alive", folder=tmp_path)
        alive.add()
        (tmp_path / "garbage.json").write_text("{")
        assert sweep(tmp_path) == ["ck-dead"]
        assert ours.wait(5) == -9
        assert stranger.poll() is None
        stranger.kill()
    assert forgotten == ["ck-dead", "ck-dead"]
    assert alive.path.exists()
    assert not dead.path.exists()


def test_a_sweep_of_nothing_is_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "absent") == []


def test_a_zombie_counts_as_gone() -> None:
    child = subprocess.Popen(["true"])
    while process_stamp(child.pid):
        pass
    child.wait()


def test_without_root_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "sudo" in system.what_is_missing(plugin_folders=(), plugins=())


def test_missing_programs_are_named_with_one_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(system, "_has_capability", lambda _: True)
    monkeypatch.setattr(system.shutil, "which", lambda name, path: None if name in {"runc", "ctr"} else f"/bin/{name}")
    sentence = system.what_is_missing(plugin_folders=[tmp_path], plugins=["ptp"])
    assert sentence == (
        "missing here: ctr, runc, CNI plugins; "
        "install them with: apt-get install containerd containernetworking-plugins runc"
    )


def test_a_root_without_the_capability_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(system, "_has_capability", lambda _: False)
    assert "--privileged" in system.what_is_missing(plugin_folders=(), plugins=())
