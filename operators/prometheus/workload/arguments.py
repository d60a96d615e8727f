"""Command lines, from tables of flags."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from operators.prometheus.tables import OMIT, Rejected, Scope

__all__ = ["arguments", "flag", "joined", "unless"]


def flag(value: Any, scope: Scope) -> Any:
    """A flag without a value, set where the field is true."""
    return True if value is True else OMIT


def joined(value: Any, scope: Scope) -> Any:
    """A list as one value, with commas."""
    return ",".join(map(str, value)) if value else OMIT


def unless(default: str) -> Callable[[Any, Scope], Any]:
    """A value that is not written where it is the program's default."""
    return lambda value, scope: OMIT if not value or value == default else value


def arguments(flags: Mapping[str, Any], additional: Sequence[Mapping[str, Any]] | None = None) -> list[str]:
    """``--name=value`` of each, ``--name`` of True, several of a list; then what the user adds.

    >>> arguments({"web.enable-lifecycle": True, "query": ["a", "b"]}, [{"name": "x", "value": "1"}])
    ['--web.enable-lifecycle', '--query=a', '--query=b', '--x=1']

    Raises:
        Rejected: the user adds a flag that is set already, by its name or by ``no-`` and its name.
    """
    made: list[str] = []
    for name, value in flags.items():
        made += [_argument(name, each) for each in (value if isinstance(value, list) else [value])]
    for index, each in enumerate(additional or ()):
        name = str(each.get("name") or "")
        if name.removeprefix("no-") in flags or f"no-{name}" in flags or name in flags:
            raise Rejected(f"--{name} is set by the operator; leave it out", f"spec.additionalArgs[{index}]")
        made.append(_argument(name, each.get("value") or True))
    return made


def _argument(name: str, value: Any) -> str:
    return f"--{name}" if value is True else f"--{name}={value}"
