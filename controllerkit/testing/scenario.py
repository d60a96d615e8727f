"""Scenario files: transcripts of input and output, reviewed as text.

A file holds cases separated by blank lines::

    input lines
    ----
    expected output lines

``run_scenario`` gives each input to a function and compares; with ``rewrite`` it writes what came out instead,
so that a change of behaviour is reviewed as a diff.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["Mismatch", "run_scenario"]

SEPARATOR = "----"


class Mismatch(AssertionError):
    """A case printed something else; the message shows the file, line, both texts."""


def run_scenario(path: Path, handle: Callable[[str], str], *, rewrite: bool = False) -> int:
    """Runs the cases of ``path`` in order through ``handle`` and returns how many there were.

    Raises:
        Mismatch: the first case whose output differs.
        ValueError: the file has no cases, or one without separator.
    """
    lines = path.read_text().splitlines()
    output: list[str] = []
    count, position = 0, 0
    while position < len(lines):
        if not lines[position].strip() or lines[position].startswith("#"):
            output.append(lines[position])
            position += 1
            continue
        began = position
        while position < len(lines) and lines[position] != SEPARATOR:
            if not lines[position].strip():
                raise ValueError(f"{path}:{began + 1}: a case without {SEPARATOR!r}")
            position += 1
        asked = "\n".join(lines[began:position])
        position += 1
        answer_at = position
        while position < len(lines) and lines[position].strip():
            position += 1
        expected, actual = "\n".join(lines[answer_at:position]), handle(asked).rstrip("\n")
        count += 1
        if actual != expected and not rewrite:
            raise Mismatch(f"{path}:{began + 1}\n{asked}\n---- expected\n{expected}\n---- got\n{actual}")
        output += [asked, SEPARATOR, actual]
    if not count:
        raise ValueError(f"{path} holds no cases")
    if rewrite:
        path.write_text("\n".join(output) + "\n")
    return count
