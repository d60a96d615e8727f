"""Makes ``docs/prometheus-parity.md``: where the Prometheus operator here is as the original, and where it is not.

    python -m tests.parity.prometheus.page

Each part is a file beside this one, of entries ``[[difference]]`` with ``what``, ``here`` and ``why``; what a part
claims beyond them is computed here, or shown by the tests that it names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from controllerkit.schema import custom_resource_definition
from operators.prometheus.api import KINDS
from tests.parity.prometheus.points import points

__all__ = ["PAGE", "render"]

FOLDER: Final = Path(__file__).parent
ROOT: Final = FOLDER.parents[2]
PAGE: Final = ROOT / "docs" / "prometheus-parity.md"

INTRODUCTION: Final = """\
# The Prometheus operator beside the original

Where it is as prometheus-operator 0.93 is, and where it is not, and why. This page is made by
`python -m tests.parity.prometheus.page`; a test fails when it is out of date.
"""


def _schema() -> Iterator[str]:
    yield (
        "The definitions in `crds/` are made of the models in `operators/prometheus/api`. A test\n"
        "(`tests/unit/prometheus/test_crds.py`) compares each with the original's: every path with its type, format,\n"
        "default, enum, pattern, limits, list type and keys, required fields, rules; names, columns, scale,\n"
        "subresources. `definitions(conversion)` serves AlertmanagerConfig in v1beta1 too, as the original's full\n"
        "definitions do.\n"
    )
    yield "| kind | version | points | file |"
    yield "|---|---|---|---|"
    for kind, model in KINDS.items():
        file = ROOT / "crds" / f"{model.resource_kind().plural}.yaml"
        size = f"{file.stat().st_size / 1000:.0f} KB"
        version = model.resource_kind().version
        yield f"| {kind} | {version} | {len(points(custom_resource_definition(model)))} | {size} |"


def _compat() -> Iterator[str]:
    yield (
        "What a user would not want of the original is right by default, and as there with `--compat` (`compat=True`\n"
        "in the options). The third column is what the original does. Expected texts are held with it on.\n"
    )


def _otherwise() -> Iterator[str]:
    yield "These hold with `--compat`, too.\n"


PARTS: Final[Mapping[str, tuple[str, Callable[[], Iterator[str]]]]] = {
    "schema.toml": ("Schema", _schema),
    "compat.toml": ("Mistakes that are not repeated", _compat),
    "otherwise.toml": ("Done otherwise", _otherwise),
}
"""File → title, and what is said before its differences."""


def render() -> str:
    """The page."""
    lines = [INTRODUCTION]
    for file, (title, said) in PARTS.items():
        lines += [f"## {title}\n", *said(), ""]
        lines += ["| what differs | here | why |", "|---|---|---|"]
        for difference in tomllib.loads((FOLDER / file).read_text())["difference"]:
            lines.append(f"| {difference['what']} | {difference['here']} | {difference['why']} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(render())
