"""The golden corpus: inputs and the exact text made of them, in folders of JSON files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from operators.prometheus import Rejected, render_case

ROOT = Path(__file__).resolve().parents[4] / "shared" / "goldens"


class Loader(yaml.SafeLoader):
    """Reads ``=`` as the text it is in Alertmanager's matchers."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


@cache
def case(name: str) -> dict[str, Any]:
    """The case at ``folder/file.json``."""
    return json.loads((ROOT / name).read_text())  # type: ignore[no-any-return]


def names(folder: str, *functions: str) -> list[str]:
    """The cases of a folder, of those functions if any are named."""
    found = [f"{folder}/{path.name}" for path in sorted((ROOT / folder).glob("*.json"))]
    return [name for name in found if not functions or case(name)["func"] in functions]


def agrees(name: str) -> None:
    """One case gives its expected text, byte for byte, or is refused if it has none."""
    compare(case(name), None, case(name).get("expected"), refused=bool(case(name).get("error")))


def compare(of: dict[str, Any], version: str | None, expected: str | None, *, refused: bool) -> None:
    if refused:
        with pytest.raises(Rejected) as told:
            render_case(of, version)
        assert told.value.rule
        return
    got, wanted = render_case(of, version).strip(), (expected or "").strip()
    if got != wanted:  # reading is slow, and shows the difference better
        assert yaml.load(got, Loader) == yaml.load(wanted, Loader)
        assert got == wanted


def versions(name: str) -> Iterator[tuple[str, str | None, bool]]:
    """Version, expected text and whether it is refused, of a matrix file, for each of its versions.

    Groups whose error is a panic of the original are left out.
    """
    for group in case(name)["results"]:
        if (group.get("error") or "").startswith("PANIC"):
            continue
        for version in group["versions"]:
            yield version, group.get("expected"), bool(group.get("error"))


def agrees_in_versions(name: str) -> None:
    """A matrix file, over its versions."""
    base = case(case(name)["base_case"])
    for version, expected, refused in versions(name):
        compare(base, version, expected, refused=refused)
