"""What is exported exists, and operators use nothing else."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for path in (ROOT / "controllerkit").glob("**/__init__.py")
    if "__all__" in path.read_text()
)


@pytest.mark.parametrize("room", ROOMS)
def test_every_exported_name_exists_and_the_list_is_sorted_as_ruff_sorts_it(room: str) -> None:
    module = importlib.import_module(room)
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert missing == []
    assert len(set(module.__all__)) == len(module.__all__)


def imports_of(path: Path) -> list[tuple[str, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "controllerkit":
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names if alias.name.split(".")[0] == "controllerkit"]
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "operators").glob("**/*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_operators_import_only_names_that_a_room_exports(path: Path) -> None:
    for module, name in imports_of(path):
        exported = getattr(importlib.import_module(module), "__all__", None)
        if module == "controllerkit.errors" or (exported is not None and name in exported):
            continue
        raise AssertionError(
            f"{path.relative_to(ROOT)} imports {name or module} from {module}, which does not export it"
        )
