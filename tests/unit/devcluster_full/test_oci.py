"""Images: the same input gives the same bytes, and the bytes are what containerd expects."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from controllerkit.devcluster.full.oci import Image, build_image, write_archive


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "etcd"
    path.write_bytes(b"\x7fELF" + b"x" * 5000)
    return path


def make(tmp_path: Path, binary: Path, reference: str = "quay.io/coreos/etcd:v3.6.16") -> Image:
    files = {"/usr/local/bin/etcd": binary}
    return build_image(
        tmp_path / "store", reference, files, entrypoint=["/usr/local/bin/etcd"], env={"ETCD_UNSUPPORTED_ARCH": "arm"}
    )


def test_the_layer_holds_the_binary_executable_and_what_programs_expect_of_a_root(tmp_path: Path, binary: Path) -> None:
    with tarfile.open(make(tmp_path, binary).layer) as layer:
        entries = {entry.name: entry for entry in layer.getmembers()}
        program = layer.extractfile("usr/local/bin/etcd")
        assert program is not None
        assert program.read() == binary.read_bytes()
    assert entries["usr/local/bin/etcd"].mode == 0o755
    assert entries["tmp"].mode == 0o1777
    assert entries["usr/local"].isdir()
    assert {"etc", "etc/passwd", "etc/group", "etc/nsswitch.conf", "var/lib"} <= set(entries)
    assert all((entry.uid, entry.gid, entry.mtime) == (0, 0, 0) for entry in entries.values())


def test_folders_come_before_what_is_in_them(tmp_path: Path, binary: Path) -> None:
    with tarfile.open(make(tmp_path, binary).layer) as layer:
        names = layer.getnames()
    for name in names:
        parent = name.rpartition("/")[0]
        assert not parent or names.index(parent) < names.index(name)


def test_the_same_files_give_the_same_image_wherever_and_whenever_it_is_made(tmp_path: Path, binary: Path) -> None:
    (tmp_path / "b").mkdir()
    again = tmp_path / "b" / "other"
    again.write_bytes(binary.read_bytes())
    one, two = make(tmp_path, binary), make(tmp_path / "b", again)
    assert one.manifest == two.manifest
    assert one.layer.read_bytes() == two.layer.read_bytes()


def test_digests_are_of_the_bytes_served(tmp_path: Path, binary: Path) -> None:
    image = make(tmp_path, binary)
    assert image.layer_digest == f"sha256:{hashlib.sha256(image.layer.read_bytes()).hexdigest()}"
    assert image.config_digest == f"sha256:{hashlib.sha256(image.config).hexdigest()}"
    manifest = json.loads(image.manifest)
    assert manifest["layers"][0]["digest"] == image.layer_digest
    assert manifest["layers"][0]["size"] == image.layer.stat().st_size
    assert manifest["config"]["digest"] == image.config_digest


def test_the_configuration_names_entrypoint_environment_and_layer(tmp_path: Path, binary: Path) -> None:
    image = make(tmp_path, binary)
    config = json.loads(image.config)
    assert config["config"]["Entrypoint"] == ["/usr/local/bin/etcd"]
    assert "ETCD_UNSUPPORTED_ARCH=arm" in config["config"]["Env"]
    assert any(entry.startswith("PATH=") for entry in config["config"]["Env"])
    assert config["rootfs"]["diff_ids"] == [image.layer_digest]


def test_a_file_of_the_image_wins_over_ours(tmp_path: Path, binary: Path) -> None:
    passwd = tmp_path / "passwd"
    passwd.write_text("etcd:x:1000:1000::/:/bin/false\n")
    image = build_image(tmp_path / "store", "a:1", {"/etc/passwd": passwd}, entrypoint=["/x"])
    with tarfile.open(image.layer) as layer:
        assert layer.getnames().count("etc/passwd") == 1
        content = layer.extractfile("etc/passwd")
        assert content is not None
        assert content.read() == passwd.read_bytes()


def test_the_archive_is_what_docker_save_writes(tmp_path: Path, binary: Path) -> None:
    image = make(tmp_path, binary)
    with tarfile.open(write_archive(image, tmp_path / "image.tar")) as archive:
        [entry] = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert entry["RepoTags"] == ["quay.io/coreos/etcd:v3.6.16"]
        config, layer = archive.extractfile(entry["Config"]), archive.extractfile(entry["Layers"][0])
        assert config is not None
        assert layer is not None
        assert config.read() == image.config
        assert layer.read() == image.layer.read_bytes()


def test_no_half_written_layer_stays_where_a_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        build_image(tmp_path / "store", "a:1", {"/x": tmp_path / "absent"}, entrypoint=["/x"])
    assert list((tmp_path / "store").iterdir()) == []
