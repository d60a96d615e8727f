"""The command line's refusals: one sentence, status 2, nothing started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def controllerkit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controllerkit.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_shows_examples() -> None:
    done = controllerkit("dev", "up", "--help")
    assert done.returncode == 0
    assert "controllerkit dev up --real" in done.stdout


def test_two_clusters_at_once_are_refused() -> None:
    done = controllerkit("dev", "up", "--real", "--cluster")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "controllerkit: --real and --cluster are two different clusters; choose one\n"


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = controllerkit("dev", "up", "--data-dir", str(tmp_path / "file" / "below"))
    assert done.returncode == 2
    assert "cannot write to" in done.stderr
    assert "choose another with --data-dir" in done.stderr


def test_without_a_sandbox_it_says_what_to_install(tmp_path: Path) -> None:
    done = controllerkit("dev", "up", "--data-dir", str(tmp_path / "d"), PATH=str(tmp_path))
    assert done.returncode == 2
    assert "bubblewrap" in done.stderr
    assert len(done.stderr.strip().splitlines()[-1:]) == 1


def test_an_image_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text("images: [{pattern: x}]")
    done = controllerkit("dev", "up", "--images", str(tmp_path / "images.yaml"))
    assert done.returncode == 2
    assert "images[0] of" in done.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["dev", "up", "--nonsense"]])
def test_a_wrong_word_is_refused_with_status_2(arguments: list[str]) -> None:
    assert controllerkit(*arguments).returncode == 2
