"""Volumes: what the API fills, and what lies behind the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controllerkit.devcluster.node.environment import PodFacts, Sources
from controllerkit.devcluster.node.volumes import (
    FileData,
    TokenRequest,
    VolumeNotReady,
    local_folder,
    mounts_of,
    payload,
    token_requests,
    write_payload,
)
from tests.unit.devcluster.pods import pod
from tests.unit.devcluster.test_environment import SOURCES

FACTS = PodFacts(pod=pod(labels={"app": "web"}), pod_ip="127.64.0.9")
TOKEN = {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}}


def files_of(volume: dict[str, Any], tokens: dict[TokenRequest, str] | None = None) -> dict[str, FileData]:
    return payload({"name": "v", **volume}, FACTS, SOURCES, tokens or {})


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({"configMap": {"name": "c"}}, {"LEVEL": FileData(b"debug", 0o644)}),
        ({"configMap": {"name": "c", "defaultMode": 0o400}}, {"LEVEL": FileData(b"debug", 0o400)}),
        (
            {"secret": {"secretName": "s", "items": [{"key": "USER", "path": "a/b", "mode": 0o600}]}},
            {"a/b": FileData(b"root", 0o600)},
        ),
        ({"secret": {"secretName": "none", "optional": True}}, {}),
        (
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"labels": FileData(b'app="web"')},
        ),
        (
            {"projected": {"defaultMode": 0o440, "sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}]}},
            {
                "USER": FileData(b"root", 0o440),
                "PASSWORD": FileData(b"hunter2", 0o440),
                "LEVEL": FileData(b"debug", 0o440),
            },
        ),
    ],
)
def test_files_from_the_api(volume: dict[str, Any], files: dict[str, FileData]) -> None:
    assert files_of(volume) == files


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}}, "configmap \"default/c\" has no key 'k'"),
        ({"projected": {"sources": [{"clusterTrustBundle": {}}]}}, "of no known kind: clusterTrustBundle"),
    ],
)
def test_a_volume_waits_for_what_is_missing(volume: dict[str, Any], message: str) -> None:
    with pytest.raises(VolumeNotReady, match=message.replace("'", ".")):
        files_of(volume)


def test_tokens_are_asked_for_once_and_left_out_where_none_was_issued() -> None:
    volume = {"name": "v", "projected": {"sources": [TOKEN]}}
    [request] = token_requests({"volumes": [volume, volume]})
    assert request == TokenRequest("vault", 600)
    assert files_of(volume) == {}
    assert files_of(volume, {request: "jwt"}) == {"token": FileData(b"jwt", 0o644)}


def test_files_change_together_and_only_when_something_changed(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    assert write_payload(folder, {"a": FileData(b"1"), "deep/b": FileData(b"2", 0o600)})
    assert (folder / "a").read_bytes() == b"1"
    assert (folder / "deep" / "b").stat().st_mode & 0o777 == 0o600
    before = (folder / "..data").readlink()
    assert not write_payload(folder, {"a": FileData(b"1"), "deep/b": FileData(b"2", 0o600)})
    assert write_payload(folder, {"a": FileData(b"3"), "c": FileData(b"4")})
    assert (folder / "..data").readlink() != before
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("..")) == ["a", "c"]
    assert not (folder / before).exists(), "the old files are removed"


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x"])
def test_no_file_leaves_its_volume(path: str, tmp_path: Path) -> None:
    with pytest.raises(VolumeNotReady, match="leads out of its volume"):
        write_payload(tmp_path / "v", {path: FileData(b"")})


def test_an_empty_dir_is_made_and_a_claims_folder_must_be_there(tmp_path: Path) -> None:
    assert local_folder({"name": "v", "emptyDir": {}}, tmp_path / "own", None).is_dir()
    claim = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    assert local_folder(claim, tmp_path / "own", tmp_path) == tmp_path
    with pytest.raises(VolumeNotReady, match="does not exist"):
        local_folder(claim, tmp_path / "own", tmp_path / "none")


@pytest.mark.parametrize(
    ("kind", "exists", "works"),
    [
        ("", True, True),
        ("", False, False),
        ("Directory", True, True),
        ("File", True, False),
        ("DirectoryOrCreate", False, True),
        ("FileOrCreate", False, True),
    ],
)
def test_host_paths(kind: str, exists: bool, works: bool, tmp_path: Path) -> None:
    path = tmp_path / "h"
    if exists:
        path.mkdir()
    volume = {"name": "v", "hostPath": {"path": str(path), "type": kind}}
    if works:
        assert local_folder(volume, tmp_path, None) == path
    else:
        with pytest.raises(VolumeNotReady, match="hostPath type check failed"):
            local_folder(volume, tmp_path, None)


def test_an_unknown_kind_of_volume_is_named() -> None:
    with pytest.raises(VolumeNotReady, match="does not mount: nfs"):
        local_folder({"name": "v", "nfs": {}}, Path("/"), None)


def mount(volumes: dict[str, Path], filled: frozenset[str] = frozenset(), **fields: Any) -> tuple[str, bool]:
    container = {"volumeMounts": [{"name": "v", "mountPath": "/m", **fields}]}
    [found] = mounts_of(container, volumes, filled, {"NAME": "web-0"})
    return str(found.source), found.read_only


def test_mounts(tmp_path: Path) -> None:
    volumes = {"v": tmp_path}
    assert mount(volumes) == (str(tmp_path), False)
    assert mount(volumes, readOnly=True) == (str(tmp_path), True)
    assert mount(volumes, subPath="a/b") == (str(tmp_path / "a/b"), False)
    assert mount(volumes, subPathExpr="$(NAME)") == (str(tmp_path / "web-0"), False)
    write_payload(tmp_path / "f", {"key": FileData(b"x")})
    source, read_only = mount({"v": tmp_path / "f"}, frozenset({"v"}), subPath="key")
    assert read_only
    assert Path(source).read_bytes() == b"x"


@pytest.mark.parametrize("below", ["..", "a/../../b", "/etc"])
def test_a_sub_path_does_not_leave_its_volume(below: str, tmp_path: Path) -> None:
    with pytest.raises(VolumeNotReady, match="leads out of its volume"):
        mount({"v": tmp_path}, subPath=below)


def test_a_link_in_a_volume_does_not_lead_a_sub_path_out(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "link").symlink_to("/etc")
    with pytest.raises(VolumeNotReady, match="leads out of its volume"):
        mount({"v": tmp_path / "v"}, subPath="link")


def test_sources_of_nothing_hold_nothing() -> None:
    assert Sources().secret_data("s") is None
    assert Sources().config_map_data("c") is None
