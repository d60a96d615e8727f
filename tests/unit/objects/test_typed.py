"""Typed dictionaries: what mypy makes of them, and that they are nothing when it runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controllerkit.objects import kinds, typed
from tests.conformance.generate_typed import generated

STUB = Path(typed.__file__).with_suffix(".pyi")

USES = """
from collections.abc import Mapping
from typing import Any

import typed


def deployment(name: str) -> typed.Deployment:
    container: typed.Container = {"name": "web", "image": "nginx", "ports": [{"containerPort": 80, "protocol": "TCP"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}},
    }


def send(value: Mapping[str, Any]) -> None: ...


send(deployment("a"))
port: typed.ServicePort = {"port": 80, "targetPort": "http"}
rule: typed.PolicyRule = typed.PolicyRule(verbs=["get"])
"""

MISUSES = """
import typed

one: typed.Container = {"nam": "web"}
two: typed.ServicePort = {"port": "80"}
three: typed.Deployment = {"apiVersion": "v1", "kind": "Deployment"}
four: typed.ContainerPort = {"containerPort": 80, "protocol": "tcp"}
five: typed.Nothing
"""


def mypy(text: str, folder: Path) -> list[str]:
    """What it says of a program beside the stub alone: the rest of the package would only take its time."""
    shutil.copy(STUB, folder)
    (folder / "sample.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "sample.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if ": error: " in line]


def test_the_files_are_what_the_openapi_of_the_server_says() -> None:
    for path, text in generated().items():
        assert path.read_text() == text, f"{path.name} is out of date: python -m tests.conformance.generate_typed"


def test_mypy_takes_what_is_right(tmp_path: Path) -> None:
    assert mypy(USES, tmp_path) == []


def test_mypy_refuses_a_wrong_name_type_version_value_and_kind(tmp_path: Path) -> None:
    errors = mypy(MISUSES, tmp_path)
    lines = sorted({int(error.split(":")[1]) for error in errors})
    assert lines == [4, 5, 6, 7, 8], errors


def test_every_built_in_kind_has_one() -> None:
    for kind in kinds.BUILTIN.values():
        name = "CoreEvent" if kind == kinds.EVENT_V1 else kind.kind
        assert getattr(typed, name) is dict


def test_at_run_time_each_is_a_dict_and_a_wrong_name_an_error() -> None:
    assert typed.Service is dict
    assert typed.ServicePort(port=80) == {"port": 80}
    with pytest.raises(AttributeError, match="has no 'Nothing'"):
        _ = typed.Nothing  # type: ignore[attr-defined]
