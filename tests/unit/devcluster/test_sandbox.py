"""The sandbox's command line, without running it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from controllerkit.devcluster.node import sandbox
from controllerkit.devcluster.node.sandbox import Mount, SandboxSpec, check_sandbox, enter_line, sandbox_line
from controllerkit.errors import DevClusterError


def line(**changes: object) -> list[str]:
    spec = SandboxSpec(hostname="m0", command=["/app", "--flag"], etc=Path("/d/etc"))
    for name, value in changes.items():
        object.__setattr__(spec, name, value)
    return sandbox_line(spec)


def option(words: list[str], name: str, count: int = 1) -> list[list[str]]:
    return [words[at + 1 : at + 1 + count] for at, word in enumerate(words) if word == name]


def test_the_command_comes_last_and_cannot_be_taken_for_an_option() -> None:
    assert line()[-3:] == ["--", "/app", "--flag"]


def test_every_sandbox_has_its_own_namespaces_and_dies_with_its_parent() -> None:
    words = line()
    for flag in (
        "--unshare-user",
        "--unshare-pid",
        "--unshare-uts",
        "--unshare-ipc",
        "--die-with-parent",
        "--new-session",
    ):
        assert flag in words
    assert "--unshare-net" not in words, "a Pod's address is the machine's"
    assert option(words, "--hostname") == [["m0"]]


def test_the_machines_usr_is_read_only_and_usr_local_is_hidden() -> None:
    words = line()
    assert ["/usr", "/usr"] in option(words, "--ro-bind", 2)
    assert ["/usr", "/usr"] not in option(words, "--bind", 2)
    assert words.index("/usr") < words.index("/usr/local")
    assert {"/usr/local", "/tmp", "/run"} <= {target for [target] in option(words, "--tmpfs")}


def test_files_are_links_so_that_they_can_be_replaced() -> None:
    links = option(line(), "--symlink", 2)
    assert ["/.pod/hosts", "/etc/hosts"] in links
    assert ["/d/etc", "/.pod"] in option(line(), "--ro-bind", 2)


def test_what_lies_deeper_is_mounted_later_and_read_only_where_asked() -> None:
    mounts = [Mount(Path("/s/deep"), "/var/data/deep", read_only=True), Mount(Path("/s/data"), "/var/data")]
    words = line(mounts=mounts, files={"/usr/local/bin/etcd": Path("/cache/etcd")})
    assert option(words, "--bind", 2) == [["/s/data", "/var/data"]]
    assert ["/s/deep", "/var/data/deep"] in option(words, "--ro-bind", 2)
    assert words.index("/usr/local/bin/etcd") < words.index("/var/data") < words.index("/var/data/deep")


def test_an_image_may_bring_files_for_bin() -> None:
    words = line(files={"/bin/prometheus": Path("/cache/prometheus")})
    assert ["/bin"] in option(words, "--dir")
    assert ["usr/bin", "/bin"] not in option(words, "--symlink", 2)
    assert ["/usr/bin/sh", "/bin/sh"] in option(words, "--symlink", 2)


@pytest.mark.parametrize(("given", "expected"), [("", "/"), ("/work", "/work")])
def test_the_working_folder(given: str, expected: str) -> None:
    assert option(line(working_dir=given), "--chdir") == [[expected]]


def test_the_status_descriptor_is_named_only_where_there_is_one() -> None:
    assert option(line(status_fd=7), "--json-status-fd") == [["7"]]
    assert "--json-status-fd" not in line()


def test_entering_takes_all_the_namespaces_and_keeps_the_command_apart() -> None:
    words = enter_line(42, ["ls", "-l"])
    assert words[:2] == ["nsenter", "--target=42"]
    assert words[-3:] == ["--", "ls", "-l"]
    assert {"--user", "--mount", "--pid", "--uts"} <= set(words)


def test_a_missing_bubblewrap_says_what_to_install() -> None:
    with pytest.raises(DevClusterError, match="install the package bubblewrap"):
        check_sandbox("no-such-bwrap")


def test_forbidden_namespaces_say_what_to_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "bwrap: No permissions to create new namespace")

    monkeypatch.setattr(sandbox.subprocess, "run", refuse)
    with pytest.raises(DevClusterError, match=r"No permissions .*allow unprivileged user namespaces"):
        check_sandbox("true")
