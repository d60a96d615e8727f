"""Objects read from YAML and JSON files, as ``kubectl apply -f`` reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from controllerkit.errors import ConfigError

__all__ = ["SIZE_MAX", "Manifest", "parsed", "read"]

SIZE_MAX: Final = 64 * 1024 * 1024
"""Bytes of one file."""

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_ALIASES_MAX: Final = 1000
"""``*alias`` in one file; each repeats what it names, and ten thousand make a file of a kilobyte fill the memory."""

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """Without dates, which JSON does not have; ``=`` is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regex) for tag, regex in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}
_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object, and where it was read."""

    value: Mapping[str, Any]
    source: str


def read(paths: Iterable[str | Path]) -> list[Manifest]:
    """The objects of files, of all files under folders, and of standard input for ``-``, in that order; a List is
    what is in it.

    Raises:
        ConfigError: a file that is not there or cannot be read, is too large, is no YAML or holds what is no object;
            with its name, and the line where there is one.
    """
    found: list[Manifest] = []
    for path in paths:
        if str(path) == "-":
            found += parsed(sys.stdin.read(SIZE_MAX + 1), "standard input")
            continue
        for file in _files(Path(path)):
            found += parsed(_text(file), str(file))
    return found


def parsed(text: str, source: str) -> list[Manifest]:
    """The objects of a text.

    Raises:
        ConfigError: as `read`.
    """
    if len(text) > SIZE_MAX:
        raise ConfigError(f"{source} has more than {SIZE_MAX} bytes; split it")
    try:
        if text.count("*") > _ALIASES_MAX and _aliases(text) > _ALIASES_MAX:
            raise ConfigError(f"{source} has more than {_ALIASES_MAX} aliases; write out what they name")
        documents = list(yaml.load_all(text, _Loader))
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is no YAML: {_where(error)}") from error
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"{source} cannot be read: {error}") from error
    return [each for document in documents if document is not None for each in _objects(document, source)]


def _aliases(text: str) -> int:
    return sum(isinstance(each, yaml.AliasEvent) for each in yaml.parse(text, _Loader))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.suffix in _SUFFIXES and each.is_file())
    if not path.exists():
        raise ConfigError(f"{path} is not there")
    return [path]


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > SIZE_MAX:
            raise ConfigError(f"{path} has more than {SIZE_MAX} bytes; split it")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    told = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {told}" if mark is not None else told


def _objects(document: Any, source: str) -> Iterator[Manifest]:
    if not isinstance(document, Mapping) or not isinstance(document.get("kind"), str):
        raise ConfigError(f"{source} holds a document that is no object: it has no `kind`")
    items = document.get("items")
    if document["kind"].endswith("List") and isinstance(items, list):
        for item in items:
            bare = isinstance(item, Mapping) and "kind" not in item and document["kind"] != "List"
            named = {"apiVersion": document.get("apiVersion"), "kind": document["kind"][:-4]} if bare else {}
            yield from _objects({**named, **item} if bare else item, source)
        return
    yield Manifest(document, source)
