"""Transforms that make cached objects smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from controllerkit.errors import ConfigError
from controllerkit.objects import Object

__all__ = ["LAST_APPLIED", "Without"]

LAST_APPLIED: Final = ("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")
"""What ``kubectl apply`` keeps of an object within it: as large as the object itself."""

_NEEDED: Final = frozenset(
    {
        ("kind",),
        ("apiVersion",),
        ("metadata",),
        *(("metadata", each) for each in ("name", "namespace", "uid", "resourceVersion")),
    }
)
_level_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True, init=False)
class Without:
    """A transform that drops fields which nobody in this process reads: ``Without("data", LAST_APPLIED)``.

    Each field is the name of one at the top, or a path of names. Only what lies on a path is decoded. Two of the same
    fields are equal. What was cached so must not be written back whole: patch or apply instead.

    Raises:
        ConfigError: no field, an empty path, or one that a cache needs.

    >>> secret = Object.from_dict({"metadata": {"name": "a"}, "type": "Opaque", "data": {"x": "eA=="}})
    >>> Without("data")(secret).raw
    b'{"metadata":{"name":"a"},"type":"Opaque"}'
    """

    paths: frozenset[tuple[str, ...]]

    def __init__(self, *fields: str | tuple[str, ...]) -> None:
        paths = frozenset((each,) if isinstance(each, str) else each for each in fields)
        if not paths or not all(each and all(each) for each in paths):
            raise ConfigError(f"Without() needs fields to drop, each a name or a path of names; got {fields!r}")
        if needed := sorted(paths & _NEEDED):
            raise ConfigError(f"a cache needs {', '.join(map('.'.join, needed))}; drop something else")
        object.__setattr__(self, "paths", paths)

    def __call__(self, value: Object) -> Object:
        """``value`` without the fields; itself where it has none of them."""
        raw: bytes | msgspec.Raw = value.raw
        for path in sorted(self.paths):
            raw = _without(raw, path)
        if raw is value.raw:
            return value
        made = Object.from_bytes(raw)
        made.api_version, made.kind = value.api_version, value.kind
        return made


def _without(raw: bytes | msgspec.Raw, path: tuple[str, ...]) -> bytes | msgspec.Raw:
    try:
        fields = _level_decoder.decode(raw)
    except msgspec.DecodeError:
        return raw  # null, or a list: there is nothing under a name
    name, below = path[0], path[1:]
    if name not in fields:
        return raw
    if below:
        kept = _without(fields[name], below)
        if kept is fields[name]:
            return raw
        fields[name] = msgspec.Raw(kept)
    else:
        del fields[name]
    return msgspec.json.encode(fields)
