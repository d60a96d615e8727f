"""Names of volumes, made of names that are no DNS labels."""

from __future__ import annotations

import re
from typing import Final

import xxhash

__all__ = ["dns_label", "unique_label"]

LENGTH_MAX: Final = 63
_HASHED: Final = 8
"""Characters of the hash that makes a name its own, as prometheus-operator has them."""

_FOREIGN: Final = re.compile(r"[^-a-z0-9]+")


def dns_label(text: str) -> str:
    """``text`` in lower case, with ``-`` for what a DNS label may not hold, at most 63 characters.

    >>> dns_label("secret-My.Key_"), len(dns_label("x" * 99))
    ('secret-my-key', 63)
    """
    return _FOREIGN.sub("-", text.lower())[:LENGTH_MAX].strip("-")


def unique_label(prefix: str, name: str) -> str:
    """The same of ``prefix`` and ``name``, with a hash of ``name``, so that two long names stay two.

    >>> unique_label("web-config-tls-secret-key-", "test-secret")
    'web-config-tls-secret-key-test-secret-f9e12a15'
    """
    mark = f"-{xxhash.xxh64_intdigest(name.encode(errors='surrogatepass')):x}"[: _HASHED + 1]
    return _FOREIGN.sub("-", (prefix + name).lower())[: LENGTH_MAX - len(mark)].strip("-") + mark
