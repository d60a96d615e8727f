"""The image table."""

from __future__ import annotations

from pathlib import Path

import pytest

from controllerkit.devcluster.binaries import ETCD_VERSIONS, BinaryCache
from controllerkit.devcluster.images import ImageNotFound, ImageTable
from controllerkit.errors import DevClusterError


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app"
    path.write_bytes(b"binary")
    return path


def test_the_default_table_knows_every_etcd_under_both_names_and_pause(tmp_path: Path) -> None:
    table = ImageTable.default(BinaryCache(root=tmp_path))
    for version in ETCD_VERSIONS.values():
        assert f"quay.io/coreos/etcd:v{version}" in table.known()
        assert f"gcr.io/etcd-development/etcd:v{version}" in table.known()
    assert table.resolve("registry.k8s.io/pause:3.10").entrypoint == ("/bin/sleep", "infinity")


def test_an_unknown_image_lists_the_known_ones() -> None:
    table = ImageTable()
    table.register("a:1", files={}, entrypoint=["/a"])
    with pytest.raises(ImageNotFound, match=r"no image 'b:1' on this machine; known images: a:1"):
        table.resolve("b:1")


def test_what_would_have_to_be_built_is_unknown_unless_building_is_wanted(tmp_path: Path) -> None:
    table = ImageTable.default(BinaryCache(root=tmp_path))
    with pytest.raises(ImageNotFound):
        table.resolve(f"quay.io/coreos/etcd:v{ETCD_VERSIONS['3.7']}", build=False)


def test_files_are_provided_at_the_first_use(app: Path) -> None:
    calls = []

    def build() -> Path:
        calls.append(1)
        return app

    table = ImageTable()
    table.register("a:v1.*", files={"/app": build}, entrypoint=["/app"], env={"A": "1"})
    assert calls == []
    image = table.resolve("a:v1.2")
    assert (image.files, image.entrypoint, image.env, calls) == ({"/app": app}, ("/app",), {"A": "1"}, [1])


def test_the_last_registered_wins(app: Path) -> None:
    table = ImageTable()
    table.register("a:*", files={}, entrypoint=["/old"])
    table.register("a:1", files={}, entrypoint=["/new"])
    assert table.resolve("a:1").entrypoint == ("/new",)
    assert table.resolve("a:2").entrypoint == ("/old",)


def test_the_digest_is_of_the_content(app: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"binary")
    table = ImageTable()
    table.register("a:1", files={"/app": app}, entrypoint=["/app"])
    table.register("b:1", files={"/app": other}, entrypoint=["/app"])
    table.register("c:1", files={"/app": other}, entrypoint=["/app", "-v"])
    assert table.resolve("a:1").digest == table.resolve("b:1").digest
    assert table.resolve("c:1").digest != table.resolve("b:1").digest
    other.write_bytes(b"another")
    assert table.resolve("a:1").digest != table.resolve("b:1").digest


def test_a_registered_file_that_is_missing_is_named(tmp_path: Path) -> None:
    table = ImageTable()
    table.register("a:1", files={"/app": tmp_path / "none"}, entrypoint=["/app"])
    with pytest.raises(ImageNotFound, match=r"a:1.*none does not exist"):
        table.resolve("a:1")


def test_a_file_adds_images_with_paths_of_its_own_folder(app: Path, tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    file.write_text("images:\n- pattern: 'x:*'\n  files: {/app: app}\n  entrypoint: [/app, 1]\n  env: {A: 1}\n")
    table = ImageTable()
    table.extend(file)
    image = table.resolve("x:9")
    assert (image.files, image.entrypoint, image.env) == ({"/app": app}, ("/app", "1"), {"A": "1"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must hold a list under the key 'images'"),
        ("images: [{pattern: a}]", r"images\[0\].*needs a pattern and an entrypoint"),
        ("images: [{pattern: a, entrypoint: [/a], file: {}}]", "unknown fields file"),
        ("images: [{pattern: a, entrypoint: [/a], files: {app: app}}]", "'app' is not absolute"),
        ("{", "cannot be read"),
    ],
)
def test_a_wrong_file_says_where(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    file.write_text(text)
    with pytest.raises(DevClusterError, match=message):
        ImageTable().extend(file)
